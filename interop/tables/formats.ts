/** How each source writes a change of an item into its topic, and what the columns of the row hold then. */
import avro from "avsc";
import protobuf from "protobufjs";
import type { Cell } from "../canonical.ts";

export const formatNames = ["Avro", "JSON Schema", "JSON inferred", "Protobuf", "Debezium", "raw"] as const;
export type FormatName = (typeof formatNames)[number];
export const writeModes = ["append", "upsert", "cdc"] as const;
export type WriteMode = (typeof writeModes)[number];

export interface Item {
  readonly id: number;
  readonly name: string;
  /** Null in some. */
  readonly price: number | null;
  readonly isSold: boolean;
  readonly tags: readonly string[];
  readonly sizes: Readonly<Record<string, number>>;
  readonly place: { readonly x: number; readonly label: string | null };
  readonly blob: Uint8Array;
  readonly atMs: number;
}

/** "d" has no item after it, "c" none before. */
export interface Change {
  readonly op: "c" | "u" | "d";
  readonly id: number;
  readonly before: Item | null;
  readonly after: Item | null;
}

type Cells = Readonly<Record<string, Cell>>;

export interface Format {
  /** Of the topic's settings. */
  readonly decode: "schema-id" | "json" | "raw";
  /** What is registered for the topic, if anything is. */
  readonly schema?: { readonly schemaType: "AVRO" | "JSON" | "PROTOBUF"; readonly schema: string };
  readonly isEnvelope: boolean;
  /** Without the frame of its schema id. */
  encode(change: Change): Uint8Array;
  /** Columns of the value. */
  cells(change: Change, write: WriteMode): Cells;
}

/** The item that a record of its change is about. */
function subject({ before, after }: Change): Item {
  const item = after ?? before;
  if (item === null) throw new Error("a change has an item before or after it");
  return item;
}

const micros = (ms: number): Cell => ({ micros: BigInt(ms) * 1000n });
const entries = (sizes: Readonly<Record<string, number>>): Cell =>
  Object.entries(sizes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ struct: [key, BigInt(value)] }));
const placeCell = (place: Item["place"]): Cell => ({ struct: [place.x, place.label] });

const avroItem = {
  type: "record",
  name: "Item",
  fields: [
    { name: "id", type: "int" },
    { name: "op", type: "string" },
    { name: "name", type: "string" },
    { name: "price", type: ["null", "double"], default: null },
    { name: "is_sold", type: "boolean" },
    { name: "tags", type: { type: "array", items: "string" } },
    { name: "sizes", type: { type: "map", values: "long" } },
    {
      name: "place",
      type: {
        type: "record",
        name: "Place",
        fields: [
          { name: "x", type: "double" },
          { name: "label", type: ["null", "string"], default: null },
        ],
      },
    },
    { name: "blob", type: "bytes" },
    { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
  ],
};

function avroValue(item: Item, op: string): Readonly<Record<string, unknown>> {
  const { id, name, price, isSold, tags, sizes, place, blob, atMs } = item;
  return { id, op, name, price, is_sold: isSold, tags, sizes, place, blob: Buffer.from(blob), at: atMs };
}

function avroCells(item: Item, op: string): Cells {
  const { id, name, price, isSold, tags, sizes, place, blob, atMs } = item;
  const simple = { id: BigInt(id), op, name, price, is_sold: isSold, tags, blob };
  return { ...simple, sizes: entries(sizes), place: placeCell(place), at: micros(atMs) };
}

/** As Debezium's connectors register their envelopes with Confluent's converter; what is in it names the item's type once. */
const avroEnvelope = {
  type: "record",
  name: "Envelope",
  namespace: "shop.items",
  fields: [
    { name: "before", type: ["null", { ...avroItem, name: "Value" }], default: null },
    { name: "after", type: ["null", "Value"], default: null },
    {
      name: "source",
      type: {
        type: "record",
        name: "Source",
        fields: [
          { name: "connector", type: "string" },
          { name: "lsn", type: ["null", "long"], default: null },
        ],
      },
    },
    { name: "op", type: "string" },
    { name: "ts_ms", type: ["null", "long"], default: null },
  ],
};

const itemType = avro.Type.forSchema(avroItem as avro.Schema);
const envelopeType = avro.Type.forSchema(avroEnvelope as avro.Schema);

const jsonItem = {
  type: "object",
  properties: {
    id: { type: "integer" },
    op: { type: "string" },
    name: { type: "string" },
    price: { type: "number" },
    is_sold: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    sizes: { type: "object", additionalProperties: { type: "integer" } },
    place: { type: "object", properties: { x: { type: "number" }, label: { type: "string" } } },
    at: { type: "string", format: "date-time" },
  },
};

/** A field that is null is left out, as most writers of JSON do. */
function jsonText(item: Item, op: string): Uint8Array {
  const { id, name, price, isSold, tags, sizes, place, atMs } = item;
  const at = new Date(atMs).toISOString();
  const value = { id, op, name, price, is_sold: isSold, tags, sizes, place, at };
  return Buffer.from(JSON.stringify(value, (_, each: unknown) => each ?? undefined));
}

/** Inference takes an object's keys for fields: these items have one size, of the same name. */
const jsonCells = (item: Item, op: string): Cells => {
  const { id, name, price, isSold, tags, sizes, place, atMs } = item;
  const simple = { id: BigInt(id), op, name, price, is_sold: isSold, tags, place: placeCell(place), _extra: null };
  return { ...simple, sizes: entries(sizes), at: micros(atMs) };
};

const protoText = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Place { double x = 1; optional string label = 2; }
message Item {
  int32 id = 1; string op = 2; string name = 3; optional double price = 4; bool is_sold = 5; repeated string tags = 6;
  map<string, int64> sizes = 7; Place place = 8; bytes blob = 9; google.protobuf.Timestamp at = 10;
}
`;

function protoType(): protobuf.Type {
  const root = new protobuf.Root();
  root.addJSON(protobuf.common.get("google/protobuf/timestamp.proto")?.nested ?? {});
  protobuf.parse(protoText, root, { keepCase: true });
  return root.lookupType("Item");
}
const protoItem = protoType();
/** `Item` is the second message of the file: one index, a zigzag varint. */
const protoIndex = Buffer.from([2, 2]);

function protoValue({ id, name, price, isSold, tags, sizes, place, blob, atMs }: Item, op: string): Uint8Array {
  const at = { seconds: Math.floor(atMs / 1000), nanos: (((atMs % 1000) + 1000) % 1000) * 1_000_000 };
  const present = price === null ? {} : { price };
  const where = place.label === null ? { x: place.x } : place;
  const value = { id, op, name, is_sold: isSold, tags, sizes, place: where, blob, at, ...present };
  return Buffer.concat([protoIndex, protoItem.encode(protoItem.fromObject(value)).finish()]);
}

export const formats: Readonly<Record<FormatName, Format>> = {
  Avro: {
    decode: "schema-id",
    schema: { schemaType: "AVRO", schema: JSON.stringify(avroItem) },
    isEnvelope: false,
    encode: (change) => itemType.toBuffer(avroValue(subject(change), change.op)),
    cells: (change) => avroCells(subject(change), change.op),
  },
  "JSON Schema": {
    decode: "schema-id",
    schema: { schemaType: "JSON", schema: JSON.stringify(jsonItem) },
    isEnvelope: false,
    encode: (change) => jsonText(subject(change), change.op),
    cells: (change) => jsonCells(subject(change), change.op),
  },
  "JSON inferred": {
    decode: "json",
    isEnvelope: false,
    encode: (change) => jsonText(subject(change), change.op),
    cells(change, write) {
      const item = subject(change);
      const { id, sizes, atMs } = item;
      return {
        ...jsonCells(item, change.op),
        id: write === "cdc" ? BigInt(id) : id, // A key is whole.
        sizes: { struct: Object.values(sizes) },
        at: new Date(atMs).toISOString(),
      };
    },
  },
  Protobuf: {
    decode: "schema-id",
    schema: { schemaType: "PROTOBUF", schema: protoText },
    isEnvelope: false,
    encode: (change) => protoValue(subject(change), change.op),
    cells: (change) => avroCells(subject(change), change.op),
  },
  Debezium: {
    decode: "schema-id",
    schema: { schemaType: "AVRO", schema: JSON.stringify(avroEnvelope) },
    isEnvelope: true,
    encode({ op, id, before, after }) {
      const side = (item: Item | null) => (item === null ? null : avroValue(item, op));
      const source = { connector: "postgresql", lsn: id };
      return envelopeType.toBuffer({ before: side(before), after: side(after), source, op, ts_ms: 1 });
    },
    cells(change, write) {
      if (write === "cdc") return avroCells(subject(change), change.op);
      const side = (item: Item | null): Cell => {
        if (item === null) return null;
        const cells = avroCells(item, change.op);
        return { struct: avroItem.fields.map(({ name }) => cells[name] ?? null) };
      };
      const source = { struct: ["postgresql", BigInt(change.id)] };
      return { before: side(change.before), after: side(change.after), source, op: change.op, ts_ms: 1n };
    },
  },
  raw: {
    decode: "raw",
    isEnvelope: false,
    encode: (change) => subject(change).blob,
    cells: (change) => ({ value: subject(change).blob }),
  },
};
