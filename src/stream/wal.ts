/**
 * The write-ahead log: where a batch is durable before an object holds it. Read at recovery; and, where it can be, for
 * batches that memory had to let go of before an object held them.
 */
import type { Brand, Offset, StreamId } from "../base/ids.ts";
import type { NodeEvent } from "../metadata/events.ts";
import type { UploadedObject } from "./upload-plan.ts";

export interface Wal extends AsyncDisposable {
  /**
   * Visits the records that are durable; those of a stream in the order in which they were appended. `end` never decreases,
   * and grows where the WAL can be trimmed. Called once, before the first append. The bytes are borrowed until the visit
   * returns. Throws CorruptData when a durable record cannot be read back.
   */
  recover(visit: (record: WalRecord, end: WalPosition, place?: WalPlace) => void): Promise<void>;
  /**
   * Enqueues without waiting. Records become durable in call order, many at once. After a failure no record becomes durable
   * any more: all that wait, and all that come, have failed.
   */
  append(entry: WalEntry): void;
  /** Records that end at or below the position are not needed any more. Settles when their room can be used again. */
  trim(position: WalPosition): Promise<void>;
  /** Nothing in it counts any more, for whoever might recover it in this process's place. Nothing can be appended after. */
  abandon(): Promise<void>;
  /**
   * The bytes of a group that is not trimmed, checked, in memory of their own. Missing where a WAL gives no places: then
   * memory keeps every batch until an object holds it. Throws CorruptData when the group is not there as it was written.
   */
  readGroup?(group: WalGroup): Promise<Uint8Array>;
  /** Everything below is durable. */
  readonly durable: WalPosition;
  /** Room taken by records that are not trimmed, enqueued ones included. */
  readonly bytesUsed: number;
  readonly bytesMax: number;
  /** Undefined when an upload alone brings the records into the object store. */
  readonly slots: WalSlots | undefined;
}

/** A WAL whose records lie in the object store already, in objects that can be committed as they are. */
export interface WalSlots {
  /** What is appended from now on lies in other slots than what was appended before. */
  cut(): void;
  /** Calls this whenever a slot was closed because its time had come: a cut costs no slot then. */
  onTimeClose(listener: () => void): void;
  /** The durable slots that are not trimmed and end at or below the position, in order. */
  upTo(position: WalPosition): readonly UploadedObject[];
  /** What the metadata log must accept before the WAL is trimmed to the position; nothing if it has. */
  release(position: WalPosition): readonly NodeEvent[];
}

/** In bytes, counted from the first that the WAL ever held. */
export type WalPosition = Brand<number, "WalPosition">;

/** Records that were written as one. The same object for all of them. */
export interface WalGroup {
  readonly position: WalPosition;
  readonly bytes: number;
}

/** Where a record's bytes can be read again. */
export interface WalPlace {
  readonly group: WalGroup;
  /** In the group. */
  readonly at: number;
}

export interface WalRecord {
  readonly stream: StreamId;
  /** Of the stream. */
  readonly epoch: number;
  /** The end of the stream's batch before. */
  readonly after: Offset;
  readonly from: Offset;
  readonly to: Offset;
  readonly maxTimestamp: number;
  readonly bytes: Uint8Array;
}

/** A record and who waits for it. Exactly one of the two is called, once. */
export interface WalEntry extends WalRecord {
  /** Of the stream: see storage.ts. */
  readonly label: Uint8Array;
  /** `end` is what to trim to when this record and all before it are not needed any more. */
  durable(end: WalPosition, place?: WalPlace): void;
  /** It may or may not be found by the next recovery. */
  failed(cause: unknown): void;
}
