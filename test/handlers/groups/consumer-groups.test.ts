// Proves: heartbeats of the consumer protocol are answered as Kafka does, sessions end, groups change protocols, and tools see it.
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import type { RequestInputOf } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

type Heartbeat = RequestInputOf<"consumerGroupHeartbeat">;

async function ready(): Promise<AdminWorld> {
  const world = new AdminWorld({ groupConsumerAssignmentIntervalMs: 0 });
  await world.topic("t", 2);
  await world.call("findCoordinator", { coordinatorKeys: ["g"] });
  return world;
}

const joining = (given: Partial<Heartbeat> = {}): Heartbeat => ({
  groupId: "g",
  memberId: "a",
  memberEpoch: 0,
  rebalanceTimeoutMs: 60_000,
  subscribedTopicNames: ["t"],
  topicPartitions: [],
  ...given,
});

async function beat(world: AdminWorld, given: Partial<Heartbeat> = {}) {
  return await world.call("consumerGroupHeartbeat", { groupId: "g", memberId: "a", memberEpoch: 2, ...given });
}

async function join(world: AdminWorld, given: Partial<Heartbeat> = {}) {
  return await world.call("consumerGroupHeartbeat", joining(given));
}

/** The group as ConsumerGroupDescribe shows it. */
async function described(world: AdminWorld, groupId = "g") {
  const { groups } = await world.call("consumerGroupDescribe", { groupIds: [groupId] });
  const [group] = groups;
  if (group === undefined) throw new Error("not described");
  return group;
}

/** Version 0 of the embedded protocol. */
const subscription = Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, "t".charCodeAt(0), 255, 255, 255, 255]);

/** Version 1, of a member that has both partitions of `t`. */
const subscriptionOfOwner = Buffer.concat([
  Buffer.of(0, 1, 0, 0, 0, 1, 0, 1, "t".charCodeAt(0), 255, 255, 255, 255),
  Buffer.of(0, 0, 0, 1, 0, 1, "t".charCodeAt(0), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1),
]);

async function joinClassic(world: AdminWorld, memberId = "", metadata = subscription) {
  return await world.call(
    "joinGroup",
    {
      groupId: "g",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata }],
    },
    3,
  );
}

describe("ConsumerGroupHeartbeat", () => {
  const invalid: readonly (readonly [string, Partial<Heartbeat>])[] = [
    ["GroupId can't be empty.", { groupId: "" }],
    ["MemberId can't be empty.", { memberId: "" }],
    ["InstanceId can't be empty.", { instanceId: "" }],
    ["RackId can't be empty.", { rackId: "" }],
    ["MemberEpoch is -3", { memberEpoch: -3 }],
    ["InstanceId can't be null.", { memberEpoch: -2 }],
    ["RebalanceTimeoutMs must be provided", { rebalanceTimeoutMs: -1 }],
    ["TopicPartitions must be empty", { topicPartitions: null }],
    ["Either SubscribedTopicNames or", { subscribedTopicNames: null }],
  ];
  test.each(invalid)("refuses: %s", async (message, given) => {
    await using world = await ready();
    const answer = await join(world, given);
    expect(error(answer)).toBe("INVALID_REQUEST");
    expect(answer.errorMessage).toContain(message);
  });

  test("names an assignor and an expression that are none, and leaves no group behind", async () => {
    await using world = await ready();
    expect(error(await join(world, { serverAssignor: "mine" }))).toBe("UNSUPPORTED_ASSIGNOR");
    const broken = { subscribedTopicNames: null, subscribedTopicRegex: "a([" };
    expect(error(await join(world, broken))).toBe("INVALID_REGULAR_EXPRESSION");
    expect(error(await beat(world))).toBe("GROUP_ID_NOT_FOUND");
    expect((await world.call("listGroups", {})).groups).toEqual([]);
  });

  test("refuses more names than a record may hold", async () => {
    await using world = await ready();
    const names = Array.from({ length: 10_000 }, (_, index) => `${index}`.padEnd(1000, "x"));
    expect(error(await join(world, { subscribedTopicNames: names }))).toBe("UNKNOWN_SERVER_ERROR");
    const shared = { groupId: "h", memberId: "AAAAAAAAAAAAAAAAAAAAAQ", memberEpoch: 0, subscribedTopicNames: names };
    expect(error(await world.call("shareGroupHeartbeat", shared))).toBe("UNKNOWN_SERVER_ERROR");
    expect((await world.call("listGroups", {})).groups).toEqual([]);
  });

  test("is told of an expression that is none after who owns its instance id", async () => {
    await using world = await ready();
    await join(world, { instanceId: "i" });
    const another = { memberId: "another", instanceId: "i", subscribedTopicRegex: "a([" };
    expect(error(await join(world, another))).toBe("UNRELEASED_INSTANCE_ID");
  });

  test("is described with what it was asked to give up until it has", async () => {
    await using world = await ready();
    const { memberId } = await join(world);
    await join(world, { memberId: "another" });
    const topicId = world.metadata.image.topicByName("t")?.id as Uuid;
    await beat(world, { memberEpoch: 2, topicPartitions: [{ topicId, partitions: [0, 1] }] });
    const { members } = await described(world);
    const own = members.find((member) => member.memberId === memberId);
    expect(own?.assignment.topicPartitions.flatMap(({ partitions }) => partitions).sort()).toEqual([0, 1]);
  });

  test("of the classic protocol that is refused hears of no member id", async () => {
    await using world = await ready();
    await join(world);
    const classic = { groupId: "g", sessionTimeoutMs: 10_000, memberId: "stranger", protocolType: "connect" };
    const refused = await world.call(
      "joinGroup",
      { ...classic, protocols: [{ name: "v", metadata: Buffer.of(1) }] },
      8,
    );
    expect(refused).toMatchObject({ memberId: "", generationId: -1 });
    expect(refused.errorCode).not.toBe(0);
  });

  test("gives a member of version 0 an id, and everybody the interval and the whole topic", async () => {
    await using world = await ready();
    const { memberId, ...answer } = await world.call("consumerGroupHeartbeat", joining({ memberId: "" }), 0);
    expect(memberId).toMatch(/^[0-9a-f-]{36}$/);
    const topicId = world.metadata.image.topicByName("t")?.id;
    expect(answer).toMatchObject({ memberEpoch: 2, heartbeatIntervalMs: 5000 });
    expect(answer.assignment?.topicPartitions).toEqual([{ topicId, partitions: [0, 1] }]);
  });

  test("finds topics by an expression, also those that are made later", async () => {
    await using world = await ready();
    await join(world, { subscribedTopicNames: null, subscribedTopicRegex: "t[0-9]*" });
    await world.topic("t1", 1);
    await world.topic("other", 1);
    const { assignment } = await beat(world);
    expect(assignment?.topicPartitions.flatMap(({ partitions }) => partitions)).toHaveLength(3);
  });

  test("has the topics that are named first, and those that an expression beside them finds at the next one", async () => {
    await using world = await ready();
    await world.topic("u1", 1);
    await world.topic("u2", 1);
    const both = { subscribedTopicRegex: "u[0-9]" };
    const idOf = (name: string): Uuid => world.metadata.image.topicByName(name)?.id as Uuid;
    const topicIds = (answer: Awaited<ReturnType<typeof beat>>) =>
      answer.assignment?.topicPartitions.map(({ topicId }) => topicId).sort();
    await join(world); // So that the group has looked at the topics before.
    await beat(world, { memberEpoch: -1 });
    const first = await join(world, both);
    expect(topicIds(first)).toEqual([idOf("t")]);
    const all = ["t", "u1", "u2"].map(idOf).sort();
    const { memberEpoch } = first;
    const next = await beat(world, { memberEpoch, topicPartitions: [{ topicId: idOf("t"), partitions: [0, 1] }] });
    expect(next.memberEpoch).toBeGreaterThan(memberEpoch);
    expect(topicIds(next)).toEqual(all);
    // The group has resolved it: who joins with it waits for nothing but the partitions.
    await join(world, { memberId: "b", ...both });
    const { members } = await described(world);
    const target = members.find((member) => member.memberId === "b")?.targetAssignment.topicPartitions;
    expect(target?.map(({ topicName }) => topicName)).toContain("u2");
  });

  test("removes a member that falls silent, and not one that speaks", async () => {
    await using world = await ready();
    await join(world);
    await join(world, { memberId: "b" });
    for (let second = 0; second < 60; second += 20) {
      await world.clock.run(20_000);
      await beat(world, { memberEpoch: (await described(world)).members[0]?.memberEpoch ?? 0 });
    }
    expect((await described(world)).members.map(({ memberId }) => memberId)).toEqual(["a"]);
  });

  test("keeps to the session and the interval that were set for the group", async () => {
    await using world = await ready();
    const facts = [
      { table: "group-configs" as const, key: "consumer.session.timeout.ms/g", value: "10000" },
      { table: "group-configs" as const, key: "consumer.heartbeat.interval.ms/g", value: "7000" },
    ];
    world.metadata.apply([{ kind: "set-facts", facts }]);
    expect(await join(world)).toMatchObject({ heartbeatIntervalMs: 7000 });
    await world.clock.run(11_000);
    expect((await described(world)).members).toEqual([]);
  });

  test("removes a member that does not give up what it must within its rebalance timeout", async () => {
    await using world = await ready();
    await join(world, { rebalanceTimeoutMs: 30_000 });
    await join(world, { memberId: "b" });
    await beat(world);
    await world.clock.run(20_000);
    await beat(world);
    await beat(world, { memberId: "b", memberEpoch: 3 });
    await world.clock.run(15_000);
    expect((await described(world)).members.map(({ memberId }) => memberId)).toEqual(["b"]);
  });

  test("that leaves for now keeps the place of its instance for the session, though it was to give something up", async () => {
    await using world = await ready();
    await join(world, { instanceId: "i", rebalanceTimeoutMs: 10_000 });
    await join(world, { memberId: "b" });
    await beat(world, { instanceId: "i" });
    await beat(world, { instanceId: "i", memberEpoch: -2 });
    await world.clock.run(20_000);
    await beat(world, { memberId: "b", memberEpoch: 3 });
    expect((await described(world)).members.map(({ instanceId }) => instanceId)).toContain("i");
    await world.clock.run(30_000);
    await beat(world, { memberId: "b", memberEpoch: 3 });
    expect((await described(world)).members.map(({ memberId }) => memberId)).toEqual(["b"]);
  });
});

describe("offsets of a consumer group", () => {
  const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: "" }];

  async function commit(world: AdminWorld, memberId: string, epoch: number, version = 9) {
    const request = { groupId: "g", memberId, generationIdOrMemberEpoch: epoch, topics: [{ name: "t", partitions }] };
    const { topics } = await world.call("offsetCommit", request, version);
    return error(topics[0]?.partitions[0]);
  }

  test("are taken from members in their epoch, and told to them and to administrators", async () => {
    await using world = await ready();
    await join(world);
    expect(await commit(world, "a", 2)).toBe("NONE");
    expect(await commit(world, "a", 2, 8)).toBe("UNSUPPORTED_VERSION");
    expect(await commit(world, "a", 3)).toBe("STALE_MEMBER_EPOCH");
    expect(await commit(world, "b", 1)).toBe("UNKNOWN_MEMBER_ID");
    expect(await commit(world, "", -1)).toBe("UNKNOWN_MEMBER_ID");
    const fetch = async (memberId: string | null, memberEpoch: number) => {
      const asked = { groupId: "g", memberId, memberEpoch, topics: [{ name: "t", partitionIndexes: [0] }] };
      const { groups } = await world.call("offsetFetch", { groups: [asked] }, 9);
      return groups[0]?.errorCode === 0 ? groups[0].topics[0]?.partitions[0]?.committedOffset : error(groups[0]);
    };
    expect(await fetch("a", 2)).toBe(5);
    expect(await fetch(null, -1)).toBe(5);
    expect(await fetch("a", 3)).toBe("STALE_MEMBER_EPOCH");
    expect(await fetch("b", 1)).toBe("UNKNOWN_MEMBER_ID");
    const wanted = [{ name: "t", partitions: [{ partitionIndex: 0 }] }];
    const deleted = await world.call("offsetDelete", { groupId: "g", topics: wanted });
    expect(error(deleted.topics[0]?.partitions[0])).toBe("GROUP_SUBSCRIBED_TO_TOPIC");
  });
});

describe("a group seen from outside", () => {
  test("has the type and state of its protocol in every list", async () => {
    await using world = await ready();
    await join(world);
    const { groups } = await world.call("listGroups", { typesFilter: ["CONSUMER"], statesFilter: ["stable"] });
    expect(groups).toEqual([{ groupId: "g", protocolType: "consumer", groupState: "Stable", groupType: "consumer" }]);
    expect((await world.call("listGroups", { typesFilter: ["classic"] })).groups).toEqual([]);
    expect(error((await world.call("describeGroups", { groups: ["g"] })).groups[0])).toBe("GROUP_ID_NOT_FOUND");
    expect(await described(world)).toMatchObject({
      groupState: "Stable",
      groupEpoch: 2,
      assignmentEpoch: 2,
      assignorName: "uniform",
      members: [{ memberId: "a", memberEpoch: 2, memberType: 1, subscribedTopicNames: ["t"] }],
    });
    expect(error(await described(world, "h"))).toBe("GROUP_ID_NOT_FOUND");
  });

  test("is deleted when it is empty, and not before", async () => {
    await using world = await ready();
    await join(world);
    const remove = async () => error((await world.call("deleteGroups", { groupsNames: ["g"] })).results[0]);
    expect(await remove()).toBe("NON_EMPTY_GROUP");
    await beat(world, { memberEpoch: -1 });
    expect((await described(world)).groupState).toBe("Empty");
    expect(await remove()).toBe("NONE");
    expect(error(await described(world))).toBe("GROUP_ID_NOT_FOUND");
  });
});

describe("a group whose members change their protocol one by one", () => {
  test("goes over with the first, and back with the last", async () => {
    await using world = await ready();
    const old = await joinClassic(world);
    const at = { groupId: "g", memberId: old.memberId, generationId: old.generationId };
    const assignment = Buffer.from([
      0,
      0,
      0,
      0,
      0,
      1,
      0,
      1,
      "t".charCodeAt(0),
      0,
      0,
      0,
      2,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      255,
      255,
      255,
      255,
    ]);
    const synced = await world.call("syncGroup", { ...at, assignments: [{ memberId: old.memberId, assignment }] }, 3);
    expect(error(synced)).toBe("NONE");

    expect(await join(world)).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: { topicPartitions: [] } });
    expect(await described(world)).toMatchObject({ groupState: "Reconciling", groupEpoch: 2 });
    expect(error(await world.call("heartbeat", at, 3))).toBe("REBALANCE_IN_PROGRESS");

    // Its subscription of version 0 does not say what it owns, which means nothing: it has given all up to join.
    const again = await joinClassic(world, old.memberId);
    expect(again).toMatchObject({ errorCode: 0, generationId: 2, protocolName: "range", leader: "" });
    const now = { ...at, generationId: again.generationId };
    const mine = await world.call("syncGroup", { ...now, assignments: [] }, 3);
    expect(error(mine)).toBe("NONE");
    expect([...mine.assignment.subarray(0, 9)]).toEqual([0, 0, 0, 0, 0, 1, 0, 1, "t".charCodeAt(0)]);
    expect(error(await world.call("heartbeat", now, 3))).toBe("NONE");
    const other = await beat(world, { memberEpoch: 2 });
    expect(other.assignment?.topicPartitions.flatMap(({ partitions }) => partitions)).toHaveLength(1);
    const types = (await described(world)).members.map(({ memberType }) => memberType);
    expect(types.sort((x, y) => x - y)).toEqual([0, 1]);

    await beat(world, { memberEpoch: -1 });
    const { groups } = await world.call("describeGroups", { groups: ["g"] });
    expect(groups[0]).toMatchObject({ errorCode: 0, groupState: "PreparingRebalance" });
    const back = await joinClassic(world, old.memberId);
    expect(back).toMatchObject({ errorCode: 0, leader: old.memberId });
    expect(back.generationId).toBeGreaterThan(again.generationId);
  });

  test("goes back without a rebalance when its last is a static member that is there again with the old protocol", async () => {
    await using world = await ready();
    const old = await joinClassic(world);
    const at = { groupId: "g", memberId: old.memberId };
    const whole = Buffer.concat([Buffer.of(0, 0), subscriptionOfOwner.subarray(13), Buffer.of(255, 255, 255, 255)]);
    const given = [{ memberId: old.memberId, assignment: whole }];
    await world.call("syncGroup", { ...at, generationId: old.generationId, assignments: given }, 3);
    await join(world, { instanceId: "i" });
    const { generationId } = await joinClassic(world, old.memberId);
    const mine = await world.call("syncGroup", { ...at, generationId, assignments: [] }, 3);
    await beat(world, { instanceId: "i" });
    expect(await described(world)).toMatchObject({ groupState: "Stable" });

    const request = {
      groupId: "g",
      groupInstanceId: "i",
      memberId: "",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
    };
    const protocols = [{ name: "range", metadata: subscription }];
    const back = await world.call("joinGroup", { ...request, protocolType: "consumer", protocols }, 5);
    expect(back).toMatchObject({ errorCode: 0, generationId });
    const { groups } = await world.call("describeGroups", { groups: ["g"] });
    expect(groups[0]).toMatchObject({ errorCode: 0, groupState: "Stable" });
    const { memberId } = back;
    const theirs = await world.call(
      "syncGroup",
      { groupId: "g", memberId, groupInstanceId: "i", generationId, assignments: [] },
      4,
    );
    const partitionOf = ({ assignment }: { readonly assignment: Uint8Array }) => assignment.at(16);
    expect(new Set([partitionOf(mine), partitionOf(theirs)])).toEqual(new Set([0, 1]));
    expect(error(await world.call("heartbeat", { ...at, generationId }, 3))).toBe("NONE");
  });

  test("gives a classic member that is to give something up the time from its heartbeat to join again", async () => {
    await using world = await ready();
    const old = await joinClassic(world);
    const assignment = subscriptionOfOwner.subarray(13);
    const at = { groupId: "g", memberId: old.memberId, generationId: old.generationId };
    const whole = Buffer.concat([Buffer.of(0, 0), assignment, Buffer.of(255, 255, 255, 255)]);
    await world.call("syncGroup", { ...at, assignments: [{ memberId: old.memberId, assignment: whole }] }, 3);
    await join(world);
    const again = await joinClassic(world, old.memberId, subscriptionOfOwner);
    const now = { ...at, generationId: again.generationId };
    expect(error(await world.call("syncGroup", { ...now, assignments: [] }, 3))).toBe("NONE");
    const members = async () => (await described(world)).members.map(({ memberId }) => memberId).sort();
    await world.clock.run(8000);
    expect(error(await world.call("heartbeat", now, 3))).toBe("REBALANCE_IN_PROGRESS");
    await world.clock.run(5000); // Past the rebalance timeout since it was asked.
    expect(await members()).toEqual(["a", old.memberId].sort());
    await world.clock.run(6000);
    expect(await members()).toEqual(["a"]);
  });

  test("of another protocol type stays what it is", async () => {
    await using world = await ready();
    const request = { groupId: "g", sessionTimeoutMs: 10_000, memberId: "", protocolType: "connect" };
    await world.call("joinGroup", { ...request, protocols: [{ name: "v", metadata: Buffer.of(1) }] }, 3);
    expect(error(await join(world))).toBe("GROUP_ID_NOT_FOUND");
  });

  test("loses a classic member that is told to join again and does not", async () => {
    await using world = await ready();
    await join(world);
    const old = await joinClassic(world);
    const at = { groupId: "g", memberId: old.memberId, generationId: old.generationId };
    await world.call("syncGroup", { ...at, assignments: [] }, 3);
    await world.topic("t2", 1);
    await beat(world, { memberEpoch: 2, subscribedTopicNames: ["t", "t2"], topicPartitions: [] });
    for (let second = 0; second < 15; second += 5) {
      await world.call("heartbeat", at, 3);
      await world.clock.run(5000);
    }
    expect((await described(world)).members.map(({ memberId }) => memberId)).toEqual(["a"]);
  });
});
