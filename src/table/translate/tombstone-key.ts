/**
 * Which row a record without a value means, where columns of the value identify rows: the Kafka key holds them, by the names
 * of its fields, or is all of the one column that there is.
 */
import { protobufMessageAt } from "../../registry/protobuf-schema.ts";
import { compileAvro } from "../decode/avro.ts";
import { parseAvroSchema } from "../decode/avro-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import type { Bound } from "../decode/bound.ts";
import { besideSchema, withDecimals } from "../decode/connect-json.ts";
import { Cursor } from "../decode/cursor.ts";
import { payloadOf } from "../decode/debezium-json.ts";
import { compileJson } from "../decode/json.ts";
import { careOf, readJson } from "../decode/json-record.ts";
import { isRawNumber } from "../decode/json-text.ts";
import { compileProtobuf } from "../decode/protobuf.ts";
import type { ProtobufReader } from "../decode/protobuf-reader.ts";
import { compileTextCast, putText } from "../decode/string.ts";
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import { castRefusal, isKeyCast, overridesOf } from "../schema/column-overrides.ts";
import { connectRules } from "../schema/mapping-rules.ts";
import type { SchemaText, TableMapping } from "../schema/schema-map.ts";
import { avroSourceType } from "../schema/schema-map-avro.ts";
import { jsonSchemaSourceType } from "../schema/schema-map-json-schema.ts";
import { widenedType } from "../schema/schema-map-merge.ts";
import { protobufFile, protobufSourceType, protobufValueType } from "../schema/schema-map-protobuf.ts";
import type { SourceType } from "../schema/schema-map-types.ts";
import { keyColumnName, type TableSettings } from "../settings.ts";
import type { Framing } from "./framing.ts";
import type { BytesLeaf, Leaf } from "./leaf.ts";
import { compileMessageName } from "./message-path.ts";
import { compileOnce, type PartContext, type PutOutcome } from "./translate-parts.ts";

/** The value's key columns, from the Kafka key of a record without a value. Throws BadRecord. */
export type TombstonePut = (key: Uint8Array) => PutOutcome;

const ok: PutOutcome = { kind: "ok" };

/** `key`: the value's key columns, none when the Kafka key identifies rows. */
export function compileTombstoneKey(context: PartContext, key: StructNode): TombstonePut {
  const { settings, mapping } = context;
  if (settings.mode.key.length === 0 || settings.mode.tombstone === "ignore") return () => ok;
  const target: Target = { key, mapping, settings };
  switch (settings.key.decode) {
    case "raw":
    case "string":
      return textKey(target);
    case "json":
      return jsonKey(target);
    case "schema-id": {
      const compiled = compileOnce(context, "key", (schema) => typedKey(schema, target));
      return (bytes) => {
        const found = compiled(bytes);
        if (found.kind !== "compiled") return found;
        found.it(context.framings.key);
        return ok;
      };
    }
  }
}

interface Target {
  readonly key: StructNode;
  readonly mapping: TableMapping;
  readonly settings: TableSettings;
}

function textKey(target: Target): TombstonePut {
  const [only, ...others] = target.key.leaves;
  const put = only === undefined || others.length > 0 ? undefined : textPut(only, target);
  return (bytes) => {
    if (put === undefined) throw new BadRecord("no-key", severalColumns);
    put(bytes);
    return ok;
  };
}

function textPut(leaf: Leaf, target: Target): (bytes: Uint8Array) => void {
  const { type } = leaf.shape;
  if (type === "string") return (bytes) => putText(leaf as BytesLeaf, bytes);
  if (isCast(target, leaf.shape.id)) return compileTextCast(leaf);
  const wayOut = `columns.overrides.${keyColumnName(target.settings)}: { type: ${type} }`;
  return () => {
    throw new BadRecord("no-key", `the Kafka key is text, and the row's key is a ${type}: say ${wayOut}`);
  };
}

/** Whether a person gave the type: of the row's column, or of what the Kafka key holds of it. */
function isCast(target: Target, id: number): boolean {
  const { mapping, settings } = target;
  if (mapping.bindings.some((binding) => binding.id === id && binding.isCast === true)) return true;
  const ofKey = overridesOf("key", mapping.overrides, settings) ?? {};
  return isKeyCast(mapping, settings) || ofKey[nameOf(target, id)]?.type !== undefined;
}

/** Of JSON without a schema: each column says what it takes. */
function jsonKey(target: Target): TombstonePut {
  const { key, mapping } = target;
  const bound = boundByName(target);
  const putRecord = compileJson(key, undefined, strict(bound));
  const [only, ...others] = key.fields;
  const putOnly = only === undefined ? undefined : compileJson(only.node, undefined, strictOf(only.node, target));
  const care = careOf({ node: key, bound });
  return (bytes) => {
    const read = readJson(bytes, 0, care);
    const value =
      target.settings.mode.envelope === "debezium" ? payloadOf(read, mapping.rules) : plainKey(read, mapping);
    const isRecord = typeof value === "object" && !Array.isArray(value) && !isRawNumber(value);
    if (isRecord) putRecord(value ?? {}, 0);
    else if (putOnly !== undefined && others.length === 0) putOnly(value, 0);
    else throw new BadRecord("no-key", severalColumns);
    return ok;
  };
}

function plainKey(value: unknown, { rules }: TableMapping): unknown {
  const found = connectRules(rules) === undefined ? undefined : besideSchema(value);
  return found === undefined ? value : withDecimals(found.payload, found.schema);
}

const severalColumns = "the Kafka key is one value, and several columns identify a row";

function strict(bound: Bound) {
  return { bound, misfits: { count: 0 }, isStrict: true };
}

/** Of the one column, or of the struct of them. */
function strictOf(node: ColumnNode, target: Target) {
  return { ...strict(boundByName(target)), isCast: node.kind === "leaf" && isCast(target, node.id) };
}

type Put = (framing: Framing) => void;

function typedKey(schema: SchemaText, target: Target): Put {
  switch (schema.type) {
    case "AVRO":
      return avroKey(schema, target);
    case "JSON": {
      const source = jsonSchemaSourceType(schema, target.mapping.rules ?? 1);
      const node = keyNode(source, target);
      const put = compileJson(node, source, strictOf(node, target));
      const care = careOf({ node, bound: boundByName(target) });
      return ({ data, dataAt }) => put(readJson(data, dataAt, care), 0);
    }
    case "PROTOBUF":
      return protobufKeys(schema, target);
  }
}

function avroKey({ text, references }: SchemaText, target: Target): Put {
  const type = parseAvroSchema(text, references);
  const put = compileAvro(type, keyNode(avroSourceType(type, target.mapping.rules), target), boundByName(target));
  const cursor = new Cursor();
  return ({ data, dataAt }) => {
    cursor.reset(data, dataAt);
    put(cursor, 0);
  };
}

function protobufKeys(schema: SchemaText, target: Target): Put {
  const file = protobufFile(schema);
  const puts = new Map<string, (reader: ProtobufReader) => void>();
  const nameMessage = compileMessageName(file, target.settings.key.latest?.message);
  return (framing) => {
    const { path, reader } = nameMessage(framing);
    const name = path.join(".");
    let put = puts.get(name);
    if (put === undefined) {
      const message = protobufMessageAt(file, path);
      if (message === undefined) throw new BadRecord("malformed", `the key's schema has no message [${name}]`);
      const { rules = 1 } = target.mapping;
      const value = protobufValueType(message, rules);
      // A wrapped scalar whose type was said is one value.
      const source =
        value.kind !== "struct" && isKeyCast(target.mapping, target.settings)
          ? value
          : protobufSourceType(message, rules);
      put = compileProtobuf(message, keyNode(source, target), boundByName(target, source), rules);
      puts.set(name, put);
    }
    put(reader);
  };
}

/** The name that a person gave to the column. */
function nameOf({ mapping: { rowKey } }: Target, id: number): string {
  return rowKey?.columns[rowKey.ids.indexOf(id)] ?? "";
}

/** The key's fields by their names, whatever the value's source binds its own by. */
function boundByName(target: Target, source?: SourceType): Bound {
  const fields = source?.kind === "struct" ? source.fields : [];
  const names = new Map(fields.map((field) => [field.key ?? field.name, field.name]));
  const find = (parent: StructNode, key: string): ColumnNode | undefined => {
    const name = names.get(key) ?? key;
    return parent.fields.find(({ node }) => nameOf(target, node.id) === name)?.node;
  };
  return Object.assign(find, {
    isDropped: () => false,
    isExcluded: () => false,
    isCast: (parent: StructNode, key: string) => {
      const id = find(parent, key)?.id;
      return id !== undefined && isCast(target, id);
    },
    hasCasts: target.key.fields.some(({ node }) => isCast(target, node.id)),
  });
}

/** Where the key goes, when each column can hold what comes. */
function keyNode(source: SourceType, target: Target): ColumnNode {
  const { key } = target;
  const columnName = (leaf: Leaf): string => nameOf(target, leaf.shape.id);
  const fields =
    source.kind === "struct" ? source.fields : key.leaves.map((leaf) => ({ name: columnName(leaf), type: source }));
  for (const leaf of key.leaves) {
    const found = fields.find((field) => field.name === columnName(leaf))?.type;
    const { type, id } = leaf.shape;
    const isNatural = found?.kind === "primitive" && widenedType(type, found.type) === type;
    const isBrought = found?.kind === "primitive" && isCast(target, id) && castRefusal(found, type) === undefined;
    if (!isNatural && !isBrought)
      throw new BadRecord("no-key", `the Kafka key does not hold ${columnName(leaf)} as a ${leaf.shape.type}`);
  }
  const [first, ...others] = key.fields;
  if (first === undefined || (source.kind !== "struct" && others.length > 0)) {
    throw new BadRecord("no-key", severalColumns);
  }
  return source.kind === "struct" ? key : first.node;
}
