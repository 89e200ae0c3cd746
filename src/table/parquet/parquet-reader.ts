/**
 * Reads Parquet data files, ours and those of other writers, back into columns, by field id and without a change to any
 * value: pages are decoded by hyparquet, but nothing is converted and no row is put together. Floats travel as bits, so that
 * a NaN keeps its payload; 64-bit integers as two words.
 *
 *   file ─▶ footer ─▶ row group ─▶ column chunk ─▶ page: levels, values ─▶ leaf (leaf.ts)
 */
import { brotliDecompressSync, crc32, gunzipSync } from "node:zlib";
import { parquetMetadata, parquetSchema } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage, readDataPage, readDataPageV2 } from "hyparquet/src/datapage.js";
import { readPlain } from "hyparquet/src/plain.js";
import { assert, CorruptData } from "../../base/errors.ts";
import { inflateZstd } from "../../protocol/zstd.ts";
import type { Columns } from "./columns.ts";
import {
  type LeafSource,
  leafSource,
  type PathElement,
  type Repetition,
  type TablePath,
  tablePaths,
} from "./parquet-levels.ts";
import { compilePut, type RawValues, rawType } from "./parquet-values.ts";

type Metadata = ReturnType<typeof parquetMetadata>;
type ChunkMetadata = NonNullable<Metadata["row_groups"][number]["columns"][number]["meta_data"]>;
type SchemaTree = ReturnType<typeof parquetSchema>;
type PageHeader = ReturnType<typeof parquetHeader>;
type ColumnDecoder = Parameters<typeof readDataPageV2>[2];

/** Of one row group: more would not fit into the arrays of a leaf. */
const rowsMax = 2 ** 31 - 1;

/** The file is whole, but holds what cannot become a row of this table as it is. */
export class UnfitFile extends Error {
  override readonly name = "UnfitFile";
}

export class ParquetReader {
  readonly #bytes: Uint8Array;
  readonly #source: string;
  readonly #metadata: Metadata;
  readonly #columns: readonly FileColumn[];

  /** Throws CorruptData when there is no footer. The bytes are borrowed for the life of the reader. */
  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = bytes;
    this.#source = source;
    this.#metadata = this.#guarded(() => parquetMetadata(bytes as unknown as ArrayBuffer));
    this.#columns = this.#guarded(() => fileColumns(parquetSchema(this.#metadata)));
  }

  get rowGroups(): number {
    return this.#metadata.row_groups.length;
  }

  get rows(): number {
    return this.#metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  }

  /** Appends the rows of a row group. Throws CorruptData, or UnfitFile; the columns are to be thrown away then. */
  readInto(columns: Columns, rowGroup: number): number {
    const group = this.#metadata.row_groups[rowGroup];
    assert(group !== undefined, "there is such a row group");
    const rows = Number(group.num_rows);
    if (!(rows >= 0 && rows <= rowsMax)) throw this.#corrupt("a count of rows", String(rows));
    const elements = this.#columns.map((column) => column.elements);
    for (const path of tablePaths(columns.root)) {
      const source = leafSource(path, elements);
      if (source === "misfit") throw new UnfitFile(`${this.#source} does not hold field ${path.leaf.shape.id}`);
      if (source.column === undefined) {
        for (let row = 0; row < rows; row += 1) path.leaf.levels.none(0, 0);
      } else {
        this.#readLeaf(path, source, rowGroup, rows);
      }
    }
    columns.endRows(rows);
    return rows;
  }

  #readLeaf(path: TablePath, source: LeafSource, rowGroup: number, rows: number): void {
    const column = this.#columns[source.column as number] as FileColumn;
    const meta = this.#metadata.row_groups[rowGroup]?.columns[source.column as number]?.meta_data;
    if (meta === undefined) throw this.#corrupt("metadata of a column chunk", "none");
    if (meta.type !== column.tree.element.type)
      throw this.#corrupt(`a chunk of ${column.tree.element.type}`, meta.type);
    const put = source.isSame ? compilePut(path.leaf, column.tree.element) : undefined;
    if (source.isSame && put === undefined) {
      throw new UnfitFile(`${this.#source}: field ${path.leaf.shape.id} is ${meta.type}, not ${path.leaf.shape.type}`);
    }
    const begun = { slots: path.leaf.slots };
    let rowsRead = 0;
    const defMax = column.elements.filter(({ repetition }) => repetition !== "required").length;
    for (const page of this.#pages(column, meta)) {
      const { defs, reps, values, count } = page;
      let value = 0;
      for (let slot = 0; slot < count; slot += 1) {
        const rep = reps.length === 0 ? 0 : (reps[slot] as number);
        const fileDef = defs === undefined || defs.length === 0 ? defMax : (defs[slot] as number);
        const isValue = fileDef === defMax;
        if (rep === 0) rowsRead += 1;
        if (rep <= source.repMax) {
          const def = source.defs[fileDef];
          if (def === undefined) throw this.#corrupt(`a definition level up to ${defMax}`, String(fileDef));
          if (def < 0) throw new UnfitFile(`${this.#source} lacks a value of field ${path.leaf.shape.id}`);
          if (isValue && put !== undefined && value < values.length) put(values, value, rep);
          else path.leaf.levels.none(rep, def);
        }
        if (isValue) value += 1;
      }
      if (value > values.length) throw this.#corrupt(`${value} values in a page`, String(values.length));
    }
    const isFlat = path.leaf.maxRep === 0 && path.leaf.slots - begun.slots !== rows;
    if (rowsRead !== rows || isFlat) throw this.#corrupt(`${rows} rows`, `${rowsRead} rows`);
  }

  *#pages(column: FileColumn, meta: ChunkMetadata): Iterable<Page> {
    const dictionaryAt = Number(meta.dictionary_page_offset ?? 0);
    const dataAt = Number(meta.data_page_offset);
    const start = dictionaryAt > 0 ? Math.min(dictionaryAt, dataAt) : dataAt;
    const end = start + Number(meta.total_compressed_size);
    if (start < 0 || end > this.#bytes.length) throw this.#corrupt("a column chunk inside the file", `${start}-${end}`);
    const chunk = this.#bytes.subarray(start, end);
    const reader = { view: viewOf(chunk), offset: 0 };
    const decoder = decoderOf(column, meta);
    let dictionary: RawValues | undefined;
    let left = Number(meta.num_values);
    while (left > 0) {
      if (reader.offset >= chunk.length) throw this.#corrupt(`${left} more values`, "the end of the column chunk");
      const header = this.#guarded(() => headerOf(reader));
      const body = chunk.subarray(reader.offset, reader.offset + header.compressed_page_size);
      reader.offset += header.compressed_page_size;
      // A wrong byte here would be written on as if it were right: what has a checksum is checked.
      if (header.crc !== undefined && crc32(body) >>> 0 !== Number(header.crc) >>> 0) {
        throw this.#corrupt("a page as its checksum says", `another one at ${start + reader.offset}`);
      }
      if (header.type === "DICTIONARY_PAGE") {
        dictionary = this.#guarded(() => dictionaryOf(header, body, decoder));
      } else if (header.type !== "INDEX_PAGE") {
        const page = this.#guarded(() => pageOf(header, body, decoder, dictionary));
        left -= page.count;
        yield page;
      }
    }
  }

  /** hyparquet throws errors of many kinds on bytes that are no Parquet. */
  #guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof CorruptData) throw cause;
      throw this.#corrupt("Parquet", cause instanceof Error ? cause.message : String(cause));
    }
  }

  #corrupt(expected: string, found: string): CorruptData {
    return new CorruptData({ source: this.#source, position: 0, expected, found });
  }
}

/** Sizes that go backwards would never end. */
function headerOf(reader: Parameters<typeof parquetHeader>[0]): PageHeader {
  const header = parquetHeader(reader);
  const described = header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header;
  for (const size of [header.compressed_page_size, header.uncompressed_page_size, described?.num_values ?? 0]) {
    if (typeof size !== "number" || size < 0) throw new TypeError(`a page header with ${String(size)}`);
  }
  return header;
}

interface FileColumn {
  readonly tree: SchemaTree;
  /** From the root down. */
  readonly trees: readonly SchemaTree[];
  /** Without the root. */
  readonly elements: readonly PathElement[];
}

interface Page {
  /** Slots. */
  readonly count: number;
  /** undefined or empty: every slot has a value. */
  readonly defs: readonly number[] | undefined;
  readonly reps: readonly number[];
  readonly values: RawValues;
}

function fileColumns(root: SchemaTree): readonly FileColumn[] {
  const columns: FileColumn[] = [];
  const visit = (tree: SchemaTree, above: readonly SchemaTree[]): void => {
    const trees = [...above, tree];
    if (tree.children.length > 0) for (const child of tree.children) visit(child, trees);
    else columns.push({ tree, trees, elements: trees.slice(1).map(({ element }) => elementOf(element)) });
  };
  for (const child of root.children) visit(child, [root]);
  return columns;
}

function elementOf(element: SchemaTree["element"]): PathElement {
  const repetition = (element.repetition_type ?? "REQUIRED").toLowerCase() as Repetition;
  // A repeated group has no id of its own (rule A1), whatever some writer gave it.
  return { id: repetition === "repeated" ? undefined : (element.field_id ?? -1), repetition };
}

function decoderOf(column: FileColumn, meta: ChunkMetadata): ColumnDecoder {
  return {
    pathInSchema: meta.path_in_schema,
    type: rawType(meta.type),
    element: column.tree.element,
    schemaPath: [...column.trees],
    codec: meta.codec,
    compressors,
    parsers: {} as ColumnDecoder["parsers"], // Nothing is converted.
  };
}

function dictionaryOf(header: PageHeader, body: Uint8Array, decoder: ColumnDecoder): RawValues {
  const count = header.dictionary_page_header?.num_values ?? 0;
  const bytes = decompressPage(body, header.uncompressed_page_size, decoder.codec, decoder.compressors);
  return readPlain({ view: viewOf(bytes), offset: 0 }, decoder.type, count, decoder.element.type_length);
}

function pageOf(header: PageHeader, body: Uint8Array, decoder: ColumnDecoder, dictionary: RawValues | undefined): Page {
  const first = header.data_page_header;
  const second = header.data_page_header_v2;
  const described = header.type === "DATA_PAGE" ? first : second;
  if (described === undefined) throw new TypeError(`a page of type ${header.type} without its header`);
  const page =
    header.type === "DATA_PAGE" && first !== undefined
      ? readDataPage(decompressPage(body, header.uncompressed_page_size, decoder.codec, compressors), first, decoder)
      : readDataPageV2(body, header, decoder);
  const isIndexed = described.encoding.endsWith("_DICTIONARY");
  if (isIndexed && dictionary === undefined) throw new TypeError("a dictionary's indexes without a dictionary");
  const values = isIndexed ? chosen(dictionary as RawValues, page.dataPage) : page.dataPage;
  if (!isOfType(values, decoder.type)) throw new TypeError(`${described.encoding} gives no ${decoder.type}`);
  return { count: described.num_values, defs: page.definitionLevels, reps: page.repetitionLevels, values };
}

/** A wrong encoding gives values of another kind, and all of them. */
function isOfType(values: RawValues, type: ColumnDecoder["type"]): boolean {
  if (values.length === 0) return true;
  const kinds = { BOOLEAN: "boolean", INT32: "number", INT64: "bigint" } as const;
  if (type === "BOOLEAN" || type === "INT32" || type === "INT64") return typeof values[0] === kinds[type];
  return values[0] instanceof Uint8Array;
}

/** Typed arrays stay typed: a 64-bit value is taken apart by its memory. */
function chosen(dictionary: RawValues, indexes: RawValues): RawValues {
  const count = indexes.length;
  const values: RawValues =
    dictionary instanceof BigInt64Array
      ? new BigInt64Array(count)
      : dictionary instanceof Int32Array
        ? new Int32Array(count)
        : Array.from<unknown>({ length: count });
  for (let at = 0; at < count; at += 1) {
    const value: unknown = dictionary[Number(indexes[at])];
    if (value === undefined)
      throw new TypeError(`index ${String(indexes[at])} in a dictionary of ${dictionary.length}`);
    (values as unknown[])[at] = value;
  }
  return values;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Snappy is hyparquet's own. */
const compressors: NonNullable<ColumnDecoder["compressors"]> = {
  ZSTD: (bytes, length) => ownBytes(inflateZstd(bytes, Math.max(1, length))),
  GZIP: (bytes, length) => ownBytes(gunzipSync(bytes, { maxOutputLength: Math.max(1, length) })),
  BROTLI: (bytes, length) => ownBytes(brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, length) })),
};

function ownBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
