/**
 * The shape of configuration as values: what may be said, its type, default and sentence. Reading (read.ts), printing
 * (show.ts), the editor's schema and the page of docs (render.ts) all walk the same shapes.
 */
import { isSecretName } from "../base/secrets.ts";
import { bytesPattern, formatBytes, formatMs, msPattern, parseBytes, parseMs } from "./units.ts";

export type Shape = Leaf<unknown> | ObjectShape | RecordShape | ListShape | VariantShape;

export interface Leaf<T> {
  readonly kind: "leaf";
  readonly doc: string;
  /** As docs name it: "text", "bytes", "one of a, b". */
  readonly typeName: string;
  /** undefined: it must be said. */
  readonly default: T | undefined;
  /** Stands for a value that was refused, so that checks between values can go on. */
  readonly placeholder: T;
  readonly isSecret: boolean;
  parse(value: string | number | boolean | null): Parsed<T>;
  readonly jsonSchema: JsonSchema;
  /** As YAML would say it. */
  show(value: T): unknown;
}

export type Parsed<T> =
  | { readonly kind: "value"; readonly value: T }
  /** Completes "must be ...". */
  | { readonly kind: "refused"; readonly mustBe: string; readonly fix?: string };

export type JsonSchema = Readonly<Record<string, unknown>>;

export type Fields = Readonly<Record<string, Shape>>;

export interface ObjectShape<F extends Fields = Fields> {
  readonly kind: "object";
  readonly doc: string;
  readonly fields: F;
  /** Keys that belong to features which this version does not have: refused with a text of their own. */
  readonly later: readonly string[];
}

/** Any key, one shape of value. */
export interface RecordShape<V extends Shape = Shape> {
  readonly kind: "record";
  readonly doc: string;
  /** As docs name a key: "name". */
  readonly keyName: string;
  readonly values: V;
}

export interface ListShape<I extends Leaf<unknown> = Leaf<unknown>> {
  readonly kind: "list";
  readonly doc: string;
  readonly items: I;
  readonly default: readonly unknown[];
}

/** One of several objects, told apart by the text at the tag. The option is not repeated in its fields. */
export interface VariantShape<O extends Readonly<Record<string, ObjectShape>> = Readonly<Record<string, ObjectShape>>> {
  readonly kind: "variant";
  readonly doc: string;
  readonly tag: string;
  readonly options: O;
}

export type ValueOf<S> =
  S extends Leaf<infer T>
    ? T
    : S extends ObjectShape<infer F>
      ? { readonly [K in keyof F]: ValueOf<F[K]> }
      : S extends RecordShape<infer V>
        ? ReadonlyMap<string, ValueOf<V>>
        : S extends ListShape<infer I>
          ? readonly ValueOf<I>[]
          : S extends VariantShape<infer O>
            ? { [K in keyof O]: { readonly type: K } & ValueOf<O[K]> }[keyof O]
            : never;

export function object<const F extends Fields>(doc: string, fields: F, later: readonly string[] = []): ObjectShape<F> {
  return { kind: "object", doc, fields, later };
}

export function record<const V extends Shape>(doc: string, keyName: string, values: V): RecordShape<V> {
  return { kind: "record", doc, keyName, values };
}

/** Of values that go by any name, it is the name that tells which are secrets. */
export function valueShape({ values }: RecordShape, key: string): Shape {
  return values.kind === "leaf" && isSecretName(key) ? { ...values, isSecret: true } : values;
}

export function list<const I extends Leaf<unknown>>(
  doc: string,
  items: I,
  byDefault: readonly unknown[],
): ListShape<I> {
  return { kind: "list", doc, items, default: byDefault };
}

export function variant<const O extends Readonly<Record<string, ObjectShape>>>(
  doc: string,
  options: O,
): VariantShape<O> {
  return { kind: "variant", doc, tag: "type", options };
}

interface LeafOptions<T> {
  readonly doc: string;
  readonly default?: T;
  readonly isSecret?: boolean;
}

export function text(options: LeafOptions<string>): Leaf<string> {
  return leaf<string>(options, "text", "", {
    // A number or a boolean in YAML where text is wanted ("password: 1234") would lose what was written.
    parse: (value) => (typeof value === "string" ? ok(value) : refused("text", "put it in quotes")),
    jsonSchema: { type: "string" },
  });
}

export function optionalText(options: { readonly doc: string; readonly isSecret?: boolean }): Leaf<string | null> {
  return leaf<string | null>({ ...options, default: null }, "text or null", null, {
    parse: (value) => (typeof value === "string" || value === null ? ok(value) : refused("text", "put it in quotes")),
    jsonSchema: { type: ["string", "null"] },
  });
}

export function oneOf<const T extends string>(words: readonly T[], options: LeafOptions<NoInfer<T>>): Leaf<T> {
  return leaf<T>(options, `one of ${words.join(", ")}`, words[0] as T, {
    parse(value) {
      const word = words.find((each) => each === value);
      return word === undefined ? refused(`one of ${words.join(", ")}`) : ok(word);
    },
    jsonSchema: { type: "string", enum: words },
  });
}

export function boolean(options: LeafOptions<boolean>): Leaf<boolean> {
  return leaf<boolean>(options, "boolean", false, {
    parse(value) {
      if (typeof value === "boolean") return ok(value);
      return value === "true" || value === "false" ? ok(value === "true") : refused("true or false");
    },
    jsonSchema: { type: "boolean" },
  });
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export function integer(options: LeafOptions<number> & Bounds): Leaf<number> {
  return leaf<number>(options, "integer", 0, {
    parse: (value) =>
      bounded(typeof value === "string" ? parseInteger(value) : value, options, "a whole number", String),
    jsonSchema: { type: "integer", ...jsonBounds(options) },
  });
}

export function bytes(options: LeafOptions<number> & Bounds): Leaf<number> {
  return leaf<number>(options, "bytes", 0, {
    parse: (value) =>
      bounded(typeof value === "string" ? parseBytes(value) : value, options, "a size such as 64MiB", formatBytes),
    jsonSchema: {
      anyOf: [
        { type: "integer", ...jsonBounds(options) },
        { type: "string", pattern: bytesPattern },
      ],
    },
    show: formatBytes,
  });
}

export function ms(options: LeafOptions<number> & Bounds): Leaf<number> {
  return leaf<number>(options, "duration", 0, {
    parse(value) {
      const outcome = bounded(
        typeof value === "string" ? parseMs(value) : value,
        options,
        "a duration such as 30s",
        formatMs,
      );
      if (outcome.kind === "value" || typeof value !== "number") return outcome;
      return { ...outcome, fix: `a number alone is milliseconds: write ${value}s` };
    },
    jsonSchema: {
      anyOf: [
        { type: "integer", ...jsonBounds(options) },
        { type: "string", pattern: msPattern },
      ],
    },
    show: formatMs,
  });
}

/** A word of a small language of its own, such as "bucket(16, id)". */
export function parsed<T>(
  options: LeafOptions<T> & { readonly typeName: string; readonly pattern: string; readonly placeholder: T },
  parse: (text: string) => Parsed<T>,
  show: (value: T) => string,
): Leaf<T> {
  return leaf<T>(options, options.typeName, options.placeholder, {
    parse: (value) => parse(String(value)),
    jsonSchema: { type: "string", pattern: options.pattern },
    show,
  });
}

function leaf<T>(
  options: LeafOptions<T>,
  typeName: string,
  placeholder: T,
  rest: Pick<Leaf<T>, "parse" | "jsonSchema"> & { readonly show?: (value: T) => unknown },
): Leaf<T> {
  return {
    kind: "leaf",
    doc: options.doc,
    typeName,
    default: options.default,
    placeholder: options.default ?? placeholder,
    isSecret: options.isSecret ?? false,
    show: (value) => value,
    ...rest,
  };
}

function ok<T>(value: T): Parsed<T> {
  return { kind: "value", value };
}

function refused(
  mustBe: string,
  fix?: string,
): { readonly kind: "refused"; readonly mustBe: string; readonly fix?: string } {
  return fix === undefined ? { kind: "refused", mustBe } : { kind: "refused", mustBe, fix };
}

function bounded(
  value: number | boolean | null | undefined,
  bounds: Bounds,
  noun: string,
  format: (value: number) => string,
): Parsed<number> {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) return refused(noun);
  if (bounds.min !== undefined && value < bounds.min) return refused(`at least ${format(bounds.min)}`);
  if (bounds.max !== undefined && value > bounds.max) return refused(`at most ${format(bounds.max)}`);
  return ok(value);
}

function parseInteger(text: string): number | undefined {
  return /^-?\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function jsonBounds(bounds: Bounds): JsonSchema {
  return {
    ...(bounds.min === undefined ? {} : { minimum: bounds.min }),
    ...(bounds.max === undefined ? {} : { maximum: bounds.max }),
  };
}
