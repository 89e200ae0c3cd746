/**
 * Proves: the metadata log in a real PostgreSQL obeys the contract; connections that are cut at any moment, a server that
 * crashes and one that was put back to an older state change nothing that was answered; and no password is ever told.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OperationFailed } from "../src/base/errors.ts";
import type { Seq } from "../src/base/ids.ts";
import { systemRuntime } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";
import { type CasLog, EntriesForgotten, LogNotEmpty } from "../src/metadata/cas-log.ts";
import { chained, genesisHash } from "../src/metadata/entry-format.ts";
import { openPostgresLog } from "../src/metadata/postgres-log.ts";
import { casLogContract } from "../test/metadata/cas-log-contract.ts";
import {
  appendAll,
  appendSurely,
  checkpointAt,
  entryOf,
  opIds,
  readAll,
  upTo,
  uuidOf,
} from "../test/metadata/contract/world.ts";
import { SimRandom } from "../test/sim/random.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";

let directory: string;
let server: PostgresServer;
let clusters = 0;
const told: string[] = [];
const note = (...what: unknown[]): void => void told.push(inspect(what, { depth: 20, showHidden: true }));
const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-postgres-"));
  server = await startPostgres({ directory });
}, 300_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function open(cluster: string, through?: number): Promise<CasLog> {
  const url = server.url({ cluster });
  const by = through === undefined ? url : url.replace(`:${server.port}/`, `:${through}/`);
  return openPostgresLog({ url: by, logger, requestMsMax: 5_000 });
}

async function withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

casLogContract("PostgreSQL", async () => {
  clusters += 1;
  const cluster = `contract ${clusters}`;
  const handles: CasLog[] = [];
  const openOne = async (): Promise<CasLog> => {
    const log = await open(cluster);
    handles.push(log);
    return log;
  };
  const tables = ["heads", "entries", "checkpoints"].map((name) => `inlet_metadata_${name}`);
  return {
    open: openOne,
    restart: openOne,
    backUp: () =>
      withClient(async (client) => {
        for (const table of tables) {
          await client.query(`DROP TABLE IF EXISTS backup_${table}`);
          await client.query(`CREATE TABLE backup_${table} AS SELECT * FROM ${table} WHERE cluster = '${cluster}'`);
        }
        return () =>
          withClient(async (client) => {
            for (const table of tables) {
              await client.query(`DELETE FROM ${table} WHERE cluster = '${cluster}'`);
              await client.query(`INSERT INTO ${table} SELECT * FROM backup_${table}`);
            }
          });
      }),
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: async () => {
      for (const handle of handles) await handle[Symbol.asyncDispose]();
    },
  };
});

/** Between a node and the server: cuts connections as it is told, in the middle of what they carry. */
async function proxy(
  cuts: (fromServer: boolean, bytes: Buffer) => boolean,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const listener: Server = createServer((near) => {
    const far = createConnection(server.port, "127.0.0.1");
    const pass = (from: Socket, to: Socket, fromServer: boolean): void => {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.on("data", (bytes) => {
        if (!cuts(fromServer, bytes)) to.write(bytes);
        else if (fromServer)
          near.resetAndDestroy(); // The server has done it; nobody is told.
        else far.end(bytes, () => near.resetAndDestroy()); // The server will do it, when the node has given up.
      });
    };
    pass(near, far, false);
    pass(far, near, true);
  });
  await new Promise<void>((listening) => listener.listen(0, "127.0.0.1", listening));
  return {
    port: (listener.address() as { readonly port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => listener.close(closed));
    },
  };
}

describe("connections", () => {
  test("that are cut before or after a commit, again and again, double and lose nothing", async () => {
    let cut = 0;
    for (const seed of upTo(12)) {
      const random = new SimRandom(seed);
      let isCalm = true;
      const cuts = (fromServer: boolean): boolean => {
        if (isCalm || !random.chance(fromServer ? 0.15 : 0.1)) return false;
        cut += 1;
        return true;
      };
      await using between = await proxy(cuts);
      const cluster = `cut ${seed}`;
      await using log = await open(cluster, between.port);
      await using calm = await open(cluster);
      isCalm = false;
      const seqs: number[] = [];
      for (const i of upTo(20)) seqs.push(await appendSurely(log, entryOf(i)));
      expect(seqs, `seed ${seed}`).toEqual(upTo(20));
      expect(opIds(await readAll(calm)), `seed ${seed}`).toEqual(upTo(20).map(uuidOf));
      isCalm = true;
    }
    expect(cut).toBeGreaterThan(30);
  });

  test("a first try that still commits makes its repeat wait, and stand once", async () => {
    await using log = await open("slow");
    await using other = await open("slow");
    await appendAll(log, 1, 1);
    await withClient(async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT 1 FROM inlet_metadata_heads WHERE cluster = 'slow' FOR UPDATE");
      const [one, two] = [log.append(entryOf(2)), other.append(entryOf(2))]; // Both wait for the row.
      await client.query("COMMIT");
      expect(await one).toEqual({ kind: "ok", seq: 2 });
      expect(await two).toEqual({ kind: "ok", seq: 2 });
    });
    expect(await readAll(log)).toHaveLength(2);
  });

  test("a statement that waits too long is unknown, and its repeat settles it", async () => {
    await using log = await openPostgresLog({ url: server.url({ cluster: "late" }), logger, requestMsMax: 300 });
    await withClient(async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT 1 FROM inlet_metadata_heads WHERE cluster = 'late' FOR UPDATE");
      expect((await log.append(entryOf(1))).kind).toBe("unknown");
      await client.query("COMMIT");
    });
    expect(await appendSurely(log, entryOf(1))).toBe(1);
    expect(await readAll(log)).toHaveLength(1);
  });
});

describe("the server", () => {
  test("that crashes has every entry that it answered, and the log goes on over new connections", async () => {
    await using log = await open("crash");
    for (const round of upTo(3)) {
      await appendAll(log, round * 10 - 9, round * 10);
      await checkpointAt(log, round * 10);
      await server.crash();
    }
    expect(await appendSurely(log, entryOf(31))).toBe(31);
    expect((await log.readCheckpoint())?.seq).toBe(30);
  });

  test("takes the log of a rebuilt cluster, once, and what is before its beginning counts as forgotten", async () => {
    await using log = await openPostgresLog({ url: server.url({ cluster: "rebuilt" }), logger, requestMsMax: 5_000 });
    const entry = chained(entryOf(1), 5000 as Seq, genesisHash);
    const beginning = { entry, previousHash: genesisHash, image: new Uint8Array(3_000_000).fill(7) };
    await log.begin(beginning);
    await expect(log.begin(beginning)).rejects.toThrow(LogNotEmpty);
    await using node = await open("rebuilt");
    expect((await node.readCheckpoint())?.image).toHaveLength(3_000_000);
    expect(await appendSurely(node, entryOf(2))).toBe(5001);
    expect(opIds(await readAll(log, 5000))).toEqual([1, 2].map(uuidOf));
    await expect(node.read(4999 as Seq, 10)).rejects.toThrow(EntriesForgotten);
  });

  test("holds several clusters side by side", async () => {
    await using one = await open("one");
    await using two = await open("two");
    await appendAll(one, 1, 3);
    await appendAll(two, 11, 12);
    expect(opIds(await readAll(one))).toEqual([1, 2, 3].map(uuidOf));
    expect(opIds(await readAll(two))).toEqual([11, 12].map(uuidOf));
  });

  test("may give a role without the right to make tables what it needs", async () => {
    await using _first = await open("roles");
    await withClient(async (client) => {
      await client.query("CREATE ROLE worker LOGIN PASSWORD 'worker'");
      await client.query("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker");
    });
    const url = `postgres://worker:worker@127.0.0.1:${server.port}/postgres?cluster=roles`;
    await using log = await openPostgresLog({ url, logger, requestMsMax: 5_000 });
    await appendAll(log, 1, 10);
    for (const seq of [5, 8, 10]) await checkpointAt(log, seq);
    expect((await log.readCheckpoint())?.seq).toBe(10);
  });

  test("is refused when it is a standby, or does not know us; no error holds a password", async () => {
    const errors: unknown[] = [];
    const wrong = server.url().replace(encodeURIComponent(server.password), "mistyped-secret");
    for (const url of [wrong, server.url().replace("/postgres?", "/nowhere?"), `${server.url()}sslmode=maybe`]) {
      const cause = await openPostgresLog({ url, logger, requestMsMax: 2_000 }).catch((failure: unknown) => failure);
      expect(cause).toBeInstanceOf(OperationFailed);
      errors.push(cause);
    }
    note(errors);
    expect(told.length).toBeGreaterThan(0);
    for (const text of told)
      for (const secret of [server.password, encodeURIComponent(server.password), "mistyped-secret"])
        expect(text.includes(secret), "a secret is told").toBe(false);
  });
});
