/** SQL over tables that were brought here as local files: DuckDB, which then can reach nothing else. */
import { OperationFailed } from "../../base/errors.ts";
import type { Schema } from "../iceberg/types.ts";
import { type EngineLimits, withoutFileCache } from "../parquet/parquet-rows.ts";
import { quoted, sqlType, text } from "./sql-words.ts";

export interface SqlTable {
  /** "a.b" of table a.b.c. */
  readonly namespace: string;
  readonly name: string;
  readonly schema: Schema;
  /** Paths of Parquet files of the schema. */
  readonly files: readonly string[];
}

export interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** In JSON's words; what JSON has no exact number for is text. */
  readonly rows: readonly (readonly unknown[])[];
  /** There are more. */
  readonly isCut: boolean;
}

/** Throws OperationFailed with the engine's words. */
export async function runSql(
  query: string,
  tables: readonly SqlTable[],
  options: { readonly limits: EngineLimits; readonly rowsMax: number; readonly signal: AbortSignal },
): Promise<SqlAnswer> {
  const { DuckDBInstance, StatementType } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", {
    memory_limit: `${Math.floor(options.limits.engineBytesMax / 2 ** 20)}MiB`,
    threads: String(options.limits.engineThreads),
    temp_directory: "", // Nothing spills: what does not fit is refused.
    ...withoutFileCache,
  });
  const connection = await instance.connect();
  const interrupt = (): void => connection.interrupt();
  options.signal.addEventListener("abort", interrupt, { once: true });
  try {
    for (const table of tables) {
      await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoted(table.namespace)}`);
      await connection.run(`CREATE VIEW ${quoted(table.namespace)}.${quoted(table.name)} AS ${scanOf(table)}`);
    }
    const allowed = tables.flatMap(({ files }) => files.map(text)).join(", ");
    await connection.run(
      `SET allowed_paths = [${allowed}]; SET enable_external_access = false; SET lock_configuration = true`,
    );
    const statements = await connection.extractStatements(query);
    if (statements.count !== 1) throw refusal("one statement at a time");
    const statement = await statements.prepare(0);
    if (statement.statementType !== StatementType.SELECT) throw refusal("only queries: SELECT, WITH, VALUES");
    const reader = await statement.streamAndReadUntil(options.rowsMax + 1);
    const rows = reader.getRowsJson();
    const types = reader.columnTypes();
    return {
      columns: reader.columnNames().map((name, at) => ({ name, type: String(types[at]) })),
      rows: rows.slice(0, options.rowsMax),
      isCut: rows.length > options.rowsMax,
    };
  } catch (cause) {
    if (cause instanceof OperationFailed || !(cause instanceof Error)) throw cause;
    throw new OperationFailed(cause.message, { happened: "no", cause });
  } finally {
    options.signal.removeEventListener("abort", interrupt);
    connection.closeSync();
    instance.closeSync();
  }
}

function scanOf({ files, schema }: SqlTable): string {
  if (files.length > 0) return `SELECT * FROM read_parquet([${files.map(text).join(", ")}], hive_partitioning = false)`;
  const columns = schema.fields.map((field) => `NULL::${sqlType(field.type)} AS ${quoted(field.name)}`);
  return `SELECT ${columns.join(", ")} WHERE false`;
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
