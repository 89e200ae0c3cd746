/** Proves: ListOffsets finds the very record (kafka.md 5.5), in compressed batches too, and nothing outside the readable log. */
import { describe, expect, test } from "vitest";
import { type Compression, compressions } from "../../src/protocol/record-batch.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { at, PartitionWorld } from "../support/owned-partition.ts";

/** Batches of records with these timestamps. */
async function worldOf(
  batches: readonly (readonly number[])[],
  compression: Compression = "none",
): Promise<PartitionWorld> {
  const world = await PartitionWorld.open();
  world.stream.batchesPerRange = 2;
  for (const timestamps of batches) {
    const records = timestamps.map((timestamp) => ({ timestamp, key: null, value: null }));
    await world.append(buildBatch({ records, compression }));
  }
  return world;
}

//                     0    1    2     3    4     5    6    7     8
const history = [[100, 300, 200], [150, 250], [400, 400, 100], [50]];

describe.each(compressions)("with %s", (compression) => {
  test.each([
    [0, { offset: 0, timestamp: 100 }],
    [100, { offset: 0, timestamp: 100 }],
    [101, { offset: 1, timestamp: 300 }],
    [300, { offset: 1, timestamp: 300 }],
    [301, { offset: 5, timestamp: 400 }],
    [401, { offset: -1, timestamp: -1 }],
  ])("the first at or after %i", async (timestamp, answer) => {
    const world = await worldOf(history, compression);
    expect(await world.partition.offsetFor({ kind: "at-or-after", timestamp }, "read-uncommitted")).toMatchObject(
      answer,
    );
  });

  test("the greatest timestamp, the first record of those that have it", async () => {
    const world = await worldOf(history, compression);
    const answer = { offset: 5, timestamp: 400, leaderEpoch: 1 };
    expect(await world.partition.offsetFor({ kind: "max-timestamp" }, "read-uncommitted")).toEqual(answer);
  });
});

test("records below the log start are not found", async () => {
  const world = await worldOf(history);
  await world.partition.deleteRecords(at(6));
  const find = (timestamp: number) => world.partition.offsetFor({ kind: "at-or-after", timestamp }, "read-uncommitted");
  expect(await find(0)).toMatchObject({ offset: 6, timestamp: 400 });
  await world.partition.deleteRecords(at(7));
  expect(await find(0)).toMatchObject({ offset: 7, timestamp: 100 });
  expect(await find(200)).toMatchObject({ offset: -1 });
  expect(await world.partition.offsetFor({ kind: "max-timestamp" }, "read-uncommitted")).toMatchObject({ offset: 7 });
});

test("records of an open transaction are not found by a read-committed search", async () => {
  const world = await worldOf([[100], [200]]);
  await world.append(
    buildBatch({
      records: [{ timestamp: 300, key: null, value: null }],
      isTransactional: true,
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
    }),
  );
  const query = { kind: "at-or-after", timestamp: 250 } as const;
  expect(await world.partition.offsetFor(query, "read-uncommitted")).toMatchObject({ offset: 2 });
  expect(await world.partition.offsetFor(query, "read-committed")).toMatchObject({ offset: -1 });
  expect(await world.partition.offsetFor({ kind: "latest" }, "read-committed")).toMatchObject({ offset: 2 });
  expect(await world.partition.offsetFor({ kind: "latest" }, "read-uncommitted")).toMatchObject({ offset: 3 });
});

test("an empty log has ends and no record", async () => {
  const world = await PartitionWorld.open();
  expect(await world.partition.offsetFor({ kind: "earliest" }, "read-committed")).toMatchObject({
    offset: 0,
    timestamp: -1,
  });
  expect(await world.partition.offsetFor({ kind: "max-timestamp" }, "read-committed")).toMatchObject({ offset: -1 });
});

test("append time is the time of every record of the batch", async () => {
  const world = await PartitionWorld.open({ config: { "message.timestamp.type": "LogAppendTime" } });
  await world.append(world.batch(3));
  const timestamp = world.clock.now();
  world.clock.advance(10);
  await world.append(world.batch(3));
  expect(await world.partition.offsetFor({ kind: "at-or-after", timestamp: 5 }, "read-committed")).toMatchObject({
    offset: 0,
    timestamp,
  });
  expect(await world.partition.offsetFor({ kind: "max-timestamp" }, "read-committed")).toMatchObject({ offset: 3 });
});
