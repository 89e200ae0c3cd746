// Proves: whatever members do, no partition has two holders, epochs never go back, and once all confirm, the group is stable.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ConsumerContext,
  type ConsumerHeartbeat,
  consumerCommitProblem,
  consumerFetchProblem,
  heartbeat,
  withoutMembers,
} from "../../src/coordinator/consumer-group.ts";
import {
  ConsumerGroupReplay,
  consumerGroupChanges,
  decodeConsumerRecord,
} from "../../src/coordinator/consumer-group-records.ts";
import {
  type ConsumerGroup,
  consumerGroupState,
  emptyConsumerGroup,
  type PartitionEpochs,
} from "../../src/coordinator/consumer-group-state.ts";
import type { StateRecord } from "../../src/log/state-log.ts";
import { idOf, topicsView } from "./topics-view.ts";

/** A group, the topics around it, what each client believes, and the log that is written. */
class World {
  group: ConsumerGroup = emptyConsumerGroup;
  readonly topics = new Map([
    ["t", 4],
    ["u", 3],
  ]);
  topicsVersion = 1;
  /** Whether what the expressions of members match is known by now. */
  isResolved = true;
  now = 1_000_000;
  readonly clients = new Map<string, { epoch: number; owned: PartitionEpochs; request: Partial<ConsumerHeartbeat> }>();
  /** Clients that missed an answer: like Kafka's own they say everything again. */
  readonly unanswered = new Map<string, Partial<ConsumerHeartbeat>>();
  readonly log: StateRecord[] = [];

  get context(): ConsumerContext {
    const names = [...this.topics.keys()];
    return {
      now: this.now,
      limits: { membersMax: 3, sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, assignmentIntervalMs: 0 },
      topics: topicsView(this.topics, this.topicsVersion),
      matches: new Map(this.isResolved ? [[".*", names]] : []),
    };
  }

  send(memberId: string, request: Partial<ConsumerHeartbeat> = {}) {
    this.now += 1;
    const client = this.clients.get(memberId);
    const owned = new Map(Array.from(client?.owned ?? [], ([topic, numbers]) => [topic, [...numbers.keys()]]));
    const full: ConsumerHeartbeat = {
      memberId,
      epoch: client?.epoch ?? 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topics: null,
      pattern: null,
      patternProblem: null,
      assignor: null,
      owned,
      clientId: "client",
      clientHost: "/127.0.0.1",
      ...this.unanswered.get(memberId),
      ...request,
    };
    this.unanswered.delete(memberId);
    const step = heartbeat(this.group, full, this.context);
    if (step.kind === "refused") {
      if (step.error === "FENCED_MEMBER_EPOCH" || step.error === "UNKNOWN_MEMBER_ID") this.clients.delete(memberId);
      return step.error;
    }
    this.become(step.group);
    const { epoch, assignment } = step.answer;
    if (epoch < 0) this.clients.delete(memberId);
    else this.clients.set(memberId, { epoch, owned: assignment ?? client?.owned ?? new Map(), request });
    return step.answer;
  }

  /** The answer does not arrive: the client goes on from where it was. */
  lose(memberId: string): void {
    const before = this.clients.get(memberId);
    if (before === undefined || typeof this.send(memberId) === "string") return;
    this.clients.set(memberId, before);
    const metadata = this.group.members.get(memberId)?.metadata;
    this.unanswered.set(memberId, {
      rebalanceTimeoutMs: 60_000,
      topics: metadata?.topics ?? [],
      pattern: metadata?.pattern ?? "",
    });
  }

  join(memberId: string, request: Partial<ConsumerHeartbeat> = {}) {
    this.clients.delete(memberId);
    return this.send(memberId, { epoch: 0, rebalanceTimeoutMs: 60_000, topics: ["t"], owned: new Map(), ...request });
  }

  become(next: ConsumerGroup): void {
    this.log.push(...consumerGroupChanges("g", this.log.length === 0 ? null : this.group, next));
    const before = this.group;
    this.group = next;
    // What holds in every state.
    expect(next.epoch).toBeGreaterThanOrEqual(before.epoch);
    expect(next.targetEpoch).toBeGreaterThanOrEqual(before.targetEpoch);
    expect(next.targetEpoch).toBeLessThanOrEqual(next.epoch);
    for (const [id, { current }] of next.members) {
      const was = before.members.get(id)?.current.epoch ?? 0;
      if (current.epoch !== -2 && was !== -2) expect(current.epoch).toBeGreaterThanOrEqual(was);
      expect(current.epoch).toBeLessThanOrEqual(next.targetEpoch);
    }
    const held = [...next.members.values()].flatMap(({ current }) =>
      [...current.assigned, ...current.revoking].flatMap(([topic, numbers]) =>
        [...numbers.keys()].map((at) => `${topic} ${at}`),
      ),
    );
    expect(new Set(held).size).toBe(held.length);
  }

  /** Every client says what it has and gives up what it is told to, until nothing moves. */
  settle(): void {
    for (let round = 0; round < 20 && consumerGroupState(this.group) !== "stable"; round += 1) {
      const ids = [...this.clients.keys()]; // Those who are fenced leave the map and come back to it.
      for (const member of ids) if (typeof this.send(member) === "string") this.join(member);
      if (this.group.members.size === 0) return;
    }
  }

  replayed(): ConsumerGroup | null {
    const replay = new ConsumerGroupReplay();
    for (const { key, value } of this.log) {
      const decoded = decodeConsumerRecord(key, value);
      if (decoded === undefined) throw new Error("a record of no consumer group");
      replay.apply(decoded.record);
    }
    return replay.group();
  }

  owned(memberId: string, topic = "t"): readonly number[] {
    return [...(this.clients.get(memberId)?.owned.get(idOf(topic))?.keys() ?? [])].sort((a, b) => a - b);
  }
}

const members = ["a", "b", "c", "d"];
const actions = fc.oneof(
  fc.record({
    kind: fc.constant("join" as const),
    member: fc.constantFrom(...members),
    topics: fc.subarray(["t", "u", "gone"]),
  }),
  fc.record({ kind: fc.constant("pattern" as const), member: fc.constantFrom(...members) }),
  fc.record({ kind: fc.constant("beat" as const), member: fc.constantFrom(...members) }),
  fc.record({ kind: fc.constant("silent" as const), member: fc.constantFrom(...members) }),
  fc.record({ kind: fc.constant("leave" as const), member: fc.constantFrom(...members) }),
  fc.record({ kind: fc.constant("lost" as const), member: fc.constantFrom(...members) }),
  fc.record({ kind: fc.constant("fence" as const), member: fc.constantFrom(...members) }),
  fc.record({
    kind: fc.constant("assignor" as const),
    member: fc.constantFrom(...members),
    name: fc.constantFrom("range", "uniform"),
  }),
  fc.record({
    kind: fc.constant("topic" as const),
    name: fc.constantFrom("t", "u", "v"),
    partitions: fc.integer({ min: 0, max: 6 }),
  }),
);
type Action = typeof actions extends fc.Arbitrary<infer T> ? T : never;

function act(world: World, action: Action): void {
  switch (action.kind) {
    case "join":
      world.join(action.member, { topics: action.topics, pattern: "" });
      return;
    case "pattern":
      world.join(action.member, { topics: [], pattern: ".*" });
      return;
    case "beat":
      if (world.clients.has(action.member)) world.send(action.member);
      return;
    case "silent": // It says nothing of what it owns; one that missed an answer would.
      if (world.clients.has(action.member) && !world.unanswered.has(action.member))
        world.send(action.member, { owned: null });
      return;
    case "leave":
      if (world.clients.has(action.member)) world.send(action.member, { epoch: -1 });
      return;
    case "lost":
      world.lose(action.member);
      return;
    case "fence":
      world.clients.delete(action.member);
      if (world.group.members.has(action.member))
        world.become(withoutMembers(world.group, new Set([action.member]), world.context));
      return;
    case "assignor":
      if (world.clients.has(action.member)) world.send(action.member, { assignor: action.name });
      return;
    case "topic":
      if (action.partitions === 0) world.topics.delete(action.name);
      else world.topics.set(action.name, Math.max(action.partitions, world.topics.get(action.name) ?? 0));
      world.topicsVersion += 1;
      return;
  }
}

describe("any sequence of heartbeats", () => {
  test("keeps the invariants, and ends stable with every partition read once when all confirm", () => {
    fc.assert(
      fc.property(fc.array(actions, { maxLength: 40 }), (sequence) => {
        const world = new World();
        for (const action of sequence) act(world, action);
        world.settle();
        for (const member of world.clients.keys()) world.send(member); // Topics that changed last are looked at.
        world.settle();
        if (world.group.members.size === 0) return;
        expect(consumerGroupState(world.group)).toBe("stable");
        for (const [id, { current }] of world.group.members) {
          const target = world.group.targets.get(id) ?? new Map();
          const assigned = [...current.assigned].map(([topic, numbers]) => [
            topic,
            [...numbers.keys()].sort((a, b) => a - b),
          ]);
          expect(Object.fromEntries(assigned)).toEqual(Object.fromEntries(target));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("is found again in the log", () => {
    fc.assert(
      fc.property(fc.array(actions, { maxLength: 25 }), (sequence) => {
        const world = new World();
        for (const action of sequence) act(world, action);
        if (world.log.length === 0) return;
        const byId = (group: ConsumerGroup) => ({
          ...group,
          topicsSeen: 0,
          members: Object.fromEntries(group.members),
          targets: Object.fromEntries(group.targets),
          patterns: Object.fromEntries(group.patterns),
        });
        const replayed = world.replayed();
        expect(replayed === null ? null : byId(replayed)).toEqual(byId(world.group));
        world.log.push(...consumerGroupChanges("g", world.group, null));
        expect(world.replayed()).toBeNull();
      }),
      { numRuns: 100 },
    );
  });
});

describe("members", () => {
  test("share a topic: the second gets its half when the first has given it up, and not before", () => {
    const world = new World();
    world.join("a");
    expect(world.owned("a")).toEqual([0, 1, 2, 3]);
    world.join("b");
    expect(world.owned("b")).toEqual([]);
    expect(world.send("a", { owned: null })).toMatchObject({ epoch: 2 }); // Told what to give up; its epoch waits.
    expect(world.owned("a")).toHaveLength(2);
    world.send("b");
    expect(world.owned("b")).toEqual([]);
    expect(world.send("a")).toMatchObject({ epoch: 3, assignment: null });
    world.send("b");
    expect([...world.owned("a"), ...world.owned("b")].sort((x, y) => x - y)).toEqual([0, 1, 2, 3]);
    expect(consumerGroupState(world.group)).toBe("stable");
  });

  test("are fenced by a wrong epoch, but not by one whose answer was lost", () => {
    const world = new World();
    world.join("a");
    expect(world.send("a", { epoch: 5 })).toBe("FENCED_MEMBER_EPOCH");
    world.join("a");
    world.topics.set("t", 5);
    world.topicsVersion += 1;
    const before = world.clients.get("a");
    expect(world.send("a")).toMatchObject({ epoch: 3 });
    if (before !== undefined) world.clients.set("a", before);
    expect(world.send("a", { owned: new Map([[idOf("t"), [9]]]) })).toBe("FENCED_MEMBER_EPOCH");
    if (before !== undefined) world.clients.set("a", before);
    expect(world.send("a")).toMatchObject({ epoch: 3 });
    expect(world.send("z", { epoch: 1 })).toBe("UNKNOWN_MEMBER_ID");
  });

  test("are no more than the limit", () => {
    const world = new World();
    for (const member of ["a", "b", "c"]) expect(world.join(member)).toMatchObject({ memberId: member });
    expect(world.join("d")).toBe("GROUP_MAX_SIZE_REACHED");
    expect(world.join("c")).toMatchObject({ memberId: "c" });
  });

  test("with an instance: the id is released by a promise to return, and the successor has what it had", () => {
    const world = new World();
    const one = { instanceId: "one" };
    world.join("a", one);
    world.join("b", { instanceId: "two" });
    world.settle();
    const had = world.owned("a");
    const { epoch } = world.group;
    expect(world.join("a2", one)).toBe("UNRELEASED_INSTANCE_ID");
    expect(world.send("a", { ...one, epoch: -2 })).toMatchObject({ epoch: -2 });
    expect(world.send("a", { ...one, epoch })).toBe("FENCED_MEMBER_EPOCH");
    expect(world.join("a2", one)).toMatchObject({ epoch });
    expect(world.owned("a2")).toEqual(had);
    expect(world.group.epoch).toBe(epoch);
    expect(world.send("a", { ...one, epoch })).toBe("FENCED_INSTANCE_ID");
    expect(world.send("a2", { ...one, epoch: -1 })).toMatchObject({ epoch: -1 });
    expect(world.group.members.size).toBe(1);
  });

  test("that stop reading a topic lose it at once, whatever their target", () => {
    const world = new World();
    world.join("a", { topics: ["t", "u"] });
    world.send("a", { topics: ["t"], owned: null });
    expect(world.owned("a", "u")).toEqual([]);
    expect(world.owned("a")).toEqual([0, 1, 2, 3]);
  });
});

describe("topics", () => {
  test("that grow or appear are assigned at the next heartbeat, others change nothing", () => {
    const world = new World();
    world.join("a", { topics: [], pattern: ".*" });
    expect(world.owned("a")).toHaveLength(4);
    const written = world.log.length;
    world.send("a");
    expect(world.log).toHaveLength(written);
    world.topics.set("t", 6);
    world.topics.set("v", 1);
    world.topicsVersion += 1;
    world.send("a");
    expect(world.owned("a")).toHaveLength(6);
    expect(world.owned("a", "v")).toEqual([0]);
  });
});

test("an expression that is resolved after the names beside it brings topics that others read already, too", () => {
  const world = new World();
  world.topics.set("t", 9);
  world.join("a", { topics: ["t"] });
  world.isResolved = false;
  world.join("b", { topics: ["u"], pattern: ".*" });
  world.isResolved = true;
  world.send("b");
  world.settle();
  expect(world.owned("b", "u")).toEqual([0, 1, 2]);
  expect(world.owned("b")).toHaveLength(3);
  expect(world.owned("a")).toHaveLength(6);
  world.send("b");
  expect(consumerGroupState(world.group)).toBe("stable");
});

describe("commits and fetches of offsets", () => {
  test("are a member's in its own epoch, or since the partition was assigned", () => {
    const world = new World();
    world.join("a");
    world.topics.set("u", 5);
    world.send("a", { topics: ["t", "u"] });
    const at = [{ topicId: idOf("t"), partition: 0 }];
    const late = [{ topicId: idOf("u"), partition: 0 }];
    const problem = (memberId: string, generation: number, partitions = at) =>
      consumerCommitProblem(world.group, { memberId, generation }, partitions);
    expect(problem("a", 3)).toBe("NONE");
    expect(problem("a", 2)).toBe("NONE");
    expect(problem("a", 2, late)).toBe("STALE_MEMBER_EPOCH");
    expect(problem("a", 4)).toBe("STALE_MEMBER_EPOCH");
    expect(problem("b", 2)).toBe("UNKNOWN_MEMBER_ID");
    expect(problem("", -1)).toBe("UNKNOWN_MEMBER_ID");
    expect(consumerFetchProblem(world.group, { memberId: null, memberEpoch: -1 })).toBe("NONE");
    expect(consumerFetchProblem(world.group, { memberId: "a", memberEpoch: 3 })).toBe("NONE");
    expect(consumerFetchProblem(world.group, { memberId: "a", memberEpoch: 1 })).toBe("STALE_MEMBER_EPOCH");
    expect(consumerFetchProblem(world.group, { memberId: "b", memberEpoch: 1 })).toBe("UNKNOWN_MEMBER_ID");
    world.send("a", { epoch: -1 });
    expect(problem("", -1)).toBe("NONE");
  });
});
