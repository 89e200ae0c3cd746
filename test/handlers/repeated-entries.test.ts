// Proves: what a request names a thousand times is told a few times, and what it makes up not at all, so that no small request makes a large answer.
import { expect, test } from "vitest";
import { errorCode } from "../../schemas/kafka/errors.ts";
import { uuidZero } from "../../src/base/ids.ts";
import { tellingsMax } from "../../src/handlers/repeated.ts";
import { AdminWorld, error } from "./admin-world.ts";

const times = 1000;
const few = <T>(entry: T): T[] => Array.from({ length: tellingsMax }, () => entry);

function many<T>(entry: T): T[] {
  return Array.from({ length: times }, () => entry);
}

async function ready(): Promise<AdminWorld> {
  const world = new AdminWorld();
  await world.topic("t", 3);
  await world.call("findCoordinator", { coordinatorKeys: ["g"] });
  const at = (partitionIndex: number) => ({ partitionIndex, committedOffset: 1, committedMetadata: "m" });
  const topicId = world.metadata.image.topicByName("t")?.id ?? uuidZero;
  const topics = [{ name: "t", topicId, partitions: [at(0), at(1)] }];
  await world.call("offsetCommit", { groupId: "g", generationIdOrMemberEpoch: -1, memberId: "", topics });
  return world;
}

test("the configs of a resource, each time those that are asked for", async () => {
  await using world = await ready();
  const broker = { resourceType: 4, resourceName: `${world.metadata.nodeId}`, configurationKeys: null };
  const named = (key: string) => ({ resourceType: 2, resourceName: "t", configurationKeys: [key] });
  const resources = [...many(broker), named("retention.ms"), named("cleanup.policy")];
  const { results } = await world.call("describeConfigs", { resources });
  expect(results.slice(0, -2).map(({ resourceType }) => resourceType)).toEqual(few(4));
  expect(results[0]?.configs.length).toBeGreaterThan(100);
  expect(results.slice(-2).map(({ configs }) => configs.map(({ name }) => name))).toEqual([
    ["retention.ms"],
    ["cleanup.policy"],
  ]);
});

test.each([16, 32])("no more defaults of resources of type %i than somebody can want", async (resourceType) => {
  await using world = await ready();
  const names = Array.from({ length: 10_001 }, (_, index) => `${index}`);
  const { results } = await world.call("describeConfigs", {
    resources: names.map((resourceName) => ({ resourceType, resourceName, configurationKeys: null })),
  });
  expect(results.filter((each) => error(each) === "NONE")).toHaveLength(10_000);
  expect(results.at(-1)).toMatchObject({ resourceName: "10000", errorCode: errorCode.INVALID_REQUEST, configs: [] });
});

test.each(["describeGroups", "consumerGroupDescribe", "shareGroupDescribe", "streamsGroupDescribe"] as const)(
  "the groups of %s",
  async (api) => {
    await using world = await ready();
    const groups = [...many("g"), "h"];
    const answer = await world.call(api, api === "describeGroups" ? { groups } : { groupIds: groups });
    expect(answer.groups.map(({ groupId }) => groupId)).toEqual([...few("g"), "h"]);
  },
);

test("the topic of Metadata, by whatever name its id comes with", async () => {
  await using world = await ready();
  const topicId = world.metadata.image.topicByName("t")?.id ?? uuidZero;
  const topics = Array.from({ length: times }, (_, index) => ({ name: `n${index}`, topicId }));
  const answer = await world.call("metadata", { topics });
  expect(answer.topics).toHaveLength(1);
});

test.each([7, 9])("the offsets of a partition, in version %i of OffsetFetch", async (version) => {
  await using world = await ready();
  const topics = many({ name: "t", partitionIndexes: many(1).slice(0, 20) });
  const request = version < 8 ? { groupId: "g", topics } : { groups: [{ groupId: "g", topics }] };
  const answer = await world.call("offsetFetch", request, version);
  const found = version < 8 ? answer.topics : answer.groups[0]?.topics;
  expect(found).toHaveLength(tellingsMax);
  expect(found?.[0]?.partitions.map(({ committedOffset }) => committedOffset)).toEqual(few(1));
});

test("all the offsets of a group", async () => {
  await using world = await ready();
  const { groups } = await world.call("offsetFetch", { groups: many({ groupId: "g", topics: null }) }, 9);
  expect(groups.map((group) => error(group))).toEqual([...few("NONE"), ...many("INVALID_REQUEST").slice(tellingsMax)]);
  expect(groups.map(({ topics }) => topics.length)).toEqual([...few(1), ...many(0).slice(tellingsMax)]);
});

test("where a share group is", async () => {
  await using world = await ready();
  const { groups } = await world.call("describeShareGroupOffsets", { groups: many({ groupId: "g", topics: null }) });
  expect(groups.map((group) => error(group))).toEqual([...few("NONE"), ...many("INVALID_REQUEST").slice(tellingsMax)]);
});

test("a name that no topic has, and that is told beside each of its partitions, is told in short", async () => {
  await using world = await ready();
  const name = "x".repeat(32_000);
  const indexes = Array.from({ length: times }, (_, index) => index);
  const elected = await world.call("electLeaders", {
    electionType: 0,
    topicPartitions: [{ topic: name, partitions: indexes }],
    timeoutMs: 1,
  });
  const reassigned = await world.call("alterPartitionReassignments", {
    timeoutMs: 1,
    topics: [{ name, partitions: indexes.map((partitionIndex) => ({ partitionIndex, replicas: null })) }],
  });
  const messages = [
    ...elected.replicaElectionResults.flatMap(({ partitionResult }) => partitionResult),
    ...reassigned.responses.flatMap(({ partitions }) => partitions),
  ].map(({ errorMessage }) => errorMessage?.length ?? 0);
  expect(messages).toHaveLength(2 * times);
  expect(Math.max(...messages)).toBeLessThan(300);
});
