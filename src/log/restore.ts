/**
 * What a partition knows when it is opened: the newest sidecar, and over it every batch that came after.
 *
 *   |-- in objects, spoken for by the sidecar --|-- replayed --|
 *   start                                     upTo            end
 */
import { assert } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import { MiB } from "../base/settings.ts";
import { BatchView } from "../protocol/record-batch.ts";
import type { OpenedStream } from "../stream/storage.ts";
import { markerOf } from "./batch-preparer.ts";
import { type CleaningProgress, nothingCleaned } from "./cleaning/cleaning-plan.ts";
import { Epochs } from "./epochs.ts";
import { ProducerState } from "./producer-state.ts";
import { decodeSidecar, encodeSidecar } from "./sidecar.ts";

export interface Restored {
  readonly producers: ProducerState;
  readonly epochs: Epochs;
  readonly cleaning: CleaningProgress;
}

const replayReadBytes = 4 * MiB;

/** Throws CorruptData when the sidecar or a batch is not what it should be. */
export async function restore(
  stream: OpenedStream,
  options: { readonly producersMax: number; readonly nowMs: number },
): Promise<Restored> {
  const producers = new ProducerState({ producersMax: options.producersMax });
  const sidecar = stream.sidecar === undefined ? undefined : decodeSidecar(stream.sidecar.bytes);
  const epochs = new Epochs(sidecar?.epochs);
  if (sidecar !== undefined) producers.restore(sidecar.producers, sidecar.aborted);
  // The sidecar's own offset counts: an older sidecar may have been put beside a newer range while the partition was opening.
  const replayFrom = Math.max(sidecar?.upTo ?? 0, stream.start) as Offset;
  assert(replayFrom <= stream.end, "a sidecar speaks of batches that are not durable");
  for (let from = replayFrom; from < stream.end; ) {
    const found = await stream.read({ from, to: stream.end, bytesMax: replayReadBytes });
    for (const { bytes } of found.batches) replay(new BatchView(bytes), { producers, epochs }, options.nowMs);
    assert(found.next > from, "a read below the end moves on");
    from = found.next;
  }
  producers.forgetBelow(stream.start);
  return { producers, epochs, cleaning: sidecar?.cleaning ?? nothingCleaned };
}

/** What is given at a cut before `restore` is done: what the stream has, or that nothing is known yet. */
export function sidecarBeforeRestore(stream: OpenedStream | undefined): Uint8Array {
  if (stream?.sidecar !== undefined) return stream.sidecar.bytes;
  const nothing = { epochs: [], aborted: [], producers: [], cleaning: nothingCleaned };
  return encodeSidecar({ upTo: stream?.start ?? (0 as Offset), ...nothing });
}

function replay(batch: BatchView, { producers, epochs }: Omit<Restored, "cleaning">, nowMs: number): void {
  epochs.begin(batch.leaderEpoch, batch.baseOffset);
  if (batch.producerId < 0) return;
  const marker = markerOf(batch);
  if (marker !== undefined) producers.end(marker, batch.baseOffset, nowMs);
  else if (!batch.isControl) producers.append(batch, batch.baseOffset, nowMs);
}
