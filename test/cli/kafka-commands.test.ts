/** Proves: the topic, group and table commands do what they say against a running broker, and leave nothing behind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broker, openBroker } from "../../src/broker.ts";
import { readConfig } from "../../src/config.ts";
import { inlet, inletAt } from "../support/command.ts";
import { freePort } from "../support/processes.ts";
import { connectTo } from "../support/sasl-client.ts";

let directory: string;
let broker: Broker;
let astrayPort: number;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-cli-kafka-"));
  astrayPort = await freePort();
  const astray = `astray: { port: ${astrayPort}, advertised_port: 1 }`;
  const listeners = `listeners: { plain: { port: 0 }, ${astray} }\nregistry: { port: 0 }\ncatalog: { port: 0 }\nhttp: { port: 0 }\n`;
  const text = `${listeners}data: { directory: ${JSON.stringify(directory)} }\nlogging: { level: silent }\ntopics: { lines: { value: { decode: string } } }\n`;
  broker = await openBroker(
    readConfig({ file: { name: "t", text }, environment: {}, flags: new Map(), readFile: () => undefined }),
  );
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const run = (args: readonly string[], input?: string) => inletAt(broker, args, input);

describe("against a broker", () => {
  test("a topic is created once, described with its configs, written, read, and deleted", async () => {
    expect(await run(["topic", "create", "t", "-p", "2", "-c", "retention.ms=1000"])).toMatchObject({
      code: 0,
      out: "TOPIC  STATUS\nt      OK\n",
    });
    expect(await run(["topic", "create", "t"])).toMatchObject({
      code: 1,
      error: expect.stringContaining("TOPIC_ALREADY_EXISTS"),
    });
    const wrote = await run(["topic", "produce", "t", "-p", "1", "-s", ":", "-H", "h=1"], "k:v\nplain\n");
    expect(wrote).toMatchObject({ code: 0, out: "Produced to partition 1 from offset 0.\n" });
    const more = await run(["--format", "json", "topic", "produce", "t", "-p", "1"], "again\n");
    expect(more.out).toBe('{"topic":"t","partition":1,"offset":2}\n');
    const described = JSON.parse((await run(["--format", "json", "topic", "describe", "t"])).out) as Record<
      string,
      unknown
    >;
    expect(described["partitions"]).toMatchObject([{ high_watermark: 0 }, { high_watermark: 3 }]);
    expect(described["configs"]).toContainEqual({ key: "retention.ms", value: "1000", source: "DYNAMIC_TOPIC_CONFIG" });
    const read = await run(["topic", "consume", "t", "-n", "3"]);
    expect(
      read.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([
      { topic: "t", partition: 1, offset: 0, key: "k", value: "v" },
      { topic: "t", partition: 1, offset: 1, key: null, value: "plain" },
      { topic: "t", partition: 1, offset: 2, key: null, value: "again" },
    ]);
    expect((await run(["topic", "list"])).out).toMatch(/^NAME.*\nt +2 +1\n$/);
    expect((await run(["topic", "delete", "t"])).code).toBe(0);
    expect((await run(["topic", "describe", "t"])).code).toBe(4);
  });

  test("a group shows its lag and can be deleted; one made to read is gone", async () => {
    await run(["topic", "create", "g"]);
    await run(["topic", "produce", "g"], "a\nb\nc\n");
    await run(["topic", "consume", "g", "-n", "1"]);
    await run(["topic", "consume", "g", "-n", "3", "-g", "readers"]);
    const listed = JSON.parse((await run(["group", "list", "--format", "json"])).out) as { group: string }[];
    expect(listed.map(({ group }) => group)).toEqual(["readers"]);
    const described = JSON.parse((await run(["group", "describe", "readers", "--format", "json"])).out) as unknown;
    expect(described).toMatchObject({ offsets: [{ topic: "g", current_offset: 3, log_end_offset: 3, lag: 0 }] });
    expect((await run(["group", "delete", "readers"])).code).toBe(0);
    expect((await run(["group", "describe", "readers"])).code).toBe(4);
  });

  test("of several topics those are created that are not there", async () => {
    await run(["topic", "create", "old"]);
    expect(await run(["topic", "create", "old", "new"])).toMatchObject({
      code: 1,
      out: "TOPIC  STATUS\nold    TOPIC_ALREADY_EXISTS\nnew    OK\n",
      error: expect.stringContaining("TOPIC_ALREADY_EXISTS: old"),
    });
  });

  test("of several topics that are made or deleted, what became of each is said", async () => {
    expect(await run(["topic", "create", "one", "not/one", "two"])).toEqual({
      code: 1,
      out: "TOPIC    STATUS\none      OK\nnot/one  INVALID_TOPIC_EXCEPTION\ntwo      OK\n",
      error:
        "inlet: INVALID_TOPIC_EXCEPTION: not/one: The request attempted to perform an operation on an invalid topic\n",
    });
    expect(await run(["topic", "delete", "one", "three", "two"])).toEqual({
      code: 4,
      out: "TOPIC  STATUS\none    OK\nthree  UNKNOWN_TOPIC_OR_PARTITION\ntwo    OK\n",
      error: "inlet: UNKNOWN_TOPIC_OR_PARTITION: three: This server does not host this topic-partition\n",
    });
  });

  test("of several groups that are deleted, what became of each is said", async () => {
    await run(["topic", "create", "h"]);
    await run(["topic", "produce", "h"], "a\n");
    await run(["topic", "consume", "h", "-n", "1", "-g", "leavers"]);
    expect(await run(["group", "delete", "nobody", "leavers"])).toEqual({
      code: 4,
      out: "GROUP    STATUS\nnobody   GROUP_ID_NOT_FOUND\nleavers  OK\n",
      error: "inlet: GROUP_ID_NOT_FOUND: nobody: The group id was not found\n",
    });
  });

  test("a record for a partition that is not there is not said to be written", async () => {
    await run(["topic", "create", "p"]);
    expect(await run(["topic", "produce", "p", "-p", "9"], "lost\n")).toEqual({
      code: 4,
      out: "",
      error: "inlet: UNKNOWN_TOPIC_OR_PARTITION: topic p has no partition 9\n",
    });
  });

  test("headers that are written are read", async () => {
    await run(["topic", "create", "q"]);
    await run(["topic", "produce", "q", "-H", "h=1", "-H", "g=x=y"], "a\n");
    const [read] = (await run(["topic", "consume", "q", "-n", "1"])).out.split("\n");
    const headers = [
      { key: "h", value: "1" },
      { key: "g", value: "x=y" },
    ];
    expect(JSON.parse(read as string)).toMatchObject({ value: "a", headers });
  });

  test("a config that the cluster says is not said to be the topic's", async () => {
    await using client = await connectTo(broker.addresses.kafka);
    const configs = [{ name: "log.retention.ms", configOperation: 0, value: "604800001" }];
    const resources = [{ resourceType: 4, resourceName: "", configs }];
    await client.call("incrementalAlterConfigs", 1, { resources, validateOnly: false });
    await run(["topic", "create", "r"]);
    expect((await run(["topic", "describe", "r"])).out).toMatch(
      /^retention\.ms +604800001 +DYNAMIC_DEFAULT_BROKER_CONFIG$/m,
    );
  });

  test("a group of the new protocol is not said to be dead", async () => {
    await run(["topic", "create", "s"]);
    await using client = await connectTo(broker.addresses.kafka);
    const joining = {
      groupId: "modern",
      memberId: "one",
      memberEpoch: 0,
      rebalanceTimeoutMs: 60_000,
      subscribedTopicNames: ["s"],
      topicPartitions: [],
    };
    expect(await client.call("consumerGroupHeartbeat", 1, joining)).toMatchObject({ errorCode: 0 });
    expect((await run(["group", "list"])).out).toMatch(/^modern +- +-$/m);
    expect(await run(["group", "describe", "modern"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("STATE    -\nMEMBERS  -\n"),
      error: expect.stringContaining("kafka-consumer-groups"),
    });
  });

  test("one broker of many is enough, and one that goes by a wrong name is told", async () => {
    const dead = [1, 2, 3, 4].map((port) => `127.0.0.1:${port}`);
    const brokers = [...dead, broker.addresses.kafka].join();
    expect(await inlet(["topic", "list", "--brokers", brokers])).toMatchObject({ code: 0 });
    const astray = `127.0.0.1:${astrayPort}`;
    expect(await inlet(["topic", "describe", "x", "--brokers", astray])).toMatchObject({
      code: 3,
      error: expect.stringContaining(`no broker answers at 127.0.0.1:1, which ${astray} says is its address`),
    });
  });

  test("a table is listed and flushed", async () => {
    await run(["topic", "create", "lines"]);
    await run(["topic", "produce", "lines"], "one\ntwo\n");
    expect((await run(["table", "list"])).out).toContain("kafka.lines");
    expect(JSON.parse((await run(["table", "flush", "lines"])).out)).toMatchObject({ committedTo: { "0": 2 } });
    expect((await run(["table", "flush", "none"])).code).toBe(4);
  });
});
