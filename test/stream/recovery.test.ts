/** Proves: recovery keeps exactly what no object holds, and refuses a hole. */
import { expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import type { NodeId, Offset, StreamId, Uuid } from "../../src/base/ids.ts";
import type { StreamInfo } from "../../src/metadata/image.ts";
import { judge } from "../../src/stream/recovery.ts";

const self = 1 as NodeId;

function stream(end: number, node = self): StreamInfo {
  const topicId = "00000000-0000-4000-8000-000000000001" as Uuid;
  return { id: 7 as StreamId, topicId, partition: 0, epoch: 3, node, start: 0 as Offset, end: end as Offset };
}

function record(after: number, from: number, to: number): Parameters<typeof judge>[0] {
  const offsets = { after: after as Offset, from: from as Offset, to: to as Offset };
  return { stream: 7 as StreamId, epoch: 3, ...offsets, maxTimestamp: -1, bytes: new Uint8Array() };
}

const keep = { kind: "keep" };
const drop = (because: string): object => ({ kind: "drop", because });

test.each([
  ["the first after what objects hold", record(10, 10, 12), stream(10), undefined, keep],
  ["one after a legal gap", record(10, 15, 18), stream(10), undefined, keep],
  ["one after another that was kept", record(12, 12, 13), stream(10), 12, keep],
  ["what an object holds", record(5, 5, 10), stream(10), undefined, drop("committed")],
  ["what a deleted topic had", record(5, 5, 10), undefined, undefined, drop("deleted")],
  ["what another node went on without", record(10, 10, 12), stream(10, 2 as NodeId), undefined, drop("taken-over")],
  [
    "what was committed before another node took over",
    record(5, 5, 10),
    stream(10, 2 as NodeId),
    undefined,
    drop("committed"),
  ],
])("%s", (_, found, info, end, verdict) => {
  expect(judge(found, info, self, end as Offset | undefined)).toEqual(verdict);
});

test.each([
  ["a record missing after the objects", record(12, 12, 13), stream(10), undefined],
  ["a record missing between two", record(13, 13, 14), stream(10), 12],
  ["a record that an object holds in part", record(8, 8, 12), stream(10), undefined],
])("%s is corrupt", (_, found, info, end) => {
  expect(() => judge(found, info, self, end as Offset | undefined)).toThrow(CorruptData);
});
