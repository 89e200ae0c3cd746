/**
 * Proves: whatever was produced, repeated, committed, aborted and deleted, and wherever the node started anew, readers of each kind,
 * searches of each kind and what producers are told agree with a plain list of what happened.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Offset, Uuid } from "../../src/base/ids.ts";
import type { Isolation, OffsetAnswer, Partition } from "../../src/log/log.ts";
import { BatchView, compressions } from "../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker } from "../../src/protocol/records.ts";
import { readCommitted, recordsOf } from "../support/stored-log.ts";
import { StreamNode } from "../support/stream-node.ts";

interface Entry {
  readonly offset: number;
  readonly timestamp: number;
  readonly value: string;
  readonly producerId: number;
  readonly isControl: boolean;
  fate: "committed" | "aborted" | "open";
}

interface Sent {
  readonly bytes: Uint8Array;
  readonly answer: { readonly baseOffset: number; readonly appendTimestamp: number };
}

interface Producer {
  epoch: number;
  sequence: number;
  /** -1 when none is open. */
  transactionStart: number;
  /** Of this epoch, newest last. */
  sent: Sent[];
}

const producerId = fc.constantFrom(1, 2, 3);
const timestamps = fc.array(fc.oneof(fc.integer({ min: 100, max: 120 }), fc.constant(-1)), {
  minLength: 1,
  maxLength: 4,
});
const of = <Kind extends string, Rest>(kind: Kind, rest: { [Name in keyof Rest]: fc.Arbitrary<Rest[Name]> }) =>
  fc.record<Rest>(rest).map((fields) => ({ kind, ...fields }));
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: of("produce", {
      producerId,
      timestamps,
      isTransactional: fc.boolean(),
      compression: fc.constantFrom(...compressions),
    }),
  },
  { weight: 2, arbitrary: of("repeat", { producerId, back: fc.nat(6) }) },
  {
    weight: 4,
    arbitrary: of("end", { producerId, isCommit: fc.boolean(), bumps: fc.boolean(), timestamp: fc.nat(140) }),
  },
  { weight: 1, arbitrary: of("bump", { producerId }) },
  { weight: 2, arbitrary: of("delete", { percent: fc.nat(100) }) },
  { weight: 1, arbitrary: of("stamp", { isAppendTime: fc.boolean() }) },
  { weight: 1, arbitrary: of("retain", { bytes: fc.integer({ min: 100, max: 2000 }) }) },
  { weight: 2, arbitrary: of("flush", {}) },
  { weight: 1, arbitrary: of("restart", {}) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class History {
  readonly #node: StreamNode;
  readonly #topicId: Uuid;
  #entries: Entry[] = [];
  readonly #producers = new Map<number, Producer>();
  #logStart = 0;
  #end = 0;
  #values = 0;
  #configs = new Map<string, string>();

  constructor(node: StreamNode, topicId: Uuid) {
    this.#node = node;
    this.#topicId = topicId;
  }

  get #partition(): Partition {
    return this.#node.partition(this.#topicId);
  }

  async run(asked: Step): Promise<void> {
    switch (asked.kind) {
      case "produce":
        return await this.#produce(asked);
      case "repeat":
        return await this.#repeat(asked.producerId, asked.back);
      case "end":
        return await this.#endTransaction(asked);
      case "bump":
        return this.#bump(asked.producerId);
      case "delete":
        return await this.#delete(asked.percent);
      case "stamp":
        return await this.#configure("message.timestamp.type", asked.isAppendTime ? "LogAppendTime" : "CreateTime");
      case "retain":
        return await this.#retain(asked.bytes);
      case "flush":
        return await this.#node.storage.flush();
      case "restart":
        return await this.#node.restart();
    }
  }

  async #produce(asked: Extract<Step, { kind: "produce" }>): Promise<void> {
    const producer = this.#producer(asked.producerId);
    const isTransactional = asked.isTransactional || producer.transactionStart >= 0;
    const values = asked.timestamps.map(() => `${(this.#values += 1)}`);
    const bytes = buildBatch({
      producerId: asked.producerId,
      producerEpoch: producer.epoch,
      baseSequence: producer.sequence,
      isTransactional,
      compression: asked.compression,
      records: asked.timestamps.map((timestamp, at) => ({
        timestamp,
        key: null,
        value: Buffer.from(values[at] as string),
      })),
    });
    const outcome = await this.#partition.append(bytes.slice(), { origin: "client", apiVersion: 13 });
    if (outcome.kind !== "appended") throw new Error(outcome.detail);
    const { baseOffset, appendTimestamp } = outcome;
    expect(outcome).toMatchObject({ baseOffset: this.#end, logStart: this.#logStart });
    for (const [at, timestamp] of asked.timestamps.entries()) {
      this.#entries.push({
        offset: baseOffset + at,
        timestamp: appendTimestamp >= 0 ? appendTimestamp : timestamp,
        value: values[at] as string,
        producerId: asked.producerId,
        isControl: false,
        fate: isTransactional ? "open" : "committed",
      });
    }
    if (isTransactional && producer.transactionStart < 0) producer.transactionStart = baseOffset;
    producer.sequence += values.length;
    producer.sent.push({ bytes, answer: { baseOffset, appendTimestamp } });
    this.#end += values.length;
  }

  /** One of the last five is answered as the first time; what is older is out of order. */
  async #repeat(id: number, back: number): Promise<void> {
    const { sent } = this.#producer(id);
    const again = sent.at(-1 - back);
    if (again === undefined) return;
    const outcome = await this.#partition.append(again.bytes.slice(), { origin: "client", apiVersion: 13 });
    if (back >= 5) expect(outcome).toMatchObject({ kind: "rejected", reason: "out-of-order-sequence" });
    else expect(outcome).toMatchObject({ kind: "appended", baseOffset: again.answer.baseOffset });
  }

  async #endTransaction(asked: Extract<Step, { kind: "end" }>): Promise<void> {
    const producer = this.#producer(asked.producerId);
    if (asked.bumps) this.#bump(asked.producerId);
    const marker = buildMarker({
      outcome: asked.isCommit ? "commit" : "abort",
      producerId: asked.producerId,
      producerEpoch: producer.epoch,
      coordinatorEpoch: 0,
      timestamp: asked.timestamp,
    });
    const transactionVersion = asked.bumps ? 2 : 1;
    const outcome = await this.#partition.append(marker, { origin: "coordinator", apiVersion: 13, transactionVersion });
    expect(outcome).toMatchObject({ kind: "appended", baseOffset: this.#end });
    const { timestamp } = asked;
    for (const entry of this.#entries) {
      const isOf = entry.producerId === asked.producerId && entry.fate === "open";
      if (isOf) entry.fate = asked.isCommit ? "committed" : "aborted";
    }
    const { producerId: by } = asked;
    this.#entries.push({ offset: this.#end, timestamp, value: "", producerId: by, isControl: true, fate: "committed" });
    producer.transactionStart = -1;
    this.#end += 1;
  }

  #bump(id: number): void {
    const producer = this.#producer(id);
    producer.epoch += 1;
    producer.sequence = 0;
    producer.sent = [];
  }

  async #delete(percent: number): Promise<void> {
    const to = this.#logStart + Math.round((percent * (this.#end - this.#logStart)) / 100);
    expect(await this.#partition.deleteRecords(to as Offset)).toEqual({ kind: "moved", logStart: to });
    this.#logStart = to;
  }

  async #configure(name: string, text: string): Promise<void> {
    this.#configs = new Map(this.#configs).set(name, text);
    const configs = this.#configs;
    await this.#node.metadata.propose([{ kind: "set-topic-configs", topicId: this.#topicId, configs }]);
  }

  async #retain(bytes: number): Promise<void> {
    await this.#configure("retention.ms", "-1");
    await this.#configure("retention.bytes", `${bytes}`);
    await this.#node.log.maintain();
    await this.#configure("retention.bytes", "-1");
    expect(this.#partition.logStart).toBeGreaterThanOrEqual(this.#logStart);
    this.#logStart = this.#partition.logStart;
  }

  async check(): Promise<void> {
    const partition = this.#partition;
    const open = [...this.#producers.values()].map((each) => each.transactionStart).filter((start) => start >= 0);
    const lastStable = Math.max(this.#logStart, Math.min(this.#end, ...open));
    const { logStart, highWatermark } = partition;
    expect({ logStart, highWatermark, lastStable: partition.lastStable }).toEqual({
      logStart: this.#logStart,
      highWatermark: this.#end,
      lastStable,
    });
    for (const isolation of ["read-committed", "read-uncommitted"] as const) {
      const end = isolation === "read-committed" ? lastStable : this.#end;
      await this.#checkReads(isolation, end);
      await this.#checkSearches(isolation, end);
    }
    this.#checkProducers();
  }

  async #checkReads(isolation: Isolation, end: number): Promise<void> {
    // From the start, from within batches and from the end, but not from everywhere.
    for (let from = this.#logStart; from <= this.#end; from += from < this.#logStart + 8 ? 1 : 5) {
      const expected = this.#entries.filter(
        ({ offset, isControl, fate }) =>
          offset >= from && offset < end && !isControl && (isolation === "read-uncommitted" || fate === "committed"),
      );
      const found = await this.#read(from, isolation, 1 + ((from * 37) % 300));
      expect(found).toEqual(expected.map(({ offset, value }) => `${offset} ${value}`));
    }
  }

  async #read(from: number, isolation: Isolation, bytesMax: number): Promise<readonly string[]> {
    const found: string[] = [];
    for (let position = from; ; ) {
      const read = { from: position as Offset, bytesMax, atLeastOne: true, isolation };
      const answer = await this.#partition.read(read);
      if (answer.kind !== "batches") throw new Error(answer.kind);
      const batches = answer.batches.map((bytes) => new BatchView(bytes));
      const records =
        isolation === "read-committed"
          ? readCommitted(batches, answer.aborted as Parameters<typeof readCommitted>[1])
          : batches.flatMap((batch) => (batch.isControl ? [] : recordsOf(batch)));
      for (const { offset, value } of records) if (offset >= position) found.push(`${offset} ${value}`);
      if (answer.next === position) return found;
      position = answer.next;
    }
  }

  async #checkSearches(isolation: Isolation, end: number): Promise<void> {
    const within = this.#entries.filter(({ offset }) => offset >= this.#logStart && offset < end);
    const answerOf = (entry: Entry | undefined): Partial<OffsetAnswer> =>
      entry === undefined ? { offset: -1, timestamp: -1 } : { offset: entry.offset, timestamp: entry.timestamp };
    const stamps = new Set(within.map((entry) => entry.timestamp));
    for (const timestamp of [0, ...stamps, ...[...stamps].map((each) => each + 1)].filter((each) => each >= 0)) {
      const first = within.find((entry) => entry.timestamp >= timestamp);
      const found = await this.#partition.offsetFor({ kind: "at-or-after", timestamp }, isolation);
      expect(found).toMatchObject(answerOf(first));
    }
    const newest = within.reduce<Entry | undefined>(
      (best, entry) => (entry.timestamp > (best?.timestamp ?? -1) ? entry : best),
      undefined,
    );
    expect(await this.#partition.offsetFor({ kind: "max-timestamp" }, isolation)).toMatchObject(answerOf(newest));
    expect(await this.#partition.offsetFor({ kind: "latest" }, isolation)).toMatchObject({ offset: end });
    expect(await this.#partition.offsetFor({ kind: "earliest" }, isolation)).toMatchObject({ offset: this.#logStart });
  }

  #checkProducers(): void {
    for (const { producerId: id, producerEpoch, lastSequence, transactionStart } of this.#partition.producers()) {
      const known = this.#producer(id);
      expect(transactionStart).toBe(known.transactionStart);
      if (producerEpoch === known.epoch) expect(lastSequence).toBe(known.sequence - 1);
    }
  }

  #producer(id: number): Producer {
    const known = this.#producers.get(id) ?? { epoch: 0, sequence: 0, transactionStart: -1, sent: [] };
    this.#producers.set(id, known);
    return known;
  }
}

test("all agree", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      const node = new StreamNode();
      await node.start();
      const history = new History(node, await node.topic("orders"));
      for (const asked of steps) await history.run(asked);
      await history.check();
      await node.restart();
      await history.check();
      await node.stop();
      expect(node.failures).toEqual([]);
    }),
    { numRuns: 30 },
  );
});
