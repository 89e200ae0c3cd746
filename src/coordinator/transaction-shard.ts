/**
 * The transactional ids of one partition of __transaction_state, loaded by replay. As with groups: memory changes when a record
 * is handed to the log, answers wait until it is durable, and a shard whose append failed gives up and is loaded again.
 *
 *   end ──▶ prepare-* durable ──▶ answer
 *                            └──▶ markers in every partition ──▶ complete-*      a crash in between: load goes on from prepare-*
 */
import { backoffDelayMs, sleep } from "../base/async.ts";
import { assert } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import type { StateLog } from "../log/state-log.ts";
import type { TopicPartition } from "./group-offsets.ts";
import { stepTransaction } from "./transaction.ts";
import type { WriteMarker } from "./transaction-markers.ts";
import { decodeTransactionRecord, transactionRecord, transactionTombstone } from "./transaction-records.ts";
import {
  isIn,
  isOpenIn,
  newTransaction,
  outcomeOf,
  type ProducerIdentity,
  type Transaction,
  type TransactionError,
  type TransactionEvent,
  type TransactionOutcome,
} from "./transaction-state.ts";

export type TransactionReply =
  | { readonly kind: "done"; readonly producer: ProducerIdentity }
  | {
      readonly kind: "refused";
      readonly error:
        | TransactionError
        | "NOT_COORDINATOR"
        | "COORDINATOR_LOAD_IN_PROGRESS"
        | "COORDINATOR_NOT_AVAILABLE";
    };

export interface TransactionShardOptions {
  readonly log: StateLog;
  /** Of the partition's leader: partitions refuse markers of an older one. */
  readonly coordinatorEpoch: number;
  readonly runtime: Runtime;
  readonly limits: { readonly endWaitMs: number; readonly idsMax: number };
  readonly writeMarker: WriteMarker;
  /** A new producer id; undefined when none can be had now. */
  readonly producerId: () => Promise<number | undefined>;
  /** The shard has closed itself; load a new one. */
  readonly gaveUp: (cause: unknown) => void;
}

function isIdle(state: Transaction["state"]): boolean {
  return state === "empty" || state === "complete-commit" || state === "complete-abort";
}

interface Live {
  transaction: Transaction;
  /** Settles when what was written last is durable: false when it never will be. */
  written: Promise<boolean>;
  /** While markers are on their way. */
  ending: Promise<void> | undefined;
}

/** A partition that cannot take its marker now is asked again, for as long as it is there. */
const markerRetry = { delayMsMin: 20, delayMsMax: 2000, attemptsMax: Number.POSITIVE_INFINITY };
const notCoordinator: TransactionReply = { kind: "refused", error: "NOT_COORDINATOR" };

export class TransactionShard {
  readonly #options: TransactionShardOptions;
  readonly #transactions = new Map<string, Live>();
  readonly #endings = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: TransactionShardOptions) {
    this.#options = options;
  }

  get #isOpen(): boolean {
    return !this.#closing.signal.aborted;
  }

  async load(): Promise<void> {
    for await (const { key, value } of this.#options.log.replay()) {
      if (!this.#isOpen) return;
      const { transactionalId, transaction } = decodeTransactionRecord(key, value);
      if (transaction === null) this.#transactions.delete(transactionalId);
      else this.#transactions.set(transactionalId, { transaction, written: Promise.resolve(true), ending: undefined });
    }
    for (const [id, live] of this.#transactions) this.#endSoon(id, live);
  }

  get(transactionalId: string): Transaction | undefined {
    return this.#transactions.get(transactionalId)?.transaction;
  }

  *all(): Iterable<readonly [transactionalId: string, transaction: Transaction]> {
    for (const [id, { transaction }] of this.#transactions) yield [id, transaction];
  }

  /** Knows the id from the first call on. */
  async init(
    transactionalId: string,
    asked: { readonly timeoutMs: number; readonly expected: ProducerIdentity | undefined },
  ): Promise<TransactionReply> {
    if (!this.#transactions.has(transactionalId)) {
      if (!(await this.#makeRoom())) return { kind: "refused", error: "COORDINATOR_LOAD_IN_PROGRESS" };
      const producerId = await this.#options.producerId();
      if (producerId === undefined) return { kind: "refused", error: "COORDINATOR_LOAD_IN_PROGRESS" };
      if (!this.#isOpen) return notCoordinator;
      if (!this.#transactions.has(transactionalId)) {
        const transaction = newTransaction(producerId, asked.timeoutMs, this.#now);
        this.#transactions.set(transactionalId, { transaction, written: Promise.resolve(true), ending: undefined });
      }
    }
    return await this.#feedWithId(transactionalId, (producerIdFresh) => ({ kind: "init", ...asked, producerIdFresh }));
  }

  /** Waits a moment for the end of the producer's last transaction. */
  async add(
    transactionalId: string,
    by: ProducerIdentity,
    partitions: readonly TopicPartition[],
  ): Promise<TransactionReply> {
    const ending = this.#transactions.get(transactionalId)?.ending;
    if (ending !== undefined) await this.#waitFor(ending);
    return await this.#feed(transactionalId, { kind: "add-partitions", by, partitions });
  }

  end(
    transactionalId: string,
    by: ProducerIdentity,
    how: { readonly outcome: TransactionOutcome; readonly clientVersion: 0 | 2 },
  ): Promise<TransactionReply> {
    return this.#feedWithId(transactionalId, (producerIdFresh) => ({ kind: "end", by, ...how, producerIdFresh }));
  }

  /** Whether the partition is in the producer's open transaction. Adds nothing. */
  verify(transactionalId: string, by: ProducerIdentity, at: TopicPartition): TransactionError | undefined {
    const transaction = this.get(transactionalId);
    if (transaction?.producerId !== by.producerId) return "INVALID_PRODUCER_ID_MAPPING";
    if (transaction.producerEpoch !== by.producerEpoch) return "PRODUCER_FENCED";
    if (outcomeOf(transaction.state) !== undefined) return "CONCURRENT_TRANSACTIONS";
    return isIn(transaction, at) ? undefined : "TRANSACTION_ABORTABLE";
  }

  /** Settles when what was said of the id so far is durable; false when it never will be. */
  written(transactionalId: string): Promise<boolean> {
    return this.#transactions.get(transactionalId)?.written ?? Promise.resolve(this.#isOpen);
  }

  /** Asked in the turn in which a batch is appended: a transaction whose end is decided takes nothing more. */
  isOpenIn(transactionalId: string, by: ProducerIdentity, at: TopicPartition): boolean {
    const transaction = this.get(transactionalId);
    return this.#isOpen && transaction !== undefined && isOpenIn(transaction, by, at);
  }

  /** Aborts what took longer than its producer said. */
  async abortTimedOut(): Promise<void> {
    const late = [...this.all()].filter(
      ([, { state, startedAt, timeoutMs }]) => state === "ongoing" && startedAt + timeoutMs < this.#now,
    );
    await Promise.all(late.map(([id]) => this.#feed(id, { kind: "timed-out" })));
  }

  /** Forgets ids that nobody has used for the retention. */
  async expire(retentionMs: number): Promise<void> {
    const idle = [...this.all()].filter(
      ([, { state, updatedAt }]) => isIdle(state) && updatedAt + retentionMs <= this.#now,
    );
    await Promise.all(idle.map(([id]) => this.#feed(id, { kind: "expired" })));
  }

  /** Forgets a tenth of the ids, those idle longest, when there are as many as may be; false when none of them is idle. */
  async #makeRoom(): Promise<boolean> {
    const { idsMax } = this.#options.limits;
    if (this.#transactions.size < idsMax) return true;
    const idle = [...this.all()].filter(([, { state }]) => isIdle(state));
    idle.sort(([, a], [, b]) => a.updatedAt - b.updatedAt);
    await Promise.all(idle.slice(0, Math.ceil(idsMax / 10)).map(([id]) => this.#feed(id, { kind: "expired" })));
    return this.#transactions.size < idsMax;
  }

  close(): void {
    this.#closing.abort();
    this.#transactions.clear();
  }

  /** Once closed: settles when no marker is on its way any more. */
  async stopped(): Promise<void> {
    await Promise.all(this.#endings);
  }

  get #now(): number {
    return this.#options.runtime.clock.now();
  }

  /** Twice when the step needs a new producer id. */
  async #feedWithId(
    transactionalId: string,
    event: (producerIdFresh: number | undefined) => TransactionEvent,
  ): Promise<TransactionReply> {
    const reply = await this.#step(transactionalId, event(undefined));
    if (reply !== "producer-id-needed") return reply;
    const fresh = await this.#options.producerId();
    if (fresh === undefined) return { kind: "refused", error: "COORDINATOR_LOAD_IN_PROGRESS" };
    return await this.#feed(transactionalId, event(fresh));
  }

  async #feed(transactionalId: string, event: TransactionEvent): Promise<TransactionReply> {
    const reply = await this.#step(transactionalId, event);
    assert(reply !== "producer-id-needed", `${event.kind} of ${transactionalId} had a producer id`);
    return reply;
  }

  async #step(transactionalId: string, event: TransactionEvent): Promise<TransactionReply | "producer-id-needed"> {
    if (!this.#isOpen) return notCoordinator;
    const live = this.#transactions.get(transactionalId);
    if (live === undefined) return { kind: "refused", error: "INVALID_PRODUCER_ID_MAPPING" };
    const { next, answer } = stepTransaction(live.transaction, event, this.#now);
    if (answer.kind === "producer-id-needed") return "producer-id-needed";
    if (next !== live.transaction) {
      if (next === undefined) this.#transactions.delete(transactionalId);
      else live.transaction = next;
      live.written = this.#write(transactionalId, next);
      this.#endSoon(transactionalId, live);
    }
    // Refusals wait too: what they speak of may not be durable yet.
    return (await live.written) ? answer : notCoordinator;
  }

  async #write(transactionalId: string, next: Transaction | undefined): Promise<boolean> {
    const record =
      next === undefined ? transactionTombstone(transactionalId) : transactionRecord(transactionalId, next);
    try {
      await this.#options.log.append([record]);
    } catch (cause) {
      this.#giveUp(cause);
      return false;
    }
    return this.#isOpen;
  }

  #giveUp(cause: unknown): void {
    if (!this.#isOpen) return;
    this.close();
    this.#options.gaveUp(cause);
  }

  /** Has the markers written once the decision is durable. */
  #endSoon(transactionalId: string, live: Live): void {
    const outcome = outcomeOf(live.transaction.state);
    if (outcome === undefined || live.ending !== undefined) return;
    const ending = this.#end(transactionalId, live, outcome)
      .catch((cause: unknown) => this.#giveUp(cause))
      .finally(() => this.#endings.delete(ending));
    live.ending = ending;
    this.#endings.add(ending);
  }

  async #end(transactionalId: string, live: Live, outcome: TransactionOutcome): Promise<void> {
    if (!(await live.written)) return;
    const { producerId, producerEpoch, partitions, clientVersion: transactionVersion } = live.transaction;
    const { coordinatorEpoch } = this.#options;
    const marker = { outcome, producerId, producerEpoch, coordinatorEpoch, timestamp: this.#now, transactionVersion };
    const writing = Array.from(partitions).flatMap(([topic, indexes]) =>
      Array.from(indexes, (partition) => this.#mark({ topic, partition }, marker)),
    );
    await Promise.all(writing);
    if (!this.#isOpen) return;
    live.ending = undefined;
    await this.#feed(transactionalId, { kind: "markers-written" });
  }

  async #mark(at: TopicPartition, marker: Parameters<WriteMarker>[1]): Promise<void> {
    const { clock, random } = this.#options.runtime;
    for (let attempt = 1; this.#isOpen; attempt += 1) {
      const outcome = await this.#options.writeMarker(at, marker);
      // Fenced: a later coordinator, or a later epoch of the producer, has been there. Missing: the topic is gone.
      if (outcome !== "elsewhere" && outcome !== "busy") return;
      const paused = sleep(clock, backoffDelayMs(markerRetry, attempt, random), this.#closing.signal);
      await paused.catch(() => undefined); // Aborted: the shard was closed, and the loop ends.
    }
  }

  async #waitFor(ending: Promise<void>): Promise<void> {
    const patience = new AbortController();
    const { runtime, limits } = this.#options;
    const enough = sleep(runtime.clock, limits.endWaitMs, patience.signal).catch(() => undefined); // Aborted: it ended.
    await Promise.race([ending, enough]);
    patience.abort();
  }
}
