/** Reads keys as a consumer that reads committed: what is in control batches or was aborted is left out. */
import { errorName } from "../../schemas/kafka/errors.ts";
import { joined } from "../../src/base/bytes.ts";
import type { ResponseOf } from "../../src/protocol/api-table.ts";
import { BatchView, splitBatches } from "../../src/protocol/record-batch.ts";
import { RecordCursor } from "../../src/protocol/records.ts";
import type { Connection } from "./connection.ts";
import type { Poll, Read } from "./history.ts";
import type { Ticks } from "./ticks.ts";

type Partition = ResponseOf<"fetch">["responses"][number]["partitions"][number];

export interface FetchOptions {
  readonly topic: string;
  /** By key, the offset to read from. */
  readonly positions: ReadonlyMap<number, number>;
  readonly bytesMax: number;
  readonly namesProducers: boolean;
}

export type Fetched =
  | { readonly kind: "polls"; readonly polls: readonly Poll[]; readonly next: ReadonlyMap<number, number> }
  | { readonly kind: "nothing" }
  /** What no sound broker answers here. */
  | { readonly kind: "unexpected"; readonly error: string };

/** The newest version that names topics by name. */
const fetchVersion = 12;
const waitMsMax = 100;

/** A broker that has just started, or that cannot reach its disk for a moment, says so. */
const comesAgain: ReadonlySet<string> = new Set([
  "NOT_LEADER_OR_FOLLOWER",
  "KAFKA_STORAGE_ERROR",
  "UNKNOWN_LEADER_EPOCH",
]);

export async function fetchCommitted(connection: Connection, ticks: Ticks, options: FetchOptions): Promise<Fetched> {
  const { topic, positions, bytesMax, namesProducers } = options;
  const partitions = [...positions].map(([partition, fetchOffset]) => ({
    partition,
    fetchOffset,
    partitionMaxBytes: bytesMax,
  }));
  const request = { maxWaitMs: waitMsMax, minBytes: 1, isolationLevel: 1, topics: [{ topic, partitions }] };
  const begun = ticks.next();
  const reply = await connection.call("fetch", fetchVersion, { ...request, maxBytes: bytesMax * positions.size });
  const ended = ticks.next();
  if (reply.kind !== "answer") return { kind: "nothing" };
  const polls: Poll[] = [];
  const next = new Map<number, number>();
  for (const partition of reply.body.responses.flatMap((each) => each.partitions)) {
    const { partitionIndex: key, errorCode, highWatermark, lastStableOffset: lastStable } = partition;
    const from = positions.get(key) as number;
    const error = errorName(errorCode) ?? String(errorCode);
    if (comesAgain.has(error)) continue;
    if (error !== "NONE") return { kind: "unexpected", error: `fetch of key ${key} from ${from}: ${error}` };
    const { reads, end } = readCommitted(partition, from, namesProducers);
    polls.push({ kind: "poll", key, from, reads, highWatermark, lastStable, begun, ended });
    next.set(key, end);
  }
  return { kind: "polls", polls, next };
}

/** As Kafka's consumer does it: from its first offset on what a producer wrote is aborted, until its abort marker. */
function readCommitted(
  partition: Partition,
  from: number,
  namesProducers: boolean,
): { readonly reads: readonly Read[]; readonly end: number } {
  const aborted = (partition.abortedTransactions ?? []).toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<number>();
  const reads: Read[] = [];
  let end = from;
  for (const bytes of splitBatches(joined(partition.records ?? []))) {
    const batch = new BatchView(bytes);
    const { producerId, producerEpoch } = batch;
    while (aborted[0] !== undefined && aborted[0].firstOffset <= batch.lastOffset) {
      aborting.add((aborted.shift() as { producerId: number }).producerId);
    }
    end = Math.max(end, batch.nextOffset);
    if (batch.isControl) {
      aborting.delete(producerId); // A commit marker finds nothing to delete.
      continue;
    }
    if (batch.isTransactional && aborting.has(producerId)) continue;
    const cursor = new RecordCursor(batch.records, batch.recordCount);
    while (cursor.next()) {
      const offset = batch.baseOffset + cursor.offsetDelta;
      if (offset < from) continue;
      const value = Buffer.from(cursor.value ?? []).toString();
      reads.push({ offset, value, ...(namesProducers ? { producerId, producerEpoch } : {}) });
    }
  }
  return { reads, end };
}
