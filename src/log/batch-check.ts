/**
 * What Kafka refuses in a client's batch (kafka.md 5.1), in Kafka's order: the request's shape, then sizes, checksum, header,
 * records. Pure.
 */
import { hasLinkedLz4Blocks } from "../protocol/lz4.ts";
import { BatchView, batchHeaderBytes, checkBatch } from "../protocol/record-batch.ts";
import type { RecordCursor } from "../protocol/records.ts";
import type { AppendOutcome, AppendRejection } from "./log.ts";
import type { TopicConfig } from "./topic-config.ts";

export type Rejected = AppendOutcome & { readonly kind: "rejected" };

/** Produce versions below this do not know zstd (KIP-110). */
const zstdVersionMin = 7;
/** Base offset and length, before what the length counts. */
const prefixBytes = 12;
/**
 * A refusal names this many records at most. Clients report one that is not named as sound but unlucky in its batch, so the
 * bound is what librdkafka puts into a batch at most (batch.num.messages).
 */
const badRecordsMax = 10_000;
/** Of these the text of a refusal tells what is wrong. */
const badRecordsTold = 3;

/** Checks all but the records. undefined: every field of the header is sound. */
export function checkClientBatch(
  bytes: Uint8Array,
  apiVersion: number,
  config: Pick<TopicConfig, "messageBytesMax" | "segmentBytes">,
): Rejected | undefined {
  if (bytes.length < batchHeaderBytes) return rejected("invalid-record", "the request holds no whole record batch");
  const batch = new BatchView(bytes);
  if (batch.magic !== 2)
    return rejected("invalid-record", `magic ${batch.magic}: only batches of magic 2 are accepted`);
  if (batch.compression === "zstd" && apiVersion < zstdVersionMin) {
    return rejected("unsupported-compression", `zstd needs Produce version ${zstdVersionMin}`);
  }
  if (batch.length !== bytes.length - prefixBytes) {
    return rejected(
      "invalid-record",
      `one batch of ${bytes.length} bytes expected, its header says ${batch.length + 12}`,
    );
  }
  if (batch.baseOffset !== 0) return rejected("invalid-record", `the base offset is ${batch.baseOffset}, not 0`);
  return tooLarge(bytes.length, config) ?? checkContent(bytes, batch);
}

/** Asked again for what recompression made. */
export function tooLarge(
  bytes: number,
  config: Pick<TopicConfig, "messageBytesMax" | "segmentBytes">,
): Rejected | undefined {
  if (bytes > config.messageBytesMax) {
    return rejected("message-too-large", `the batch has ${bytes} bytes, the topic allows ${config.messageBytesMax}`);
  }
  if (bytes > config.segmentBytes) {
    return rejected("record-list-too-large", `the batch has ${bytes} bytes, a segment ${config.segmentBytes}`);
  }
  return undefined;
}

function checkContent(bytes: Uint8Array, batch: BatchView): Rejected | undefined {
  const fault = checkBatch(bytes);
  if (fault !== undefined) return rejected(faultReasons[fault.fault], fault.detail);
  if (batch.lastOffsetDelta + 1 !== batch.recordCount || batch.recordCount === 0) {
    const detail = `${batch.recordCount} records with a last offset delta of ${batch.lastOffsetDelta}`;
    return rejected("invalid-record", detail);
  }
  if (batch.isControl) return rejected("invalid-record", "clients do not write control records");
  if (batch.producerId >= 0 && batch.baseSequence < 0) {
    return rejected("invalid-record", `producer ${batch.producerId} sent sequence ${batch.baseSequence}`);
  }
  if (batch.compression === "lz4" && hasLinkedLz4Blocks(batch.records)) {
    return rejected("invalid-record", "LZ4 blocks that may refer to each other: no consumer in Java could read them");
  }
  if (batch.timestampType === "append") {
    return rejected("invalid-timestamp", "only the broker says that a timestamp is its append time");
  }
  return undefined;
}

const faultReasons: Readonly<Record<NonNullable<ReturnType<typeof checkBatch>>["fault"], AppendRejection>> = {
  length: "corrupt-message",
  magic: "invalid-record",
  checksum: "corrupt-message",
  compression: "invalid-record",
  count: "invalid-record",
  offset: "invalid-record",
  timestamp: "invalid-timestamp",
  producer: "invalid-record",
};

export interface RecordRules {
  readonly baseTimestamp: number;
  /** Whether every record must have a key. */
  readonly isCompacted: boolean;
  /** Inclusive; a record without a timestamp (-1) passes. Undefined where the broker stamps its own time. */
  readonly timestamps: { readonly min: number; readonly max: number } | undefined;
}

export interface WalkedRecords {
  readonly kind: "walked";
  /** -1 when no record has a timestamp. */
  readonly maxTimestamp: number;
  /** Whether offset deltas are 0, 1, 2, ... as they should; others are repaired by rewriting. */
  readonly isSequential: boolean;
}

/** Looks at every record. Throws CorruptData when they are malformed or not as many as announced. */
export function walkRecords(cursor: RecordCursor, rules: RecordRules): WalkedRecords | Rejected {
  let maxTimestamp = -1;
  let isSequential = true;
  let bad: BadRecords | undefined;
  for (let index = 0; cursor.next(); index += 1) {
    const timestamp = rules.baseTimestamp + cursor.timestampDelta;
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    if (cursor.offsetDelta !== index) isSequential = false;
    if (rules.isCompacted && cursor.key === null) {
      bad ??= new BadRecords();
      bad.add("invalid-record", index, "a compacted topic does not accept a record without a key");
    } else if (rules.timestamps !== undefined && timestamp !== -1 && !isWithin(timestamp, rules.timestamps)) {
      bad ??= new BadRecords();
      bad.add("invalid-timestamp", index, `timestamp ${timestamp} is out of the topic's range`);
    }
  }
  return bad === undefined ? { kind: "walked", maxTimestamp, isSequential } : bad.rejection();
}

/** Also false for what is no safe integer: a nanosecond timestamp must not be rounded into the log. */
function isWithin(timestamp: number, range: { readonly min: number; readonly max: number }): boolean {
  return timestamp >= range.min && timestamp <= range.max && Number.isSafeInteger(timestamp);
}

class BadRecords {
  readonly #named: { readonly index: number; readonly detail: string }[] = [];
  #count = 0;
  #hasTimestamp = false;

  add(reason: "invalid-record" | "invalid-timestamp", index: number, detail: string): void {
    this.#count += 1;
    if (reason === "invalid-timestamp") this.#hasTimestamp = true;
    if (this.#named.length < badRecordsMax) this.#named.push({ index, detail });
  }

  /** As in Kafka, one bad timestamp makes the whole a matter of timestamps. */
  rejection(): Rejected {
    const told = this.#named.slice(0, badRecordsTold);
    const texts = told.map(({ index, detail }) => `record ${index}: ${detail}`).join("; ");
    return {
      kind: "rejected",
      reason: this.#hasTimestamp ? "invalid-timestamp" : "invalid-record",
      detail: `${this.#count} records were refused, the first: ${texts}`,
      badRecords: this.#named,
    };
  }
}

export function rejected(reason: AppendRejection, detail: string): Rejected {
  return { kind: "rejected", reason, detail };
}
