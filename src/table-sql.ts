/** Answers SQL over the tables of this broker, each with the end of its topic that is not committed yet. */
import { Gate } from "./base/async.ts";
import { OperationFailed } from "./base/errors.ts";
import type { Clock } from "./base/runtime.ts";
import type { Topic } from "./metadata/image.ts";
import type { ToolAnswer } from "./server/table-tool-routes.ts";
import { type EngineLimits, ParquetRows } from "./table/parquet/parquet-rows.ts";
import { tableName } from "./table/table-state.ts";
import { runSql, type SqlTable } from "./table/tools/sql.ts";
import { readTable, type TableReadDeps } from "./table/tools/table-read.ts";
import type { KnownTable } from "./table-tools.ts";

export interface SqlDeps extends Omit<TableReadDeps, "rows"> {
  readonly clock: Clock;
  readonly engine: EngineLimits;
  readonly rowsMax: number;
  /** Tables that have been made. */
  tables(): readonly (KnownTable & { readonly topic: Topic })[];
}

export class SqlDesk {
  readonly #deps: SqlDeps;
  /** One query at a time has the engine's memory and the disk. */
  readonly #gate = new Gate(1);

  constructor(deps: SqlDeps) {
    this.#deps = deps;
  }

  async answer(query: string, signal: AbortSignal): Promise<ToolAnswer> {
    if (query.trim() === "") return { kind: "invalid", reason: "no query was given" };
    try {
      return { kind: "ok", detail: await this.#gate.run(() => this.#run(query, signal)) };
    } catch (cause) {
      if (cause instanceof OperationFailed) return { kind: "refused", reason: cause.message };
      throw cause;
    }
  }

  async #run(query: string, signal: AbortSignal): Promise<unknown> {
    const { engine, rowsMax } = this.#deps;
    await using rows = await ParquetRows.open({ clock: this.#deps.clock, limits: engine });
    await using opened = new AsyncDisposableStack();
    const tables: SqlTable[] = [];
    const read: unknown[] = [];
    for (const table of this.#deps.tables()) {
      const { namespace, name } = tableName(table.settings, table.info.generation);
      // More than are meant may be: a name inside a text costs time, not truth.
      if (!query.toLowerCase().includes(name.toLowerCase())) continue;
      const found = await readTable(table, { ...this.#deps, rows });
      for (const file of found.files) opened.use(file);
      const sqlName = { namespace: namespace.join("."), name };
      tables.push({ ...sqlName, schema: found.schema, files: found.files.map(({ path }) => path) });
      read.push({
        table: [...namespace, name].join("."),
        snapshotId: found.snapshotId === -1n ? null : String(found.snapshotId),
        rowsNotCommitted: found.tail.rows,
        notCommitted: found.tail.ranges,
      });
    }
    const answer = await runSql(query, tables, { limits: engine, rowsMax, signal });
    return { ...answer, tables: read };
  }
}
