/** Decides, record by record, what of a WAL still matters. Pure. */
import { CorruptData } from "../base/errors.ts";
import type { NodeId, Offset, StreamId } from "../base/ids.ts";
import type { StreamInfo } from "../metadata/image.ts";
import type { WalRecord } from "./wal.ts";

export type Verdict =
  | { readonly kind: "keep" }
  | { readonly kind: "drop"; readonly because: "committed" | "deleted" }
  /** Another node took the stream over without this record. It was acked, and is lost to readers. */
  | { readonly kind: "drop"; readonly because: "taken-over" };

/**
 * `end` is where the stream's last kept record ended, or undefined when none was kept yet. Throws CorruptData when a record
 * between what objects hold and this one is missing.
 */
export function judge(
  record: WalRecord,
  stream: StreamInfo | undefined,
  node: NodeId,
  end: Offset | undefined,
): Verdict {
  if (stream === undefined) return { kind: "drop", because: "deleted" };
  if (record.to <= stream.end) return { kind: "drop", because: "committed" };
  if (stream.node !== node) return { kind: "drop", because: "taken-over" };
  const expected = end ?? stream.end;
  if (record.after === expected) return { kind: "keep" };
  throw missing(record.stream, expected, record);
}

function missing(stream: StreamId, expected: Offset, record: WalRecord): CorruptData {
  return new CorruptData({
    source: `WAL, stream ${stream}`,
    position: record.from,
    expected: `a record after offset ${expected}`,
    found: `one after ${record.after}`,
  });
}
