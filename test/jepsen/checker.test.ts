/** Proves: the checker finds each anomaly that is planted in a history, and nothing in the history beside it that lacks it. */
import { describe, expect, test } from "vitest";
import { type Anomaly, judge } from "./checker.ts";
import { knots } from "./cycles.ts";
import type { History, Operation, Outcome, Poll, Read, Send } from "./history.ts";

let tick = 0;

const send = (key: number, offset: number | undefined, ...values: readonly string[]): Send => ({
  kind: "send",
  key,
  values,
  offset,
  begun: (tick += 1),
  ended: (tick += 1),
});

/** Reads from the first offset on; the marks are past all offsets of these tests unless others are given. */
function poll(key: number, reads: Readonly<Record<number, string>>, marks: Partial<Poll> = {}): Poll {
  const list: Read[] = Object.entries(reads).map(([offset, value]) => ({ offset: Number(offset), value }));
  const span = { begun: (tick += 1), ended: (tick += 1) };
  return {
    kind: "poll",
    key,
    from: list[0]?.offset ?? 1,
    reads: list,
    highWatermark: 10,
    lastStable: 10,
    ...span,
    ...marks,
  };
}

function operation(
  kind: Operation["kind"],
  process: number,
  outcome: Outcome,
  ...steps: Operation["steps"]
): Operation {
  return { kind, process, outcome, steps };
}

const txn = (process: number, outcome: Outcome, ...steps: Operation["steps"]) =>
  operation("txn", process, outcome, ...steps);
const sent = (process: number, outcome: Outcome, one: Send) => operation("send", process, outcome, one);
const polled = (process: number, one: Poll) => operation("poll", process, "ok", one);
const final = (...steps: readonly Poll[]) => operation("final", 99, "ok", ...steps);
const assigned = (process: number) => operation("assign", process, "ok");

function anomalies(history: History): readonly Anomaly[] {
  return [...new Set(judge(history).violations.map(({ anomaly }) => anomaly))];
}

interface Pair {
  readonly planted: () => History;
  readonly sound: () => History;
}

const pairs: Readonly<Record<Anomaly, Pair>> = {
  "inconsistent-offsets": {
    planted: () => [
      sent(1, "info", send(0, undefined, "b")),
      sent(2, "ok", send(0, 5, "a")),
      polled(3, poll(0, { 5: "b" })),
      polled(3, poll(0, { 5: "a" })),
    ],
    sound: () => [sent(2, "ok", send(0, 5, "a")), polled(3, poll(0, { 5: "a" })), polled(4, poll(0, { 5: "a" }))],
  },
  duplicate: {
    planted: () => [sent(1, "ok", send(0, 5, "a")), polled(2, poll(0, { 5: "a", 6: "a" }))],
    sound: () => [
      sent(1, "ok", send(0, 5, "a")),
      sent(1, "ok", send(0, 6, "b")),
      polled(2, poll(0, { 5: "a", 6: "b" })),
    ],
  },
  "lost-write": {
    planted: () => [sent(1, "ok", send(0, 5, "a")), sent(2, "ok", send(0, 6, "b")), polled(3, poll(0, { 6: "b" }))],
    sound: () => [sent(1, "ok", send(0, 5, "a")), sent(2, "ok", send(0, 6, "b")), polled(3, poll(0, { 5: "a" }))],
  },
  unseen: {
    planted: () => [sent(1, "ok", send(0, 5, "a")), final(poll(0, {}, { highWatermark: 6 }))],
    sound: () => [sent(1, "ok", send(0, 5, "a")), sent(2, "info", send(0, undefined, "b")), final(poll(0, { 5: "a" }))],
  },
  G1a: {
    planted: () => [txn(1, "fail", send(0, 5, "a")), polled(2, poll(0, { 5: "a" }))],
    sound: () => [txn(1, "fail", send(0, 5, "a")), txn(1, "ok", send(0, 7, "b")), polled(2, poll(0, { 7: "b" }))],
  },
  phantom: {
    planted: () => [polled(2, poll(0, { 5: "a" }))],
    sound: () => [sent(1, "info", send(0, undefined, "a")), polled(2, poll(0, { 5: "a" }))],
  },
  "precommitted-read": {
    planted: () => [txn(1, "ok", send(0, 5, "a"), poll(0, { 5: "a" }))],
    sound: () => [txn(1, "ok", send(0, 5, "a")), txn(1, "ok", poll(0, { 5: "a" }))],
  },
  "poll-skip": {
    planted: () => [
      sent(1, "ok", send(0, 5, "a", "b", "c")),
      polled(2, poll(0, { 5: "a" })),
      polled(2, poll(0, { 7: "c" })),
      polled(3, poll(0, { 6: "b" })),
    ],
    sound: () => [
      sent(1, "ok", send(0, 5, "a", "b", "c")),
      polled(2, poll(0, { 5: "a" })),
      assigned(2),
      polled(2, poll(0, { 7: "c" })),
      polled(3, poll(0, { 6: "b" })),
    ],
  },
  "nonmonotonic-poll": {
    planted: () => [
      sent(1, "ok", send(0, 5, "a", "b")),
      polled(2, poll(0, { 5: "a", 6: "b" })),
      polled(2, poll(0, { 6: "b" })),
    ],
    sound: () => [
      sent(1, "ok", send(0, 5, "a", "b")),
      polled(2, poll(0, { 5: "a", 6: "b" })),
      polled(3, poll(0, { 6: "b" })),
    ],
  },
  "nonmonotonic-send": {
    planted: () => [sent(1, "ok", send(0, 6, "a")), sent(1, "ok", send(0, 5, "b"))],
    sound: () => [sent(1, "ok", send(0, 5, "a")), sent(2, "ok", send(0, 7, "b")), sent(1, "ok", send(0, 6, "c"))],
  },
  torn: {
    planted: () => [txn(1, "info", send(0, 5, "a"), send(1, undefined, "b")), final(poll(0, { 5: "a" }), poll(1, {}))],
    sound: () => [txn(1, "info", send(0, 5, "a"), send(1, 3, "b")), final(poll(0, { 5: "a" }), poll(1, { 3: "b" }))],
  },
  "watermark-back": {
    planted: () => [
      polled(1, poll(0, {}, { highWatermark: 9, lastStable: 7 })),
      polled(2, poll(0, {}, { highWatermark: 9, lastStable: 6 })),
    ],
    sound: () => {
      const late = poll(0, {}, { highWatermark: 9, lastStable: 7 });
      return [polled(1, late), polled(2, poll(0, {}, { highWatermark: 8, lastStable: 6, begun: late.ended - 0.5 }))];
    },
  },
  "stale-watermark": {
    planted: () => [sent(1, "ok", send(0, 5, "a")), polled(2, poll(0, {}, { highWatermark: 5, lastStable: 5 }))],
    sound: () => {
      const begun = (tick += 1);
      return [sent(1, "ok", send(0, 5, "a")), polled(2, poll(0, {}, { highWatermark: 5, lastStable: 5, begun }))];
    },
  },
  "producer-epoch": {
    planted: () => [sent(1, "ok", send(0, 5, "a", "b")), final(epochs(2, 1))],
    sound: () => [sent(1, "ok", send(0, 5, "a", "b")), final(epochs(1, 2))],
  },
  "input-lost": {
    planted: () => [
      sent(1, "ok", send(0, 5, "a", "b")),
      txn(2, "ok", send(1, 0, "x<a")),
      final(poll(0, { 5: "a", 6: "b" }), poll(1, { 0: "x<a" })),
    ],
    sound: () => [
      sent(1, "ok", send(0, 5, "a", "b")),
      txn(2, "ok", send(1, 0, "x<a", "y<b")),
      final(poll(0, { 5: "a", 6: "b" }), poll(1, { 0: "x<a", 1: "y<b" })),
    ],
  },
  "input-twice": {
    planted: () => [
      sent(1, "ok", send(0, 5, "a")),
      txn(2, "ok", send(1, 0, "x<a", "y<a")),
      final(poll(0, { 5: "a" }), poll(1, { 0: "x<a", 1: "y<a" })),
    ],
    sound: () => [
      sent(1, "ok", send(0, 5, "a")),
      txn(2, "fail", send(1, 0, "x<a")),
      txn(2, "ok", send(1, 2, "y<a")),
      final(poll(0, { 5: "a" }), poll(1, { 2: "y<a" })),
    ],
  },
  unexpected: {
    planted: () => [
      { ...sent(1, "fail", send(0, undefined, "a")), unexpected: "produce: OUT_OF_ORDER_SEQUENCE_NUMBER" },
    ],
    sound: () => [sent(1, "fail", send(0, undefined, "a"))],
  },
  G1c: {
    planted: () => [
      txn(1, "ok", send(0, 5, "a"), poll(1, { 3: "b" })),
      txn(2, "ok", send(1, 3, "b"), poll(0, { 5: "a" })),
    ],
    sound: () => [
      txn(1, "ok", send(0, 5, "a")),
      txn(2, "ok", send(1, 3, "b"), poll(0, { 5: "a" })),
      txn(1, "ok", poll(1, { 3: "b" })),
    ],
  },
};

function epochs(...producerEpochs: readonly number[]): Poll {
  const { reads, ...rest } = poll(0, { 5: "a", 6: "b" });
  return {
    ...rest,
    reads: reads.map((read, at) => ({ ...read, producerId: 1, producerEpoch: producerEpochs[at] as number })),
  };
}

describe.each(Object.entries(pairs))("%s", (anomaly, { planted, sound }) => {
  test("is found", () => {
    expect(anomalies(planted())).toContain(anomaly);
  });

  test("is not found where it is not", () => {
    expect(anomalies(sound())).toEqual([]);
  });
});

describe("what Kafka allows is counted, not condemned", () => {
  test("two transactions that write past each other (G0)", () => {
    const verdict = judge([
      txn(1, "ok", send(0, 5, "a"), send(1, 4, "b")),
      txn(2, "ok", send(0, 6, "c"), send(1, 3, "d")),
      polled(3, poll(0, { 5: "a", 6: "c" })),
    ]);
    expect(verdict.violations).toEqual([]);
    expect(verdict.allowed).toEqual({ G0: 1, "G1c-with-ww": 1, "G-single": 0, G1b: 0 });
  });

  test("a read of what follows one's own write (G1c over ww)", () => {
    const verdict = judge([
      txn(1, "ok", send(0, 5, "a"), poll(1, { 3: "b" })),
      txn(2, "ok", send(0, 6, "c"), send(1, 3, "b")),
    ]);
    expect(verdict.violations).toEqual([]);
    expect(verdict.allowed).toMatchObject({ G0: 0, "G1c-with-ww": 1 });
  });

  test("a transaction seen in one key and not yet in another (G-single)", () => {
    const verdict = judge([
      txn(1, "ok", send(0, 0, "a")),
      txn(2, "ok", send(0, 1, "b"), send(1, 0, "c")),
      txn(3, "ok", poll(0, { 0: "a" }), poll(1, { 0: "c" })),
    ]);
    expect(verdict.violations).toEqual([]);
    expect(verdict.allowed).toMatchObject({ "G-single": 1 });
  });

  test("a transaction seen up to where another one stands open (G1b)", () => {
    const verdict = judge([
      txn(1, "ok", send(0, 0, "a"), send(0, 2, "c")),
      txn(2, "info", send(0, 1, "b")),
      polled(3, poll(0, { 0: "a" }, { highWatermark: 4, lastStable: 1 })),
    ]);
    expect(verdict.violations).toEqual([]);
    expect(verdict.allowed).toMatchObject({ G1b: 1 });
  });
});

describe("knots", () => {
  const graph = (...edges: readonly (readonly [number, number])[]) =>
    new Map([...Map.groupBy(edges, ([from]) => from)].map(([from, list]) => [from, new Set(list.map(([, to]) => to))]));

  test("are the circles, each with all that is in it", () => {
    const found = knots(graph([1, 2], [2, 3], [3, 1], [3, 4], [4, 5], [5, 4], [6, 1]));
    expect(found.map((knot) => knot.toSorted((a, b) => a - b))).toEqual([
      [4, 5],
      [1, 2, 3],
    ]);
  });

  test("are none in a chain, however long", () => {
    expect(knots(graph(...Array.from({ length: 100_000 }, (_, at) => [at, at + 1] as const)))).toEqual([]);
  });
});
