/** Proves: the first snapshot that holds given records is named, whatever was committed in between by others or expired. */

import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import type { Snapshot, TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import { markName } from "../../../src/table/rounds.ts";
import { parsePlaces, snapshotAt } from "../../../src/table/tools/at-offset.ts";
import { sqlAt } from "../../../src/table/tools/at-sql.ts";
import { Lake } from "../../support/lake.ts";

const uuid = "0a0b0c0d-0000-4000-8000-000000000001";
const lake = new Lake(1);
const fileOfOffsets = `${lake.root}/offsets.json`;

function mark(offsets: Readonly<Record<string, number>> | string): string {
  const vector = typeof offsets === "string" ? { "offsets-file": offsets } : { offsets };
  return JSON.stringify({ cluster: uuid, table: uuid, generation: 1, epoch: 1, seq: 1, ...vector, wrote: [] });
}

/** Snapshots 1, 2, … of one line; null is a commit of somebody else. */
function table(marks: readonly (Readonly<Record<string, number>> | string | null)[], expired = 0): TableMetadata {
  const snapshots = marks.map((offsets, at) => ({
    "snapshot-id": BigInt(at + 1),
    ...(at === 0 ? {} : { "parent-snapshot-id": BigInt(at) }),
    "sequence-number": at + 1,
    "timestamp-ms": at * 1000,
    summary: { operation: "append", ...(offsets === null ? {} : { [markName]: mark(offsets) }) },
  }));
  return {
    "current-snapshot-id": BigInt(marks.length),
    snapshots: snapshots.slice(expired) as unknown as readonly Snapshot[],
  } as TableMetadata;
}

describe("the first snapshot that holds the records", () => {
  const grown = table([{ 0: 5 }, null, { 0: 9, 1: 3 }, { 0: 9, 1: 8 }, null, { 0: 20, 1: 8 }]);
  const at = (places: string, metadata = grown) =>
    snapshotAt(metadata, parsePlaces(places) ?? new Map(), lake.warehouse);

  test.each([
    ["0:0", 1n],
    ["0:4", 1n],
    ["0:5", 3n],
    ["0:8,1:2", 3n],
    ["1:3", 4n],
    ["0:9", 6n],
    ["0:19,1:0", 6n],
  ])("%s is %s", async (places, snapshotId) => {
    expect(await at(places)).toMatchObject({ kind: "snapshot", snapshotId, isFirst: true });
  });

  test("is none yet, or none at all", async () => {
    expect(await at("0:20")).toMatchObject({ kind: "not-yet" });
    expect(await at("7:0")).toMatchObject({ kind: "not-yet" });
    expect(await at("0:0", table([null]))).toEqual({ kind: "none" });
    expect(await at("0:0", table([]))).toEqual({ kind: "none" });
  });

  test("may have been one that was expired", async () => {
    const cut = table([{ 0: 5 }, { 0: 9 }, { 0: 20 }], 1);
    expect(await at("0:3", cut)).toMatchObject({ snapshotId: 2n, isFirst: false });
    expect(await at("0:9", cut)).toMatchObject({ snapshotId: 3n, isFirst: true });
  });

  // Older than six hours, only the last of each hour is kept: the line to main has holes.
  test("is found behind snapshots that were expired", async () => {
    const whole = table([{ 0: 5 }, { 0: 9 }, { 0: 12 }, { 0: 20 }, { 0: 30 }, { 0: 40 }]);
    const thinned = { ...whole, snapshots: whole.snapshots.filter((each) => each["snapshot-id"] % 2n === 0n) };
    expect(await at("0:8", thinned)).toMatchObject({ snapshotId: 2n, isFirst: false });
    expect(await at("0:10", thinned)).toMatchObject({ snapshotId: 4n, isFirst: false });
    expect(await at("0:19", thinned)).toMatchObject({ snapshotId: 4n, isFirst: false });
    expect(await at("0:39", thinned)).toMatchObject({ snapshotId: 6n, isFirst: false });
    const begun = { ...whole, snapshots: whole.snapshots.filter((each) => each["snapshot-id"] !== 4n) };
    expect(await at("0:8", begun)).toMatchObject({ snapshotId: 2n, isFirst: true });
    expect(await at("0:19", begun)).toMatchObject({ snapshotId: 5n, isFirst: false });
    expect(await at("0:35", begun)).toMatchObject({ snapshotId: 6n, isFirst: true });
  });

  test("is none of another table of ours", async () => {
    const own = table([{ 0: 5 }, { 0: 9 }]);
    const [first, last] = own.snapshots as [Snapshot, Snapshot];
    const summary = { operation: "append", [markName]: mark({ 0: 7 }).replace('"generation":1', '"generation":2') };
    const other = { ...first, "snapshot-id": 3n, summary };
    expect(await at("0:6", { ...own, snapshots: [other, last] })).toMatchObject({ snapshotId: 2n });
  });

  test("is found where its offsets are in a file of their own", async () => {
    await lake.warehouse.create(fileOfOffsets, Buffer.from(mark({ 0: 7 })));
    expect(await at("0:6", table([{ 0: 5 }, fileOfOffsets, { 0: 9 }]))).toMatchObject({ snapshotId: 2n });
  });
});

test("places are pairs of partition and offset, each partition once", () => {
  expect(parsePlaces("0:12, 3:0")).toEqual(
    new Map([
      [0, 13],
      [3, 1],
    ]),
  );
  for (const text of ["", "0", "0:", "a:1", "0:1,0:2", "0:-1", "0:1;1:1"])
    expect([text, parsePlaces(text)]).toEqual([text, undefined]);
});

test("SQL leaves out what the snapshot holds beyond the records, in each engine's spelling", () => {
  const common = { namespace: ["a", "b"], name: "t", snapshotId: 7n, columns: { partition: "_p", offset: "_o" } };
  const exact = sqlAt({
    ...common,
    wanted: new Map([[0, 5]]),
    offsets: new Map([
      [0, 5],
      [1, 9],
    ]),
  });
  expect(exact.spark).toBe("SELECT * FROM lake.`a`.`b`.`t` VERSION AS OF 7");
  const beyond = sqlAt({
    ...common,
    wanted: new Map([
      [0, 5],
      [1, 9],
    ]),
    offsets: new Map([
      [0, 6],
      [1, 9],
    ]),
  });
  expect(beyond.trino).toBe('SELECT * FROM lake."a.b"."t" FOR VERSION AS OF 7 WHERE NOT ("_p" = 0 AND "_o" >= 5)');
  expect(beyond.duckdb).toBe('SELECT * FROM lake."a.b"."t" AT (VERSION => 7) WHERE NOT ("_p" = 0 AND "_o" >= 5)');
});
