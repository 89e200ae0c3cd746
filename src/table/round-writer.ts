/**
 * One round: reads ranges of the log, translates them, uploads data files and the manifests that list them. Nothing refers
 * to what it uploads until the caller adds the round to the metadata log; a crash before that leaves orphans.
 */
import type { FormatVersion } from "../../schemas/iceberg.ts";
import { assert, OperationFailed, RangeUnreadable } from "../base/errors.ts";
import type { Offset, Uuid } from "../base/ids.ts";
import type { Random } from "../base/runtime.ts";
import type { Lookup, Partition, PartitionReadResult } from "../log/log.ts";
import type { RoundManifest, TableRange } from "../metadata/events.ts";
import { addedFile, writeManifest } from "./iceberg/manifest.ts";
import type { PartitionSpec, Schema } from "./iceberg/types.ts";
import { type NextRange, tableRange } from "./rounds.ts";
import type { MappingSource } from "./schema/schema-map.ts";
import type { TableSettings } from "./settings.ts";
import type { Places, TableState } from "./table-state.ts";
import { addProofs, noRows, proofName, type RoundProof, type RowProof, renderRoundProof } from "./tools/proof.ts";
import { deadLetterSchema } from "./translate/dead-letters.ts";
import type { Round, Touches, TranslatedFile, Translator } from "./translate/translate.ts";
import { uniqueUri, type Warehouse } from "./warehouse.ts";

/** Where a round's records come from: the log, or dead letters. */
export interface RecordSource {
  partition(
    topicId: Uuid,
    index: number,
  ):
    | { readonly kind: "here"; readonly partition: Pick<Partition, "read"> }
    | { readonly kind: Exclude<Lookup["kind"], "here"> };
}

export interface RoundWriterDeps {
  readonly log: RecordSource;
  readonly translator: Translator;
  readonly warehouse: Warehouse;
  readonly random: Random;
  readonly limits: RoundLimits;
}

export interface RoundLimits {
  /** Bytes of record batches that one round reads. */
  readonly roundBytesMax: number;
  /** Bytes of one read from the log. */
  readonly readBytesMax: number;
  readonly targetFileBytes: number;
}

export interface WrittenRound {
  /** Empty: nothing could be translated. */
  readonly ranges: readonly TableRange[];
  readonly main: RoundManifest | null;
  readonly deadLetters: RoundManifest | null;
  readonly deletes: RoundManifest | null;
  readonly counts: RoundCounts;
  readonly stop: RoundStop;
}

export interface RoundCounts {
  readonly rows: number;
  readonly deadLetters: number;
  readonly dropped: number;
  readonly files: number;
  readonly fileBytes: number;
  /** Keys with records in several topic partitions of the round. */
  readonly crossingKeys: number;
  /** Of record batches. */
  readonly bytesRead: number;
}

/** Why the round ended where it did. */
export type RoundStop =
  | { readonly kind: "done" }
  /** There is more to read. */
  | { readonly kind: "full" }
  | { readonly kind: "needs-schema"; readonly sources: readonly MappingSource[] }
  | { readonly kind: "bad-record"; readonly partition: number; readonly offset: number; readonly detail: string }
  /** Acknowledged records are lost to readers, here too: going on behind them would hide it. */
  | { readonly kind: "unreadable"; readonly partition: number; readonly detail: string }
  /** The log or the schema registry failed; what was translated before stands. */
  | { readonly kind: "failed"; readonly cause: unknown };

/** How a table's files are made. */
interface Shape {
  readonly schema: Schema;
  readonly spec: PartitionSpec;
  readonly sortOrderId: number | null;
  readonly version: FormatVersion;
  /** Of files of deletes: the key's columns. */
  readonly equalityIds?: readonly number[] | null;
}

interface Progress {
  readonly range: NextRange;
  to: Offset;
  rows: RowProof;
  deadLetters: RowProof;
}

export class RoundWriter {
  readonly #deps: RoundWriterDeps;

  constructor(deps: RoundWriterDeps) {
    this.#deps = deps;
  }

  async write(request: {
    readonly topicId: Uuid;
    readonly state: TableState;
    readonly settings: TableSettings;
    readonly ranges: readonly NextRange[];
    /** All of the ranges, however many bytes that is: a round that is written again must not end earlier. */
    readonly isWhole?: boolean;
    /** Gets the file of dead letters, which then goes nowhere: they are letters already. */
    readonly takeLetters?: (file: Uint8Array) => void;
    /** Of a table with a key: which of the records' touches are not to be, because others came later. */
    readonly choose?: (touches: Touches) => Promise<Uint8Array>;
  }): Promise<WrittenRound> {
    const { state, settings } = request;
    const { targetFileBytes } = this.#deps.limits;
    const { mapping, spec, sortOrder } = state;
    const plan = { mapping, spec, sortOrder, settings, targetFileBytes };
    await using round = this.#deps.translator.beginRound(plan);
    const bytesMax = request.isWhole === true ? Number.POSITIVE_INFINITY : this.#deps.limits.roundBytesMax;
    const reading = new Reading(request.topicId, this.#deps, round, bytesMax);
    const stop = await reading.run(request.ranges);
    const ranges = reading.progress.filter(({ range, to }) => to > range.from);
    if (ranges.length === 0) {
      return { ranges: [], main: null, deadLetters: null, deletes: null, counts: noCounts, stop };
    }
    const { takeLetters, choose } = request;
    const isChosen = choose !== undefined && mapping.rowKey !== undefined;
    const leaveOut = isChosen ? await choose(await round.touches()) : undefined;
    const { files, deadLetterFile, deleteFile, crossingKeys } = await round.finish(leaveOut);
    if (deadLetterFile !== undefined) takeLetters?.(deadLetterFile.bytes);
    const letters = deadLetterFile === undefined || takeLetters !== undefined ? [] : [deadLetterFile];
    const deletes = deleteFile === undefined ? [] : [deleteFile];
    const { places, deadLetterPlaces } = state;
    const version = state.formatVersion ?? 2;
    const rowShape: Shape = { schema: mapping.schema, spec, version, sortOrderId: sortOrder?.["order-id"] ?? null };
    const letterSpec: PartitionSpec = { "spec-id": 0, fields: [] };
    const letterShape: Shape = { schema: deadLetterSchema, spec: letterSpec, version: 2, sortOrderId: null };
    const proofOf = (what: "rows" | "deadLetters") =>
      new Map(ranges.map((progress) => [progress.range.partition, progress[what]] as const));
    return {
      ranges: ranges.map(({ range, to, rows, deadLetters }) =>
        tableRange(
          { ...range, to },
          { rows: rows.rows, deadLetters: takeLetters === undefined ? deadLetters.rows : 0 },
        ),
      ),
      // Later records take rows of a table with a key away again: what was read does not prove what it holds.
      main: await this.#upload(files, rowShape, {
        places,
        proof: mapping.rowKey === undefined ? proofOf("rows") : undefined,
      }),
      deadLetters: await this.#upload(letters, letterShape, {
        places: deadLetterPlaces,
        proof: proofOf("deadLetters"),
      }),
      deletes: await this.#uploadDeletes(deletes, state),
      counts: countsOf(reading, [...files, ...letters, ...deletes], crossingKeys),
      stop,
    };
  }

  /** Under a spec without fields, so that they reach the rows of every partition and of every spec (rule H2). */
  async #uploadDeletes(files: readonly TranslatedFile[], state: TableState): Promise<RoundManifest | null> {
    const { mapping, deleteSpec, places } = state;
    if (files.length === 0) return null;
    assert(mapping.rowKey !== undefined, "only a table with a key has deletes");
    assert(deleteSpec !== undefined && deleteSpec !== null, "a table with a key was made with a spec for its deletes");
    const { schema, rowKey } = mapping;
    const version = state.formatVersion ?? 2;
    const shape: Shape = { schema, spec: deleteSpec, version, sortOrderId: null, equalityIds: rowKey.ids };
    return await this.#upload(files, shape, { places, proof: undefined });
  }

  /** Data files, then the manifest that lists them: a manifest never names a file that is not there. */
  async #upload(
    files: readonly TranslatedFile[],
    { schema, spec, version, sortOrderId, equalityIds = null }: Shape,
    { places, proof }: { readonly places: Places | null; readonly proof: RoundProof | undefined },
  ): Promise<RoundManifest | null> {
    const translated = files.filter(({ file }) => file.recordCount > 0); // Rule A11.
    if (translated.length === 0) return null;
    assert(places !== null, "a table has its places before its first round");
    const { warehouse, random } = this.#deps;
    const entries = [];
    for (const { bytes, file, partition } of translated) {
      const path = uniqueUri(places.data, equalityIds === null ? "inlet" : "inlet-deletes", ".parquet", random);
      await warehouse.create(path, bytes);
      entries.push({ ...addedFile({ ...file, partition, path }, equalityIds), sortOrderId });
    }
    const properties = new Map(proof === undefined ? [] : [[proofName, renderRoundProof(proof)]]);
    const content = equalityIds === null ? "data" : "deletes";
    const manifest = writeManifest({ schema, spec, content, entries, properties, version });
    const location = uniqueUri(places.metadata, "inlet-round", ".avro", random);
    await warehouse.create(location, manifest);
    const rows = translated.reduce((sum, { file }) => sum + file.recordCount, 0);
    return { location, bytes: manifest.length, rows };
  }
}

/** Feeds one round from the log, partition after partition, until its bytes are used up. */
class Reading {
  readonly progress: Progress[] = [];
  dropped = 0;
  bytesRead = 0;
  readonly #topicId: Uuid;
  readonly #deps: RoundWriterDeps;
  readonly #round: Round;
  #bytesLeft: number;

  constructor(topicId: Uuid, deps: RoundWriterDeps, round: Round, bytesMax: number) {
    this.#topicId = topicId;
    this.#deps = deps;
    this.#round = round;
    this.#bytesLeft = bytesMax;
  }

  async run(ranges: readonly NextRange[]): Promise<RoundStop> {
    for (const range of ranges) {
      const progress: Progress = { range, to: range.readFrom, rows: noRows, deadLetters: noRows };
      this.progress.push(progress);
      const stop = await this.#translate(progress);
      if (stop.kind !== "done") return stop;
    }
    return { kind: "done" };
  }

  async #translate(progress: Progress): Promise<RoundStop> {
    while (progress.to < progress.range.to) {
      if (this.#bytesLeft <= 0) return { kind: "full" };
      // Looked up each time: the partition may have moved to another node meanwhile.
      const lookup = this.#deps.log.partition(this.#topicId, progress.range.partition);
      if (lookup.kind !== "here") return { kind: "done" };
      try {
        const stop = await this.#step(progress, lookup.partition);
        if (stop !== undefined) return stop;
      } catch (cause) {
        if (!(cause instanceof OperationFailed)) throw cause;
        if (!(cause instanceof RangeUnreadable)) return { kind: "failed", cause };
        return { kind: "unreadable", partition: progress.range.partition, detail: cause.message };
      }
    }
    return { kind: "done" };
  }

  /** undefined: go on. */
  async #step(progress: Progress, partition: Pick<Partition, "read">): Promise<RoundStop | undefined> {
    const from = progress.to;
    const bytesMax = Math.min(this.#deps.limits.readBytesMax, this.#bytesLeft);
    const read = await partition.read({ from, bytesMax, atLeastOne: true, isolation: "read-committed" });
    // Out of range: the log start has passed us; the next round begins there and counts what was lost.
    if (read.kind !== "batches" || read.next <= from) return { kind: "done" };
    const to = Math.min(read.next, progress.range.to) as Offset; // More may have become stable meanwhile.
    const stop = await this.#add(progress, read, to);
    if (stop?.kind !== "bad-record" || stop.offset <= from) return stop;
    // Everything before the record is good: the table stops at it, not at where the read happened to begin.
    return (await this.#add(progress, read, stop.offset as Offset)) ?? stop;
  }

  async #add(
    progress: Progress,
    read: Pick<Extract<PartitionReadResult, { readonly kind: "batches" }>, "batches" | "aborted" | "bytes">,
    to: Offset,
  ): Promise<RoundStop | undefined> {
    const { partition } = progress.range;
    const { batches, aborted } = read;
    const added = await this.#round.add({ partition, batches, aborted, from: progress.to, to });
    switch (added.kind) {
      case "added":
        progress.to = to;
        progress.rows = addProofs(progress.rows, { rows: added.rows, digests: added.digests.rows });
        progress.deadLetters = addProofs(progress.deadLetters, {
          rows: added.deadLetters,
          digests: added.digests.deadLetters,
        });
        this.dropped += added.dropped;
        this.bytesRead += read.bytes;
        this.#bytesLeft -= read.bytes;
        if (added.isFull === true && Number.isFinite(this.#bytesLeft)) this.#bytesLeft = 0;
        return undefined;
      case "needs-schema":
        return added;
      case "bad-record":
        return { kind: "bad-record", partition, offset: added.offset, detail: `${added.reason}: ${added.detail}` };
    }
  }
}

const noCounts: RoundCounts = {
  rows: 0,
  deadLetters: 0,
  dropped: 0,
  files: 0,
  fileBytes: 0,
  crossingKeys: 0,
  bytesRead: 0,
};

function countsOf(reading: Reading, files: readonly TranslatedFile[], crossingKeys: number): RoundCounts {
  return {
    rows: reading.progress.reduce((sum, { rows }) => sum + rows.rows, 0),
    deadLetters: reading.progress.reduce((sum, { deadLetters }) => sum + deadLetters.rows, 0),
    dropped: reading.dropped,
    files: files.length,
    fileBytes: files.reduce((sum, { bytes }) => sum + bytes.length, 0),
    crossingKeys,
    bytesRead: reading.bytesRead,
  };
}
