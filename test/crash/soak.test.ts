/** Proves: a soak's readers find what is lost, doubled, out of order or altered, and its figures are those of their samples. */
import { expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import { patchBatch } from "../../src/protocol/record-batch.ts";
import { slopeOf, Times } from "./soak-figures.ts";
import { lostToRetention } from "./soak-plan.ts";
import { checkRead, type Lane, soakBatch } from "./soak-records.ts";

const policies = { retentionMs: -1, retentionBytes: -1, acked: 0, marks: [] };
const lane: Lane = { topic: "t", partition: 1, keys: 0, ...policies };
const compacted: Lane = { ...lane, keys: 3 };
const by = { producerId: 7, producerEpoch: 0 };

/** A batch of the sequences from `from` on, stored at the offset. */
function stored(of: Lane, from: number, count: number, at = from): Uint8Array {
  const batch = soakBatch(of, from, count, 1_000, by);
  patchBatch(batch, { baseOffset: at as Offset, leaderEpoch: 0 });
  return batch;
}

test("records that are there in order are taken, from the middle of a batch too", () => {
  const seen: number[] = [];
  const read = checkRead(lane, 1, [stored(lane, 0, 3), stored(lane, 3, 2)], (sequence) => seen.push(sequence));
  expect(read).toMatchObject({ next: 5, records: 4 });
  expect(seen).toEqual([1, 2, 3, 4]);
});

test.each([
  ["lost, and those behind it moved up", [stored(lane, 0, 2), stored(lane, 3, 1, 2)], "the record of sequence 3"],
  ["missing", [stored(lane, 0, 2), stored(lane, 3, 1)], "offset 3 comes where 2 is next"],
  ["doubled", [stored(lane, 0, 2), stored(lane, 1, 1, 2)], "the record of sequence 1"],
  ["given twice", [stored(lane, 0, 2), stored(lane, 0, 2)], "offset 0 comes where 2 is next"],
  ["another partition's", [stored({ ...lane, partition: 2 }, 0, 1)], "another partition's record"],
  ["without its key", [stored(lane, 0, 1)], "another key"],
])("a record that is %s is found", (what, batches, problem) => {
  const of = what === "without its key" ? compacted : lane;
  expect(() => checkRead(of, 0, batches)).toThrow(problem);
});

test("one bit of difference is found, with the checksum that was made for it", () => {
  const batch = stored(lane, 0, 1);
  batch[batch.length - 2] = (batch.at(-2) as number) ^ 1;
  expect(() => checkRead(lane, 0, [batch])).toThrow("t/1 at 0");
});

test("holes are allowed where records are compacted, and nowhere else", () => {
  expect(checkRead(compacted, 0, [stored(compacted, 0, 1), stored(compacted, 5, 1)])).toMatchObject({
    next: 6,
    records: 2,
  });
});

test("what retention took too early is told", () => {
  const marks = [
    { from: 0, timestamp: 1_000 },
    { from: 10, timestamp: 2_000 },
  ];
  const byTime = { ...lane, retentionMs: 500, acked: 20, marks };
  expect(lostToRetention(byTime, 0, 1_000)).toBeUndefined();
  expect(lostToRetention(byTime, 10, 1_400)).toBeDefined();
  expect(lostToRetention(byTime, 10, 1_600)).toBeUndefined();
  expect(lostToRetention(byTime, 15, 2_400)).toBeDefined();
  const bySize = { ...lane, retentionBytes: 10_000, acked: 20, marks };
  expect(lostToRetention(bySize, 5, 9_999)).toBeUndefined();
  expect(lostToRetention(bySize, 15, 9_999)).toBeDefined();
  expect(lostToRetention({ ...compacted, acked: 20, marks }, 1, 9_999)).toBeDefined();
});

test("the slope is that of the line below the samples, with its error", () => {
  const at = (minutes: number, mib: number) => ({ atMs: minutes * 60_000, residentBytes: mib * 1024 * 1024 });
  expect(slopeOf([at(0, 100), at(1, 101), at(2, 102)])?.mibPerHour).toBeCloseTo(60);
  expect(slopeOf([at(0, 100), at(1, 101), at(2, 102)])?.error).toBeCloseTo(0);
  const noisy = slopeOf([at(0, 100), at(1, 110), at(2, 100), at(3, 110)]);
  expect(noisy?.error).toBeGreaterThan(noisy?.mibPerHour ?? Number.NaN);
  expect(slopeOf([at(0, 1), at(1, 1)])).toBeUndefined();
});

test("quantiles of times are right within a twentieth", () => {
  const times = new Times();
  for (let ms = 1; ms <= 1000; ms += 1) times.add(ms);
  for (const [share, ms] of [
    [0.5, 500],
    [0.99, 990],
    [1, 1000],
  ] as const) {
    expect(times.quantile(share)).toBeGreaterThanOrEqual(ms);
    expect(times.quantile(share)).toBeLessThanOrEqual(ms * 1.05);
  }
});
