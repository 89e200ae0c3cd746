/** A first look at all streams of this node: runs of ranges to be merged, and which stream-set objects to take apart. Pure. */
import type { StreamId } from "../base/ids.ts";
import { Column } from "../metadata/column.ts";
import type { Image, ObjectRows } from "../metadata/image.ts";
import { copyRange, type RangeRow } from "../metadata/packed-range.ts";
import type { Merge, PlanLimits } from "./merge-plan.ts";
import { bytesOf, chooseRuns, type Sized } from "./merge-runs.ts";
import { committedRange } from "./set-merge.ts";

export class MergeSurvey {
  readonly streams: Merge[] = [];
  readonly #limits: PlanLimits;
  readonly #excluded: ReadonlySet<string>;
  /** For runs of ranges. The first may be larger alone: else it would never be done. */
  #bytesLeft: number;
  #rangesLeft: number;
  readonly #sets = new SetSums();

  /** What is in the excluded objects stays where it is. */
  constructor(limits: PlanLimits, excluded: ReadonlySet<string>) {
    this.#limits = limits;
    this.#excluded = excluded;
    this.#bytesLeft = limits.mergeCycleBytesMax;
    this.#rangesLeft = limits.mergeCycleRangesMax;
  }

  /** All ranges of one stream; returns how many these are. One that was deleted since has none. */
  visit(stream: StreamId, image: Image): number {
    const { objectRows } = image;
    let settled: RangeRow[] = [];
    let ranges = 0;
    const cursor = image.rangeRows(stream);
    for (; cursor.next(); ranges += 1) {
      const { object } = cursor.row;
      const isWhole = this.#excluded.size === 0 || !this.#excluded.has(objectRows.key(object));
      const kind = objectRows.kind(object);
      if (kind === "stream-set" && isWhole) this.#sets.add(cursor.row, objectRows.committedAt(object));
      if (this.#isSettled(kind, objectRows.bytes(object)) && isWhole) settled.push(copyRange(cursor.row));
      else if (settled.length > 0) {
        this.#chooseRuns(stream, settled, objectRows);
        settled = [];
      }
    }
    this.#chooseRuns(stream, settled, objectRows);
    return ranges;
  }

  /** The stream-set objects whose ranges move, all of them: their keys by row. In steps, as `planMerges` has them. */
  *chooseSets({ objectRows }: Image): Generator<number, ReadonlyMap<number, string>> {
    const chosen = new Map<number, string>();
    for (let countMax = setsAtFirst; ; countMax *= 8) {
      const sets = yield* this.#smallestSets(countMax, objectRows);
      const [run] = chooseRuns(sets, this.#limits);
      if (run === undefined && sets.length === countMax) continue; // Larger ones may go together where these do not.
      let ranges = 0;
      for (const set of sets.slice(run?.first ?? 0, run?.end ?? 0).reverse()) {
        ranges += set.ranges;
        if (chosen.size >= 2 && ranges > this.#limits.mergeCycleRangesMax) break; // Two are always better than none.
        if (objectRows.committedAt(set.row) === set.committedAt) chosen.set(set.row, objectRows.key(set.row));
      }
      return chosen;
    }
  }

  /** The smallest last, and of what is about as large the oldest: neighbours there are neighbours in their streams. */
  *#smallestSets(countMax: number, objectRows: ObjectRows): Generator<number, readonly SetSum[]> {
    const found: SetSum[] = [];
    let worst: SetSum | undefined;
    let sinceStep = 0;
    for (const set of this.#sets.all()) {
      sinceStep += 1;
      if (sinceStep === setsAStep) {
        yield sinceStep;
        sinceStep = 0;
      }
      if (objectRows.committedAt(set.row) !== set.committedAt) continue; // Gone meanwhile.
      const bytes = objectRows.bytes(set.row);
      if (this.#isSettled("stream-set", bytes) && 2 * set.bytes >= bytes) continue;
      if (worst !== undefined && compareSets(set, worst) >= 0) continue;
      found.push(set);
      if (found.length < 2 * countMax) continue;
      found.sort(compareSets).length = countMax;
      worst = found.at(-1);
    }
    return found.sort(compareSets).slice(0, countMax).reverse();
  }

  /** Of one stream, or so large that it is not merged with others any more: its streams leave it one by one. */
  #isSettled(kind: Merge["kind"], bytes: number): boolean {
    return kind === "stream" || bytes > this.#limits.mergeObjectBytesMax / 2;
  }

  #chooseRuns(stream: StreamId, ranges: readonly RangeRow[], objectRows: ObjectRows): void {
    for (const { first, end } of chooseRuns(ranges, this.#limits)) {
      const rows = ranges.slice(first, end);
      const bytes = bytesOf(rows);
      const isWorthIt =
        bytes >= this.#limits.streamObjectBytesMin || rows.every(({ object }) => objectRows.kind(object) === "stream");
      const isRoom = bytes <= this.#bytesLeft && rows.length <= this.#rangesLeft;
      if (!isWorthIt || !(isRoom || this.streams.length === 0)) continue;
      this.#bytesLeft -= bytes;
      this.#rangesLeft -= rows.length;
      const sources = rows.map((row) => committedRange(stream, row, objectRows));
      this.streams.push({ kind: "stream", parts: [{ stream, sources }], bytes });
    }
  }
}

/** Far more than a run takes. */
const setsAtFirst = 1024;
const setsAStep = 256;

interface SetSum extends Sized {
  readonly row: number;
  readonly committedAt: number;
  readonly ranges: number;
}

function compareSets(a: SetSum, b: SetSum): number {
  return magnitude(a.bytes) - magnitude(b.bytes) || a.committedAt - b.committedAt || a.row - b.row;
}

function magnitude(bytes: number): number {
  return Math.floor(Math.log2(bytes + 1));
}

/**
 * What the visited streams hold in each stream-set object, by its row: there may be a million. A row that was given to another object
 * meanwhile is told by when that was committed.
 */
class SetSums {
  #end = 0;
  readonly #committedAt = new Column(Float64Array);
  readonly #bytes = new Column(Float64Array);
  readonly #ranges = new Column(Uint32Array);
  readonly #maxTimestamp = new Column(Float64Array);

  add({ object: row, bytes, maxTimestamp }: RangeRow, committedAt: number): void {
    const isKnown = this.#committedAt.get(row) === committedAt;
    this.#end = Math.max(this.#end, row + 1);
    this.#committedAt.set(row, committedAt);
    this.#bytes.set(row, (isKnown ? this.#bytes.get(row) : 0) + bytes);
    this.#ranges.set(row, (isKnown ? this.#ranges.get(row) : 0) + 1);
    this.#maxTimestamp.set(row, Math.max(isKnown ? this.#maxTimestamp.get(row) : -1, maxTimestamp));
  }

  *all(): Generator<SetSum> {
    for (let row = 1; row < this.#end; row += 1) {
      const committedAt = this.#committedAt.get(row);
      const [bytes, ranges, maxTimestamp] = [this.#bytes.get(row), this.#ranges.get(row), this.#maxTimestamp.get(row)];
      if (ranges > 0) yield { row, committedAt, bytes, ranges, maxTimestamp };
    }
  }
}
