/** Clients of a soak: producers that repeat what was not answered, and readers that compare each record. */
import { BatchView } from "../../src/protocol/record-batch.ts";
import { Connection } from "../jepsen/connection.ts";
import { pause } from "../jepsen/pause.ts";
import { Times } from "./soak-figures.ts";
import { checkRead, type Lane, type ProducerIdentity, SoakViolation, soakBatch, valueBytes } from "./soak-records.ts";

/** Longer than a batch may wait in its lane for a full WAL. */
const requestMsMax = 20_000;
const tickMs = 50;
/** What an outage kept from being sent is not sent later, but for this much: the rate is the rate. */
const debtMsMax = 1_000;
/** Below the topics' max.message.bytes with room for headers. */
const batchRecordsMax = 900;
const retryMs = 50;
/** Longer than the longest retention. */
const marksMax = 120_000 / tickMs;

const duplicateSequence = 46;
const offsetOutOfRange = 1;
/** Kafka's, of those that say "again": unknown topic, no leader, not leader, timed out, throttled, storage, unstable offset. */
const retriable = new Set([3, 5, 6, 7, 56, 74, 75, 89]);

interface Pending {
  readonly from: number;
  readonly count: number;
  readonly batch: Uint8Array;
}

/** One connection, one producer id, one batch on its way for each of its lanes. */
export class SoakProducer {
  readonly #connection: Connection;
  readonly #lanes: readonly { readonly lane: Lane; readonly recordsPerMs: number }[];
  /** Of requests that were answered at the first attempt. */
  times = new Times();
  /** Longest time from a first attempt to the answer, over whatever happened between. */
  outageMsMax = 0;
  sentBytes = 0;

  constructor(port: number, lanes: readonly { readonly lane: Lane; readonly bytesPerSecond: number }[]) {
    this.#connection = new Connection(port, requestMsMax);
    this.#lanes = lanes.map(({ lane, bytesPerSecond }) => ({ lane, recordsPerMs: bytesPerSecond / valueBytes / 1000 }));
  }

  /** Until told to stop; what is on its way then is sent to the end. */
  async run(stop: AbortSignal): Promise<void> {
    const identity = await this.#identity();
    const debts = this.#lanes.map(() => 0);
    let lastMs = performance.now();
    while (!stop.aborted) {
      await pause(Math.max(0, lastMs + tickMs - performance.now()));
      const nowMs = performance.now();
      const pending = new Map<Lane, Pending>();
      for (const [at, { lane, recordsPerMs }] of this.#lanes.entries()) {
        const debt = Math.min((debts[at] as number) + (nowMs - lastMs) * recordsPerMs, debtMsMax * recordsPerMs);
        const count = Math.min(Math.floor(debt), batchRecordsMax);
        debts[at] = debt - count;
        const from = lane.acked;
        if (count > 0) pending.set(lane, { from, count, batch: soakBatch(lane, from, count, Date.now(), identity) });
      }
      lastMs = nowMs;
      await this.#send(pending);
    }
    await this.#connection[Symbol.asyncDispose]();
  }

  async #identity(): Promise<ProducerIdentity> {
    for (;;) {
      const reply = await this.#connection.call("initProducerId", 1, {
        transactionalId: null,
        transactionTimeoutMs: 0,
      });
      if (reply.kind === "answer" && reply.body.errorCode === 0) return reply.body;
      await pause(retryMs);
    }
  }

  /** The same bytes again until all of them are acked: what was lost on the way is unknown, and a repeat is not. */
  async #send(pending: Map<Lane, Pending>): Promise<void> {
    const startedMs = performance.now();
    for (let attempt = 1; pending.size > 0; attempt += 1) {
      if (attempt > 1) await pause(retryMs);
      const throttleMs = await this.#attempt(pending);
      const tookMs = performance.now() - startedMs;
      if (attempt === 1 && pending.size === 0) this.times.add(tookMs);
      this.outageMsMax = Math.max(this.outageMsMax, tookMs);
      await pause(throttleMs);
    }
  }

  async #attempt(pending: Map<Lane, Pending>): Promise<number> {
    const topicData = [...Map.groupBy(pending, ([lane]) => lane.topic)].map(([name, entries]) => ({
      name,
      partitionData: entries.map(([{ partition }, { batch }]) => ({ index: partition, records: batch })),
    }));
    const body = { transactionalId: null, acks: -1, timeoutMs: requestMsMax, topicData };
    const reply = await this.#connection.call("produce", 8, body);
    if (reply.kind !== "answer") return 0;
    for (const { name, partitionResponses } of reply.body.responses) {
      for (const { index, errorCode, baseOffset } of partitionResponses) {
        const [lane] = [...pending.keys()].filter((one) => one.topic === name && one.partition === index) as [Lane];
        const { from, count, batch } = pending.get(lane) as Pending;
        if (retriable.has(errorCode)) continue;
        // A repeat of what is older than the broker's window of batches has no offset in its answer.
        const isAcked = errorCode === duplicateSequence || (errorCode === 0 && baseOffset === from);
        if (!isAcked) throw new SoakViolation(`${name}/${index} at ${from}: error ${errorCode}, offset ${baseOffset}`);
        lane.acked = from + count;
        lane.marks.push({ from, timestamp: new BatchView(batch).maxTimestamp });
        if (lane.marks.length > marksMax) lane.marks.shift();
        this.sentBytes += batch.length;
        pending.delete(lane);
      }
    }
    return reply.body.throttleTimeMs;
  }
}

/** Reads lanes side by side, each from where it stands. */
export class SoakReader {
  readonly #connection: Connection;
  readonly #places: Map<Lane, number>;
  records = 0;
  bytes = 0;

  constructor(port: number, lanes: readonly Lane[], from: (lane: Lane) => number = () => 0) {
    this.#connection = new Connection(port, requestMsMax);
    this.#places = new Map(lanes.map((lane) => [lane, from(lane)]));
  }

  place(lane: Lane): number {
    return this.#places.get(lane) as number;
  }

  /** One fetch. False when nothing came. */
  async step(seen?: (lane: Lane, sequence: number, timestamp: number) => void): Promise<boolean> {
    const topics = [...Map.groupBy(this.#places, ([lane]) => lane.topic)].map(([topic, entries]) => ({
      topic,
      partitions: entries.map(([{ partition }, fetchOffset]) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset,
        logStartOffset: -1,
        partitionMaxBytes: fetchPartitionBytesMax,
      })),
    }));
    const body = {
      replicaId: -1,
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: fetchBytesMax,
      isolationLevel: 0,
      sessionId: 0,
    };
    const rest = { sessionEpoch: -1, topics, forgottenTopicsData: [], rackId: "" };
    const reply = await this.#connection.call("fetch", 11, { ...body, ...rest });
    if (reply.kind !== "answer") {
      await pause(retryMs);
      return true;
    }
    let isAny = false;
    for (const { topic, partitions } of reply.body.responses) {
      for (const { partitionIndex, errorCode, records } of partitions) {
        const entries = [...this.#places].filter(([one]) => one.topic === topic && one.partition === partitionIndex);
        const [[lane, from]] = entries as [[Lane, number]];
        if (errorCode === offsetOutOfRange) throw new OutOfRange(`${topic}/${partitionIndex}: ${from} is gone`);
        if (errorCode !== 0 && !retriable.has(errorCode))
          throw new SoakViolation(`${topic}/${partitionIndex}: a fetch is answered with ${errorCode}`);
        const read = checkRead(lane, from, records ?? [], (sequence, timestamp) => seen?.(lane, sequence, timestamp));
        isAny ||= read.next > from;
        this.#places.set(lane, read.next);
        this.records += read.records;
        this.bytes += read.bytes;
      }
    }
    return isAny;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}

/** Retention has passed the reader: for one who should be at the end, a violation. */
export class OutOfRange extends SoakViolation {}

const fetchPartitionBytesMax = 1024 * 1024;
const fetchBytesMax = 8 * fetchPartitionBytesMax;

/** Where the log of the lane begins. */
export async function logStart(port: number, { topic, partition }: Lane): Promise<number> {
  await using connection = new Connection(port, requestMsMax);
  for (;;) {
    const partitions = [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp: -2 }];
    const topics = [{ name: topic, partitions }];
    const reply = await connection.call("listOffsets", 5, { replicaId: -1, isolationLevel: 0, topics });
    const answer = reply.kind === "answer" ? reply.body.topics[0]?.partitions[0] : undefined;
    if (answer?.errorCode === 0) return answer.offset;
    await pause(retryMs);
  }
}
