/** Batches of the log as a share group sees them: markers, and what was aborted where only committed records count, are for nobody. */
import type { Isolation } from "../../log/log.ts";
import { BatchView } from "../../protocol/record-batch.ts";
import { RecordCursor, readMarker } from "../../protocol/records.ts";
import type { ReadBatch } from "./acquire.ts";

export interface LogBatches {
  readonly batches: readonly Uint8Array[];
  /** In order of first offset. */
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[];
}

export function readBatches(read: LogBatches, isolation: Isolation): readonly ReadBatch[] {
  const aborting = new Set<number>();
  let next = 0;
  return read.batches.map((bytes) => {
    const view = new BatchView(bytes);
    const { baseOffset: first, lastOffset: last, producerId } = view;
    for (; next < read.aborted.length; next += 1) {
      const each = read.aborted[next];
      if (each === undefined || each.firstOffset > last) break;
      aborting.add(each.producerId);
    }
    if (view.isControl) {
      if (isAbort(view)) aborting.delete(producerId);
      return { first, last, isDelivered: false };
    }
    const isAborted = isolation === "read-committed" && view.isTransactional && aborting.has(producerId);
    return { first, last, isDelivered: !isAborted };
  });
}

function isAbort(view: BatchView): boolean {
  const cursor = new RecordCursor(view.records, view.recordCount);
  return cursor.next() && readMarker(cursor)?.outcome === "abort";
}
