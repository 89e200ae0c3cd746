/**
 * Avro's binary encoding straight into columns: one closure a type, compiled once for a writer's schema and the columns
 * that its fields are bound to. Bytes of strings are copied and never become JavaScript strings; longs stay exact.
 *
 * Stated outcomes (rule M12): nanoseconds floor where the column has microseconds; a millisecond timestamp beyond 64 bits of microseconds, and
 * a decimal with more digits than its type says, are bad records; NaN and infinities are kept.
 */
import { assert } from "../../base/errors.ts";
import {
  type ColumnNode,
  type LeafNode,
  type ListNode,
  type MapNode,
  putAbsent,
  putEmpty,
  type StructNode,
} from "../parquet/columns.ts";
import { avroPrimitive } from "../schema/schema-map-avro.ts";
import { widenedType } from "../schema/schema-map-merge.ts";
import type { BytesLeaf, Leaf, Levels } from "../translate/leaf.ts";
import { avroJson, skipAvro } from "./avro-json.ts";
import { compileScalar } from "./avro-scalar.ts";
import { type AvroRecord, type AvroScalar, type AvroType, saysNothing, unionBranchNames } from "./avro-schema.ts";
import { BadRecord } from "./bad-record.ts";
import type { Bound } from "./bound.ts";
import { castable, compileCast, floatText } from "./cast.ts";
import type { AvroPut, Cursor } from "./cursor.ts";
import { putUtf8 } from "./put-text.ts";

/** Writes values of the type into the column; the binding says which columns fields go to. */
export function compileAvro(type: AvroType, node: ColumnNode, bound: Bound): AvroPut {
  if (isOfAnotherKind(type, node) && saysNothing(type)) {
    return (cursor, rep) => {
      skipAvro(type, cursor);
      putAbsent(node, rep);
    };
  }
  if (type.kind === "union") return compileUnion(type.branches, node, bound);
  if (type.kind === "null") return (_, rep) => putAbsent(node, rep);
  switch (node.kind) {
    case "leaf":
      return compileLeaf(type, node);
    case "struct":
      assert(type.kind === "record", `a struct column takes a record, not ${type.kind}`);
      return compileRecord(type, node, bound);
    case "list":
      assert(type.kind === "array", `a list column takes an array, not ${type.kind}`);
      return compileArray(type.items, node, bound);
    case "map":
      assert(type.kind === "map", `a map column takes a map, not ${type.kind}`);
      return compileMap(type.values, node, bound);
  }
}

/** A column of the field that another schema has made; the mapping has looked at types that say something alone. */
function isOfAnotherKind(type: AvroType, node: ColumnNode): boolean {
  const kinds = { record: "struct", array: "list", map: "map" } as const;
  if (type.kind === "union") return type.branches.filter((branch) => branch.kind !== "null").length > 1;
  return !(type.kind in kinds) || kinds[type.kind as keyof typeof kinds] !== node.kind;
}

function compileLeaf(type: Exclude<AvroType, { readonly kind: "null" | "union" }>, node: LeafNode): AvroPut {
  const leaf = node.leaf;
  if (type.kind === "record" || type.kind === "array" || type.kind === "map") {
    assert(leaf.kind === "bytes", `a ${leaf.shape.type} column cannot hold JSON text`);
    return asJson(type, leaf);
  }
  const isNatural = widenedType(leaf.shape.type, avroPrimitive(type)) === leaf.shape.type;
  return isNatural ? compileScalar(type, leaf) : asCast(type, leaf);
}

/** Into a column whose type a person gave. */
function asCast(type: AvroScalar, leaf: Leaf): AvroPut {
  const put = compileCast(leaf);
  if (type.kind === "float") {
    return (cursor, rep) => put({ text: floatText(cursor.readFloat()), isText: false }, rep);
  }
  const isText = type.kind === "string" || type.kind === "enum";
  return (cursor, rep) => put(castable(avroJson(type, cursor), isText), rep);
}

/** Where recursion was cut: the rest as JSON text. */
function asJson(type: AvroType, leaf: BytesLeaf): AvroPut {
  return (cursor, rep) => leaf.putString(rep, avroJson(type, cursor));
}

/** Fields of the record in their order on the wire; columns that no field is bound to are absent. */
export function compileRecord(type: AvroRecord, node: StructNode, bound: Bound): AvroPut {
  const missing = new Set(node.fields.map((field) => field.node));
  const steps: AvroPut[] = type.fields.map((field) => {
    const column = bound(node, field.name);
    if (column === undefined) return (cursor) => skipAvro(field.type, cursor);
    missing.delete(column);
    return compileAvro(field.type, column, bound);
  });
  const absent = [...missing].filter((column) => !column.required);
  return (cursor, rep) => {
    for (let at = 0; at < steps.length; at += 1) (steps[at] as AvroPut)(cursor, rep);
    for (let at = 0; at < absent.length; at += 1) putAbsent(absent[at] as ColumnNode, rep);
  };
}

function compileUnion(branches: readonly AvroType[], node: ColumnNode, bound: Bound): AvroPut {
  const present = branches.filter((branch) => branch.kind !== "null");
  const only = present.length === 1 ? present[0] : undefined;
  if (only !== undefined && branches.length === 2) return compileOptional(branches, only, node, bound);
  const isAlternatives = present.length > 1 && node.kind === "struct";
  const names = unionBranchNames(branches);
  const puts = branches.map((branch, at): AvroPut => {
    if (!isAlternatives || branch.kind === "null") {
      return present.length > 1 ? jsonOrAbsent(branch, node) : compileAvro(branch, node, bound);
    }
    return compileAlternative(branch, names[at] as string, node, bound);
  });
  return (cursor, rep) => {
    const put = puts[cursor.readInt()];
    if (put === undefined) throw noBranch();
    put(cursor, rep);
  };
}

/** [null, T] and [T, null]: nearly all unions. */
function compileOptional(branches: readonly AvroType[], only: AvroType, node: ColumnNode, bound: Bound): AvroPut {
  const put = compileAvro(only, node, bound);
  const presentAt = branches.indexOf(only);
  return (cursor, rep) => {
    const branch = cursor.readInt();
    if (branch === presentAt) put(cursor, rep);
    else if (branch === 1 - presentAt) putAbsent(node, rep);
    else throw noBranch();
  };
}

function noBranch(): BadRecord {
  return new BadRecord("malformed", "a union has no such branch");
}

/** One branch of a union that is a struct of its branches: the others are absent. */
function compileAlternative(branch: AvroType, name: string, node: StructNode, bound: Bound): AvroPut {
  const column = bound(node, name);
  const put: AvroPut = column === undefined ? (cursor) => skipAvro(branch, cursor) : compileAvro(branch, column, bound);
  const others = node.fields.map((field) => field.node).filter((other) => other !== column);
  return (cursor, rep) => {
    put(cursor, rep);
    for (const other of others) putAbsent(other, rep);
  };
}

/** A union whose column is text because recursion was cut there. */
function jsonOrAbsent(branch: AvroType, node: ColumnNode): AvroPut {
  if (branch.kind === "null") return (_, rep) => putAbsent(node, rep);
  assert(node.kind === "leaf" && node.leaf.kind === "bytes", "a union without a struct is text");
  return asJson(branch, node.leaf);
}

/** Reads the blocks of an array or map, and calls back before each item with its repetition level. */
function readBlocks(cursor: Cursor, node: ListNode | MapNode, rep: number, item: (rep: number) => void): void {
  let itemRep = rep;
  let count = cursor.readBlockCount();
  if (count === 0) putEmpty(node, rep);
  while (count > 0) {
    for (; count > 0; count -= 1) {
      item(itemRep);
      itemRep = node.rep;
    }
    count = cursor.readBlockCount();
  }
}

function compileArray(items: AvroType, node: ListNode, bound: Bound): AvroPut {
  const put = compileAvro(items, node.element, bound);
  return (cursor, rep) => readBlocks(cursor, node, rep, (itemRep) => put(cursor, itemRep));
}

/** Of entries with one key the last counts: columns have no key twice. */
function compileMap(values: AvroType, node: MapNode, bound: Bound): AvroPut {
  assert(node.key.kind === "leaf" && node.key.leaf.kind === "bytes", "map keys are strings");
  const key = node.key.leaf;
  const put = compileAvro(values, node.value, bound);
  const putEntry = (cursor: Cursor, rep: number): void => {
    const length = cursor.readLength();
    const start = cursor.take(length);
    putUtf8(key, rep, cursor.bytes, start, start + length);
    put(cursor, rep);
  };
  const skipEntry = (cursor: Cursor): void => {
    cursor.take(cursor.readLength());
    skipAvro(values, cursor);
  };
  const slots = new Float64Array(node.levels.length);
  return (cursor, rep) => {
    const start = cursor.at;
    const before = key.count;
    for (let at = 0; at < slots.length; at += 1) slots[at] = (node.levels[at] as Levels).slots;
    readBlocks(cursor, node, rep, (itemRep) => putEntry(cursor, itemRep));
    const last = key.count - before < 2 ? undefined : lastOfEach(key, before);
    if (last === undefined) return;
    for (let at = 0; at < slots.length; at += 1) (node.levels[at] as Levels).cut(slots[at] as number);
    cursor.at = start;
    let entry = 0;
    let itemRep = rep;
    readBlocks(cursor, node, rep, () => {
      entry += 1;
      if (!last.has(entry - 1)) return skipEntry(cursor);
      putEntry(cursor, itemRep);
      itemRep = node.rep;
    });
  };
}

/** Of the leaf's values from `from` on, which come last of their like, counted from there; undefined when all differ. */
function lastOfEach(leaf: BytesLeaf, from: number): ReadonlySet<number> | undefined {
  const places = new Map<string, number>();
  for (let at = from; at < leaf.count; at += 1) {
    const { buffer, byteOffset, length } = leaf.at(at);
    places.set(Buffer.from(buffer, byteOffset, length).toString("latin1"), at - from);
  }
  return places.size === leaf.count - from ? undefined : new Set(places.values());
}
