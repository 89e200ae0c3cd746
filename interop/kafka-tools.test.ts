/** Proves: the tools that administrators of Kafka use print what is true of this broker, and change what they say they change. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { freePort, start } from "../test/support/processes.ts";
import { kafkaTool } from "./kafka.ts";
import { connectFileJars, java, kafkaJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-kafka-tools-"));
const dataDirectory = join(directory, "data");
const tools = "org.apache.kafka.tools";
const configCommand = "kafka.admin.ConfigCommand";
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory });
  await topics("--create", "--topic", "t", "--partitions", "2");
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function tool(className: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(className, ["--bootstrap-server", broker.bootstrap, ...args]);
}

const topics = (...args: readonly string[]): Promise<string> => tool(`${tools}.TopicCommand`, ...args);

/** Tools that take their command first. */
async function command(className: string, name: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(className, [name, "--bootstrap-server", broker.bootstrap, ...args]);
}

function jsonFile(name: string, content: unknown): string {
  const file = join(directory, name);
  writeFileSync(file, JSON.stringify(content));
  return file;
}

async function produce(topic: string, lines: readonly string[], ...args: readonly string[]): Promise<void> {
  await kafkaTool(`${tools}.ConsoleProducer`, ["--bootstrap-server", broker.bootstrap, "--topic", topic, ...args], {
    input: `${lines.join("\n")}\n`,
  });
}

async function consume(topic: string, count: number, ...args: readonly string[]): Promise<readonly string[]> {
  const whole = ["--topic", topic, "--from-beginning", "--max-messages", String(count), "--timeout-ms", "20000"];
  const output = await tool("org.apache.kafka.tools.consumer.ConsoleConsumer", ...whole, ...args);
  return output.trim().split("\n");
}

describe("kafka-topics", () => {
  test("creates with assignments and configs, describes, lists and deletes", async () => {
    await topics("--create", "--topic", "assigned", "--replica-assignment", "1,1,1", "--config", "retention.ms=5000");
    const described = await topics("--describe", "--topic", "assigned");
    expect(described).toMatch(/PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=5000/);
    expect(described).toMatch(/Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1/);
    for (const flag of ["--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"]) {
      expect((await topics("--describe", flag)).trim()).toBe("");
    }
    await topics("--delete", "--topic", "assigned");
    expect((await topics("--list")).split("\n")).not.toContain("assigned");
  });

  test.each([
    [["--topic", "a b"], "InvalidTopicException"],
    [["--topic", "t"], "already exists"],
    [["--topic", "u", "--replication-factor", "3"], "InvalidReplicationFactorException"],
    [["--topic", "u", "--partitions", "0"], "greater than 0"],
    [["--topic", "u", "--config", "retention.ms=soon"], "Invalid value soon"],
    [["--topic", "u", "--config", "nonsense=1"], "nonsense"],
    [["--topic", "u", "--replica-assignment", "1,2"], "InvalidReplicaAssignmentException"],
  ])("refuses to create %j", async (args, because) => {
    await expect(topics("--create", ...args)).rejects.toThrow(because);
  });
});

describe("kafka-configs", () => {
  async function changed(type: string, name: string, config: string): Promise<string> {
    const entity = ["--entity-type", type, "--entity-name", name];
    await tool(configCommand, "--alter", ...entity, "--add-config", config);
    return await tool(configCommand, "--describe", ...entity);
  }

  test("of brokers, loggers, groups and client metrics", async () => {
    expect(await changed("brokers", "1", "log.retention.ms=7000000")).toContain(
      "log.retention.ms=7000000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.retention.ms=7000000",
    );
    expect(await changed("broker-loggers", "1", "stream=DEBUG")).toMatch(/stream=DEBUG[\s\S]*table=INFO/);
    expect(await changed("groups", "g", "consumer.session.timeout.ms=50000")).toContain(
      "DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000",
    );
    expect(await changed("client-metrics", "s", "interval.ms=2000")).toContain(
      "DYNAMIC_CLIENT_METRICS_CONFIG:interval.ms=2000",
    );
    await expect(changed("broker-loggers", "1", "stream=LOUD")).rejects.toThrow("not a supported log level");
    await expect(changed("groups", "g", "consumer.session.timeout.ms=1")).rejects.toThrow("at least 45000");
  });

  test("of everything of a kind at once", async () => {
    expect(await tool(configCommand, "--describe", "--entity-type", "groups")).toContain(
      "Dynamic configs for group g are",
    );
    const all = await tool(configCommand, "--describe", "--entity-type", "topics", "--entity-name", "t", "--all");
    expect(all).toMatch(/min\.insync\.replicas=1 sensitive=false/);
    expect(all).toMatch(/unclean\.leader\.election\.enable=false sensitive=false/);
  });
});

test("kafka-client-metrics adds, describes and deletes a subscription", async () => {
  const metrics = `${tools}.ClientMetricsCommand`;
  const pattern = ["--match", "client_id=perf-.*", "--interval", "1000", "--metrics", "org.apache.kafka.producer."];
  await tool(metrics, "--alter", "--name", "sub", ...pattern);
  expect(await tool(metrics, "--describe", "--name", "sub")).toMatch(
    /interval\.ms=1000[\s\S]*match=client_id=perf-\.\*/,
  );
  expect(await tool(metrics, "--list")).toContain("sub");
  await tool(metrics, "--delete", "--name", "sub");
  expect(await tool(metrics, "--list")).not.toContain("sub");
});

test("what a Java client pushes is on /metrics", async () => {
  const pattern = ["--match", "client_id=perf-.*", "--interval", "500", "--metrics", "*"];
  await tool(`${tools}.ClientMetricsCommand`, "--alter", "--name", "all", ...pattern);
  const load = ["--topic", "t", "--num-records", "300", "--record-size", "100", "--throughput", "100"];
  await tool(`${tools}.ProducerPerformance`, ...load, "--command-property", "client.id=perf-1");
  const text = await (await fetch(`${broker.http}/metrics`)).text();
  const pushed = /^inlet_client_metric\{metric="org\.apache\.kafka\.producer\.[^"]+",client_id="perf-1",.*\} (.*)$/gm;
  expect([...text.matchAll(pushed)].length).toBeGreaterThan(5);
});

test("kafka-log-dirs tells the bytes of every partition", async () => {
  await produce("t", ["one", "two"]);
  const output = await tool(`${tools}.LogDirsCommand`, "--describe", "--topic-list", "t");
  const { brokers } = JSON.parse(output.trim().split("\n").at(-1) ?? "") as {
    brokers: { logDirs: { logDir: string; error: null; partitions: { partition: string; size: number }[] }[] }[];
  };
  const [dir] = brokers[0]?.logDirs ?? [];
  expect(dir).toMatchObject({ logDir: dataDirectory, error: null });
  expect(dir?.partitions.map(({ partition }) => partition).sort()).toEqual(["t-0", "t-1"]);
  expect(dir?.partitions.reduce((sum, { size }) => sum + size, 0)).toBeGreaterThan(60);
});

test("kafka-reassign-partitions generates, executes, verifies, lists and cancels", async () => {
  const reassign = `${tools}.reassign.ReassignPartitionsCommand`;
  const topicsFile = jsonFile("topics.json", { version: 1, topics: [{ topic: "t" }] });
  const generated = await tool(reassign, "--generate", "--topics-to-move-json-file", topicsFile, "--broker-list", "1");
  const plan = JSON.parse(generated.trim().split("\n").at(-1) ?? "") as object;
  const planFile = jsonFile("plan.json", plan);
  const file = ["--reassignment-json-file", planFile];
  expect(await tool(reassign, "--execute", ...file)).toContain(
    "Successfully started partition reassignments for t-0,t-1",
  );
  expect(await tool(reassign, "--verify", ...file)).toMatch(/Reassignment of partition t-1 is completed/);
  expect(await tool(reassign, "--list")).toContain("No partition reassignments found.");
  expect(await tool(reassign, "--cancel", ...file)).toContain(
    "None of the specified partition reassignments are active.",
  );
  const partitions = [{ topic: "t", partition: 0, replicas: [9] }];
  const bad = ["--reassignment-json-file", jsonFile("bad.json", { version: 1, partitions })];
  await expect(tool(reassign, "--execute", ...bad)).rejects.toThrow("Unknown broker id 9");
});

test("kafka-leader-election finds every leader where it should be", async () => {
  const election = `${tools}.LeaderElectionCommand`;
  const one = ["--topic", "t", "--partition", "0"];
  expect(await tool(election, "--election-type", "preferred", ...one)).toContain(
    "Valid replica already elected for partitions t-0",
  );
  expect(await tool(election, "--election-type", "unclean", ...one)).toContain("Valid replica already elected");
  expect(await tool(election, "--election-type", "preferred", "--all-topic-partitions")).not.toContain("Error");
});

test("kafka-features describes, and keeps what has no other behaviour", async () => {
  const features = `${tools}.FeatureCommand`;
  expect(await tool(features, "describe")).toMatch(/metadata\.version\s.*FinalizedVersionLevel: 4\.3-IV0/);
  expect(await tool(features, "upgrade", "--feature", "metadata.version=30")).toContain(
    "metadata.version was upgraded to 30.",
  );
  expect(await tool(features, "upgrade", "--release-version", "4.3")).toContain("streams.version was upgraded to 1.");
  await expect(tool(features, "downgrade", "--feature", "metadata.version=29")).rejects.toThrow(
    "Invalid update version 29",
  );
});

test("kafka-metadata-quorum shows a healthy quorum", async () => {
  const quorum = `${tools}.MetadataQuorumCommand`;
  const status = await tool(quorum, "describe", "--status");
  expect(status).toMatch(/LeaderId:\s+1\n[\s\S]*MaxFollowerLag:\s+0\n[\s\S]*CurrentVoters:\s+\[\{"id": 1/);
  expect(await tool(quorum, "describe", "--replication")).toMatch(/\n1\s.*\sLeader/);
  const directoryId = ["--controller-id", "1", "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAAAQ"];
  await expect(tool(quorum, "remove-controller", ...directoryId)).rejects.toThrow("for as long as it is registered");
});

test("kafka-cluster and kafka-broker-api-versions tell who is there and what it speaks", async () => {
  expect(await command(`${tools}.ClusterTool`, "cluster-id")).toMatch(/Cluster ID: [\w-]{22}/);
  expect(await command(`${tools}.ClusterTool`, "list-endpoints")).toMatch(/\n1\s.*unfenced\s+broker/);
  const spoken = await tool(`${tools}.BrokerApiVersionsCommand`);
  for (const api of ["DescribeLogDirs(35): 1 to 5", "DescribeQuorum(55): 0 to 2", "PushTelemetry(72): 0"]) {
    expect(spoken).toContain(api);
  }
});

test("topics convert, stamp and bound what producers send", async () => {
  const configs = ["compression.type=zstd", "message.timestamp.type=LogAppendTime", "max.message.bytes=2000"];
  await topics("--create", "--topic", "converted", ...configs.flatMap((config) => ["--config", config]));
  await produce("converted", ["x".repeat(500), "y"], "--compression-codec", "gzip");
  const lines = await consume("converted", 2, "--formatter-property", "print.timestamp=true");
  expect(lines[0]).toMatch(/^LogAppendTime:\d{13}\tx{500}$/);
  const tooLarge = ["--topic", "converted", "--num-records", "1", "--record-size", "5000", "--throughput", "-1"];
  expect(await tool(`${tools}.ProducerPerformance`, ...tooLarge)).toContain("0 records sent");
});

test("kafka-get-offsets, kafka-delete-records and the verifiable clients agree", async () => {
  await topics("--create", "--topic", "verified", "--partitions", "1");
  const acked = await tool(`${tools}.VerifiableProducer`, "--topic", "verified", "--max-messages", "500");
  expect(acked).toContain('"sent":500,"acked":500');
  const read = ["--topic", "verified", "--group-id", "v", "--max-messages", "500", "--reset-policy", "earliest"];
  expect(await tool(`${tools}.VerifiableConsumer`, ...read)).toContain("offsets_committed");
  const partitions = [{ topic: "verified", partition: 0, offset: 100 }];
  const file = jsonFile("delete.json", { version: 1, partitions });
  expect(await tool(`${tools}.DeleteRecordsCommand`, "--offset-json-file", file)).toContain("low_watermark: 100");
  const offsets = async (time: string) =>
    (await tool(`${tools}.GetOffsetShell`, "--topic", "verified", "--time", time)).trim();
  expect(await offsets("earliest")).toBe("verified:0:100");
  expect(await offsets("latest")).toBe("verified:0:500");
});

test("Kafka Connect, standalone, carries a file into a topic and the topic into a file", async () => {
  const [from, to] = [join(directory, "source.txt"), join(directory, "sink.txt")];
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  writeFileSync(from, `${lines.join("\n")}\n`);
  const properties = (name: string, entries: Readonly<Record<string, string>>): string => {
    const file = join(directory, name);
    const text = Object.entries(entries).map(([key, value]) => `${key}=${value}\n`);
    writeFileSync(file, text.join(""));
    return file;
  };
  const converter = "org.apache.kafka.connect.storage.StringConverter";
  const worker = properties("worker.properties", {
    "bootstrap.servers": broker.bootstrap,
    listeners: `http://127.0.0.1:${await freePort()}`,
    "key.converter": converter,
    "value.converter": converter,
    "offset.storage.file.filename": join(directory, "connect.offsets"),
    "offset.flush.interval.ms": "500",
  });
  const connector = (name: string, kind: string, more: Readonly<Record<string, string>>): string =>
    properties(`${name}.properties`, {
      name,
      "connector.class": `org.apache.kafka.connect.file.FileStream${kind}Connector`,
      "tasks.max": "1",
      ...more,
    });
  const source = connector("source", "Source", { file: from, topic: "connected" });
  const sink = connector("sink", "Sink", { file: to, topics: "connected" });
  const classPath = `${join(await kafkaJars(), "*")}:${join(await connectFileJars(), "*")}`;
  const written = (): string => {
    try {
      return readFileSync(to, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
      throw cause;
    }
  };
  await using _connect = await start(
    "connect",
    java(17),
    ["-Xmx512m", "-cp", classPath, "org.apache.kafka.connect.cli.ConnectStandalone", worker, source, sink],
    { ready: () => written().split("\n").length > lines.length, timeoutMs: 60_000 },
  );
  expect(written().trim().split("\n")).toEqual(lines);
});
