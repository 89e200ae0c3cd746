/** PostgreSQL, or a service that speaks its protocol. The URL holds a password: it is put into no error and no log. */
import type { Pool, QueryResult } from "pg";
import { OperationFailed } from "../src/base/errors.ts";
import type { Row, SqlDatabase, SqlDeps } from "./sql-database.ts";

/** A broker's tables commit one after another, at most a few at a time. */
const connectionsMax = 4;

/** SQLSTATE classes after which a statement may have happened all the same: connection, operator intervention, system, internal. */
const unclearClasses: ReadonlySet<string> = new Set(["08", "40003", "57P", "58", "XX"]);

export async function openPostgres(url: string, deps: SqlDeps): Promise<SqlDatabase> {
  const { Pool } = await import("pg");
  const { requestMsMax, logger } = deps;
  const pool = new Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: requestMsMax,
    query_timeout: requestMsMax,
    keepAlive: true,
    application_name: "inlet",
  });
  // The next request opens another. The error itself would carry the client, and with it the password.
  pool.on("error", (cause) => logger.warn("a connection to the catalog's database ended", { reason: cause.message }));
  return new Postgres(pool);
}

class Postgres implements SqlDatabase {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async query(sql: string, values: readonly string[] = []): Promise<readonly Row[]> {
    return (await this.#run(sql, values)).rows;
  }

  async change(sql: string, values: readonly string[] = []): Promise<number> {
    return (await this.#run(sql, values)).rowCount ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  async #run(sql: string, values: readonly string[]): Promise<QueryResult<Row>> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw new OperationFailed(`the catalog's database cannot be reached: ${reasonOf(cause)}`, { happened: "no" });
    });
    const ended = (): void => undefined; // The query fails with it; an event that nobody hears would end the process.
    client.on("error", ended);
    let isBroken = true;
    try {
      let position = 0;
      const text = sql.replaceAll("?", () => `$${++position}`);
      const answer = await client.query<Row>({ text, values: [...values] });
      isBroken = false;
      return answer;
    } catch (cause) {
      const state = stateOf(cause);
      isBroken = isUnclear(state);
      const happened = isBroken ? "maybe" : "no";
      throw new OperationFailed(`the catalog's database failed: ${reasonOf(cause)}`, { happened });
    } finally {
      client.off("error", ended);
      client.release(isBroken); // A connection whose answer is still to come serves nobody else.
    }
  }
}

/** The server's own word about the statement; undefined: it said nothing. */
function stateOf(cause: unknown): string | undefined {
  const { code, severity } = cause as { readonly code?: unknown; readonly severity?: unknown };
  return typeof code === "string" && typeof severity === "string" ? code : undefined;
}

function isUnclear(state: string | undefined): boolean {
  return state === undefined || [...unclearClasses].some((prefix) => state.startsWith(prefix));
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}
