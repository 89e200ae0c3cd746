/**
 * Proves: `format_version: 3` makes tables of version 3 and brings tables of version 2 up to it while they are written to; every
 * snapshot takes its rows' ids from the table's counter, over several rounds, joined manifests and lost races, and no row has
 * the id of another.
 */
import { describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { manifestsOf } from "../../src/table/commit/table-files.ts";
import { readManifest } from "../../src/table/iceberg/manifest.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import { withRowIds } from "../../src/table/iceberg/row-ids.ts";
import type { WriteMode } from "../../src/table/settings.ts";
import { Lake } from "../support/lake.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const merge = { isEnabled: true, countMin: 3, bytesTarget: 1 << 20 };
const upsert: WriteMode = { write: "upsert", key: ["id"], envelope: "none", opField: "op", tombstone: "delete" };

async function produce(lake: Lake, topic: ReturnType<Lake["topic"]>, ids: readonly number[]): Promise<void> {
  await lake.produce(
    topic,
    0,
    ids.map((id) => ({ key: utf8(String(id)), value: utf8(`{"id":"${id}"}`) })),
  );
}

async function metadataOf(lake: Lake): Promise<TableMetadata> {
  const loaded = await lake.foreign().load(orders);
  if (loaded === undefined) throw new Error("the table is gone");
  return loaded.metadata;
}

/** Of the live rows of the current snapshot, as a reader gives them ids. */
async function rowIds(lake: Lake): Promise<readonly number[]> {
  const metadata = await metadataOf(lake);
  const current = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
  const ids: number[] = [];
  for (const file of await manifestsOf(lake.warehouse, current)) {
    const { entries, properties } = await readManifest(await lake.warehouse.read(file.path), file.path, table);
    expect(["2", "3"]).toContain(properties.get("format-version"));
    expect(file.firstRowId === null).toBe(file.content === "deletes");
    for (const { status, content, firstRowId, file: data } of withRowIds(file, entries)) {
      if (status === "deleted" || content !== "data") continue;
      expect(firstRowId).not.toBeNull();
      for (let row = 0; row < data.recordCount; row += 1) ids.push((firstRowId ?? 0) + row);
    }
  }
  return ids;
}

function requireCounter(metadata: TableMetadata): void {
  let next: number | undefined;
  const inOrder = metadata.snapshots.toSorted((a, b) => a["sequence-number"] - b["sequence-number"]);
  for (const { "first-row-id": first, "added-rows": added } of inOrder) {
    if (first === undefined) continue; // From before the upgrade.
    if (next !== undefined) expect(first).toBe(next);
    next = first + (added ?? 0);
  }
  expect(metadata["next-row-id"]).toBe(next);
}

describe("a table of version 3", () => {
  test.each([
    ["append", tableSettings("json", { formatVersion: 3, expire: { keepMs: 1e12, keepMin: 3 } })],
    ["upsert", tableSettings("json", { formatVersion: 3, mode: upsert, expire: { keepMs: 1e12, keepMin: 3 } })],
  ])("%s", async (_name, settings) => {
    const lake = new Lake(7);
    const topic = lake.topic("orders", 1);
    // Several rounds a commit, and manifests that are joined.
    const { compactor } = lake.open([settings], { roundBytesMax: 150, readBytesMax: 100, merge });
    for (let turn = 0; turn < 6; turn += 1) {
      for (let batch = 0; batch < 3; batch += 1) await produce(lake, topic, [turn, batch, turn * 10 + batch]);
      await compactor.flush("orders");
    }
    const metadata = await metadataOf(lake);
    expect(metadata["format-version"]).toBe(3);
    requireCounter(metadata);
    const ids = await rowIds(lake);
    expect(ids.length).toBeGreaterThan(40);
    expect(new Set(ids).size).toBe(ids.length);
    await compactor[Symbol.asyncDispose]();
  });

  test("ids that a snapshot took stay, whoever commits between", async () => {
    const lake = new Lake(8);
    const topic = lake.topic("orders", 1);
    const settings = tableSettings("json", { formatVersion: 3 });
    const { compactor } = lake.open([settings], { merge });
    await produce(lake, topic, [1, 2, 3]);
    await compactor.flush("orders");
    const before = await rowIds(lake);
    let isLost = false;
    const answer = async (method: string, path: string, response: Response): Promise<Response> => {
      if (isLost || method !== "POST" || !path.endsWith("/orders")) return response;
      isLost = true;
      throw new TypeError("the answer was lost"); // The commit happened.
    };
    lake.hooks = { ...lake.hooks, answer };
    await produce(lake, topic, [4, 5]);
    await compactor.flush("orders");
    expect(isLost).toBe(true);
    const after = await rowIds(lake);
    expect(after).toHaveLength(5);
    expect(after).toEqual(expect.arrayContaining([...before]));
    requireCounter(await metadataOf(lake));
    await compactor[Symbol.asyncDispose]();
  });
});

describe("a table of version 2", () => {
  test("is brought to version 3 when the settings say so, and all its rows get ids", async () => {
    const lake = new Lake(9);
    const topic = lake.topic("orders", 1);
    const before = tableSettings("json", { expire: { keepMs: 1e12, keepMin: 3 } });
    {
      await using compactor = lake.open([before], { merge }).compactor;
      for (const id of [1, 2]) {
        await produce(lake, topic, [id, id]);
        await compactor.flush("orders");
      }
    }
    expect(await metadataOf(lake)).toMatchObject({ "format-version": 2 });
    await using compactor = lake.open([{ ...before, formatVersion: 3 }], { merge }).compactor;
    await produce(lake, topic, [3]);
    await compactor.flush("orders");
    const metadata = await metadataOf(lake);
    expect(metadata["format-version"]).toBe(3);
    requireCounter(metadata);
    expect((await rowIds(lake)).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  });

  test("stays one by default, and one that somebody else upgraded is followed", async () => {
    const lake = new Lake(10);
    const topic = lake.topic("orders", 1);
    const { compactor } = lake.open([tableSettings("json")], { merge });
    await produce(lake, topic, [1, 2]);
    await compactor.flush("orders");
    expect(await metadataOf(lake)).toMatchObject({ "format-version": 2 });
    await lake.foreign().commit(orders, [], [{ action: "upgrade-format-version", "format-version": 3 }]);
    for (const id of [3, 4]) {
      await produce(lake, topic, [id]);
      await compactor.flush("orders");
    }
    const metadata = await metadataOf(lake);
    expect(metadata["format-version"]).toBe(3);
    requireCounter(metadata);
    expect((await rowIds(lake)).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    await compactor[Symbol.asyncDispose]();
  });
});
