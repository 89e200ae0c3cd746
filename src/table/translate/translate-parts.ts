/** Keys and values into columns: which decoder a record's part needs, compiled once for each schema id. */
import { assert } from "../../base/errors.ts";
import { type ProtobufFile, type ProtobufMessage, protobufMessageAt } from "../../registry/protobuf-schema.ts";
import { compileAvro } from "../decode/avro.ts";
import { skipAvro } from "../decode/avro-json.ts";
import { parseAvroSchema } from "../decode/avro-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import { type Bound, makeBound } from "../decode/bound.ts";
import { type AvroPut, Cursor } from "../decode/cursor.ts";
import { compileJsonRecord, type JsonTarget } from "../decode/json-record.ts";
import { compileJsonSchema } from "../decode/json-schema.ts";
import { compileProtobuf, readMessagePath, skipProtobuf } from "../decode/protobuf.ts";
import { ProtobufReader } from "../decode/protobuf-reader.ts";
import { putRaw } from "../decode/raw.ts";
import { putText } from "../decode/string.ts";
import { type ColumnNode, type Columns, putAbsent, type StructNode } from "../parquet/columns.ts";
import {
  type MessagePath,
  type RecordPart,
  type SchemaText,
  sourceKey,
  type TableMapping,
} from "../schema/schema-map.ts";
import { avroSourceType } from "../schema/schema-map-avro.ts";
import { jsonSchemaSourceType } from "../schema/schema-map-json-schema.ts";
import { keyParent } from "../schema/schema-map-keys.ts";
import { protobufFile, protobufSourceType } from "../schema/schema-map-protobuf.ts";
import { type Binding, nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { TableSettings } from "../settings.ts";
import type { Framing } from "./framing.ts";
import type { BytesLeaf } from "./leaf.ts";

export type PutOutcome =
  | { readonly kind: "ok" }
  /** The mapping has never seen this schema id. */
  | { readonly kind: "unknown-schema"; readonly schemaId: number; readonly message: MessagePath | undefined }
  /** The mapping knows the id; its text must be brought. */
  | { readonly kind: "no-text"; readonly schemaId: number }
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
  /** By schema id. */
  readonly texts: ReadonlyMap<number, SchemaText>;
  readonly framings: Readonly<Record<RecordPart, Framing>>;
}

export function compileKey(context: PartContext): PartPut {
  const node = nodeById(context.columns, context.mapping.own.key);
  const { decode } = context.settings.key;
  if (!context.settings.metadataColumns.includes("key")) return () => ok;
  if (decode === "schema-id") return compileById(context, "key", node, keyNodes(context));
  return compileWhole(node, decode);
}

/** All columns of the key: one, or those of its fields where they lie flat in the row. */
export function keyNodes({ columns, mapping }: PartContext): readonly ColumnNode[] {
  const whole = nodeById(columns, mapping.own.key);
  const flat = structOf(columns.root, flatKeyIds(mapping), keyParent);
  return [...(whole === undefined ? [] : [whole]), ...(flat.fields.length === 0 ? [] : [flat])];
}

function flatKeyIds({ bindings }: TableMapping): ReadonlySet<number> {
  return new Set(bindings.filter((binding) => binding.parent === keyParent).map((binding) => binding.id));
}

/** Some fields of the struct, as a struct that sources find under `id`. */
export function structOf(struct: StructNode, ids: ReadonlySet<number>, id = struct.id): StructNode {
  const fields = struct.fields.filter((field) => ids.has(field.node.id));
  return { ...struct, id, fields, leaves: fields.flatMap((field) => field.node.leaves) };
}

/** All columns of the value. */
export interface ValueNodes {
  /** Where records lie flat. */
  readonly record: StructNode;
  /** Of a value that is no record. */
  readonly whole: ColumnNode | undefined;
  readonly extra: ColumnNode | undefined;
}

export function valueNodes({ columns, mapping }: PartContext): ValueNodes {
  const ours = new Set([...Object.values(mapping.own), ...flatKeyIds(mapping)]);
  const ids = columns.root.fields.map((field) => field.node.id).filter((id) => !ours.has(id));
  return {
    record: structOf(columns.root, new Set(ids)),
    whole: nodeById(columns, mapping.own.value),
    extra: nodeById(columns, mapping.own.extra),
  };
}

export function compileValue(context: PartContext): PartPut {
  const { mapping } = context;
  const { record, whole, extra } = valueNodes(context);
  switch (context.settings.value.decode) {
    case "raw":
    case "string":
      return compileWhole(whole, context.settings.value.decode);
    case "json":
      return compileInferred(record, extra, mapping);
    case "schema-id":
      return compileById(
        context,
        "value",
        whole,
        [record, whole, extra].filter((node) => node !== undefined),
      );
  }
}

function nodeById(columns: Columns, id: number | undefined): ColumnNode | undefined {
  return columns.root.fields.find((field) => field.node.id === id)?.node;
}

/** The column is there from the start, unless somebody dropped it. */
function compileWhole(node: ColumnNode | undefined, decode: "raw" | "string"): PartPut {
  if (node === undefined) return () => ok;
  const leaf = node.leaves[0] as BytesLeaf;
  const put = decode === "raw" ? putRaw : putText;
  return (bytes) => {
    if (bytes === null) putAbsent(node, 0);
    else put(leaf, bytes);
    return ok;
  };
}

function compileInferred(record: StructNode, extra: ColumnNode | undefined, mapping: TableMapping): PartPut {
  const target: JsonTarget = { node: record, bound: makeBound(mapping.bindings), extra: extra?.leaves[0] as BytesLeaf };
  const put = compileJsonRecord(target, { source: undefined, isStrict: false, mayGrow: !mapping.isFull });
  return (bytes) => {
    if (bytes === null) {
      putAbsent(record, 0);
      if (extra !== undefined) putAbsent(extra, 0);
      return ok;
    }
    const type = put(bytes, 0);
    return type === nothing ? ok : { kind: "new-fields", type };
  };
}

/** Puts the data behind the prefix; of a message that the mapping does not know yet, says which it is. */
type PayloadPut = (bytes: Uint8Array) => MessagePath | undefined;

/** `nodes` are all columns of the part; those that a schema does not fill are absent. */
function compileById(
  context: PartContext,
  part: RecordPart,
  whole: ColumnNode | undefined,
  nodes: readonly ColumnNode[],
): PartPut {
  const { bindings, sources } = context.mapping;
  const compiled = compileOnce(context, part, (text, schemaId) =>
    compilePayload(text, {
      part,
      whole,
      nodes,
      bindings,
      schemaId,
      sources,
      dataAt: context.framings[part].dataAt,
      latest: part === "value" ? context.settings.value.latest : undefined,
    }),
  );
  return (bytes) => {
    if (bytes === null) {
      putAllAbsent(nodes);
      return ok;
    }
    const found = compiled(bytes);
    if (found.kind !== "compiled") return found;
    const message = found.it(bytes);
    return message === undefined ? ok : { kind: "unknown-schema", schemaId: found.schemaId, message };
  };
}

type Compiled<T> =
  | { readonly kind: "compiled"; readonly schemaId: number; readonly it: T }
  | Extract<PutOutcome, { readonly kind: "unknown-schema" | "no-text" }>;

/** Finds what reads the record's schema; compiles it when the id is first met. */
export function compileOnce<T>(
  context: PartContext,
  part: RecordPart,
  compile: (text: SchemaText, schemaId: number) => T,
): (bytes: Uint8Array) => Compiled<T> {
  const all = new Map<number, Extract<Compiled<T>, { readonly kind: "compiled" }>>();
  const framing = context.framings[part];
  return (bytes) => {
    const schemaId = framing.schemaId(bytes);
    if (schemaId === undefined) throw new BadRecord("no-schema-id", `the ${part} does not begin with a schema id`);
    const known = all.get(schemaId);
    if (known !== undefined) return known;
    const state = context.mapping.sources[sourceKey(part, schemaId)];
    if (state === undefined) return { kind: "unknown-schema", schemaId, message: messagePathOf(bytes, framing) };
    if (state.kind === "refused") throw new BadRecord("schema-refused", `schema ${schemaId}: ${state.reason}`);
    const text = context.texts.get(schemaId);
    if (text === undefined) return { kind: "no-text", schemaId };
    const compiled = { kind: "compiled", schemaId, it: compile(text, schemaId) } as const;
    all.set(schemaId, compiled);
    return compiled;
  };
}

interface PayloadTarget {
  readonly part: RecordPart;
  readonly whole: ColumnNode | undefined;
  readonly nodes: readonly ColumnNode[];
  readonly bindings: readonly Binding[];
  readonly schemaId: number;
  readonly sources: TableMapping["sources"];
  readonly dataAt: number;
  readonly latest: TableSettings["value"]["latest"];
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

/** Records lie flat in the row, any other value in one column; a schema of nothing but null has neither. */
function nodeFor(source: SourceType, target: PayloadTarget): ColumnNode | undefined {
  const record = target.nodes.find((node) => node.id === 0 || node.id === keyParent);
  return source.kind === "struct" && record !== undefined ? record : target.whole;
}

function compileAvroPayload({ text, references }: SchemaText, target: PayloadTarget): PayloadPut {
  const type = parseAvroSchema(text, references);
  const source = avroSourceType(type);
  const node = source.kind === "nothing" ? undefined : nodeFor(source, target);
  const absent = target.nodes.filter((other) => other !== node);
  const put: AvroPut =
    node === undefined ? (cursor) => skipAvro(type, cursor) : compileAvro(type, node, boundOf(target));
  const cursor = new Cursor();
  return (bytes) => {
    cursor.reset(bytes, target.dataAt);
    put(cursor, 0);
    if (cursor.at !== cursor.end) {
      throw new BadRecord("malformed", `${cursor.end - cursor.at} bytes are left behind the value`);
    }
    for (let at = 0; at < absent.length; at += 1) putAbsent(absent[at] as ColumnNode, 0);
    return undefined;
  };
}

/** The message's indexes stand between the id and the data, where there is an id; each message of the schema has a decoder of its own. */
function compileProtobufPayload(schema: SchemaText, target: PayloadTarget): PayloadPut {
  const file = protobufFile(schema);
  const { part, schemaId, sources } = target;
  const puts = new Map<string, ProtobufPut>();
  const { dataAt, latest } = target;
  const named = latest === undefined ? undefined : latestMessage(file, latest.message);
  return (bytes) => {
    const reader = new ProtobufReader(bytes, dataAt);
    const path = named ?? readMessagePath(reader);
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
    put(reader);
    return undefined;
  };
}

/** Where nothing in the record says which message it is. */
function latestMessage(file: ProtobufFile, name: string | null): MessagePath {
  if (name === null) return [0];
  const find = (messages: readonly ProtobufMessage[], above: MessagePath): MessagePath | undefined => {
    for (const [index, message] of messages.entries()) {
      const path = [...above, index];
      const found = message.name === name ? path : find(message.messages, path);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = find(file.messages, []);
  if (found === undefined) throw new BadRecord("schema-refused", `the latest schema has no message ${name}`);
  return found;
}

type ProtobufPut = (reader: ProtobufReader) => void;

function compileProtobufMessage(message: ProtobufMessage, target: PayloadTarget, bound: Bound): ProtobufPut {
  const source = protobufSourceType(message);
  const node = source.kind === "nothing" ? undefined : nodeFor(source, target);
  const absent = target.nodes.filter((other) => other !== node);
  if (node === undefined) {
    return (reader) => {
      skipProtobuf(reader);
      putAllAbsent(absent);
    };
  }
  assert(node.kind === "struct", "a message is a struct");
  const put = compileProtobuf(message, node, bound);
  return (reader) => {
    put(reader);
    putAllAbsent(absent);
  };
}

/** What a record of a Protobuf schema would name; undefined where that cannot be read, or the schema is of another kind. */
function messagePathOf(bytes: Uint8Array, { dataAt }: Framing): MessagePath | undefined {
  if (dataAt === 0) return undefined;
  try {
    return readMessagePath(new ProtobufReader(bytes, dataAt));
  } catch (cause) {
    if (cause instanceof BadRecord) return undefined;
    throw cause;
  }
}

function compileJsonPayload(schema: SchemaText, target: PayloadTarget): PayloadPut {
  const source = jsonSchemaSourceType(schema);
  const node = nodeFor(source, target);
  if (node === undefined) {
    return () => {
      putAllAbsent(target.nodes);
      return undefined;
    };
  }
  const extra =
    target.part === "value" ? target.nodes.find((other) => other.id !== 0 && other !== target.whole) : undefined;
  const put = compileJsonSchema(source, {
    node,
    bound: boundOf(target),
    extra: extra?.leaves[0] as BytesLeaf | undefined,
  });
  const absent = target.nodes.filter((other) => other !== node && other !== extra);
  return (bytes) => {
    put(bytes, target.dataAt);
    putAllAbsent(absent);
    return undefined;
  };
}

export function putAllAbsent(nodes: readonly ColumnNode[]): void {
  for (const node of nodes) putAbsent(node, 0);
}
