/** What is found when the rows of a table with a key are held against the fold of its log, by ranges of offsets. Pure. */
import type { Finding, RangeReport } from "./verify-report.ts";

/** What is wrong with one row, or with the record that it should come from. */
export type RowTrouble = Extract<Finding["kind"], "lost" | "doubled" | "altered" | "foreign" | "stale">;

/** A partition of the topic as far as the table has it. */
export interface FoldRange {
  readonly partition: number;
  /** Where the table began. */
  readonly begin: number;
  /** Where the log begins now, not before that. */
  readonly from: number;
  /** As the table's mark says. */
  readonly to: number;
}

/** Pieces of a partition that a report speaks of. */
const piecesMax = 16;
const samplesMax = 10;

/** After "1 row is", or "2 rows are". */
const words: Readonly<Record<RowTrouble, string>> = {
  lost: "not in the table, and the last of its key in the log",
  doubled: "there beside another row of the same key",
  altered: "there with other values than its record has",
  foreign: "there without a record in the log",
  stale: "there though a later record replaced or deleted it",
};

interface Piece {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** Whether the log still has it. */
  readonly isKnown: boolean;
  expected: number;
  found: number;
  readonly troubles: Map<RowTrouble, { count: number; readonly samples: string[] }>;
}

export class KeyedReport {
  readonly #pieces: readonly Piece[];
  readonly #byPartition: ReadonlyMap<number, readonly Piece[]>;
  readonly #outside: Piece = piece(-1, 0, 0, false);

  constructor(ranges: readonly FoldRange[]) {
    this.#pieces = ranges.flatMap(({ partition, begin, from, to }) => [
      ...(begin < from ? [piece(partition, begin, from, false)] : []),
      ...split(from, to).map((each) => piece(partition, each.from, each.to, true)),
    ]);
    this.#byPartition = Map.groupBy(this.#pieces, (each) => each.partition);
  }

  /** The log says that a row comes from there. */
  expect(partition: number, offset: number): void {
    this.#pieceOf(partition, offset).expected += 1;
  }

  found(partition: number, offset: number): void {
    this.#pieceOf(partition, offset).found += 1;
  }

  trouble(kind: RowTrouble, partition: number, offset: number): void {
    const { troubles } = this.#pieceOf(partition, offset);
    const known = troubles.get(kind) ?? { count: 0, samples: [] };
    troubles.set(kind, known);
    known.count += 1;
    if (known.samples.length < samplesMax) known.samples.push(`${partition}:${offset}`);
  }

  get ranges(): readonly RangeReport[] {
    return this.#pieces.map(({ partition, from, to, isKnown, expected, found, troubles }) => ({
      partition,
      from,
      to,
      rows: isKnown ? expected : null,
      others: isKnown ? to - from - expected : 0,
      rowsFound: found,
      state: troubles.size > 0 ? "different" : isKnown ? "equal" : "unproven",
    }));
  }

  get findings(): readonly Finding[] {
    return [...this.#pieces, this.#outside].flatMap((each) =>
      [...each.troubles].map(([kind, { count, samples }]) => ({
        kind,
        where:
          each === this.#outside
            ? "beyond the table's mark"
            : `partition ${each.partition} offsets ${each.from} to ${each.to - 1}`,
        detail: `${count === 1 ? "1 row is" : `${count} rows are`} ${words[kind]}`,
        sample: samples,
      })),
    );
  }

  #pieceOf(partition: number, offset: number): Piece {
    const own = this.#byPartition.get(partition)?.find(({ from, to }) => offset >= from && offset < to);
    return own ?? this.#outside;
  }
}

function piece(partition: number, from: number, to: number, isKnown: boolean): Piece {
  return { partition, from, to, isKnown, expected: 0, found: 0, troubles: new Map() };
}

function split(from: number, to: number): readonly { readonly from: number; readonly to: number }[] {
  const size = Math.max(1, Math.ceil((to - from) / piecesMax));
  const count = Math.ceil((to - from) / size);
  return Array.from({ length: count }, (_, at) => ({
    from: from + at * size,
    to: Math.min(to, from + (at + 1) * size),
  }));
}
