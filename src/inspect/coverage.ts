/** Whether offsets are there once: of streams in the metadata, and in the WAL beyond that. Pure. */
import type { NodeId, Offset, StreamId } from "../base/ids.ts";
import type { Image, StreamInfo } from "../metadata/image.ts";
import type { WalRecord } from "../stream/wal.ts";
import type { StorageProblem } from "./problem.ts";

/** What the image says of a stream: its ranges join, cover [start, end), and none lies over another. */
export function judgeRanges(image: Image, stream: StreamInfo, where: string): readonly StorageProblem[] {
  const problems: StorageProblem[] = [];
  const ranges = image.ranges(stream.id, 0 as Offset);
  const first = ranges[0];
  if (first === undefined) {
    if (stream.end > stream.start) problems.push(gap(where, stream.start, stream.end));
    return problems;
  }
  if (first.from > stream.start) problems.push(gap(where, stream.start, first.from));
  let end = first.from;
  for (const { from, to, object } of ranges) {
    if (from > end) problems.push(gap(where, end, from));
    if (from < end) problems.push(doubled(where, from, Math.min(end, to), object));
    end = Math.max(end, to) as Offset;
  }
  if (end !== stream.end) problems.push(gap(where, end, stream.end));
  return problems;
}

/**
 * What WALs that hold the same records say together: each is trimmed and torn where it will, so what one lacks may be in another.
 * The image must be younger than the WALs: what was committed meanwhile is in it.
 */
export function judgeWals(
  wals: readonly WalCoverage[],
  image: Image,
  node: NodeId,
  nameOf: (stream: StreamInfo) => string,
): readonly StorageProblem[] {
  const inOne = wals.flatMap((wal) => wal.judge(image, node, nameOf)).filter(({ kind }) => kind !== "gap");
  const inAll = WalCoverage.union(wals).judge(image, node, nameOf);
  return [...inOne, ...inAll.filter(({ kind }) => kind === "gap")];
}

/** The WAL's records of each stream, joined where they follow one another: a few numbers a stream. */
export class WalCoverage {
  readonly #runs = new Map<StreamId, { from: Offset; to: Offset }[]>();

  add({ stream, after, to }: WalRecord): void {
    const runs = this.#runs.get(stream) ?? [];
    this.#runs.set(stream, runs);
    const last = runs.at(-1);
    if (last?.to === after) last.to = to;
    else runs.push({ from: after, to });
  }

  /** What is in any of them. */
  static union(wals: readonly WalCoverage[]): WalCoverage {
    const together = new WalCoverage();
    for (const id of new Set(wals.flatMap((wal) => [...wal.#runs.keys()]))) {
      const runs = wals.flatMap((wal) => wal.#runs.get(id) ?? []).sort((a, b) => a.from - b.from);
      const joined: { from: Offset; to: Offset }[] = [];
      for (const { from, to } of runs) {
        const last = joined.at(-1);
        if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to) as Offset;
        else joined.push({ from, to });
      }
      together.#runs.set(id, joined);
    }
    return together;
  }

  judge(image: Image, node: NodeId, nameOf: (stream: StreamInfo) => string): readonly StorageProblem[] {
    return [...this.#runs].flatMap(([id, runs]) => {
      const stream = image.stream(id);
      if (stream === undefined) return []; // Deleted: nobody misses it.
      const where = `${nameOf(stream)} in the WAL`;
      const problems: StorageProblem[] = [];
      let { end } = stream;
      for (const { from, to } of runs) {
        if (to <= stream.end) continue; // In objects.
        if (stream.node !== node) return [...problems, takenOver(where, end, to)];
        if (from > end) problems.push(gap(where, end, from));
        if (from < end && end > stream.end) problems.push(doubled(where, from, Math.min(end, to), undefined));
        end = Math.max(end, to) as Offset;
      }
      return problems;
    });
  }
}

function gap(where: string, from: number, to: number): StorageProblem {
  return {
    kind: "gap",
    where,
    detail: `offsets [${from}, ${to}) are nowhere`,
    advice: "these records are lost: restore the object or the WAL that held them, or delete them with DeleteRecords",
  };
}

function doubled(where: string, from: number, to: number, object: string | undefined): StorageProblem {
  return {
    kind: "doubled-range",
    where,
    detail: `offsets [${from}, ${to}) are there twice${object === undefined ? "" : `, again in ${object}`}`,
    advice:
      "stop the brokers and keep a copy of the metadata log: its fold admits no such range, so it is damaged or a bug",
  };
}

function takenOver(where: string, from: number, to: number): StorageProblem {
  return {
    kind: "taken-over",
    where,
    detail: `offsets [${from}, ${to}) were acked, and another node has taken the stream over without them`,
    advice: "keep a copy of this WAL: its records are not in the log any more",
  };
}
