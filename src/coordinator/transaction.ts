/**
 * The rules of a transactional id: every state's answer to every event, as a table (kafka.md 5.3; KIP-98, 360, 890). Pure: what
 * it says is written and carried out elsewhere.
 *
 *                    init            add-partitions   end                 timed-out   markers-written   expired
 *   empty            epoch + 1       begin            abort v2 only       -           wrong program     forgotten
 *   ongoing          fence, abort    more             decide              fence       wrong program     -
 *   prepare-*        come again      come again       come again          -           complete          -
 *   complete-*       epoch + 1       begin            repeated answer     -           -                 forgotten
 */
import { assert, unreachable } from "../base/errors.ts";
import type { TopicPartition } from "./group-offsets.ts";
import {
  isEpochExhausted,
  type ProducerIdentity,
  producerEpochMax,
  type Transaction,
  type TransactionAnswer,
  type TransactionError,
  type TransactionEvent,
  type TransactionOutcome,
  type TransactionState,
  type TransactionStep,
} from "./transaction-state.ts";

type Kind = TransactionEvent["kind"];
type EventOf<K extends Kind> = Extract<TransactionEvent, { kind: K }>;
type Rule<K extends Kind> = (transaction: Transaction, event: EventOf<K>, now: number) => TransactionStep;
type Rules = { readonly [K in Kind]: Rule<K> };

export function stepTransaction(transaction: Transaction, event: TransactionEvent, now: number): TransactionStep {
  const rules = table[transaction.state];
  switch (event.kind) {
    case "init":
      return rules.init(transaction, event, now);
    case "add-partitions":
      return rules["add-partitions"](transaction, event, now);
    case "end":
      return rules.end(transaction, event, now);
    case "timed-out":
      return rules["timed-out"](transaction, event, now);
    case "markers-written":
      return rules["markers-written"](transaction, event, now);
    case "expired":
      return rules.expired(transaction, event, now);
    default:
      return unreachable(event);
  }
}

const ignore = (transaction: Transaction): TransactionStep => done(transaction);
const never = (transaction: Transaction, event: TransactionEvent): TransactionStep => {
  assert(false, `${event.kind} in ${transaction.state}`);
};

const settled: Pick<Rules, "init" | "add-partitions" | "timed-out" | "expired"> = {
  init: initSettled,
  "add-partitions": begin,
  "timed-out": ignore,
  expired: (transaction) => ({ ...done(transaction), next: undefined }),
};

const comeAgain = (transaction: Transaction): TransactionStep => refused(transaction, "CONCURRENT_TRANSACTIONS");

/** As whom the producer goes on may be known to itself alone until the markers are written: nobody is judged before. */
const preparing: Rules = {
  init: comeAgain,
  "add-partitions": comeAgain,
  end: endPreparing,
  "timed-out": ignore,
  "markers-written": complete,
  expired: ignore,
};

/** States in which nothing rests. */
const unreached: Rules = {
  init: never,
  "add-partitions": never,
  end: never,
  "timed-out": never,
  "markers-written": never,
  expired: never,
};

const table: Readonly<Record<TransactionState, Rules>> = {
  empty: { ...settled, end: endEmpty, "markers-written": never },
  ongoing: {
    init: initOngoing,
    "add-partitions": begin,
    end: endOngoing,
    "timed-out": (transaction, _event, now) => fence(transaction, now),
    "markers-written": never,
    expired: ignore,
  },
  "prepare-commit": preparing,
  "prepare-abort": preparing,
  "complete-commit": { ...settled, end: (...asked) => endComplete("commit", ...asked), "markers-written": never },
  "complete-abort": { ...settled, end: (...asked) => endComplete("abort", ...asked), "markers-written": never },
  dead: unreached,
  "prepare-epoch-fence": unreached,
};

/** A new instance of the producer, or the same after an error: everything older is fenced. */
function initSettled(transaction: Transaction, event: EventOf<"init">, now: number): TransactionStep {
  const { expected, timeoutMs } = event;
  if (!isKnown(transaction, expected)) return refused(transaction, "PRODUCER_FENCED");
  const renewed = {
    ...transaction,
    state: "empty",
    timeoutMs,
    previousProducerId: transaction.producerId,
    nextProducerId: -1,
    partitions: new Map(),
    startedAt: -1,
    updatedAt: now,
    clientVersion: 0,
  } as const;
  const { producerEpoch } = transaction;
  const isOwn = expected === undefined || expected.producerEpoch === producerEpoch;
  if (isEpochExhausted(producerEpoch) && isOwn) {
    if (event.producerIdFresh === undefined) return { next: transaction, answer: { kind: "producer-id-needed" } };
    const lastProducerEpoch = expected === undefined ? -1 : producerEpoch;
    return done({ ...renewed, producerId: event.producerIdFresh, producerEpoch: 0, lastProducerEpoch });
  }
  if (expected === undefined || isOwn || producerEpoch === -1) {
    const lastProducerEpoch = expected === undefined ? -1 : producerEpoch;
    return done({ ...renewed, producerEpoch: producerEpoch + 1, lastProducerEpoch });
  }
  // The answer to its last attempt was lost: it is what it would have become.
  if (expected.producerEpoch === transaction.lastProducerEpoch) {
    return done({ ...renewed, previousProducerId: transaction.previousProducerId });
  }
  return refused(transaction, "PRODUCER_FENCED");
}

/** The older instance's transaction is aborted first; the new one comes again, and finds the epoch past it. */
function initOngoing(transaction: Transaction, { expected }: EventOf<"init">, now: number): TransactionStep {
  if (!isKnown(transaction, expected)) return refused(transaction, "PRODUCER_FENCED");
  return { ...fence(transaction, now), answer: { kind: "refused", error: "CONCURRENT_TRANSACTIONS" } };
}

function begin(transaction: Transaction, event: EventOf<"add-partitions">, now: number): TransactionStep {
  const problem = stranger(transaction, event.by);
  if (problem !== undefined) return refused(transaction, problem);
  const isNew = transaction.state !== "ongoing";
  const partitions = withPartitions(isNew ? new Map() : transaction.partitions, event.partitions);
  if (partitions === transaction.partitions) return done(transaction);
  const startedAt = isNew ? now : transaction.startedAt;
  return done({ ...transaction, state: "ongoing", partitions, startedAt, updatedAt: now });
}

function endOngoing(transaction: Transaction, event: EventOf<"end">, now: number): TransactionStep {
  const problem = stranger(transaction, event.by);
  if (problem !== undefined) return refused(transaction, problem);
  return decide(transaction, event, now);
}

/** An abort of nothing is how a client of version 2 gets an epoch of its own after an error. */
function endEmpty(transaction: Transaction, event: EventOf<"end">, now: number): TransactionStep {
  const problem = stranger(transaction, event.by);
  if (problem !== undefined) return refused(transaction, problem);
  if (event.clientVersion < 2 || event.outcome === "commit") return refused(transaction, "INVALID_TXN_STATE");
  return decide(transaction, event, now);
}

/** Version 1 changes nobody's epoch by an end. */
function endPreparing(transaction: Transaction, { by, clientVersion }: EventOf<"end">): TransactionStep {
  const problem = clientVersion < 2 ? stranger(transaction, by) : undefined;
  return problem === undefined ? comeAgain(transaction) : refused(transaction, problem);
}

/**
 * Only the producer that ended the transaction, asking for the same again, hears that it is done. Under version 2 its next
 * transaction has another epoch, so that an answer meant for the last one never decides the next (KAFKA-17754). One whose
 * transaction timed out, or was fenced, asks for the abort that it got, and goes on under the epoch after it.
 */
function endComplete(
  was: TransactionOutcome,
  transaction: Transaction,
  event: EventOf<"end">,
  now: number,
): TransactionStep {
  const { by, outcome } = event;
  if (event.clientVersion < 2) {
    const problem = stranger(transaction, by);
    if (problem !== undefined) return refused(transaction, problem);
    return outcome === was ? done(transaction) : refused(transaction, "INVALID_TXN_STATE");
  }
  if (isRetry(transaction, by)) {
    if (outcome !== was) return refused(transaction, "INVALID_TXN_STATE");
    return transaction.producerEpoch < producerEpochMax ? done(transaction) : rotate(transaction, event, now);
  }
  const problem = stranger(transaction, by);
  if (problem !== undefined) return refused(transaction, problem);
  return outcome === "abort" ? decide(transaction, event, now) : refused(transaction, "INVALID_TXN_STATE");
}

/** The outcome is settled. Under version 2 the producer goes on under the next epoch, which the markers bear too. */
function decide(transaction: Transaction, event: EventOf<"end">, now: number): TransactionStep {
  const { clientVersion, outcome, producerIdFresh } = event;
  const state = outcome === "commit" ? "prepare-commit" : "prepare-abort";
  const isOngoing = transaction.state === "ongoing";
  const decided = {
    ...transaction,
    state,
    clientVersion,
    partitions: isOngoing ? transaction.partitions : new Map(),
    startedAt: isOngoing ? transaction.startedAt : now,
    updatedAt: now,
  } as const;
  if (clientVersion < 2) return done(decided);
  const isExhausted = isEpochExhausted(transaction.producerEpoch);
  if (isExhausted && producerIdFresh === undefined) {
    return { next: transaction, answer: { kind: "producer-id-needed" } };
  }
  const next: Transaction = {
    ...decided,
    producerEpoch: transaction.producerEpoch + 1,
    lastProducerEpoch: transaction.producerEpoch,
    nextProducerId: isExhausted ? (producerIdFresh ?? -1) : -1,
  };
  return { next, answer: { kind: "done", producer: after(next) } };
}

/** Aborts under an epoch that nobody has, so that the old instance can write nothing more. */
function fence(transaction: Transaction, now: number): TransactionStep {
  assert(transaction.producerEpoch < producerEpochMax, "an ongoing transaction leaves room for a fence");
  return done({
    ...transaction,
    state: "prepare-abort",
    producerEpoch: transaction.producerEpoch + 1,
    lastProducerEpoch: -1,
    nextProducerId: -1,
    updatedAt: now,
    clientVersion: 0,
  });
}

/** The epoch of a fence is not one to go on under. */
function rotate(transaction: Transaction, { producerIdFresh }: EventOf<"end">, now: number): TransactionStep {
  if (producerIdFresh === undefined) return { next: transaction, answer: { kind: "producer-id-needed" } };
  return done({
    ...transaction,
    producerId: producerIdFresh,
    producerEpoch: 0,
    lastProducerEpoch: -1,
    previousProducerId: transaction.producerId,
    updatedAt: now,
  });
}

function complete(transaction: Transaction, _event: EventOf<"markers-written">, now: number): TransactionStep {
  const isRotated = transaction.nextProducerId >= 0;
  return done({
    ...transaction,
    ...after(transaction),
    state: transaction.state === "prepare-commit" ? "complete-commit" : "complete-abort",
    previousProducerId: isRotated ? transaction.producerId : transaction.previousProducerId,
    nextProducerId: -1,
    partitions: new Map(),
    updatedAt: now,
  });
}

/** As whom the producer goes on once the markers are written. */
function after({ producerId, producerEpoch, nextProducerId }: Transaction): ProducerIdentity {
  return nextProducerId >= 0 ? { producerId: nextProducerId, producerEpoch: 0 } : { producerId, producerEpoch };
}

/** Who says that it was this producer may be it: its id is the current one, or the one before whose epochs are used up. */
function isKnown(transaction: Transaction, expected: ProducerIdentity | undefined): boolean {
  if (expected === undefined || transaction.producerEpoch === -1) return true;
  if (expected.producerId === transaction.producerId) return true;
  return expected.producerId === transaction.previousProducerId && isEpochExhausted(expected.producerEpoch);
}

/** The producer as it was before its last end bumped the epoch, or took the next id. */
function isRetry(transaction: Transaction, by: ProducerIdentity): boolean {
  const { producerId, producerEpoch, previousProducerId } = transaction;
  if (by.producerId === producerId) return by.producerEpoch === producerEpoch - 1;
  return by.producerId === previousProducerId && by.producerEpoch === producerEpochMax - 1 && producerEpoch === 0;
}

function stranger(transaction: Transaction, by: ProducerIdentity): TransactionError | undefined {
  if (by.producerId !== transaction.producerId) return "INVALID_PRODUCER_ID_MAPPING";
  const isCurrent = by.producerEpoch === transaction.producerEpoch && by.producerEpoch < producerEpochMax;
  return isCurrent ? undefined : "PRODUCER_FENCED";
}

/** The same map when it holds them all. */
function withPartitions(
  known: Transaction["partitions"],
  added: readonly TopicPartition[],
): ReadonlyMap<string, ReadonlySet<number>> {
  const fresh = added.filter(({ topic, partition }) => known.get(topic)?.has(partition) !== true);
  if (fresh.length === 0) return known;
  const partitions = new Map(known);
  for (const [topic, ofTopic] of Map.groupBy(fresh, (at) => at.topic)) {
    const indexes = ofTopic.map(({ partition }) => partition);
    partitions.set(topic, new Set([...(known.get(topic) ?? []), ...indexes]));
  }
  return partitions;
}

function done(next: Transaction): TransactionStep & { readonly next: Transaction; readonly answer: TransactionAnswer } {
  const { producerId, producerEpoch } = next;
  return { next, answer: { kind: "done", producer: { producerId, producerEpoch } } };
}

function refused(transaction: Transaction, error: TransactionError): TransactionStep {
  return { next: transaction, answer: { kind: "refused", error } };
}
