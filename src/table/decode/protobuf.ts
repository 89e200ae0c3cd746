/**
 * Protobuf's wire format straight into columns. Fields come in any order and any number of times, columns are written once
 * and in theirs, so a message is read twice: where its fields stand, then field by field.
 *
 *   id  indexes    the record behind the schema id: a count and that many zigzag varints, or one zero byte for [0]
 *
 * As the specification says: of a singular field the last one counts, pieces of a message are one message, of a oneof the
 * last member counts, numbers may be packed or not whatever the schema says, fields of a strange number or wire type are
 * passed over. What is not on the wire is null where the field knows presence, else its default, an empty list or map.
 */
import { assert } from "../../base/errors.ts";
import type { ProtobufField, ProtobufMessage, ProtobufScalar, ProtobufType } from "../../registry/protobuf-schema.ts";
import {
  type ColumnNode,
  type ListNode,
  type MapNode,
  putAbsent,
  putEmpty,
  type StructNode,
} from "../parquet/columns.ts";
import { widenedType } from "../schema/schema-map-merge.ts";
import { protobufDecimal, protobufKey, protobufPrimitive, protobufSpecial } from "../schema/schema-map-protobuf.ts";
import type { Leaf } from "../translate/leaf.ts";
import { BadRecord } from "./bad-record.ts";
import type { Bound } from "./bound.ts";
import { compileProtobufCast } from "./protobuf-cast.ts";
import { protobufFieldJson, protobufJson, protobufKeyText } from "./protobuf-json.ts";
import { ProtobufReader } from "./protobuf-reader.ts";
import { compileProtobufEnum, compileProtobufScalar, type ScalarPut } from "./protobuf-scalar.ts";
import { CellBudget, entryFields, type FieldPlaces, joinedContent, Scan } from "./protobuf-scan.ts";
import { type ContentPut, compileDecimal, compileSpecial, compileWrapper } from "./protobuf-special.ts";

/** Indexes of a record: more than messages can nest is no path. */
const pathLengthMax = 32;

/** Throws BadRecord. */
export function readMessagePath(reader: ProtobufReader): readonly number[] {
  const readIndex = (): number => {
    reader.readVarint();
    reader.unzigzag();
    if (reader.high !== 0 || reader.low < 0) throw new BadRecord("malformed", "a message index is no index");
    return reader.low;
  };
  const count = readIndex();
  if (count > pathLengthMax) throw new BadRecord("malformed", `${count} message indexes`);
  return count === 0 ? firstMessage : Array.from({ length: count }, readIndex);
}

/** One and the same, so that who knows it needs not look at it. */
const firstMessage: readonly number[] = [0];

/** Reads the message from the reader to its end and writes one row of the struct, or the one value of any other column. */
export function compileProtobuf(
  message: ProtobufMessage,
  node: ColumnNode,
  bound: Bound,
  rules = 1,
): (reader: ProtobufReader) => void {
  const budget = new CellBudget();
  const site: Site = { bound, budget, rules };
  const put =
    node.kind === "struct"
      ? new MessagePut({ message, node, site, prefix: message.name })
      : compileContent(message, node, site);
  return (reader) => {
    budget.refill();
    put.put(reader, reader.at, reader.end, 0);
  };
}

export function skipProtobuf(reader: ProtobufReader): void {
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    reader.skip(tag & 7, tag >>> 3);
  }
}

interface Site {
  readonly bound: Bound;
  readonly budget: CellBudget;
  /** Of the table's mapping. */
  readonly rules: number;
}

interface MessageTarget {
  readonly message: ProtobufMessage;
  readonly node: StructNode;
  readonly site: Site;
  /** Before the keys that the fields are bound by. */
  readonly prefix: string;
}

type Step = (reader: ProtobufReader, rep: number) => void;

class MessagePut implements ContentPut {
  readonly #scan: Scan;
  readonly #steps: readonly Step[];
  readonly #budget: CellBudget;
  readonly #cost: number;

  constructor({ message, node, site, prefix }: MessageTarget) {
    this.#scan = new Scan(message.fields);
    this.#budget = site.budget;
    this.#cost = node.leaves.length + message.fields.length;
    const missing = new Set(node.fields.map((field) => field.node));
    const steps = this.#scan.places.flatMap((places): Step[] => {
      const column = site.bound(node, `${prefix}${protobufKey(places.field.number)}`);
      if (column === undefined || (isOfAnotherKind(places.field, column) && saysNothing(places.field.type))) return [];
      missing.delete(column);
      return [compileField(places, column, site)];
    });
    const absent = [...missing].filter((column) => !column.required);
    this.#steps = [
      ...steps,
      ...absent.map(
        (column): Step =>
          (_, rep) =>
            putAbsent(column, rep),
      ),
    ];
  }

  put(reader: ProtobufReader, start: number, end: number, rep: number): void {
    this.#budget.take(this.#cost);
    this.#scan.read(reader, start, end);
    for (let at = 0; at < this.#steps.length; at += 1) (this.#steps[at] as Step)(reader, rep);
  }
}

/** A column of the field that another schema has made; the mapping has looked at types that say something alone. */
function isOfAnotherKind({ label, type }: ProtobufField, column: ColumnNode): boolean {
  if (label === "map") return column.kind !== "map" || isOfAnotherItem(type, column.value);
  if (label === "repeated") return column.kind !== "list" || isOfAnotherItem(type, column.element);
  return isOfAnotherItem(type, column);
}

function isOfAnotherItem(type: ProtobufType, column: ColumnNode): boolean {
  return type.kind === "message" && column.kind !== "struct";
}

/** A message without fields, or of such messages alone: what gets no column. */
function saysNothing(type: ProtobufType, above: readonly ProtobufType[] = []): boolean {
  if (type.kind !== "message" || protobufSpecial(type) !== undefined || above.includes(type)) return false;
  return type.fields.every((field) => saysNothing(field.type, [...above, type]));
}

function compileField(places: FieldPlaces, column: ColumnNode, site: Site): Step {
  const { field } = places;
  if (column.kind === "leaf" && (field.label === "map" || field.label === "repeated")) {
    const { leaf } = column;
    assert(leaf.kind === "bytes", "JSON text goes to a string column");
    return (reader, rep) => leaf.putString(rep, protobufFieldJson(places, reader, site.budget));
  }
  if (field.label === "map") {
    assert(column.kind === "map" && field.key !== undefined, "a map column takes a map");
    return compileMap(places, field.key, column, site);
  }
  if (field.label === "repeated") {
    assert(column.kind === "list", "a list column takes a repeated field");
    return compileList(places, column, site);
  }
  if (field.type.kind === "message") {
    const put = compileMessage(field, field.type, column, site);
    return (reader, rep) => {
      if (places.count === 0) putAbsent(column, rep);
      else putMerged(places, put, reader, rep);
    };
  }
  const put = compileSingle(field.type, column);
  const { hasPresence } = field;
  return (reader, rep) => {
    if (places.count > 0) {
      reader.at = places.starts[0] as number;
      put.put(reader, rep);
    } else if (hasPresence) putAbsent(column, rep);
    else put.zero(rep);
  };
}

function compileSingle(type: Exclude<ProtobufType, ProtobufMessage>, column: ColumnNode): ScalarPut {
  assert(column.kind === "leaf", "a scalar goes to a primitive column");
  const { leaf } = column;
  if (!isNatural(type, leaf)) return compileProtobufCast(type, leaf);
  return type.kind === "enum" ? compileProtobufEnum(type, leaf) : compileProtobufScalar(type.scalar, leaf);
}

/** Whether the column is what the type becomes when nobody says otherwise. */
function isNatural(type: Exclude<ProtobufType, ProtobufMessage>, leaf: Leaf): boolean {
  const source = type.kind === "enum" ? "string" : protobufPrimitive(type.scalar);
  return widenedType(leaf.shape.type, source) === leaf.shape.type;
}

function compileMessage(field: ProtobufField, message: ProtobufMessage, column: ColumnNode, site: Site): ContentPut {
  const isDecimal = column.kind === "leaf" && protobufDecimal(field, site.rules) !== undefined;
  return isDecimal ? compileDecimal(column.leaf) : compileContent(message, column, site);
}

function compileContent(message: ProtobufMessage, column: ColumnNode, site: Site): ContentPut {
  if (column.kind === "struct") return new MessagePut({ message, node: column, site, prefix: "" });
  assert(column.kind === "leaf", "a message goes to a struct or to a primitive column");
  const { leaf } = column;
  const special = protobufSpecial(message);
  if (special?.kind === "wrapper") {
    const scalar = { kind: "scalar", scalar: special.scalar } as const;
    return isNatural(scalar, leaf) ? compileSpecial(special, leaf) : compileWrapper(compileProtobufCast(scalar, leaf));
  }
  if (special?.kind === "primitive" && special.type === leaf.shape.type) return compileSpecial(special, leaf);
  assert(leaf.kind === "bytes", "JSON text goes to a string column");
  return {
    put: (reader, start, end, rep) => leaf.putString(rep, protobufJson(message, reader, start, end, site.budget)),
  };
}

/** Messages that follow each other are one: merging is what reading them in a row does. */
function putMerged(places: FieldPlaces, put: ContentPut, reader: ProtobufReader, rep: number): void {
  const { starts, ends, count } = places;
  if (count === 1) {
    put.put(reader, starts[0] as number, ends[0] as number, rep);
    return;
  }
  const joined = joinedContent(places, reader);
  put.put(new ProtobufReader(joined, 0), 0, joined.length, rep);
}

function compileList(places: FieldPlaces, column: ListNode, site: Site): Step {
  const { type } = places.field;
  if (type.kind === "message") {
    const put = compileMessage(places.field, type, column.element, site);
    return (reader, rep) => {
      const { starts, ends, count } = places;
      if (count === 0) putEmpty(column, rep);
      for (let at = 0; at < count; at += 1)
        put.put(reader, starts[at] as number, ends[at] as number, at === 0 ? rep : column.rep);
    };
  }
  const put = compileSingle(type, column.element);
  return (reader, rep) => {
    const outer = reader.end;
    let itemRep = rep;
    for (let at = 0; at < places.count; at += 1) {
      const start = places.starts[at] as number;
      reader.end = places.ends[at] as number;
      reader.at = start < 0 ? ~start : start;
      while (reader.at < reader.end) {
        put.put(reader, itemRep);
        itemRep = column.rep;
      }
    }
    reader.end = outer;
    if (itemRep === rep) putEmpty(column, rep);
  };
}

/** An entry is a message of key and value. Of entries with one key the last counts. */
function compileMap(places: FieldPlaces, key: ProtobufScalar, column: MapNode, site: Site): Step {
  const { type } = places.field;
  assert(column.key.kind === "leaf" && column.key.leaf.kind === "bytes", "map keys are strings");
  const keys = column.key.leaf;
  const entry = new Scan(entryFields(key, type));
  const [keyPlaces, valuePlaces] = entry.places as readonly [FieldPlaces, FieldPlaces];
  const putValue = compileMapValue(valuePlaces, column.value, site);
  const readKey = (reader: ProtobufReader, at: number): string => {
    entry.read(reader, places.starts[at] as number, places.ends[at] as number);
    if (keyPlaces.count > 0) reader.at = keyPlaces.starts[0] as number;
    return protobufKeyText(key, reader, keyPlaces.count > 0);
  };
  return (reader, rep) => {
    if (places.count === 0) putEmpty(column, rep);
    const last = new Map<string, number>();
    for (let at = 0; at < places.count; at += 1) last.set(readKey(reader, at), at);
    let itemRep = rep;
    for (const [text, at] of last) {
      if (places.count > 1) readKey(reader, at);
      site.budget.take(column.leaves.length);
      keys.putString(itemRep, text);
      putValue(reader, itemRep);
      itemRep = column.rep;
    }
  };
}

/** A value that is not on the wire is the default, a message without fields included. */
function compileMapValue(places: FieldPlaces, column: ColumnNode, site: Site): Step {
  const { type } = places.field;
  if (type.kind === "message") {
    const put = compileContent(type, column, site);
    return (reader, rep) => {
      if (places.count === 0) put.put(reader, reader.at, reader.at, rep);
      else putMerged(places, put, reader, rep);
    };
  }
  return compileField(places, column, site);
}
