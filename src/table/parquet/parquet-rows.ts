/**
 * Rows of Parquet files, whoever wrote them, back into columns: read by DuckDB, which knows every encoding in the wild,
 * keeps every value exact and streams. Columns are found by field id at every level, as Iceberg wants it, so that names
 * do not matter; a file without ids is read by names.
 */
import { readFile } from "node:fs/promises";
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from "@duckdb/node-api";
import { sleep } from "../../base/async.ts";
import { CorruptData } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import { fixedBigintBytes } from "../iceberg/bounds.ts";
import type { Schema } from "../iceberg/types.ts";
import { quoted, sqlType, text } from "../tools/sql-words.ts";
import type { Leaf } from "../translate/leaf.ts";
import { type ColumnNode, Columns, putAbsent, putEmpty, type StructNode } from "./columns.ts";
import { ParquetReader, UnfitFile } from "./parquet-reader.ts";

/** DuckDB would floor an instant of nanoseconds: such a file is read by our own reader, which wants field ids. */
async function* nanosecondRows(path: string, columns: Columns, source: string): AsyncIterable<Columns> {
  const reader = new ParquetReader(await readFile(path), source);
  for (let group = 0; group < reader.rowGroups; group += 1) {
    columns.clear();
    try {
      reader.readInto(columns, group);
    } catch (cause) {
      if (!(cause instanceof UnfitFile)) throw cause;
      throw new CorruptData({ source, position: 0, expected: "a file of the table's schema", found: cause.message });
    }
    yield columns;
  }
}

export interface EngineLimits {
  readonly engineBytesMax: number;
  readonly engineThreads: number;
}

/** Put into columns before others get a turn: some 2 ms of a table of twenty columns. */
const sliceRows = 256;

/** DuckDB 1.5 keeps what it has read of files, and has given back what is not in them. Here each is read once. */
export const withoutFileCache = { enable_external_file_cache: "false" } as const;

export class ParquetRows implements AsyncDisposable {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #clock: Clock;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, clock: Clock) {
    this.#instance = instance;
    this.#connection = connection;
    this.#clock = clock;
  }

  static async open(options: { readonly clock: Clock; readonly limits: EngineLimits }): Promise<ParquetRows> {
    const { DuckDBInstance } = await import("@duckdb/node-api"); // Heavy: loaded when it is wanted.
    const instance = await DuckDBInstance.create(":memory:", {
      memory_limit: `${Math.floor(options.limits.engineBytesMax / 2 ** 20)}MiB`,
      threads: String(options.limits.engineThreads),
      // Files of others are read here: nothing in them may make it reach out.
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      ...withoutFileCache,
    });
    return new ParquetRows(instance, await instance.connect(), options.clock);
  }

  /**
   * The same columns again and again, some rows at a time; they are the caller's until it asks for more. `source` names
   * the file in errors. Throws CorruptData for what is no Parquet, or not of this schema.
   */
  async *read(path: string, schema: Schema, source: string): AsyncIterable<Columns> {
    const columns = new Columns(schema);
    if (columns.leaves.some(({ shape }) => shape.type.endsWith("_ns"))) {
      yield* nanosecondRows(path, columns, source);
      return;
    }
    const file = await this.#guard(source, () => this.#fileSchema(path));
    const puts = columns.root.fields.map((field) => topLevelPut(field, file, source));
    const names = puts.flatMap(({ name }) => (name === undefined ? [] : [name]));
    const selected = names.length === 0 ? "1" : names.map(quoted).join(", ");
    const sql = `SELECT ${selected} FROM read_parquet(${text(path)}, hive_partitioning = false)`;
    const result = await this.#guard(source, () => this.#connection.stream(sql));
    for (;;) {
      const chunk = await this.#guard(source, () => result.fetchChunk());
      if (chunk === null || chunk.rowCount === 0) return;
      const vectors = chunk.getColumns();
      for (let from = 0; from < chunk.rowCount; from += sliceRows) {
        columns.clear();
        for (let row = from; row < Math.min(chunk.rowCount, from + sliceRows); row += 1) {
          let vector = 0;
          for (const { name, put } of puts) {
            put(name === undefined ? null : vectors[vector]?.[row], 0);
            if (name !== undefined) vector += 1;
          }
          columns.endRow();
        }
        yield columns;
        await sleep(this.#clock, 0);
      }
    }
  }

  /** Whether the file's columns are those of the schema: ids, names and types at every level, in this order. */
  async isOfSchema(path: string, schema: Schema, source: string): Promise<boolean> {
    const file = await this.#guard(source, () => this.#fileSchema(path));
    if (!isSameTree(new Columns(schema).root, file)) return false;
    const wanted = schema.fields.map((field) => `NULL::${sqlType(field.type)}`).join(", ");
    const selected = `SELECT * FROM read_parquet(${text(path)}, hive_partitioning = false)`;
    return (await this.#typesOf(selected, source)) === (await this.#typesOf(`SELECT ${wanted}`, source));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  /** In the engine's own spelling. */
  async #typesOf(query: string, source: string): Promise<string> {
    const reader = await this.#guard(source, () => this.#connection.runAndReadAll(`DESCRIBE ${query}`));
    return reader
      .getRows()
      .map(([, type]) => String(type))
      .join("\n");
  }

  async #fileSchema(path: string): Promise<FileNode> {
    const sql = `SELECT name, coalesce(num_children, 0)::INTEGER, field_id::INTEGER FROM parquet_schema(${text(path)})`;
    const rows = (await this.#connection.runAndReadAll(sql)).getRows() as unknown as readonly SchemaRow[];
    let at = 0;
    const node = (): FileNode => {
      const [name, count, id] = rows[at] as SchemaRow;
      at += 1;
      return { name, id: id ?? undefined, children: Array.from({ length: count }, node) };
    };
    return node();
  }

  /** DuckDB throws plain errors, with what it found wrong. */
  async #guard<T>(source: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      throw new CorruptData({ source, position: 0, expected: "a readable Parquet file", found: cause.message });
    }
  }
}

type SchemaRow = readonly [name: string, children: number, id: number | null];

interface FileNode {
  readonly name: string;
  readonly id: number | undefined;
  readonly children: readonly FileNode[];
}

type Put = (value: DuckDBValue | undefined, rep: number) => void;

function topLevelPut(field: StructNode["fields"][number], file: FileNode, source: string) {
  const found = childOf(file, field, !hasIds(file));
  if (found !== undefined) return { name: found.name, put: putOf(field.node, found, source) };
  if (field.node.required) {
    throw new CorruptData({ source, position: 0, expected: `the column ${field.name}`, found: "none" });
  }
  return { name: undefined, put: putOf(field.node, undefined, source) };
}

/** Names and ids; the groups that Parquet puts around items have none of their own. */
function isSameTree(node: ColumnNode, file: FileNode | undefined): boolean {
  if (file === undefined || (node.id !== 0 && file.id !== node.id)) return false;
  const [repeated] = file.children;
  switch (node.kind) {
    case "leaf":
      return file.children.length === 0;
    case "struct":
      return (
        file.children.length === node.fields.length &&
        node.fields.every((field, at) => {
          const child = file.children[at];
          return child?.name === field.name && isSameTree(field.node, child);
        })
      );
    case "list":
      return repeated?.children.length === 1 && isSameTree(node.element, repeated.children[0]);
    case "map":
      return isSameTree(node.key, repeated?.children[0]) && isSameTree(node.value, repeated?.children[1]);
  }
}

function hasIds(node: FileNode): boolean {
  return node.id !== undefined || node.children.some(hasIds);
}

function childOf(file: FileNode, field: StructNode["fields"][number], byName: boolean): FileNode | undefined {
  return file.children.find((child) => (byName ? child.name === field.name : child.id === field.node.id));
}

function putOf(node: ColumnNode, file: FileNode | undefined, source: string): Put {
  if (file === undefined) return (_value, rep) => putAbsent(node, rep);
  const put = presentPut(node, file, source);
  return (value, rep) => {
    if (value === null || value === undefined) putAbsent(node, rep);
    else put(value, rep);
  };
}

function presentPut(node: ColumnNode, file: FileNode, source: string): Put {
  switch (node.kind) {
    case "leaf":
      return leafPut(node.leaf, source);
    case "struct": {
      const byName = !file.children.some(hasIds);
      const fields = node.fields.map((field) => {
        const child = childOf(file, field, byName);
        return { name: child?.name ?? "", put: putOf(field.node, child, source) };
      });
      return (value, rep) => {
        const { entries } = value as { readonly entries: Readonly<Record<string, DuckDBValue>> };
        for (const { name, put } of fields) put(entries[name] ?? null, rep);
      };
    }
    case "list": {
      const [repeated] = file.children;
      // Lists of three levels, and of two as old writers made them.
      const isWrapper = repeated?.children.length === 1 && repeated.id === undefined;
      const item = putOf(node.element, isWrapper ? repeated.children[0] : repeated, source);
      return (value, rep) => {
        const { items } = value as { readonly items: readonly DuckDBValue[] };
        if (items.length === 0) putEmpty(node, rep);
        for (let at = 0; at < items.length; at += 1) item(items[at], at === 0 ? rep : node.rep);
      };
    }
    case "map": {
      const [keyFile, valueFile] = file.children[0]?.children ?? [];
      const [putKey, putItem] = [putOf(node.key, keyFile, source), putOf(node.value, valueFile, source)];
      return (value, rep) => {
        const { entries } = value as { readonly entries: readonly { key: DuckDBValue; value: DuckDBValue }[] };
        if (entries.length === 0) putEmpty(node, rep);
        for (let at = 0; at < entries.length; at += 1) {
          putKey(entries[at]?.key, at === 0 ? rep : node.rep);
          putItem(entries[at]?.value, at === 0 ? rep : node.rep);
        }
      };
    }
  }
}

function leafPut(leaf: Leaf, source: string): Put {
  const unfit = (value: unknown): CorruptData => {
    const found = typeof value === "object" && value !== null ? value.constructor.name : typeof value;
    return new CorruptData({
      source,
      position: 0,
      expected: `${leaf.shape.path.join(".")}: ${leaf.shape.type}`,
      found,
    });
  };
  switch (leaf.kind) {
    case "boolean":
      return (value, rep) => leaf.put(rep, value as boolean);
    case "float":
    case "double":
      return (value, rep) => leaf.put(rep, value as number);
    case "int32":
    case "int64":
      return (value, rep) => {
        const whole = wholeNumberOf(value);
        if (whole === undefined) throw unfit(value);
        if (leaf.kind === "int32") leaf.put(rep, Number(whole));
        else leaf.putBigInt(rep, BigInt(whole));
      };
    case "bytes":
      return (value, rep) => {
        if (typeof value === "string") leaf.putString(rep, value);
        else {
          const bytes = bytesOf(value);
          if (bytes === undefined) throw unfit(value);
          leaf.put(rep, bytes, 0, bytes.length);
        }
      };
    case "fixed":
      return (value, rep) => {
        const whole = wholeNumberOf(value);
        const bytes = whole === undefined ? bytesOf(value) : fixedBigintBytes(BigInt(whole), leaf.width);
        if (bytes?.length !== leaf.width) throw unfit(value);
        leaf.put(rep, bytes, 0);
      };
  }
}

/** Integers, and what DuckDB makes of dates, times, timestamps and decimals. */
function wholeNumberOf(value: unknown): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value !== "object" || value === null) return undefined;
  if ("scale" in value && "value" in value) return value.value as bigint;
  if ("micros" in value) return value.micros as bigint;
  return "days" in value && !("months" in value) ? (value.days as number) : undefined;
}

/** Of blobs and UUIDs. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if ("bytes" in value) return value.bytes as Uint8Array;
  if (!("toUint128" in value)) return undefined;
  const number = (value.toUint128 as () => bigint).call(value);
  return Buffer.from(number.toString(16).padStart(32, "0"), "hex");
}
