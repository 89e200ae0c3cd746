/** What a declared type is made of. The words to make one with are in codec.ts. */

declare const value: unique symbol;
declare const input: unique symbol;

/** How something stands on the wire. T is what reading gives, I what writing takes. */
export interface Type<T, I = T> {
  readonly shape: Shape;
  readonly [value]?: () => T;
  readonly [input]?: () => I;
}

/** A type with the versions that have it, and its value in the others. May be left out when writing. */
export interface Field<T, I = T> extends Type<T, I> {
  readonly from: number;
  readonly to: number;
  readonly tag: number | undefined;
  readonly default: T;
}

export type Shape =
  | { readonly kind: "fixed"; readonly of: Fixed }
  | { readonly kind: "sized"; readonly of: Sized }
  | { readonly kind: "array"; readonly element: Type<unknown> }
  | { readonly kind: "struct"; readonly fields: Fields }
  /** null is legal from version `since` on. */
  | { readonly kind: "nullable"; readonly of: Type<unknown>; readonly since: number };

/** Values of one width. The names are those of the methods of ByteReader. */
export type Fixed = keyof typeof fixedBytes;
/** Values that announce their length. */
export type Sized = "string" | "bytes" | "records" | "recordViews";

export type Fields = Readonly<Record<string, Type<unknown>>>;

export interface MessageShape {
  readonly name: string;
  readonly versions: readonly [min: number, max: number];
  readonly flexible: number | undefined;
  readonly shape: Shape;
}

/** The fewest bytes that a value can take in the version: what an announced count is checked against. */
export function bytesMinOf(shape: Shape, version: number, isFlexible: boolean): number {
  switch (shape.kind) {
    case "nullable":
      return shape.of.shape.kind === "struct" ? 1 : bytesMinOf(shape.of.shape, version, isFlexible);
    case "array":
      return isFlexible ? 1 : 4;
    case "sized":
      if (isFlexible) return 1;
      return shape.of === "string" ? 2 : 4;
    case "fixed":
      return fixedBytes[shape.of];
    case "struct": {
      let sum = isFlexible ? 1 : 0;
      for (const type of Object.values(shape.fields)) {
        const field = fieldOf(type);
        if (field === undefined || (field.tag === undefined && version >= field.from && version <= field.to))
          sum += bytesMinOf(type.shape, version, isFlexible);
      }
      return sum;
    }
  }
}

/** The version part of a field, if it has one. */
export function fieldOf(type: Type<unknown>): Field<unknown> | undefined {
  return "from" in type ? (type as Field<unknown>) : undefined;
}

const fixedBytes = {
  boolean: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  int64Clamped: 8,
  int64Big: 8,
  float64: 8,
  uuid: 16,
} as const;
