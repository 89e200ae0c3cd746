/** A table as the Hive Metastore keeps it (hive_metastore.thrift), made anew or changed with all that others put there kept. */
import type { TableName } from "../src/table/catalog.ts";
import type { StoredTable } from "../src/table/commit/metadata-files.ts";
import { hiveColumns } from "./hive-columns.ts";
import { hiveComment } from "./hive-comment.ts";
import {
  i32,
  list,
  struct,
  structAt,
  type ThriftStruct,
  type ThriftValue,
  text,
  textMap,
  textMapAt,
} from "./thrift-binary.ts";

/** Fields of Table. */
const tableFields = {
  tableName: 1,
  dbName: 2,
  owner: 3,
  createTime: 4,
  lastAccessTime: 5,
  retention: 6,
  sd: 7,
  partitionKeys: 8,
  parameters: 9,
  tableType: 12,
} as const;
/** Fields of StorageDescriptor. */
const placeFields = {
  cols: 1,
  location: 2,
  inputFormat: 3,
  outputFormat: 4,
  compressed: 5,
  numBuckets: 6,
  serdeInfo: 7,
  bucketCols: 8,
  sortCols: 9,
  parameters: 10,
} as const;

export const locationKey = "metadata_location";

export function parametersOf(table: ThriftStruct): ReadonlyMap<string, string> {
  return textMapAt(table, tableFields.parameters);
}

export function newTable(name: TableName, next: StoredTable, owner: string, nowMs: number): ThriftValue {
  const seconds = i32(Math.floor(nowMs / 1000));
  return struct({
    [tableFields.tableName]: text(name.name),
    [tableFields.dbName]: text(name.namespace[0] ?? ""),
    [tableFields.owner]: text(owner),
    [tableFields.createTime]: seconds,
    [tableFields.lastAccessTime]: seconds,
    [tableFields.retention]: i32(0x7fff_ffff),
    [tableFields.sd]: place(new Map(), next),
    [tableFields.partitionKeys]: list("struct", []),
    [tableFields.parameters]: parameters(new Map(), undefined, next),
    [tableFields.tableType]: text("EXTERNAL_TABLE"),
  });
}

export function changedTable(before: ThriftStruct, from: string, next: StoredTable): ThriftValue {
  const fields = new Map(before);
  fields.set(tableFields.sd, place(structAt(before, tableFields.sd) ?? new Map(), next));
  fields.set(tableFields.parameters, parameters(parametersOf(before), from, next));
  return { kind: "struct", fields };
}

/** Rule J14. Properties stay in the metadata file: copied here they would have to fit into the metastore's columns. */
function parameters(before: ReadonlyMap<string, string>, from: string | undefined, next: StoredTable): ThriftValue {
  const all = new Map(before);
  all.set("EXTERNAL", "TRUE");
  all.set("table_type", "ICEBERG");
  all.set(locationKey, next.location);
  if (from !== undefined) all.set("previous_metadata_location", from);
  return textMap(all);
}

/** Formats as every other writer of Iceberg tables says them: Hive itself reads through its storage handler. */
function place(before: ThriftStruct, { metadata }: StoredTable): ThriftValue {
  const current = hiveColumns(metadata, "hive").filter(({ isCurrent }) => isCurrent);
  const columns = current.map(({ field, type }) => {
    const comment = field.doc === undefined ? {} : { 3: text(hiveComment(field.doc)) };
    return struct({ 1: text(field.name), 2: text(type), ...comment });
  });
  const serde = struct({ 2: text("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"), 3: textMap([]) });
  const fields = new Map<number, ThriftValue>([
    [placeFields.inputFormat, text("org.apache.hadoop.mapred.FileInputFormat")],
    [placeFields.outputFormat, text("org.apache.hadoop.mapred.FileOutputFormat")],
    [placeFields.compressed, { kind: "bool", value: false }],
    [placeFields.numBuckets, i32(0)],
    [placeFields.serdeInfo, serde],
    [placeFields.bucketCols, list("string", [])],
    [placeFields.sortCols, list("struct", [])],
    [placeFields.parameters, textMap([])],
    ...before,
    [placeFields.cols, list("struct", columns)],
    [placeFields.location, text(metadata.location)],
  ]);
  return { kind: "struct", fields };
}
