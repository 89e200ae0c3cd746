// Proves: CreateTopics, DeleteTopics and CreatePartitions take and refuse what Kafka's controller does, in its words where tools read them.
import { describe, expect, test } from "vitest";
import { uuidZero } from "../../../src/base/ids.ts";
import { collidingTopic, topicNameProblem, topicsByFoldedName } from "../../../src/handlers/topics/topic-names.ts";
import { apis, type RequestInputOf } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

type TopicWish = RequestInputOf<"createTopics">["topics"][number];
const wish = (given: Partial<TopicWish> = {}): TopicWish => ({
  name: "t",
  numPartitions: -1,
  replicationFactor: -1,
  assignments: [],
  configs: [],
  ...given,
});

async function create(world: AdminWorld, given: Partial<TopicWish>): Promise<string> {
  const { topics } = await world.call("createTopics", { topics: [wish(given)] });
  return `${error(topics[0])}: ${topics[0]?.errorMessage}`;
}

describe("topic names", () => {
  test.each(["", ".", "..", "a b", "ä", "a/b", "x".repeat(250)])("%j is refused", (name) => {
    expect(topicNameProblem(name)).toBeDefined();
  });
  test.each(["a", "...", "A-z_0.9", "x".repeat(249)])("%j is taken", (name) => {
    expect(topicNameProblem(name)).toBeUndefined();
  });
  test("that differ only in . and _ collide", () => {
    expect(collidingTopic("a.b_c", topicsByFoldedName(["x", "a_b.c"]))).toBe("a_b.c");
    expect(collidingTopic("a.b", topicsByFoldedName(["a.b"]))).toBeUndefined();
    expect(collidingTopic("ab", topicsByFoldedName(["a.b"]))).toBeUndefined();
  });
});

describe("CreateTopics", () => {
  test("answers with id, counts and configs, in every version", async () => {
    const [min, max] = apis.createTopics.request.versions;
    for (let version = min; version <= max; version += 1) {
      await using world = new AdminWorld({ topicPartitionsDefault: 3 });
      const configs = [{ name: "retention.ms", value: "5" }];
      const { topics } = await world.call("createTopics", { topics: [wish({ configs })] }, version);
      const [topic] = topics;
      expect(error(topic)).toBe("NONE");
      if (version < 5) continue;
      expect(topic).toMatchObject({ numPartitions: 3, replicationFactor: 1 });
      const shown = topic?.configs?.find(({ name }) => name === "retention.ms");
      expect(shown).toEqual({ name: "retention.ms", value: "5", readOnly: false, configSource: 1, isSensitive: false });
      expect(topic?.configs?.length).toBeGreaterThanOrEqual(35);
      if (version >= 7) expect(topic?.topicId).toBe(world.metadata.image.topicByName("t")?.id);
    }
  });

  test("answers when the partitions have leaders, and without them when that takes too long", async () => {
    await using world = new AdminWorld({ topicLeaderWaitMs: 1000 });
    const leaderOf = async (name: string): Promise<number | undefined> => {
      const asked = { topics: [{ name, topicId: uuidZero }], allowAutoTopicCreation: false };
      return (await world.send("metadata", asked)).topics[0]?.partitions[0]?.leaderId;
    };
    world.opensAfterMs = 900;
    expect(await create(world, { name: "soon" })).toBe("NONE: null");
    expect(await leaderOf("soon")).toBe(1);
    world.opensAfterMs = 1100;
    expect(await create(world, { name: "late" })).toBe("NONE: null");
    expect(await leaderOf("late")).toBe(-1);
  });

  test("does not wait for leaders longer than its sender does", async () => {
    await using world = new AdminWorld({ topicLeaderWaitMs: 1000 });
    world.opensAfterMs = undefined;
    const before = world.clock.monotonic();
    await world.call("createTopics", { topics: [wish()], timeoutMs: 100 });
    expect(world.clock.monotonic() - before).toBe(100);
  });

  test.each<[Partial<TopicWish>, string]>([
    [
      { name: "a b" },
      "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    ],
    [{ name: "__cluster_metadata" }, "INVALID_REQUEST: Creation of internal topic __cluster_metadata is prohibited."],
    [{ name: "old" }, "TOPIC_ALREADY_EXISTS: Topic 'old' already exists."],
    [{ name: "o_l.d" }, "INVALID_TOPIC_EXCEPTION: Topic 'o_l.d' collides with existing topic: o.l_d"],
    [{ numPartitions: 0 }, "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value."],
    [{ numPartitions: -2 }, "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value."],
    [{ numPartitions: 20_000 }, "POLICY_VIOLATION: Excessively large number of partitions per request."],
    [
      { replicationFactor: 0 },
      "INVALID_REPLICATION_FACTOR: Replication factor was set to an invalid non-positive value.",
    ],
    [
      { numPartitions: 0, replicationFactor: -2 },
      "INVALID_REPLICATION_FACTOR: Replication factor was set to an invalid non-positive value.",
    ],
    [
      { replicationFactor: 2 },
      "INVALID_REPLICATION_FACTOR: Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.",
    ],
    [{ configs: [{ name: "no.such", value: "1" }] }, "INVALID_CONFIG: Unknown topic config name: no.such"],
    [
      { configs: [{ name: "retention.ms", value: null }] },
      "INVALID_CONFIG: Null value not supported for topic configs: retention.ms",
    ],
    [
      { numPartitions: 1, assignments: [{ partitionIndex: 0, brokerIds: [1] }] },
      "INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1.",
    ],
    [
      { replicationFactor: 1, assignments: [{ partitionIndex: 0, brokerIds: [1] }] },
      "INVALID_REQUEST: A manual partition assignment was specified, but replicationFactor was not set to -1.",
    ],
    [
      { assignments: [{ partitionIndex: 1, brokerIds: [1] }] },
      "INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence",
    ],
    [
      { assignments: [{ partitionIndex: 0, brokerIds: [7] }] },
      "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 7, but no such broker is registered.",
    ],
    [
      { assignments: [{ partitionIndex: 0, brokerIds: [] }] },
      "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list.",
    ],
    [
      {
        assignments: [
          { partitionIndex: 0, brokerIds: [1] },
          { partitionIndex: 0, brokerIds: [1] },
        ],
      },
      "INVALID_REPLICA_ASSIGNMENT: Found multiple manual partition assignments for partition 0",
    ],
  ])("%j → %s", async (given, answer) => {
    await using world = new AdminWorld();
    await world.topic("old");
    await world.topic("o.l_d");
    expect(await create(world, given)).toBe(answer);
    expect(world.metadata.image.topicByName("t")).toBeUndefined();
  });

  test("an answer that quotes the longest name still fits", async () => {
    await using world = new AdminWorld();
    expect(await create(world, { name: "x".repeat(32_767) })).toContain("INVALID_TOPIC_EXCEPTION");
  });

  test("an assignment counts the partitions", async () => {
    await using world = new AdminWorld();
    const assignments = [0, 1, 2].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }));
    expect(await create(world, { assignments })).toBe("NONE: null");
    expect(world.metadata.image.topicByName("t")?.partitions).toHaveLength(3);
  });

  test("a name given twice is refused once, the rest is done", async () => {
    await using world = new AdminWorld();
    const topics = [wish({ name: "a" }), wish({ name: "b" }), wish({ name: "a" })];
    const response = await world.call("createTopics", { topics });
    expect(response.topics.map(({ name }) => name).sort()).toEqual(["a", "b"]);
    expect(error(response.topics.find(({ name }) => name === "a"))).toBe("INVALID_REQUEST");
    expect(world.metadata.image.topicByName("a")).toBeUndefined();
    expect(world.metadata.image.topicByName("b")).toBeDefined();
  });

  test("too many partitions together refuse all, also what is refused anyway", async () => {
    await using world = new AdminWorld({ topicPartitionsMax: 10 });
    const topics = [wish({ name: "a", numPartitions: 6 }), wish({ name: "b c", numPartitions: 5 })];
    const answer = await world.call("createTopics", { topics });
    expect(answer.topics.map(error)).toEqual(["POLICY_VIOLATION", "POLICY_VIOLATION"]);
    expect(answer.topics.map(({ configs }) => configs)).toEqual([[], []]);
    const withTwice = [...topics, wish({ name: "c" }), wish({ name: "c" })];
    expect((await world.call("createTopics", { topics: withTwice })).topics.map(error)).toHaveLength(4);
    expect([...world.metadata.image.topics()]).toEqual([]);
  });

  test("a cluster has a bounded number of partitions, however they come to be", async () => {
    await using world = new AdminWorld({ partitionsMax: 5 });
    await world.topic("a", 3);
    const excess = "POLICY_VIOLATION: There may be 5 partitions in this cluster.";
    expect(await create(world, { name: "b", numPartitions: 3 })).toBe(excess);
    expect(await create(world, { name: "b", numPartitions: 1 })).toBe("NONE: null");
    const grow = async (count: number) => {
      const topics = [{ name: "a", count, assignments: null }];
      return error((await world.call("createPartitions", { topics, timeoutMs: 1000, validateOnly: false })).results[0]);
    };
    expect(await grow(5)).toBe("POLICY_VIOLATION");
    expect(await grow(4)).toBe("NONE");
    expect(await create(world, { name: "c" })).toBe(excess);
  });

  test("of a config that is given twice the last one counts", async () => {
    await using world = new AdminWorld();
    const configs = ["5", "7"].map((value) => ({ name: "retention.ms", value }));
    expect(await create(world, { configs })).toBe("NONE: null");
    expect(world.metadata.image.topicByName("t")?.configs.get("retention.ms")).toBe("7");
  });

  test("validateOnly answers the same and makes nothing", async () => {
    await using world = new AdminWorld();
    const response = await world.call("createTopics", { topics: [wish(), wish({ name: ".." })], validateOnly: true });
    expect(response.topics.map(error)).toEqual(["NONE", "INVALID_TOPIC_EXCEPTION"]);
    expect([...world.metadata.image.topics()]).toEqual([]);
  });

  test("what Streams, Connect and old tools send is taken", async () => {
    await using world = new AdminWorld();
    const configs = {
      "cleanup.policy": "compact,delete",
      "segment.bytes": "52428800",
      "retention.ms": "-1",
      "message.timestamp.type": "CreateTime",
      "min.compaction.lag.ms": "1",
      "unclean.leader.election.enable": "false",
      "message.format.version": "2.3",
    };
    await world.topic("t", 1, configs);
    expect(world.metadata.image.topicByName("t")?.configs.has("message.format.version")).toBe(false);
  });
});

describe("DeleteTopics", () => {
  test("by name in every version, by id from 6", async () => {
    const [min, max] = apis.deleteTopics.request.versions;
    for (let version = min; version <= max; version += 1) {
      await using world = new AdminWorld();
      await world.topic("t");
      const id = world.metadata.image.topicByName("t")?.id ?? uuidZero;
      const byName = { topicNames: ["t", "u"], timeoutMs: 1 };
      const byId = {
        topics: [
          { name: null, topicId: id },
          { name: "u", topicId: uuidZero },
        ],
        timeoutMs: 1,
      };
      const { responses } = await world.call("deleteTopics", version < 6 ? byName : byId, version);
      expect(responses.map((one) => `${one.name} ${error(one)}`)).toEqual(["t NONE", "u UNKNOWN_TOPIC_OR_PARTITION"]);
      expect([...world.metadata.image.topics()]).toEqual([]);
    }
  });

  test("refuses what names nothing, two things, or the same thing twice", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const id = world.metadata.image.topicByName("t")?.id ?? uuidZero;
    const stranger = "22222222-2222-2222-2222-222222222222" as typeof id;
    const ask = async (...topics: { name: string | null; topicId: typeof id }[]) =>
      (await world.call("deleteTopics", { topics, timeoutMs: 1 })).responses.map(error);
    expect(await ask({ name: "t", topicId: id })).toEqual(["INVALID_REQUEST"]);
    expect(await ask({ name: null, topicId: uuidZero })).toEqual(["INVALID_REQUEST"]);
    expect(await ask({ name: null, topicId: stranger })).toEqual(["UNKNOWN_TOPIC_ID"]);
    const twice = { name: null, topicId: stranger };
    expect(await ask(twice, twice)).toEqual(["INVALID_REQUEST"]);
    expect(await ask({ name: null, topicId: uuidZero }, { name: null, topicId: uuidZero })).toHaveLength(2);
    const both = [
      { name: "t", topicId: uuidZero },
      { name: null, topicId: id },
    ];
    const { responses } = await world.call("deleteTopics", { topics: both, timeoutMs: 1 });
    expect(responses).toMatchObject([{ name: "t", topicId: id, errorCode: 42 }]);
    expect(world.metadata.image.topicByName("t")).toBeDefined();
  });

  test("can be turned off, which old clients are told in their words", async () => {
    await using world = new AdminWorld({ topicDelete: false });
    await world.topic("t");
    const ask = async (version: number) =>
      error((await world.call("deleteTopics", { topicNames: ["t"], timeoutMs: 1 }, version)).responses[0]);
    expect(await ask(5)).toBe("TOPIC_DELETION_DISABLED");
    expect(await ask(2)).toBe("INVALID_REQUEST");
  });
});

describe("CreatePartitions", () => {
  const grow = async (
    world: AdminWorld,
    count: number,
    given: { name?: string; brokers?: number[][]; validateOnly?: boolean } = {},
  ) => {
    const assignments = given.brokers?.map((brokerIds) => ({ brokerIds })) ?? null;
    const { results } = await world.call("createPartitions", {
      topics: [{ name: given.name ?? "t", count, assignments }],
      timeoutMs: 1,
      validateOnly: given.validateOnly ?? false,
    });
    return `${error(results[0])}: ${results[0]?.errorMessage}`;
  };

  test("only grows", async () => {
    await using world = new AdminWorld();
    await world.topic("t", 3);
    expect(await grow(world, 3)).toBe("INVALID_PARTITIONS: Topic already has 3 partition(s).");
    expect(await grow(world, 2)).toBe(
      "INVALID_PARTITIONS: The topic t currently has 3 partition(s); 2 would not be an increase.",
    );
    expect(await grow(world, 5, { name: "u" })).toBe("UNKNOWN_TOPIC_OR_PARTITION: The topic 'u' does not exist.");
    expect(await grow(world, 5, { brokers: [[1]] })).toBe(
      "INVALID_REPLICA_ASSIGNMENT: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
    );
    expect(await grow(world, 4, { brokers: [[9]] })).toContain("INVALID_REPLICA_ASSIGNMENT");
    expect(await grow(world, 5, { validateOnly: true })).toBe("NONE: null");
    expect(world.metadata.image.topicByName("t")?.partitions).toHaveLength(3);
    expect(await grow(world, 5, { brokers: [[1], [1]] })).toBe("NONE: null");
    expect(await grow(world, 6, { brokers: [] })).toBe("NONE: null"); // As @platformatic/kafka says "none".
    expect(world.metadata.image.topicByName("t")?.partitions).toHaveLength(6);
  });

  test("each topic is in the reply once", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const topics = ["t", "u", "t"].map((name) => ({ name, count: 2, assignments: null }));
    const { results } = await world.call("createPartitions", { topics, timeoutMs: 1, validateOnly: false });
    expect(results.map((one) => `${one.name} ${error(one)}`)).toEqual([
      "t INVALID_REQUEST",
      "u UNKNOWN_TOPIC_OR_PARTITION",
    ]);
  });
});
