// Proves: groups and offsets survive a reload as they were acknowledged, answers wait for durability, and a shard that moves says so.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Uuid, uuidZero } from "../../src/base/ids.ts";
import { GroupCoordinator } from "../../src/coordinator/group-coordinator.ts";
import type { CommittedOffset } from "../../src/coordinator/group-offsets.ts";
import { decodeGroupRecord } from "../../src/coordinator/group-records.ts";
import { GroupShard } from "../../src/coordinator/group-shard.ts";
import { coordinatorPartition, javaHash } from "../../src/coordinator/seats.ts";
import { StateLog, stateLogLimits } from "../../src/log/state-log.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { endOf } from "../support/end-of.ts";
import { FakeLog } from "../support/fake-log.ts";

const topicId = "11111111-1111-1111-1111-111111111111" as Uuid;
const dayMs = 86_400_000;

/** A topic that was made again has another id. */
function idOf(topic: string, generation: number): Uuid {
  return `${String(generation).padStart(8, "0")}-0000-4000-8000-${String(topic.charCodeAt(0)).padStart(12, "0")}` as Uuid;
}

class World implements AsyncDisposable {
  readonly clock = new SimClock();
  readonly log = new FakeLog();
  readonly failures: unknown[] = [];
  readonly topics = new Map(["t", "u"].map((name) => [name, idOf(name, 1)]));
  sessionTimeoutMs = 10_000;
  shardGroupsMax = 100;
  coordinator: GroupCoordinator;

  constructor() {
    this.log.add(topicId, "__consumer_offsets", 1);
    this.coordinator = this.start();
  }

  start(): GroupCoordinator {
    return new GroupCoordinator({
      log: this.log,
      topic: () => ({ topicId, partitions: 1 }),
      topics: {
        byName: (name) => {
          const id = this.topics.get(name);
          return id === undefined ? undefined : { id, partitions: 1 };
        },
        nameOf: (id) => [...this.topics].find(([, known]) => known === id)?.[0],
        names: () => this.topics.keys(),
      },
      runtime: { clock: this.clock, random: new SimRandom(1) },
      limits: {
        initialRebalanceDelayMs: 0,
        newMemberJoinTimeoutMs: 300_000,
        membersMax: 100,
        recordBytesMax: 2000,
        shardGroupsMax: this.shardGroupsMax,
        sessionTimeoutMsMin: 6000,
        sessionTimeoutMsMax: 1_800_000,
        offsetMetadataBytesMax: 4096,
        offsetsRetentionMs: 7 * dayMs,
        offsetsCheckIntervalMs: 600_000,
        loadWaitMs: 500,
      },
      consumerLimits: () => ({
        membersMax: 100,
        sessionTimeoutMs: 45_000,
        heartbeatIntervalMs: 5000,
        assignmentIntervalMs: 0,
      }),
      streamsLimits: () => ({
        membersMax: 100,
        tasksMax: 100,
        sessionTimeoutMs: 45_000,
        heartbeatIntervalMs: 5000,
        assignmentIntervalMs: 0,
        initialDelayMs: 0,
        standbys: 0,
      }),
      stateLog: stateLogLimits,
      failed: (cause) => this.failures.push(cause),
    });
  }

  async restart(): Promise<void> {
    await this.coordinator[Symbol.asyncDispose]();
    this.log.reopen(topicId, 0);
    this.coordinator = this.start();
  }

  async shard(): Promise<GroupShard> {
    const shard = await this.clock.until(this.coordinator.shard("g"));
    if (!(shard instanceof GroupShard)) throw new Error(shard);
    return shard;
  }

  /** What the members that join say of themselves. */
  subscription = subscription("t");

  async join(memberId = "", instanceId: string | null = null) {
    return (await this.shard()).join("g", {
      memberId,
      instanceId,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: this.subscription }],
      sessionTimeoutMs: this.sessionTimeoutMs,
      rebalanceTimeoutMs: 60_000,
      clientId: "client",
      clientHost: "/127.0.0.1",
      mustKnowId: false,
      canSkipAssignment: false,
    });
  }

  /** One member, synced. Gives its id. */
  async stable(): Promise<string> {
    const joined = await this.clock.until(this.join());
    const shard = await this.shard();
    const { memberId, generation } = joined;
    const assignments = new Map([[memberId, Buffer.from("mine")]]);
    const synced = shard.group("g")?.sync({
      memberId,
      instanceId: null,
      generation,
      protocolType: null,
      protocolName: null,
      assignments,
    });
    expect((await this.clock.until(synced as NonNullable<typeof synced>)).error).toBe("NONE");
    return memberId;
  }

  async commit(
    offset: number,
    by: {
      groupId?: string;
      memberId?: string;
      generation?: number;
      topic?: string;
      value?: Partial<CommittedOffset>;
    } = {},
  ) {
    const value = {
      offset,
      leaderEpoch: 3,
      metadata: "note",
      topicId: this.topics.get(by.topic ?? "t") ?? uuidZero,
      committedAt: this.clock.now(),
      expiresAt: null,
      ...by.value,
    };
    return (await this.shard()).commit({
      groupId: by.groupId ?? "g",
      memberId: by.memberId ?? "",
      instanceId: null,
      generation: by.generation ?? -1,
      knowsMissingGroup: false,
      offsets: [{ topic: by.topic ?? "t", partition: 0, value }],
    });
  }

  async commitInTransaction(offset: number, topic = "t") {
    const value = {
      offset,
      leaderEpoch: -1,
      metadata: "",
      topicId: this.topics.get(topic) ?? uuidZero,
      committedAt: this.clock.now(),
      expiresAt: null,
    };
    return await (await this.shard()).commitInTransaction(
      {
        groupId: "g",
        memberId: "",
        instanceId: null,
        generation: -1,
        knowsMissingGroup: false,
        offsets: [{ topic, partition: 0, value }],
        transaction: { producerId: 9, producerEpoch: 0 },
      },
      () => true,
    );
  }

  async endTransaction(outcome: "commit" | "abort" = "commit"): Promise<void> {
    const marker = { producerId: 9, producerEpoch: 0, coordinatorEpoch: 0, outcome, timestamp: this.clock.now() };
    expect(await (await this.shard()).endTransaction(marker)).toBe("NONE");
  }

  async offset(topic = "t"): Promise<number | undefined> {
    return (await this.shard()).group("g")?.offsets.get({ topic, partition: 0 })?.offset;
  }

  async records(): Promise<readonly string[]> {
    const lines: string[] = [];
    const log = new StateLog({ partition: this.log.fake(topicId, 0), clock: this.clock });
    for await (const { key, value } of log.replay()) {
      const record = decodeGroupRecord(key, value);
      if (record.kind === "group") lines.push(`group ${record.group} ${record.value?.state ?? "∅"}`);
      else if (record.kind === "offset") lines.push(`offset ${record.topic} ${record.value?.offset ?? "∅"}`);
    }
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.coordinator[Symbol.asyncDispose]();
    expect(this.failures).toEqual([]);
  }
}

/** Version 0 of the consumer protocol. */
function subscription(...topics: string[]): Buffer {
  const names = topics.flatMap((topic) => [0, topic.length, ...Buffer.from(topic)]);
  return Buffer.from([0, 0, 0, 0, 0, topics.length, ...names, 255, 255, 255, 255]);
}

test("groups are hashed as java.lang.String does it", () => {
  expect(javaHash("hello")).toBe(99162322);
  expect(javaHash("polygenelubricants")).toBe(-(2 ** 31));
  expect(coordinatorPartition("polygenelubricants", 50)).toBe(0);
  expect(coordinatorPartition("g", 50)).toBe(103 % 50);
});

describe("what survives a reload", () => {
  test("a stable group with its assignment, offset, note and epoch", async () => {
    await using world = new World();
    const memberId = await world.stable();
    expect(await world.commit(42, { memberId, generation: 1 })).toBe("NONE");
    await world.restart();
    const group = (await world.shard()).group("g");
    expect(group?.classic).toMatchObject({ state: "stable", generation: 1, leader: memberId, protocolName: "range" });
    expect(Buffer.from(group?.classic.members.get(memberId)?.assignment ?? []).toString()).toBe("mine");
    expect(group?.offsets.get({ topic: "t", partition: 0 })).toMatchObject({
      offset: 42,
      leaderEpoch: 3,
      metadata: "note",
    });
    const beat = group?.heartbeat({ memberId, instanceId: null, generation: 1 });
    expect((await beat)?.error).toBe("NONE");
  });

  test("sessions begin anew after a reload, and then end", async () => {
    await using world = new World();
    await world.stable();
    await world.restart();
    await world.shard();
    await world.clock.run(9_000);
    expect((await world.shard()).group("g")?.classic.members.size).toBe(1);
    await world.clock.run(2_000);
    expect((await world.shard()).group("g")?.classic.state).toBe("empty");
  });

  test("a deleted group does not come back", async () => {
    await using world = new World();
    await world.commit(1);
    expect(await (await world.shard()).deleteGroup("g")).toBe("NONE");
    expect(await (await world.shard()).deleteGroup("g")).toBe("GROUP_ID_NOT_FOUND");
    await world.restart();
    expect((await world.shard()).group("g")).toBeUndefined();
    expect(await world.records()).toEqual(["offset t 1", "offset t ∅", "group g ∅"]);
  });

  test("offsets of a topic that was deleted meanwhile are gone", async () => {
    await using world = new World();
    await world.commit(1, { topic: "u" });
    world.topics.delete("u");
    await world.restart();
    await world.shard();
    await world.clock.run(0);
    expect(await world.offset("u")).toBeUndefined();
    expect((await world.records()).at(-1)).toBe("offset u ∅");
  });

  test("offsets of a topic that was deleted meanwhile are gone, though another was made under its name", async () => {
    await using world = new World();
    await world.commit(1, { topic: "u" });
    await world.commit(2);
    world.topics.set("u", idOf("u", 2));
    await world.restart();
    expect(await world.offset("u")).toBeUndefined();
    expect(await world.offset("t")).toBe(2);
  });
});

describe("commits", () => {
  test("are acknowledged when durable, not before", async () => {
    await using world = new World();
    await world.shard();
    world.log.fake(topicId, 0).isHeld = true;
    let answer: string | undefined;
    const done = world.commit(7).then((error) => {
      answer = error;
    });
    await world.clock.run(1000);
    expect(answer).toBeUndefined();
    world.log.fake(topicId, 0).release();
    await done;
    expect(answer).toBe("NONE");
  });

  test("by strangers are refused while the group has members", async () => {
    await using world = new World();
    const memberId = await world.stable();
    expect(await world.commit(1)).toBe("UNKNOWN_MEMBER_ID");
    expect(await world.commit(1, { memberId: "other", generation: 1 })).toBe("UNKNOWN_MEMBER_ID");
    expect(await world.commit(1, { memberId, generation: 0 })).toBe("ILLEGAL_GENERATION");
  });

  test("with a generation need a group", async () => {
    await using world = new World();
    expect(await world.commit(1, { memberId: "m", generation: 3 })).toBe("ILLEGAL_GENERATION");
    const shard = await world.shard();
    const answer = shard.commit({
      groupId: "g",
      memberId: "m",
      instanceId: null,
      generation: 3,
      knowsMissingGroup: true,
      offsets: [],
    });
    expect(await answer).toBe("GROUP_ID_NOT_FOUND");
  });

  test("keep their member alive", async () => {
    await using world = new World();
    const memberId = await world.stable();
    for (let turn = 0; turn < 4; turn += 1) {
      await world.clock.run(6_000);
      expect(await world.commit(turn, { memberId, generation: 1 })).toBe("NONE");
    }
  });
});

describe("when an append fails", () => {
  test("everybody is told to look for the coordinator, and the shard is read again", async () => {
    const world = new World();
    await world.commit(1);
    const partition = world.log.fake(topicId, 0);
    partition.refusal = "busy";
    expect(await world.commit(2)).toBe("NOT_COORDINATOR");
    expect(world.failures).toHaveLength(1);
    partition.refusal = undefined;
    expect(await world.offset()).toBe(1);
    await world.coordinator[Symbol.asyncDispose]();
  });

  test("a partition that leaves takes its groups along", async () => {
    await using world = new World();
    const memberId = await world.stable();
    const waiting = world.join(memberId); // The leader waits for itself alone, so it is answered at once.
    expect((await world.clock.until(waiting)).generation).toBe(2);
    world.log.remove(topicId, 0);
    expect(await world.coordinator.shard("g")).toBe("NOT_COORDINATOR");
    world.log.otherwise = { kind: "opening" };
    expect(await world.clock.until(world.coordinator.shard("g"))).toBe("COORDINATOR_LOAD_IN_PROGRESS");
  });
});

describe("offsets are forgotten", () => {
  test("a week after each commit, in a group that assigns itself", async () => {
    await using world = new World();
    await world.commit(1);
    await world.clock.run(4 * dayMs);
    await world.commit(2, { topic: "u" });
    await world.clock.run(3 * dayMs + 600_000);
    expect(await world.offset("t")).toBeUndefined();
    expect(await world.offset("u")).toBe(2);
    await world.clock.run(4 * dayMs);
    expect((await world.shard()).group("g")).toBeUndefined();
    expect((await world.records()).at(-1)).toBe("offset u ∅");
  });

  test("offsets of a topic that was deleted meanwhile are gone, though another was made under its name", async () => {
    await using world = new World();
    await world.commit(1, { topic: "u" });
    await world.commit(2);
    world.topics.set("u", idOf("u", 2));
    await world.restart();
    expect(await world.offset("u")).toBeUndefined();
    expect(await world.offset("t")).toBe(2);
  });

  test("of many groups together, not one group after the other", async () => {
    await using world = new World();
    const expiresAt = world.clock.now() + dayMs;
    const groups = ["a", "b", "c"];
    for (const groupId of groups) await world.commit(1, { groupId, value: { expiresAt } });
    await world.clock.run(dayMs - 1000);
    const partition = world.log.fake(topicId, 0);
    partition.isHeld = true; // Nothing is durable from here on.
    await world.clock.run(700_000);
    const { length } = partition.batches;
    partition.release();
    expect(length).toBe(2 * groups.length);
  });

  test("and a coordinator that stops does not wait until that is durable", async () => {
    const world = new World();
    await world.commit(1, { value: { expiresAt: world.clock.now() + dayMs } });
    await world.clock.run(dayMs - 1000);
    world.log.fake(topicId, 0).isHeld = true;
    await world.clock.run(700_000);
    expect(await endOf(world[Symbol.asyncDispose]())).toBe("ended");
  });

  test("at the time that an old client asked for", async () => {
    await using world = new World();
    await world.commit(1, { value: { expiresAt: world.clock.now() + dayMs } });
    await world.restart();
    await world.clock.run(dayMs + 700_000);
    expect(await world.offset()).toBeUndefined();
  });

  test("a week after the group became empty, and not while it reads the topic", async () => {
    await using world = new World();
    world.sessionTimeoutMs = 1_800_000;
    const memberId = await world.stable();
    await world.commit(1, { memberId, generation: 1 });
    await world.commit(2, { memberId, generation: 1, topic: "u" });
    for (let halfHour = 0; halfHour < 7.5 * 48; halfHour += 1) {
      (await world.shard()).group("g")?.feed({ kind: "alive", memberId });
      await world.clock.run(1_799_000);
    }
    expect(await world.offset("t")).toBe(1);
    expect(await world.offset("u")).toBeUndefined();
    await (await world.shard()).group("g")?.leave({ members: [{ memberId, instanceId: null }] });
    await world.clock.run(6.9 * dayMs);
    expect(await world.offset("t")).toBe(1);
    await world.clock.run(0.2 * dayMs);
    expect((await world.shard()).group("g")).toBeUndefined();
    expect((await world.records()).slice(-2)).toEqual(["offset t ∅", "group g ∅"]);
  });

  test("by request, but not of a topic that the group reads", async () => {
    await using world = new World();
    const memberId = await world.stable();
    await world.commit(1, { memberId, generation: 1 });
    await world.commit(2, { memberId, generation: 1, topic: "u" });
    const shard = await world.shard();
    const wanted = [
      { topic: "t", partition: 0 },
      { topic: "u", partition: 0 },
    ];
    expect(await shard.deleteOffsets("g", wanted)).toEqual({ error: "NONE", subscribed: new Set(["t"]) });
    expect(await world.offset("t")).toBe(1);
    expect(await world.offset("u")).toBeUndefined();
    expect(await shard.deleteOffsets("nobody", wanted)).toMatchObject({ error: "GROUP_ID_NOT_FOUND" });
    expect(await shard.deleteGroup("g")).toBe("NON_EMPTY_GROUP");
  });

  test("by request, where a member says a newer version than it writes, as @platformatic/kafka does", async () => {
    await using world = new World();
    world.subscription = subscription("t");
    world.subscription.writeInt16BE(1, 0); // Without the owned partitions that version 1 ends with.
    const memberId = await world.stable();
    await world.commit(2, { memberId, generation: 1, topic: "u" });
    const wanted = [{ topic: "u", partition: 0 }];
    const shard = await world.shard();
    expect(await shard.deleteOffsets("g", wanted)).toEqual({ error: "NONE", subscribed: new Set(["t"]) });
    expect(await world.offset("u")).toBeUndefined();
  });

  test("when their topic is deleted", async () => {
    await using world = new World();
    await world.commit(1);
    world.topics.delete("t");
    await world.coordinator.forgetDeletedTopics();
    expect(await world.offset()).toBeUndefined();
    expect(await world.records()).toEqual(["offset t 1", "offset t ∅"]);
  });
});

describe("offsets of an open transaction", () => {
  test("count when it commits, though the one before them has become too old meanwhile", async () => {
    await using world = new World();
    await world.commit(1);
    await world.clock.run(7 * dayMs - 600_000);
    expect(await world.commitInTransaction(2)).toBe("NONE");
    await world.clock.run(1_800_000);
    await world.endTransaction();
    expect(await world.offset()).toBe(2);
    await world.restart();
    expect(await world.offset()).toBe(2);
  });

  test("are deleted by request, as those that count already", async () => {
    await using world = new World();
    await world.commitInTransaction(2);
    await (await world.shard()).deleteOffsets("g", [{ topic: "t", partition: 0 }]);
    await world.endTransaction();
    expect(await world.offset()).toBeUndefined();
  });

  test("do not bring back the group that was deleted with them", async () => {
    await using world = new World();
    await world.commitInTransaction(2);
    expect(await (await world.shard()).deleteGroup("g")).toBe("NONE");
    await world.restart();
    expect((await world.shard()).group("g")).toBeUndefined();
    await world.endTransaction();
    expect((await world.shard()).group("g")).toBeUndefined();
  });

  test("do not come to another topic of the same name, whenever the shard is read", async () => {
    await using world = new World();
    await world.commitInTransaction(2);
    world.topics.delete("t");
    await world.coordinator.forgetDeletedTopics();
    world.topics.set("t", idOf("t", 2));
    await world.restart();
    await world.endTransaction();
    expect(await world.offset()).toBeUndefined();
  });

  test("do not come to another topic of the same name that was made while nobody looked", async () => {
    await using world = new World();
    await world.commitInTransaction(2);
    world.topics.set("t", idOf("t", 2));
    await world.restart();
    await world.endTransaction();
    expect(await world.offset()).toBeUndefined();
  });
});

describe("laws", () => {
  const groupId = fc.constantFrom("g", "h");
  const topic = fc.constantFrom("t", "u");
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("commit" as const), groupId, topic, offset: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete-group" as const), groupId }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete-offset" as const), groupId, topic }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget-topic" as const), topic }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("join-and-leave" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), offset: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  );

  /** Every group with its state, its generation and its offsets. */
  async function known(world: World): Promise<unknown> {
    return Array.from((await world.shard()).groups(), ({ id, classic, offsets }) => ({
      id,
      state: classic.state,
      generation: classic.generation,
      offsets: Array.from(offsets.all(), (at) => `${at.topic} ${offsets.get(at)?.offset}`).sort(),
    })).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  test("what was acknowledged is what the next reader finds, and what was refused is not", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const world = new World();
        let generations = 1;
        for (const step of actions) {
          const shard = await world.shard();
          if (step.kind === "commit") {
            expect(await world.commit(step.offset, step)).toBe("NONE");
          } else if (step.kind === "delete-group") await shard.deleteGroup(step.groupId);
          else if (step.kind === "delete-offset") {
            await shard.deleteOffsets(step.groupId, [{ topic: step.topic, partition: 0 }]);
          } else if (step.kind === "forget-topic") {
            generations += 1;
            world.topics.set(step.topic, idOf(step.topic, generations));
            await world.coordinator.forgetDeletedTopics();
          } else if (step.kind === "join-and-leave") {
            const memberId = await world.stable();
            await shard.group("g")?.leave({ members: [{ memberId, instanceId: null }] });
            await shard.group("g")?.written;
          } else if (step.kind === "refuse") {
            const before = await known(world);
            world.log.fake(topicId, 0).refusal = "busy";
            expect(await world.commit(step.offset)).toBe("NOT_COORDINATOR");
            world.log.fake(topicId, 0).refusal = undefined;
            expect(await known(world)).toEqual(before);
          } else {
            const before = await known(world);
            await world.restart();
            expect(await known(world)).toEqual(before);
          }
        }
        await world.coordinator[Symbol.asyncDispose]();
      }),
      { numRuns: 100 }, // fast-check prints seed and path when it fails.
    );
  });
});

test("a shard takes so many groups, and those that it has go on", async () => {
  await using world = new World();
  world.shardGroupsMax = 2;
  await world.restart();
  const shard = await world.shard();
  const commit = async (groupId: string): Promise<string> => {
    const value = { topicId: idOf("t", 1), offset: 1, leaderEpoch: -1, metadata: "", committedAt: 0, expiresAt: null };
    const offsets = [{ topic: "t", partition: 0, value }];
    const by = { memberId: "", instanceId: null, generation: -1, knowsMissingGroup: true };
    return await world.clock.until(shard.commit({ groupId, ...by, offsets }));
  };
  expect([await commit("g1"), await commit("g2"), await commit("g3"), await commit("g1")]).toEqual([
    "NONE",
    "NONE",
    "GROUP_MAX_SIZE_REACHED",
    "NONE",
  ]);
  expect((await world.clock.until(world.join())).error).toBe("GROUP_MAX_SIZE_REACHED");
  expect(await world.clock.until(shard.deleteGroup("g1"))).toBe("NONE");
  expect(await commit("g3")).toBe("NONE");
});

test("who says so much of itself that the group could not be written is turned away, and nobody else", async () => {
  await using world = new World();
  const memberId = await world.stable();
  world.subscription = Buffer.alloc(1900);
  expect((await world.clock.until(world.join())).error).toBe("GROUP_MAX_SIZE_REACHED");
  const group = (await world.shard()).group("g");
  expect([...(group?.classic.members.keys() ?? [])]).toEqual([memberId]);
  expect(group?.classic.state).toBe("stable");
});

test("an assignment that is too large to be written is refused, and the shard goes on", async () => {
  await using world = new World();
  const { memberId, generation } = await world.clock.until(world.join());
  const shard = await world.shard();
  const before = world.log.fake(topicId, 0).batches.length;
  const synced = shard.group("g")?.sync({
    memberId,
    instanceId: null,
    generation,
    protocolType: null,
    protocolName: null,
    assignments: new Map([[memberId, Buffer.alloc(2001)]]),
  });
  expect((await world.clock.until(synced as NonNullable<typeof synced>)).error).toBe("UNKNOWN_SERVER_ERROR");
  expect(world.log.fake(topicId, 0).batches).toHaveLength(before);
  expect(await world.shard()).toBe(shard);
});
