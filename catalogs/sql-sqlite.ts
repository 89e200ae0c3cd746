/** A SQLite file, for catalogs on one machine: other processes may use it at the same time. Answers are never lost. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { sleep } from "../src/base/async.ts";
import { OperationFailed } from "../src/base/errors.ts";
import type { Row, SqlDatabase, SqlDeps } from "./sql-database.ts";

/** SQLite's result codes (sqlite.org/rescode.html); the low byte is the primary one. */
const busyCodes: ReadonlySet<number> = new Set([5, 6]);
/** Its own waiting would hold the event loop: we ask again after this time. */
const busyWaitMs = 20;

export async function openSqlite(path: string, deps: SqlDeps): Promise<SqlDatabase> {
  const { DatabaseSync } = await import("node:sqlite");
  try {
    return new Sqlite(new DatabaseSync(path, { timeout: 0 }), path, deps);
  } catch (cause) {
    throw new OperationFailed(`SQLite database ${path} cannot be opened`, { happened: "no", cause });
  }
}

class Sqlite implements SqlDatabase {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #deps: SqlDeps;

  constructor(database: DatabaseSync, path: string, deps: SqlDeps) {
    this.#database = database;
    this.#path = path;
    this.#deps = deps;
  }

  query(sql: string, values: readonly SQLInputValue[] = []): Promise<readonly Row[]> {
    return this.#whenFree(() => this.#database.prepare(sql).all(...values));
  }

  change(sql: string, values: readonly SQLInputValue[] = []): Promise<number> {
    return this.#whenFree(() => Number(this.#database.prepare(sql).run(...values).changes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close();
  }

  /** A statement that met a lock did nothing, and is safe to repeat. */
  async #whenFree<T>(statement: () => T): Promise<T> {
    const { clock, requestMsMax } = this.#deps;
    const end = clock.monotonic() + requestMsMax;
    for (;;) {
      try {
        return statement();
      } catch (cause) {
        const code = (cause as { readonly errcode?: unknown }).errcode;
        const isBusy = typeof code === "number" && busyCodes.has(code & 0xff);
        if (!isBusy || clock.monotonic() >= end) {
          // A failed statement is rolled back, whatever made it fail.
          throw new OperationFailed(`SQLite database ${this.#path} refused a statement`, { happened: "no", cause });
        }
      }
      await sleep(clock, busyWaitMs);
    }
  }
}
