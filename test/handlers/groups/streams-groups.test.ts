// Proves: heartbeats of streams groups are answered as Kafka does, internal topics are made, sessions end, and tools see it.
import { describe, expect, test } from "vitest";
import type { RequestInputOf } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

type Heartbeat = RequestInputOf<"streamsGroupHeartbeat">;
type Topology = NonNullable<Heartbeat["topology"]>;
type Subtopology = Topology["subtopologies"][number];

const internal = (name: string, partitions = 0) => ({
  name,
  partitions,
  replicationFactor: 0,
  topicConfigs: [{ key: "cleanup.policy", value: "compact" }],
});

const reads: Subtopology = {
  subtopologyId: "0",
  sourceTopics: ["t"],
  sourceTopicRegex: [],
  stateChangelogTopics: [],
  repartitionSinkTopics: ["g-words-repartition"],
  repartitionSourceTopics: [],
  copartitionGroups: [],
};
const counts: Subtopology = {
  ...reads,
  subtopologyId: "1",
  sourceTopics: [],
  stateChangelogTopics: [internal("g-counts-changelog")],
  repartitionSinkTopics: [],
  repartitionSourceTopics: [internal("g-words-repartition")],
};
const names = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => `a-name-of-some-length-${n}`);
const topology: Topology = { epoch: 0, subtopologies: [reads, counts] };

async function ready(overrides: ConstructorParameters<typeof AdminWorld>[0] = {}): Promise<AdminWorld> {
  const world = new AdminWorld({
    groupStreamsAssignmentIntervalMs: 0,
    groupStreamsInitialRebalanceDelayMs: 0,
    ...overrides,
  });
  await world.topic("t", 2);
  await world.call("findCoordinator", { coordinatorKeys: ["g"] });
  return world;
}

async function beat(world: AdminWorld, given: Partial<Heartbeat> = {}) {
  return await world.call("streamsGroupHeartbeat", { groupId: "g", memberId: "a", memberEpoch: 2, ...given });
}

const joining = (given: Partial<Heartbeat> = {}): Heartbeat => ({
  groupId: "g",
  memberId: "a",
  memberEpoch: 0,
  rebalanceTimeoutMs: 60_000,
  topology,
  activeTasks: [],
  standbyTasks: [],
  warmupTasks: [],
  processId: "p",
  clientTags: [],
  ...given,
});

async function join(world: AdminWorld, given: Partial<Heartbeat> = {}) {
  return await world.call("streamsGroupHeartbeat", joining(given));
}

/** A group of one member that runs everything. */
async function running(overrides?: Parameters<typeof ready>[0]): Promise<AdminWorld> {
  const world = await ready(overrides);
  await join(world);
  await beat(world);
  return world;
}

async function described(world: AdminWorld, groupId = "g") {
  const { groups } = await world.call("streamsGroupDescribe", { groupIds: [groupId] });
  const [group] = groups;
  if (group === undefined) throw new Error("not described");
  return group;
}

describe("StreamsGroupHeartbeat", () => {
  const noTasks = { activeTasks: [], standbyTasks: [], warmupTasks: [] };
  const tasks = [{ subtopologyId: "0", partitions: [0] }];
  const offsets = [{ subtopologyId: "0", partition: 0, offset: 1 }];
  const invalid: readonly (readonly [string, Partial<Heartbeat>])[] = [
    ["GroupId can't be empty.", { groupId: "" }],
    ["MemberId can't be empty.", { memberId: "" }],
    ["RackId can't be empty.", { rackId: "" }],
    ["MemberEpoch is -3", { memberEpoch: -3, topology: null }],
    ["InstanceId can't be null.", { memberEpoch: -2, topology: null }],
    ["RebalanceTimeoutMs must be provided", { rebalanceTimeoutMs: -1 }],
    ["Topology must be non-null", { topology: null }],
    ["Topology can only be provided", { memberEpoch: 3 }],
    ["ActiveTasks must be empty", { activeTasks: tasks }],
    ["StandbyTasks must be empty", { standbyTasks: tasks }],
    ["If one task-type is non-null", { warmupTasks: null }],
    ["Static membership is not yet supported.", { instanceId: "i" }],
    ["TaskOffsets are not supported yet.", { taskOffsets: offsets }],
    ["TaskEndOffsets are not supported yet.", { taskEndOffsets: offsets }],
    ["WarmupTasks are not supported yet.", { warmupTasks: tasks }],
    [
      "Regular expressions for source topics are not supported yet.",
      { topology: { epoch: 0, subtopologies: [{ ...reads, sourceTopicRegex: ["t.*"] }] } },
    ],
  ];
  test.each(invalid)("refuses: %s", async (message, given) => {
    await using world = await ready();
    const answer = await join(world, given);
    expect(error(answer)).toBe("INVALID_REQUEST");
    expect(answer.errorMessage).toContain(message);
    expect((await world.call("listGroups", {})).groups).toEqual([]);
  });

  const prohibited: readonly (readonly [string, Partial<Subtopology>])[] = [
    ["Use of Kafka internal topics __consumer_offsets in", { sourceTopics: ["__consumer_offsets"] }],
    ["Topic names a b are not valid topic names.", { repartitionSinkTopics: ["a b"] }],
    ["must have an undefined partition count", { stateChangelogTopics: [internal("c", 3)] }],
    ["No source topics found for subtopology 0", { sourceTopics: [], repartitionSinkTopics: [] }],
  ];
  test.each(prohibited)("refuses a topology: %s", async (message, given) => {
    await using world = await ready();
    const answer = await join(world, { topology: { epoch: 0, subtopologies: [{ ...reads, ...given }] } });
    expect(error(answer)).toBe("STREAMS_INVALID_TOPOLOGY");
    expect(answer.errorMessage).toContain(message);
    expect((await world.call("listGroups", {})).groups).toEqual([]);
  });

  test.each<[string, Partial<Heartbeat>]>([
    [
      "topology",
      {
        topology: {
          epoch: 0,
          subtopologies: [
            { ...reads, repartitionSinkTopics: [...reads.repartitionSinkTopics, ...names(3000)] },
            counts,
          ],
        },
      },
    ],
    ["client tags", { clientTags: names(3000).map((key) => ({ key, value: "x" })) }],
  ])("refuses what no record is to hold: %s", async (_, given) => {
    await using world = await ready({ groupRecordBytesMax: 65_536 });
    expect(error(await join(world, given))).toBe("UNKNOWN_SERVER_ERROR");
    expect((await world.call("listGroups", {})).groups).toEqual([]);
    expect(error(await join(world))).toBe("NONE");
    expect(error(await join(world, { memberId: "b", ...given }))).toBe(
      given.topology === undefined ? "UNKNOWN_SERVER_ERROR" : "INVALID_REQUEST",
    );
    expect((await described(world)).members.map(({ memberId }) => memberId)).toEqual(["a"]);
  });

  test("has the internal topics made as the topology wants them, and gives out the tasks", async () => {
    await using world = await ready();
    expect(await join(world)).toMatchObject({
      errorCode: 0,
      memberId: "a",
      memberEpoch: 2,
      heartbeatIntervalMs: 5000,
      activeTasks: [],
      status: [{ statusCode: 3, statusDetail: "Internal topics are missing: g-words-repartition, g-counts-changelog" }],
    });
    const changelog = world.metadata.image.topicByName("g-counts-changelog");
    expect(changelog?.partitions).toHaveLength(2);
    expect(changelog?.configs.get("cleanup.policy")).toBe("compact");
    expect(await beat(world)).toMatchObject({
      memberEpoch: 3,
      status: [],
      activeTasks: [
        { subtopologyId: "0", partitions: [0, 1] },
        { subtopologyId: "1", partitions: [0, 1] },
      ],
      standbyTasks: [],
    });
    expect((await beat(world, { memberEpoch: 3 })).activeTasks).toBeNull();
  });

  test("says why an internal topic cannot be made", async () => {
    await using world = await ready();
    const wide = { ...counts, stateChangelogTopics: [{ ...internal("g-counts-changelog"), replicationFactor: 3 }] };
    const { status } = await join(world, { topology: { epoch: 0, subtopologies: [reads, wide] } });
    expect(status?.[0]?.statusDetail).toContain("; Creation failed: g-counts-changelog (Unable to replicate");
  });

  test("waits for more members before the first assignment, and for the interval between two", async () => {
    await using world = await ready({
      groupStreamsInitialRebalanceDelayMs: 3000,
      groupStreamsAssignmentIntervalMs: 10_000,
    });
    const first = await join(world);
    expect(first.memberEpoch).toBe(1);
    expect(first.status?.map(({ statusCode }) => statusCode)).toEqual([5, 3]);
    await join(world, { memberId: "b", processId: "q" });
    await world.clock.run(3000);
    const { activeTasks, memberEpoch } = await beat(world, { memberEpoch: 1 });
    expect(activeTasks?.flatMap(({ partitions }) => partitions)).toHaveLength(2);
    const late = await join(world, { memberId: "c", processId: "r" });
    expect(late.status?.[0]?.statusDetail).toBe("Assignment delayed due to the configured assignment interval.");
    await world.clock.run(10_000);
    const next = await beat(world, { memberEpoch });
    expect(next.status).toEqual([]);
  });

  test("removes a member that falls silent, and one that does not give up what it must", async () => {
    await using world = await running();
    await join(world, { memberId: "b", processId: "q", rebalanceTimeoutMs: 60_000 });
    const revoking = await beat(world, { memberEpoch: 3 });
    expect(revoking.activeTasks).not.toBeNull();
    for (let second = 0; second < 60; second += 20) {
      await world.clock.run(20_000);
      await beat(world, { memberEpoch: 3 });
    }
    expect((await described(world)).members).toEqual([]);
  });

  test("keeps to what was set for the group", async () => {
    await using world = await ready();
    const set = (key: string, value: string) => ({ table: "group-configs" as const, key: `streams.${key}/g`, value });
    world.metadata.apply([
      {
        kind: "set-facts",
        facts: [
          set("session.timeout.ms", "10000"),
          set("heartbeat.interval.ms", "7000"),
          set("num.standby.replicas", "1"),
        ],
      },
    ]);
    expect(await join(world)).toMatchObject({ heartbeatIntervalMs: 7000 });
    await join(world, { memberId: "b", processId: "q" });
    const target = (await described(world)).members.flatMap(({ targetAssignment }) => targetAssignment.standbyTasks);
    expect(target.map(({ subtopologyId }) => subtopologyId)).toEqual(["1", "1"]);
    await world.clock.run(11_000);
    expect((await described(world)).members).toEqual([]);
  });

  test("tells of every endpoint which partitions are behind it", async () => {
    await using world = await ready();
    const userEndpoint = { host: "h", port: 65_535 };
    const { endpointInformationEpoch } = await join(world, { userEndpoint });
    const told = await beat(world, { endpointInformationEpoch });
    expect(told.partitionsByUserEndpoint).toEqual([
      {
        userEndpoint,
        activePartitions: [
          { topic: "t", partitions: [0, 1] },
          { topic: "g-words-repartition", partitions: [0, 1] },
        ],
        standbyPartitions: [],
      },
    ]);
    const known = { memberEpoch: 3, endpointInformationEpoch: told.endpointInformationEpoch };
    expect((await beat(world, known)).partitionsByUserEndpoint).toBeNull();
  });

  test("finds the group again after the coordinator was elsewhere", async () => {
    await using world = await running();
    const before = await described(world);
    const topicId = world.metadata.image.topicByName("__consumer_offsets")?.id;
    if (topicId === undefined) throw new Error("no offsets");
    world.log.reopen(topicId, 0);
    world.log.reopen(topicId, 1);
    expect(await beat(world, { memberEpoch: 3, ...noTasks, activeTasks: tasks })).toMatchObject({
      errorCode: 0,
      activeTasks: null,
    });
    expect(await described(world)).toEqual(before);
  });
});

describe("offsets of a streams group", () => {
  const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: "" }];

  async function commit(world: AdminWorld, memberId: string, epoch: number, version = 9) {
    const request = { groupId: "g", memberId, generationIdOrMemberEpoch: epoch, topics: [{ name: "t", partitions }] };
    const { topics } = await world.call("offsetCommit", request, version);
    return error(topics[0]?.partitions[0]);
  }

  test("are taken from members in their epoch, told to them and to administrators, and kept while they are read", async () => {
    await using world = await running();
    expect(await commit(world, "a", 3)).toBe("NONE");
    expect(await commit(world, "a", 3, 8)).toBe("UNSUPPORTED_VERSION");
    expect(await commit(world, "a", 2)).toBe("STALE_MEMBER_EPOCH");
    expect(await commit(world, "a", 4)).toBe("STALE_MEMBER_EPOCH");
    expect(await commit(world, "b", 3)).toBe("UNKNOWN_MEMBER_ID");
    const fetch = async (memberId: string | null, memberEpoch: number) => {
      const asked = { groupId: "g", memberId, memberEpoch, topics: [{ name: "t", partitionIndexes: [0] }] };
      const { groups } = await world.call("offsetFetch", { groups: [asked] }, 9);
      return groups[0]?.errorCode === 0 ? groups[0].topics[0]?.partitions[0]?.committedOffset : error(groups[0]);
    };
    expect(await fetch("a", 3)).toBe(5);
    expect(await fetch(null, -1)).toBe(5);
    expect(await fetch("a", 2)).toBe("STALE_MEMBER_EPOCH");
    const wanted = [{ name: "t", partitions: [{ partitionIndex: 0 }] }];
    const remove = async () =>
      (await world.call("offsetDelete", { groupId: "g", topics: wanted })).topics[0]?.partitions[0];
    expect(error(await remove())).toBe("GROUP_SUBSCRIBED_TO_TOPIC");
    await beat(world, { memberEpoch: -1 });
    expect(await commit(world, "", -1)).toBe("NONE"); // As tools do that reset offsets.
    expect(error(await remove())).toBe("NONE");
  });
});

describe("a streams group seen from outside", () => {
  test("has its type and state in every list, and its topology, members and tasks when it is described", async () => {
    await using world = await ready();
    await join(world, { clientTags: [{ key: "zone", value: "a" }], rackId: "r" });
    expect(await described(world)).toMatchObject({
      groupState: "NotReady",
      topology: { subtopologies: [{}, { repartitionSourceTopics: [{ partitions: 0 }] }] },
    });
    await beat(world);
    const { groups } = await world.call("listGroups", { typesFilter: ["Streams"], statesFilter: ["stable"] });
    expect(groups).toEqual([{ groupId: "g", protocolType: "streams", groupState: "Stable", groupType: "streams" }]);
    expect(error((await world.call("describeGroups", { groups: ["g"] })).groups[0])).toBe("GROUP_ID_NOT_FOUND");
    const assignment = {
      activeTasks: [
        { subtopologyId: "0", partitions: [0, 1] },
        { subtopologyId: "1", partitions: [0, 1] },
      ],
    };
    expect(await described(world)).toMatchObject({
      groupState: "Stable",
      groupEpoch: 3,
      assignmentEpoch: 3,
      topology: {
        epoch: 0,
        subtopologies: [
          { subtopologyId: "0", sourceTopics: ["t"], repartitionSinkTopics: ["g-words-repartition"] },
          {
            subtopologyId: "1",
            stateChangelogTopics: [{ name: "g-counts-changelog", partitions: 2 }],
            repartitionSourceTopics: [{ name: "g-words-repartition", partitions: 2 }],
          },
        ],
      },
      members: [
        {
          memberId: "a",
          memberEpoch: 3,
          rackId: "r",
          clientId: "client",
          clientHost: "/127.0.0.1",
          topologyEpoch: 0,
          processId: "p",
          clientTags: [{ key: "zone", value: "a" }],
          assignment,
          targetAssignment: assignment,
        },
      ],
    });
    expect(error(await described(world, "h"))).toBe("GROUP_ID_NOT_FOUND");
  });

  test("is deleted when it is empty, and not before", async () => {
    await using world = await running();
    const remove = async () => error((await world.call("deleteGroups", { groupsNames: ["g"] })).results[0]);
    expect(await remove()).toBe("NON_EMPTY_GROUP");
    await beat(world, { memberEpoch: -1 });
    expect((await described(world)).groupState).toBe("Empty");
    expect(await remove()).toBe("NONE");
    expect(error(await described(world))).toBe("GROUP_ID_NOT_FOUND");
  });
});

describe("another protocol", () => {
  const classic = { groupId: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: "" };
  const joinClassic = async (world: AdminWorld) =>
    await world.call(
      "joinGroup",
      { ...classic, protocolType: "consumer", protocols: [{ name: "range", metadata: new Uint8Array(0) }] },
      3,
    );

  test("does not enter while there are members, and a classic one takes over when there are none", async () => {
    await using world = await running();
    expect(error(await joinClassic(world))).toBe("INCONSISTENT_GROUP_PROTOCOL");
    const consumer = { groupId: "g", memberId: "c", memberEpoch: 0, rebalanceTimeoutMs: 1000 };
    const asked = { ...consumer, subscribedTopicNames: ["t"], topicPartitions: [] };
    expect(error(await world.call("consumerGroupHeartbeat", asked))).toBe("GROUP_ID_NOT_FOUND");
    const stray = { groupId: "g", generationId: 1, memberId: "c" };
    expect(error(await world.call("heartbeat", stray))).toBe("UNKNOWN_MEMBER_ID");
    await beat(world, { memberEpoch: -1 });
    expect(error(await joinClassic(world))).toBe("NONE");
    expect(error(await described(world))).toBe("GROUP_ID_NOT_FOUND");
    expect(error(await join(world))).toBe("GROUP_ID_NOT_FOUND");
  });
});
