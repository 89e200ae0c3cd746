/**
 * What the table's rows must be, kept from translation: for ranges of each topic partition the numbers of rows, dead letters
 * and skips, and the rows' digests. Pure. A round's manifest carries the proof of its own rows; a commit adds those of its
 * rounds to the table's, in which ranges are joined as they grow many: it outlives the log, and stays small.
 */
import { CorruptData } from "../../base/errors.ts";
import type { TableRange } from "../../metadata/events.ts";
import { isJsonObject, type Json, type JsonObject, parseJsonObject, renderJson } from "../iceberg/json.ts";
import { addDigests, type Digest, type Digests, noDigests } from "./digest.ts";

/** Key in the metadata of a round's manifest, beside Iceberg's own. */
export const proofName = "inlet.proof";

/** Rows of one manifest, by topic partition. */
export type RoundProof = ReadonlyMap<number, RowProof>;

export interface RowProof {
  readonly rows: number;
  readonly digests: Digests;
}

export interface ProvenRange {
  readonly from: number;
  readonly to: number;
  /** null: nothing is known of the rows, since they were translated before there were proofs, or a person took them over. */
  readonly proof: RowProof | null;
  /** Offsets that are in no row: dead letters (or, of those, rows) and skips. */
  readonly others: number;
}

/** By topic partition: disjoint ranges in order. */
export type TableProof = ReadonlyMap<number, readonly ProvenRange[]>;

/** Numbers in a proof; some 2 MB as text. */
const cellsMax = 60_000;
const rangesMax = 64;

/** The proof with one more range, which may lie anywhere: what it overlaps becomes one range with it. */
export function withRange(table: TableProof, partition: number, added: ProvenRange): TableProof {
  const known = table.get(partition) ?? [];
  const overlapped = known.filter((range) => range.from < added.to && added.from < range.to);
  const rest = known.filter((range) => !overlapped.includes(range));
  const one = overlapped.reduce(joined, added);
  return new Map(table).set(
    partition,
    [...rest, one].sort((x, y) => x.from - y.from),
  );
}

/** What a round brings. `proof` undefined: its manifest holds none. */
export function withRound(table: TableProof, ranges: readonly TableRange[], proof: RoundProof | undefined): TableProof {
  let grown = table;
  for (const { partition, from, to } of ranges) {
    if (to === from) continue;
    const own = proof === undefined ? null : (proof.get(partition) ?? noRows);
    const others = own === null ? 0 : to - from - own.rows;
    grown = withRange(grown, partition, { from, to, proof: own, others });
  }
  return bounded(grown);
}

export const noRows: RowProof = { rows: 0, digests: noDigests };

/** A person took the table as it is: what was known of its rows is not true of it. */
export function forgotten(offsets: ReadonlyMap<number, number>): TableProof {
  const table = new Map<number, readonly ProvenRange[]>();
  for (const [partition, to] of offsets) if (to > 0) table.set(partition, [{ from: 0, to, proof: null, others: 0 }]);
  return table;
}

function joined(one: ProvenRange, other: ProvenRange): ProvenRange {
  const proof = one.proof === null || other.proof === null ? null : addProofs(one.proof, other.proof);
  const [from, to] = [Math.min(one.from, other.from), Math.max(one.to, other.to)];
  return { from, to, proof, others: proof === null ? 0 : to - from - proof.rows };
}

export function addProofs(one: RowProof, other: RowProof): RowProof {
  return { rows: one.rows + other.rows, digests: addDigests(one.digests, other.digests) };
}

/** Neighbours are joined, the two with the fewest offsets first, and never one that is known with one that is not. */
function bounded(table: TableProof): TableProof {
  let columns = 1;
  for (const ranges of table.values()) {
    for (const { proof } of ranges) columns = Math.max(columns, proof?.digests.size ?? 1);
  }
  const most = Math.max(1, Math.min(rangesMax, Math.floor(cellsMax / (columns * Math.max(1, table.size)))));
  return new Map([...table].map(([partition, ranges]) => [partition, joinedTo(ranges, most)]));
}

function joinedTo(ranges: readonly ProvenRange[], most: number): readonly ProvenRange[] {
  const kept = [...ranges];
  while (kept.length > most) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at + 1 < kept.length; at += 1) {
      const [one, next] = [kept[at] as ProvenRange, kept[at + 1] as ProvenRange];
      const isFit = one.to === next.from && (one.proof === null) === (next.proof === null);
      if (isFit && next.to - one.from < least) [best, least] = [at, next.to - one.from];
    }
    if (best < 0) break; // Holes and what is not known keep them apart: there are as many as somebody made.
    kept.splice(best, 2, joined(kept[best] as ProvenRange, kept[best + 1] as ProvenRange));
  }
  return kept;
}

export function renderRoundProof(proof: RoundProof): string {
  return renderJson(Object.fromEntries([...proof].map(([partition, rows]) => [partition, proofJson(rows)])));
}

export function parseRoundProof(text: string, source: string): RoundProof {
  const json = parseJsonObject(text, source);
  return new Map(Object.entries(json).map(([partition, rows]) => [Number(partition), proofOf(rows, source)]));
}

export function renderTableProof(table: TableProof): string {
  const partitions = [...table].map(([partition, ranges]) => [
    partition,
    ranges.map(({ proof, ...range }) => ({ ...range, ...(proof === null ? {} : proofJson(proof)) })),
  ]);
  return renderJson({ version: 1, partitions: Object.fromEntries(partitions) });
}

export function parseTableProof(text: string, source: string): TableProof {
  const { version, partitions } = parseJsonObject(text, source);
  if (version !== 1 || !isJsonObject(partitions)) throw corrupt(source, "a proof of version 1", renderJson(version));
  return new Map(
    Object.entries(partitions).map(([partition, ranges]) => {
      if (!Array.isArray(ranges)) throw corrupt(source, "a list of ranges", typeof ranges);
      return [Number(partition), (ranges as readonly Json[]).map((range) => rangeOf(range, source))];
    }),
  );
}

function rangeOf(json: Json, source: string): ProvenRange {
  if (!isJsonObject(json)) throw corrupt(source, "a range", typeof json);
  const { from, to, others } = json;
  if (typeof from !== "number" || typeof to !== "number" || typeof others !== "number")
    throw corrupt(source, "from, to and others", Object.keys(json).join());
  return { from, to, others, proof: json["rows"] === undefined ? null : proofOf(json, source) };
}

/** A digest is its 16 hexadecimal digits. */
function proofJson({ rows, digests }: RowProof): JsonObject {
  const texts = [...digests].map(([id, words]) => [
    id,
    words.map((each) => each.toString(16).padStart(8, "0")).join(""),
  ]);
  return { rows, digests: Object.fromEntries(texts) as JsonObject };
}

function proofOf(json: Json | undefined, source: string): RowProof {
  if (!isJsonObject(json)) throw corrupt(source, "a proof", typeof json);
  const { rows, digests } = json;
  if (typeof rows !== "number" || !isJsonObject(digests)) throw corrupt(source, "rows and digests", typeof rows);
  return { rows, digests: new Map(Object.entries(digests).map(([id, text]) => [Number(id), digestOf(text, source)])) };
}

function digestOf(text: Json, source: string): Digest {
  if (typeof text !== "string" || !/^[0-9a-f]{16}$/.test(text))
    throw corrupt(source, "16 hex digits", renderJson(text));
  return [Number.parseInt(text.slice(0, 8), 16), Number.parseInt(text.slice(8), 16)];
}

function corrupt(source: string, expected: string, found: string): CorruptData {
  return new CorruptData({ source, position: 0, expected, found });
}
