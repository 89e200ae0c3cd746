/**
 * First step of an append: checks a batch and, where the topic wants it, rewrites it. Waits only for what is too large to be
 * compressed or inflated on the event loop; then nothing about the partition may be assumed afterwards.
 */
import { CorruptData } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import { compressFairly, inflateFairly } from "../protocol/compression.ts";
import { BatchView, type Compression, rebuildBatch } from "../protocol/record-batch.ts";
import { buildBatch, type NewRecord, RecordCursor, readMarker } from "../protocol/records.ts";
import { checkClientBatch, type Rejected, rejected, tooLarge, type WalkedRecords, walkRecords } from "./batch-check.ts";
import type { AppendOptions } from "./log.ts";
import type { TransactionMarker } from "./producer-state.ts";
import type { TopicConfig } from "./topic-config.ts";

export type Prepared = PreparedBatch | Rejected;

export interface PreparedBatch {
  readonly kind: "prepared";
  readonly origin: AppendOptions["origin"];
  /** Of the bytes to be appended. */
  readonly header: BatchView;
  /** What the records say; the header may not. */
  readonly maxTimestamp: number;
  /** Of a control batch that ends a transaction. */
  readonly marker: TransactionMarker | undefined;
  /** Whether its transaction is open, when it is one of a transaction. */
  readonly isOpen?: () => boolean;
  readonly beginsAtZero?: AppendOptions["beginsAtZero"] | undefined;
  /** Whether it is still to be appended, when its coordinator may change its mind. */
  readonly isWanted?: AppendOptions["isWanted"] | undefined;
}

export interface PrepareLimits {
  /** A batch whose records inflate to more than this is refused. */
  readonly inflatedBytesMax: number;
}

/** What a batch is told whose transaction ended, or never held the partition. */
export const transactionOver = rejected("invalid-transaction-state", "the transaction is not open in this partition");

/** A transaction that no coordinator knows would never end, and hold every read-committed reader for ever. */
export type ClientTransactions = "accepted" | "refused";

export class BatchPreparer {
  readonly #clock: Clock;
  readonly #limits: PrepareLimits;
  readonly #transactions: ClientTransactions;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: PrepareLimits;
    readonly transactions: ClientTransactions;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#transactions = options.transactions;
  }

  /** A value when nothing had to be waited for. The bytes are borrowed until the batch is assigned. */
  prepare(bytes: Uint8Array, options: AppendOptions, config: TopicConfig): Prepared | Promise<Prepared> {
    const prepared = this.#prepare(bytes, options, config);
    if (options.whileOpen === undefined) return prepared;
    // The caller's lane keeps the batch's place while its transaction is looked up.
    const { beginsAtZero } = options;
    return Promise.all([prepared, options.whileOpen]).then(([batch, isOpen]) =>
      batch.kind === "rejected" ? batch : { ...batch, isOpen, beginsAtZero },
    );
  }

  #prepare(bytes: Uint8Array, options: AppendOptions, config: TopicConfig): Prepared | Promise<Prepared> {
    if (options.origin === "coordinator") return prepareOwn(bytes, options);
    const refusal = checkClientBatch(bytes, options.apiVersion, config);
    if (refusal !== undefined) return refusal;
    const header = new BatchView(bytes);
    if (header.isTransactional && this.#transactions === "refused") {
      return rejected("invalid-transaction-state", "no transaction coordinator can end this transaction");
    }
    const compression = header.compression ?? "none";
    try {
      const records = inflateFairly(compression, header.records, { bytesMax: this.#limits.inflatedBytesMax });
      return records instanceof Promise
        ? this.#prepareLater(header, records, config)
        : this.#prepareRecords(header, records, config);
    } catch (cause) {
      return refuseCorrupt(cause);
    }
  }

  async #prepareLater(header: BatchView, records: Promise<Uint8Array>, config: TopicConfig): Promise<Prepared> {
    try {
      return await this.#prepareRecords(header, await records, config);
    } catch (cause) {
      return refuseCorrupt(cause);
    }
  }

  #prepareRecords(header: BatchView, records: Uint8Array, config: TopicConfig): Prepared | Promise<Prepared> {
    const now = this.#clock.now();
    const walked = walkRecords(new RecordCursor(records, header.recordCount), {
      baseTimestamp: header.baseTimestamp,
      isCompacted: config.cleanupPolicy.compact,
      timestamps:
        config.timestampType === "LogAppendTime"
          ? undefined
          : { min: now - config.timestampBeforeMsMax, max: now + config.timestampAfterMsMax },
    });
    if (walked.kind === "rejected") return walked;
    const target = targetCompression(header, config);
    if (!walked.isSequential) return renumber(header, records, walked, target, config);
    return target === header.compression
      ? prepared(header, walked)
      : recompress(header, records, walked, target, config);
  }
}

/** Batches of a coordinator were made in this process a moment ago: they are believed. */
function prepareOwn(bytes: Uint8Array, { isWanted, transactionVersion }: AppendOptions): Prepared {
  const header = new BatchView(bytes);
  const { maxTimestamp } = header;
  const written = markerOf(header);
  const marker = written === undefined ? undefined : { ...written, transactionVersion };
  return { kind: "prepared", origin: "coordinator", header, maxTimestamp, marker, isWanted };
}

/** What a control batch says about a transaction; undefined for every other batch. */
export function markerOf(batch: BatchView): TransactionMarker | undefined {
  if (!batch.isControl || batch.producerId < 0) return undefined;
  const cursor = new RecordCursor(batch.records, batch.recordCount);
  const said = cursor.next() ? readMarker(cursor) : undefined;
  if (said === undefined) return undefined;
  const { producerId, producerEpoch, maxTimestamp: timestamp } = batch;
  return { producerId, producerEpoch, timestamp, ...said };
}

function prepared(header: BatchView, walked: WalkedRecords): PreparedBatch {
  return { kind: "prepared", origin: "client", header, maxTimestamp: walked.maxTimestamp, marker: undefined };
}

function targetCompression(header: BatchView, config: TopicConfig): Compression {
  if (config.compressionType === "producer") return header.compression ?? "none";
  return config.compressionType === "uncompressed" ? "none" : config.compressionType;
}

/** The same records under the compression that the topic wants. */
function recompress(
  header: BatchView,
  records: Uint8Array,
  walked: WalkedRecords,
  target: Compression,
  config: TopicConfig,
): Prepared | Promise<Prepared> {
  const level =
    target === "gzip" || target === "lz4" || target === "zstd" ? config.compressionLevels[target] : undefined;
  const options = level === undefined ? {} : { level };
  const finish = (compressed: Uint8Array): Prepared => {
    const bytes = rebuildBatch(header, { compression: target, records: compressed });
    return tooLarge(bytes.length, config) ?? prepared(new BatchView(bytes), walked);
  };
  const compressed = compressFairly(target, records, options);
  return compressed instanceof Promise ? compressed.then(finish) : finish(compressed);
}

/** The records with the offset deltas that they should have had. Rare: only hand-made clients send others. */
function renumber(
  header: BatchView,
  records: Uint8Array,
  walked: WalkedRecords,
  target: Compression,
  config: TopicConfig,
): Prepared {
  const cursor = new RecordCursor(records, header.recordCount);
  const list: NewRecord[] = [];
  while (cursor.next()) {
    const { key, value } = cursor;
    list.push({ timestamp: header.baseTimestamp + cursor.timestampDelta, key, value, headers: cursor.headers() });
  }
  const { isTransactional, producerId, producerEpoch, baseSequence } = header;
  const bytes = buildBatch({
    records: list,
    compression: target,
    isTransactional,
    producerId,
    producerEpoch,
    baseSequence,
  });
  return tooLarge(bytes.length, config) ?? prepared(new BatchView(bytes), walked);
}

function refuseCorrupt(cause: unknown): Rejected {
  // The checksum was right, so sending it again would not help: not "corrupt-message", which clients repeat.
  if (cause instanceof CorruptData) return rejected("invalid-record", cause.message);
  throw cause;
}
