/** The partition tuple of a spec: each field's result type, and how it stands in a manifest's Avro (rules C5, C6). */
import type { AvroField, AvroSchema } from "../../../schemas/iceberg.ts";
import { CorruptData } from "../../base/errors.ts";
import type { AvroValue } from "./avro-value.ts";
import { bigintFromBytes, fixedBigintBytes } from "./bounds.ts";
import { decimalBytes, decimalShape, fixedLength } from "./primitive.ts";
import { visitFields } from "./schema-ids.ts";
import { transformResultType } from "./transforms.ts";
import type { IcebergType, PartitionSpec, PrimitiveType, PrimitiveValue, Schema } from "./types.ts";

export interface PartitionColumn {
  readonly id: number;
  readonly name: string;
  readonly type: PrimitiveType;
}

/**
 * The spec and the schema come from outside: what does not fit together is corrupt. A source that was dropped from the schema has
 * no type left. Most transforms come to one type whatever it was; of the others (identity, truncate) values are taken as they stand.
 */
export function partitionColumns(spec: PartitionSpec, schema: Schema): readonly PartitionColumn[] {
  const types = new Map<number, IcebergType>();
  visitFields(schema, (id, type) => types.set(id, type));
  return spec.fields.map((field) => {
    const source = types.get(field["source-id"]) ?? (temporal.has(field.transform) ? "timestamp" : "string");
    const type = typeof source === "string" ? transformResultType(field.transform, source) : undefined;
    if (type === undefined) {
      const found = typeof source === "string" ? source : source.type;
      throw new CorruptData({
        source: "partition spec",
        position: 0,
        expected: `a source for ${field.transform}`,
        found,
      });
    }
    return { id: field["field-id"], name: field.name, type };
  });
}

const temporal: ReadonlySet<string> = new Set(["year", "month", "day", "hour"]);

export function partitionAvroFields(columns: readonly PartitionColumn[]): readonly AvroField[] {
  const defined = new Set<string>();
  return columns.map((column) => {
    const name = avroName(column.name);
    const field = {
      name,
      type: ["null", avroType(column.type, defined)],
      default: null,
      "field-id": column.id,
    } as const;
    return name === column.name ? field : { ...field, "iceberg-field-name": column.name };
  });
}

export function toAvro(type: PrimitiveType, value: PrimitiveValue | null): AvroValue {
  const decimal = decimalShape(type);
  if (decimal === undefined || value === null) return value;
  return fixedBigintBytes(value as bigint, decimalBytes(decimal.precision));
}

/** From what a manifest holds; long values become bigint whatever their size. */
export function fromAvro(type: PrimitiveType, value: AvroValue | undefined, source: string): PrimitiveValue | null {
  if (value === null || value === undefined) return null;
  if (decimalShape(type) !== undefined && value instanceof Uint8Array) return bigintFromBytes(value);
  if (wide.has(type) && (typeof value === "number" || typeof value === "bigint")) return BigInt(value);
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (typeof value !== "object") return value;
  throw new CorruptData({ source, position: 0, expected: `a partition value of type ${type}`, found: "a nested one" });
}

/** In the types of the columns, whose sources may have been widened since the tuple was read. */
export function widenedTuple(
  columns: readonly PartitionColumn[],
  tuple: readonly (PrimitiveValue | null)[],
  source: string,
): readonly (PrimitiveValue | null)[] {
  return columns.map((column, index) => fromAvro(column.type, tuple[index] ?? null, source));
}

/**
 * Tells values of one field of partitions or of keys apart. Texts come with their length, so that no two tuples of them are one;
 * -0 and 0 are two, because readers take a column's value from its partition.
 */
export function valueKey(value: PrimitiveValue | null): string {
  if (value === null) return "n";
  const text = value instanceof Uint8Array ? Buffer.from(value).toString("hex") : numberText(value);
  return `${text.length}:${text}`;
}

function numberText(value: Exclude<PrimitiveValue, Uint8Array>): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

const wide: ReadonlySet<string> = new Set([
  "long",
  "time",
  "timestamp",
  "timestamptz",
  "timestamp_ns",
  "timestamptz_ns",
]);

/** The reference's way: what Avro does not allow becomes _x and its code in hex, a leading digit gets an underscore. */
function avroName(name: string): string {
  return Array.from(name)
    .map((character, index) => {
      if (/[A-Za-z_]/.test(character)) return character;
      if (/\d/.test(character)) return index === 0 ? `_${character}` : character;
      return `_x${(character.codePointAt(0) as number).toString(16).toUpperCase()}`;
    })
    .join("");
}

/** A named type is defined where it comes first and named afterwards, as Avro demands. */
function avroType(type: PrimitiveType, defined: Set<string>): AvroSchema {
  const named = (name: string, definition: AvroSchema): AvroSchema => {
    if (defined.has(name)) return name;
    defined.add(name);
    return definition;
  };
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const { precision, scale } = decimal;
    const name = `decimal_${precision}_${scale}`;
    const size = decimalBytes(precision);
    return named(name, { type: "fixed", name, size, logicalType: "decimal", precision, scale });
  }
  const length = fixedLength(type);
  if (length !== undefined) {
    const name = `fixed_${length}`;
    return named(name, { type: "fixed", name, size: length });
  }
  switch (type) {
    case "date":
      return { type: "int", logicalType: "date" };
    case "time":
      return { type: "long", logicalType: "time-micros" };
    case "timestamp":
    case "timestamptz":
      return { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": type === "timestamptz" };
    case "timestamp_ns":
    case "timestamptz_ns":
      return { type: "long", logicalType: "timestamp-nanos", "adjust-to-utc": type === "timestamptz_ns" };
    case "uuid":
      return named("uuid_fixed", { type: "fixed", name: "uuid_fixed", size: 16, logicalType: "uuid" });
    case "binary":
      return "bytes";
    case "boolean":
    case "int":
    case "long":
    case "float":
    case "double":
    case "string":
      return type;
    default:
      throw new TypeError(`${type} has no place in a partition`);
  }
}
