/** Those who use the simulated broker, each a loop that writes down what it did and what it was told. */
import { errorName } from "../../schemas/kafka/errors.ts";
import { uuidZero } from "../../src/base/ids.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../src/protocol/records.ts";
import type { Client } from "./client.ts";
import type { History, PartitionName, SeenRecord, Send } from "./history.ts";
import type { SimNode } from "./node.ts";

export interface ActorWorld {
  readonly history: History;
  /** False when the actors shall finish what they have begun. */
  readonly isBusy: () => boolean;
  readonly node: () => SimNode | undefined;
  readonly now: () => number;
  readonly violated: (what: string) => void;
}

export interface TopicPartition {
  readonly topic: string;
  readonly index: number;
}

export function nameOf({ topic, index }: TopicPartition): PartitionName {
  return `${topic}-${index}`;
}

function errorText(code: number): string {
  return errorName(code) ?? `error ${code}`;
}

const produceVersion = 12; // The newest that names topics by name.
const fetchVersion = 12;

interface Batch {
  readonly send: Send;
  readonly bytes: Uint8Array;
}

/**
 * An idempotent producer as Kafka's clients are: up to `windowMax` batches on their way to a partition, and whatever is not
 * known to be appended is sent again, in order, under its old sequence.
 */
export async function produce(world: ActorWorld, client: Client, partitions: readonly TopicPartition[]): Promise<void> {
  const { random } = client;
  const producerId = await newProducerId(world, client);
  const sequences = new Map<string, number>();
  let sent = 0;
  while (world.isBusy()) {
    const target = random.pick(partitions);
    const window = Array.from({ length: 1 + random.below(windowMax) }, () => {
      const values = Array.from({ length: 1 + random.below(4) }, () => {
        sent += 1;
        return `${client.id}.${sent}.${"x".repeat(random.below(300))}`;
      });
      const baseSequence = sequences.get(nameOf(target)) ?? 0;
      sequences.set(nameOf(target), baseSequence + values.length);
      return newBatch(world, client, { target, values, producerId, baseSequence });
    });
    await deliver(world, client, target, window);
    await client.pause(random.pick([5, 50, 400]));
  }
}

const windowMax = 4;

async function newProducerId(world: ActorWorld, client: Client): Promise<number> {
  for (;;) {
    const request = { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 };
    const reply = await client.send("initProducerId", request, 5);
    if (reply.kind === "answer" && reply.body.errorCode === 0) return Number(reply.body.producerId);
    if (!world.isBusy()) await client.pause(100);
  }
}

function newBatch(
  world: ActorWorld,
  client: Client,
  batch: {
    readonly target: TopicPartition;
    readonly values: readonly string[];
    readonly producerId: number;
    readonly baseSequence: number;
  },
): Batch {
  const { target, values, producerId, baseSequence } = batch;
  const send: Send = {
    ...{ producer: client.id, partition: nameOf(target), values, outcome: "unknown", offset: -1 },
    ...{ begun: world.history.tick(), ended: Number.POSITIVE_INFINITY },
  };
  world.history.sends.push(send);
  const bytes = buildBatch({
    records: values.map((value) => ({ timestamp: world.now(), key: null, value: Buffer.from(value) })),
    compression: client.random.pick(["none", "none", "gzip", "zstd"]),
    ...{ producerId, producerEpoch: 0, baseSequence },
  });
  return { send, bytes };
}

/** Until every batch is acked. Only what the broker cannot do for now is an excuse; anything else is a broken promise. */
async function deliver(
  world: ActorWorld,
  client: Client,
  { topic, index }: TopicPartition,
  window: readonly Batch[],
): Promise<void> {
  for (let open = window; open.length > 0; ) {
    const replies = await client.pipeline<"produce">(
      open.map(({ bytes }) => {
        const topicData = [{ name: topic, topicId: uuidZero, partitionData: [{ index, records: bytes }] }];
        return ["produce", { transactionalId: null, acks: -1, timeoutMs: 3000, topicData }, produceVersion];
      }),
    );
    let isBehind = false; // Those after one that failed may be out of order; the first may not.
    for (const [at, reply] of replies.entries()) {
      const { send } = open[at] as Batch;
      const answer = reply.kind === "answer" ? reply.body.responses[0]?.partitionResponses[0] : undefined;
      const error = answer === undefined ? "NETWORK_EXCEPTION" : errorText(answer.errorCode);
      if (error === "NONE") {
        send.outcome = "acked";
        send.offset = Number(answer?.baseOffset);
        send.ended = world.history.tick();
      } else {
        const isExcused = retriable.has(error) || (isBehind && error === "OUT_OF_ORDER_SEQUENCE_NUMBER");
        if (!isExcused) {
          world.violated(`produce to ${topic}-${index} answered ${error}: ${answer?.errorMessage ?? ""}`);
          return;
        }
        isBehind = true;
      }
    }
    open = open.filter(({ send }) => send.outcome !== "acked");
    if (open.length > 0) await client.pause(100);
  }
}

const retriable: ReadonlySet<string> = new Set([
  "NETWORK_EXCEPTION",
  "NOT_LEADER_OR_FOLLOWER",
  "NOT_ENOUGH_REPLICAS",
  "KAFKA_STORAGE_ERROR",
]);

/** Where a consumer is, and what it was shown. */
export class Reader {
  readonly #world: ActorWorld;
  readonly #client: Client;
  readonly positions: Map<PartitionName, number>;
  readonly #partitions: ReadonlyMap<PartitionName, TopicPartition>;
  readonly highWatermarks = new Map<PartitionName, number>();
  readonly logStarts = new Map<PartitionName, number>();
  #session = { id: 0, epoch: 0 };
  /** What the session knows of each partition. */
  #told = new Map<PartitionName, number>();

  constructor(world: ActorWorld, client: Client, partitions: readonly TopicPartition[]) {
    this.#world = world;
    this.#client = client;
    this.#partitions = new Map(partitions.map((each) => [nameOf(each), each]));
    this.positions = new Map(partitions.map((each) => [nameOf(each), 0]));
  }

  /** One fetch; what came back is in the history and the positions have moved. Returns the records. */
  async poll(): Promise<ReadonlyMap<PartitionName, readonly SeenRecord[]>> {
    const { history } = this.#world;
    const seen = new Map<PartitionName, readonly SeenRecord[]>();
    const begun = history.tick();
    const asked = new Map(this.positions);
    const reply = await this.#client.send("fetch", this.#request(), fetchVersion);
    const ended = history.tick();
    if (reply.kind !== "answer") {
      this.#forgetSession();
      return seen;
    }
    const { body } = reply;
    if ((body.errorCode ?? 0) !== 0) {
      this.#forgetSession();
      return seen;
    }
    const id = Number(body.sessionId ?? 0);
    this.#session = { id, epoch: id === 0 ? 0 : this.#session.epoch + 1 };
    this.#told = asked;
    for (const { topic, partitions } of body.responses) {
      for (const answer of partitions) {
        const name = nameOf({ topic: topic ?? "", index: answer.partitionIndex });
        const from = asked.get(name) as number;
        const error = errorText(answer.errorCode);
        if (error === "OFFSET_OUT_OF_RANGE") await this.#reset(name);
        else if (error === "NONE") {
          const records = recordsOf(answer.records ?? [], from);
          const [logStart, lastStable, highWatermark] = [
            Number(answer.logStartOffset),
            Number(answer.lastStableOffset),
            Number(answer.highWatermark),
          ];
          const marks = { logStart, lastStable, highWatermark };
          history.polls.push({ consumer: this.#client.id, partition: name, from, records, ...marks, begun, ended });
          this.highWatermarks.set(name, highWatermark);
          this.logStarts.set(name, logStart);
          this.positions.set(name, (records.at(-1)?.offset ?? from - 1) + 1);
          seen.set(name, records);
        } else if (!retriable.has(error)) this.#world.violated(`fetch of ${name} answered ${error}`);
      }
    }
    return seen;
  }

  #request() {
    const wanted = [...this.positions].filter(([name, from]) => this.#told.get(name) !== from);
    const topics = Map.groupBy(wanted, ([name]) => (this.#partitions.get(name) as TopicPartition).topic);
    return {
      ...{ clusterId: null, replicaId: -1, replicaState: { replicaId: -1, replicaEpoch: -1 }, rackId: "" },
      ...{ maxWaitMs: 200, minBytes: 1, maxBytes: 12_000, isolationLevel: this.#client.random.below(2) },
      ...{ sessionId: this.#session.id, sessionEpoch: this.#session.epoch, forgottenTopicsData: [] },
      topics: [...topics].map(([topic, each]) => ({
        topic,
        topicId: uuidZero,
        partitions: each.map(([name, fetchOffset]) => ({
          ...{ partition: (this.#partitions.get(name) as TopicPartition).index, fetchOffset },
          ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1, logStartOffset: -1, partitionMaxBytes: 4_000 },
          ...{ replicaDirectoryId: uuidZero, highWatermark: Number.MAX_SAFE_INTEGER },
        })),
      })),
    };
  }

  #forgetSession(): void {
    this.#session = { id: 0, epoch: 0 };
    this.#told = new Map();
  }

  /** To the log start: records were deleted. A position beyond the end would be a lost record, which the history shows. */
  async #reset(name: PartitionName): Promise<void> {
    const { topic, index } = this.#partitions.get(name) as TopicPartition;
    const partitions = [{ partitionIndex: index, currentLeaderEpoch: -1, timestamp: -2 }];
    const request = { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions }], timeoutMs: 1000 };
    const reply = await this.#client.send("listOffsets", request, 7);
    const answer = reply.kind === "answer" ? reply.body.topics[0]?.partitions[0] : undefined;
    if (answer?.errorCode === 0) this.positions.set(name, Number(answer.offset));
  }
}

/** A fetch begins with the batch that holds the offset; what is before it in there is not for the reader. */
function recordsOf(batches: readonly Uint8Array[], from: number): readonly SeenRecord[] {
  const seen: SeenRecord[] = [];
  for (const bytes of batches) {
    const batch = new BatchView(bytes);
    const compression = batch.compression ?? "none";
    const records = compression === "none" ? batch.records : inflate(compression, batch.records, { bytesMax: 1 << 20 });
    const cursor = new RecordCursor(records, batch.recordCount);
    while (cursor.next()) {
      const offset = batch.baseOffset + cursor.offsetDelta;
      if (offset >= from) seen.push({ offset, value: Buffer.from(cursor.value ?? []).toString() });
    }
  }
  return seen;
}

/** A group of one: reads, commits where it is, and now and then dies and begins where it had committed. */
export async function consume(world: ActorWorld, client: Client, partitions: readonly TopicPartition[]): Promise<void> {
  while (world.isBusy()) {
    const reader = new Reader(world, client, partitions);
    const committed = await committedOffsets(world, client, partitions);
    for (const [name, offset] of committed) if (offset >= 0) reader.positions.set(name, offset);
    while (world.isBusy() && client.random.chance(0.98)) {
      await reader.poll();
      if (client.random.chance(0.3)) await commit(world, client, partitions, reader.positions);
      await client.pause(client.random.pick([5, 100]));
    }
  }
}

async function commit(
  world: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
  positions: ReadonlyMap<PartitionName, number>,
): Promise<void> {
  const { history } = world;
  const { topic, index } = client.random.pick(partitions);
  const partition = nameOf({ topic, index });
  const offset = positions.get(partition) ?? 0;
  const entry: History["groupOffsets"][number] = {
    ...{ group: client.id, partition, offset, outcome: "unknown", begun: history.tick() },
    ended: Number.POSITIVE_INFINITY,
  };
  history.groupOffsets.push(entry);
  const place = { partitionIndex: index, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: null };
  const reply = await client.send(
    "offsetCommit",
    {
      ...{
        groupId: client.id,
        generationIdOrMemberEpoch: -1,
        memberId: "",
        groupInstanceId: null,
        retentionTimeMs: -1,
      },
      topics: [{ name: topic, topicId: uuidZero, partitions: [place] }],
    },
    9,
  );
  const error = reply.kind === "answer" ? reply.body.topics[0]?.partitions[0]?.errorCode : undefined;
  if (error !== 0) {
    if (error !== undefined && errorText(error) === "NOT_COORDINATOR") await findCoordinator(client);
    return;
  }
  entry.outcome = "acked";
  entry.ended = history.tick();
}

/** Asks until it is told. Names of partitions to offsets, -1 for none. */
export async function committedOffsets(
  world: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<PartitionName, number>> {
  const { history } = world;
  const wanted = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, each]) => ({
    ...{ name, topicId: uuidZero },
    partitionIndexes: each.map(({ index }) => index),
  }));
  for (;;) {
    const begun = history.tick();
    const groups = [{ groupId: client.id, memberId: null, memberEpoch: -1, topics: wanted }];
    const reply = await client.send("offsetFetch", { groupId: "", topics: [], groups, requireStable: false }, 9);
    const group = reply.kind === "answer" ? reply.body.groups?.[0] : undefined;
    if (group !== undefined && (group.errorCode ?? 0) === 0) {
      const ended = history.tick();
      const found = new Map<PartitionName, number>();
      for (const { name, partitions: each } of group.topics) {
        for (const { partitionIndex, committedOffset } of each) {
          const partition = nameOf({ topic: name ?? "", index: partitionIndex });
          const offset = Number(committedOffset);
          history.groupOffsets.push({ group: client.id, partition, offset, outcome: "read", begun, ended });
          found.set(partition, offset);
        }
      }
      return found;
    }
    await findCoordinator(client);
    await client.pause(100);
  }
}

async function findCoordinator(client: Client): Promise<void> {
  await client.send("findCoordinator", { key: "", keyType: 0, coordinatorKeys: [client.id] }, 4);
}

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

/** Whether the topic is there now. */
export async function createTopic(
  history: History,
  client: Client,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
): Promise<boolean> {
  const created: History["topics"][number] = {
    ...{ topic, outcome: "unknown", begun: history.tick() },
    ended: Number.POSITIVE_INFINITY,
  };
  history.topics.push(created);
  const wanted = { name: topic, numPartitions: partitions, replicationFactor: -1, assignments: [], configs: [] };
  const reply = await client.send("createTopics", { topics: [wanted], timeoutMs: 3000, validateOnly: false }, 6);
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
    ...{ partition, before, outcome: "unknown", begun: history.tick() },
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
export async function flushNowAndThen(world: ActorWorld, client: Client, topic: string): Promise<void> {
  while (world.isBusy()) {
    await client.pause(3_000);
    await flush(world, topic);
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
