/** What kafkajs and @platformatic/kafka do when they are used as their manuals show: produce, consume in a group, administer. */
import * as platformatic from "@platformatic/kafka";
import kafkajs from "kafkajs";

export interface StockClient {
  readonly name: string;
  /** How far below the newest versions the broker may stay for it to work. */
  readonly versionsBelow: readonly number[];
  /** Resolves with the values consumed. Operations that the client has no version for are left out. */
  readonly run: (address: { readonly host: string; readonly port: number }) => Promise<readonly string[]>;
}

export const stockClients: readonly StockClient[] = [
  { name: "kafkajs", versionsBelow: [0, 1, 2, 3, 4, 6, 8, 10], run: runKafkajs },
  { name: "platformatic", versionsBelow: [0, 1, 2, 3], run: runPlatformatic },
];

const values = ["one", "two", "three"];

async function runKafkajs({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<readonly string[]> {
  const kafka = new kafkajs.Kafka({
    clientId: "kafkajs",
    brokers: [`${host}:${port}`],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 1, initialRetryTime: 10 },
  });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({
    topics: [{ topic: "t", numPartitions: 1, configEntries: [{ name: "cleanup.policy", value: "delete" }] }],
  });
  await admin.createPartitions({ topicPartitions: [{ topic: "t", count: 2 }] });
  await admin.listTopics();
  await admin.describeCluster();
  await admin.fetchTopicOffsets("t");
  await admin.fetchTopicOffsetsByTimestamp("t", 1_700_000_000_000);
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: "t" };
  await admin.describeConfigs({ resources: [{ ...resource, configNames: ["cleanup.policy"] }], includeSynonyms: true });
  await admin.alterConfigs({
    validateOnly: true,
    resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "1" }] }],
  });
  await admin.listGroups();
  await admin.describeGroups(["g"]);

  for (const options of [{ idempotent: true }, { allowAutoTopicCreation: true }]) {
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, ...options });
    await producer.connect();
    if (options.idempotent === true)
      await producer.send({ topic: "t", messages: values.map((value) => ({ key: "k", value, headers: { h: "x" } })) });
    else
      await producer.send({
        topic: "t",
        acks: 0,
        compression: kafkajs.CompressionTypes.GZIP,
        messages: [{ value: "zipped" }],
      });
    await producer.disconnect();
  }

  const consumer = kafka.consumer({ groupId: "g", sessionTimeout: 6000, heartbeatInterval: 50 });
  await consumer.connect();
  await consumer.subscribe({ topic: "t", fromBeginning: true });
  const consumed = await collect(4, (take) =>
    consumer.run({
      eachMessage: async (payload) => {
        await payload.heartbeat();
        take(String(payload.message.value));
      },
    }),
  );
  await consumer.disconnect();
  await admin.fetchOffsets({ groupId: "g", topics: ["t"] });
  await admin.setOffsets({ groupId: "g", topic: "t", partitions: [{ partition: 0, offset: "2" }] });
  await admin.deleteTopicRecords({ topic: "t", partitions: [{ partition: 0, offset: "-1" }] });
  await admin.deleteGroups(["g"]);
  await admin.deleteTopics({ topics: ["t"] });
  await admin.disconnect();
  return consumed;
}

async function runPlatformatic({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<readonly string[]> {
  const base = { clientId: "platformatic", bootstrapBrokers: [`${host}:${port}`], retries: 0, timeout: 2000 };
  const admin = new platformatic.Admin(base);
  const each: (() => Promise<unknown>)[] = [
    () =>
      admin.createTopics({
        topics: ["t"],
        partitions: 1,
        replicas: 1,
        configs: [{ name: "cleanup.policy", value: "delete" }],
      }),
    () => admin.createPartitions({ topics: [{ name: "t", count: 2, assignments: [] }] }),
    () => admin.listTopics(),
    () =>
      admin.describeConfigs({
        resources: [{ resourceType: 2, resourceName: "t", configurationKeys: null }],
        includeSynonyms: true,
        includeDocumentation: true,
      }),
    () =>
      admin.alterConfigs({
        resources: [{ resourceType: 2, resourceName: "t", configs: [{ name: "retention.ms", value: "1" }] }],
      }),
    () =>
      admin.incrementalAlterConfigs({
        resources: [
          { resourceType: 2, resourceName: "t", configs: [{ name: "retention.ms", configOperation: 0, value: "1" }] },
        ],
      }),
    () => admin.listGroups(),
    () => admin.describeGroups({ groups: ["g"] }),
    () => admin.findCoordinator({ keyType: 0, keys: ["g"] }),
    () => admin.listOffsets({ topics: [{ name: "t", partitions: [{ partitionIndex: 0, timestamp: -1n }] }] }),
    () =>
      admin.listConsumerGroupOffsets({ groups: [{ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }] }),
    () =>
      admin.alterConsumerGroupOffsets({
        groupId: "g",
        topics: [{ name: "t", partitionOffsets: [{ partition: 0, offset: 0n }] }],
      }),
    () => admin.deleteConsumerGroupOffsets({ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }),
    () => admin.deleteRecords({ topics: [{ name: "t", partitions: [{ partition: 0, offset: 0n }] }] }),
    () => admin.deleteGroups({ groups: ["g"] }),
    () => admin.deleteTopics({ topics: ["t"] }),
  ];
  for (const operation of each) await unlessUnsupported(operation);
  await admin.close();

  const producer = new platformatic.Producer({ ...base, serializers: platformatic.stringSerializers });
  const messages = values.map((value) => ({
    topic: "t",
    key: "k",
    value,
    partition: 0,
    headers: new Map([["h", "x"]]),
  }));
  await producer.send({ messages, acks: -1, idempotent: true });
  await producer.send({ messages: [{ topic: "t", value: "zipped", partition: 0 }], acks: 1, compression: "zstd" });
  await producer.close();

  const consumer = new platformatic.Consumer({
    ...base,
    groupId: "g",
    deserializers: platformatic.stringDeserializers,
    sessionTimeout: 6000,
    heartbeatInterval: 50,
    rebalanceTimeout: 6000,
  });
  const stream = await consumer.consume({ topics: ["t"], mode: "earliest", autocommit: true, maxWaitTime: 20 });
  const consumed = await collect(4, async (take) => {
    stream.on("data", (message: { readonly value?: string }) => take(String(message.value)));
  });
  await stream.close();
  await consumer.close(true);
  return consumed;
}

/** The client has no version in the broker's range: nothing was sent, so there is nothing to see. */
async function unlessUnsupported(operation: () => Promise<unknown>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    const text = error instanceof Error ? `${error.message} ${String(error.cause)}` : "";
    if (!/usable implementation|Unsupported API/i.test(text)) throw error;
  }
}

function collect(
  count: number,
  start: (take: (value: string) => void) => Promise<unknown>,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const taken: string[] = [];
    start((value) => {
      taken.push(value);
      if (taken.length === count) resolve(taken);
    }).catch(reject);
  });
}
