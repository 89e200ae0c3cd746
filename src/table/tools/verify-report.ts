/** What is found when a table's rows are held against their proof. Pure. */

import type { PlaceColumns } from "../commit/live-files.ts";
import type { Digest, Digests } from "./digest.ts";
import type { ProvenRange } from "./proof.ts";
import type { FoundRange } from "./verify-rows.ts";

export interface Finding {
  readonly kind:
    | "lost"
    | "doubled"
    | "altered"
    | "foreign"
    | "stale"
    | "path-twice"
    | "file-unreadable"
    | "miscounted"
    | "offsets-disagree"
    | "not-ours"
    | "deletes";
  /** A range of offsets, a file, a partition. */
  readonly where: string;
  readonly detail: string;
  /** A few of the rows or files, for looking at them. */
  readonly sample: readonly string[];
}

export interface RangeReport {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** As translated; null when nothing was kept of it. */
  readonly rows: number | null;
  /** Offsets without a row: dead letters and skips. */
  readonly others: number;
  readonly rowsFound: number;
  readonly state: "equal" | "unproven" | "different";
}

export function compareRange(
  proven: ProvenRange,
  found: FoundRange,
  about: {
    readonly place: PlaceColumns;
    /** Names of columns by field id: those of the table now. */
    readonly columns: ReadonlyMap<number, string>;
    /** The first offsets without a row; undefined when they are not known. */
    readonly absent: () => readonly number[] | undefined;
  },
): { readonly range: RangeReport; readonly findings: readonly Finding[] } {
  const { from, to, proof, others } = proven;
  const { partition } = found;
  const where = `partition ${partition} offsets ${from} to ${to - 1}`;
  const findings: Finding[] = [];
  const say = (kind: Finding["kind"], detail: string, sample: readonly string[] = []): void =>
    void findings.push({ kind, where, detail, sample });
  const sampled = (offsets: readonly number[]): readonly string[] => offsets.map((offset) => `${partition}:${offset}`);

  const distinct = found.offsets ?? found.rows;
  if (found.doubled.length > 0)
    say("doubled", `${count(found.rows - distinct)} there more than once`, sampled(found.doubled));
  if (proof !== null) {
    const missing = proof.rows - distinct;
    const isSamePlaces = isSame(proof.digests.get(about.place.offset), found.digests.get(about.place.offset));
    // Only where every offset was a row is an offset without one a lost row for sure.
    const lost = (): readonly string[] => (others === 0 ? sampled(about.absent() ?? []) : []);
    if (missing > 0) say("lost", `${count(missing)} of ${proof.rows} not there`, lost());
    else if (missing < 0) say("foreign", `${count(-missing)} there that translation did not write`);
    else if (!isSamePlaces && found.doubled.length === 0)
      say("lost", "as many rows as were written, but of other offsets", lost());
    else if (isSamePlaces)
      for (const detail of alterations(proof.digests, found.digests, about)) say("altered", detail);
  }
  const state = findings.length > 0 ? "different" : proof === null ? "unproven" : "equal";
  return { range: { partition, from, to, rows: proof?.rows ?? null, others, rowsFound: found.rows, state }, findings };
}

/** A column that the table has no more is not looked for. */
function alterations(
  proven: Digests,
  found: Digests,
  { place, columns }: { readonly place: PlaceColumns; readonly columns: ReadonlyMap<number, string> },
): readonly string[] {
  return [...columns].flatMap(([id, name]) => {
    if (id === place.offset || id === place.partition) return [];
    const written = proven.get(id) ?? nothing;
    if (isSame(written, found.get(id) ?? nothing)) return [];
    return [
      isSame(written, nothing)
        ? `column ${name} has values where translation wrote none`
        : `column ${name} has other values than translation wrote`,
    ];
  });
}

const nothing: Digest = [0, 0];

function isSame(one: Digest | undefined, other: Digest | undefined): boolean {
  const [a, b] = [one ?? nothing, other ?? nothing];
  return a[0] === b[0] && a[1] === b[1];
}

function count(rows: number): string {
  return rows === 1 ? "1 row is" : `${rows} rows are`;
}
