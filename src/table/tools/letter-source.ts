/** Dead letters as what a round reads: partitions whose batches hold just these records, at the offsets that they had. */
import type { Offset } from "../../base/ids.ts";
import { buildBatch } from "../../protocol/records.ts";
import type { RecordSource } from "../round-writer.ts";
import type { NextRange } from "../rounds.ts";
import type { DeadLetter } from "../translate/dead-letters.ts";

export function letterSource(letters: readonly DeadLetter[], timestampType: "create" | "append"): RecordSource {
  const byPartition = Map.groupBy(inOrder(letters), ({ partition }) => partition);
  return {
    partition: (_topicId, index) => ({
      kind: "here",
      partition: {
        read: async ({ from, bytesMax }) => {
          const batches: Uint8Array[] = [];
          let bytes = 0;
          let next = from;
          for (const letter of byPartition.get(index) ?? []) {
            if (letter.offset < from || (bytes > 0 && bytes >= bytesMax)) continue;
            // One a batch: a topic that stamps append time has one timestamp a batch, and these came in different ones.
            const batch = batchOf(letter, timestampType);
            batches.push(batch);
            bytes += batch.length;
            next = (letter.offset + 1) as Offset;
          }
          return {
            kind: "batches",
            batches,
            bytes,
            next,
            aborted: [],
            highWatermark: next,
            lastStable: next,
            logStart,
          };
        },
      },
    }),
  };
}

const logStart = 0 as Offset;

/** From the first to the last letter of each partition; what lies between is in the table, or no concern of this round. */
export function letterRanges(letters: readonly DeadLetter[]): readonly NextRange[] {
  return [...Map.groupBy(inOrder(letters), ({ partition }) => partition)].map(([partition, own]) => {
    const from = own[0]?.offset as Offset;
    return { partition, from, readFrom: from, to: ((own.at(-1)?.offset as number) + 1) as Offset };
  });
}

function inOrder(letters: readonly DeadLetter[]): readonly DeadLetter[] {
  return [...letters].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

function batchOf(letter: DeadLetter, timestampType: "create" | "append"): Uint8Array {
  const { offset, timestamp, key, value, headers } = letter;
  return buildBatch({ baseOffset: offset as Offset, timestampType, records: [{ timestamp, key, value, headers }] });
}
