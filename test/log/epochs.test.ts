/** Proves: a client can find the end of any leader epoch it has read under (KIP-320), as Kafka answers it. */
import { describe, expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import { Epochs } from "../../src/log/epochs.ts";

const end = 500 as Offset;
const at = (epoch: number, start: number): { readonly epoch: number; readonly start: Offset } => ({
  epoch,
  start: start as Offset,
});

describe("the end of an epoch", () => {
  const epochs = new Epochs([at(2, 0), at(5, 120), at(6, 300)]);
  test.each([
    ["the current one", 6, { epoch: 6, endOffset: 500 }],
    ["one before", 5, { epoch: 5, endOffset: 300 }],
    ["the oldest", 2, { epoch: 2, endOffset: 120 }],
    ["one that wrote nothing", 4, { epoch: 2, endOffset: 120 }],
    ["one older than all", 1, { epoch: 1, endOffset: 0 }],
    ["one of the future", 7, undefined],
    ["none (-1)", -1, undefined],
  ] as const)("%s", (_name, epoch, answer) => {
    expect(epochs.endOf(epoch, end)).toEqual(answer);
  });

  test("nothing is known of an empty history", () => {
    expect(new Epochs().endOf(0, end)).toBeUndefined();
  });
});

test("an epoch that wrote nothing is replaced by the next, so restarts do not grow the list", () => {
  const epochs = new Epochs();
  for (let epoch = 1; epoch <= 50; epoch += 1) epochs.begin(epoch, 10 as Offset);
  expect(epochs.starts).toEqual([at(50, 10)]);
  epochs.begin(50, 20 as Offset); // Known already.
  epochs.begin(51, 30 as Offset);
  expect(epochs.starts).toEqual([at(50, 10), at(51, 30)]);
});

test("an offset belongs to the epoch that wrote it, and epochs below the log start are forgotten", () => {
  const epochs = new Epochs([at(2, 0), at(5, 120), at(6, 300)]);
  expect([0, 119, 120, 299, 300, 999].map((offset) => epochs.at(offset as Offset))).toEqual([2, 2, 5, 5, 6, 6]);
  epochs.forgetBelow(200 as Offset);
  expect(epochs.starts).toEqual([at(5, 120), at(6, 300)]);
});
