/** Random types of every kind of source, how they change from version to version, and values that are valid under them. */
import type { Random } from "../../src/base/runtime.ts";
import { int } from "../support/seeded.ts";
import type { Plain } from "./parquet-values.ts";

export type Shape =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | { readonly kind: "struct"; readonly fields: Fields }
  | { readonly kind: "list" | "map" | "optional"; readonly of: Shape }
  /** One of several, the other columns of which are null. */
  | { readonly kind: "choice"; readonly of: Fields };

export type Fields = ReadonlyMap<string, Shape>;

export interface Scalar {
  /** Also what tells it from others. */
  readonly name: string;
  /** As the source declares it: see each of them. */
  readonly declared: unknown;
  make(random: Random): Sent;
  /** Anything, kept as JSON text. */
  readonly isJson?: true;
  /** No value of it says anything: it has no column. */
  readonly isVoid?: true;
}

/** A value as the source's encoder takes it, and as readers see it. */
interface Sent {
  readonly sent: unknown;
  readonly read: Plain;
}

export type Value =
  | ({ readonly kind: "scalar" } & Sent)
  | { readonly kind: "fields"; readonly fields: ReadonlyMap<string, Value> }
  | { readonly kind: "list"; readonly items: readonly Value[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [string, Value])[] }
  | { readonly kind: "absent" };

export interface Kinds {
  readonly scalars: readonly Scalar[];
  /** Whether lists and maps may hold lists, maps and what is optional. */
  readonly nestsFreely: boolean;
  readonly hasChoices: boolean;
  /** Whether a struct may have no fields. */
  readonly hasEmpty: boolean;
}

const absent: Value = { kind: "absent" };
const depthMax = 3;
const names = ["a", "b", "c", "d", "e"];

export function pick<T>(random: Random, all: readonly T[]): T {
  return all[int(random, all.length)] as T;
}

export function chance(random: Random, share: number): boolean {
  return random.unit() < share;
}

/** Mostly; Avro and JSON Schema may have any other type at the top. */
export function newRecord(random: Random, kinds: Kinds): Shape {
  return kinds.nestsFreely && chance(random, 0.15) ? newShape(random, kinds, 0) : newStruct(random, kinds, 0);
}

/** Whether what it says becomes fields. */
export function isRecord(shape: Shape): boolean {
  return shape.kind === "optional" ? isRecord(shape.of) : shape.kind === "struct" || shape.kind === "choice";
}

/** The next version of it: fields come, go, change places and change types. */
export function changedRecord(random: Random, kinds: Kinds, shape: Shape, depth = 0): Shape {
  switch (shape.kind) {
    case "struct": {
      const kept = [...shape.fields].filter(() => chance(random, 0.85));
      const changed = kept.map(
        ([name, of]) => [name, chance(random, 0.4) ? changedShape(random, kinds, of, depth + 1) : of] as const,
      );
      const added = chance(random, 0.5) ? [[pick(random, names), newShape(random, kinds, depth + 1)] as const] : [];
      const fields = new Map([...added, ...changed].sort(() => random.unit() - 0.5));
      return fields.size === 0 && (depth === 0 || !kinds.hasEmpty) ? shape : { kind: "struct", fields };
    }
    case "list":
    case "map":
      return { kind: shape.kind, of: changedShape(random, kinds, shape.of, depth + 1, !kinds.nestsFreely) };
    case "optional":
      return chance(random, 0.5) ? shape.of : { kind: "optional", of: newItem(random, kinds, depth) };
    case "scalar":
      return newShape(random, kinds, depth);
    case "choice": {
      const branches = [...shape.of].map(([name, of]): readonly [string, Shape] => [
        name,
        of.kind === "list" ? changedRecord(random, kinds, of, depth + 1) : of,
      ]);
      return chance(random, 0.6) ? { kind: "choice", of: new Map(branches) } : newShape(random, kinds, depth);
    }
  }
}

function changedShape(random: Random, kinds: Kinds, shape: Shape, depth: number, isItem = false): Shape {
  return chance(random, 0.6) && !(isItem && shape.kind !== "struct")
    ? changedRecord(random, kinds, shape, depth)
    : newShape(random, kinds, depth, isItem);
}

function newShape(random: Random, kinds: Kinds, depth: number, isItem = false): Shape {
  const choice = depth >= depthMax ? 0 : random.unit();
  if (choice < 0.5) return { kind: "scalar", scalar: pick(random, kinds.scalars) };
  if (choice < 0.65 || isItem) return newStruct(random, kinds, depth);
  if (choice < 0.75) return { kind: "list", of: newShape(random, kinds, depth + 1, !kinds.nestsFreely) };
  if (choice < 0.85) return { kind: "map", of: newShape(random, kinds, depth + 1, !kinds.nestsFreely) };
  if (choice < 0.93 || !kinds.hasChoices) return { kind: "optional", of: newItem(random, kinds, depth + 1) };
  const scalars = kinds.scalars.filter(({ declared, isVoid }) => typeof declared === "string" && isVoid !== true);
  const first = int(random, scalars.length - 2);
  const of = scalars.slice(first, first + 2 + int(random, 2));
  const branches = of.map((scalar): readonly [string, Shape] => [scalar.name, { kind: "scalar", scalar }]);
  const list: Shape = { kind: "list", of: newShape(random, kinds, depth + 1) };
  return { kind: "choice", of: new Map(chance(random, 0.5) ? branches : [["array", list], ...branches]) };
}

/** What may stand in an optional: neither a choice nor another optional. */
function newItem(random: Random, kinds: Kinds, depth: number): Shape {
  const scalars = kinds.scalars.filter(({ isVoid }) => isVoid !== true);
  const choice = depth >= depthMax ? 0 : random.unit();
  if (choice < 0.5) return { kind: "scalar", scalar: pick(random, scalars) };
  if (choice < 0.75 || !kinds.nestsFreely) return newStruct(random, kinds, depth);
  return { kind: choice < 0.87 ? "list" : "map", of: newShape(random, kinds, depth + 1) };
}

function newStruct(random: Random, kinds: Kinds, depth: number): Shape {
  const count = depth === 0 || !kinds.hasEmpty ? 1 + int(random, 4) : int(random, 4);
  const fields = Array.from(
    { length: count },
    () => [pick(random, names), newShape(random, kinds, depth + 1)] as const,
  );
  return { kind: "struct", fields: new Map(fields) };
}

export function newValue(random: Random, shape: Shape): Value {
  switch (shape.kind) {
    case "scalar":
      return { kind: "scalar", ...shape.scalar.make(random) };
    case "struct":
      return { kind: "fields", fields: new Map([...shape.fields].map(([name, of]) => [name, newValue(random, of)])) };
    case "list":
      return { kind: "list", items: Array.from({ length: int(random, 4) }, () => newValue(random, shape.of)) };
    case "map":
      return {
        kind: "map",
        // Of entries with one key the last counts.
        entries: Array.from({ length: int(random, 4) }, () => [
          pick(random, ["x", "y", "é"]),
          newValue(random, shape.of),
        ]),
      };
    case "optional":
      return chance(random, 0.4) ? absent : newValue(random, shape.of);
    case "choice": {
      const [name, of] = pick(random, [...shape.of]);
      return { kind: "fields", fields: new Map([[name, newValue(random, of)]]) };
    }
  }
}

/** Whether a column comes of it. */
export function saysNothing(shape: Shape): boolean {
  if (shape.kind === "scalar") return shape.scalar.isVoid === true;
  if (shape.kind === "struct") return [...shape.fields.values()].every(saysNothing);
  if (shape.kind === "choice") return [...shape.of.values()].every(saysNothing);
  return saysNothing(shape.of);
}

/** Whether something in it, or all of it, has no column. */
export function hasVoid(shape: Shape): boolean {
  if (saysNothing(shape)) return true;
  if (shape.kind === "scalar") return false;
  if (shape.kind === "struct") return [...shape.fields.values()].some(hasVoid);
  return shape.kind === "choice" ? [...shape.of.values()].some(hasVoid) : hasVoid(shape.of);
}

const promotions = ["int long", "float double"];

/** Whether one table may be unable to hold both in one column: what explains that a schema is refused, and a second column. */
export function clash(a: Shape, b: Shape): boolean {
  return isRecord(a) && isRecord(b) ? within(a, b) : a.kind !== b.kind || within(a, b);
}

function within(a: Shape, b: Shape): boolean {
  if (a.kind === "optional") return within(a.of, b);
  if (b.kind === "optional") return within(a, b.of);
  if (saysNothing(a) || saysNothing(b)) return false;
  if (a.kind === "scalar" && b.kind === "scalar") {
    const [one, other] = [a.scalar.name, b.scalar.name];
    return one !== other && !promotions.includes(`${one} ${other}`) && !promotions.includes(`${other} ${one}`);
  }
  if (a.kind === "struct" && b.kind === "struct") return clashes(a.fields, b.fields);
  if (a.kind === "choice" && b.kind === "choice") return clashes(a.of, b.of);
  return a.kind !== b.kind || within((a as { of: Shape }).of, (b as { of: Shape }).of);
}

function clashes(a: Fields, b: Fields): boolean {
  return [...a].some(([name, of]) => {
    const other = b.get(name);
    return other !== undefined && within(of, other);
  });
}
