// Proves: intervals say of every record what a naive model says that looks at one record at a time; no record is held by two members;
// every record ends accepted, rejected or at its delivery limit; what was written is enough to go on.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acknowledge } from "../../../src/coordinator/share/acknowledge.ts";
import { type AcquiredRange, type AcquireRequest, acquire } from "../../../src/coordinator/share/acquire.ts";
import {
  type AcknowledgeType,
  acknowledgeTypes,
  type DeliveryState,
  delivered,
  deliveries,
  isTerminal,
} from "../../../src/coordinator/share/delivery.ts";
import {
  advanceStart,
  type Change,
  completeCount,
  emptyInFlight,
  expireLocks,
  type InFlight,
  lengthOf,
  nextToAcquire,
  type Range,
  releaseMember,
  restoreInFlight,
  type Span,
} from "../../../src/coordinator/share/in-flight.ts";
import { overlay, type StateBatch } from "../../../src/coordinator/share/state-batches.ts";

const limit = 3;
const lockMs = 100;
const locksMax = 40;
const members = ["a", "b", "c"] as const;

interface ModelRecord {
  state: DeliveryState;
  count: number;
  owner: string | null;
  untilMs: number;
}

/** One record at a time, and the log beside it: a batch that is not delivered holds nothing for consumers. */
class Model {
  readonly records = new Map<number, ModelRecord>();
  readonly batches: { first: number; last: number; isDelivered: boolean }[] = [];
  readonly givenOut = new Map<number, number>();
  nowMs = 0;
  end = 0;
  state: InFlight = emptyInFlight(0);
  written: { start: number; batches: readonly StateBatch[] } = { start: 0, batches: [] };

  at(offset: number): ModelRecord {
    let record = this.records.get(offset);
    if (record === undefined) {
      record = { state: "available", count: 0, owner: null, untilMs: 0 };
      this.records.set(offset, record);
    }
    return record;
  }

  take(change: Change): void {
    this.state = change.state;
    const start = change.state.start;
    this.written = { start, batches: overlay(this.written.batches, change.changed.map(kept), start) };
  }

  check(): void {
    const { start, end, spans } = this.state;
    let next = start;
    for (const span of spans) {
      expect(span.first).toBe(next);
      expect(span.last).toBeGreaterThanOrEqual(span.first);
      expect(span.lock === null).toBe(span.state !== "acquired");
      for (let offset = span.first; offset <= span.last; offset += 1) {
        const record = this.at(offset);
        expect([offset, record.state, record.owner]).toEqual([offset, span.state, span.lock?.memberId ?? null]);
        if (!isTerminal(span.state)) expect(span.deliveryCount).toBe(record.count);
      }
      next = span.last + 1;
    }
    expect(next).toBe(end);
    this.checkOrigins();
    if (spans[0] !== undefined) expect(isTerminal(spans[0].state)).toBe(false);
    for (let offset = 0; offset < start; offset += 1) expect(isTerminal(this.at(offset).state)).toBe(true);
    const complete = spans.filter((span) => isTerminal(span.state)).reduce((sum, span) => sum + lengthOf(span), 0);
    expect(completeCount(this.state)).toBe(complete);
  }

  /** One after the other, each around its spans. */
  checkOrigins(): void {
    let before: Range | null = null;
    for (const { first, last, state, origin } of this.state.spans) {
      if (origin === null || isTerminal(state)) continue;
      expect([origin.first <= first, last <= origin.last]).toEqual([true, true]);
      if (before !== null && origin.first !== before.first) expect(origin.first).toBeGreaterThan(before.last);
      before = origin;
    }
  }
}

function kept({ first, last, state, deliveryCount }: Span): StateBatch {
  return { first, last, state, deliveryCount };
}

interface Step {
  run(model: Model): void;
}

const append = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 3 }), fc.boolean()).map(
  ([length, hole, isMarker]): Step => ({
    run: (model) => {
      const first = model.end + (hole === 3 ? 2 : 0);
      const isDelivered = !(isMarker && length === 1);
      model.batches.push({ first, last: first + length - 1, isDelivered });
      model.end = first + length;
    },
  }),
);

const give = fc
  .tuple(fc.constantFrom(...members), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 6 }), fc.boolean())
  .map(
    ([memberId, recordsMax, batchSize, isRecordLimited]): Step => ({
      run: (model) => {
        const from = nextToAcquire(model.state);
        const batches = model.batches.filter(({ last }) => last >= from).slice(0, 4);
        const untilMs = model.nowMs + lockMs;
        const before = model.state;
        const result = acquire(before, {
          memberId,
          untilMs,
          from,
          batches,
          recordsMax,
          batchSize,
          isRecordLimited,
          locksMax,
          deliveryCountLimit: limit,
        });
        let taken = 0;
        for (const range of result.ranges) {
          for (let offset = range.first; offset <= range.last; offset += 1) {
            const record = model.at(offset);
            expect(record.state).toBe("available");
            expect(model.batches.some((each) => each.isDelivered && each.first <= offset && offset <= each.last)).toBe(
              true,
            );
            Object.assign(record, { state: "acquired", count: record.count + 1, owner: memberId, untilMs });
            expect(range.deliveryCount).toBe(record.count);
            expect(record.count).toBeLessThanOrEqual(limit);
            model.givenOut.set(offset, (model.givenOut.get(offset) ?? 0) + 1);
            taken += 1;
          }
        }
        if (isRecordLimited) expect(taken).toBeLessThanOrEqual(recordsMax);
        for (const span of result.state.spans) {
          for (let offset = span.first; offset <= span.last; offset += 1) vanishAt(model, offset, span.state);
        }
        for (let offset = before.start; offset < result.state.start; offset += 1) vanishAt(model, offset, "archived");
        const hasWork = batches.some(({ last, isDelivered }) => isDelivered && last >= from);
        if (hasWork && before.end - before.start < locksMax) expect(taken > 0 || result.state !== before).toBe(true);
        model.take(result);
      },
    }),
  );

/** What the log does not hold is archived, and only that. */
function vanishAt(model: Model, offset: number, state: DeliveryState): void {
  const record = model.at(offset);
  if (state !== "archived" || record.state !== "available") return;
  expect(model.batches.some((each) => each.isDelivered && each.first <= offset && offset <= each.last)).toBe(false);
  record.state = "archived";
}

const answer = fc
  .tuple(
    fc.constantFrom(...members),
    fc.integer({ min: 0, max: 60 }),
    fc.array(fc.constantFrom(...acknowledgeTypes), { minLength: 1, maxLength: 6 }),
    fc.boolean(),
    fc.integer({ min: 0, max: 8 }),
  )
  .map(
    ([memberId, at, types, isWhole, length]): Step => ({
      run: (model) => {
        const held = model.state.spans.filter((span) => span.lock?.memberId === memberId);
        const span = held[at % Math.max(1, held.length)];
        const first = span !== undefined && isWhole ? span.first : at;
        const last = span !== undefined && isWhole ? span.last : first + length;
        const all: readonly AcknowledgeType[] = isWhole ? types.slice(0, 1) : [];
        const each =
          all.length > 0
            ? all
            : Array.from({ length: last - first + 1 }, (_, index) => types[index % types.length] as AcknowledgeType);
        const { start, end } = model.state;
        const result = acknowledge(model.state, {
          memberId,
          batches: [{ first, last, types: each }],
          nowMs: model.nowMs,
          renewedUntilMs: model.nowMs + lockMs,
          deliveryCountLimit: limit,
        });
        if (last < start) {
          expect(result.kind).toBe("done");
          return;
        }
        if (last >= end) {
          expect(result.kind).toBe("not-given-out");
          return;
        }
        const offsets = Array.from({ length: last - first + 1 }, (_, index) => first + index).filter((o) => o >= start);
        const isHeld = offsets.every((o) => model.at(o).owner === memberId && model.at(o).untilMs > model.nowMs);
        expect(result.kind).toBe(isHeld ? "done" : "not-held");
        if (result.kind !== "done") return;
        for (const offset of offsets) {
          const type = each.length === 1 ? (each[0] as AcknowledgeType) : (each[offset - first] as AcknowledgeType);
          const record = model.at(offset);
          const state = delivered({ state: record.state, deliveryCount: record.count }, type, limit) as DeliveryState;
          if (state === "acquired") record.untilMs = model.nowMs + lockMs;
          else Object.assign(record, { state, owner: null });
        }
        model.take(result);
      },
    }),
  );

function goBack(model: Model, isMeant: (record: ModelRecord) => boolean): void {
  for (const record of model.records.values()) {
    if (record.state !== "acquired" || !isMeant(record)) continue;
    Object.assign(record, { state: record.count >= limit ? "archived" : "available", owner: null });
  }
}

const leave = fc.constantFrom(...members).map(
  (memberId): Step => ({
    run: (model) => {
      goBack(model, ({ owner }) => owner === memberId);
      model.take(releaseMember(model.state, memberId, limit));
    },
  }),
);

const wait = fc.integer({ min: 1, max: 2 * lockMs }).map(
  (ms): Step => ({
    run: (model) => {
      model.nowMs += ms;
      goBack(model, ({ untilMs }) => untilMs <= model.nowMs);
      model.take(expireLocks(model.state, model.nowMs, limit));
    },
  }),
);

const trim = fc.integer({ min: 0, max: 5 }).map(
  (by): Step => ({
    run: (model) => {
      const logStart = Math.min(model.end, model.state.start + by);
      for (let offset = 0; offset < logStart; offset += 1) {
        const record = model.at(offset);
        if (!isTerminal(record.state)) Object.assign(record, { state: "archived", owner: null });
      }
      model.take({ state: advanceStart(model.state, logStart), changed: [] });
    },
  }),
);

/** Locks are of the moment, and so is what was given out and not answered: it is given out again, under the count that was written. */
const restart = fc.constant<Step>({
  run: (model) => {
    const { start, batches } = model.written;
    for (let offset = start; offset < model.end; offset += 1) {
      const record = model.at(offset);
      const said = batches.find(({ first, last }) => first <= offset && offset <= last);
      if (isTerminal(record.state)) expect(said?.state ?? "archived").toBe(record.state);
      else Object.assign(record, { state: "available", owner: null, count: said?.deliveryCount ?? 0 });
      if (said?.state === "available") expect(said.deliveryCount).toBeLessThan(limit);
    }
    model.state = restoreInFlight(start, batches);
  },
});

const steps = fc.array(fc.oneof(append, append, give, give, give, answer, answer, leave, wait, trim, restart), {
  minLength: 1,
  maxLength: 60,
});

describe("records in flight", () => {
  test("every state answers every event, and done is done", () => {
    for (const [state, events] of Object.entries(deliveries)) {
      expect(Object.keys(events)).toHaveLength(8);
      if (!isTerminal(state as DeliveryState)) continue;
      expect(Object.values(events).every((outcome) => outcome === "refused" || outcome === state)).toBe(true);
    }
  });

  test("intervals agree with the naive model", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const model = new Model();
        for (const step of script) {
          step.run(model);
          model.check();
        }
      }),
      { numRuns: 400 },
    );
  });

  test("a group that keeps asking is done with every record, each at most as often as the limit", () => {
    fc.assert(
      fc.property(steps, fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 }), (script, moods) => {
        const model = new Model();
        for (const step of script) step.run(model);
        for (let round = 0; model.state.start < model.end; round += 1) {
          expect(round).toBeLessThan(2000);
          const from = nextToAcquire(model.state);
          const batches = model.batches.filter(({ last }) => last >= from).slice(0, 3);
          const got = acquire(model.state, {
            memberId: "a",
            untilMs: model.nowMs + lockMs,
            from,
            batches,
            recordsMax: 5,
            batchSize: 5,
            locksMax,
            isRecordLimited: round % 2 === 0,
            deliveryCountLimit: limit,
          });
          model.state = got.state;
          for (const [at, { first, last }] of got.ranges.entries()) {
            const types = [acknowledgeTypes[moods[(at + round) % moods.length] as number] as AcknowledgeType];
            const batch = [{ first, last, types }];
            const request = { memberId: "a", batches: batch, nowMs: model.nowMs, renewedUntilMs: undefined };
            const result = acknowledge(model.state, { ...request, deliveryCountLimit: limit });
            expect(result.kind).toBe("done");
            if (result.kind === "done") model.state = result.state;
          }
          if (got.ranges.length > 0) continue;
          model.nowMs += lockMs; // What others hold comes back.
          model.state = expireLocks(model.state, model.nowMs, limit).state;
          const atLog = model.batches.at(-1);
          if (atLog === undefined || model.state.start > atLog.last) break;
        }
        expect(model.state.start).toBeGreaterThanOrEqual(model.batches.at(-1)?.last ?? 0);
      }),
      { numRuns: 200 },
    );
  });

  describe("a record that fails often", () => {
    /** A member that asks for all of a log, and cannot process any of it. */
    function failing(batches: readonly Range[], asked: Partial<AcquireRequest> = {}) {
      let state: InFlight = emptyInFlight(0);
      const deliveryCountLimit = asked.deliveryCountLimit ?? 10;
      const take = (): readonly AcquiredRange[] => {
        const from = nextToAcquire(state);
        const got = acquire(state, {
          memberId: "a",
          untilMs: 10,
          from,
          recordsMax: 1000,
          batchSize: 1000,
          isRecordLimited: false,
          locksMax: 2000,
          batches: batches.filter(({ last }) => last >= from).map((batch) => ({ ...batch, isDelivered: true })),
          ...asked,
          deliveryCountLimit,
        });
        state = got.state;
        return got.ranges;
      };
      const release = (): void => {
        state = releaseMember(state, "a", deliveryCountLimit).state;
      };
      const restart = (): void => {
        state = restoreInFlight(state.start, state.spans.map(kept));
      };
      /** Records in each of the next deliveries, each given back at once. */
      const deliveries = (count: number): readonly number[] =>
        Array.from({ length: count }, () => {
          const records = take().reduce((sum, range) => sum + lengthOf(range), 0);
          release();
          return records;
        });
      return { take, release, restart, deliveries, inFlight: () => state };
    }

    test("comes with ever fewer of those with which it was first given out, and alone at last", () => {
      const log = failing([{ first: 0, last: 511 }]);
      expect(log.deliveries(10)).toEqual([512, 512, 512, 512, 512, 256, 128, 64, 32, 1]);
      // Of the first 32 each alone; the next 32 once more in their number, before each of them is alone too.
      expect(log.deliveries(31)).toEqual(Array(31).fill(1));
      expect(log.deliveries(33)).toEqual([32, ...Array(32).fill(1)]);
      expect(log.deliveries(1)).toEqual([64]);
    });

    test("is delivered as often as the limit, as every other of its batch", () => {
      const log = failing([{ first: 0, last: 499 }]);
      const counts = new Map<number, number>();
      for (let ranges = log.take(); ranges.length > 0; ranges = log.take()) {
        for (const { first, last } of ranges)
          for (let offset = first; offset <= last; offset += 1) counts.set(offset, (counts.get(offset) ?? 0) + 1);
        log.release();
      }
      expect(counts.size).toBe(500);
      expect(new Set(counts.values())).toEqual(new Set([10]));
    });

    test("waits for a delivery of its own when others have been taken already, and lets none follow", () => {
      const log = failing(
        [
          { first: 0, last: 3 },
          { first: 4, last: 7 },
          { first: 8, last: 11 },
        ],
        { batchSize: 4, deliveryCountLimit: 5 },
      );
      log.take();
      expect(log.inFlight().spans.map(({ origin }) => origin)).toEqual(
        [0, 4, 8].map((first) => ({ first, last: first + 3 })),
      );
      const { spans, ...window } = log.inFlight();
      const counts = [1, 3, 1];
      const failed = { ...window, spans: spans.map((span, at) => ({ ...span, deliveryCount: counts[at] as number })) };
      expect(failed.spans).toHaveLength(3);
      const state = releaseMember(failed, "a", 5).state;
      const request = {
        memberId: "a",
        untilMs: 10,
        recordsMax: 1000,
        batchSize: 4,
        isRecordLimited: false,
        locksMax: 2000,
        deliveryCountLimit: 5,
        batches: [0, 4, 8].map((first) => ({ first, last: first + 3, isDelivered: true })),
      };
      const healthy = acquire(state, { ...request, from: 0 });
      expect(healthy.ranges).toEqual([{ first: 0, last: 3, deliveryCount: 2 }]);
      const suspect = acquire(healthy.state, { ...request, from: 4 });
      expect(suspect.ranges).toEqual([{ first: 4, last: 5, deliveryCount: 4 }]);
    });

    test("is counted among the whole batch of the log where records are counted", () => {
      const log = failing([{ first: 0, last: 99 }], { isRecordLimited: true, recordsMax: 80, deliveryCountLimit: 5 });
      // The others of the batch are none that failed: they are taken with it until it has failed often.
      expect(log.deliveries(4)).toEqual([80, 80, 80, 50]);
    });

    test("is counted among what was written of it after a restart", () => {
      const log = failing([{ first: 0, last: 99 }], { deliveryCountLimit: 10 });
      log.deliveries(6);
      log.restart();
      expect(log.inFlight().spans.map(({ first, last, deliveryCount }) => [first, last, deliveryCount])).toEqual([
        [0, 49, 6],
        [50, 99, 5],
      ]);
      expect(log.deliveries(1)).toEqual([12]); // A quarter of 50.
    });
  });

  test("what was given out together comes again together, whatever the limits say then", () => {
    const batches = [0, 10, 20].map((first) => ({ first, last: first + 9, isDelivered: true }));
    const request = {
      memberId: "a",
      untilMs: 10,
      from: 0,
      batches,
      batchSize: 500,
      isRecordLimited: false,
      locksMax: 2000,
      deliveryCountLimit: 5,
    };
    const given = acquire(emptyInFlight(0), { ...request, recordsMax: 15 });
    const again = acquire(releaseMember(given.state, "a", 5).state, { ...request, recordsMax: 1 });
    expect(again.ranges).toEqual([{ first: 0, last: 19, deliveryCount: 2 }]);
  });

  test("whole batches are given, and ranges cut at them, unless records are counted", () => {
    const batches = [0, 10, 20, 30].map((first) => ({ first, last: first + 9, isDelivered: true }));
    const request = {
      memberId: "a",
      untilMs: 10,
      from: 0,
      batches,
      recordsMax: 25,
      batchSize: 15,
      locksMax: 2000,
      deliveryCountLimit: 5,
    };
    const whole = acquire(emptyInFlight(0), { ...request, isRecordLimited: false });
    expect(whole.ranges.map(({ first, last }) => [first, last])).toEqual([
      [0, 19],
      [20, 29],
    ]);
    const counted = acquire(emptyInFlight(0), { ...request, isRecordLimited: true });
    expect(counted.ranges.map(({ first, last }) => [first, last])).toEqual([[0, 24]]);
  });
});
