/** Stored ranges in memory, for the cleaner: batches are put in, cut into ranges, and replaced. And what a consumer reads of them. */
import type { Offset, Owned } from "../../src/base/ids.ts";
import type { AbortedTransaction } from "../../src/log/producer-state.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { RecordCursor, readMarker } from "../../src/protocol/records.ts";
import type { Batch, OpenedStream, StoredRange } from "../../src/stream/storage.ts";

export class StoredLog implements Pick<OpenedStream, "stored" | "scan" | "replace"> {
  readonly #ranges: (StoredRange & { readonly batches: readonly Batch[] })[] = [];
  /** Batches of the range that is not cut yet. */
  #open: Batch[] = [];
  #objects = 0;
  replaced = 0;
  /** Asked before each replacement: what becomes of it instead. */
  trouble: () => "stale" | Error | undefined = () => undefined;

  get end(): Offset {
    return this.#open.at(-1)?.to ?? this.#ranges.at(-1)?.to ?? (0 as Offset);
  }

  append(bytes: Uint8Array): void {
    const view = new BatchView(bytes);
    const { baseOffset: from, nextOffset: to, maxTimestamp } = view;
    this.#open.push({ from, to, maxTimestamp, bytes: bytes as Owned });
  }

  /** What was appended becomes a range. */
  cut(): void {
    const [first, last] = [this.#open[0], this.#open.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#ranges.push(this.#range(first.from, last.to, this.#open));
    this.#open = [];
  }

  stored(): readonly StoredRange[] {
    return [...this.#ranges];
  }

  async *scan(range: StoredRange): AsyncIterable<readonly Batch[]> {
    const { batches } = this.#ranges.find(({ object }) => object === range.object) ?? { batches: [] };
    for (let at = 0; at < batches.length; at += 2) yield batches.slice(at, at + 2);
  }

  async replace(ranges: readonly StoredRange[], batches: AsyncIterable<Batch>): Promise<"replaced" | "stale"> {
    const left: Batch[] = [];
    for await (const batch of batches) left.push(batch);
    const trouble = this.trouble();
    if (trouble instanceof Error) throw trouble;
    if (trouble !== undefined) return trouble;
    const first = this.#ranges.findIndex(({ object }) => object === ranges[0]?.object);
    if (ranges.some(({ object }, index) => this.#ranges[first + index]?.object !== object))
      throw new Error("no neighbours");
    const [from, to] = [ranges[0]?.from as Offset, ranges.at(-1)?.to as Offset];
    this.#ranges.splice(first, ranges.length, this.#range(from, to, left));
    this.replaced += 1;
    return "replaced";
  }

  batches(): readonly BatchView[] {
    return [...this.#ranges.flatMap(({ batches }) => batches), ...this.#open].map(({ bytes }) => new BatchView(bytes));
  }

  #range(from: Offset, to: Offset, batches: readonly Batch[]): StoredRange & { readonly batches: readonly Batch[] } {
    this.#objects += 1;
    return {
      from,
      to,
      batches,
      bytes: batches.reduce((sum, batch) => sum + batch.bytes.length, 0),
      maxTimestamp: Math.max(-1, ...batches.map((batch) => batch.maxTimestamp)),
      object: `object-${this.#objects}`,
    };
  }
}

export interface ReadRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
}

export function recordsOf(batch: BatchView): readonly ReadRecord[] {
  const records = inflate(batch.compression ?? "none", batch.records, { bytesMax: 1_000_000 });
  const cursor = new RecordCursor(records, batch.recordCount);
  const found: ReadRecord[] = [];
  const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString();
  while (cursor.next()) {
    found.push({
      offset: batch.baseOffset + cursor.offsetDelta,
      timestamp: batch.baseTimestamp + cursor.timestampDelta,
      key: text(cursor.key),
      value: text(cursor.value),
    });
  }
  return found;
}

/** As Kafka's Java client reads under read_committed: aborted producers begin at their first offset and end at an abort marker. */
export function readCommitted(
  batches: readonly BatchView[],
  aborted: readonly AbortedTransaction[],
): readonly ReadRecord[] {
  const ahead = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const producers = new Set<number>();
  return batches.flatMap((batch) => {
    while (ahead[0] !== undefined && ahead[0].firstOffset <= batch.lastOffset)
      producers.add(ahead.shift()?.producerId ?? -1);
    if (batch.isControl) {
      const cursor = new RecordCursor(batch.records, batch.recordCount);
      if (cursor.next() && readMarker(cursor)?.outcome === "abort") producers.delete(batch.producerId);
      return [];
    }
    return batch.isTransactional && producers.has(batch.producerId) ? [] : recordsOf(batch);
  });
}
