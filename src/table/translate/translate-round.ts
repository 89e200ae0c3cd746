/**
 * One round, synchronously, in whatever thread it runs: batches in, files out. What must come from outside (the text of a
 * schema) is asked for by the answer, after which the same range is added again.
 */
import { assert, CorruptData } from "../../base/errors.ts";
import { inflate } from "../../protocol/compression.ts";
import { BatchView } from "../../protocol/record-batch.ts";
import { RecordCursor, readMarker } from "../../protocol/records.ts";
import { BadRecord } from "../decode/bad-record.ts";
import type { Mark } from "../parquet/columns.ts";
import {
  type MessagePath,
  placeColumns,
  type RecordPart,
  type SchemaId,
  type SchemaText,
  sourceKey,
} from "../schema/schema-map.ts";
import { nothing, type SourceType } from "../schema/schema-map-types.ts";
import { digestRows, noDigests } from "../tools/digest.ts";
import { type DeadLetter, DeadLetters, letterPlace } from "./dead-letters.ts";
import {
  ConfluentFraming,
  type Framing,
  GlueFraming,
  LatestFraming,
  readSchemaHeaders,
  type SchemaHeader,
} from "./framing.ts";
import { grownBy } from "./inferred.ts";
import type { AddOutcome, RangeCounts, RangeInput, RoundPlan, RoundResult, Touches } from "./translate.ts";
import type { Brought } from "./translate-answer.ts";
import { Changes } from "./translate-changes.ts";
import { compileMetadata, isTimestampInRange, type MetadataPut, type RecordPlace } from "./translate-metadata.ts";
import { PartitionFiles, type PartitionLimits, Partitions } from "./translate-partitions.ts";
import {
  compileKey,
  compileValue,
  type PartContext,
  type PartPut,
  type PutOutcome,
  type RecordOutcome,
} from "./translate-parts.ts";

export interface RoundLimits extends Omit<PartitionLimits, "targetFileBytes" | "sortOrder"> {
  readonly inflateBytesMax: number;
  /** Of the registry that schemas come from. Absent: Confluent's. */
  readonly framing?: "glue";
}

const recordParts = ["key", "value"] as const;

/** Letters are read back in the main thread, a row group at a time: for their topic, and to be translated again. */
const letterGroupBytesMax = 1024 * 1024;

export type CoreOutcome =
  | Exclude<AddOutcome, { readonly kind: "needs-schema" }>
  /** Texts of ids that the mapping knows. */
  | { readonly kind: "needs-texts"; readonly schemas: readonly SchemaPlace[] }
  /** The ids of subjects' latest versions, before any record is read. */
  | { readonly kind: "needs-latest"; readonly parts: readonly RecordPart[] }
  | { readonly kind: "needs-schema"; readonly unknown: readonly UnknownSchema[]; readonly inferred: Inferred };

/** Types of fields that schemaless records have and the table has not. */
export type Inferred = Readonly<Record<RecordPart, SourceType>>;

export interface SchemaPlace {
  readonly part: RecordPart;
  readonly schemaId: SchemaId;
}

export interface UnknownSchema extends SchemaPlace {
  /** What the record names, should the schema be Protobuf. */
  readonly message: MessagePath | undefined;
}

export class RoundCore {
  readonly #plan: RoundPlan;
  readonly #limits: RoundLimits;
  readonly #partitions: Partitions;
  readonly #deadLetters = new DeadLetters();
  readonly #deadLetterFiles: PartitionFiles;
  /** By sourceKey of the id. */
  readonly #texts = new Map<string, SchemaText>();
  readonly #latest: Partial<Record<RecordPart, { schemaId: SchemaId | undefined }>>;
  readonly #framings: PartContext["framings"];
  /** Empty where no header says what a schema is. */
  readonly #schemaHeaders: readonly (SchemaHeader | undefined)[];
  /** Of a table whose rows change; undefined where each record is a row. */
  readonly #changes: Changes | undefined;
  readonly #putMetadata: MetadataPut;
  readonly #putKey: PartPut;
  readonly #putValue: PartPut;
  #rows = 0;
  #letters = 0;
  // Of the range that is being added.
  #range: RangeState = freshRange();

  constructor(plan: RoundPlan, limits: RoundLimits) {
    this.#plan = plan;
    this.#limits = limits;
    const { mapping, settings } = plan;
    const { key, value } = settings;
    this.#latest = {
      ...(key.latest === undefined ? {} : { key: { schemaId: undefined } }),
      ...(value.latest === undefined ? {} : { value: { schemaId: undefined } }),
    };
    this.#framings = { key: this.#framingOf("key"), value: this.#framingOf("value") };
    const byId = recordParts.filter((part) => settings[part].decode === "schema-id");
    this.#schemaHeaders = byId.flatMap((part) => this.#framings[part].header ?? []);
    const partitionLimits = { ...limits, targetFileBytes: plan.targetFileBytes };
    this.#changes =
      mapping.rowKey === undefined
        ? undefined
        : new Changes(plan, mapping.rowKey, { texts: this.#texts, framings: this.#framings });
    const { sortOrder } = plan;
    const rowLimits = { ...partitionLimits, sortOrder };
    this.#partitions = new Partitions(mapping.schema, plan.spec, rowLimits, this.#changes?.columns);
    const letters = this.#deadLetters.columns;
    this.#deadLetterFiles = new PartitionFiles(
      letters.schema,
      [],
      {
        ...partitionLimits,
        targetFileBytes: Number.POSITIVE_INFINITY,
        rowGroupBytesMax: Math.min(limits.rowGroupBytesMax, letterGroupBytesMax),
      },
      letters,
    );
    const columns = this.#partitions.columns;
    const context = { columns, mapping, settings, texts: this.#texts, framings: this.#framings };
    this.#putMetadata = compileMetadata(columns, mapping.own);
    this.#putKey = compileKey(context);
    this.#putValue = compileValue(context);
  }

  #framingOf(part: RecordPart): Framing {
    const latest = this.#latest[part];
    if (latest !== undefined) return new LatestFraming(latest);
    return this.#limits.framing === "glue" ? new GlueFraming(this.#limits.inflateBytesMax) : new ConfluentFraming(part);
  }

  /** What was asked for. The latest version stays the round's, should a newer one come meanwhile. */
  learn({ texts, latest }: Brought): void {
    for (const part of recordParts) {
      const mine = this.#latest[part];
      if (mine !== undefined) mine.schemaId ??= latest?.[part];
    }
    for (const [key, text] of texts) this.#texts.set(key, text);
  }

  add(range: RangeInput): CoreOutcome {
    const parts = recordParts.filter((part) => this.#latest[part] !== undefined);
    const unmet = parts.filter((part) => this.#latest[part]?.schemaId === undefined);
    if (unmet.length > 0) return { kind: "needs-latest", parts: unmet };
    const before: Before = [this.#partitions.columns.mark(), this.#deadLetters.columns.mark()];
    this.#range = freshRange();
    try {
      const stopped = this.#addBatches(range);
      const outcome = stopped ?? this.#outcome(range, before);
      if (outcome.kind === "added") this.#keep(outcome);
      else this.#undo(before);
      return outcome;
    } catch (cause) {
      this.#undo(before); // The round stays usable for ranges that can be read.
      throw cause;
    }
  }

  touches(): Touches {
    assert(this.#changes !== undefined, "only a table with a key has touches");
    return this.#changes.touches();
  }

  finish(leaveOut?: Uint8Array): RoundResult {
    const [deadLetterFile] = this.#deadLetterFiles.finish();
    const changed = this.#changes?.finish(this.#partitions, this.#limits.parquet, leaveOut);
    const { deleteFile, crossingKeys } = changed ?? { deleteFile: undefined, crossingKeys: 0 };
    return {
      deleteFile,
      crossingKeys,
      files: this.#partitions.finish(),
      deadLetterFile,
      rows: this.#rows,
      deadLetters: this.#letters,
    };
  }

  #keep(counts: RangeCounts): void {
    this.#rows += counts.rows;
    this.#letters += counts.deadLetters;
    if (this.#changes === undefined) this.#partitions.distribute();
    this.#deadLetterFiles.flushIfFull();
  }

  #undo([rows, letters]: Before): void {
    (this.#changes ?? this.#partitions.columns).cutTo(rows);
    this.#deadLetters.columns.cutTo(letters);
  }

  #outcome({ from, to }: RangeInput, [rowsFrom, lettersFrom]: Before): CoreOutcome {
    const { rows, deadLetters, dropped, timestampsOutOfRange, unknown, wanted, inferred } = this.#range;
    if (unknown.size > 0 || inferred.key !== nothing || inferred.value !== nothing) {
      return { kind: "needs-schema", unknown: [...unknown.values()], inferred };
    }
    if (wanted.size > 0) return { kind: "needs-texts", schemas: [...wanted.values()] };
    const skips = to - from - rows - deadLetters;
    // Rows that change wait until the round ends: the last of a key is known only then.
    const isFull = this.#changes !== undefined && this.#changes.bytes >= this.#limits.openBytesMax;
    const digests = {
      rows:
        this.#changes !== undefined
          ? noDigests
          : digestRows(this.#partitions.columns, rowsFrom, placeColumns(this.#plan.mapping)),
      deadLetters: digestRows(this.#deadLetters.columns, lettersFrom, letterPlace),
    };
    return { kind: "added", isFull, rows, deadLetters, skips, dropped, timestampsOutOfRange, digests };
  }

  #addBatches(range: RangeInput): CoreOutcome | undefined {
    const aborted = new AbortedTransactions(range.aborted);
    for (const bytes of range.batches) {
      const batch = new BatchView(bytes);
      if (batch.isControl) {
        aborted.passMarker(batch, this.#limits.inflateBytesMax);
        continue;
      }
      if (aborted.holds(batch) || batch.nextOffset <= range.from || batch.baseOffset >= range.to) continue;
      const stopped = this.#addBatch(batch, range);
      if (stopped !== undefined) return stopped;
    }
    return undefined;
  }

  #addBatch(batch: BatchView, range: RangeInput): CoreOutcome | undefined {
    const place: RecordPlace = {
      partition: range.partition,
      offset: Math.max(batch.baseOffset, range.from),
      timestamp: -1,
      timestampType: batch.timestampType,
    };
    const { baseOffset, baseTimestamp, maxTimestamp } = batch;
    const isAppendTime = batch.timestampType === "append";
    let next = place.offset; // Of the records that have not been read.
    try {
      const records = inflate(batch.compression ?? "none", batch.records, { bytesMax: this.#limits.inflateBytesMax });
      const record = new RecordCursor(records, batch.recordCount);
      while (record.next()) {
        place.offset = baseOffset + record.offsetDelta;
        if (place.offset < range.from || place.offset >= range.to) continue;
        place.timestamp = isAppendTime ? maxTimestamp : baseTimestamp + record.timestampDelta;
        const stopped = this.#addRecord(record, place);
        if (stopped !== undefined) return stopped;
        next = place.offset + 1;
      }
    } catch (cause) {
      if (!(cause instanceof CorruptData)) throw cause;
      if (next >= range.to) return undefined; // What is broken is behind the range.
      return this.#addCorruptBatch(batch, { ...place, offset: next }, cause.message);
    }
    return undefined;
  }

  #addRecord(record: RecordCursor, place: RecordPlace): CoreOutcome | undefined {
    const { columns } = this.#partitions;
    try {
      if (this.#schemaHeaders.length > 0) readSchemaHeaders(this.#schemaHeaders, record);
      const outcome = this.#changes === undefined ? this.#putRow(record, place) : this.#changes.put(record, place);
      if (outcome.kind === "row") {
        this.#range.rows += 1;
        if (!isTimestampInRange(place.timestamp)) this.#range.timestampsOutOfRange += 1;
      } else if (outcome.kind === "wants") {
        columns.undoRow();
        this.#want("key", outcome.key);
        this.#want("value", outcome.value);
      }
      return undefined;
    } catch (cause) {
      if (!(cause instanceof BadRecord)) throw cause;
      columns.undoRow();
      return this.#addBadRecord({
        ...this.#letterAt(place),
        key: record.key,
        value: record.value,
        headers: record.headers(),
        schemaId: this.#schemaIdOf(record.value),
        reason: cause.reason,
        detail: cause.message,
      });
    }
  }

  /** Letters have a column for Confluent's numbers; what else names a schema is in the record itself. */
  #schemaIdOf(value: Uint8Array | null): number | undefined {
    if (this.#plan.settings.value.decode !== "schema-id" || this.#limits.framing === "glue") return undefined;
    const id = this.#framings.value.schemaId(value);
    return typeof id === "number" ? id : undefined;
  }

  #putRow(record: RecordCursor, place: RecordPlace): RecordOutcome {
    this.#putMetadata.place(place);
    if (this.#putMetadata.wantsHeaders) this.#putMetadata.headers(record.headerCount === 0 ? [] : record.headers());
    const key = this.#putKey(record.key);
    const value = this.#putValue(record.value);
    if (key.kind !== "ok" || value.kind !== "ok") return { kind: "wants", key, value };
    this.#partitions.columns.endRow();
    return { kind: "row" };
  }

  #want(part: RecordPart, outcome: PutOutcome): void {
    switch (outcome.kind) {
      case "ok":
        return;
      case "unknown-schema":
        this.#wantSchema({ part, schemaId: outcome.schemaId, message: outcome.message });
        return;
      case "no-text":
        this.#range.wanted.set(sourceKey(part, outcome.schemaId), { part, schemaId: outcome.schemaId });
        return;
      case "new-fields":
        this.#range.inferred[part] = this.#withInferred(part, outcome.type);
    }
  }

  #withInferred(part: RecordPart, type: SourceType): SourceType {
    const known = this.#range.inferred[part];
    // Which columns identify rows is for the first key to say.
    const isFixed = part === "key" && this.#plan.mapping.rowKey?.part === "key" && known !== nothing;
    return isFixed ? known : grownBy(known, type);
  }

  /** Of an id that nobody knows yet, one record speaks for all: only its schema says whether there are messages to tell apart. */
  #wantSchema(unknown: UnknownSchema): void {
    const isKnown = this.#plan.mapping.sources[sourceKey(unknown.part, unknown.schemaId)] !== undefined;
    const key = sourceKey(unknown.part, unknown.schemaId, isKnown ? unknown.message : undefined);
    if (!this.#range.unknown.has(key)) this.#range.unknown.set(key, unknown);
  }

  #letterAt(place: RecordPlace): Pick<DeadLetter, "topic" | "partition" | "offset" | "timestamp" | "mappingVersion"> {
    return {
      topic: this.#plan.settings.topic,
      partition: place.partition,
      offset: place.offset,
      timestamp: place.timestamp,
      mappingVersion: this.#plan.mapping.version,
    };
  }

  /** Records that cannot be told apart: those before were rows, the rest of the batch is one letter. */
  #addCorruptBatch(batch: BatchView, place: RecordPlace, detail: string): CoreOutcome | undefined {
    this.#partitions.columns.undoRow();
    return this.#addBadRecord({
      ...this.#letterAt(place),
      timestamp: batch.maxTimestamp,
      key: null,
      value: batch.bytes,
      headers: [],
      schemaId: undefined,
      reason: "corrupt-batch",
      detail,
    });
  }

  #addBadRecord(letter: DeadLetter): CoreOutcome | undefined {
    switch (this.#plan.settings.errors.policy) {
      case "suspend":
        return { kind: "bad-record", offset: letter.offset, reason: letter.reason, detail: letter.detail };
      case "skip":
        this.#range.dropped += 1;
        return undefined;
      case "dlq":
        this.#deadLetters.add(letter);
        this.#range.deadLetters += 1;
        return undefined;
    }
  }
}

/** Where the columns of rows, and of dead letters, ended before the range. */
type Before = readonly [rows: Mark, letters: Mark];

interface RangeState {
  rows: number;
  deadLetters: number;
  dropped: number;
  timestampsOutOfRange: number;
  readonly unknown: Map<string, UnknownSchema>;
  readonly wanted: Map<string, SchemaPlace>;
  readonly inferred: Record<RecordPart, SourceType>;
}

function freshRange(): RangeState {
  return {
    rows: 0,
    deadLetters: 0,
    dropped: 0,
    timestampsOutOfRange: 0,
    unknown: new Map(),
    wanted: new Map(),
    inferred: { key: nothing, value: nothing },
  };
}

/** Which batches belong to aborted transactions, batch by batch in offset order, as a read-committed consumer tells (KIP-98). */
class AbortedTransactions {
  /** Not yet begun, the nearest last. */
  readonly #ahead: { readonly producerId: number; readonly firstOffset: number }[];
  readonly #open = new Set<number>();

  constructor(aborted: RangeInput["aborted"]) {
    this.#ahead = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  holds(batch: BatchView): boolean {
    this.#advance(batch.lastOffset);
    return batch.isTransactional && this.#open.has(batch.producerId);
  }

  /** An abort marker ends its producer's transaction; the next one of the same producer may be committed. */
  passMarker(batch: BatchView, bytesMax: number): void {
    this.#advance(batch.lastOffset);
    if (!this.#open.has(batch.producerId)) return;
    const record = new RecordCursor(
      inflate(batch.compression ?? "none", batch.records, { bytesMax }),
      batch.recordCount,
    );
    while (record.next()) if (readMarker(record)?.outcome === "abort") this.#open.delete(batch.producerId);
  }

  #advance(lastOffset: number): void {
    for (
      let next = this.#ahead.at(-1);
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#ahead.at(-1)
    ) {
      this.#open.add(next.producerId);
      this.#ahead.pop();
    }
  }
}
