/** Random tables: a nested Iceberg schema and rows of it. */
import fc from "fast-check";
import type { IcebergType, NestedField, PrimitiveType, Schema } from "../../src/table/iceberg/types.ts";
import type { Value } from "./rows.ts";

export interface RandomTable {
  readonly schema: Schema;
  readonly rows: readonly { readonly [name: string]: Value }[];
}

type Shape =
  | { readonly kind: "primitive"; readonly type: PrimitiveType }
  | { readonly kind: "struct"; readonly fields: readonly { readonly shape: Shape; readonly required: boolean }[] }
  | { readonly kind: "list"; readonly element: Shape; readonly required: boolean }
  | { readonly kind: "map"; readonly value: Shape; readonly required: boolean };

const primitives: readonly PrimitiveType[] = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
  "fixed[5]",
  "decimal(7, 2)",
  "decimal(17, 4)",
  "decimal(31, 6)",
];

const { shape } = fc.letrec<{ shape: Shape; primitive: Shape; struct: Shape; list: Shape; map: Shape }>((tie) => ({
  shape: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("primitive"), tie("struct"), tie("list"), tie("map")),
  primitive: fc.constantFrom(...primitives).map((type) => ({ kind: "primitive", type }) as const),
  struct: fc
    .array(fc.record({ shape: tie("shape"), required: fc.boolean() }), { minLength: 1, maxLength: 3 })
    .map((fields) => ({ kind: "struct", fields }) as const),
  list: fc.record({ kind: fc.constant("list" as const), element: tie("shape"), required: fc.boolean() }),
  map: fc.record({ kind: fc.constant("map" as const), value: tie("shape"), required: fc.boolean() }),
}));

class Ids {
  #last = 0;
  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

function typeOf(of: Shape, ids: Ids): IcebergType {
  switch (of.kind) {
    case "primitive":
      return of.type;
    case "struct":
      return { type: "struct", fields: fieldsOf(of.fields, ids) };
    case "list":
      return {
        type: "list",
        "element-id": ids.next(),
        "element-required": of.required,
        element: typeOf(of.element, ids),
      };
    case "map":
      return {
        type: "map",
        "key-id": ids.next(),
        key: "string",
        "value-id": ids.next(),
        "value-required": of.required,
        value: typeOf(of.value, ids),
      };
  }
}

function fieldsOf(
  fields: readonly { readonly shape: Shape; readonly required: boolean }[],
  ids: Ids,
): readonly NestedField[] {
  return fields.map((field, at) => ({
    id: ids.next(),
    name: `f${at}`,
    required: field.required,
    type: typeOf(field.shape, ids),
  }));
}

function digits(precision: number): fc.Arbitrary<bigint> {
  const max = 10n ** BigInt(precision) - 1n;
  return fc.bigInt({ min: -max, max });
}

const micros = fc.bigInt({ min: -4_000_000_000_000_000n, max: 4_000_000_000_000_000n });

function primitiveValue(type: PrimitiveType): fc.Arbitrary<Value> {
  switch (type) {
    case "boolean":
      return fc.boolean();
    case "int":
      return fc.integer();
    case "long":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "float":
      return fc.float();
    case "double":
      return fc.double();
    case "date":
      return fc.integer({ min: -500_000, max: 500_000 });
    case "time":
      return fc.bigInt({ min: 0n, max: 86_399_999_999n });
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
      return micros;
    case "string":
      return fc.oneof(fc.constantFrom("a", "bb", "ü😀"), fc.string({ unit: "grapheme", maxLength: 90 }));
    case "uuid":
      return fc.uint8Array({ minLength: 16, maxLength: 16 });
    case "binary":
      return fc.uint8Array({ maxLength: 70 });
    case "fixed[5]":
      return fc.uint8Array({ minLength: 5, maxLength: 5 });
    case "decimal(7, 2)":
      return digits(7);
    case "decimal(17, 4)":
      return digits(17);
    default:
      return digits(31);
  }
}

function valueOf(type: IcebergType, required: boolean): fc.Arbitrary<Value> {
  const present = presentOf(type);
  return required ? present : fc.option(present, { nil: null, freq: 3 });
}

/** Never like a number or __proto__: some readers make objects of maps, where such keys lose their place. */
const mapKey = fc.string({ maxLength: 6 }).map((text) => `k${text}`);

function presentOf(type: IcebergType): fc.Arbitrary<Value> {
  if (typeof type === "string") return primitiveValue(type);
  switch (type.type) {
    case "struct":
      return rowOf(type.fields);
    case "list":
      return fc.array(valueOf(type.element, type["element-required"]), { maxLength: 4 });
    case "map":
      return fc.uniqueArray(fc.tuple(mapKey, valueOf(type.value, type["value-required"])), {
        maxLength: 3,
        selector: ([key]) => key,
      });
  }
}

function rowOf(fields: readonly NestedField[]): fc.Arbitrary<{ readonly [name: string]: Value }> {
  return fc.record(Object.fromEntries(fields.map((field) => [field.name, valueOf(field.type, field.required)])));
}

export function randomTable(rowsMax: number): fc.Arbitrary<RandomTable> {
  return fc
    .array(fc.record({ shape, required: fc.boolean() }), { minLength: 1, maxLength: 4 })
    .map((fields): Schema => ({ type: "struct", "schema-id": 0, fields: fieldsOf(fields, new Ids()) }))
    .chain((schema) =>
      fc.record({
        schema: fc.constant(schema),
        rows: fc.array(rowOf(schema.fields), { minLength: 1, maxLength: rowsMax }),
      }),
    );
}
