/** What the next slot of a WAL will hold, while it is gathered. */
import type { StreamId } from "../base/ids.ts";
import { framedBytes, type StreamPart } from "./object-format.ts";
import type { Batch } from "./storage.ts";
import type { WalEntry } from "./wal.ts";

export class SlotDraft {
  /** In the order in which they were appended. */
  readonly entries: WalEntry[] = [];
  bytes = 0;
  readonly #runs = new Map<StreamId, { readonly part: StreamPart; readonly batches: Batch[] }>();

  /**
   * Whether the entry may lie in this slot. Of a stream a slot holds one run of one epoch: an object has one entry a stream,
   * and a recovery takes each batch to follow on the one before.
   */
  admits(entry: WalEntry, bytesMax: number): boolean {
    if (this.entries.length > 0 && this.bytes + framedBytes(entry) > bytesMax) return false;
    const run = this.#runs.get(entry.stream);
    return run === undefined || (run.part.epoch === entry.epoch && run.batches.at(-1)?.to === entry.after);
  }

  add(entry: WalEntry): void {
    const { stream, epoch, after, to, label } = entry;
    const before = this.#runs.get(stream);
    const batches = before?.batches ?? [];
    batches.push(entry as WalEntry & Batch); // The log cache holds the same bytes for longer than the slot is on its way.
    this.#runs.set(stream, {
      batches,
      part: { stream, epoch, from: before?.part.from ?? after, to, label, sidecar: undefined, batches },
    });
    this.entries.push(entry);
    this.bytes += framedBytes(entry);
  }

  /** Sorted by stream. */
  get parts(): readonly StreamPart[] {
    return [...this.#runs.values()].map(({ part }) => part).sort((a, b) => a.stream - b.stream);
  }
}
