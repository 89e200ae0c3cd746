/** Iceberg's own nouns (spec, format version 2), as data. JSON spelling follows the spec where a value is serialized. */

export type PrimitiveType =
  | "boolean"
  | "int"
  | "long"
  | "float"
  | "double"
  | "date"
  | "time"
  | "timestamp"
  | "timestamptz"
  | "timestamp_ns"
  | "timestamptz_ns"
  | "string"
  | "uuid"
  | "binary"
  | `fixed[${number}]`
  | `decimal(${number}, ${number})`;

export type IcebergType = PrimitiveType | StructType | ListType | MapType;

export interface StructType {
  readonly type: "struct";
  readonly fields: readonly NestedField[];
}

export interface ListType {
  readonly type: "list";
  readonly "element-id": number;
  readonly "element-required": boolean;
  readonly element: IcebergType;
}

export interface MapType {
  readonly type: "map";
  readonly "key-id": number;
  readonly key: IcebergType;
  readonly "value-id": number;
  readonly "value-required": boolean;
  readonly value: IcebergType;
}

export interface NestedField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: IcebergType;
  readonly doc?: string;
}

export interface Schema extends StructType {
  readonly "schema-id": number;
  readonly "identifier-field-ids"?: readonly number[];
}

export type Transform =
  | "identity"
  | "year"
  | "month"
  | "day"
  | "hour"
  | "void"
  | `bucket[${number}]`
  | `truncate[${number}]`;

export interface PartitionField {
  readonly "source-id": number;
  readonly "field-id": number;
  readonly name: string;
  readonly transform: Transform;
}

export interface PartitionSpec {
  readonly "spec-id": number;
  readonly fields: readonly PartitionField[];
}

/**
 * A value of a primitive type, as the table side holds it: boolean; number for int, float, double and date (days);
 * bigint for long, time, timestamp and timestamptz (microseconds), their _ns forms of format 3 (nanoseconds) and for decimal (unscaled); string; Uint8Array for
 * binary, fixed and uuid.
 */
export type PrimitiveValue = boolean | number | bigint | string | Uint8Array;

/** Everything that a manifest says of a data file (rules A10, B1-B10). Maps are keyed by field id. */
export interface DataFile {
  /** Full URI. */
  readonly path: string;
  readonly format: "PARQUET";
  /** One value a field of the spec, in its order; null is a legal partition value. */
  readonly partition: readonly (PrimitiveValue | null)[];
  readonly recordCount: number;
  readonly bytes: number;
  readonly columnSizes: ReadonlyMap<number, number>;
  readonly valueCounts: ReadonlyMap<number, number>;
  readonly nullValueCounts: ReadonlyMap<number, number>;
  readonly nanValueCounts: ReadonlyMap<number, number>;
  /** Serialized as Appendix D says. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>;
  readonly upperBounds: ReadonlyMap<number, Uint8Array>;
  readonly splitOffsets: readonly number[];
}
