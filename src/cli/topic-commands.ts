/** inlet topic create|list|describe|produce|consume|delete, in rpk's words. */
import { createInterface } from "node:readline";
import type { Command } from "commander";
import type { IHeaders, Kafka } from "kafkajs";
import type { Context } from "./context.ts";
import { oneByOne, withAdmin, withKafka } from "./kafka.ts";
import { CommandFailed, exitCodes, printJson, printRows } from "./output.ts";
import { count } from "./values.ts";

export function addTopicCommands(program: Command, context: Context): void {
  const topic = program.command("topic").description("create, list, describe, write to, read from and delete topics");
  topic
    .command("create <topics...>")
    .description("create topics")
    .option("-p, --partitions <number>", "partitions of each", count, 1)
    .option("-c, --topic-config <key=value...>", "configs, such as retention.ms=86400000")
    .action((topics: string[], options: { partitions: number; topicConfig?: string[] }) =>
      create(context, topics, options),
    );
  topic
    .command("list")
    .description("list topics")
    .option("-i, --internal", "internal ones too")
    .action((options: { internal?: true }) => listTopics(context, options));
  topic
    .command("describe <topic>")
    .description("show partitions and configs")
    .action((name: string) => describe(context, name));
  topic
    .command("delete <topics...>")
    .description("delete topics and their records")
    .action((topics: string[]) => remove(context, topics));
  topic
    .command("produce <topic>")
    .description("write each line of standard input as a record")
    .option("-k, --key <key>", "key of every record")
    .option("-s, --separator <text>", "parts a line into key and value")
    .option("-H, --header <key=value...>", "headers of every record")
    .option("-p, --partition <number>", "partition to write to", count)
    .action((name: string, options: ProduceOptions) => produce(context, name, options));
  topic
    .command("consume <topic>")
    .description("print records, one JSON object a line")
    .option("-n, --num <number>", "stop after this many", count)
    .option("-o, --offset <start|end>", "where to begin", "start")
    .option("-g, --group <group>", "read as a member of this group, and commit")
    .action((name: string, options: ConsumeOptions) => consume(context, name, options));
}

async function create(
  context: Context,
  topics: readonly string[],
  options: { partitions: number; topicConfig?: string[] },
): Promise<void> {
  const configEntries = (options.topicConfig ?? []).map(pairOf).map(([name, value]) => ({ name, value }));
  await oneByOne(context, "topic", topics, async (admin, topic) => {
    const isNew = await admin.createTopics({ topics: [{ topic, numPartitions: options.partitions, configEntries }] });
    return isNew ? undefined : { type: "TOPIC_ALREADY_EXISTS", message: "it is there" };
  });
}

async function listTopics(context: Context, options: { internal?: true }): Promise<void> {
  const { topics } = await withAdmin(context, (admin) => admin.fetchTopicMetadata());
  const rows = topics
    .filter(({ name }) => options.internal === true || !/^(__.*|_schemas)$/.test(name))
    .map(({ name, partitions }) => ({
      name,
      partitions: partitions.length,
      replicas: partitions[0]?.replicas.length ?? 0,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  printRows(context.terminal, context.format, ["name", "partitions", "replicas"], rows);
}

async function describe(context: Context, name: string): Promise<void> {
  const { metadata, offsets, configs } = await withAdmin(context, async (admin) => {
    const { ConfigResourceTypes } = (await import("kafkajs")).default;
    const described = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name }],
    });
    return {
      metadata: (await admin.fetchTopicMetadata({ topics: [name] })).topics[0],
      offsets: await admin.fetchTopicOffsets(name),
      configs: described.resources[0]?.configEntries ?? [],
    };
  });
  const partitions = (metadata?.partitions ?? [])
    .map(({ partitionId, leader }) => {
      const at = offsets.find(({ partition }) => partition === partitionId);
      return {
        partition: partitionId,
        leader,
        log_start: at === undefined ? null : Number(at.low),
        high_watermark: at === undefined ? null : Number(at.high),
      };
    })
    .sort((a, b) => a.partition - b.partition);
  const entries = configs.map(({ configName, configValue, configSource }) => ({
    key: configName,
    value: configValue,
    source: configSources[configSource] ?? "UNKNOWN_CONFIG",
  }));
  if (context.format === "json") {
    printJson(context.terminal, { name, partitions, configs: entries });
    return;
  }
  context.terminal.out(`SUMMARY\nname        ${name}\npartitions  ${partitions.length}\n\nPARTITIONS\n`);
  printRows(context.terminal, "text", ["partition", "leader", "log_start", "high_watermark"], partitions);
  context.terminal.out("\nCONFIGS\n");
  printRows(context.terminal, "text", ["key", "value", "source"], entries);
}

/** By their numbers, as Kafka's own tools name them. */
const configSources: readonly (string | undefined)[] = [
  undefined,
  "DYNAMIC_TOPIC_CONFIG",
  "DYNAMIC_BROKER_CONFIG",
  "DYNAMIC_DEFAULT_BROKER_CONFIG",
  "STATIC_BROKER_CONFIG",
  "DEFAULT_CONFIG",
];

async function remove(context: Context, topics: readonly string[]): Promise<void> {
  await oneByOne(context, "topic", topics, async (admin, topic) => {
    await admin.deleteTopics({ topics: [topic] });
    return undefined;
  });
}

interface ProduceOptions {
  readonly key?: string;
  readonly separator?: string;
  readonly header?: string[];
  readonly partition?: number;
}

/** Lines sent together; more would only hold memory. */
const produceLinesMax = 500;

async function produce(context: Context, topic: string, options: ProduceOptions): Promise<void> {
  const headers = Object.fromEntries((options.header ?? []).map(pairOf));
  await withKafka(context, async (kafka) => {
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    try {
      let lines: string[] = [];
      const send = async (): Promise<void> => {
        if (lines.length === 0) return;
        const messages = lines.map((line) => ({
          ...keyed(line, options),
          headers,
          ...(options.partition === undefined ? {} : { partition: options.partition }),
        }));
        lines = [];
        const written = await producer.send({ topic, messages, acks: -1 });
        // The client leaves out what is for a partition that it does not know.
        if (written.length === 0)
          throw new CommandFailed(
            `UNKNOWN_TOPIC_OR_PARTITION: topic ${topic} has no partition ${options.partition}`,
            exitCodes.missing,
          );
        for (const { partition, baseOffset } of written) {
          const offset = baseOffset === undefined ? null : Number(baseOffset);
          const said =
            context.format === "json"
              ? JSON.stringify({ topic, partition, offset })
              : `Produced to partition ${partition} from offset ${offset ?? "?"}.`;
          context.terminal.out(`${said}\n`);
        }
      };
      for await (const line of createInterface({ input: context.input })) {
        lines.push(line);
        if (lines.length >= produceLinesMax) await send();
      }
      await send();
    } finally {
      await producer.disconnect();
    }
  });
}

function pairOf(text: string): readonly [key: string, value: string] {
  const cut = text.indexOf("=");
  if (cut < 1) throw new CommandFailed(`"${text}" is not key=value`, exitCodes.usage);
  return [text.slice(0, cut), text.slice(cut + 1)];
}

function keyed(
  line: string,
  { key, separator }: ProduceOptions,
): { readonly key: string | null; readonly value: string } {
  const cut = separator === undefined ? -1 : line.indexOf(separator);
  if (separator === undefined || cut < 0) return { key: key ?? null, value: line };
  return { key: line.slice(0, cut), value: line.slice(cut + separator.length) };
}

interface ConsumeOptions {
  readonly num?: number;
  readonly offset: string;
  readonly group?: string;
}

async function consume(context: Context, topic: string, options: ConsumeOptions): Promise<void> {
  if (options.offset !== "start" && options.offset !== "end")
    throw new CommandFailed("--offset is start or end", exitCodes.usage);
  if (options.num === 0) return;
  await withKafka(context, async (kafka) => {
    // kafkajs reads only as a member of a group: one that nobody else has, deleted afterwards.
    const groupId = options.group ?? `inlet-cli-${context.randomId()}`;
    const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false });
    await consumer.connect();
    const done = Promise.withResolvers<void>();
    consumer.on("consumer.crash", ({ payload }) => done.reject(payload.error));
    let printed = 0;
    try {
      await consumer.subscribe({ topic, fromBeginning: options.offset === "start" });
      // A member that leaves is missed at once; one that is gone is waited for.
      context.graceful().addEventListener("abort", () => done.resolve(), { once: true });
      await consumer.run({
        autoCommit: options.group !== undefined,
        eachMessage: async ({ partition, message }) => {
          if (options.num !== undefined && printed >= options.num) return;
          printed += 1;
          const { key, value, headers, timestamp, offset } = message;
          const record = {
            topic,
            key: key?.toString() ?? null,
            value: value?.toString() ?? null,
            ...shownHeaders(headers),
            timestamp: Number(timestamp),
            partition,
            offset: Number(offset),
          };
          context.terminal.out(`${JSON.stringify(record)}\n`);
          if (options.num !== undefined && printed >= options.num) done.resolve();
        },
      });
      await done.promise;
    } finally {
      await consumer.disconnect();
    }
    if (options.group === undefined) await forgetGroup(kafka, groupId);
  });
}

/** In rpk's form; nothing where there are none. */
function shownHeaders(headers: IHeaders = {}): { readonly headers?: readonly unknown[] } {
  const shown = Object.entries(headers).flatMap(([key, values]) =>
    [values].flat().map((value) => ({ key, value: value?.toString() ?? null })),
  );
  return shown.length === 0 ? {} : { headers: shown };
}

async function forgetGroup(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    await admin.deleteGroups([groupId]);
  } finally {
    await admin.disconnect();
  }
}
