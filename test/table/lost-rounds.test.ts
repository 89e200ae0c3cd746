/** Proves: a pending round whose files are lost is translated again under its own seq; without its records a person decides. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import { expiredSnapshots } from "../../src/table/commit/expire.ts";
import { Lake } from "../support/lake.ts";
import { verifyReport } from "../support/verified.ts";
import { emptyTable, snapshot, withSnapshots } from "./iceberg/tables.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const json = (id: number) => ({ value: utf8(JSON.stringify({ id })) });

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-lost-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Two rounds are pending, since the catalog was away, and the first one's manifest is gone. */
async function withLostRound(seed: number) {
  const lake = new Lake(seed);
  const topic = lake.topic("orders", 1);
  const { compactor, metadata } = lake.open([tableSettings("json")], {
    commitRetry: { delayMsMin: 0, delayMsMax: 1, attemptsMax: 1 },
  });
  await lake.produce(topic, 0, [json(0)]);
  await compactor.flush("orders");
  const { hooks } = lake;
  const away = async (method: string, path: string) => {
    if (method === "POST" && path.endsWith("/orders")) throw new TypeError("connection refused");
  };
  lake.hooks = { ...hooks, request: away };
  for (const id of [1, 2]) {
    await lake.produce(topic, 0, [json(id)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/did not go through/);
  }
  lake.hooks = hooks;
  const pending = () => [...metadata.image.tables()][0]?.pending ?? [];
  const seqs = pending().map((round) => round.seq);
  await lake.warehouse.remove([pending()[0]?.main?.location ?? ""]);
  return { lake, topic, compactor, pending, seqs, metadata };
}

test("the round takes its own place, and the rounds after it follow", async () => {
  const { lake, compactor, pending, seqs, metadata } = await withLostRound(1);
  const replaced: number[] = [];
  metadata.onPropose = (events) => {
    for (const event of events) if (event.kind === "replace-table-round") replaced.push(event.seq);
  };
  expect(seqs).toHaveLength(2);
  await compactor.flush("orders");
  expect(replaced).toEqual([seqs[0]]);
  expect(pending()).toEqual([]);
  expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  await compactor[Symbol.asyncDispose]();
});

test("when its records have left the log, the table is paused and says what is missing", async () => {
  const { lake, topic, compactor } = await withLostRound(2);
  lake.partition(topic, 0).logStart = 2 as Offset;
  await expect(compactor.flush("orders")).rejects.toThrow(/is gone; partition 0 begins at 2 by now/);
  const [table] = compactor.tables();
  expect(table?.table?.state).toBe("paused");
  await compactor[Symbol.asyncDispose]();
});

test("a person may let it go on without them; verify counts them as what they are", async () => {
  const { lake, topic, compactor, metadata } = await withLostRound(3);
  lake.partition(topic, 0).logStart = 2 as Offset;
  await expect(compactor.flush("orders")).rejects.toThrow(/is gone; partition 0 begins at 2 by now/);
  await compactor.resume("orders", "accept");
  expect([...metadata.image.tables()][0]).toMatchObject({ state: "running", pending: [] });
  await lake.produce(topic, 0, [json(3)]);
  await compactor.flush("orders");
  expect(await lake.places(orders)).toEqual(["0:0", "0:2", "0:3"]);
  const report = await verifyReport(lake, compactor, { settings: tableSettings("json"), directory });
  expect(report).toMatchObject({ verdict: "equal", rows: 3 });
  expect(report.ranges.reduce((sum, { others }) => sum + others, 0)).toBe(1);
  await compactor[Symbol.asyncDispose]();
});

test("a snapshot that took files out stays as long as older ones may, so that its files can be freed with it", () => {
  const hour = 3_600_000;
  const line = [1, 2, 3, 4].map((id) =>
    snapshot(BigInt(id), id === 1 ? null : BigInt(id - 1), id, {
      timestampMs: 100 * hour + id,
      summary: { operation: id === 2 ? "replace" : "append", "inlet.committed": "x" },
    }),
  );
  const table = withSnapshots(emptyTable, line);
  // Of one hour only the newest stays; the replace stays beside it.
  expect(expiredSnapshots(table, { keepMs: 24 * hour, keepMin: 1 }, 110 * hour)).toEqual([1n, 3n]);
  expect(expiredSnapshots(table, { keepMs: hour, keepMin: 1 }, 110 * hour)).toEqual([1n, 2n, 3n]);
});
