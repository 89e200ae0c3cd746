// Proves: markers are for nobody, and aborted records only for groups that do not ask for committed ones.
import { expect, test } from "vitest";
import { readBatches } from "../../../src/coordinator/share/read-batches.ts";
import { patchBatch } from "../../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker } from "../../../src/protocol/records.ts";

const producers = { aborting: 7, committing: 8 } as const;

function at(offset: number, bytes: Uint8Array): Uint8Array {
  patchBatch(bytes, { baseOffset: offset as never, leaderEpoch: 1 });
  return bytes;
}

function data(offset: number, producerId: number): Uint8Array {
  const record = { timestamp: 0, key: null, value: Buffer.from("v") };
  return at(offset, buildBatch({ isTransactional: true, producerId, producerEpoch: 0, records: [record, record] }));
}

function marker(offset: number, outcome: "abort" | "commit", producerId: number): Uint8Array {
  return at(offset, buildMarker({ outcome, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 0 }));
}

test("a transaction that was aborted is skipped, and what its producer wrote after it is not", () => {
  const batches = [
    data(0, producers.aborting),
    data(2, producers.committing),
    marker(4, "abort", producers.aborting),
    marker(5, "commit", producers.committing),
    data(6, producers.aborting),
  ];
  const aborted = [{ producerId: producers.aborting, firstOffset: 0 }];
  const committed = readBatches({ batches, aborted }, "read-committed");
  expect(committed.map(({ isDelivered }) => isDelivered)).toEqual([false, true, false, false, true]);
  expect(committed.map(({ first, last }) => [first, last])).toEqual([
    [0, 1],
    [2, 3],
    [4, 4],
    [5, 5],
    [6, 7],
  ]);
  const all = readBatches({ batches, aborted: [] }, "read-uncommitted");
  expect(all.map(({ isDelivered }) => isDelivered)).toEqual([true, true, false, false, true]);
});
