// Proves: whatever members do, no task has two owners, epochs never go back, and once all confirm, every task runs once.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import {
  afterDelay,
  heartbeat,
  type StreamsContext,
  type StreamsHeartbeat,
  streamsCommitProblem,
  streamsFetchProblem,
  topicsRead,
  withoutMembers,
} from "../../../src/coordinator/streams/streams-group.ts";
import {
  decodeStreamsRecord,
  StreamsGroupReplay,
  streamsGroupChanges,
} from "../../../src/coordinator/streams/streams-group-records.ts";
import {
  emptyStreamsGroup,
  type StreamsGroup,
  streamsGroupState,
} from "../../../src/coordinator/streams/streams-group-state.ts";
import {
  byRole,
  type HeldTasks,
  noTasks,
  nothingHeld,
  type Tasks,
  taskRoles,
} from "../../../src/coordinator/streams/tasks.ts";
import type { StreamsTopology } from "../../../src/coordinator/streams/topology.ts";
import type { StateRecord } from "../../../src/log/state-log.ts";

const internal = (name: string) => ({ name, partitions: 0, replicationFactor: 0, topicConfigs: [] });
const none = { sourceTopicRegex: [], copartitionGroups: [] };

/** Words are read, sent through r, and counted with a changelog c. */
const topology: StreamsTopology = {
  epoch: 0,
  subtopologies: [
    {
      ...none,
      subtopologyId: "0",
      sourceTopics: ["t"],
      stateChangelogTopics: [],
      repartitionSinkTopics: ["r"],
      repartitionSourceTopics: [],
    },
    {
      ...none,
      subtopologyId: "1",
      sourceTopics: [],
      stateChangelogTopics: [internal("c")],
      repartitionSinkTopics: [],
      repartitionSourceTopics: [internal("r")],
    },
  ],
};

const processes: Readonly<Record<string, string>> = { a: "p", b: "p", c: "q", d: "s" };
const members = Object.keys(processes);

interface Client {
  readonly epoch: number;
  readonly owned: HeldTasks;
}

function numbers(tasks: HeldTasks): Tasks {
  return byRole((role) => new Map([...tasks[role]].map(([id, held]) => [id, [...held.keys()]])));
}

/** A group, the topics around it, what each client believes, and the log that is written. */
class World {
  group: StreamsGroup = emptyStreamsGroup;
  readonly topics = new Map([["t", 4]]);
  topicsVersion = 1;
  /** Topics are made anew under new ids. */
  #ids = 1;
  readonly #idOf = new Map<string, number>();
  now = 1_000_000;
  standbys = 0;
  initialDelayMs = 0;
  assignmentIntervalMs = 0;
  readonly clients = new Map<string, Client>();
  readonly log: StateRecord[] = [];

  get context(): StreamsContext {
    return {
      now: this.now,
      limits: {
        membersMax: 4,
        tasksMax: 100,
        sessionTimeoutMs: 45_000,
        heartbeatIntervalMs: 5000,
        assignmentIntervalMs: this.assignmentIntervalMs,
        initialDelayMs: this.initialDelayMs,
        standbys: this.standbys,
      },
      topics: {
        version: this.topicsVersion,
        byName: (name) => {
          const partitions = this.topics.get(name);
          return partitions === undefined ? undefined : { id: `${this.#idOf.get(name) ?? 0}` as Uuid, partitions };
        },
        nameOf: () => undefined,
        names: () => this.topics.keys(),
      },
    };
  }

  topic(name: string, partitions: number): void {
    if (partitions === 0) this.topics.delete(name);
    else {
      if (!this.topics.has(name)) this.#idOf.set(name, this.#ids++);
      this.topics.set(name, partitions);
    }
    this.topicsVersion += 1;
  }

  send(memberId: string, given: Partial<StreamsHeartbeat> = {}) {
    this.now += 1;
    const client = this.clients.get(memberId);
    const request: StreamsHeartbeat = {
      memberId,
      epoch: client?.epoch ?? 0,
      endpointsEpoch: -1,
      metadata: {
        rackId: null,
        clientId: "client",
        clientHost: "/127.0.0.1",
        rebalanceTimeoutMs: null,
        topologyEpoch: null,
        processId: null,
        userEndpoint: null,
        clientTags: null,
      },
      topology: null,
      owned: client === undefined ? null : numbers(client.owned),
      wantsShutdown: false,
      ...given,
    };
    const step = heartbeat(this.group, request, this.context);
    if (step.kind === "refused") {
      this.clients.delete(memberId);
      return step.error;
    }
    this.become(step.group);
    const { epoch, tasks } = step.answer;
    if (epoch < 0) this.clients.delete(memberId);
    else this.clients.set(memberId, { epoch, owned: tasks ?? client?.owned ?? nothingHeld });
    return step.answer;
  }

  /** The client then says what it owns, whether or not it was told something. */
  join(memberId: string, given: Partial<StreamsHeartbeat["metadata"]> = {}, joined = topology) {
    this.clients.delete(memberId);
    return this.send(memberId, {
      topology: joined,
      owned: numbers(nothingHeld),
      metadata: {
        rackId: null,
        clientId: "client",
        clientHost: "/127.0.0.1",
        rebalanceTimeoutMs: 60_000,
        topologyEpoch: joined.epoch,
        processId: processes[memberId] ?? memberId,
        userEndpoint: null,
        clientTags: [],
        ...given,
      },
    });
  }

  answer(memberId: string, given: Partial<StreamsHeartbeat> = {}) {
    const answer = this.send(memberId, given);
    if (typeof answer === "string") throw new Error(answer);
    return answer;
  }

  /** The answer does not arrive: the client goes on from where it was. */
  lose(memberId: string): void {
    const before = this.clients.get(memberId);
    if (before === undefined || typeof this.send(memberId) === "string") return;
    this.clients.set(memberId, before);
  }

  become(next: StreamsGroup): void {
    this.log.push(...streamsGroupChanges("g", this.log.length === 0 ? null : this.group, next));
    const before = this.group;
    this.group = next;
    // What holds in every state.
    expect(next.epoch).toBeGreaterThanOrEqual(before.epoch);
    expect(next.targetEpoch).toBeGreaterThanOrEqual(before.targetEpoch);
    expect(next.targetEpoch).toBeLessThanOrEqual(next.epoch);
    for (const [id, { current }] of next.members) {
      expect(current.epoch).toBeGreaterThanOrEqual(before.members.get(id)?.current.epoch ?? 0);
      expect(current.epoch).toBeLessThanOrEqual(next.targetEpoch);
    }
    const actives: string[] = [];
    const inProcess: string[] = [];
    for (const { metadata, current } of next.members.values()) {
      for (const held of [current.assigned, current.revoking]) {
        actives.push(...tasksOf(held, "active"));
        // A task that changes its role in a member is on its way out in the one and not yet there in the other.
        for (const role of taskRoles)
          inProcess.push(...tasksOf(held, role).map((task) => `${metadata.processId} ${task}`));
      }
    }
    expect(new Set(actives).size).toBe(actives.length);
    expect(new Set(inProcess).size).toBe(inProcess.length);
  }

  /** Every client says what it has and gives up what it is told to, until nothing moves. Somebody makes missing topics. */
  settle(): void {
    for (let round = 0; round < 30; round += 1) {
      if (this.group.isDelayed) this.become(afterDelay(this.group, this.context));
      const ids = [...this.clients.keys()]; // Those who are fenced leave the map and come back to it.
      for (const member of ids) {
        const answer = this.send(member);
        if (typeof answer === "string") this.join(member);
        else this.make(answer.missing);
      }
    }
  }

  make(missing: readonly { readonly name: string; readonly partitions: number }[]): void {
    for (const { name, partitions } of missing) if (!this.topics.has(name)) this.topic(name, partitions);
  }

  replayed(): StreamsGroup | null {
    const replay = new StreamsGroupReplay();
    for (const { key, value } of this.log) {
      const decoded = decodeStreamsRecord(key, value);
      if (decoded === undefined) throw new Error("a record of no streams group");
      replay.apply(decoded.record);
    }
    return replay.group();
  }

  tasks(memberId: string, role: keyof HeldTasks = "active"): readonly string[] {
    return tasksOf(this.clients.get(memberId)?.owned ?? nothingHeld, role).sort();
  }
}

function tasksOf(held: HeldTasks, role: keyof HeldTasks): string[] {
  return [...held[role]].flatMap(([id, each]) => [...each.keys()].map((task) => `${id}_${task}`));
}

const anyMember = fc.constantFrom(...members);
const actions = fc.oneof(
  fc.record({
    kind: fc.constantFrom("join", "beat", "silent", "leave", "lost", "fence", "shutdown"),
    member: anyMember,
  }),
  fc.record({
    kind: fc.constant("topic" as const),
    name: fc.constantFrom("t", "r", "c"),
    partitions: fc.integer({ min: 0, max: 5 }),
  }),
  fc.record({ kind: fc.constant("standbys" as const), standbys: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ kind: fc.constant("delay" as const), delayMs: fc.constantFrom(0, 3000) }),
  fc.record({ kind: fc.constant("waited" as const) }),
);
type Action = typeof actions extends fc.Arbitrary<infer T> ? T : never;

const said = {
  beat: {},
  silent: { owned: null },
  leave: { epoch: -1 },
  shutdown: { wantsShutdown: true },
} satisfies Readonly<Record<string, Partial<StreamsHeartbeat>>>;

function act(world: World, action: Action): void {
  switch (action.kind) {
    case "topic":
      // Topics grow; those that shrink were made anew.
      if (action.partitions < (world.topics.get(action.name) ?? 0)) world.topic(action.name, 0);
      world.topic(action.name, action.partitions);
      return;
    case "standbys":
      world.standbys = action.standbys;
      return;
    case "delay":
      world.initialDelayMs = action.delayMs;
      return;
    case "waited":
      world.become(afterDelay(world.group, world.context));
      return;
    case "join":
      world.join(action.member);
      return;
    case "lost":
      world.lose(action.member);
      return;
    case "fence":
      world.clients.delete(action.member);
      world.become(withoutMembers(world.group, new Set([action.member])));
      return;
    case "beat":
    case "silent":
    case "leave":
    case "shutdown":
      if (world.clients.has(action.member)) world.send(action.member, said[action.kind]);
  }
}

/** What is kept in the log. */
function kept(group: StreamsGroup | null) {
  if (group === null) return null;
  const { configured, topicsSeen, isDelayed, shutdownBy, endpointsEpoch } = emptyStreamsGroup;
  return {
    ...group,
    configured,
    topicsSeen,
    isDelayed,
    shutdownBy,
    endpointsEpoch,
    members: Object.fromEntries(group.members),
    targets: Object.fromEntries(group.targets),
  };
}

describe("any sequence of heartbeats", () => {
  test("keeps the invariants, and ends with every task running once when all confirm", () => {
    fc.assert(
      fc.property(fc.array(actions, { maxLength: 40 }), (sequence) => {
        const world = new World();
        for (const action of sequence) act(world, action);
        // Whatever became of them, somebody puts the topics right.
        for (const name of ["r", "c"]) world.topic(name, 0);
        if (!world.topics.has("t")) world.topic("t", 3);
        for (const id of world.group.members.keys()) if (!world.clients.has(id)) world.join(id);
        world.settle();
        if (world.group.members.size === 0) return;
        expect(streamsGroupState(world.group)).toBe("stable");
        const count = world.topics.get("t") ?? 0;
        const all = ["0", "1"].flatMap((id) => Array.from({ length: count }, (_, task) => `${id}_${task}`));
        const ids = [...world.clients.keys()];
        expect(ids.flatMap((id) => world.tasks(id)).sort()).toEqual(all.sort());
        const copies = Math.min(world.standbys, new Set(ids.map((id) => processes[id])).size - 1);
        expect(ids.flatMap((id) => world.tasks(id, "standby")).length).toBe(copies * count);
      }),
      { numRuns: 300 },
    );
  });

  test("is found again in the log, and gone from it with the group", () => {
    fc.assert(
      fc.property(fc.array(actions, { maxLength: 25 }), (sequence) => {
        const world = new World();
        for (const action of sequence) act(world, action);
        if (world.log.length === 0) return;
        expect(kept(world.replayed())).toEqual(kept(world.group));
        world.log.push(...streamsGroupChanges("g", world.group, null));
        expect(world.replayed()).toBeNull();
      }),
      { numRuns: 100 },
    );
  });
});

function ready(partitions = 4): World {
  const world = new World();
  for (const name of ["t", "r", "c"]) world.topic(name, partitions);
  return world;
}

describe("members", () => {
  test("begin at epoch 2 with everything, and the second gets its half when the first has given it up", () => {
    const world = ready(2);
    expect(world.join("a")).toMatchObject({ epoch: 2, statuses: [] });
    expect(world.tasks("a")).toEqual(["0_0", "0_1", "1_0", "1_1"]);
    expect(world.join("c")).toMatchObject({ epoch: 3 });
    expect(world.tasks("c")).toEqual([]);
    expect(world.answer("a").epoch).toBe(2);
    expect(world.tasks("a")).toHaveLength(2);
    world.send("c");
    expect(world.tasks("c")).toEqual([]);
    expect(world.answer("a").epoch).toBe(3);
    world.send("c");
    expect([...world.tasks("a"), ...world.tasks("c")].sort()).toEqual(["0_0", "0_1", "1_0", "1_1"]);
    expect(streamsGroupState(world.group)).toBe("stable");
  });

  test("are fenced by a wrong epoch, but not by one whose answer was lost", () => {
    const world = ready();
    world.join("a");
    world.join("c");
    expect(world.send("c", { epoch: 9 })).toBe("FENCED_MEMBER_EPOCH");
    world.join("c");
    world.lose("a");
    expect(world.send("a")).not.toBe("FENCED_MEMBER_EPOCH");
    expect(world.send("nobody", { epoch: 3 })).toBe("UNKNOWN_MEMBER_ID");
    expect(world.send("nobody", { epoch: -1 })).toBe("UNKNOWN_MEMBER_ID");
  });

  test("of one process hand over a task only when the first has given it up, whatever its role", () => {
    const world = ready();
    world.standbys = 1;
    for (const id of ["a", "b", "c"]) world.join(id);
    world.settle();
    const { group } = world;
    const swapped = new Map(group.targets);
    for (const [id, other] of [
      ["a", "b"],
      ["b", "a"],
    ] as const)
      swapped.set(id, group.targets.get(other) ?? noTasks);
    expect(world.tasks("a", "standby")).not.toEqual([]);
    const before = { a: world.tasks("a", "standby"), b: world.tasks("b", "standby") };
    world.become({ ...group, targets: swapped, epoch: group.epoch + 1, targetEpoch: group.epoch + 1 });
    world.send("a");
    world.send("b");
    world.send("b"); // Gave up its own, and must wait for those of the other.
    expect(world.tasks("b", "standby")).toEqual([]);
    world.settle();
    expect({ a: world.tasks("b", "standby"), b: world.tasks("a", "standby") }).toEqual(before);
  });

  test("are no more than the limit", () => {
    const world = ready();
    for (const id of members) world.join(id);
    expect(world.join("e")).toBe("GROUP_MAX_SIZE_REACHED");
  });

  test("own no tasks that there are not", () => {
    const world = ready(2);
    world.join("a");
    const wrong = { ...numbers(nothingHeld), active: new Map([["1", [2]]]) };
    expect(world.send("a", { owned: wrong })).toBe("INVALID_REQUEST");
  });

  test("with one topology only; those behind are told, and what differs is refused", () => {
    const world = ready();
    world.join("a", {}, { ...topology, epoch: 1 });
    expect(world.join("b")).toMatchObject({
      statuses: [
        { kind: "stale-topology", detail: "The member's topology epoch 0 is behind the group's topology epoch 1." },
      ],
    });
    expect(world.join("c", {}, { ...topology, epoch: 2 })).toBe("INVALID_REQUEST");
  });

  test("that come first wait for others, and are told", () => {
    const world = ready();
    world.initialDelayMs = 3000;
    expect(world.join("a")).toMatchObject({ epoch: 1, statuses: [{ kind: "assignment-delayed" }] });
    world.join("c");
    expect(world.tasks("a")).toEqual([]);
    world.become(afterDelay(world.group, world.context));
    expect(world.answer("a")).toMatchObject({ epoch: 3, statuses: [] });
    expect(world.tasks("a")).toHaveLength(4);
  });

  test("that come within the interval of an assignment wait for the next one", () => {
    const world = ready();
    world.assignmentIntervalMs = 1000;
    world.join("a");
    expect(world.join("c")).toMatchObject({ epoch: 2, statuses: [{ kind: "assignment-delayed" }] });
    world.now += 1000;
    expect(world.answer("c")).toMatchObject({ epoch: 3, statuses: [] });
  });

  test("may stop the application: all are told until all are gone", () => {
    const world = ready();
    world.join("a");
    world.join("c");
    world.send("a", { wantsShutdown: true });
    expect(world.answer("c").statuses).toMatchObject([{ kind: "shutdown-application" }]);
    world.send("a", { epoch: -1 });
    expect(world.answer("c").statuses).toMatchObject([{ kind: "shutdown-application" }]);
    world.send("c", { epoch: -1 });
    expect(world.join("a")).toMatchObject({ statuses: [] });
  });

  test("are told the partitions behind every endpoint when they change", () => {
    const world = ready(2);
    world.standbys = 1;
    world.join("a", { userEndpoint: { host: "h", port: 1 } });
    const first = world.answer("a");
    expect(first.endpoints).toEqual([
      {
        endpoint: { host: "h", port: 1 },
        active: [
          { topic: "t", partitions: [0, 1] },
          { topic: "r", partitions: [0, 1] },
        ],
        standby: [],
      },
    ]);
    expect(world.answer("a", { endpointsEpoch: first.endpointsEpoch }).endpoints).toBeNull();
    world.join("c");
    world.settle();
    const standby = world.answer("c", { endpointsEpoch: first.endpointsEpoch }).endpoints?.[0]?.standby;
    expect(standby?.every(({ topic }) => topic === "r")).toBe(true);
    expect(standby?.flatMap(({ partitions }) => partitions)).toHaveLength(1);
  });
});

describe("topics", () => {
  test("that are missing are asked for, and tasks are given out when they are there", () => {
    const world = new World();
    const answer = world.join("a");
    expect(answer).toMatchObject({ epoch: 2, statuses: [{ kind: "missing-internal-topics" }] });
    expect(streamsGroupState(world.group)).toBe("not-ready");
    if (typeof answer !== "string") world.make(answer.missing);
    expect(world.answer("a")).toMatchObject({ epoch: 3, statuses: [] });
    expect(world.tasks("a")).toHaveLength(8);
  });

  test("that go take the tasks with them", () => {
    const world = ready(1);
    world.join("a");
    world.topic("t", 0);
    expect(world.answer("a").statuses).toMatchObject([{ kind: "missing-source-topics" }]);
    expect(world.tasks("a")).toEqual([]);
    expect(topicsRead(world.group)).toEqual(new Set(["t", "r"]));
  });

  test("that have nothing to do with it change nothing", () => {
    const world = ready();
    world.join("a");
    const { length } = world.log;
    world.topic("other", 3);
    world.send("a");
    expect(world.log).toHaveLength(length);
  });
});

describe("commits and fetches of offsets", () => {
  test("are a member's in its own epoch, or since the task was assigned", () => {
    const world = ready(2);
    world.join("a");
    world.join("c");
    world.settle();
    const { group } = world;
    const epoch = world.clients.get("a")?.epoch ?? 0;
    const [own = ""] = world.tasks("a");
    const [other = ""] = world.tasks("c");
    const at = (task: string) => ({ topic: task.startsWith("0") ? "t" : "r", partition: Number(task.slice(2)) });
    const problem = (generation: number, task: string, memberId = "a") =>
      streamsCommitProblem(group, { memberId, generation }, [at(task)]);
    expect(problem(epoch, other)).toBe("NONE");
    expect(problem(epoch - 1, own)).toBe("NONE");
    expect(problem(epoch - 1, other)).toBe("STALE_MEMBER_EPOCH");
    expect(problem(epoch + 1, own)).toBe("STALE_MEMBER_EPOCH");
    expect(problem(epoch, own, "b")).toBe("UNKNOWN_MEMBER_ID");
    expect(streamsCommitProblem(group, { memberId: "a", generation: 1 }, [{ topic: "x", partition: 0 }])).toBe(
      "STALE_MEMBER_EPOCH",
    );
    expect(streamsCommitProblem(emptyStreamsGroup, { memberId: "", generation: -1 }, [])).toBe("NONE");
    expect(streamsFetchProblem(group, { memberId: null, memberEpoch: -1 })).toBe("NONE");
    expect(streamsFetchProblem(group, { memberId: "a", memberEpoch: epoch })).toBe("NONE");
    expect(streamsFetchProblem(group, { memberId: "a", memberEpoch: epoch - 1 })).toBe("STALE_MEMBER_EPOCH");
    expect(streamsFetchProblem(group, { memberId: "b", memberEpoch: 1 })).toBe("UNKNOWN_MEMBER_ID");
  });
});
