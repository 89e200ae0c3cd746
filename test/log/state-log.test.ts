// Proves: what a state log acknowledged is what it replays, in order, and while the partition is slow its memory is bounded by batches.
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import { type Offset, uuidZero } from "../../src/base/ids.ts";
import { StateLog, type StateLogLimits, stateLogLimits } from "../../src/log/state-log.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { SimClock } from "../sim/clock.ts";
import { FakePartition } from "../support/fake-log.ts";
import { PartitionWorld } from "../support/owned-partition.ts";

function open(limits: Partial<StateLogLimits> = {}) {
  const partition = new FakePartition(uuidZero, "__state", 0);
  return {
    partition,
    log: new StateLog({ partition, clock: new SimClock(1000), limits: { ...stateLogLimits, ...limits } }),
  };
}

const record = (key: string, value: string | null) => ({
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
});

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

async function replayed(log: StateLog): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { key, value, offset, timestamp } of log.replay()) {
    lines.push(`${offset}@${timestamp} ${text(key)}=${value === null ? "∅" : text(value)}`);
  }
  return lines;
}

describe("StateLog", () => {
  test("replays what was appended, tombstones included", async () => {
    const { log } = open();
    expect(await log.append([record("a", "1"), record("b", "2")])).toBe(0);
    expect(await log.append([record("a", null)])).toBe(2);
    expect(await replayed(log)).toEqual(["0@1000 a=1", "1@1000 b=2", "2@1000 a=∅"]);
  });

  test("records of a transaction have a batch to themselves, and its end comes after them", async () => {
    const { log, partition } = open({ batchesInFlightMax: 1 });
    partition.isHeld = true;
    const owner = { producerId: 7, producerEpoch: 1 };
    const marker = { ...owner, outcome: "commit", coordinatorEpoch: 1, timestamp: 5 } as const;
    const appends = [
      log.append([record("a", "1")]),
      log.append([record("b", "2")]),
      log.append([record("c", "3")], owner),
      log.append([record("d", "4")]),
      log.end(marker),
      log.append([record("e", "5")]),
    ];
    partition.release();
    expect(await Promise.all(appends)).toEqual([0, 1, 2, 3, 4, 5]);
    const seen: string[] = [];
    for await (const each of log.replayAll()) {
      if (each.kind === "marker") seen.push(`${each.outcome} of ${each.producerId}`);
      else seen.push(`${text(each.key)}${each.transaction === undefined ? "" : ` of ${each.transaction.producerId}`}`);
    }
    expect(seen).toEqual(["a", "b", "c of 7", "d", "commit of 7", "e"]);
    expect(await replayed(log)).toHaveLength(5);
  });

  test("what comes while batches are on their way shares the next one", async () => {
    const { log, partition } = open({ batchesInFlightMax: 1 });
    partition.isHeld = true;
    const offsets = ["a", "b", "c"].map((key) => log.append([record(key, "x"), record(key, "y")]));
    partition.release();
    expect(await Promise.all(offsets)).toEqual([0, 2, 4]);
    expect(partition.batches).toHaveLength(2);
    expect(await replayed(log)).toHaveLength(6);
  });

  test("a batch is closed when it holds enough", async () => {
    const { log, partition } = open({ batchesInFlightMax: 1, batchBytesMax: 100 });
    partition.isHeld = true;
    const offsets = ["a", "b", "c", "d"].map((key) => log.append([record(key, "x".repeat(30))]));
    partition.release();
    expect(await Promise.all(offsets)).toEqual([0, 1, 2, 3]);
    expect(partition.batches).toHaveLength(4); // The first alone, then one a batch: two would be 126 bytes.
  });

  test("a refusal reaches everybody in the batch, and the next append may do better", async () => {
    const { log, partition } = open();
    partition.refusal = "busy";
    await expect(log.append([record("a", "1")])).rejects.toThrow(OperationFailed);
    partition.refusal = undefined;
    expect(await log.append([record("a", "1")])).toBe(0);
  });

  test("what was handed over after an append that is refused is refused with it: it may rest on that", async () => {
    const world = await PartitionWorld.open();
    const { partition, clock } = world;
    const log = new StateLog({ partition, clock, limits: { ...stateLogLimits, batchesInFlightMax: 2 } });
    world.stream.backOff();
    const appends = [log.append([record("a", "1")])];
    clock.advance(3000);
    appends.push(log.append([record("b", "1")]), log.append([record("c", "1")])); // One on its way, one that waits for its turn.
    const settled = Promise.allSettled(appends);
    clock.advance(2000); // The first has waited for as long as it may.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    world.stream.admit();
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(await log.append([record("d", "1")])).toBe(0);
    expect((await replayed(log)).map((line) => line.slice(-3))).toEqual(["d=1"]);
  });

  test("who takes over a partition replays what its former owner still had on its way", async () => {
    const { log, partition } = open({ batchesInFlightMax: 1 });
    await log.append([record("a", "1")]);
    partition.isHeld = true;
    const left = ["2", "3"].map((value) => log.append([record("a", value)]));
    const next = new StateLog({ partition, clock: new SimClock(1000), limits: stateLogLimits });
    const found = replayed(next);
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    partition.release();
    await Promise.all(left);
    expect(await found).toEqual(["0@1000 a=1", "1@1000 a=2", "2@1000 a=3"]);
  });

  test("replay begins at the log start inside a batch and passes over control batches and keyless records", async () => {
    const { log, partition } = open();
    await log.append([record("a", "1"), record("b", "2")]);
    await partition.append(
      buildBatch({ records: [{ timestamp: 5, key: Buffer.from("c"), value: null }], isControl: true }),
    );
    await partition.append(buildBatch({ records: [{ timestamp: 6, key: null, value: Buffer.from("d") }] }));
    await partition.append(
      buildBatch({ records: [{ timestamp: 7, key: Buffer.from("e"), value: Buffer.from("5") }], compression: "gzip" }),
    );
    partition.logStart = 1 as Offset;
    expect(await replayed(log)).toEqual(["1@1000 b=2", "4@7 e=5"]);
  });
});
