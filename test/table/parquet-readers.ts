/** Three readers of Parquet by other people, behind one face: bytes in, rows of plain values out, nulls as null. */
import { rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Table, tableFromIPC } from "apache-arrow";
import { type FileMetaData, type ParquetParsers, parquetMetadata, parquetReadObjects } from "hyparquet";
import { readParquet } from "parquet-wasm/node";

export type Row = Record<string, unknown>;

const compressors = { ZSTD: (input: Uint8Array): Uint8Array => new Uint8Array(zstdDecompressSync(input)) };

export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer;
}

export function readFooter(bytes: Uint8Array): FileMetaData {
  return parquetMetadata(bufferOf(bytes));
}

export async function readByHyparquet(bytes: Uint8Array): Promise<readonly Row[]> {
  return await parquetReadObjects({ file: bufferOf(bytes), compressors, utf8: false });
}

/** Times as the integers that they are, bytes as bytes. */
const rawParsers = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  dateFromDays: (days: number) => days,
  uuidFromBytes: (bytes: Uint8Array) => bytes,
} as unknown as ParquetParsers;

export async function readRawByHyparquet(bytes: Uint8Array): Promise<readonly Row[]> {
  return await parquetReadObjects({ file: bufferOf(bytes), compressors, utf8: false, parsers: rawParsers });
}

/** Arrow's own vectors: what is not asked for is not converted. */
export function readByArrow(bytes: Uint8Array): Table {
  const table: Table = tableFromIPC(readParquet(bytes).intoIPCStream());
  return table;
}

/** Runs the SQL with $file standing for the written file. */
export async function queryByDuckDb(bytes: Uint8Array, sql: string): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "inlet-parquet-"));
  const path = join(directory, "file.parquet");
  writeFileSync(path, bytes);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(sql.replaceAll("$file", `'${path}'`));
    return reader.getRowObjects();
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(directory, { recursive: true });
  }
}
