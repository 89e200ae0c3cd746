// Proves: log levels, groups and subscriptions to client metrics are configured as in Kafka, and refused for its reasons.
import { describe, expect, test } from "vitest";
import { configOperations } from "../../../src/handlers/configs/config-change.ts";
import { factConfigs } from "../../../src/handlers/configs/config-facts.ts";
import { resourceTypes } from "../../../src/handlers/configs/describe-configs.ts";
import { AdminWorld, error } from "../admin-world.ts";

type Kind = keyof typeof resourceTypes;
type Change = readonly [name: string, operation: keyof typeof configOperations, value: string | null];

async function alter(
  world: AdminWorld,
  kind: Kind,
  resourceName: string,
  changes: readonly Change[],
  validateOnly = false,
) {
  const configs = changes.map(([name, operation, value]) => ({
    name,
    value,
    configOperation: configOperations[operation],
  }));
  const resources = [{ resourceType: resourceTypes[kind], resourceName, configs }];
  const { responses } = await world.call("incrementalAlterConfigs", { resources, validateOnly });
  return error(responses[0]);
}

async function replace(
  world: AdminWorld,
  kind: Kind,
  resourceName: string,
  configs: { name: string; value: string }[],
) {
  const resources = [{ resourceType: resourceTypes[kind], resourceName, configs }];
  const { responses } = await world.call("alterConfigs", { resources, validateOnly: false });
  return error(responses[0]);
}

/** Value and source, and names and sources of all that says a value. */
async function synonyms(world: AdminWorld, kind: Kind, resourceName: string, name: string) {
  const resources = [{ resourceType: resourceTypes[kind], resourceName, configurationKeys: [name] }];
  const [config] =
    (await world.call("describeConfigs", { resources, includeSynonyms: true })).results[0]?.configs ?? [];
  const told = config?.synonyms.map(({ name: synonym, value, source }) => `${synonym}=${value} ${source}`);
  return [`${config?.value} ${config?.configSource}`, ...(told ?? [])];
}

/** Name, value and source. */
async function shown(world: AdminWorld, kind: Kind, resourceName: string) {
  const resources = [{ resourceType: resourceTypes[kind], resourceName, configurationKeys: null }];
  const [result] = (await world.call("describeConfigs", { resources, includeSynonyms: true })).results;
  if (result?.errorCode !== 0) return error(result);
  return result.configs.map(({ name, value, configSource }) => `${name}=${value} ${configSource}`);
}

async function listed(world: AdminWorld, kind: Kind): Promise<readonly string[]> {
  const { configResources } = await world.call("listConfigResources", { resourceTypes: [resourceTypes[kind]] });
  return configResources.map(({ resourceName }) => resourceName);
}

describe("broker loggers", () => {
  test("show every component with the level that counts", async () => {
    await using world = new AdminWorld();
    expect(await alter(world, "brokerLogger", "1", [["stream", "set", "DEBUG"]])).toBe("NONE");
    expect(await alter(world, "brokerLogger", "1", [["root", "set", "ERROR"]])).toBe("NONE");
    expect(await shown(world, "brokerLogger", "1")).toEqual(
      expect.arrayContaining(["root=ERROR 6", "stream=DEBUG 6", "metadata=ERROR 6"]),
    );
    expect(world.logLevels.of("stream")).toBe("debug");
    expect(await alter(world, "brokerLogger", "1", [["stream", "delete", null]])).toBe("NONE");
    expect(world.logLevels.of("stream")).toBe("error");
  });

  test("change all or nothing, and nothing when only asked whether they could", async () => {
    await using world = new AdminWorld();
    const levels: Change[] = [
      ["stream", "set", "DEBUG"],
      ["log", "set", "LOUD"],
    ];
    expect(await alter(world, "brokerLogger", "1", levels)).toBe("INVALID_CONFIG");
    expect(await alter(world, "brokerLogger", "1", [["stream", "set", "DEBUG"]], true)).toBe("NONE");
    expect(world.logLevels.of("stream")).toBe("info");
  });

  test("are refused as Kafka refuses them", async () => {
    await using world = new AdminWorld();
    expect(await alter(world, "brokerLogger", "1", [["kafka.server", "set", "INFO"]])).toBe("INVALID_CONFIG");
    expect(await alter(world, "brokerLogger", "1", [["root", "delete", null]])).toBe("INVALID_REQUEST");
    expect(await alter(world, "brokerLogger", "1", [["stream", "append", "INFO"]])).toBe("INVALID_REQUEST");
    expect(await alter(world, "brokerLogger", "1", [["stream", "set", null]])).toBe("INVALID_REQUEST");
    expect(await alter(world, "brokerLogger", "2", [["stream", "set", "INFO"]])).toBe("INVALID_REQUEST");
    expect(await alter(world, "brokerLogger", "", [["stream", "set", "INFO"]])).toBe("INVALID_REQUEST");
    expect(await replace(world, "brokerLogger", "1", [{ name: "stream", value: "INFO" }])).toBe("INVALID_REQUEST");
    expect(await shown(world, "brokerLogger", "")).toBe("INVALID_REQUEST");
  });
});

describe("groups", () => {
  test("the least lock of a share group is the operator's to say", async () => {
    const lock = async (world: AdminWorld, ms: string) =>
      await alter(world, "group", "g", [["share.record.lock.duration.ms", "set", ms]]);
    await using kafka = new AdminWorld();
    expect(await lock(kafka, "14999")).toBe("INVALID_CONFIG");
    expect(await lock(kafka, "15000")).toBe("NONE");
    await using shorter = new AdminWorld({ shareLockGroupMsMin: 1000 });
    expect(await lock(shorter, "999")).toBe("INVALID_CONFIG");
    expect(await lock(shorter, "1000")).toBe("NONE");
  });

  test("have defaults until they are told otherwise, are listed then, and forgotten with their last config", async () => {
    await using world = new AdminWorld();
    expect(await shown(world, "group", "g/1")).toContain("consumer.session.timeout.ms=45000 5");
    expect(await listed(world, "group")).toEqual([]);
    expect(await alter(world, "group", "g/1", [["consumer.session.timeout.ms", "set", "50000"]])).toBe("NONE");
    expect(await alter(world, "group", "g/1", [["share.auto.offset.reset", "set", "by_duration:P1DT2H"]])).toBe("NONE");
    expect(await shown(world, "group", "g/1")).toContain("consumer.session.timeout.ms=50000 8");
    expect(await listed(world, "group")).toEqual(["g/1"]);
    expect([...factConfigs(world.metadata.image, "group-configs", "g/1").keys()].sort()).toEqual([
      "consumer.session.timeout.ms",
      "share.auto.offset.reset",
    ]);
    expect(await replace(world, "group", "g/1", [])).toBe("NONE");
    expect(await listed(world, "group")).toEqual([]);
  });

  test("show what the broker gives them, under the name of its config", async () => {
    await using world = new AdminWorld({ groupConsumerSessionMs: 50_000 });
    const session = async () => await synonyms(world, "group", "g", "consumer.session.timeout.ms");
    const ofBroker = ["group.consumer.session.timeout.ms=50000 4", "group.consumer.session.timeout.ms=45000 5"];
    expect(await session()).toEqual(["50000 4", ...ofBroker]);
    expect(await alter(world, "group", "g", [["consumer.session.timeout.ms", "set", "55000"]])).toBe("NONE");
    expect(await session()).toEqual(["55000 8", "consumer.session.timeout.ms=55000 8", ...ofBroker]);
    expect(await synonyms(world, "broker", "1", "group.consumer.session.timeout.ms")).toEqual(["50000 4", ...ofBroker]);
    expect(await synonyms(world, "group", "g", "share.auto.offset.reset")).toEqual([
      "latest 5",
      "share.auto.offset.reset=latest 5",
    ]);
  });

  test("are not given a heartbeat that the broker's session would not outlast", async () => {
    await using world = new AdminWorld({ groupConsumerSessionMs: 10_000 });
    const heartbeat = async (ms: string) =>
      await alter(world, "group", "g", [["consumer.heartbeat.interval.ms", "set", ms]]);
    expect(await heartbeat("10000")).toBe("INVALID_CONFIG");
    expect(await heartbeat("9999")).toBe("NONE");
  });

  test("accept only what Kafka accepts", async () => {
    await using world = new AdminWorld();
    const refused: Change[] = [
      ["consumer.session.timeout.ms", "set", "44999"],
      ["consumer.session.timeout.ms", "append", "50000"],
      ["share.auto.offset.reset", "set", "by_duration:"],
      ["share.auto.offset.reset", "set", "by_duration:-P1D"],
      ["share.isolation.level", "set", "serializable"],
      ["share.delivery.count.limit", "set", "11"],
      ["retention.ms", "set", "1"],
      ["constructor", "set", "1"],
    ];
    for (const change of refused)
      expect([change, await alter(world, "group", "g", [change])]).toEqual([change, "INVALID_CONFIG"]);
    expect(await alter(world, "group", "", [["share.delivery.count.limit", "set", "3"]])).toBe("INVALID_REQUEST");
    expect(await shown(world, "group", "")).toBe("INVALID_REQUEST");
    expect(await listed(world, "group")).toEqual([]);
  });
});

test("dead-letter queues of share groups are refused, as by Kafka 4.3.1, which has none yet (KIP-1191)", async () => {
  await using world = new AdminWorld();
  await world.topic("t");
  const queue: Change[] = [
    ["errors.deadletterqueue.topic.name", "set", "t"],
    ["errors.deadletterqueue.copy.record.enable", "set", "true"],
  ];
  for (const change of queue)
    expect([change, await alter(world, "group", "g", [change])]).toEqual([change, "INVALID_CONFIG"]);
  const enable: Change = ["errors.deadletterqueue.group.enable", "set", "true"];
  expect(await alter(world, "topic", "t", [enable])).toBe("INVALID_CONFIG");
});

describe("subscriptions to client metrics", () => {
  test("are kept, shown and listed", async () => {
    await using world = new AdminWorld();
    const changes: Change[] = [
      ["metrics", "set", "org.apache.kafka.producer."],
      ["metrics", "append", "org.apache.kafka.consumer."],
    ];
    expect(await alter(world, "clientMetrics", "s", changes.slice(0, 1))).toBe("NONE");
    expect(await alter(world, "clientMetrics", "s", changes.slice(1))).toBe("NONE");
    expect(
      await alter(world, "clientMetrics", "s", [["match", "set", "client_id=app-.*,client_software_name=java"]]),
    ).toBe("NONE");
    expect(await shown(world, "clientMetrics", "s")).toEqual([
      "metrics=org.apache.kafka.producer.,org.apache.kafka.consumer. 7",
      "interval.ms=300000 5",
      "match=client_id=app-.*,client_software_name=java 7",
    ]);
    expect(await listed(world, "clientMetrics")).toEqual(["s"]);
  });

  test("have no synonyms but what is set of them", async () => {
    await using world = new AdminWorld();
    expect(await synonyms(world, "clientMetrics", "s", "metrics")).toEqual([" 5"]);
    expect(await alter(world, "clientMetrics", "s", [["metrics", "set", "org.apache"]])).toBe("NONE");
    expect(await synonyms(world, "clientMetrics", "s", "metrics")).toEqual(["org.apache 7", "metrics=org.apache 7"]);
  });

  test("are refused when they could not mean anything", async () => {
    await using world = new AdminWorld();
    const refused: Change[] = [
      ["interval.ms", "set", "99"],
      ["interval.ms", "set", "3600001"],
      ["match", "set", "client_id"],
      ["match", "set", "client_shoe_size=.*"],
      ["match", "set", "client_id=(unclosed"],
      ["interval", "set", "1000"],
    ];
    for (const change of refused) {
      expect([change, await alter(world, "clientMetrics", "s", [change])]).toEqual([change, "INVALID_CONFIG"]);
    }
    expect(await alter(world, "clientMetrics", "", [["interval.ms", "set", "1000"]])).toBe("INVALID_REQUEST");
    expect(await shown(world, "clientMetrics", "")).toBe("INVALID_REQUEST");
  });
});
