/** Keys and values into columns: which decoder a record's part needs, compiled once for each schema id. */
import { type ProtobufMessage, protobufMessageAt } from "../../registry/protobuf-schema.ts";
import { compileAvro } from "../decode/avro.ts";
import { skipAvro } from "../decode/avro-json.ts";
import { parseAvroSchema } from "../decode/avro-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import { type Bound, makeBound } from "../decode/bound.ts";
import { type AvroPut, Cursor } from "../decode/cursor.ts";
import { compileJsonRecord, type JsonTarget } from "../decode/json-record.ts";
import { compileJsonSchema } from "../decode/json-schema.ts";
import { compileProtobuf, skipProtobuf } from "../decode/protobuf.ts";
import type { ProtobufReader } from "../decode/protobuf-reader.ts";
import { putRaw } from "../decode/raw.ts";
import { compileTextCast, putText } from "../decode/string.ts";
import { type ColumnNode, type Columns, putAbsent } from "../parquet/columns.ts";
import { excludedPaths, isKeyCast, overridesOf } from "../schema/column-overrides.ts";
import { connectRules } from "../schema/mapping-rules.ts";
import {
  type MessagePath,
  type RecordPart,
  type SchemaId,
  type SchemaText,
  sourceKey,
  type TableMapping,
} from "../schema/schema-map.ts";
import { avroSourceType } from "../schema/schema-map-avro.ts";
import { jsonSchemaSourceType } from "../schema/schema-map-json-schema.ts";
import { protobufFile, protobufSourceType, protobufValueType } from "../schema/schema-map-protobuf.ts";
import { type Binding, nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { TableSettings } from "../settings.ts";
import type { Framing } from "./framing.ts";
import { compileJsonKey } from "./json-key.ts";
import type { BytesLeaf, Leaf } from "./leaf.ts";
import { compileMessageName, likelyMessage } from "./message-path.ts";
import { type KeyNodes, keyNodes, putAllAbsent, type ValueNodes, valueNodes } from "./part-nodes.ts";

export type PutOutcome =
  | { readonly kind: "ok" }
  /** The mapping has never seen this schema id. */
  | { readonly kind: "unknown-schema"; readonly schemaId: SchemaId; readonly message: MessagePath | undefined }
  /** The mapping knows the id; its text must be brought. */
  | { readonly kind: "no-text"; readonly schemaId: SchemaId }
  /** A schemaless record has fields that ask for columns. */
  | { readonly kind: "new-fields"; readonly type: SourceType };

/** What became of a whole record. */
export type RecordOutcome =
  | { readonly kind: "row" }
  /** It says nothing of any row. */
  | { readonly kind: "nothing" }
  /** Some part could not be put yet; what was written is to be undone. */
  | { readonly kind: "wants"; readonly key: PutOutcome; readonly value: PutOutcome };

const ok: PutOutcome = { kind: "ok" };

/** Puts one part (null when it is absent) into its columns. Throws BadRecord. */
export type PartPut = (bytes: Uint8Array | null) => PutOutcome;

export interface PartContext {
  readonly columns: Columns;
  readonly mapping: TableMapping;
  readonly settings: TableSettings;
  /** By sourceKey of the id. */
  readonly texts: ReadonlyMap<string, SchemaText>;
  readonly framings: Readonly<Record<RecordPart, Framing>>;
}

export function compileKey(context: PartContext): PartPut {
  const nodes = keyNodes(context);
  if (!context.settings.metadataColumns.includes("key")) {
    return () => {
      putAllAbsent(nodes.all); // Of a table that had keys before.
      return ok;
    };
  }
  switch (context.settings.key.decode) {
    case "raw":
    case "string":
      return compileWhole(nodes, context.settings.key.decode);
    case "json":
      return compileJsonKey(context.mapping, nodes, context.settings);
    case "schema-id":
      return compileById(context, "key", nodes);
  }
}

export function compileValue(context: PartContext): PartPut {
  const nodes = valueNodes(context);
  switch (context.settings.value.decode) {
    case "raw":
    case "string":
      return compileWhole(nodes, context.settings.value.decode);
    case "json":
      return compileInferred(nodes, context.mapping, context.settings);
    case "schema-id":
      return compileById(context, "value", nodes);
  }
}

/** The column is there from the start, unless somebody dropped it. Others are of what the part was decoded as before. */
function compileWhole({ whole, all }: KeyNodes | ValueNodes, decode: "raw" | "string"): PartPut {
  const others = all.filter((node) => node !== whole);
  const put = whole === undefined ? undefined : compileBytes(whole.leaves[0] as Leaf, decode);
  return (bytes) => {
    for (let at = 0; at < others.length; at += 1) putAbsent(others[at] as ColumnNode, 0);
    if (whole === undefined || put === undefined) return ok;
    if (bytes === null) putAbsent(whole, 0);
    else put(bytes);
    return ok;
  };
}

function compileBytes(leaf: Leaf, decode: "raw" | "string"): (bytes: Uint8Array) => void {
  if (decode === "string" && leaf.shape.type !== "string") return compileTextCast(leaf);
  const put = decode === "raw" ? putRaw : putText;
  return (bytes) => put(leaf as BytesLeaf, bytes);
}

function compileInferred(
  { record, extra, all, isDropped }: ValueNodes,
  mapping: TableMapping,
  settings: TableSettings,
): PartPut {
  const target: JsonTarget = { node: record, bound: makeBound(mapping.bindings), extra: extra?.leaves[0] as BytesLeaf };
  const excluded = excludedPaths(overridesOf("value", mapping.overrides, settings));
  const mayGrow = !mapping.isFull && !isDropped;
  const put = compileJsonRecord(target, {
    source: undefined,
    isStrict: false,
    mayGrow,
    excluded,
    connect: connectRules(mapping.rules),
  });
  const others = all.filter((node) => node !== record && node !== extra);
  return (bytes) => {
    if (bytes === null) {
      putAllAbsent(all);
      return ok;
    }
    const type = put(bytes, 0);
    putAllAbsent(others);
    return type === nothing ? ok : { kind: "new-fields", type };
  };
}

/** Puts the data behind the prefix; of a message that the mapping does not know yet, says which it is. */
type PayloadPut = (framing: Framing) => MessagePath | undefined;

/** Columns of the part that a schema does not fill are absent. */
function compileById(context: PartContext, part: RecordPart, nodes: KeyNodes | ValueNodes): PartPut {
  const { bindings, sources, rules = 1 } = context.mapping;
  const excluded = excludedPaths(overridesOf(part, context.mapping.overrides, context.settings));
  const compiled = compileOnce(context, part, (text, schemaId) =>
    compilePayload(text, {
      part,
      nodes,
      bindings,
      schemaId,
      sources,
      rules,
      latest: context.settings[part].latest,
      excluded,
      isOneValue: part === "key" && isKeyCast(context.mapping, context.settings),
    }),
  );
  return (bytes) => {
    if (bytes === null) {
      putAllAbsent(nodes.all);
      return ok;
    }
    const found = compiled(bytes);
    if (found.kind !== "compiled") return found;
    const message = found.it(context.framings[part]);
    return message === undefined ? ok : { kind: "unknown-schema", schemaId: found.schemaId, message };
  };
}

type Compiled<T> =
  | { readonly kind: "compiled"; readonly schemaId: SchemaId; readonly it: T }
  | Extract<PutOutcome, { readonly kind: "unknown-schema" | "no-text" }>;

/** Finds what reads the record's schema; compiles it when the id is first met. */
export function compileOnce<T>(
  context: PartContext,
  part: RecordPart,
  compile: (text: SchemaText, schemaId: SchemaId) => T,
): (bytes: Uint8Array) => Compiled<T> {
  const all = new Map<SchemaId, Extract<Compiled<T>, { readonly kind: "compiled" }>>();
  const framing = context.framings[part];
  return (bytes) => {
    const schemaId = framing.schemaId(bytes);
    if (schemaId === undefined) throw new BadRecord("no-schema-id", `the ${part} does not begin with a schema id`);
    const known = all.get(schemaId);
    if (known !== undefined) return known;
    const state = context.mapping.sources[sourceKey(part, schemaId)];
    if (state === undefined) return { kind: "unknown-schema", schemaId, message: likelyMessage(framing) };
    if (state.kind === "refused") throw new BadRecord("schema-refused", `schema ${schemaId}: ${state.reason}`);
    const text = context.texts.get(sourceKey(part, schemaId));
    if (text === undefined) return { kind: "no-text", schemaId };
    const compiled = { kind: "compiled", schemaId, it: compile(text, schemaId) } as const;
    all.set(schemaId, compiled);
    return compiled;
  };
}

interface PayloadTarget {
  readonly part: RecordPart;
  readonly nodes: KeyNodes | ValueNodes;
  readonly bindings: readonly Binding[];
  readonly schemaId: SchemaId;
  readonly sources: TableMapping["sources"];
  readonly rules: number;
  readonly latest: TableSettings["value"]["latest"];
  readonly excluded: ReadonlySet<string>;
  /** Records too go to the one column, whose type a person gave. */
  readonly isOneValue: boolean;
}

function compilePayload(schema: SchemaText, target: PayloadTarget): PayloadPut {
  switch (schema.type) {
    case "AVRO":
      return compileAvroPayload(schema, target);
    case "JSON":
      return compileJsonPayload(schema, target);
    case "PROTOBUF":
      return compileProtobufPayload(schema, target);
  }
}

/** Where this source's fields go. */
export function boundOf(
  { part, schemaId, sources, bindings }: Pick<PayloadTarget, "part" | "schemaId" | "sources" | "bindings">,
  message?: MessagePath,
): Bound {
  const state = sources[sourceKey(part, schemaId, message)];
  return makeBound(bindings, state === undefined || state.kind === "refused" ? [] : state.moved);
}

/** Where values of the source go; a schema of nothing but null, and one whose column somebody dropped, have nowhere. */
function nodeFor(source: SourceType, { nodes, isOneValue }: PayloadTarget): ColumnNode | undefined {
  return source.kind === "struct" && !isOneValue ? nodes.record : nodes.whole;
}

function compileAvroPayload({ text, references }: SchemaText, target: PayloadTarget): PayloadPut {
  const type = parseAvroSchema(text, references);
  const source = avroSourceType(type);
  const node = source.kind === "nothing" ? undefined : nodeFor(source, target);
  const absent = target.nodes.all.filter((other) => other !== node);
  const put: AvroPut =
    node === undefined ? (cursor) => skipAvro(type, cursor) : compileAvro(type, node, boundOf(target));
  const cursor = new Cursor();
  return ({ data, dataAt }) => {
    cursor.reset(data, dataAt);
    put(cursor, 0);
    if (cursor.at !== cursor.end) {
      throw new BadRecord("malformed", `${cursor.end - cursor.at} bytes are left behind the value`);
    }
    for (let at = 0; at < absent.length; at += 1) putAbsent(absent[at] as ColumnNode, 0);
    return undefined;
  };
}

/** Each message of the schema has a decoder of its own. */
function compileProtobufPayload(schema: SchemaText, target: PayloadTarget): PayloadPut {
  const file = protobufFile(schema);
  const { part, schemaId, sources } = target;
  const puts = new Map<string, ProtobufPut>();
  const nameMessage = compileMessageName(file, target.latest?.message);
  let last: { readonly path: MessagePath; readonly put: ProtobufPut } | undefined;
  return (framing) => {
    const { path, reader } = nameMessage(framing);
    if (last?.path === path) {
      last.put(reader);
      return undefined;
    }
    const key = path.join(".");
    let put = puts.get(key);
    if (put === undefined) {
      const message = protobufMessageAt(file, path);
      if (message === undefined) throw new BadRecord("malformed", `schema ${schemaId} has no message [${key}]`);
      const state = sources[sourceKey(part, schemaId, path)];
      if (state === undefined) return path;
      if (state.kind === "refused") throw new BadRecord("schema-refused", `schema ${schemaId}: ${state.reason}`);
      put = compileProtobufMessage(message, target, boundOf(target, path));
      puts.set(key, put);
    }
    last = { path, put };
    put(reader);
    return undefined;
  };
}

type ProtobufPut = (reader: ProtobufReader) => void;

function compileProtobufMessage(message: ProtobufMessage, target: PayloadTarget, bound: Bound): ProtobufPut {
  const source = (target.isOneValue ? protobufValueType : protobufSourceType)(message, target.rules);
  const node = source.kind === "nothing" ? undefined : nodeFor(source, target);
  const absent = target.nodes.all.filter((other) => other !== node);
  if (node === undefined) {
    return (reader) => {
      skipProtobuf(reader);
      putAllAbsent(absent);
    };
  }
  const put = compileProtobuf(message, node, bound, target.rules);
  return (reader) => {
    put(reader);
    putAllAbsent(absent);
  };
}

function compileJsonPayload(schema: SchemaText, target: PayloadTarget): PayloadPut {
  const source = jsonSchemaSourceType(schema, target.rules);
  const node = nodeFor(source, target);
  if (node === undefined) {
    return () => {
      putAllAbsent(target.nodes.all);
      return undefined;
    };
  }
  const extra = "extra" in target.nodes ? target.nodes.extra : undefined;
  const bound = boundOf(target);
  const put = compileJsonSchema(
    source,
    {
      node,
      bound,
      extra: extra?.leaves[0] as BytesLeaf | undefined,
      isKey: target.part === "key",
      isCast: target.isOneValue,
    },
    target.excluded,
  );
  const absent = target.nodes.all.filter((other) => other !== node && other !== extra);
  return ({ data, dataAt }) => {
    put(data, dataAt);
    putAllAbsent(absent);
    return undefined;
  };
}
