/** A reader of the simulated broker: fetches in a session, and writes down every answer. */
import { uuidZero } from "../../src/base/ids.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { RecordCursor } from "../../src/protocol/records.ts";
import { type ActorWorld, errorText, nameOf, retriableErrors, type TopicPartition } from "./actor.ts";
import type { Client } from "./client.ts";
import type { PartitionName, SeenRecord } from "./history.ts";
import { valueOf } from "./record.ts";

const fetchVersion = 12; // The newest that names topics by name.

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
          this.positions.set(name, nextOffset(answer.records ?? [], from));
          seen.set(name, records);
        } else if (!retriableErrors.has(error)) this.#world.violated(`fetch of ${name} answered ${error}`);
      }
    }
    return seen;
  }

  #request() {
    const wanted = [...this.positions].filter(([name, from]) => this.#told.get(name) !== from);
    const topics = Map.groupBy(wanted, ([name]) => (this.#partitions.get(name) as TopicPartition).topic);
    return {
      clusterId: null,
      replicaId: -1,
      replicaState: {
        replicaId: -1,
        replicaEpoch: -1,
      },
      rackId: "",
      maxWaitMs: 200,
      minBytes: 1,
      maxBytes: 12_000,
      isolationLevel: this.#client.random.below(2),
      sessionId: this.#session.id,
      sessionEpoch: this.#session.epoch,
      forgottenTopicsData: [],
      topics: [...topics].map(([topic, each]) => ({
        topic,
        topicId: uuidZero,
        partitions: each.map(([name, fetchOffset]) => ({
          partition: (this.#partitions.get(name) as TopicPartition).index,
          fetchOffset,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
          logStartOffset: -1,
          partitionMaxBytes: 4_000,
          replicaDirectoryId: uuidZero,
          highWatermark: Number.MAX_SAFE_INTEGER,
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

/** After the last batch, whatever cleaning left in it. */
function nextOffset(batches: readonly Uint8Array[], from: number): number {
  const last = batches.at(-1);
  return last === undefined ? from : Math.max(from, new BatchView(last).nextOffset);
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
      if (offset >= from) seen.push({ offset, value: valueOf(cursor) });
    }
  }
  return seen;
}
