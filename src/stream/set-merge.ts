/** A second look at all streams of this node, for what they hold in the stream-set objects that are taken apart. Pure. */
import type { StreamId } from "../base/ids.ts";
import type { CommittedRange, Image, ObjectRows } from "../metadata/image.ts";
import { copyRange, type RangeRow } from "../metadata/packed-range.ts";
import type { Merge, MergePart, PlanLimits } from "./merge-plan.ts";
import { bytesOf } from "./merge-runs.ts";

export class SetMerge {
  /** Keys by row. */
  readonly #sets: ReadonlyMap<number, string>;
  readonly #limits: PlanLimits;
  readonly #own: Merge[] = [];
  /** The n-th holds the n-th run of each stream that is not large enough for an object of its own. */
  readonly #shared: MergePart[][] = [];

  constructor(sets: ReadonlyMap<number, string>, limits: PlanLimits) {
    this.#sets = sets;
    this.#limits = limits;
  }

  /** All ranges of one stream; returns how many these are. Streams come in the order of their ids. */
  visit(stream: StreamId, image: Image): number {
    const { ranges, runs } = this.#runsOf(stream, image);
    let shared = 0;
    for (const rows of runs) {
      const sources = rows.map((row) => committedRange(stream, row, image.objectRows));
      const bytes = bytesOf(sources);
      const isInLargePieces = bytes >= sources.length * this.#limits.mergePieceBytesMin;
      if (bytes >= this.#limits.streamObjectBytesMin && isInLargePieces) {
        this.#own.push({ kind: "stream", parts: [{ stream, sources }], bytes });
        continue;
      }
      const parts = this.#shared[shared] ?? [];
      this.#shared[shared] = parts;
      parts.push({ stream, sources });
      shared += 1;
    }
    return ranges;
  }

  merges(): readonly Merge[] {
    const shared = this.#shared.flatMap((parts) => this.#split(parts));
    // Otherwise their streams lie in them so scattered that as many objects would come out as go in.
    return 2 * shared.length <= this.#sets.size ? [...shared, ...this.#own] : this.#own;
  }

  /**
   * What lies in the chosen objects, together with what stands between it as far as that stays within the limits. The more objects
   * are read side by side, the smaller are the requests.
   */
  #runsOf(stream: StreamId, image: Image): { readonly ranges: number; readonly runs: RangeRow[][] } {
    const { mergeSourcesMax, mergeObjectBytesMax } = this.#limits;
    const runs: RangeRow[][] = [];
    let runBytes = 0;
    let between: RangeRow[] = [];
    let betweenBytes = 0;
    let ranges = 0;
    for (const cursor = image.rangeRows(stream); cursor.next(); ranges += 1) {
      const run = runs.at(-1);
      if (!this.#isChosen(cursor.row.object, image.objectRows)) {
        if (run !== undefined) between.push(copyRange(cursor.row));
        betweenBytes += cursor.row.bytes;
        continue;
      }
      const row = copyRange(cursor.row);
      const bytes = runBytes + betweenBytes + row.bytes;
      if (run !== undefined && run.length + between.length < mergeSourcesMax && bytes <= mergeObjectBytesMax) {
        run.push(...between, row);
        runBytes = bytes;
      } else {
        runs.push([row]);
        runBytes = row.bytes;
      }
      between = [];
      betweenBytes = 0;
    }
    return { ranges, runs };
  }

  #isChosen(row: number, objectRows: ObjectRows): boolean {
    const key = this.#sets.get(row);
    return key !== undefined && objectRows.key(row) === key;
  }

  #split(parts: readonly MergePart[]): readonly Merge[] {
    const merges: Merge[] = [];
    let group: MergePart[] = [];
    let bytes = 0;
    const close = (): void => {
      if (group.length > 0) merges.push({ kind: group.length === 1 ? "stream" : "stream-set", parts: group, bytes });
      group = [];
      bytes = 0;
    };
    for (const part of parts) {
      const added = bytesOf(part.sources);
      if (group.length === this.#limits.objectStreamsMax || bytes + added > this.#limits.mergeObjectBytesMax) close();
      group.push(part);
      bytes += added;
    }
    close();
    return merges;
  }
}

export function committedRange(stream: StreamId, row: RangeRow, objectRows: ObjectRows): CommittedRange {
  return { ...row, stream, object: objectRows.key(row.object) };
}
