/**
 * Time travel by offset: the first snapshot of a table that holds given records of its topic. Each commit of ours left a
 * mark with every partition's next offset, and those only grow from commit to commit, so that halving finds it. Not the line to
 * `main` is followed but the marks: expiry leaves the last snapshot of each hour, and takes the parents between away.
 */
import { OperationFailed } from "../../base/errors.ts";
import { lineOf } from "../commit/expire.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { markName, parseMark } from "../rounds.ts";
import type { Warehouse } from "../warehouse.ts";

/** By partition: the next offset after what is wanted. */
export type Wanted = ReadonlyMap<number, number>;

export type AtOffset =
  | {
      readonly kind: "snapshot";
      readonly snapshotId: bigint;
      readonly committedMs: number;
      /** What it holds: the next offset of each partition. */
      readonly offsets: Wanted;
      /** False: older snapshots were expired, and one of them may have been the first. */
      readonly isFirst: boolean;
    }
  /** No commit holds it yet; where the table is. */
  | { readonly kind: "not-yet"; readonly offsets: Wanted }
  /** No snapshot carries a mark of ours. */
  | { readonly kind: "none" };

export async function snapshotAt(metadata: TableMetadata, wanted: Wanted, warehouse: Warehouse): Promise<AtOffset> {
  const ours = oursOf(metadata);
  const newest = ours.at(-1);
  if (newest === undefined) return { kind: "none" };
  const known = new Map<Snapshot, Wanted>();
  const offsetsOf = async (snapshot: Snapshot): Promise<Wanted> => {
    const offsets = known.get(snapshot) ?? (await readOffsets(snapshot, warehouse));
    known.set(snapshot, offsets);
    return offsets;
  };
  if (!holds(await offsetsOf(newest), wanted)) return { kind: "not-yet", offsets: await offsetsOf(newest) };
  let [low, high] = [0, ours.length - 1]; // ours[high] holds it.
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(await offsetsOf(ours[middle] as Snapshot), wanted)) high = middle;
    else low = middle + 1;
  }
  const first = ours[high] as Snapshot;
  return {
    kind: "snapshot",
    snapshotId: first["snapshot-id"],
    committedMs: first["timestamp-ms"],
    offsets: await offsetsOf(first),
    isFirst: isFirst(metadata, first, ours[high - 1]),
  };
}

/** Oldest first: main's newest, and all that are of the same table as it. */
function oursOf(metadata: TableMetadata): readonly Snapshot[] {
  const newest = lineOf(metadata, metadata["current-snapshot-id"]).find(
    (snapshot) => snapshot.summary?.[markName] !== undefined,
  );
  if (newest === undefined) return [];
  const of = parseMark(newest.summary[markName] ?? "");
  const isOurs = ({ summary }: Snapshot): boolean => {
    const mark = parseMark(summary?.[markName] ?? "");
    return mark !== undefined && mark.table === of?.table && mark.generation === of.generation;
  };
  const number = (snapshot: Snapshot): number => snapshot["sequence-number"];
  const others = metadata.snapshots.filter((each) => each !== newest && number(each) <= number(newest) && isOurs(each));
  return [...others.sort((a, b) => number(a) - number(b)), newest];
}

/** What came before is known: a snapshot of ours without it, or the beginning of the table. */
function isFirst(metadata: TableMetadata, first: Snapshot, before: Snapshot | undefined): boolean {
  const line = lineOf(metadata, first["snapshot-id"]);
  return (before !== undefined && line.includes(before)) || line.at(-1)?.["parent-snapshot-id"] === undefined;
}

function holds(offsets: Wanted, wanted: Wanted): boolean {
  return [...wanted].every(([partition, next]) => next === 0 || (offsets.get(partition) ?? 0) >= next);
}

async function readOffsets(snapshot: Snapshot, warehouse: Warehouse): Promise<Wanted> {
  const mark = parseMark(snapshot.summary?.[markName] ?? "");
  const whole = typeof mark?.offsets === "string" ? parseMark(await warehouse.readText(mark.offsets)) : mark;
  if (whole === undefined || typeof whole.offsets === "string") {
    throw new OperationFailed(`the mark of snapshot ${snapshot["snapshot-id"]} cannot be read`, { happened: "no" });
  }
  return whole.offsets;
}

/** "0:1234,3:99": records by partition and offset. undefined: it is not that. */
export function parsePlaces(text: string): Wanted | undefined {
  const places = new Map<number, number>();
  for (const part of text.split(",")) {
    const match = /^(\d{1,9}):(\d{1,15})$/.exec(part.trim());
    if (match === null || places.has(Number(match[1]))) return undefined;
    places.set(Number(match[1]), Number(match[2]) + 1);
  }
  return places;
}
