/**
 * Folds a log by key: reads ranges of topic partitions, translates them as a commit would, and notes the last record of each key
 * whose hash lies in the share of this pass. Keeps nothing else; the rows of one round are on the local disk at a time.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { Offset, Uuid } from "../../base/ids.ts";
import type { Log } from "../../log/log.ts";
import type { ParquetRows } from "../parquet/parquet-rows.ts";
import { evolve, placeColumns, type TableMapping } from "../schema/schema-map.ts";
import { deleteSchema, type RowKey } from "../schema/schema-map-keys.ts";
import type { TableSettings } from "../settings.ts";
import type { Int64Leaf } from "../translate/leaf.ts";
import type { Round, RoundResult, TranslatedFile, Translator } from "../translate/translate.ts";
import { keyHashes, rowDigests } from "./digest.ts";
import type { KeyTable } from "./key-table.ts";
import type { OffsetSet } from "./replayed.ts";
import type { Scratch } from "./scratch.ts";
import type { TailRange } from "./tail.ts";

export interface FoldDeps {
  readonly log: Log;
  readonly translator: Translator;
  readonly scratch: Scratch;
  readonly rows: ParquetRows;
  readonly readBytesMax: number;
}

/** Keys whose first hash word lies in [from, to). */
export interface HashShare {
  readonly from: number;
  readonly to: number;
}

export interface FoldSubject {
  readonly topicId: Uuid;
  readonly settings: TableSettings;
  readonly mapping: TableMapping;
  /** Records that became dead letters. */
  readonly letters: OffsetSet;
}

/** "full": more keys than the table takes. "log-moved": the log has let go of records that were to be read. */
export type FoldOutcome = "folded" | "full" | "log-moved";

/** Bytes of record batches that are translated at once. */
const roundBytes = 16 * 1024 * 1024;
/** Each turn knows one question of the records more; a committed record asks nothing, unless a schema was put right since. */
const turnsMax = 100;

export class KeyFold {
  readonly #deps: FoldDeps;
  readonly #subject: FoldSubject;
  readonly #keys: KeyTable;
  readonly #share: HashShare;
  readonly #signal: AbortSignal;
  #mapping: TableMapping;
  #turns = 0;

  constructor(
    subject: FoldSubject,
    what: { readonly keys: KeyTable; readonly share: HashShare; readonly signal: AbortSignal },
    deps: FoldDeps,
  ) {
    this.#deps = deps;
    this.#subject = subject;
    this.#keys = what.keys;
    this.#share = what.share;
    this.#signal = what.signal;
    this.#mapping = subject.mapping;
  }

  /** Rows that the log says, before the later ones have taken their places. */
  async add({ partition, from, to }: TailRange): Promise<FoldOutcome> {
    for (let at = from; at < to; ) {
      this.#signal.throwIfAborted();
      const { topicId, settings } = this.#subject;
      const errors = { ...settings.errors, policy: "skip" } as const; // What was no row then was none; letters are left out.
      const plan = { mapping: this.#mapping, spec: { "spec-id": 0, fields: [] }, settings: { ...settings, errors } };
      await using round = this.#deps.translator.beginRound({ ...plan, targetFileBytes: Number.POSITIVE_INFINITY });
      const read = await this.#read(round, topicId, { partition, from: at, to });
      if (read === "log-moved") return read;
      if (read === "evolved") continue;
      const outcome = await this.#note(await round.finish(), { partition, from: at, to: read });
      if (outcome !== "folded") return outcome;
      at = read;
    }
    return "folded";
  }

  /** Where the round ends; "evolved": it is to be read again with another mapping. */
  async #read(round: Round, topicId: Uuid, range: TailRange): Promise<number | "log-moved" | "evolved"> {
    const { partition, to } = range;
    let at = range.from;
    for (let bytes = 0; at < to && bytes < roundBytes; ) {
      const lookup = this.#deps.log.partition(topicId, partition);
      if (lookup.kind !== "here") throw refusal(`partition ${partition} is not here: ask the broker that has it`);
      const request = { from: at as Offset, bytesMax: this.#deps.readBytesMax, atLeastOne: true } as const;
      const found = await lookup.partition.read({ ...request, isolation: "read-committed" });
      if (found.kind !== "batches") return "log-moved";
      if (found.next <= at) throw refusal(`partition ${partition} cannot be read at ${at}`);
      const next = Math.min(found.next, to);
      const { batches, aborted } = found;
      let isFull = false;
      for (const piece of this.#withoutLetters({ partition, from: at, to: next })) {
        const added = await round.add({ ...piece, batches, aborted });
        if (added.kind === "bad-record")
          throw refusal(`partition ${partition} offset ${added.offset}: ${added.detail}`);
        if (added.kind === "needs-schema") {
          this.#turns += 1;
          if (this.#turns > turnsMax) throw refusal("the schema of its records does not come to fit");
          for (const source of added.sources)
            this.#mapping = evolve(this.#mapping, source, this.#subject.settings).mapping;
          return "evolved";
        }
        isFull ||= added.isFull === true;
      }
      at = next;
      bytes += found.bytes;
      if (isFull) break;
    }
    return at;
  }

  /** The range but for its dead letters, in order. */
  *#withoutLetters({ partition, from, to }: TailRange): Iterable<TailRange> {
    let begin = from;
    for (const letters of this.#subject.letters.within({ partition, from, to })) {
      if (begin < letters.from) yield { partition, from: begin, to: letters.from };
      begin = letters.to;
    }
    if (begin < to) yield { partition, from: begin, to };
  }

  async #note({ files, deleteFile }: RoundResult, range: TailRange): Promise<FoldOutcome> {
    const { rowKey } = this.#mapping;
    if (deleteFile === undefined || rowKey === undefined) return "folded";
    // Every key that the round touched is deleted first; its row, if it has one, comes after.
    const touched = await this.#noteFile(deleteFile, { rowKey, range, isDelete: true });
    if (touched !== "folded") return touched;
    for (const file of files) {
      const noted = await this.#noteFile(file, { rowKey, range, isDelete: false });
      if (noted !== "folded") return noted;
    }
    return "folded";
  }

  async #noteFile(
    file: TranslatedFile,
    what: { readonly rowKey: RowKey; readonly range: TailRange; readonly isDelete: boolean },
  ): Promise<FoldOutcome> {
    const { rowKey, range, isDelete } = what;
    const { partition } = range;
    const schema = isDelete ? deleteSchema(this.#mapping, rowKey) : this.#mapping.schema;
    const place = placeColumns(this.#mapping);
    await using copy = await this.#deps.scratch.write(file.bytes);
    for await (const columns of this.#deps.rows.read(copy.path, schema, "translated rows")) {
      this.#signal.throwIfAborted();
      const hashes = keyHashes(columns, rowKey.ids);
      const digests = isDelete ? undefined : rowDigests(columns, place);
      const offsets = columns.leaves.find(({ shape }) => shape.id === place.offset) as Int64Leaf;
      for (let row = 0; row < columns.rows; row += 1) {
        const [a, b] = [hashes[row * 2] as number, hashes[row * 2 + 1] as number];
        if (!isInShare(a, this.#share)) continue;
        const entry = this.#keys.entry(a, b);
        if (entry === "full") return entry;
        const offset = isDelete ? range.from : Number(offsets.at(row));
        const digest = [digests?.[row * 2] ?? 0, digests?.[row * 2 + 1] ?? 0] as const;
        this.#keys.note(entry, { partition, offset, isDelete, digest });
      }
    }
    return "folded";
  }
}

export function isInShare(a: number, { from, to }: HashShare): boolean {
  return a >= from && a < to;
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
