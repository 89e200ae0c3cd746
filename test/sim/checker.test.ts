/** Proves: each anomaly is found when it is there, and its nearest lawful neighbour is not taken for it. */
import { expect, test } from "vitest";
import { type Anomaly, check } from "./checker.ts";
import type { FinalState, Flush, GroupOffset, Poll, RecordsDeleted, Send, TopicCreated } from "./history.ts";

type Judged = Parameters<typeof check>[0];

const p = "t-0";

/** Two acked records, polled and in the table: nothing is wrong with it. */
function lawful(): { -readonly [Name in keyof Judged]: Judged[Name] } {
  return {
    sends: [send(["a"], 0, { begun: 1, ended: 2 }), send(["b"], 1, { begun: 3, ended: 4 })],
    polls: [poll(0, ["a", "b"], { begun: 5, ended: 6 })],
    groupOffsets: [],
    deletions: [],
    topics: [],
    flushes: [flush(2, { begun: 7, ended: 8 })],
    final: final(["a", "b"]),
  };
}

function send(values: readonly string[], offset: number, over: Partial<Send> = {}): Send {
  return { producer: "one", partition: p, values, outcome: "acked", offset, begun: 1, ended: 2, ...over };
}

function poll(from: number, values: readonly string[], over: Partial<Poll> = {}): Poll {
  const records = values.map((value, index) => ({ offset: from + index, value }));
  const end = from + values.length;
  const marks = { logStart: 0, lastStable: over.highWatermark ?? end, highWatermark: end };
  return { consumer: "c", partition: p, from, records, ...marks, begun: 5, ended: 6, ...over };
}

function groupOffset(offset: number, outcome: GroupOffset["outcome"], begun: number, ended = begun + 1): GroupOffset {
  return { group: "g", partition: p, offset, outcome, begun, ended };
}

function deletion(
  before: number,
  outcome: RecordsDeleted["outcome"],
  over: Partial<RecordsDeleted> = {},
): RecordsDeleted {
  return { partition: p, before, outcome, begun: 9, ended: 10, ...over };
}

function topic(outcome: TopicCreated["outcome"]): TopicCreated {
  return { topic: "u", outcome, begun: 1, ended: 2 };
}

function flush(to: number, over: Partial<Flush> = {}): Flush {
  return { committedTo: new Map([[p, to]]), begun: 7, ended: 8, ...over };
}

/** The log from `start` on, and all of it in the table. */
function final(values: readonly string[], start = 0, over: Partial<FinalState> = {}): FinalState {
  const records = values.map((value, index) => ({ offset: index, value }));
  const end = values.length;
  return {
    logs: new Map([[p, { logStart: start, highWatermark: end, records: records.slice(start) }]]),
    topics: new Set(["t"]),
    retained: new Set(),
    compacted: new Set(),
    objects: { missing: [], unknown: [] },
    table: table(records, end),
    ...over,
  };
}

function table(
  records: readonly { readonly offset: number; readonly value: string }[],
  to: number,
): FinalState["table"] {
  const rows = records.map((record) => ({ partition: p, ...record }));
  return { partitions: [p], committedTo: new Map([[p, to]]), rows };
}

const twoRows = [
  { offset: 0, value: "a" },
  { offset: 1, value: "b" },
];

/** What is changed in the lawful history: so that the anomaly is there, and so that it only looks like it. */
const cases: Readonly<Record<Anomaly, readonly [fires: Partial<Judged>, passes: Partial<Judged>]>> = {
  "inconsistent-offsets": [
    { polls: [poll(0, ["a"]), poll(0, ["b"])] },
    { polls: [poll(0, ["a", "b"]), poll(0, ["a", "b"])] }, // Read twice, by two consumers.
  ],
  duplicate: [
    { final: final(["a", "b", "a"]) },
    { polls: [poll(0, ["a", "b"]), poll(0, ["a", "b"], { begun: 7, ended: 8 })] },
  ],
  lost: [
    { final: final(["a"]) },
    { sends: [send(["a"], 0), send(["b"], -1, { outcome: "unknown" })], polls: [], flushes: [], final: final(["a"]) },
  ],
  misplaced: [
    { final: final(["b", "a"]) },
    { deletions: [deletion(1, "acked")], final: final(["a", "b"], 1) }, // What was deleted is nowhere.
  ],
  unseen: [
    { final: final(["a", "b"], 0, { logs: new Map([[p, { logStart: 0, highWatermark: 3, records: twoRows }]]) }) },
    { deletions: [deletion(2, "acked")], final: final(["a", "b"], 2) },
  ],
  phantom: [
    { polls: [poll(0, ["a", "b", "c"])], final: final(["a", "b", "c"]) },
    {
      sends: [send(["a"], 0), send(["b"], 1), send(["c"], -1, { outcome: "unknown" })],
      final: final(["a", "b", "c"]),
    },
  ],
  "refused-read": [
    { sends: [send(["a"], 0), send(["b"], -1, { outcome: "refused" })] },
    { sends: [send(["a"], 0), send(["b"], -1, { outcome: "unknown" })] },
  ],
  order: [
    { sends: [send(["b"], 1), send(["a"], 0)] },
    { sends: [send(["b"], 1, { producer: "two" }), send(["a"], 0)] }, // Two producers have no order between them.
  ],
  "poll-skip": [
    { polls: [poll(0, ["a"], { records: [{ offset: 1, value: "b" }], highWatermark: 2 })] },
    { polls: [poll(1, ["b"])] },
  ],
  watermark: [
    { polls: [poll(0, ["a", "b"]), poll(0, ["a"], { begun: 7, ended: 8 })] },
    { polls: [poll(0, ["a", "b"]), poll(0, ["a"], { begun: 4, ended: 7 })] }, // Side by side: either may be first.
  ],
  "log-start": [
    { deletions: [deletion(1, "acked", { begun: 3, ended: 4 })] },
    { deletions: [deletion(1, "unknown", { ended: Number.POSITIVE_INFINITY })] },
  ],
  "group-offset": [
    { groupOffsets: [groupOffset(2, "acked", 1), groupOffset(1, "unknown", 0), groupOffset(1, "read", 5)] },
    { groupOffsets: [groupOffset(2, "acked", 4, 9), groupOffset(1, "acked", 1), groupOffset(1, "read", 5)] },
  ],
  "topic-lost": [{ topics: [topic("acked")] }, { topics: [topic("unknown")] }],
  "object-missing": [
    { final: final(["a", "b"], 0, { objects: { missing: ["x"], unknown: [] } }) },
    { final: final(["a", "b"]) },
  ],
  garbage: [
    { final: final(["a", "b"], 0, { objects: { missing: [], unknown: ["x"] } }) },
    { final: final(["a", "b"]) },
  ],
  "table-missing": [
    { final: final(["a", "b"], 0, { table: table(twoRows.slice(1), 2) }) },
    {
      deletions: [deletion(1, "acked")],
      final: final(["a", "b"], 1, { table: table(twoRows.slice(1), 2) }),
    },
  ],
  "table-twice": [
    { final: final(["a", "b"], 0, { table: table([...twoRows, { offset: 1, value: "b" }], 2) }) },
    { final: final(["a", "b"]) },
  ],
  "table-foreign": [
    {
      final: final(["a", "b"], 0, {
        table: table(
          [
            { offset: 0, value: "z" },
            { offset: 1, value: "b" },
          ],
          2,
        ),
      }),
    },
    { polls: [], deletions: [deletion(2, "acked")], final: final(["z", "b"], 2) }, // Deleted before anybody read it.
  ],
  flush: [
    { flushes: [flush(1)] },
    {
      flushes: [flush(1, { begun: 3, ended: 4 }), flush(2)],
      sends: [send(["a"], 0), send(["b"], 1, { begun: 3, ended: 5 })],
    },
  ],
};

test("a lawful history has no anomaly", () => {
  expect(check(lawful())).toEqual([]);
});

test.each(Object.entries(cases))("%s is found, and its neighbour is not", (anomaly, [fires, passes]) => {
  expect(check({ ...lawful(), ...fires }).map((each) => each.anomaly)).toContain(anomaly);
  expect(check({ ...lawful(), ...passes })).toEqual([]);
});

/** The same anomaly in its other shapes. */
const more: readonly (readonly [Anomaly, string, Partial<Judged>])[] = [
  ["lost", "a consumer was shown what is gone", { sends: [], flushes: [], final: final(["a"]) }],
  ["watermark", "an acked record is beyond it", { polls: [poll(0, ["a"], { begun: 5, ended: 6 })] }],
  ["watermark", "a record beyond it is shown", { polls: [poll(0, ["a", "b"], { highWatermark: 1 })] }],
  ["watermark", "it is above what is stable", { polls: [poll(0, ["a", "b"], { lastStable: 1 })] }],
  ["log-start", "nobody deleted anything", { final: final(["a", "b"], 1) }],
  [
    "log-start",
    "retention passed the table",
    {
      final: final(["a", "b"], 2, { retained: new Set([p]), table: table(twoRows.slice(0, 1), 1) }),
      flushes: [flush(1)],
    },
  ],
  ["group-offset", "nobody committed it", { groupOffsets: [groupOffset(3, "read", 5)] }],
  ["table-missing", "retention took what the table lacks", { final: final(["a", "b"], 1, { table: table([], 2) }) }],
  [
    "table-foreign",
    "a row is beyond what the table claims",
    { final: final(["a", "b"], 0, { table: table(twoRows, 1) }) },
  ],
  ["flush", "a later one held less", { flushes: [flush(2), flush(1, { begun: 9, ended: 10 })] }],
];

test.each(more)("%s is found when %s", (anomaly, _, changes) => {
  expect(check({ ...lawful(), ...changes }).map((each) => each.anomaly)).toContain(anomaly);
});

test("retention may take what the table holds", () => {
  expect(check({ ...lawful(), final: final(["a", "b"], 2, { retained: new Set([p]) }) })).toEqual([]);
});
