/** Proves: every state of a transactional id answers every event as the table says, decisions are final, and epochs only grow. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stepTransaction } from "../../src/coordinator/transaction.ts";
import {
  isEpochExhausted,
  newTransaction,
  type ProducerIdentity,
  producerEpochMax,
  type Transaction,
  type TransactionEvent,
  type TransactionState,
} from "../../src/coordinator/transaction-state.ts";

const by: ProducerIdentity = { producerId: 7, producerEpoch: 4 };
const orders = [{ topic: "orders", partition: 0 }];

function at(state: TransactionState, fields: Partial<Transaction> = {}): Transaction {
  const isOpen = state === "ongoing" || state.startsWith("prepare");
  const partitions = new Map(isOpen ? [["orders", new Set([0])]] : []);
  return { ...newTransaction(by.producerId, 60_000, 0), ...by, state, partitions, startedAt: 1, ...fields };
}

const events = {
  init: { kind: "init", timeoutMs: 60_000, expected: undefined, producerIdFresh: undefined },
  "add-partitions": { kind: "add-partitions", by, partitions: [{ topic: "orders", partition: 1 }] },
  "commit v1": { kind: "end", by, outcome: "commit", clientVersion: 0, producerIdFresh: undefined },
  "abort v1": { kind: "end", by, outcome: "abort", clientVersion: 0, producerIdFresh: undefined },
  "commit v2": { kind: "end", by, outcome: "commit", clientVersion: 2, producerIdFresh: undefined },
  "abort v2": { kind: "end", by, outcome: "abort", clientVersion: 2, producerIdFresh: undefined },
  "timed-out": { kind: "timed-out" },
  "markers-written": { kind: "markers-written" },
  expired: { kind: "expired" },
} as const satisfies Readonly<Record<string, TransactionEvent>>;

type EventName = keyof typeof events;
/** The state that follows and the epoch in it, or the error; "same" where nothing changes, "wrong program" where it must not be. */
type Outcome = `${TransactionState} ${number}` | "same" | "forgotten" | "wrong program" | Uppercase<string>;

const never = Object.fromEntries(Object.keys(events).map((name) => [name, "wrong program"])) as Record<
  EventName,
  Outcome
>;
const preparing: Readonly<Record<Exclude<EventName, "markers-written">, Outcome>> = {
  init: "CONCURRENT_TRANSACTIONS",
  "add-partitions": "CONCURRENT_TRANSACTIONS",
  "commit v1": "CONCURRENT_TRANSACTIONS",
  "abort v1": "CONCURRENT_TRANSACTIONS",
  // The producer goes on as it was told to, and is to wait until the markers are written.
  "commit v2": "CONCURRENT_TRANSACTIONS",
  "abort v2": "CONCURRENT_TRANSACTIONS",
  "timed-out": "same",
  expired: "same",
};

const table: Readonly<Record<TransactionState, Readonly<Record<EventName, Outcome>>>> = {
  empty: {
    init: "empty 5",
    "add-partitions": "ongoing 4",
    "commit v1": "INVALID_TXN_STATE",
    "abort v1": "INVALID_TXN_STATE",
    "commit v2": "INVALID_TXN_STATE",
    "abort v2": "prepare-abort 5",
    "timed-out": "same",
    "markers-written": "wrong program",
    expired: "forgotten",
  },
  ongoing: {
    init: "CONCURRENT_TRANSACTIONS",
    "add-partitions": "ongoing 4",
    "commit v1": "prepare-commit 4",
    "abort v1": "prepare-abort 4",
    "commit v2": "prepare-commit 5",
    "abort v2": "prepare-abort 5",
    "timed-out": "prepare-abort 5",
    "markers-written": "wrong program",
    expired: "same",
  },
  "prepare-commit": { ...preparing, "markers-written": "complete-commit 4" },
  "prepare-abort": { ...preparing, "markers-written": "complete-abort 4" },
  "complete-commit": {
    init: "empty 5",
    "add-partitions": "ongoing 4",
    "commit v1": "same",
    "abort v1": "INVALID_TXN_STATE",
    "commit v2": "INVALID_TXN_STATE",
    "abort v2": "prepare-abort 5",
    "timed-out": "same",
    "markers-written": "wrong program",
    expired: "forgotten",
  },
  "complete-abort": {
    init: "empty 5",
    "add-partitions": "ongoing 4",
    "commit v1": "INVALID_TXN_STATE",
    "abort v1": "same",
    "commit v2": "INVALID_TXN_STATE",
    "abort v2": "prepare-abort 5",
    "timed-out": "same",
    "markers-written": "wrong program",
    expired: "forgotten",
  },
  dead: never,
  "prepare-epoch-fence": never,
};

function outcomeOf(transaction: Transaction, event: TransactionEvent): string {
  try {
    const { next, answer } = stepTransaction(transaction, event, 100);
    if (answer.kind === "refused") return answer.error;
    if (next === undefined) return "forgotten";
    return next === transaction ? "same" : `${next.state} ${next.producerEpoch}`;
  } catch (cause) {
    if (cause instanceof Error && cause.name === "WrongProgram") return "wrong program";
    throw cause;
  }
}

describe.each(Object.keys(table) as TransactionState[])("%s", (state) => {
  test.each(Object.keys(events) as EventName[])("%s", (name) => {
    expect(outcomeOf(at(state), events[name])).toBe(table[state][name]);
  });
});

test("a second instance has the ongoing transaction aborted before it may come again", () => {
  const { next } = stepTransaction(at("ongoing"), events.init, 100);
  expect(next).toMatchObject({
    state: "prepare-abort",
    producerEpoch: 5,
    partitions: new Map([["orders", new Set([0])]]),
  });
});

test.each(["commit", "abort"] as const)(
  "while the markers of a %s are written everybody waits, and who it was is asked after that",
  (outcome) => {
    const { next, answer } = stepTransaction(at("ongoing"), events[`${outcome} v2`], 100);
    const decided = next as Transaction;
    const told = answer.kind === "done" ? answer.producer : by;
    const older = { ...by, producerEpoch: by.producerEpoch - 1 };
    const stranger = { ...by, producerId: 9 };
    const names = ["commit v2", "abort v2", "add-partitions"] as const;
    for (const who of [told, by, older, stranger]) {
      for (const name of names)
        expect(outcomeOf(decided, { ...events[name], by: who })).toBe("CONCURRENT_TRANSACTIONS");
      expect(outcomeOf(decided, { ...events.init, expected: who })).toBe("CONCURRENT_TRANSACTIONS");
    }
    // Version 1 asks who it is first.
    const ended = (who: ProducerIdentity): string => outcomeOf(decided, { ...events["abort v1"], by: who });
    expect([ended(told), ended(by), ended(stranger)]).toEqual([
      "CONCURRENT_TRANSACTIONS",
      "PRODUCER_FENCED",
      "INVALID_PRODUCER_ID_MAPPING",
    ]);
  },
);

describe("epochs that are used up", () => {
  const producerEpoch = producerEpochMax - 1;
  const last = { producerId: 7, producerEpoch };

  test("an end of version 2 goes on under a new producer id, also when it is asked for twice", () => {
    const event = { ...events["commit v2"], by: last };
    const ongoing = at("ongoing", { producerEpoch });
    expect(stepTransaction(ongoing, event, 100).answer).toEqual({ kind: "producer-id-needed" });
    const decided = stepTransaction(ongoing, { ...event, producerIdFresh: 8 }, 100);
    const done = { kind: "done", producer: { producerId: 8, producerEpoch: 0 } };
    expect(decided.answer).toEqual(done);
    expect(decided.next).toMatchObject({ producerId: 7, producerEpoch: producerEpochMax, nextProducerId: 8 });
    const early = { ...events["abort v2"], by: done.producer };
    expect(outcomeOf(decided.next as Transaction, early)).toBe("CONCURRENT_TRANSACTIONS");
    const completed = stepTransaction(decided.next as Transaction, events["markers-written"], 100);
    expect(completed.next).toMatchObject({ producerId: 8, producerEpoch: 0, previousProducerId: 7 });
    expect(stepTransaction(completed.next as Transaction, event, 100).answer).toEqual(done);
  });

  test("so does a new instance, and one that repeats itself", () => {
    const expected = last;
    const event = { ...events.init, expected, producerIdFresh: 8 };
    const { next } = stepTransaction(at("complete-commit", { producerEpoch }), event, 100);
    expect(next).toMatchObject({ producerId: 8, producerEpoch: 0, previousProducerId: 7 });
    const repeated = stepTransaction(next as Transaction, { ...event, producerIdFresh: undefined }, 100);
    expect(repeated.answer).toEqual({ kind: "done", producer: { producerId: 8, producerEpoch: 0 } });
  });

  /** The transaction of the last epoch took too long: its fence has taken the one that clients never get. */
  const fenced = (): Transaction => {
    const { next } = stepTransaction(at("ongoing", { producerEpoch }), events["timed-out"], 100);
    return stepTransaction(next as Transaction, events["markers-written"], 100).next as Transaction;
  };

  test("an abort after a timeout goes on under a new producer id, also when it is asked for twice", () => {
    const event = { ...events["abort v2"], by: last };
    expect(stepTransaction(fenced(), event, 100).answer).toEqual({ kind: "producer-id-needed" });
    const { next, answer } = stepTransaction(fenced(), { ...event, producerIdFresh: 8 }, 100);
    const done = { kind: "done", producer: { producerId: 8, producerEpoch: 0 } };
    expect(answer).toEqual(done);
    expect(next).toMatchObject({ state: "complete-abort", producerId: 8, producerEpoch: 0, previousProducerId: 7 });
    expect(stepTransaction(next as Transaction, event, 100).answer).toEqual(done);
    const begun = { ...events["add-partitions"], by: done.producer };
    expect(outcomeOf(next as Transaction, begun)).toBe("ongoing 0");
  });

  test("nobody is the producer of the epoch that only a fence takes", () => {
    const who = { producerId: 7, producerEpoch: producerEpochMax };
    const outcomes = (["add-partitions", "abort v1", "abort v2"] as const).map((name) =>
      outcomeOf(fenced(), { ...events[name], by: who }),
    );
    expect(outcomes).toEqual(["PRODUCER_FENCED", "PRODUCER_FENCED", "PRODUCER_FENCED"]);
  });
});

test("whatever happens: epochs only grow, a decision is carried out, and older epochs decide nothing", () => {
  const identity = fc.record({ producerId: fc.constantFrom(7, 8, 9), back: fc.integer({ min: -1, max: 2 }) });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("init"), expected: fc.option(identity) }),
    fc.record({ kind: fc.constant("add-partitions"), by: identity }),
    fc.record({
      kind: fc.constant("end"),
      by: identity,
      outcome: fc.constantFrom("commit", "abort"),
      clientVersion: fc.constantFrom(0, 2),
    }),
    fc.record({ kind: fc.constantFrom("timed-out", "markers-written", "expired") }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(0, producerEpochMax - 3, producerEpochMax - 1),
      fc.array(step, { maxLength: 40 }),
      (start, steps) => {
        let transaction: Transaction = { ...newTransaction(7, 60_000, 0), producerEpoch: start };
        let fresh = 8;
        for (const asked of steps) {
          const who = (identity: { producerId: number; back: number }): ProducerIdentity => ({
            producerId: identity.producerId,
            producerEpoch: Math.max(0, transaction.producerEpoch - identity.back),
          });
          const isPreparing = transaction.state.startsWith("prepare");
          if (asked.kind === "markers-written" && !isPreparing) continue;
          const event = {
            ...asked,
            timeoutMs: 60_000,
            partitions: orders,
            producerIdFresh: fresh,
            ...("by" in asked ? { by: who(asked.by) } : {}),
            ...("expected" in asked ? { expected: asked.expected === null ? undefined : who(asked.expected) } : {}),
          } as unknown as TransactionEvent; // Fields that an event does not have are not looked at.
          const { next, answer } = stepTransaction(transaction, event, 100);
          if (next === undefined) return;
          expect(answer.kind).not.toBe("producer-id-needed");
          if (next.producerId === transaction.producerId) {
            expect(next.producerEpoch).toBeGreaterThanOrEqual(transaction.producerEpoch);
          } else expect(next.producerId).toBe(transaction.nextProducerId >= 0 ? transaction.nextProducerId : fresh);
          if (isPreparing && next !== transaction) {
            expect(event.kind).toBe("markers-written");
            expect(next.state).toBe(transaction.state === "prepare-commit" ? "complete-commit" : "complete-abort");
          }
          if ("by" in event && next !== transaction) {
            const producerEpoch = Math.min(transaction.producerEpoch, producerEpochMax - 1); // Beyond it is a fence's.
            expect(event.by).toEqual({ producerId: transaction.producerId, producerEpoch });
          }
          if (next.state === "ongoing") expect(isEpochExhausted(next.producerEpoch - 1)).toBe(false);
          if (answer.kind === "done" && "by" in event)
            expect(answer.producer.producerEpoch).toBeLessThan(producerEpochMax);
          if (answer.kind === "refused" && answer.error === "PRODUCER_FENCED") expect(next).toBe(transaction);
          if (next.producerId === fresh || next.nextProducerId === fresh) fresh += 1;
          transaction = next;
        }
      },
    ),
    { numRuns: 2000 },
  );
});
