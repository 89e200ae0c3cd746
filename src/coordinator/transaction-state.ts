/** A transactional id as its coordinator knows it, and what can happen to it. The rules are in transaction.ts. */
import type { TopicPartition } from "./group-offsets.ts";

/**
 *   empty ──▶ ongoing ──▶ prepare-commit ──▶ complete-commit ──▶ ongoing …
 *                    └──▶ prepare-abort  ──▶ complete-abort  ──▶ ongoing …
 *
 * A prepare-* state is the decision: once it is durable the outcome is settled, and only markers are missing. Kafka's
 * prepare-epoch-fence never rests here: fencing the producer and deciding to abort are one step.
 */
export type TransactionState =
  | "empty"
  | "ongoing"
  | "prepare-commit"
  | "prepare-abort"
  | "complete-commit"
  | "complete-abort"
  | "dead"
  | "prepare-epoch-fence";

export type TransactionOutcome = "commit" | "abort";

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface Transaction extends ProducerIdentity {
  /** -1 before the id was first given out. */
  readonly producerEpoch: number;
  /** The epoch before the newest, so that a producer whose answer was lost may ask again; -1 after fencing. */
  readonly lastProducerEpoch: number;
  /** The producer id before the newest, -1 when none. */
  readonly previousProducerId: number;
  /** Takes over when the markers are written, because the epochs of the current id are used up; -1 when none. */
  readonly nextProducerId: number;
  readonly timeoutMs: number;
  readonly state: TransactionState;
  readonly partitions: ReadonlyMap<string, ReadonlySet<number>>;
  /** -1 when none was started. */
  readonly startedAt: number;
  readonly updatedAt: number;
  /** What the client spoke that ended the last transaction: 2 bumps the epoch with every end (KIP-890). */
  readonly clientVersion: number;
}

/** An epoch that clients never get: a coordinator must be able to fence the last one they have. */
export const producerEpochMax = 2 ** 15 - 1;

export function isEpochExhausted(epoch: number): boolean {
  return epoch >= producerEpochMax - 1;
}

export type TransactionEvent =
  | {
      readonly kind: "init";
      readonly timeoutMs: number;
      /** What the producer was before (KIP-360): it goes on only when nobody else began meanwhile. */
      readonly expected: ProducerIdentity | undefined;
      /** For when a new one is needed; without it the answer asks for one. */
      readonly producerIdFresh: number | undefined;
    }
  | { readonly kind: "add-partitions"; readonly by: ProducerIdentity; readonly partitions: readonly TopicPartition[] }
  | {
      readonly kind: "end";
      readonly by: ProducerIdentity;
      readonly outcome: TransactionOutcome;
      readonly clientVersion: 0 | 2;
      readonly producerIdFresh: number | undefined;
    }
  /** It took longer than its producer said that it would. */
  | { readonly kind: "timed-out" }
  /** Every partition knows how the transaction ended. */
  | { readonly kind: "markers-written" }
  /** Nobody has used the id for long. */
  | { readonly kind: "expired" };

export type TransactionError =
  | "INVALID_PRODUCER_ID_MAPPING"
  | "PRODUCER_FENCED"
  | "CONCURRENT_TRANSACTIONS"
  | "INVALID_TXN_STATE"
  | "TRANSACTION_ABORTABLE";

export type TransactionAnswer =
  /** Done when what the step wrote is durable: the producer goes on as this. */
  | { readonly kind: "done"; readonly producer: ProducerIdentity }
  | { readonly kind: "refused"; readonly error: TransactionError }
  /** The step needs a producer id that nobody has; ask again with one. */
  | { readonly kind: "producer-id-needed" };

export interface TransactionStep {
  /** The same object when nothing changed; undefined when the id is forgotten. */
  readonly next: Transaction | undefined;
  readonly answer: TransactionAnswer;
}

export function newTransaction(producerId: number, timeoutMs: number, now: number): Transaction {
  return {
    producerId,
    producerEpoch: -1,
    lastProducerEpoch: -1,
    previousProducerId: -1,
    nextProducerId: -1,
    timeoutMs,
    state: "empty",
    partitions: new Map(),
    startedAt: -1,
    updatedAt: now,
    clientVersion: 0,
  };
}

export function outcomeOf(state: TransactionState): TransactionOutcome | undefined {
  if (state === "prepare-commit") return "commit";
  return state === "prepare-abort" ? "abort" : undefined;
}

export function isIn({ partitions }: Transaction, { topic, partition }: TopicPartition): boolean {
  return partitions.get(topic)?.has(partition) === true;
}

/** A batch of this producer may be appended to the partition now. */
export function isOpenIn(transaction: Transaction, by: ProducerIdentity, at: TopicPartition): boolean {
  return (
    transaction.state === "ongoing" &&
    transaction.producerId === by.producerId &&
    transaction.producerEpoch === by.producerEpoch &&
    isIn(transaction, at)
  );
}
