// Proves: Metadata, DescribeCluster, DescribeTopicPartitions and ApiVersions say what clients of every age need to hear.
import { describe, expect, test } from "vitest";
import type { NodeId, Uuid } from "../../../src/base/ids.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { apis } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

const named = (...names: string[]) => names.map((name) => ({ name, topicId: uuidZero }));

describe("Metadata", () => {
  test("null asks for all and an empty list for none, but in version 0 the empty list is all", async () => {
    await using world = new AdminWorld();
    await world.topic("b");
    await world.topic("a");
    expect((await world.call("metadata", { topics: null })).topics.map(({ name }) => name)).toEqual(["a", "b"]);
    expect((await world.call("metadata", { topics: [] })).topics).toEqual([]);
    expect((await world.call("metadata", { topics: [] }, 0)).topics).toHaveLength(2);
  });

  test("every version can be answered", async () => {
    await using world = new AdminWorld();
    await world.topic("t", 2);
    const [min, max] = apis.metadata.request.versions;
    for (let version = min; version <= max; version += 1) {
      const response = await world.call("metadata", { topics: named("t", "missing topic") }, version);
      expect(response.topics.map(error), `version ${version}`).toEqual(["NONE", "INVALID_TOPIC_EXCEPTION"]);
      expect(response.brokers).toMatchObject([{ nodeId: 1, host: "public", port: 9092 }]);
      if (version >= 1) expect(response.controllerId).toBe(1);
      if (version >= 2) expect(response.clusterId).toMatch(/^[\w-]{22}$/);
      if (version >= 7) expect(response.topics[0]?.partitions[1]).toMatchObject({ leaderId: 1, leaderEpoch: 0 });
    }
  });

  test("a missing topic is made when both sides agree, and says so until it has leaders", async () => {
    await using world = new AdminWorld({ topicPartitionsDefault: 4 });
    world.opensAfterMs = undefined;
    const response = await world.call("metadata", { topics: named("t"), allowAutoTopicCreation: true });
    expect(response.topics).toMatchObject([{ errorCode: 0, name: "t" }]);
    expect(response.topics[0]?.partitions.map(error)).toEqual(Array(4).fill("LEADER_NOT_AVAILABLE"));
    expect(response.topics[0]?.partitions[0]).toMatchObject({ leaderId: -1, leaderEpoch: -1 });
    const refused = await world.call("metadata", { topics: named("u"), allowAutoTopicCreation: false });
    expect(refused.topics.map(error)).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
    const bad = await world.call("metadata", { topics: named("", "a b", "__consumer_offsets", "__cluster_metadata") });
    expect(bad.topics.map(error)).toEqual([
      "INVALID_TOPIC_EXCEPTION",
      "INVALID_TOPIC_EXCEPTION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
    ]);
  });

  test("a missing topic that is made meanwhile is described with its leaders", async () => {
    await using world = new AdminWorld({ topicPartitionsDefault: 2 });
    world.opensAfterMs = 20;
    const { topics } = await world.call("metadata", { topics: named("t", "u"), allowAutoTopicCreation: true });
    for (const { partitions } of topics) expect(partitions.map(({ leaderId }) => leaderId)).toEqual([1, 1]);
    expect(topics).toHaveLength(2);
  });

  test("nothing is made where auto-creation is off", async () => {
    await using world = new AdminWorld({ topicAutoCreate: false });
    const response = await world.call("metadata", { topics: named("t"), allowAutoTopicCreation: true });
    expect(response.topics.map(error)).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
  });

  test("topics are found by id from version 12 on, and no longer after they were made again", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const id = world.metadata.image.topicByName("t")?.id as Uuid;
    const byId = { topics: [{ name: null, topicId: id }] };
    expect((await world.call("metadata", byId)).topics).toMatchObject([{ errorCode: 0, name: "t", topicId: id }]);
    expect((await world.call("metadata", byId, 11)).topics.map(error)).toEqual(["INVALID_REQUEST"]);
    await world.call("deleteTopics", { topics: [{ name: "t", topicId: uuidZero }], timeoutMs: 1 });
    await world.topic("t");
    expect((await world.call("metadata", byId)).topics).toMatchObject([{ errorCode: 100, name: null, topicId: id }]);
  });

  test("operations are told when asked for, and else are the smallest integer", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const silent = await world.call("metadata", { topics: named("t") }, 8);
    expect(silent).toMatchObject({
      clusterAuthorizedOperations: -2147483648,
      topics: [{ topicAuthorizedOperations: -2147483648 }],
    });
    const asked = {
      topics: named("t"),
      includeTopicAuthorizedOperations: true,
      includeClusterAuthorizedOperations: true,
    };
    expect(await world.call("metadata", asked, 8)).toMatchObject({
      clusterAuthorizedOperations: 8096,
      topics: [{ topicAuthorizedOperations: 3576 }],
    });
  });

  test("internal topics are marked", async () => {
    await using world = new AdminWorld();
    await world.call("findCoordinator", { coordinatorKeys: ["g"] });
    expect((await world.call("metadata", { topics: null })).topics).toMatchObject([
      { name: "__consumer_offsets", isInternal: true },
    ]);
  });
});

test("DescribeCluster names the brokers, and refuses another kind of endpoint", async () => {
  await using world = new AdminWorld();
  world.metadata.log.register(2 as NodeId, { host: "other", port: 9, rack: null });
  const cluster = await world.call("describeCluster", { includeClusterAuthorizedOperations: false });
  expect(cluster).toMatchObject({
    controllerId: 1,
    clusterAuthorizedOperations: -2147483648,
    brokers: [
      { brokerId: 1, host: "public", port: 9092, rack: "a" },
      { brokerId: 2, host: "other" },
    ],
  });
  const ask = (endpointType: number) =>
    world.call("describeCluster", { includeClusterAuthorizedOperations: false, endpointType });
  expect(error(await ask(2))).toBe("MISMATCHED_ENDPOINT_TYPE");
  expect(error(await ask(3))).toBe("UNSUPPORTED_ENDPOINT_TYPE");
});

describe("DescribeTopicPartitions", () => {
  test("a cursor outside of what was asked for refuses every topic", async () => {
    await using world = new AdminWorld();
    await world.topic("a");
    const ask = async (topicName: string, partitionIndex: number) => {
      const cursor = { topicName, partitionIndex };
      const { topics } = await world.call("describeTopicPartitions", {
        topics: [{ name: "a" }, { name: "b" }],
        cursor,
      });
      return topics.map(error);
    };
    expect(await ask("c", 0)).toEqual(["INVALID_REQUEST", "INVALID_REQUEST"]);
    expect(await ask("a", -1)).toEqual(["INVALID_REQUEST", "INVALID_REQUEST"]);
    expect(await ask("a", 0)).toEqual(["NONE", "UNKNOWN_TOPIC_OR_PARTITION"]);
  });

  test("a full page ends before a missing topic", async () => {
    await using world = new AdminWorld();
    await world.topic("a", 2);
    const asked = { topics: [{ name: "a" }, { name: "b" }], responsePartitionLimit: 2 };
    const page = await world.call("describeTopicPartitions", asked);
    expect(page.topics.map(({ name }) => name)).toEqual(["a"]);
    expect(page.nextCursor).toEqual({ topicName: "b", partitionIndex: 0 });
  });

  test("tells the operations of missing topics, too", async () => {
    await using world = new AdminWorld();
    const { topics } = await world.call("describeTopicPartitions", { topics: [{ name: "u" }] });
    expect(topics[0]?.topicAuthorizedOperations).toBe(3576);
    const asked = { topics: named("u"), includeTopicAuthorizedOperations: true, allowAutoTopicCreation: false };
    expect((await world.call("metadata", asked)).topics[0]?.topicAuthorizedOperations).toBe(3576);
  });

  test("pages through all topics in order, each partition once", async () => {
    await using world = new AdminWorld();
    for (const [name, partitions] of [
      ["c", 3],
      ["a", 2],
      ["b", 4],
    ] as const)
      await world.topic(name, partitions);
    const seen: string[] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    let pages = 0;
    do {
      const page: Awaited<ReturnType<typeof world.call<"describeTopicPartitions">>> = await world.call(
        "describeTopicPartitions",
        { topics: [], responsePartitionLimit: 2, cursor },
      );
      for (const topic of page.topics) {
        for (const { partitionIndex } of topic.partitions) seen.push(`${topic.name}${partitionIndex}`);
      }
      cursor = page.nextCursor;
      pages += 1;
    } while (cursor !== null);
    expect(seen).toEqual(["a0", "a1", "b0", "b1", "b2", "b3", "c0", "c1", "c2"]);
    expect(pages).toBe(5);
  });

  test("goes on after a cursor whose topic is gone, and names the missing", async () => {
    await using world = new AdminWorld();
    await world.topic("c");
    const page = await world.call("describeTopicPartitions", {
      topics: [{ name: "a" }, { name: "b" }, { name: "c" }],
      cursor: { topicName: "b", partitionIndex: 3 },
    });
    expect(page.topics).toMatchObject([
      { name: "b", errorCode: 3 },
      { name: "c", errorCode: 0, partitions: [{ partitionIndex: 0 }] },
    ]);
    expect(page.nextCursor).toBeNull();
  });
});

describe("ApiVersions", () => {
  test("lists what is served, Produce from 0 although 0 is refused", async () => {
    await using world = new AdminWorld();
    const software = { clientSoftwareName: "a-client", clientSoftwareVersion: "1.0" };
    for (const version of [0, 1, 2, 3, 4]) {
      const response = await world.call("apiVersions", software, version);
      expect(response.apiKeys.find(({ apiKey }) => apiKey === 0)?.minVersion).toBe(0);
      expect(response.apiKeys.some(({ apiKey }) => apiKey === 18)).toBe(true);
    }
    const response = await world.call("apiVersions", software);
    expect(response.finalizedFeaturesEpoch).toBeGreaterThanOrEqual(0);
    expect(response.finalizedFeatures.map(({ name }) => name)).toContain("metadata.version");
  });

  test("refuses a client without a proper name from version 3 on", async () => {
    await using world = new AdminWorld();
    const ask = (clientSoftwareName: string, version: number) =>
      world.call("apiVersions", { clientSoftwareName, clientSoftwareVersion: "1" }, version);
    expect(error(await ask("-bad-", 3))).toBe("INVALID_REQUEST");
    expect(error(await ask("", 4))).toBe("INVALID_REQUEST");
    expect(error(await ask("", 2))).toBe("NONE");
  });
});
