// Proves: what administrators ask of replicas, quorum and features is answered as Kafka answers where nothing needs to move.
import { describe, expect, test } from "vitest";
import type { NodeId } from "../../../src/base/ids.ts";
import { clusterIdText } from "../../../src/handlers/cluster/cluster-view.ts";
import { apis } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

const dataDirectory = "/data/inlet";
const other = 2 as NodeId;

async function worldWithTopic(partitions = 2): Promise<AdminWorld> {
  const world = new AdminWorld({ dataDirectory });
  await world.topic("t", partitions);
  return world;
}

describe("DescribeLogDirs", () => {
  test("tells one directory with the bytes of every partition, in every version", async () => {
    await using world = await worldWithTopic();
    const [min, max] = apis.describeLogDirs.request.versions;
    for (let version = min; version <= max; version += 1) {
      const { results, errorCode } = await world.call("describeLogDirs", { topics: null }, version);
      expect(errorCode).toBe(0);
      expect(results).toHaveLength(1);
      expect(results[0]).toMatchObject({ errorCode: 0, logDir: dataDirectory, totalBytes: -1, isCordoned: false });
      expect(results[0]?.topics).toEqual([
        {
          name: "t",
          partitions: [0, 1].map((partitionIndex) => ({
            partitionIndex,
            partitionSize: 0,
            offsetLag: 0,
            isFutureKey: false,
          })),
        },
      ]);
    }
  });

  test("leaves out what was not asked for and what is not here", async () => {
    await using world = await worldWithTopic();
    const topics = [
      { topic: "t", partitions: [1, 1, 7] },
      { topic: "absent", partitions: [0] },
    ];
    const [result] = (await world.call("describeLogDirs", { topics })).results;
    expect(result?.topics.map(({ name, partitions }) => [name, partitions.map((each) => each.partitionIndex)])).toEqual(
      [["t", [1]]],
    );
  });
});

test("AlterReplicaLogDirs accepts the one directory, for partitions that are here", async () => {
  await using world = await worldWithTopic(1);
  const move = async (path: string, name: string, partition: number) => {
    const dirs = [{ path, topics: [{ name, partitions: [partition] }] }];
    return error((await world.call("alterReplicaLogDirs", { dirs })).results[0]?.partitions[0]);
  };
  expect(await move(dataDirectory, "t", 0)).toBe("NONE");
  expect(await move("/elsewhere", "t", 0)).toBe("LOG_DIR_NOT_FOUND");
  // As Kafka: only the directory that it would make while it moves a partition bounds the name.
  expect(await move("/elsewhere", "..", 0)).toBe("LOG_DIR_NOT_FOUND");
  expect(await move("/elsewhere", "x".repeat(213), 0)).toBe("LOG_DIR_NOT_FOUND");
  expect(await move("/elsewhere", "x".repeat(214), 0)).toBe("INVALID_TOPIC_EXCEPTION");
  expect(await move(dataDirectory, "t", 1)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await move(dataDirectory, "absent", 0)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  world.log.otherwise = { kind: "elsewhere", node: other, leaderEpoch: 3 };
  expect(await move(dataDirectory, "t", 1)).toBe("REPLICA_NOT_AVAILABLE");
});

describe("ElectLeaders", () => {
  const elect = async (world: AdminWorld, electionType: number, topic: string, partition: number, version = 2) => {
    const topicPartitions = [{ topic, partitions: [partition] }];
    const response = await world.call("electLeaders", { electionType, topicPartitions }, version);
    return error(response.replicaElectionResults[0]?.partitionResult[0]);
  };

  test("is not needed where a broker leads", async () => {
    await using world = await worldWithTopic(1);
    for (const version of [0, 1, 2]) expect(await elect(world, 0, "t", 0, version)).toBe("ELECTION_NOT_NEEDED");
    expect(await elect(world, 1, "t", 0)).toBe("ELECTION_NOT_NEEDED");
    expect(await elect(world, 0, "t", 1)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(await elect(world, 0, "absent", 0)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(await elect(world, 2, "t", 0)).toBe("INVALID_REQUEST");
    expect(error(await world.call("electLeaders", { electionType: 2, topicPartitions: null }))).toBe("INVALID_REQUEST");
    expect(error(await world.call("electLeaders", { electionType: 2, topicPartitions: [] }))).toBe("NONE");
  });

  test("of all partitions tells only those without a leader", async () => {
    await using world = await worldWithTopic(1);
    const all = async () =>
      (await world.call("electLeaders", { electionType: 0, topicPartitions: null })).replicaElectionResults;
    expect(await all()).toEqual([]);
    world.opensAfterMs = undefined;
    world.metadata.createTopic("shut", 1);
    expect((await all()).map(({ topic }) => topic)).toEqual(["shut"]);
    expect(await elect(world, 0, "shut", 0)).toBe("PREFERRED_LEADER_NOT_AVAILABLE");
    expect(await elect(world, 1, "shut", 0)).toBe("ELIGIBLE_LEADERS_NOT_AVAILABLE");
  });
});

describe("reassignments", () => {
  async function reassign(world: AdminWorld, replicas: number[] | null, name = "t", partitionIndex = 0) {
    const topics = [{ name, partitions: [{ partitionIndex, replicas }] }];
    const { responses } = await world.call("alterPartitionReassignments", { topics });
    return error(responses[0]?.partitions[0]);
  }

  test("are accepted when they ask for what is so, and refused for the reasons that Kafka has", async () => {
    await using world = await worldWithTopic(1);
    expect(await reassign(world, [world.metadata.nodeId])).toBe("NONE");
    expect(await reassign(world, null)).toBe("NO_REASSIGNMENT_IN_PROGRESS");
    for (const replicas of [[], [1, 1], [9]]) {
      expect(await reassign(world, replicas)).toBe("INVALID_REPLICA_ASSIGNMENT");
    }
    expect(await reassign(world, [1], "absent")).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(await reassign(world, [1], "t", 1)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("cannot make replicas nor move a leader", async () => {
    await using world = await worldWithTopic(1);
    world.metadata.log.register(other, { host: "b", port: 2, rack: null });
    expect(await reassign(world, [1, other])).toBe("INVALID_REPLICATION_FACTOR");
    expect(await reassign(world, [other])).toBe("INVALID_REPLICA_ASSIGNMENT");
  });

  test("are never under way", async () => {
    await using world = await worldWithTopic(1);
    const topics = [{ name: "t", partitionIndexes: [0] }];
    expect(await world.call("listPartitionReassignments", { topics })).toMatchObject({ errorCode: 0, topics: [] });
    expect(await world.call("listPartitionReassignments", { topics: null })).toMatchObject({
      errorCode: 0,
      topics: [],
    });
  });
});

describe("DescribeQuorum", () => {
  const asked = { topics: [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] }] };

  test("shows every node as a voter that has read the log to its end, in every version", async () => {
    await using world = new AdminWorld();
    world.metadata.log.register(other, { host: "b", port: 2, rack: null });
    for (const version of [0, 1, 2]) {
      const { errorCode, topics, nodes } = await world.call("describeQuorum", asked, version);
      const partition = topics[0]?.partitions[0];
      expect(errorCode).toBe(0);
      expect(partition).toMatchObject({ errorCode: 0, leaderId: 1, highWatermark: world.metadata.image.seq + 1 });
      expect(partition?.currentVoters.map(({ replicaId, logEndOffset }) => [replicaId, logEndOffset])).toEqual([
        [1, partition?.highWatermark],
        [other, partition?.highWatermark],
      ]);
      const expected = version < 2 ? [] : [1, other];
      expect(nodes.map(({ nodeId }) => nodeId)).toEqual(expected);
    }
  });

  test("knows no other log", async () => {
    await using world = new AdminWorld();
    const topics = [{ topicName: "t", partitions: [{ partitionIndex: 0 }] }];
    const response = await world.call("describeQuorum", { topics });
    expect(error(response.topics[0]?.partitions[0])).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });
});

test("voters are the nodes that are registered: none is added or removed by a request", async () => {
  await using world = new AdminWorld();
  const voter = { voterId: 1, voterDirectoryId: world.metadata.image.clusterId };
  const own = clusterIdText(world.metadata.image.clusterId);
  const add = async (clusterId: string | null, voterId = 1) =>
    error(await world.call("addRaftVoter", { ...voter, clusterId, voterId, timeoutMs: 1, listeners: [] }));
  expect(await add(own)).toBe("DUPLICATE_VOTER");
  expect(await add(null)).toBe("DUPLICATE_VOTER");
  expect(await add(own, 7)).toBe("INVALID_REQUEST");
  expect(await add("another")).toBe("INCONSISTENT_CLUSTER_ID");
  expect(await add(own, -1)).toBe("INVALID_REQUEST");
  const remove = async (voterId: number) =>
    error(await world.call("removeRaftVoter", { ...voter, clusterId: own, voterId }));
  expect(await remove(1)).toBe("INVALID_REQUEST");
  expect(await remove(7)).toBe("VOTER_NOT_FOUND");
});

test("a broker that went for good is unregistered, unless it writes a stream; nobody unregisters the one that is asked", async () => {
  await using world = await worldWithTopic(1);
  const unregister = async (brokerId: number) => error(await world.call("unregisterBroker", { brokerId }));
  expect(await unregister(other)).toBe("BROKER_ID_NOT_REGISTERED");
  expect(await unregister(1)).toBe("INVALID_REQUEST");
  world.metadata.log.register(other, { host: "gone", port: 2, rack: null });
  const brokers = async () => {
    const asked = { includeClusterAuthorizedOperations: false };
    return (await world.call("describeCluster", asked)).brokers.map(({ brokerId }) => brokerId);
  };
  expect(await brokers()).toEqual([1, other]);
  expect(await unregister(other)).toBe("NONE");
  expect(await brokers()).toEqual([1]);
  expect(await unregister(other)).toBe("BROKER_ID_NOT_REGISTERED");
});

test("ListConfigResources names topics, brokers and loggers, and in version 0 client metrics alone", async () => {
  await using world = await worldWithTopic(1);
  const list = async (resourceTypes: number[], version = 1) => {
    const { errorCode, configResources } = await world.call("listConfigResources", { resourceTypes }, version);
    return errorCode === 0
      ? configResources.map((each) => `${each.resourceType} ${each.resourceName}`)
      : error({ errorCode });
  };
  expect(await list([])).toEqual(["2 t", "4 1", "8 1"]);
  expect(await list([2, 2])).toEqual(["2 t"]);
  expect(await list([3])).toBe("UNSUPPORTED_VERSION");
  expect(await list([], 0)).toEqual([]);
});
