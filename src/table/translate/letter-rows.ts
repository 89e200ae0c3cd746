/** Dead letters read back from files of their table, whoever wrote those. */
import { Columns, type ListNode, type StructNode } from "../parquet/columns.ts";
import { ParquetReader } from "../parquet/parquet-reader.ts";
import { type DeadLetter, deadLetterSchema } from "./dead-letters.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf, Leaf } from "./leaf.ts";
import type { RecordHeader } from "./translate-metadata.ts";

/** A file's letters, a row group at a time, in its order. Throws CorruptData, or UnfitFile for what is no file of letters. */
export function* lettersOf(file: Uint8Array, source: string): Iterable<readonly DeadLetter[]> {
  const reader = new ParquetReader(file, source);
  for (let group = 0; group < reader.rowGroups; group += 1) {
    const columns = new Columns(deadLetterSchema);
    reader.readInto(columns, group);
    yield letters(columns);
  }
}

function letters(columns: Columns): readonly DeadLetter[] {
  const topic = new Cells<BytesLeaf>(columns, "topic");
  const partition = new Cells<Int32Leaf>(columns, "partition");
  const offset = new Cells<Int64Leaf>(columns, "offset");
  const timestamp = new Cells<Int64Leaf>(columns, "timestamp");
  const key = new Cells<BytesLeaf>(columns, "key");
  const value = new Cells<BytesLeaf>(columns, "value");
  const headers = headersOf(columns);
  const schemaId = new Cells<Int32Leaf>(columns, "schema_id");
  const reason = new Cells<BytesLeaf>(columns, "reason");
  const detail = new Cells<BytesLeaf>(columns, "detail");
  const mappingVersion = new Cells<Int32Leaf>(columns, "mapping_version");
  return Array.from({ length: columns.rows }, (_, row) => ({
    topic: topic.at(row, text) ?? "",
    partition: partition.at(row, int32) ?? 0,
    offset: offset.at(row, int64) ?? 0,
    timestamp: timestamp.at(row, milliseconds) ?? -1,
    key: key.at(row, bytes) ?? null,
    value: value.at(row, bytes) ?? null,
    headers: headers[row] ?? [],
    schemaId: schemaId.at(row, int32),
    reason: (reason.at(row, text) ?? "") as DeadLetter["reason"],
    detail: detail.at(row, text) ?? "",
    mappingVersion: mappingVersion.at(row, int32) ?? 0,
  }));
}

/** A column outside of lists, asked for its rows in their order: values stand densely, rows without one have none. */
class Cells<L extends Leaf> {
  readonly #leaf: L;
  #next = 0;

  constructor(columns: Columns, name: string) {
    this.#leaf = nodeOf(columns, name).leaves[0] as L;
  }

  at<T>(row: number, read: (leaf: L, index: number) => T): T | undefined {
    if (this.#leaf.defs[row] !== this.#leaf.maxDef) return undefined;
    const value = read(this.#leaf, this.#next);
    this.#next += 1;
    return value;
  }
}

const text = (leaf: BytesLeaf, index: number): string => Buffer.from(leaf.at(index)).toString("utf8");
const bytes = (leaf: BytesLeaf, index: number): Uint8Array => leaf.at(index);
const int32 = (leaf: Int32Leaf, index: number): number => leaf.values[index] as number;
const int64 = (leaf: Int64Leaf, index: number): number => Number(leaf.at(index));
/** Letters have whole ones. Divided before they are a number: not all microseconds of the year 9999 are doubles. */
const milliseconds = (leaf: Int64Leaf, index: number): number => Number(leaf.at(index) / 1000n);

/** One list a row. */
function headersOf(columns: Columns): readonly (readonly RecordHeader[])[] {
  const [key, value] = (nodeOf(columns, "headers") as ListNode).element.leaves as readonly [BytesLeaf, BytesLeaf];
  const rows: RecordHeader[][] = [];
  let keys = 0;
  let values = 0;
  for (let slot = 0; slot < key.slots; slot += 1) {
    if (key.reps[slot] === 0) rows.push([]);
    if (key.defs[slot] !== key.maxDef) continue; // The row has no headers.
    const isPresent = value.defs[slot] === value.maxDef;
    rows.at(-1)?.push({ key: key.at(keys), value: isPresent ? value.at(values) : null });
    keys += 1;
    if (isPresent) values += 1;
  }
  return rows;
}

function nodeOf(columns: Columns, name: string): StructNode["fields"][number]["node"] {
  const field = columns.root.fields.find((each) => each.name === name);
  if (field === undefined) throw new Error(`no column ${name}`);
  return field.node;
}
