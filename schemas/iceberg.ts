/**
 * The Avro schemas of Iceberg's manifests and manifest lists, format versions 2 and 3, as the reference implementation
 * writes them (spec "Manifests", "Manifest Lists"; rules C2-C6, D1, D2). Readers resolve fields by `field-id`, engines in
 * the wild also by name: neither may change.
 */

/** The format versions that we write. */
export type FormatVersion = 2 | 3;

export type AvroSchema = string | AvroUnion | AvroRecord | AvroArray | AvroMap | AvroFixed | AvroEnum | AvroPrimitive;
export type AvroUnion = readonly AvroSchema[];

export interface AvroRecord {
  readonly type: "record";
  readonly name: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly default?: null;
  readonly doc?: string;
  readonly "field-id"?: number;
  /** The name in Iceberg when it is no legal Avro name. */
  readonly "iceberg-field-name"?: string;
}

export interface AvroArray {
  readonly type: "array";
  readonly items: AvroSchema;
  readonly "element-id"?: number;
  /** "map": an Iceberg map whose keys are not strings. */
  readonly logicalType?: "map";
}

export interface AvroMap {
  readonly type: "map";
  readonly values: AvroSchema;
}

export interface AvroFixed {
  readonly type: "fixed";
  readonly name: string;
  readonly size: number;
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
}

export interface AvroEnum {
  readonly type: "enum";
  readonly name: string;
  readonly symbols: readonly string[];
}

export interface AvroPrimitive {
  readonly type: string;
  readonly logicalType?: string;
  readonly "adjust-to-utc"?: boolean;
}

function required(id: number, name: string, type: AvroSchema): AvroField {
  return { name, type, "field-id": id };
}

function optional(id: number, name: string, type: AvroSchema): AvroField {
  return { name, type: ["null", type], default: null, "field-id": id };
}

/** A map from field ids, as the list of pairs that Avro needs for keys which are no strings (rule C2). */
function idMap(keyId: number, valueId: number, values: AvroSchema): AvroArray {
  const pair: AvroRecord = {
    type: "record",
    name: `k${keyId}_v${valueId}`,
    fields: [required(keyId, "key", "int"), required(valueId, "value", values)],
  };
  return { type: "array", items: pair, logicalType: "map" };
}

/** `partition` holds the fields of one spec, with ids from 1000 on. */
export function manifestEntrySchema(partition: readonly AvroField[], version: FormatVersion): AvroRecord {
  const dataFile: AvroRecord = {
    type: "record",
    name: "r2",
    fields: [
      required(134, "content", "int"),
      required(100, "file_path", "string"),
      required(101, "file_format", "string"),
      required(102, "partition", { type: "record", name: "r102", fields: partition }),
      required(103, "record_count", "long"),
      required(104, "file_size_in_bytes", "long"),
      optional(108, "column_sizes", idMap(117, 118, "long")),
      optional(109, "value_counts", idMap(119, 120, "long")),
      optional(110, "null_value_counts", idMap(121, 122, "long")),
      optional(137, "nan_value_counts", idMap(138, 139, "long")),
      optional(125, "lower_bounds", idMap(126, 127, "bytes")),
      optional(128, "upper_bounds", idMap(129, 130, "bytes")),
      optional(131, "key_metadata", "bytes"),
      optional(132, "split_offsets", { type: "array", items: "long", "element-id": 133 }),
      optional(135, "equality_ids", { type: "array", items: "int", "element-id": 136 }),
      optional(140, "sort_order_id", "int"),
      ...(version === 3 ? [optional(142, "first_row_id", "long")] : []),
      optional(143, "referenced_data_file", "string"),
      ...(version === 3 ? vectorFields : []),
    ],
  };
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      required(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      required(2, "data_file", dataFile),
    ],
  };
}

/** Where in its file a deletion vector stands. */
const vectorFields: readonly AvroField[] = [
  optional(144, "content_offset", "long"),
  optional(145, "content_size_in_bytes", "long"),
];

const partitionSummary: AvroRecord = {
  type: "record",
  name: "r508",
  fields: [
    required(509, "contains_null", "boolean"),
    optional(518, "contains_nan", "boolean"),
    optional(510, "lower_bound", "bytes"),
    optional(511, "upper_bound", "bytes"),
  ],
};

export function manifestFileSchema(version: FormatVersion): AvroRecord {
  const fields = version === 3 ? [...manifestFileFields, optional(520, "first_row_id", "long")] : manifestFileFields;
  return { type: "record", name: "manifest_file", fields };
}

const manifestFileFields: readonly AvroField[] = [
  required(500, "manifest_path", "string"),
  required(501, "manifest_length", "long"),
  required(502, "partition_spec_id", "int"),
  required(517, "content", "int"),
  required(515, "sequence_number", "long"),
  required(516, "min_sequence_number", "long"),
  required(503, "added_snapshot_id", "long"),
  required(504, "added_files_count", "int"),
  required(505, "existing_files_count", "int"),
  required(506, "deleted_files_count", "int"),
  required(512, "added_rows_count", "long"),
  required(513, "existing_rows_count", "long"),
  required(514, "deleted_rows_count", "long"),
  optional(507, "partitions", { type: "array", items: partitionSummary, "element-id": 508 }),
  optional(519, "key_metadata", "bytes"),
];
