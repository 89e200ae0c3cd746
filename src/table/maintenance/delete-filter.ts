/**
 * Which rows of a data file delete files have taken away. Filled from the delete files that a plan found to apply
 * (delete-scope.ts); asked row group by row group. Pure, apart from what it remembers.
 *
 *   deletion vector   row numbers of one file          takes those rows
 *   position delete   (file path, row number)          takes that row
 *   equality delete   values of some columns, seq d    takes every row with them from files with a data sequence below d
 */
import { assert } from "../../base/errors.ts";
import { decodeVector } from "../iceberg/deletion-vector.ts";
import type { IcebergType, NestedField, Schema } from "../iceberg/types.ts";
import { Columns } from "../parquet/columns.ts";
import { ParquetReader, UnfitFile } from "../parquet/parquet-reader.ts";
import type { Leaf } from "../translate/leaf.ts";

export type DeleteInput = DeleteFileInput | VectorInput;

export interface VectorInput {
  readonly kind: "deletion-vector";
  readonly path: string;
  /** Of the vector alone. */
  readonly bytes: Uint8Array;
  readonly dataFile: string;
  /** That the data file has. */
  readonly rows: number;
}

export interface DeleteFileInput {
  readonly kind: "position-deletes" | "equality-deletes";
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sequence: number;
  /** Of an equality delete, else empty. */
  readonly equalityIds: readonly number[];
  /** Whose rows alone an equality delete takes. Absent: those of all files that are asked about. */
  readonly partition?: string | undefined;
}

/** Reserved ids of the spec's position delete files. */
const filePathId = 2147483546;
const positionId = 2147483545;

const positionSchema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: filePathId, name: "file_path", required: true, type: "string" },
    { id: positionId, name: "pos", required: true, type: "long" },
  ],
};

interface Equality {
  readonly ids: readonly number[];
  readonly partition: string | undefined;
  /** By the text of the values, the greatest sequence number that deletes them. */
  readonly keys: Map<string, number>;
}

export class DeleteFilter {
  readonly #schema: Schema;
  /** By data file, ascending. */
  readonly #vectors = new Map<string, Float64Array>();
  readonly #positions = new Map<string, { readonly sequence: number; readonly position: number }[]>();
  readonly #equalities = new Map<string, Equality>();

  /** `schema` of the rows that will be asked about. */
  constructor(schema: Schema) {
    this.#schema = schema;
  }

  get isEmpty(): boolean {
    return this.#vectors.size === 0 && this.#positions.size === 0 && this.#equalities.size === 0;
  }

  /** The columns that it compares; what it is asked about need not have others. */
  get keySchema(): Schema {
    return prunedTo(
      this.#schema,
      [...this.#equalities.values()].flatMap(({ ids }) => ids),
    );
  }

  /** Throws CorruptData or UnfitFile; the filter is to be thrown away then. */
  add(input: DeleteInput): void {
    if (input.kind === "deletion-vector") {
      this.#vectors.set(input.dataFile, decodeVector(input.bytes, input.path, input.rows));
      return;
    }
    const reader = new ParquetReader(input.bytes, input.path);
    const schema = input.kind === "position-deletes" ? positionSchema : prunedTo(this.#schema, input.equalityIds);
    const columns = new Columns(schema);
    for (let group = 0; group < reader.rowGroups; group += 1) {
      reader.readInto(columns, group);
      if (input.kind === "position-deletes") this.#addPositions(columns, input.sequence);
      else this.#addKeys(columns, input);
      columns.clear();
    }
  }

  /** 1 where a row stays; undefined when all do. `firstRow`: the number of the first of these rows in its file. */
  keeps(
    columns: Columns,
    at: {
      readonly path: string;
      readonly sequence: number;
      readonly firstRow: number;
      readonly partition?: string | undefined;
    },
  ): Uint8Array | undefined {
    if (this.isEmpty) return undefined;
    const keeps = new Uint8Array(columns.rows).fill(1);
    const vector = this.#vectors.get(at.path) ?? new Float64Array();
    for (let index = firstFrom(vector, at.firstRow); index < vector.length; index += 1) {
      const row = (vector[index] as number) - at.firstRow;
      if (row >= columns.rows) break;
      keeps[row] = 0;
    }
    for (const { sequence, position } of this.#positions.get(at.path) ?? []) {
      const row = position - at.firstRow;
      if (sequence >= at.sequence && row >= 0 && row < columns.rows) keeps[row] = 0;
    }
    for (const { ids, partition, keys } of this.#equalities.values()) {
      if (partition !== undefined && partition !== at.partition) continue;
      const texts = keysOf(columns, ids);
      for (let row = 0; row < columns.rows; row += 1) {
        const deletedAt = keys.get(texts[row] as string);
        if (deletedAt !== undefined && at.sequence < deletedAt) keeps[row] = 0;
      }
    }
    return keeps.includes(0) ? keeps : undefined;
  }

  #addPositions(columns: Columns, sequence: number): void {
    const [paths, positions] = columns.leaves;
    assert(paths?.kind === "bytes", "a path is text");
    assert(positions?.kind === "int64", "a position is a long");
    for (let row = 0; row < columns.rows; row += 1) {
      const path = Buffer.from(paths.at(row)).toString("utf8");
      const found = { sequence, position: Number(positions.at(row)) };
      const known = this.#positions.get(path);
      if (known === undefined) this.#positions.set(path, [found]);
      else known.push(found);
    }
  }

  #addKeys(columns: Columns, { equalityIds, sequence, partition }: DeleteFileInput): void {
    const ids = [...equalityIds].sort((a, b) => a - b);
    const reach = `${ids.join()} ${partition ?? ""}`;
    const equality = this.#equalities.get(reach) ?? { ids, partition, keys: new Map<string, number>() };
    this.#equalities.set(reach, equality);
    for (const text of keysOf(columns, ids)) {
      equality.keys.set(text, Math.max(sequence, equality.keys.get(text) ?? 0));
    }
  }
}

/** Where in an ascending array numbers from `least` on begin. */
function firstFrom(numbers: Float64Array, least: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Only the fields with these ids, and what they stand in. */
function prunedTo(schema: Schema, ids: readonly number[]): Schema {
  const wanted = new Set(ids);
  const fields = pruned(schema.fields, wanted);
  // A column that was dropped still decides what its delete takes away, but we do not have its type any more.
  if (wanted.size > 0) throw new UnfitFile(`a delete by field ${[...wanted].join()}, which the table has not`);
  return { ...schema, fields };
}

/** Takes the ids that it finds out of `wanted`. */
function pruned(fields: readonly NestedField[], wanted: Set<number>): readonly NestedField[] {
  return fields.flatMap((field) => {
    if (wanted.delete(field.id)) return [field];
    if (!isStruct(field.type)) return [];
    const inner = pruned(field.type.fields, wanted);
    return inner.length === 0 ? [] : [{ ...field, type: { ...field.type, fields: inner } }];
  });
}

function isStruct(type: IcebergType): type is Extract<IcebergType, { readonly type: "struct" }> {
  return typeof type === "object" && type.type === "struct";
}

/** The values of the columns with these ids as one text a row. No two tuples share one, and null is a value. */
function keysOf(columns: Columns, ids: readonly number[]): readonly string[] {
  const cursors = ids.map((id) => {
    const leaf = columns.leaves.find((each) => each.shape.id === id);
    if (leaf === undefined || leaf.maxRep > 0) throw new UnfitFile(`a delete by field ${id}, which is no column`);
    return { leaf, value: 0 };
  });
  return Array.from({ length: columns.rows }, (_, row) => {
    let key = "";
    for (const cursor of cursors) {
      if (cursor.leaf.defs[row] !== cursor.leaf.maxDef) {
        key += "n;";
        continue;
      }
      const text = textAt(cursor.leaf, cursor.value);
      key += `${text.length}:${text};`;
      cursor.value += 1;
    }
    return key;
  });
}

function textAt(leaf: Leaf, index: number): string {
  switch (leaf.kind) {
    case "boolean":
    case "int32":
    case "float":
    case "double":
      return String(leaf.values[index]); // -0.0 and 0.0 are one value here, as they are one to SQL.
    case "int64":
      return `${leaf.words[index * 2]},${leaf.words[index * 2 + 1]}`;
    case "bytes":
    case "fixed":
      return Buffer.from(leaf.at(index)).toString("latin1");
  }
}
