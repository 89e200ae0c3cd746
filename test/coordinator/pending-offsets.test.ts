/** Proves: of several open transactions the newest offset wins, whichever of them ends last, and a plain commit beats what came before. */
import { expect, test } from "vitest";
import { uuidZero } from "../../src/base/ids.ts";
import type { CommittedOffset } from "../../src/coordinator/group-offsets.ts";
import { PendingOffsets } from "../../src/coordinator/pending-offsets.ts";

const at = { topic: "orders", partition: 0 };
const value = (offset: number): CommittedOffset => ({
  offset,
  leaderEpoch: -1,
  metadata: "",
  topicId: uuidZero,
  committedAt: 0,
  expiresAt: null,
});
const offsets = (ended: readonly { readonly value: CommittedOffset }[]): readonly number[] =>
  ended.map((each) => each.value.offset);

test("a commit brings the offset, an abort nothing", () => {
  const pending = new PendingOffsets();
  pending.add(1, at, value(5));
  pending.add(1, at, value(6));
  pending.add(2, at, value(7));
  expect(pending.has(at)).toBe(true);
  expect(pending.end(2, "abort")).toEqual([]);
  expect(offsets(pending.end(1, "commit"))).toEqual([6]);
  expect(pending.has(at)).toBe(false);
  expect(pending.isEmpty).toBe(true);
});

test("the newer of two transactions wins, in whichever order they commit", () => {
  const newerFirst = new PendingOffsets();
  newerFirst.add(1, at, value(5));
  newerFirst.add(2, at, value(6));
  expect(offsets(newerFirst.end(2, "commit"))).toEqual([6]);
  expect(newerFirst.has(at)).toBe(true); // The older one is still open, and changes nothing.
  expect(newerFirst.end(1, "commit")).toEqual([]);
  const olderFirst = new PendingOffsets();
  olderFirst.add(1, at, value(5));
  olderFirst.add(2, at, value(6));
  expect(offsets(olderFirst.end(1, "commit"))).toEqual([5]);
  expect(offsets(olderFirst.end(2, "commit"))).toEqual([6]);
});

test("what was set outside of any transaction beats what was pending, not what comes after", () => {
  const pending = new PendingOffsets();
  pending.add(1, at, value(5));
  pending.supersede(at);
  pending.add(2, at, value(9));
  expect(pending.end(1, "commit")).toEqual([]);
  expect(offsets(pending.end(2, "commit"))).toEqual([9]);
});
