/**
 * Settling: what of our log does the table already hold? Pure. Asked before each commit, and after each one whose outcome
 * is unknown. Three witnesses, as seqs of rounds:
 *
 *   C  the newest of our marks in the ancestry of `main`
 *   P  the mark in the table's property, which a rollback of `main` leaves behind
 *   L  what our metadata log knows to be committed
 *
 *   C = P ≥ L  the table holds everything up to C       anything else  somebody changed history: a person decides
 */
import type { Seq, Uuid } from "../../base/ids.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { type CommitMark, markName, parseMark } from "../rounds.ts";

export interface Ledger {
  readonly cluster: Uuid;
  readonly table: Uuid;
  readonly generation: number;
  /** L; 0 before the first commit. */
  readonly committedSeq: Seq;
  /** Ours; a greater one in the table stops us. */
  readonly epoch: Seq;
  /** Of the table when we created or first met it; null while unknown. */
  readonly tableUuid: string | null;
}

export type Settled =
  /** All rounds up to `seq` are in the table, no later one is. */
  | { readonly kind: "settled"; readonly seq: Seq; readonly mark: CommitMark | null }
  /** Settled at `mark.seq` if the live files still hold what the mark's commit wrote: its snapshot was expired. */
  | { readonly kind: "confirm"; readonly mark: CommitMark }
  /** Another committer took the table after us. */
  | { readonly kind: "superseded"; readonly by: Seq }
  | { readonly kind: "diverged"; readonly reason: string };

/** What the ancestry of `main` says. */
export type Ancestry =
  | { readonly kind: "mark"; readonly mark: CommitMark; readonly snapshotId: bigint }
  /** Down to a snapshot without parent, or no snapshot at all, and none is ours. */
  | { readonly kind: "whole" }
  /** What came before is not there any more: somebody expired it, or the catalog keeps no history in the table. */
  | { readonly kind: "cut" }
  | { readonly kind: "unreadable"; readonly snapshot: bigint };

export function settle(metadata: TableMetadata, ledger: Ledger): Settled {
  const uuid = metadata["table-uuid"];
  if (ledger.tableUuid !== null && ledger.tableUuid !== uuid) {
    return diverged(`the table was replaced: its uuid is ${uuid}, ours was ${ledger.tableUuid}`);
  }
  const ancestry = ancestryOf(metadata);
  if (ancestry.kind === "unreadable") return diverged(`the mark of snapshot ${ancestry.snapshot} cannot be read`);
  const property = propertyOf(metadata);
  if (property === "unreadable") return diverged(`the table property ${markName} cannot be read`);
  const marks = [property, ancestry.kind === "mark" ? ancestry.mark : null].filter((mark) => mark !== null);
  for (const mark of marks) {
    const foreign = foreignReason(mark, ledger);
    if (foreign !== undefined) return diverged(foreign);
    if (mark.epoch > ledger.epoch) return { kind: "superseded", by: mark.epoch };
  }
  return compare(ancestry, property, ledger.committedSeq);
}

/**
 * A person takes the table as it is: everything that our log or any mark of ours knows is taken for committed, whether its
 * rows are still there or not.
 */
export function accepted(metadata: TableMetadata, ledger: Ledger): Extract<Settled, { readonly kind: "settled" }> {
  const ancestry = ancestryOf(metadata);
  const property = propertyOf(metadata);
  const marks = [property, ancestry.kind === "mark" ? ancestry.mark : null];
  const ours = marks.filter(
    (mark) => mark !== null && mark !== "unreadable" && foreignReason(mark, ledger) === undefined,
  );
  const seqs = ours.map((mark) => (mark as CommitMark).seq);
  return { kind: "settled", seq: Math.max(ledger.committedSeq, ...seqs) as Seq, mark: null };
}

/** Walks from `main` to the newest snapshot that carries a mark. */
export function ancestryOf(metadata: TableMetadata): Ancestry {
  const snapshots = new Map(metadata.snapshots.map((snapshot) => [snapshot["snapshot-id"], snapshot]));
  let id: bigint | undefined = metadata["current-snapshot-id"];
  if (id === -1n) return { kind: "whole" };
  while (id !== undefined) {
    const snapshot: Snapshot | undefined = snapshots.get(id);
    if (snapshot === undefined) return { kind: "cut" };
    snapshots.delete(id); // A chain that bites its tail ends as cut.
    const text = snapshot.summary?.[markName];
    if (text !== undefined) {
      const mark = parseMark(text);
      return mark === undefined ? { kind: "unreadable", snapshot: id } : { kind: "mark", mark, snapshotId: id };
    }
    id = snapshot["parent-snapshot-id"];
  }
  return { kind: isHistoryElsewhere(metadata) ? "cut" : "whole" };
}

/** Nessie's history is that of its branches: its tables show the current snapshot alone, whatever came before, without a parent. */
function isHistoryElsewhere({ snapshots }: TableMetadata): boolean {
  const [only, ...others] = snapshots;
  return only !== undefined && others.length === 0 && only["sequence-number"] > 1;
}

function compare(ancestry: Ancestry, property: CommitMark | null, log: Seq): Settled {
  const p = property?.seq ?? 0;
  if (ancestry.kind === "cut") {
    if (p < log) return diverged(`the table's property knows commit ${p}, our log ${log}, and the history is cut`);
    return property === null ? { kind: "settled", seq: log, mark: null } : { kind: "confirm", mark: property };
  }
  const c = ancestry.kind === "mark" ? ancestry.mark.seq : 0;
  if (c < p && c === 0)
    return diverged(`main holds no commit of ours any more: the table was replaced, or rolled back`);
  if (c < p) return diverged(`main was rolled back: it holds commit ${c}, the table had ${p}`);
  if (c > p) return diverged(`the property ${markName} was changed: it says ${p}, main holds commit ${c}`);
  if (c < log) return diverged(`main and the property ${markName} went back to commit ${c}; ${log} was committed`);
  return { kind: "settled", seq: c as Seq, mark: property };
}

function propertyOf(metadata: TableMetadata): CommitMark | null | "unreadable" {
  const text = metadata.properties[markName];
  return text === undefined ? null : (parseMark(text) ?? "unreadable");
}

function foreignReason(mark: CommitMark, ledger: Ledger): string | undefined {
  if (mark.cluster !== ledger.cluster) return `cluster ${mark.cluster} writes this table too`;
  if (mark.table !== ledger.table) return `another of our tables (${mark.table}) writes here too`;
  if (mark.generation !== ledger.generation) return `generation ${mark.generation} writes here too`;
  return undefined;
}

function diverged(reason: string): Settled {
  return { kind: "diverged", reason };
}
