/** Proves: a retry is answered with its first answer, a gap is refused, and transactions decide what is stable (kafka.md 5.2, 5.3). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import {
  type ProducerBatch,
  type ProducerCheck,
  ProducerState,
  type TransactionMarker,
  windowBatches,
} from "../../src/log/producer-state.ts";

const sequenceMax = 2 ** 31 - 1;

function batch(fields: Partial<ProducerBatch> & { readonly records?: number }): ProducerBatch {
  const { records = 1, ...rest } = fields;
  return {
    producerId: 7,
    producerEpoch: 2,
    baseSequence: 0,
    lastOffsetDelta: records - 1,
    maxTimestamp: 1000,
    isTransactional: false,
    ...rest,
  };
}

function marker(fields: Partial<TransactionMarker>): TransactionMarker {
  return { producerId: 7, producerEpoch: 2, coordinatorEpoch: 1, outcome: "commit", timestamp: 2000, ...fields };
}

function newState(): ProducerState {
  return new ProducerState({ producersMax: 100 });
}

function answer(check: ProducerCheck): string {
  if (check.kind === "duplicate") return `duplicate ${check.baseOffset}-${check.lastOffset}`;
  return check.kind === "refused" ? check.reason : check.kind;
}

type State = "unknown" | "one batch" | "window full" | "at the wrap" | "new epoch by marker" | "transaction open";
type Event =
  | "sequence 0"
  | "the next sequence"
  | "the last batch again"
  | "a gap"
  | "an older epoch"
  | "a newer epoch from 0"
  | "a newer epoch from 5"
  | "transactional, next";

/** States of producer 7 at epoch 2. The wrap: the newest batch ends at Int32.MAX. */
const states: Readonly<Record<State, { readonly build: (state: ProducerState) => void; readonly last: number }>> = {
  unknown: { build: () => undefined, last: -1 },
  "one batch": { build: (state) => state.append(batch({ records: 10 }), 100 as Offset, 0), last: 9 },
  "window full": {
    build: (state) => {
      for (let index = 0; index < 8; index += 1) state.append(batch({ baseSequence: index }), index as Offset, 0);
    },
    last: 7,
  },
  "at the wrap": {
    build: (state) => state.append(batch({ baseSequence: sequenceMax - 3, records: 4 }), 50 as Offset, 0),
    last: sequenceMax,
  },
  "new epoch by marker": {
    build: (state) => {
      state.append(batch({ producerEpoch: 1, records: 3 }), 0 as Offset, 0);
      state.end(marker({ producerEpoch: 2 }), 3 as Offset, 0);
    },
    last: -1,
  },
  "transaction open": {
    build: (state) => state.append(batch({ records: 2, isTransactional: true }), 10 as Offset, 0),
    last: 1,
  },
};

const events: Readonly<Record<Event, (last: number) => ProducerBatch>> = {
  "sequence 0": () => batch({ baseSequence: 0, records: 77 }),
  "the next sequence": (last) => batch({ baseSequence: last === sequenceMax ? 0 : last + 1, records: 88 }),
  "the last batch again": (last) =>
    last === sequenceMax
      ? batch({ baseSequence: sequenceMax - 3, records: 4 })
      : last === 9
        ? batch({ records: 10 })
        : last === 1
          ? batch({ records: 2, isTransactional: true })
          : batch({ baseSequence: Math.max(0, last) }),
  "a gap": (last) => batch({ baseSequence: last === sequenceMax ? 1 : last + 2 }),
  "an older epoch": (last) => batch({ producerEpoch: 1, baseSequence: Math.min(last + 1, sequenceMax) }),
  "a newer epoch from 0": () => batch({ producerEpoch: 3 }),
  "a newer epoch from 5": () => batch({ producerEpoch: 3, baseSequence: 5 }),
  "transactional, next": (last) =>
    batch({ baseSequence: last === sequenceMax ? 0 : last + 1, records: 99, isTransactional: true }),
};

const outOfOrder = "out-of-order-sequence";
const stale = "stale-producer-epoch";
const table: Readonly<Record<State, Readonly<Record<Event, string>>>> = {
  unknown: {
    "sequence 0": "next",
    "the next sequence": "next",
    "the last batch again": "next",
    "a gap": "next",
    "an older epoch": "next",
    "a newer epoch from 0": "next",
    "a newer epoch from 5": "next",
    "transactional, next": "next",
  },
  "one batch": {
    "sequence 0": outOfOrder,
    "the next sequence": "next",
    "the last batch again": "duplicate 100-109",
    "a gap": outOfOrder,
    "an older epoch": stale,
    "a newer epoch from 0": "next",
    "a newer epoch from 5": outOfOrder,
    "transactional, next": "next",
  },
  "window full": {
    "sequence 0": outOfOrder,
    "the next sequence": "next",
    "the last batch again": "duplicate 7-7",
    "a gap": outOfOrder,
    "an older epoch": stale,
    "a newer epoch from 0": "next",
    "a newer epoch from 5": outOfOrder,
    "transactional, next": "next",
  },
  "at the wrap": {
    "sequence 0": "next",
    "the next sequence": "next",
    "the last batch again": "duplicate 50-53",
    "a gap": outOfOrder,
    "an older epoch": stale,
    "a newer epoch from 0": "next",
    "a newer epoch from 5": outOfOrder,
    "transactional, next": "next",
  },
  "new epoch by marker": {
    "sequence 0": "next",
    "the next sequence": "next",
    "the last batch again": "next",
    "a gap": outOfOrder,
    "an older epoch": stale,
    "a newer epoch from 0": "next",
    "a newer epoch from 5": outOfOrder,
    "transactional, next": "next",
  },
  "transaction open": {
    "sequence 0": outOfOrder,
    "the next sequence": "invalid-transaction-state",
    "the last batch again": "duplicate 10-11",
    "a gap": outOfOrder,
    "an older epoch": stale,
    "a newer epoch from 0": "invalid-transaction-state",
    "a newer epoch from 5": outOfOrder,
    "transactional, next": "next",
  },
};

describe("a batch meets a producer", () => {
  for (const [state, outcomes] of Object.entries(table) as [State, Record<Event, string>][]) {
    test.each(Object.entries(outcomes) as [Event, string][])(`${state}: %s → %s`, (event, outcome) => {
      const producers = newState();
      states[state].build(producers);
      expect(answer(producers.check(events[event](states[state].last)))).toBe(outcome);
    });
  }

  test("all of the last five are recognised, the sixth is out of order", () => {
    const state = newState();
    for (let index = 0; index < 8; index += 1) {
      state.append(batch({ baseSequence: index * 10, records: 10 }), (index * 10) as Offset, 0);
    }
    const answers = Array.from({ length: 8 }, (_, index) =>
      answer(state.check(batch({ baseSequence: index * 10, records: 10 }))),
    );
    expect(answers.slice(0, 8 - windowBatches).every((each) => each === outOfOrder)).toBe(true);
    expect(answers.slice(8 - windowBatches)).toEqual(
      [30, 40, 50, 60, 70].map((base) => `duplicate ${base}-${base + 9}`),
    );
  });

  test("a batch that overlaps a kept one without equalling it is out of order", () => {
    const state = newState();
    state.append(batch({ records: 10 }), 0 as Offset, 0);
    expect(answer(state.check(batch({ records: 9 })))).toBe(outOfOrder);
    expect(answer(state.check(batch({ baseSequence: 5, records: 5 })))).toBe(outOfOrder);
  });
});

describe("transactions", () => {
  test("an open transaction, and one whose marker is not durable, hold the last stable offset", () => {
    const state = newState();
    state.append(batch({ producerId: 1, isTransactional: true }), 10 as Offset, 0);
    state.append(batch({ producerId: 2, isTransactional: true }), 11 as Offset, 0);
    expect(state.firstUnstable(12)).toBe(10);
    state.end(marker({ producerId: 1 }), 12 as Offset, 0);
    expect(state.firstUnstable(12)).toBe(10); // The marker at 12 is not below the high watermark yet.
    expect(state.firstUnstable(13)).toBe(11);
    state.end(marker({ producerId: 2 }), 13 as Offset, 0);
    expect(state.firstUnstable(14)).toBeUndefined();
  });

  test("aborted transactions are found by any range that touches them, by first offset, none other", () => {
    const state = newState();
    const open = (producerId: number, offset: number): void =>
      state.append(batch({ producerId, isTransactional: true }), offset as Offset, 0);
    const abort = (producerId: number, offset: number): void =>
      state.end(marker({ producerId, outcome: "abort" }), offset as Offset, 0);
    open(1, 0);
    open(2, 1);
    abort(2, 5); // 1-5, while 0 is still open
    open(3, 6);
    abort(1, 7); // 0-7
    abort(3, 9); // 6-9
    open(4, 10);
    state.end(marker({ producerId: 4 }), 11 as Offset, 0); // committed
    open(5, 12);
    abort(5, 13); // 12-13
    const found = (from: number, to: number): readonly number[] =>
      state.abortedBetween(from, to).map((aborted) => aborted.producerId);
    expect(found(0, 20)).toEqual([1, 2, 3, 5]);
    expect(found(6, 20)).toEqual([1, 3, 5]);
    expect(found(8, 12)).toEqual([3]);
    expect(found(10, 12)).toEqual([]);
    expect(found(5, 6)).toEqual([1, 2]);
    state.forgetBelow(8);
    expect(found(0, 20)).toEqual([3, 5]);
  });

  test("a coordinator or a producer of an older epoch cannot end a transaction", () => {
    const state = newState();
    state.append(batch({ isTransactional: true }), 0 as Offset, 0);
    state.end(marker({ coordinatorEpoch: 4 }), 1 as Offset, 0);
    expect(state.checkMarker(marker({ coordinatorEpoch: 3 }))?.reason).toBe("coordinator-fenced");
    for (const coordinatorEpoch of [4, 3]) {
      const refusal = state.checkMarker(marker({ coordinatorEpoch, producerEpoch: 1 }));
      expect(refusal?.reason).toBe("stale-producer-epoch");
    }
    expect(state.checkMarker(marker({ coordinatorEpoch: 4 }))).toBeUndefined();
  });

  test("under version 2 a marker of the open transaction's own epoch comes late, and the same again is a repetition", () => {
    const state = newState();
    const late = (fields: Partial<TransactionMarker>): string | undefined =>
      state.checkMarker(marker({ transactionVersion: 2, ...fields }))?.reason;
    expect(late({})).toBeUndefined(); // Nothing is known of the producer.
    state.append(batch({ isTransactional: true }), 0 as Offset, 0);
    expect(late({})).toBe("stale-producer-epoch");
    expect(state.checkMarker(marker({ transactionVersion: 1 }))).toBeUndefined();
    expect(late({ producerEpoch: 3 })).toBeUndefined();
    state.end(marker({ producerEpoch: 3 }), 1 as Offset, 0);
    expect(late({ producerEpoch: 3 })).toBeUndefined();
    expect(late({ producerEpoch: 2 })).toBe("stale-producer-epoch");
    const last = { producerEpoch: 2 ** 15 - 1 };
    state.append(batch({ ...last, isTransactional: true }), 2 as Offset, 0);
    expect(late(last)).toBeUndefined(); // There is no epoch after it.
  });
});

describe("bounds", () => {
  test("idle producers expire by wall clock, never with an open transaction", () => {
    const state = newState();
    state.append(batch({ producerId: 1, maxTimestamp: 5 }), 0 as Offset, 1000);
    state.append(batch({ producerId: 2, maxTimestamp: 9e12 }), 1 as Offset, 400);
    state.append(batch({ producerId: 3, isTransactional: true }), 2 as Offset, 1);
    expect(state.expire(500)).toBe(1);
    expect([...state.producers()].map((entry) => entry.producerId)).toEqual([1, 3]);
  });

  test("the least recently used give way, never with an open transaction", () => {
    const state = new ProducerState({ producersMax: 20 });
    for (let id = 0; id < 30; id += 1) {
      state.append(batch({ producerId: id, isTransactional: id === 0 }), id as Offset, id);
    }
    const ids = [...state.producers()].map((entry) => entry.producerId);
    expect(ids.length).toBeLessThanOrEqual(20);
    expect(ids).toContain(0);
    expect(ids).toContain(29);
    expect(ids).not.toContain(1);
  });
});

/** A client as the Java producer is: at most five in flight, resends what was not answered, network may repeat and reorder. */
test("a client that retries over a network that repeats and reorders leaves no gap and no duplicate", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: sequenceMax }),
      fc.array(fc.record({ pick: fc.nat(), records: fc.integer({ min: 1, max: 4 }), isLost: fc.boolean() }), {
        minLength: 1,
        maxLength: 200,
      }),
      (firstSequence, steps) => {
        const state = newState();
        const log: number[] = []; // Sequence of each record, by offset.
        const inFlight: { readonly base: number; readonly records: number; answered?: number }[] = [];
        let nextSequence = firstSequence;
        for (const step of steps) {
          if (inFlight.length < windowBatches) {
            inFlight.push({ base: nextSequence, records: step.records });
            nextSequence = (nextSequence + step.records) % (sequenceMax + 1);
          }
          const sent = inFlight[log.length === 0 ? 0 : step.pick % inFlight.length];
          if (sent === undefined) continue;
          const check = state.check(batch({ baseSequence: sent.base, records: sent.records }));
          if (check.kind === "refused") continue;
          const baseOffset = check.kind === "duplicate" ? check.baseOffset : log.length;
          if (check.kind === "next") {
            state.append(batch({ baseSequence: sent.base, records: sent.records }), log.length as Offset, 0);
            for (let index = 0; index < sent.records; index += 1) log.push((sent.base + index) % (sequenceMax + 1));
          }
          expect(sent.answered ?? baseOffset).toBe(baseOffset); // The same answer every time.
          sent.answered = baseOffset;
          // The answer may be lost; the client drops from its front only what it knows to be answered.
          if (!step.isLost) while (inFlight[0]?.answered !== undefined) inFlight.shift();
        }
        expect(log).toEqual(log.map((_, index) => (firstSequence + index) % (sequenceMax + 1)));
      },
    ),
    { numRuns: 300 },
  );
});
