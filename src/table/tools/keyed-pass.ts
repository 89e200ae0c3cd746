/** The keys of one share of hashes: learned from deletes and from the log, then asked about each row of the table. */
import type { Columns } from "../parquet/columns.ts";
import { deleteSchema } from "../schema/schema-map-keys.ts";
import type { Int32Leaf, Int64Leaf } from "../translate/leaf.ts";
import { keyHashes, rowDigests } from "./digest.ts";
import { type FoldOutcome, type HashShare, isInShare, KeyFold } from "./key-fold.ts";
import { KeyTable } from "./key-table.ts";
import type { FoldRange, RowTrouble } from "./keyed-report.ts";
import type { Whole } from "./keyed-run.ts";
import type { VerifyDeps } from "./verify.ts";

export interface CheckedRow {
  readonly partition: number;
  readonly offset: number;
  readonly verdict: "proven" | "deleted" | "not-provable" | RowTrouble;
}

interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly digest: readonly [number, number];
}

interface Subject extends Whole {
  readonly share: HashShare;
  readonly ranges: ReadonlyMap<number, FoldRange>;
}

export class KeyedPass {
  readonly keys: KeyTable;
  readonly #subject: Subject;
  readonly #deps: VerifyDeps;
  readonly #signal: AbortSignal;
  /** The log is cleaned by another key than the table's: that a record is gone says nothing. */
  readonly #isCleanedOtherwise: boolean;

  constructor(subject: Subject, deps: VerifyDeps, signal: AbortSignal) {
    this.keys = new KeyTable(deps.keyed.keysMax);
    this.#subject = subject;
    this.#deps = deps;
    this.#signal = signal;
    const policy = deps.keyed.topic.configs.get("cleanup.policy") ?? "delete";
    this.#isCleanedOtherwise = policy.includes("compact") && subject.rowKey.part === "value";
  }

  async learn(): Promise<FoldOutcome> {
    const { share, ranges } = this.#subject;
    const deleted = await this.#learnDeletes();
    if (deleted !== "folded") return deleted;
    const deps = { ...this.#deps, ...this.#deps.keyed, rows: this.#subject.rows };
    const fold = new KeyFold(this.#subject, { keys: this.keys, share, signal: this.#signal }, deps);
    for (const range of ranges.values()) {
      const outcome = await fold.add(range);
      if (outcome !== "folded") return outcome;
    }
    return "folded";
  }

  /** Rows of the share. `keeps`: 0 where other deletes have taken the row. */
  *check(
    columns: Columns,
    { keeps, sequence }: { readonly keeps: Uint8Array | undefined; readonly sequence: number },
  ): Iterable<CheckedRow> {
    const { rowKey, place, share } = this.#subject;
    const hashes = keyHashes(columns, rowKey.ids);
    const digests = rowDigests(columns, place);
    const partitions = columns.leaves.find(({ shape }) => shape.id === place.partition) as Int32Leaf;
    const offsets = columns.leaves.find(({ shape }) => shape.id === place.offset) as Int64Leaf;
    for (let row = 0; row < columns.rows; row += 1) {
      const [a, b] = [hashes[row * 2] as number, hashes[row * 2 + 1] as number];
      if (!isInShare(a, share)) continue;
      const [partition, offset] = [partitions.values[row] as number, Number(offsets.at(row))];
      const entry = this.keys.find(a, b);
      const isDeleted = keeps?.[row] === 0 || (entry !== undefined && this.keys.isDeleted(entry, sequence));
      const digest = [digests[row * 2] as number, digests[row * 2 + 1] as number] as const;
      const verdict = isDeleted
        ? "deleted"
        : this.#verdict(entry ?? this.keys.entryOfRow(a, b), { partition, offset, digest });
      yield { partition, offset, verdict };
    }
  }

  #verdict(entry: number, { partition, offset, digest }: Row): CheckedRow["verdict"] {
    const range = this.#subject.ranges.get(partition);
    if (range === undefined || offset >= range.to) return "foreign";
    const last = this.keys.records(entry).find((record) => record.partition === partition);
    if (last !== undefined && !last.isDelete && last.offset === offset) {
      if (!this.keys.match(entry)) return "doubled";
      return last.digest[0] === digest[0] && last.digest[1] === digest[1] ? "proven" : "altered";
    }
    if (last !== undefined && (last.isDelete || last.offset > offset)) return "stale";
    const isGone = offset < range.from || (last === undefined && this.#isCleanedOtherwise);
    if (!isGone) return "foreign";
    return this.keys.matchGone(entry) ? "not-provable" : "doubled";
  }

  async #learnDeletes(): Promise<FoldOutcome> {
    const { files, mapping, rowKey, share, rows } = this.#subject;
    const schema = deleteSchema(mapping, rowKey);
    for (const { entry } of files.keyDeletes) {
      await using copy = await this.#deps.scratch.copy(this.#deps.warehouse, entry.file);
      for await (const columns of rows.read(copy.path, schema, entry.file.path)) {
        this.#signal.throwIfAborted();
        const hashes = keyHashes(columns, rowKey.ids);
        for (let row = 0; row < columns.rows; row += 1) {
          const a = hashes[row * 2] as number;
          if (!isInShare(a, share)) continue;
          const key = this.keys.entry(a, hashes[row * 2 + 1] as number);
          if (key === "full") return key;
          this.keys.deleteBelow(key, entry.sequenceNumber);
        }
      }
    }
    return "folded";
  }
}
