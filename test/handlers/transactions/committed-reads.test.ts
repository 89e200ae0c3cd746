/**
 * Proves: whoever reads committed records, at any moment and in pieces of any size, gets those of transactions whose end was asked
 * for, all of them and in order as far as the last stable offset, and never one that was aborted.
 */
import { describe, expect, test } from "vitest";
import { errorName } from "../../../schemas/kafka/errors.ts";
import { joined } from "../../../src/base/bytes.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import type { Random } from "../../../src/base/runtime.ts";
import type { ProducerIdentity } from "../../../src/coordinator/transaction-state.ts";
import { fetchHandler } from "../../../src/handlers/data/fetch.ts";
import { FetchSessions } from "../../../src/handlers/data/fetch-session.ts";
import { FetchWait } from "../../../src/log/fetch-wait.ts";
import { apis } from "../../../src/protocol/api-table.ts";
import { BatchView, splitBatches } from "../../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../../src/protocol/records.ts";
import { answered, context } from "../../support/log-world.ts";
import { int, seededRandom } from "../../support/seeded.ts";
import { TransactionWorld } from "./transaction-world.ts";

const partitions = [0, 1] as const;
const fetchVersion = 12;

class Run {
  readonly #world: TransactionWorld;
  readonly #random: Random;
  readonly #fetch: ReturnType<typeof fetchHandler>;
  /** Values, by partition: those whose commit was asked for, and those of which it was answered. */
  readonly #asked = partitions.map(() => new Set<string>());
  readonly #committed = partitions.map(() => new Set<string>());
  /** What each reader saw of each partition: the end may come late, but nothing is passed over. */
  readonly #seen: (readonly string[])[][] = partitions.map(() => []);
  #names = 0;
  #isOver = false;

  constructor(world: TransactionWorld, random: Random) {
    this.#world = world;
    this.#random = random;
    const { log, metadata, clock } = world.world;
    this.#fetch = fetchHandler({
      log,
      metadata,
      sessions: new FetchSessions({
        clock,
        random,
        limits: { sessionsMax: 10, sessionPartitionsMax: 100, sessionIdleMsMin: 1000 },
      }),
      wait: new FetchWait({ clock, limits: { fetchesWaitingMax: 10 } }),
      limits: { fetchBytesMax: 1_000_000 },
    });
  }

  async all(): Promise<void> {
    const storage = this.#store();
    await Promise.all([this.#produce("new", 2), this.#produce("old", 1), this.#follow()]);
    await Promise.all(["new", "old"].map((id) => this.#world.settled(id)));
    const last = await this.#read();
    this.#isOver = true;
    await storage;
    for (const partition of partitions) {
      const [whole = []] = last.slice(partition);
      expect(new Set(whole)).toEqual(this.#committed[partition]);
      for (const seen of this.#seen[partition] ?? []) expect(seen).toEqual(whole.slice(0, seen.length));
    }
  }

  /** Appends become durable now and then, each partition's for itself, and reads find them in memory or in the store. */
  async #store(): Promise<void> {
    const { streams, clock, metadata } = this.#world.world;
    const ids = ["orders", "__transaction_state", "__consumer_offsets"].flatMap(
      (name) => metadata.image.topicByName(name)?.partitions ?? [],
    );
    streams.isDurableAtOnce = false;
    while (!this.#isOver) {
      for (const id of ids) {
        const stream = streams.stream(id);
        if (int(this.#random, 3) === 0) stream.persist(1 + int(this.#random, 3));
        stream.isCold = int(this.#random, 2) === 0;
      }
      clock.advance(1);
      await this.#yield();
    }
    streams.isDurableAtOnce = true;
    for (const id of ids) streams.stream(id).persist();
  }

  async #produce(transactionalId: string, version: 1 | 2): Promise<void> {
    let by = await this.#world.init(transactionalId);
    const sequences = [0, 0];
    for (let round = 0; round < 12; round += 1) {
      const written: (readonly [partition: 0 | 1, value: string])[] = [];
      for (let batch = 1 + int(this.#random, 3); batch > 0; batch -= 1) {
        const partition = int(this.#random, 2) as 0 | 1;
        this.#names += 1;
        const value = `${this.#names}`;
        if (version === 1) await this.#add(transactionalId, by, partition);
        await this.#append(transactionalId, by, version, [partition, sequences[partition] as number, value]);
        sequences[partition] = (sequences[partition] as number) + 1;
        written.push([partition, value]);
      }
      const isCommit = int(this.#random, 2) === 0;
      if (isCommit) for (const [partition, value] of written) this.#asked[partition]?.add(value);
      const ended = await this.#world.end(by, isCommit, version === 2 ? 5 : 4, transactionalId);
      expect(ended.error).toBe("NONE");
      if (isCommit) for (const [partition, value] of written) this.#committed[partition]?.add(value);
      if (version === 2) {
        by = ended.producer;
        sequences.fill(0);
      }
      await this.#read(); // A reader that comes right after the answer.
    }
  }

  async #add(transactionalId: string, by: ProducerIdentity, partition: number): Promise<void> {
    const topics = [{ name: "orders", partitions: [partition] }];
    await this.#untilNot("CONCURRENT_TRANSACTIONS", async () => {
      const answer = await this.#world.call("addPartitionsToTxn", { transactionalId, ...by, topics }, 3);
      return errorName(answer.resultsByTopic[0]?.resultsByPartition[0]?.partitionErrorCode ?? 0);
    });
  }

  async #append(
    transactionalId: string,
    by: ProducerIdentity,
    version: 1 | 2,
    [partition, baseSequence, value]: readonly [number, number, string],
  ): Promise<void> {
    const now = this.#world.world.clock.now();
    const record = { timestamp: now, key: null, value: Buffer.from(value) };
    const batch = buildBatch({ ...by, baseSequence, isTransactional: true, records: [record] });
    const topicData = [
      { name: "orders", topicId: uuidZero, partitionData: [{ index: partition, records: Buffer.from(batch) }] },
    ];
    const asked = { transactionalId, acks: -1, timeoutMs: 60_000, topicData };
    await this.#untilNot("NOT_ENOUGH_REPLICAS", async () => {
      const answer = await this.#world.call("produce", asked, version === 2 ? 12 : 11);
      return errorName(answer.responses[0]?.partitionResponses[0]?.errorCode ?? 0);
    });
  }

  async #untilNot(passing: string, ask: () => Promise<string | undefined>): Promise<void> {
    for (;;) {
      const error = await ask();
      if (error !== passing) {
        expect(error).toBe("NONE");
        return;
      }
      await this.#yield();
    }
  }

  /** Readers that come whenever they like. */
  async #follow(): Promise<void> {
    for (let round = 0; round < 60; round += 1) {
      const seen = await this.#read();
      for (const partition of partitions) {
        for (const value of seen[partition] ?? []) expect(this.#asked[partition]).toContain(value);
      }
      await this.#yield();
    }
  }

  /** From the start until there is nothing more to have, in pieces of a random size. */
  async #read(): Promise<readonly (readonly string[])[]> {
    const seen: string[][] = partitions.map(() => []);
    for (const partition of partitions) {
      let position = 0;
      for (let isMore = true; isMore; ) {
        const answer = await this.#fetchOne(partition, position);
        const { values, next } = committedIn(answer, position);
        seen[partition]?.push(...values);
        isMore = next > position;
        position = next;
      }
      this.#seen[partition]?.push(seen[partition] ?? []);
    }
    return seen;
  }

  async #fetchOne(partition: number, fetchOffset: number) {
    const partitionMaxBytes = 1 + int(this.#random, 400);
    const request = {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 1,
      topics: [{ topic: "orders", partitions: [{ partition, fetchOffset, partitionMaxBytes }] }],
    };
    const { request: asked, response } = apis.fetch;
    const decoded = asked.decode(asked.encode(request, fetchVersion), fetchVersion);
    const answer = answered(await this.#fetch(decoded, context({ apiVersion: fetchVersion })));
    const [found] = response.decode(response.encode(answer, fetchVersion), fetchVersion).responses;
    const [only] = found?.partitions ?? [];
    if (only === undefined || only.errorCode !== 0) throw new Error(errorName(only?.errorCode ?? -1));
    return only;
  }

  #yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

/** As consumers do it: from its first offset on what a producer wrote is aborted, until its abort marker. */
function committedIn(
  answer: {
    readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null;
    readonly records: readonly Uint8Array[] | null;
  },
  from: number,
): { readonly values: readonly string[]; readonly next: number } {
  const ahead = (answer.abortedTransactions ?? []).toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<number>();
  const values: string[] = [];
  let next = from;
  for (const bytes of splitBatches(joined(answer.records ?? []))) {
    const batch = new BatchView(bytes);
    for (; ahead[0] !== undefined && ahead[0].firstOffset <= batch.lastOffset; ahead.shift()) {
      aborting.add(ahead[0].producerId);
    }
    next = batch.nextOffset;
    if (batch.isControl) aborting.delete(batch.producerId);
    if (batch.isControl || aborting.has(batch.producerId)) continue;
    const cursor = new RecordCursor(batch.records, batch.recordCount);
    while (cursor.next()) values.push(Buffer.from(cursor.value ?? []).toString());
  }
  return { values, next };
}

describe("while two producers commit and abort", () => {
  test.each(Array.from({ length: 20 }, (_, seed) => seed + 1))("seed %i", { timeout: 30_000 }, async (seed) => {
    await using world = await TransactionWorld.open();
    await new Run(world, seededRandom(seed)).all();
  });
});
