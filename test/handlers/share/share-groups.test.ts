/** Proves: share groups are made, described and moved as a Kafka does it, wrong requests included. */
import { expect, test } from "vitest";
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

test("of a group that there is not nobody may do anything", async () => {
  await using world = await worldOfGroups();
  const { groups } = await world.call("shareGroupDescribe", { groupIds: ["", "g"], includeAuthorizedOperations: true });
  expect(groups.map((group) => error(group))).toEqual(["INVALID_GROUP_ID", "GROUP_ID_NOT_FOUND"]);
  expect(groups.map((group) => group.authorizedOperations)).toEqual([operationsNotAsked, operationsNotAsked]);
});
