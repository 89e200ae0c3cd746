// Proves: every config is described with its value, source and meaning, and changed as Kafka's admin clients expect.
import { describe, expect, test } from "vitest";
import { brokerConfigs } from "../../../schemas/kafka-broker-configs.ts";
import { topicConfigs } from "../../../schemas/kafka-configs.ts";
import { configOperations } from "../../../src/handlers/configs/config-change.ts";
import { apis } from "../../../src/protocol/api-table.ts";
import { context } from "../../support/log-world.ts";
import { AdminWorld, error } from "../admin-world.ts";

const topicType = 2;
const brokerType = 4;

async function describeOne(
  world: AdminWorld,
  resourceType: number,
  resourceName: string,
  configurationKeys: string[] | null = null,
  version = 4,
) {
  const request = {
    resources: [{ resourceType, resourceName, configurationKeys }],
    includeSynonyms: true,
    includeDocumentation: true,
  };
  const [result] = (await world.call("describeConfigs", request, version)).results;
  if (result === undefined) throw new Error("no result");
  return result;
}

type Change = [name: string, operation: keyof typeof configOperations, value: string | null];

async function alter(
  world: AdminWorld,
  changes: Change[],
  resource: { type?: number; name?: string; validateOnly?: boolean } = {},
) {
  const { responses } = await world.call("incrementalAlterConfigs", {
    resources: [
      {
        resourceType: resource.type ?? topicType,
        resourceName: resource.name ?? "t",
        configs: changes.map(([name, operation, value]) => ({
          name,
          value,
          configOperation: configOperations[operation],
        })),
      },
    ],
    validateOnly: resource.validateOnly ?? false,
  });
  return `${error(responses[0])}: ${responses[0]?.errorMessage}`;
}

const kept = (world: AdminWorld): Record<string, string> =>
  Object.fromEntries(world.metadata.image.topicByName("t")?.configs ?? []);

describe("DescribeConfigs", () => {
  test("gives every topic config, with default, source, type and meaning, in every version", async () => {
    await using world = new AdminWorld();
    await world.topic("t", 1, { "cleanup.policy": "compact" });
    const [min, max] = apis.describeConfigs.request.versions;
    for (let version = min; version <= max; version += 1) {
      const { configs } = await describeOne(world, topicType, "t", null, version);
      expect(configs.map(({ name }) => name).sort()).toEqual(Object.keys(topicConfigs).sort());
      const policy = configs.find(({ name }) => name === "cleanup.policy");
      expect(policy).toMatchObject({ value: "compact", configSource: 1, readOnly: false, isSensitive: false });
      expect(policy?.synonyms).toEqual([
        { name: "cleanup.policy", value: "compact", source: 1 },
        { name: "log.cleanup.policy", value: "delete", source: 5 },
      ]);
      const others = configs.filter(({ name }) => name !== "cleanup.policy" && name !== "min.insync.replicas");
      // Terraform makes a change of what comes neither from a default nor from the cluster.
      for (const { name, configSource, value } of others) {
        expect([name, configSource, value]).toEqual([name, 5, topicConfigs[name]?.default]);
      }
      if (version >= 3) for (const config of configs) expect(config.documentation?.length).toBeGreaterThan(5);
      if (version >= 3) expect(policy?.configType).toBe(7);
    }
  });

  test("gives the names that were asked for, and all for an empty list", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const some = await describeOne(world, topicType, "t", ["retention.ms", "no.such"]);
    expect(some.configs.map(({ name }) => name)).toEqual(["retention.ms"]);
    expect((await describeOne(world, topicType, "t", [])).configs.map(({ name }) => name).sort()).toEqual(
      Object.keys(topicConfigs).sort(),
    );
  });

  test("tells clients how often they must authenticate, and how short the locks of share groups may be", async () => {
    await using world = new AdminWorld({ sessionMsMax: 10_000, shareLockGroupMsMin: 1000 });
    const { configs } = await describeOne(world, brokerType, "1");
    const value = (name: string) => configs.find((config) => config.name === name)?.value;
    expect(value("connections.max.reauth.ms")).toBe("10000");
    expect(value("group.share.min.record.lock.duration.ms")).toBe("1000");
  });

  test("gives what Debezium, ksqlDB and Kafka UI read of a broker", async () => {
    await using world = new AdminWorld();
    const { configs } = await describeOne(world, brokerType, "1");
    const value = (name: string) => configs.find((config) => config.name === name)?.value;
    expect(configs).toHaveLength(Object.keys(brokerConfigs).length);
    expect(value("default.replication.factor")).toBe("1");
    expect(value("num.partitions")).toBe("1");
    expect(value("node.id")).toBe("1");
    expect(value("delete.topic.enable")).toBe("true");
    expect(value("advertised.listeners")).toBe("PLAINTEXT://public:9092");
    expect(value("offsets.topic.num.partitions")).toBe("2");
    expect(value("log.retention.hours")).toBe("168");
    expect(configs.find(({ name }) => name === "node.id")).toMatchObject({ readOnly: true, configSource: 4 });
  });

  test("names the threads that clients' tests look for, and a topic's compression first", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const names = ["background.threads", "num.io.threads", "num.network.threads"];
    const { configs } = await describeOne(world, brokerType, "1", names);
    expect(configs.map(({ name, value }) => [name, value])).toEqual([
      ["background.threads", "10"],
      ["num.io.threads", "8"],
      ["num.network.threads", "3"],
    ]);
    expect((await describeOne(world, topicType, "t")).configs[0]?.name).toBe("compression.type");
  });

  test("refuses what is not there", async () => {
    await using world = new AdminWorld();
    expect(error(await describeOne(world, topicType, "u"))).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(error(await describeOne(world, topicType, "a b"))).toBe("INVALID_TOPIC_EXCEPTION");
    expect((await describeOne(world, brokerType, "2")).errorMessage).toBe(
      "Unexpected broker id, expected 1 or empty string, but received 2",
    );
    expect(error(await describeOne(world, brokerType, "x"))).toBe("INVALID_REQUEST");
    expect(error(await describeOne(world, 99, "x"))).toBe("INVALID_REQUEST");
  });

  test("has an empty message where nothing failed, and the defaults of the nearest synonyms alone", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const { errorMessage, configs } = await describeOne(world, topicType, "t", ["retention.ms", "flush.ms"]);
    expect(errorMessage).toBe("");
    expect(configs.map(({ synonyms }) => synonyms)).toEqual([[], []]); // log.retention.ms and log.flush.interval.ms have none.
  });

  test("puts together once for all topics what none of them says for itself", async () => {
    await using world = new AdminWorld();
    await world.topic("a", 1, { "retention.ms": "+7" });
    await world.topic("b");
    const asked = { resourceType: topicType, configurationKeys: ["retention.ms", "segment.ms"] };
    const request = {
      resources: ["a", "b"].map((resourceName) => ({ ...asked, resourceName })),
      includeSynonyms: true,
      includeDocumentation: false,
    };
    const answer = await world.handlers.describeConfigs(request, context({ apiVersion: 4 }));
    if (typeof answer === "string") throw new Error(answer);
    const [a, b] = Array.from(answer.results, ({ configs }) => new Map(configs.map((config) => [config.name, config])));
    expect(a?.get("segment.ms")).toBeDefined();
    expect(a?.get("segment.ms")).toBe(b?.get("segment.ms"));
    expect(a?.get("retention.ms")).toMatchObject({ value: "7", configSource: 1, documentation: null });
    expect(a?.get("retention.ms")?.synonyms?.[0]).toEqual({ name: "retention.ms", value: "7", source: 1 });
    expect(b?.get("retention.ms")).toMatchObject({ value: "604800000", configSource: 5 });
  });

  test("takes min.insync.replicas for set in the whole cluster, as it is in Kafka since 4.1", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const ofCluster = { name: "min.insync.replicas", value: "1", source: 3 };
    const ofKafka = { name: "min.insync.replicas", value: "1", source: 5 };
    const resources = [
      [topicType, "t", [ofCluster, ofKafka]],
      [brokerType, "1", [ofCluster, ofKafka]],
      [brokerType, "", [ofCluster]],
    ] as const;
    for (const [type, name, synonyms] of resources) {
      const { configs } = await describeOne(world, type, name, ["min.insync.replicas"]);
      expect(configs).toMatchObject([{ value: "1", configSource: 3, synonyms }]);
    }
    const broker = { type: brokerType, name: "" };
    expect(await alter(world, [["min.insync.replicas", "set", "2"]], broker)).toBe("NONE: null");
    expect((await describeOne(world, topicType, "t", ["min.insync.replicas"])).configs[0]).toMatchObject({
      value: "2",
      configSource: 3,
      synonyms: [{ ...ofCluster, value: "2" }, ofKafka],
    });
  });

  test("shows what brokers set for topics, nearest first", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const broker = { type: brokerType };
    expect(await alter(world, [["log.retention.ms", "set", "1000"]], { ...broker, name: "" })).toBe("NONE: null");
    expect(await alter(world, [["log.retention.ms", "set", "2000"]], { ...broker, name: "1" })).toBe("NONE: null");
    const { configs } = await describeOne(world, topicType, "t", ["retention.ms"]);
    expect(configs[0]).toMatchObject({ value: "2000", configSource: 2 });
    expect(configs[0]?.synonyms.map(({ value, source }) => [value, source])).toEqual([
      ["2000", 2],
      ["1000", 3],
    ]);
    const defaults = await describeOne(world, brokerType, "", ["log.retention.ms"]);
    expect(defaults.configs).toMatchObject([{ value: "1000", configSource: 3 }]);
  });
});

describe("IncrementalAlterConfigs", () => {
  test("says that a topic is missing after what is wrong with the change itself", async () => {
    await using world = new AdminWorld();
    const missing = (name: string, ...change: Parameters<typeof alter>[1][number]) => alter(world, [change], { name });
    expect(await missing("u", "retention.ms", "append", "5")).toContain("INVALID_CONFIG");
    expect(await missing("a b", "retention.ms", "append", "5")).toContain("INVALID_CONFIG");
    expect(await missing("a b", "retention.ms", "set", "x")).toContain("INVALID_TOPIC_EXCEPTION");
    expect(await missing("", "retention.ms", "set", "5")).toContain("INVALID_REQUEST");
    expect(await missing("u", "retention.ms", "set", "x")).toContain("INVALID_CONFIG");
    expect(await missing("u", "retention.ms", "set", "5")).toContain("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("sets, deletes, appends and subtracts", async () => {
    await using world = new AdminWorld();
    await world.topic("t", 1, { "retention.ms": "5" });
    const first: Change[] = [
      ["retention.ms", "delete", null],
      ["segment.bytes", "set", "2000000"],
      ["cleanup.policy", "append", "compact,delete"],
    ];
    expect(await alter(world, first)).toBe("NONE: null");
    expect(kept(world)).toEqual({ "segment.bytes": "2000000", "cleanup.policy": "delete,compact" });
    expect(await alter(world, [["cleanup.policy", "subtract", "delete"]])).toBe("NONE: null");
    expect(kept(world)["cleanup.policy"]).toBe("compact");
  });

  test.each<[string, Change[], string]>([
    [
      "append to what is no list",
      [["retention.ms", "append", "5"]],
      "INVALID_CONFIG: Can't APPEND to key retention.ms because its type is not LIST.",
    ],
    ["null", [["retention.ms", "set", null]], "INVALID_REQUEST: Null value not supported for : retention.ms"],
    [
      "twice",
      [
        ["retention.ms", "set", "1"],
        ["retention.ms", "delete", null],
      ],
      "INVALID_REQUEST: Error due to duplicate config keys",
    ],
    ["unknown", [["no.such", "set", "1"]], "INVALID_CONFIG: Unknown topic config name: no.such"],
    [
      "a bad value",
      [["retention.ms", "set", "x"]],
      "INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG",
    ],
  ])("refuses %s, and changes nothing", async (_, changes, answer) => {
    await using world = new AdminWorld();
    await world.topic("t", 1, { "retention.ms": "5" });
    expect(await alter(world, [["segment.bytes", "set", "2000000"], ...changes])).toBe(answer);
    expect(kept(world)).toEqual({ "retention.ms": "5" });
  });

  test("bounds a list that grows, and its own answers", async () => {
    await using world = new AdminWorld();
    const replicas = (broker: number): string => Array.from({ length: 4000 }, (_, at) => `${at}:${broker}`).join();
    await world.topic("t", 1, { "leader.replication.throttled.replicas": replicas(1) });
    expect(await alter(world, [["leader.replication.throttled.replicas", "append", replicas(2)]])).toBe(
      "INVALID_CONFIG: The configuration value of leader.replication.throttled.replicas cannot be added because it exceeds the maximum value size of 32767 bytes.",
    );
    const long = "9".repeat(32_767);
    expect((await alter(world, [["retention.ms", "set", long]])).length).toBeLessThan(1100);
    expect((await alter(world, [["retention.ms", "set", "1"]], { name: long })).length).toBeLessThan(1100);
    expect((await describeOne(world, topicType, long)).errorMessage?.length).toBeLessThan(1100);
  });

  test("keeps what tools set of any Kafka, also where nothing here would change by it", async () => {
    await using world = new AdminWorld();
    const names = ["log.cleaner.backoff.ms", "sasl.kerberos.min.time.before.relogin", "num.network.threads"];
    for (const name of names) {
      expect(await alter(world, [[name, "set", "58000"]], { type: brokerType, name: "1" })).toBe("NONE: null");
      const { configs } = await describeOne(world, brokerType, "1");
      expect(configs.find((config) => config.name === name)?.value).toBe("58000");
    }
  });

  test("refuses resources that are not there, given twice, or read-only", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    const set: Change[] = [["retention.ms", "set", "1"]];
    expect(await alter(world, set, { name: "u" })).toBe("UNKNOWN_TOPIC_OR_PARTITION: The topic 'u' does not exist.");
    expect(await alter(world, set, { type: brokerType, name: "2" })).toContain("INVALID_REQUEST: Unexpected broker id");
    expect(await alter(world, [["node.id", "set", "2"]], { type: brokerType, name: "1" })).toBe(
      "INVALID_REQUEST: Cannot update these configs dynamically: [node.id]",
    );
    expect(await alter(world, [["no.such", "set", "2"]], { type: brokerType, name: "" })).toContain("INVALID_CONFIG");
    const resource = { resourceType: topicType, resourceName: "t", configs: [] };
    const { responses } = await world.call("incrementalAlterConfigs", {
      resources: [resource, resource],
      validateOnly: false,
    });
    expect(responses.map(error)).toEqual(["INVALID_REQUEST", "INVALID_REQUEST"]);
  });

  test("validateOnly answers the same and changes nothing", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    expect(await alter(world, [["retention.ms", "set", "1"]], { validateOnly: true })).toBe("NONE: null");
    expect(kept(world)).toEqual({});
  });

  test("two at a time both count", async () => {
    await using world = new AdminWorld();
    await world.topic("t");
    await Promise.all([alter(world, [["retention.ms", "set", "1"]]), alter(world, [["segment.ms", "set", "2"]])]);
    expect(kept(world)).toEqual({ "retention.ms": "1", "segment.ms": "2" });
  });
});

describe("AlterConfigs", () => {
  test("replaces the whole set", async () => {
    await using world = new AdminWorld();
    await world.topic("t", 1, { "retention.ms": "5", "segment.ms": "7" });
    const replace = async (...configs: { name: string; value: string | null }[]) => {
      const resource = { resourceType: topicType, resourceName: "t", configs };
      const [answer] = (await world.call("alterConfigs", { resources: [resource], validateOnly: false })).responses;
      return error(answer);
    };
    expect(await replace({ name: "retention.ms", value: null })).toBe("INVALID_REQUEST");
    expect(await replace({ name: "retention.ms", value: "9" })).toBe("NONE");
    expect(kept(world)).toEqual({ "retention.ms": "9" });
    expect(await replace()).toBe("NONE");
    expect(kept(world)).toEqual({});
  });
});
