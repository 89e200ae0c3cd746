/** Values for a declared type that a sound client would not send: extremes beside likely ones, so that some get past the first check. */
import { type Fields, type Fixed, fieldOf, type Shape, type Sized } from "../../src/base/codec-shape.ts";
import { type Uuid, uuidFromBytes, uuidZero } from "../../src/base/ids.ts";
import type { Random } from "../../src/base/runtime.ts";
import { hostileRecords } from "./records.ts";

export interface Vocabulary {
  /** Names of what is there, among others. */
  readonly strings: readonly string[];
  readonly uuids: readonly Uuid[];
}

const integers = [0, 0, 0, 1, 1, 2, 3, 5, -1, -2, 100, 5_000];
const bounds = {
  boolean: [0, 1],
  int8: [-0x80, 0x7f],
  int16: [-0x8000, 0x7fff],
  uint16: [0, 0xffff],
  int32: [-0x8000_0000, 0x7fff_ffff],
  uint32: [0, 0xffff_ffff],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  int64Clamped: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  int64Big: [0, 0],
  float64: [Number.NaN, Number.NEGATIVE_INFINITY],
  uuid: [0, 0],
} as const satisfies Readonly<Record<Fixed, readonly [number, number]>>;

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random.unit() * list.length)] as T;
}

export function below(random: Random, bound: number): number {
  return Math.floor(random.unit() * bound);
}

export function hostileValue(shape: Shape, version: number, random: Random, words: Vocabulary): unknown {
  switch (shape.kind) {
    case "nullable":
      if (version >= shape.since && random.unit() < 0.2) return null;
      return hostileValue(shape.of.shape, version, random, words);
    case "array":
      return Array.from({ length: arrayLength(random) }, () =>
        hostileValue(shape.element.shape, version, random, words),
      );
    case "struct":
      return hostileStruct(shape.fields, version, random, words);
    case "fixed":
      return hostileFixed(shape.of, random, words);
    case "sized":
      return hostileSized(shape.of, random, words);
  }
}

function hostileStruct(fields: Fields, version: number, random: Random, words: Vocabulary): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, type]) => {
      const field = fieldOf(type);
      const isThere = field === undefined || (version >= field.from && version <= field.to);
      return [key, isThere ? hostileValue(type.shape, version, random, words) : field.default];
    }),
  );
}

/** Mostly one, so that what is nested stays small; now and then more than anybody asks for. */
function arrayLength(random: Random): number {
  const dice = random.unit();
  if (dice < 0.1) return 0;
  if (dice < 0.85) return 1;
  return dice < 0.999 ? 2 : 60;
}

function hostileFixed(type: Fixed, random: Random, words: Vocabulary): unknown {
  if (type === "uuid") return pick(random, words.uuids);
  if (type === "boolean") return random.unit() < 0.5;
  const [min, max] = bounds[type];
  if (type === "int64Big") return pick(random, [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
  if (type === "float64") return pick(random, [0, 1.5, -1, ...bounds.float64]);
  const value = random.unit() < 0.15 ? pick(random, [min, max, max - 1]) : pick(random, integers);
  return Math.min(max, Math.max(min, value));
}

function hostileSized(type: Sized, random: Random, words: Vocabulary): unknown {
  switch (type) {
    case "string":
      return pick(random, words.strings);
    case "bytes":
      return random.fill(new Uint8Array(pick(random, [0, 1, 4, 30, 200])));
    case "records":
      return hostileRecords(random);
    case "recordViews":
      return [hostileRecords(random)];
  }
}

export function vocabulary(names: {
  readonly topic: string;
  readonly topicId: Uuid;
  readonly group: string;
}): Vocabulary {
  return {
    strings: words(names).concat(longNames),
    uuids: [names.topicId, names.topicId, uuidZero, uuidFromBytes(new Uint8Array(16).fill(0xff))],
  };
}

/** What is there more often than what is not. */
function words({ topic, group }: { readonly topic: string; readonly group: string }): readonly string[] {
  const internal = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
  const sound = ["other", "consumer", "range", "uniform", "User:*", "*", "retention.ms", "-1", "PLAIN"];
  const odd = ["", "../..", ".", "\0", "a\nb", "__proto__", "constructor", "1e400", "(a+)+$", "[[", "\ufffd\u{1f600}"];
  return [topic, topic, topic, group, group, "9223372036854775807"].concat(internal, sound, odd);
}

/** The longest name of a topic, one more, and the longest string. */
const longNames: readonly string[] = ["x".repeat(249), "x".repeat(250), "y".repeat(32_767)];
