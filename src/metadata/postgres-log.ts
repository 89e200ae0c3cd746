/**
 * The metadata log in PostgreSQL, or a service that speaks its protocol.
 *
 *   inlet_metadata_heads        (cluster) seq, hash        the newest entry; one row a cluster
 *   inlet_metadata_entries      (cluster, seq) entry       whole entries (entry-format.ts)
 *   inlet_metadata_checkpoints  (cluster, seq, page) bytes the file of checkpoint-file.ts, in pages
 *
 * An append is one statement: it moves the head from the seq and hash that the writer knows, and adds the entry if that was so.
 * Writers queue on the head's row, so a repeat waits for a first try whose connection was cut while it committed, and then
 * finds the head moved. The head never goes back by itself: a server that was restored from a backup, or a standby that lagged
 * and took over, does not have the hash that is asked for.
 */
import type { ClientBase, Pool, PoolClient, QueryResult } from "pg";
import { joined } from "../base/bytes.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { MiB } from "../base/settings.ts";
import type { Logger } from "../base/telemetry.ts";
import type { Checkpoint } from "./cas-log.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint-file.ts";
import { type ChainedEntry, decodeEntry, genesisHash } from "./entry-format.ts";
import { type PostgresAddress, postgresAddress } from "./postgres-address.ts";
import { type SlotEntry, SlotLog, type Slots } from "./slot-log.ts";

export interface PostgresLogOptions {
  /** postgres://user:password@host:port/database?cluster=..&sslmode=..; never put into an error or a log. */
  readonly url: string;
  readonly logger: Logger;
  /** Of one statement, its wait for a lock and a connection included. What takes longer counts as "maybe". */
  readonly requestMsMax: number;
}

/** Makes the tables if they are missing. Throws OperationFailed when the server cannot be used. */
export async function openPostgresLog(options: PostgresLogOptions): Promise<SlotLog> {
  const address = postgresAddress(options.url);
  const { Pool } = await import("pg"); // Loaded when a cluster uses it.
  const { requestMsMax, logger } = options;
  const pool = new Pool({
    ...address.connection,
    max: connectionsMax,
    connectionTimeoutMillis: requestMsMax,
    query_timeout: requestMsMax,
    keepAlive: true,
    application_name: "inlet",
    onConnect: (client) => prepare(client, requestMsMax), // oxlint-disable-line typescript/no-misused-promises -- the pool awaits it; its types are behind
  });
  // The next request opens another. The error itself would carry the client, and with it the password.
  pool.on("error", (cause) => logger.warn("a connection to the metadata database ended", { reason: reasonOf(cause) }));
  const slots = new PostgresSlots(pool, address);
  try {
    await slots.makeTables();
  } catch (cause) {
    await pool.end();
    throw cause;
  }
  return new SlotLog(slots, address.name);
}

/** One for the append in flight, the others for readers and a checkpoint. */
const connectionsMax = 4;
/** A row of a checkpoint: far below the gigabyte that a value may have, and a small part of the memory of a node. */
const pageBytes = 1 * MiB;
/** Rows that are asked for at a time: an entry may have a megabyte. */
const rowsMax = 100;

/** On each new connection. Settings come by a statement, since poolers in between drop those that come with the start. */
async function prepare(client: ClientBase, requestMsMax: number): Promise<void> {
  const { rows } = await client.query<{ readonly standby: boolean; readonly durable: string }>(
    "SELECT pg_is_in_recovery() AS standby, current_setting('synchronous_commit') AS durable",
  );
  const [found] = rows;
  if (found?.standby !== false) throw new Error("the server is a standby: its end of the log may be old");
  const settings: [name: string, value: string][] = [
    ["statement_timeout", String(requestMsMax)],
    ["lock_timeout", String(requestMsMax)],
    ["idle_in_transaction_session_timeout", String(requestMsMax)],
  ];
  if (["off", "local"].includes(found.durable)) settings.push(["synchronous_commit", "on"]);
  for (const setting of settings) await client.query("SELECT set_config($1, $2, false)", setting);
}

class PostgresSlots implements Slots {
  readonly #pool: Pool;
  readonly #address: PostgresAddress;

  constructor(pool: Pool, address: PostgresAddress) {
    this.#pool = pool;
    this.#address = address;
  }

  /** A role without the right to create tables can be used once another has made them. */
  async makeTables(): Promise<void> {
    const tables = ["inlet_metadata_heads", "inlet_metadata_entries", "inlet_metadata_checkpoints"];
    const missing = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL";
    const { rowCount } = await this.#query(missing, [tables]);
    // The lock ends with the batch, which is one transaction: two nodes that make the same table at once would fail.
    if (rowCount !== 0) await this.#query(`SELECT pg_advisory_xact_lock(${makingLock}); ${makeTables}`);
    await this.#query("INSERT INTO inlet_metadata_heads VALUES ($1, 0, $2) ON CONFLICT DO NOTHING", [
      this.#address.cluster,
      genesisHash,
    ]);
  }

  async put(entry: SlotEntry): ReturnType<Slots["put"]> {
    const { rowCount } = await this.#query(
      `WITH moved AS (
         UPDATE inlet_metadata_heads SET seq = $2, hash = $3
         WHERE cluster = $1 AND seq = $2 - 1 AND hash = $4 RETURNING cluster)
       INSERT INTO inlet_metadata_entries (cluster, seq, entry) SELECT cluster, $2, $5 FROM moved`,
      [this.#address.cluster, entry.seq, entry.hash, entry.previousHash, entry.bytes],
    );
    return rowCount === 1 ? "created" : "taken";
  }

  async begin(entry: SlotEntry): Promise<boolean> {
    const { rowCount } = await this.#query(
      `WITH moved AS (UPDATE inlet_metadata_heads SET seq = $2, hash = $3 WHERE cluster = $1 AND seq = 0 RETURNING cluster)
       INSERT INTO inlet_metadata_entries (cluster, seq, entry) SELECT cluster, $2, $4 FROM moved`,
      [this.#address.cluster, entry.seq, entry.hash, entry.bytes],
    );
    return rowCount === 1;
  }

  async read(from: Seq, entriesMax: number): ReturnType<Slots["read"]> {
    const entries: ChainedEntry[] = [];
    for (;;) {
      const next = from + entries.length;
      const limit = Math.min(rowsMax, entriesMax - entries.length);
      // The head comes along from the same snapshot: it tells an end from entries that were deleted.
      const { rows } = await this.#query<{
        readonly head: string;
        readonly seq: string | null;
        readonly entry: Buffer;
      }>(
        `SELECT h.seq AS head, e.seq, e.entry FROM inlet_metadata_heads h
         LEFT JOIN inlet_metadata_entries e ON e.cluster = h.cluster AND e.seq >= $2
         WHERE h.cluster = $1 ORDER BY e.seq LIMIT $3`,
        [this.#address.cluster, next, limit],
      );
      const head = Number(rows[0]?.head ?? 0);
      const found = rows.filter(({ seq }) => seq !== null);
      if (head >= next && Number(found[0]?.seq ?? 0) !== next) return "forgotten";
      entries.push(...found.map(({ entry, seq }) => decodeEntry(entry, `${this.#address.name}, entry ${seq}`)));
      if (found.length < limit || entries.length >= entriesMax) return entries;
    }
  }

  async checkpoints(): Promise<readonly Seq[]> {
    const { rows } = await this.#query<{ readonly seq: string }>(
      "SELECT seq FROM inlet_metadata_checkpoints WHERE cluster = $1 AND page = 0 ORDER BY seq",
      [this.#address.cluster],
    );
    return rows.map(({ seq }) => Number(seq) as Seq);
  }

  async readCheckpoint(seq: Seq): Promise<Checkpoint | undefined> {
    const pages: Uint8Array[] = [];
    for (;;) {
      const { rows } = await this.#query<{ readonly bytes: Buffer }>(
        "SELECT bytes FROM inlet_metadata_checkpoints WHERE cluster = $1 AND seq = $2 AND page = $3",
        [this.#address.cluster, seq, pages.length],
      );
      if (rows[0] === undefined) break;
      pages.push(rows[0].bytes);
    }
    return pages.length === 0 ? undefined : decodeCheckpoint(joined(pages), `${this.#address.name}, checkpoint ${seq}`);
  }

  /** All pages become visible at once. */
  async putCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const pages = [...pagesOf(encodeCheckpoint(checkpoint))];
    await this.#transaction(async (client) => {
      for (const [page, bytes] of pages.entries())
        await client.query("INSERT INTO inlet_metadata_checkpoints VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", [
          this.#address.cluster,
          checkpoint.seq,
          page,
          bytes,
        ]);
    });
  }

  async forget({ checkpoints, upTo }: Parameters<Slots["forget"]>[0]): Promise<void> {
    const { cluster } = this.#address;
    await this.#query("DELETE FROM inlet_metadata_checkpoints WHERE cluster = $1 AND seq = ANY($2::bigint[])", [
      cluster,
      checkpoints,
    ]);
    await this.#query("DELETE FROM inlet_metadata_entries WHERE cluster = $1 AND seq <= $2", [cluster, upTo]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  #query<Row extends object>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    // Without values several statements may stand in one text, and are one transaction.
    const asked = values === undefined ? { text } : { text, values: [...values] };
    return this.#operation(() => this.#pool.query<Row>(asked));
  }

  #transaction(work: (client: PoolClient) => Promise<void>): Promise<void> {
    return this.#operation(async () => {
      const client = await this.#pool.connect();
      try {
        await client.query("BEGIN");
        await work(client);
        await client.query("COMMIT");
        client.release();
      } catch (cause) {
        client.release(true); // Closing it rolls back, and nobody inherits what is open.
        throw cause;
      }
    });
  }

  /** What the database or the way to it says becomes a failed operation. */
  async #operation<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw new OperationFailed(`${this.#address.name}: ${reasonOf(cause)}`, { happened: "maybe", cause });
    }
  }
}

/** Any number of our own, so that it is not somebody else's. */
const makingLock = 1_229_867_348;

const makeTables = `
  CREATE TABLE IF NOT EXISTS inlet_metadata_heads (
    cluster text PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL);
  CREATE TABLE IF NOT EXISTS inlet_metadata_entries (
    cluster text, seq bigint, entry bytea NOT NULL, PRIMARY KEY (cluster, seq));
  CREATE TABLE IF NOT EXISTS inlet_metadata_checkpoints (
    cluster text, seq bigint, page integer, bytes bytea NOT NULL, PRIMARY KEY (cluster, seq, page))`;

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? ` (${cause.code})` : "";
  return `${cause.message}${code}`;
}

/** Of no more than so many bytes each; none is copied. */
function* pagesOf(views: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const view of views) for (let at = 0; at < view.length; at += pageBytes) yield view.subarray(at, at + pageBytes);
}
