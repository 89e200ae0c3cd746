/** What a value says of its row: by a Debezium envelope, by a field of its own, or simply by being there. */

import { parseAvroSchema } from "../decode/avro-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import { makeBound } from "../decode/bound.ts";
import { type Change, opFieldChange, type SchemaEnvelope } from "../decode/debezium.ts";
import { compileAvroEnvelope } from "../decode/debezium-avro.ts";
import { type JsonEnvelope, readJsonEnvelope } from "../decode/debezium-json.ts";
import { compileJsonSchemaEnvelope } from "../decode/debezium-json-schema.ts";
import { compileJson } from "../decode/json.ts";
import { mergeInferred } from "../decode/json-infer.ts";
import { careOf, compileJsonValue, readJson, readJsonRow } from "../decode/json-record.ts";
import { isRawNumber } from "../decode/json-text.ts";
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import { excludedPaths, overridesOf } from "../schema/column-overrides.ts";
import { connectRules } from "../schema/mapping-rules.ts";
import type { SchemaId, SchemaText } from "../schema/schema-map.ts";
import { jsonSchemaSourceType } from "../schema/schema-map-json-schema.ts";
import { nothing } from "../schema/schema-map-types.ts";
import type { BooleanLeaf, BytesLeaf } from "./leaf.ts";
import { putAllAbsent, valueNodes } from "./part-nodes.ts";
import { compileTombstoneKey, type TombstonePut } from "./tombstone-key.ts";
import { boundOf, compileOnce, compileValue, type PartContext, type PutOutcome } from "./translate-parts.ts";

/** One value at a time: open says what it does, the puts write what it holds. All throw BadRecord. */
export interface ChangeReader {
  /** What must come first, or what the value does; of an op field it is known once its row is put. */
  open(value: Uint8Array): Change | PutOutcome;
  /** The value says what its row was before. */
  readonly hasBefore: boolean;
  /** The key columns of that row. */
  putBeforeKey(): void;
  /** All of the value's columns. */
  putRow(): PutOutcome;
  /** Whether the row that was put says that it is deleted. */
  isDelete(): boolean;
  /** The value's key columns, from the Kafka key of a record without a value. */
  putTombstoneKey(key: Uint8Array): PutOutcome;
}

const ok: PutOutcome = { kind: "ok" };

/** `key`: the value's key columns, none when the Kafka key identifies rows. */
export function compileChanges(context: PartContext, key: StructNode): ChangeReader {
  const putTombstoneKey = compileTombstoneKey(context, key);
  const { mode, value } = context.settings;
  if (mode.envelope !== "debezium") return plainReader(context, putTombstoneKey);
  return value.decode === "json"
    ? jsonReader(context, key, putTombstoneKey)
    : schemaReader(context, key, putTombstoneKey);
}

function plainReader(context: PartContext, putTombstoneKey: TombstonePut): ChangeReader {
  const { mode } = context.settings;
  const put = compileValue(context);
  const opLeaves = mode.envelope === "op-field" ? opLeavesOf(context) : [];
  let value: Uint8Array = new Uint8Array(0);
  return {
    open(bytes) {
      if (context.settings.value.decode === "json" && mode.key.length > 0)
        requireSingleKeys(readJsonRow(bytes, 0, { connect: connectRules(context.mapping.rules) }).row, mode.key);
      value = bytes;
      return "upsert";
    },
    hasBefore: false,
    putBeforeKey() {},
    putRow: () => put(value),
    isDelete() {
      if (mode.envelope !== "op-field") return false;
      const opLeaf = opLeaves.find((leaf) => leaf.defs[leaf.slots - 1] === leaf.maxDef);
      if (opLeaf === undefined) {
        throw new BadRecord("bad-envelope", `the value has no text in its field ${mode.opField}`);
      }
      return opFieldChange(lastText(opLeaf), mode.opField) === "delete";
    },
    putTombstoneKey,
  };
}

function lastText(leaf: BooleanLeaf | BytesLeaf): string {
  if (leaf.kind === "boolean") return String(leaf.values[leaf.count - 1] === 1);
  return Buffer.from(leaf.at(leaf.count - 1)).toString("utf8");
}

/** Of one row at most one has a value: a record has one type. */
function opLeavesOf(context: PartContext): readonly (BooleanLeaf | BytesLeaf)[] {
  const { record } = valueNodes(context);
  const byName = makeBound(context.mapping.bindings)(record, context.settings.mode.opField);
  const ids = context.mapping.rowKey?.opIds ?? (byName === undefined ? [] : [byName.id]);
  const nodes = record.fields.map(({ node }) => node).filter(({ id }) => ids.includes(id));
  return nodes.flatMap((node) => {
    const leaf = node.kind === "leaf" ? node.leaf : undefined;
    return leaf?.kind === "boolean" || (leaf?.kind === "bytes" && leaf.shape.type === "string") ? [leaf] : [];
  });
}

interface CompiledEnvelope {
  readonly envelope: SchemaEnvelope;
  /** Columns of the value that it does not put. */
  readonly others: readonly ColumnNode[];
}

function compileEnvelope(context: PartContext, key: StructNode | undefined) {
  const { record, extra, all } = valueNodes(context);
  const { settings, mapping } = context;
  const { bindings, sources, overrides, rules } = mapping;
  const excluded = excludedPaths(overridesOf("value", overrides, settings));
  return (schema: SchemaText, schemaId: SchemaId): CompiledEnvelope => {
    const bound = boundOf({ part: "value", schemaId, sources, bindings });
    if (schema.type === "AVRO") {
      const type = parseAvroSchema(schema.text, schema.references);
      const others = all.filter((node) => node !== record);
      return { envelope: compileAvroEnvelope(type, { row: record, key, bound }), others };
    }
    const target = { node: record, key, bound, extra: extra?.leaves[0] as BytesLeaf | undefined, excluded };
    const envelope = compileJsonSchemaEnvelope(jsonSchemaSourceType(schema, rules), target);
    return { envelope, others: all.filter((node) => node !== record && node !== extra) };
  };
}

function schemaReader(context: PartContext, key: StructNode, putTombstoneKey: TombstonePut): ChangeReader {
  const keyOfRow = context.settings.mode.key.length > 0 ? key : undefined;
  const compiled = compileOnce(context, "value", compileEnvelope(context, keyOfRow));
  let envelope: SchemaEnvelope | undefined;
  let others: readonly ColumnNode[] = [];
  return {
    open(value) {
      const found = compiled(value);
      if (found.kind !== "compiled") return found;
      ({ envelope, others } = found.it);
      const change = envelope.open(context.framings.value.data, context.framings.value.dataAt);
      if (change === "upsert" && !envelope.hasAfter)
        throw new BadRecord("bad-envelope", "an upsert has no row after it");
      return change;
    },
    get hasBefore() {
      return envelope?.hasBefore ?? false;
    },
    putBeforeKey: () => envelope?.putBeforeKey(),
    putRow() {
      envelope?.putAfter();
      putAllAbsent(others);
      return ok;
    },
    isDelete: () => false,
    putTombstoneKey,
  };
}

function jsonReader(context: PartContext, key: StructNode, putTombstoneKey: TombstonePut): ChangeReader {
  const { mapping, settings } = context;
  const { record, extra, all, isDropped } = valueNodes(context);
  const others = all.filter((node) => node !== record && node !== extra);
  const bound = makeBound(mapping.bindings);
  const target = { node: record, bound, extra: extra?.leaves[0] as BytesLeaf };
  const excluded = excludedPaths(overridesOf("value", mapping.overrides, settings));
  const mayGrow = !mapping.isFull && !isDropped;
  const { rules } = mapping;
  const put = compileJsonValue(target, { source: undefined, isStrict: false, mayGrow, excluded });
  const care = careOf(target);
  // The other fields of a row that goes are misfits to nobody.
  const putKey = compileJson(key, undefined, { bound, misfits: { count: 0 }, isStrict: false });
  let bytes: Uint8Array = new Uint8Array(0);
  let envelope: JsonEnvelope | undefined;
  return {
    open(value) {
      bytes = value;
      envelope = readJsonEnvelope(readJson(value, 0, care), rules);
      if (envelope.change === "upsert" && envelope.after === undefined) {
        throw new BadRecord("bad-envelope", "an upsert has no row after it");
      }
      for (const row of [envelope.before, envelope.after]) requireSingleKeys(row, settings.mode.key);
      return envelope.change;
    },
    get hasBefore() {
      return envelope?.before !== undefined;
    },
    putBeforeKey: () => putKey(envelope?.before, 0),
    putRow() {
      const wanted = put(envelope?.after, () => readJsonEnvelope(readJson(bytes, 0, "all"), rules).after);
      putAllAbsent(others);
      if (wanted === nothing) return ok;
      return { kind: "new-fields", type: mergeInferred([envelope?.rowType() ?? nothing, wanted]) };
    },
    isDelete: () => false,
    putTombstoneKey,
  };
}

/** Objects and lists would become columns that can identify nothing. */
function requireSingleKeys(row: unknown, names: readonly string[]): void {
  if (typeof row !== "object" || row === null) return;
  for (const name of names) {
    const value = (row as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "object" && value !== null && !isRawNumber(value)) {
      throw new BadRecord("no-key", `${name} is no single value`);
    }
  }
}
