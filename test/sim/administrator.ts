/** Who makes topics, deletes records, and pushes the table on. */
import { type ActorWorld, errorText, nameOf, type TopicPartition } from "./actor.ts";
import type { Client } from "./client.ts";
import type { History } from "./history.ts";
import { tableTopics } from "./node.ts";

/** Deletes records and makes topics now and then. */
export async function administer(
  world: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
): Promise<void> {
  const { history } = world;
  for (let made = 0; world.isBusy(); ) {
    await client.pause(4_000);
    if (client.random.chance(0.3)) {
      made += 1;
      await createTopic(history, client, { topic: `extra-${made}`, partitions: 1 });
    } else await deleteRecords(history, client, client.random.pick(partitions));
  }
}

export interface TopicWanted {
  readonly topic: string;
  readonly partitions: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** Whether the topic is there now. */
export async function createTopic(
  history: History,
  client: Client,
  { topic, partitions, configs = {} }: TopicWanted,
): Promise<boolean> {
  const created: History["topics"][number] = {
    topic,
    outcome: "unknown",
    begun: history.tick(),
    ended: Number.POSITIVE_INFINITY,
  };
  history.topics.push(created);
  const values = Object.entries(configs).map(([name, value]) => ({ name, value }));
  const wanted = { name: topic, numPartitions: partitions, replicationFactor: -1, assignments: [] };
  const reply = await client.send(
    "createTopics",
    { topics: [{ ...wanted, configs: values }], timeoutMs: 3000, validateOnly: false },
    6,
  );
  const error = reply.kind === "answer" ? reply.body.topics[0]?.errorCode : undefined;
  const isThere = error !== undefined && ["NONE", "TOPIC_ALREADY_EXISTS"].includes(errorText(error));
  if (!isThere) return false;
  created.outcome = "acked";
  created.ended = history.tick();
  return true;
}

async function deleteRecords(history: History, client: Client, { topic, index }: TopicPartition): Promise<void> {
  const partition = nameOf({ topic, index });
  const known = history.polls.findLast((poll) => poll.partition === partition);
  if (known === undefined || known.highWatermark === 0) return;
  const before = Math.min(known.highWatermark, known.logStart + client.random.below(30));
  const deletion: History["deletions"][number] = {
    partition,
    before,
    outcome: "unknown",
    begun: history.tick(),
    ended: Number.POSITIVE_INFINITY,
  };
  history.deletions.push(deletion);
  const partitions = [{ partitionIndex: index, offset: before }];
  const reply = await client.send("deleteRecords", { topics: [{ name: topic, partitions }], timeoutMs: 3000 }, 2);
  if (reply.kind !== "answer" || reply.body.topics[0]?.partitions[0]?.errorCode !== 0) return;
  deletion.outcome = "acked";
  deletion.ended = history.tick();
}

/** Forces the table on, beside its own beat. */
export async function flushNowAndThen(world: ActorWorld, client: Client): Promise<void> {
  while (world.isBusy()) {
    await client.pause(3_000);
    await flush(world, client.random.pick(tableTopics));
  }
}

/** Why the flush did not happen; undefined when it did. */
export async function flush({ history, node, violated }: ActorWorld, topic: string): Promise<string | undefined> {
  const serving = node();
  if (serving === undefined) return "nobody serves";
  const begun = history.tick();
  const flushing = serving.tables.flush(topic).catch((cause: unknown) => {
    if (!(cause instanceof Error) || cause.name === "WrongProgram") violated(`flush threw ${String(cause)}`);
    return { kind: "refused", reason: String(cause) } as const;
  });
  const outcome = await Promise.race([flushing, serving.ended]);
  const detail = (outcome as Partial<Awaited<typeof flushing>>).kind === "flushed" ? outcome : undefined;
  if (detail === undefined) return JSON.stringify(outcome);
  const { committedTo } = (detail as { readonly detail: { readonly committedTo: Record<string, number> } }).detail;
  const partitions = Object.entries(committedTo).map(([index, to]) => [`${topic}-${index}`, to] as const);
  history.flushes.push({ committedTo: new Map(partitions), begun, ended: history.tick() });
  return undefined;
}
