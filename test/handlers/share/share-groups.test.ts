/** Proves: share groups are made, described and moved as a Kafka does it, wrong requests included. */
import { expect, test } from "vitest";
import { uuidToBytes, uuidZero } from "../../../src/base/ids.ts";
import { GroupShard } from "../../../src/coordinator/group-shard.ts";
import { coordinatorPartition } from "../../../src/coordinator/seats.ts";
import { operationsNotAsked } from "../../../src/handlers/cluster/cluster-view.ts";
import { AdminWorld, error } from "../admin-world.ts";

const groupId = "q";

/** In which the coordinator has been asked for, so that there is one. */
async function worldOfGroups(): Promise<AdminWorld> {
  const world = new AdminWorld();
  await world.call("findCoordinator", { keyType: 0, coordinatorKeys: [groupId] });
  return world;
}

async function listed(world: AdminWorld): Promise<readonly string[]> {
  return (await world.call("listGroups", {})).groups.map((group) => group.groupId);
}

test("moving offsets of topics that there are not makes no group", async () => {
  await using world = await worldOfGroups();
  const topics = [{ topicName: "absent", partitions: [{ partitionIndex: 0, startOffset: 0 }] }];
  const altered = await world.call("alterShareGroupOffsets", { groupId, topics });
  expect(error(altered)).toBe("NONE");
  expect(error(altered.responses[0]?.partitions[0])).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await listed(world)).toEqual([]);
  expect(error(await world.call("deleteShareGroupOffsets", { groupId, topics: [] }))).toBe("GROUP_ID_NOT_FOUND");
});

test("moving offsets of a topic makes the group", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  const topics = [{ topicName: "t", partitions: [{ partitionIndex: 0, startOffset: 0 }] }];
  expect(await world.call("alterShareGroupOffsets", { groupId, topics })).toMatchObject({ errorCode: 0 });
  expect(await listed(world)).toEqual([groupId]);
});

test("moving offsets of partitions that a topic has not makes the group, too", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  const topics = [{ topicName: "t", partitions: [{ partitionIndex: 7, startOffset: 0 }] }];
  const { responses } = await world.call("alterShareGroupOffsets", { groupId, topics });
  expect(error(responses[0]?.partitions[0])).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await listed(world)).toEqual([groupId]);
  const deleted = await world.call("deleteShareGroupOffsets", { groupId, topics: [{ topicName: "t" }] });
  expect(deleted.responses.map((each) => error(each))).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
});

test("offsets are described of topics that are named, whoever reads them, and else of those that the group reads", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  const described = async (topics: readonly { topicName: string; partitions: number[] }[] | null) => {
    const { groups } = await world.call("describeShareGroupOffsets", { groups: [{ groupId, topics }] });
    expect(groups.map((group) => error(group))).toEqual(["NONE"]);
    return groups[0]?.topics.flatMap(({ topicName, partitions }) =>
      partitions.map(({ partitionIndex, startOffset }) => `${topicName} ${partitionIndex} ${startOffset}`),
    );
  };
  const named = ["t", "absent"].map((topicName) => ({ topicName, partitions: [0, 7] }));
  expect(await described(named)).toEqual(["t 0 -1", "t 7 -1", "absent 0 -1", "absent 7 -1"]);
  expect(await described([])).toEqual([]);
  expect(await described(null)).toEqual([]);
  const topics = [{ topicName: "t", partitions: [{ partitionIndex: 0, startOffset: 5 }] }];
  await world.call("alterShareGroupOffsets", { groupId, topics });
  expect(await described(null)).toEqual(["t 0 5"]);
  const { groups } = await world.call("describeShareGroupOffsets", { groups: [{ groupId, topics: null }] });
  expect(groups[0]?.topics[0]?.partitions[0]?.lag).toBe(-5); // Nothing is in the topic yet.
  const nameless = (of: typeof named | null) =>
    world.call("describeShareGroupOffsets", { groups: [{ groupId: "", topics: of }] });
  expect(error((await nameless(named)).groups[0])).toBe("INVALID_GROUP_ID");
  expect(error((await nameless(null)).groups[0])).toBe("NONE");
});

test("the very first member of all has its partitions in the first answer, though the topic of states is made only then", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  world.log.otherwise = { kind: "opening" };
  world.readableAfterMs = 100;
  const { assignment } = await world.call("shareGroupHeartbeat", {
    groupId,
    memberId: "m",
    memberEpoch: 0,
    rackId: null,
    subscribedTopicNames: ["t"],
  });
  expect(assignment?.topicPartitions.map(({ partitions }) => partitions)).toEqual([[0]]);
});

test("members that come together share from the first answer on; who comes later waits for nobody", async () => {
  await using world = await worldOfGroups();
  await world.topic("t", 2);
  const join = async (memberId: string) => {
    const request = { groupId, memberId, memberEpoch: 0, rackId: null, subscribedTopicNames: ["t"] };
    const { assignment } = await world.call("shareGroupHeartbeat", request);
    return assignment?.topicPartitions.map(({ partitions }) => partitions);
  };
  const together = await Promise.all([join("a"), join("b")]);
  expect(new Set(together.flat(2))).toEqual(new Set([0, 1]));
  expect(together.map((partitions) => partitions?.[0])).toEqual([[expect.any(Number)], [expect.any(Number)]]);
  expect(await join("c")).toEqual([[expect.any(Number)]]);
});

test("of a group that there is not nobody may do anything", async () => {
  await using world = await worldOfGroups();
  const { groups } = await world.call("shareGroupDescribe", { groupIds: ["", "g"], includeAuthorizedOperations: true });
  expect(groups.map((group) => error(group))).toEqual(["INVALID_GROUP_ID", "GROUP_ID_NOT_FOUND"]);
  expect(groups.map((group) => group.authorizedOperations)).toEqual([operationsNotAsked, operationsNotAsked]);
});

test("nobody commits offsets to a share group, in a transaction neither", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  const topics = [{ topicName: "t", partitions: [{ partitionIndex: 0, startOffset: 0 }] }];
  await world.call("alterShareGroupOffsets", { groupId, topics });
  const shard = await world.coordinator.shard(groupId);
  if (!(shard instanceof GroupShard)) throw new Error(shard);
  const value = { offset: 1, leaderEpoch: -1, metadata: "", topicId: uuidZero, committedAt: 0, expiresAt: null };
  const commit = {
    groupId,
    memberId: "",
    instanceId: null,
    generation: -1,
    knowsMissingGroup: true,
    offsets: [{ topic: "t", partition: 0, value }],
  };
  const transaction = { producerId: 1, producerEpoch: 0 };
  expect(await shard.commit(commit)).toBe("GROUP_ID_NOT_FOUND");
  expect(await shard.commitInTransaction({ ...commit, transaction }, () => true)).toBe("GROUP_ID_NOT_FOUND");
  expect(await listed(world)).toEqual([groupId]);
});

test("who is first has the name: it never stands for a share group and another group at once", async () => {
  await using world = await worldOfGroups();
  await world.topic("t");
  const commit = {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: "",
    topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
  };
  const beat = { groupId, memberId: "m", memberEpoch: 0, rackId: null, subscribedTopicNames: ["t"] };
  const answers = Promise.all([world.send("shareGroupHeartbeat", beat), world.send("offsetCommit", commit, 9)]);
  const [joined, committed] = await world.clock.until(answers);
  expect(error(committed.topics[0]?.partitions[0])).toBe("NONE");
  expect(error(joined)).toBe("GROUP_ID_NOT_FOUND");
  expect(await listed(world)).toEqual([groupId]);
});

test("share groups count among those that a shard may hold", async () => {
  await using world = new AdminWorld({ groupOffsetsPartitions: 1, groupShardGroupsMax: 2 });
  await world.call("findCoordinator", { keyType: 0, coordinatorKeys: [groupId] });
  await world.topic("t");
  const join = async (name: string, memberId: string) => {
    const request = { groupId: name, memberId, memberEpoch: 0, rackId: null, subscribedTopicNames: ["t"] };
    return error(await world.call("shareGroupHeartbeat", request));
  };
  const alter = async (name: string) => {
    const topics = [{ topicName: "t", partitions: [{ partitionIndex: 0, startOffset: 0 }] }];
    return error(await world.call("alterShareGroupOffsets", { groupId: name, topics }));
  };
  expect([await join("a", "m"), await alter("b"), await join("c", "m"), await alter("c")]).toEqual([
    "NONE",
    "NONE",
    "GROUP_MAX_SIZE_REACHED",
    "GROUP_MAX_SIZE_REACHED",
  ]);
  expect([await join("a", "n"), await alter("b"), await join("b", "m")]).toEqual(["NONE", "NONE", "NONE"]);
  const topics = [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }];
  const commit = { groupId: "d", generationIdOrMemberEpoch: -1, memberId: "", topics };
  const committed = await world.call("offsetCommit", commit, 9);
  expect(error(committed.topics[0]?.partitions[0])).toBe("GROUP_MAX_SIZE_REACHED");
});

test("a partition whose state could not be made at first begins where the others of its topic do", async () => {
  await using world = await worldOfGroups();
  await world.topic("t", 2);
  const beat = async (group: string, memberEpoch: number) => {
    const subscribedTopicNames = memberEpoch === 0 ? ["t"] : null;
    const request = { groupId: group, memberId: "m", memberEpoch, rackId: null, subscribedTopicNames };
    return await world.call("shareGroupHeartbeat", request);
  };
  await beat("first", 0); // Makes the topic of states.
  const { image } = world.metadata;
  const [states, topic] = [image.topicByName("__share_group_state"), image.topicByName("t")];
  if (states === undefined || topic === undefined) throw new Error("no topic");
  const key = `${groupId}:${Buffer.from(uuidToBytes(topic.id)).toString("base64url")}:1`;
  world.log.otherwise = { kind: "opening" };
  world.log.remove(states.id, coordinatorPartition(key, states.partitions.length));
  const { memberEpoch } = await beat(groupId, 0);
  world.log.add(states.id, states.name, states.partitions.length);
  await beat(groupId, memberEpoch);
  const { groups } = await world.call("describeShareGroupOffsets", { groups: [{ groupId, topics: null }] });
  const starts = groups[0]?.topics[0]?.partitions.map(({ startOffset }) => startOffset);
  expect(starts).toEqual([-1, -1]); // The group's reset policy decides.
});
