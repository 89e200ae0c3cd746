// Proves: a share-partition goes on after a restart from what it wrote, locks run out by themselves, and what is cut off is not needed.
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { LiveSharePartition, type Taken } from "../../../src/coordinator/share/live-partition.ts";
import { SharePartitions } from "../../../src/coordinator/share/share-partitions.ts";
import { ShareStates } from "../../../src/coordinator/share/share-states.ts";
import { decodeShareState } from "../../../src/coordinator/share/state-records.ts";
import { StateLog, stateLogLimits } from "../../../src/log/state-log.ts";
import { buildBatch } from "../../../src/protocol/records.ts";
import { SimClock } from "../../sim/clock.ts";
import { FakeLog } from "../../support/fake-log.ts";

const topicId = "11111111-1111-4111-8111-111111111111" as Uuid;
const stateTopicId = "22222222-2222-4222-8222-222222222222" as Uuid;
const key = { groupId: "g", topicId, partition: 0 };
const lockMs = 1000;

class World {
  readonly clock = new SimClock();
  readonly log = new FakeLog();
  readonly failures: unknown[] = [];
  states!: ShareStates;
  partitions!: SharePartitions;

  constructor() {
    this.log.add(topicId, "t", 1);
    this.log.add(stateTopicId, "__share_group_state", 1);
    this.start();
  }

  start(): void {
    this.states = new ShareStates({
      log: this.log,
      clock: this.clock,
      topic: () => ({ topicId: stateTopicId, partitions: 1 }),
      isTopic: () => true,
      limits: { updatesPerSnapshotMax: 4, statesMax: 2, loadWaitMs: 500, pruneIntervalMs: 10_000 },
      stateLog: stateLogLimits,
      failed: (cause) => this.failures.push(cause),
    });
    this.partitions = new SharePartitions({
      log: this.log,
      clock: this.clock,
      states: this.states,
      configOf: () => ({
        sessionTimeoutMs: 45_000,
        heartbeatIntervalMs: 5000,
        lockDurationMs: lockMs,
        deliveryCountLimit: 3,
        locksMax: 100,
        isRenewAllowed: true,
        isolation: "read-uncommitted",
        reset: { kind: "earliest" },
      }),
    });
  }

  async restart(): Promise<void> {
    this.partitions[Symbol.dispose]();
    await this.clock.until(this.states[Symbol.asyncDispose]());
    this.start();
  }

  async live(): Promise<LiveSharePartition> {
    const live = await this.clock.until(this.partitions.open(key));
    if (!(live instanceof LiveSharePartition)) throw new Error(JSON.stringify(live));
    return live;
  }

  async produce(records: number): Promise<void> {
    const lookup = this.log.partition(topicId, 0);
    if (lookup.kind !== "here") throw new Error(lookup.kind);
    const batch = buildBatch({
      records: Array.from({ length: records }, () => ({ timestamp: 0, key: null, value: Buffer.from("v") })),
    });
    await lookup.partition.append(batch, { origin: "client", apiVersion: 13 });
  }

  /** Ranges as [first, last, delivery count]. */
  async take(memberId: string): Promise<readonly (readonly number[])[]> {
    const live = await this.live();
    const taken = await this.clock.until(
      live.take({ memberId, recordsMax: 100, batchSize: 100, isRecordLimited: false, bytesMax: 1e6, atLeastOne: true }),
    );
    expect(taken).not.toBe("closed");
    return (taken as Taken).ranges.map(({ first, last, deliveryCount }) => [first, last, deliveryCount]);
  }

  async written(): Promise<readonly string[]> {
    const lookup = this.log.partition(stateTopicId, 0);
    if (lookup.kind !== "here") throw new Error(lookup.kind);
    const kinds: string[] = [];
    const log = new StateLog({ partition: lookup.partition, clock: this.clock });
    for await (const record of log.replay()) kinds.push(decodeShareState(record.key, record.value).kind);
    return kinds;
  }
}

describe("a share-partition", () => {
  test("gives out after a restart what was not done with, under the counts that were written", async () => {
    const world = new World();
    await world.produce(10);
    expect(await world.take("a")).toEqual([[0, 9, 1]]);
    const live = await world.live();
    const types = (type: "accept" | "release" | "reject") => [type] as const;
    const answers = [
      { first: 0, last: 2, types: types("accept") },
      { first: 3, last: 4, types: types("release") },
      { first: 6, last: 6, types: types("reject") },
    ];
    expect(await world.clock.until(live.acknowledge("a", answers))).toBe("NONE");
    await world.restart();
    // 3 and 4 failed once. Of 5 and 7 to 9 nothing was heard: whoever had them may have died before it saw them.
    expect(await world.take("b")).toEqual([
      [3, 4, 2],
      [5, 5, 1],
      [7, 9, 1],
    ]);
    expect((await world.live()).startOffset).toBe(3);
  });

  test("takes back what a member holds for too long, and refuses its late answer", async () => {
    const world = new World();
    await world.produce(2);
    expect(await world.take("a")).toEqual([[0, 1, 1]]);
    expect(await world.take("b")).toEqual([]);
    await world.clock.run(lockMs + 1);
    expect(await world.take("b")).toEqual([[0, 1, 2]]);
    const late = (await world.live()).acknowledge("a", [{ first: 0, last: 1, types: ["accept"] }]);
    expect(await world.clock.until(late)).toBe("not-held");
  });

  test("all of an answer holds, or nothing", async () => {
    const world = new World();
    await world.produce(4);
    await world.take("a");
    const live = await world.live();
    const both = [
      { first: 0, last: 1, types: ["accept"] as const },
      { first: 2, last: 9, types: ["accept"] as const },
    ];
    expect(await world.clock.until(live.acknowledge("a", both))).toBe("not-given-out");
    expect(await world.clock.until(live.acknowledge("a", [{ first: 0, last: 3, types: ["accept"] }]))).toBe("NONE");
    expect(live.startOffset).toBe(4);
  });

  test("writes a snapshot after some updates", async () => {
    const world = new World();
    await world.produce(20);
    await world.take("a");
    const live = await world.live();
    for (let offset = 0; offset < 10; offset += 1) {
      await world.clock.until(live.acknowledge("a", [{ first: offset, last: offset, types: ["accept"] }]));
    }
    const kinds = await world.written();
    expect(kinds.filter((kind) => kind === "snapshot").length).toBeGreaterThanOrEqual(2);
    await world.restart();
    expect((await world.live()).startOffset).toBe(10);
    expect(world.failures).toEqual([]);
  });

  test("closes when its state was set by somebody else, and begins where that says", async () => {
    const world = new World();
    await world.produce(10);
    await world.take("a");
    const live = await world.live();
    const shard = await world.clock.until(world.states.shard(key));
    if (typeof shard === "string") throw new Error(shard);
    await world.clock.until(shard.initialize(key, { stateEpoch: 5, startOffset: 7 }));
    const fenced = live.acknowledge("a", [{ first: 0, last: 0, types: ["accept"] }]);
    expect(await world.clock.until(fenced)).toBe("FENCED_STATE_EPOCH");
    expect(await world.take("b")).toEqual([[7, 9, 1]]);
  });

  test("of a group without a state is given one, while there is room for it", async () => {
    const world = new World();
    const open = async (groupId: string) => {
      const live = await world.clock.until(world.partitions.open({ ...key, groupId }));
      return live instanceof LiveSharePartition ? "NONE" : live;
    };
    expect([await open("g"), await open("h"), await open("i"), await open("h")]).toEqual([
      "NONE",
      "NONE",
      "INVALID_REQUEST",
      "NONE",
    ]);
    const shard = await world.clock.until(world.states.shard(key));
    if (typeof shard === "string") throw new Error(shard);
    const made = shard.initialize({ ...key, groupId: "i" }, { stateEpoch: 1, startOffset: 0 });
    expect(await world.clock.until(made)).toBe("INVALID_REQUEST");
    expect(await world.clock.until(shard.initialize(key, { stateEpoch: 1, startOffset: 0 }))).toBe("NONE");
    expect(shard.states).toBe(2);
  });

  test("closes when its state was made anew, though under the epoch that it has", async () => {
    const world = new World();
    await world.produce(10);
    const shard = await world.clock.until(world.states.shard(key));
    if (typeof shard === "string") throw new Error(shard);
    await world.clock.until(shard.initialize(key, { stateEpoch: 1, startOffset: 0 }));
    await world.take("a");
    const live = await world.live();
    await world.clock.until(shard.initialize(key, { stateEpoch: 1, startOffset: 7 }));
    const fenced = live.acknowledge("a", [{ first: 0, last: 0, types: ["accept"] }]);
    expect(await world.clock.until(fenced)).toBe("FENCED_STATE_EPOCH");
    expect(shard.get(key)?.startOffset).toBe(7);
    expect(await world.take("b")).toEqual([[7, 9, 1]]);
  });
});
