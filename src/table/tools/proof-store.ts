/**
 * Tables' proofs in the cluster's own store, out of reach of what others clean up beside a table's files. One object for
 * each commit: a mark in the table (rounds.ts) says which of them is true of it.
 *
 *   tables/<table>/<rows | dead-letters>/<seq>-<epoch>      seq and epoch of the mark, 16 digits each
 *
 * It is there before the commit. The same mark is always written with the same rounds on top of the same mark, so that a
 * repeat changes nothing; should a commit not happen, nobody looks for its proof.
 */
import { CorruptData } from "../../base/errors.ts";
import type { Seq, Uuid } from "../../base/ids.ts";
import type { TableRange } from "../../metadata/events.ts";
import { type ObjectInfo, ObjectMissing, type ObjectStore } from "../../object-store/object-store.ts";
import type { CommitMark } from "../rounds.ts";
import { forgotten, parseTableProof, type RoundProof, renderTableProof, type TableProof, withRound } from "./proof.ts";

/** Of a table of ours, or of the table of its dead letters. */
export interface ProofName {
  readonly table: Uuid;
  readonly of: "rows" | "dead-letters";
}

type Place = Pick<CommitMark, "seq" | "epoch">;
type Kept = Place & { readonly key: string };

export interface ProofStep {
  /** What the table holds already; null: nothing. */
  readonly before: CommitMark | null;
  readonly mark: Pick<CommitMark, "seq" | "epoch" | "offsets">;
  readonly rounds: readonly { readonly ranges: readonly TableRange[]; readonly proof: RoundProof | undefined }[];
  /** A person takes the table as it is. */
  readonly isAccepted: boolean;
}

/** Of a round without rows for this table. */
export const noProof: RoundProof = new Map();

export class ProofStore {
  readonly #store: ObjectStore;
  /** The newest of each directory: what the next commit builds on. */
  readonly #newest = new Map<string, { readonly key: string; readonly proof: TableProof }>();
  /** What each directory held when it was listed, and was put there since: who commits alone to a table lists it once. */
  readonly #kept = new Map<string, readonly Kept[]>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Adds the rounds to what was proven before, and keeps it under the mark. */
  async advance(name: ProofName, step: ProofStep): Promise<void> {
    const proof = await this.#after(name, step);
    const directory = directoryOf(name);
    const { seq, epoch } = step.mark;
    const key = keyOf(name, step.mark);
    await this.#store.put(key, Buffer.from(renderTableProof(proof)));
    this.#newest.set(directory, { key, proof });
    const kept = this.#kept.get(directory)?.filter((each) => each.key !== key);
    if (kept !== undefined) this.#kept.set(directory, [...kept, { seq, epoch, key }]);
  }

  /** What was known when the mark was made; undefined: nothing was kept. Rewrites carry on a mark under a later epoch. */
  async read(name: ProofName, mark: Place): Promise<TableProof | undefined> {
    const newest = this.#newest.get(directoryOf(name));
    if (newest?.key === keyOf(name, mark)) return newest.proof;
    // Somebody else may have committed.
    const found = (await this.#list(name)).filter(({ seq, epoch }) => seq === mark.seq && epoch <= mark.epoch).at(-1);
    if (found === undefined) return undefined;
    if (newest?.key === found.key) return newest.proof;
    try {
      return parseTableProof(Buffer.from(await this.#store.get(found.key)).toString("utf8"), found.key);
    } catch (cause) {
      if (cause instanceof ObjectMissing) return undefined;
      throw cause;
    }
  }

  /** Of commits before this one nobody asks any more. */
  async forget(name: ProofName, before: Seq): Promise<void> {
    const directory = directoryOf(name);
    const kept = this.#kept.get(directory) ?? (await this.#list(name));
    const old = kept.filter(({ seq }) => seq < before);
    if (old.length === 0) return;
    await this.#store.delete(old.map(({ key }) => key));
    this.#kept.set(
      directory,
      kept.filter((each) => !old.includes(each)),
    );
  }

  async #after(name: ProofName, { before, mark, rounds, isAccepted }: ProofStep): Promise<TableProof> {
    const known = before === null ? new Map() : await this.read(name, before);
    if (isAccepted || known === undefined)
      return forgotten(typeof mark.offsets === "string" ? new Map() : mark.offsets);
    return rounds.reduce<TableProof>((proof, round) => withRound(proof, round.ranges, round.proof), known);
  }

  /** In order. */
  async #list(name: ProofName): Promise<readonly Kept[]> {
    const found: Kept[] = [];
    for await (const info of this.#store.list(`${directoryOf(name)}/`)) found.push(placed(info));
    found.sort((a, b) => a.seq - b.seq || a.epoch - b.epoch);
    this.#kept.set(directoryOf(name), found);
    return found;
  }
}

function directoryOf({ table, of }: ProofName): string {
  return `tables/${table}/${of}`;
}

function keyOf(name: ProofName, { seq, epoch }: Place): string {
  return `${directoryOf(name)}/${digits(seq)}-${digits(epoch)}`;
}

function digits(value: number): string {
  return String(value).padStart(16, "0");
}

function placed({ key }: ObjectInfo): Kept {
  const match = /\/(\d{16})-(\d{16})$/.exec(key);
  if (match === null) throw new CorruptData({ source: key, position: 0, expected: "<seq>-<epoch>", found: key });
  return { key, seq: Number(match[1]) as Seq, epoch: Number(match[2]) as Seq };
}
