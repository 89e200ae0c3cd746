/**
 * The ordered log that is the truth about the cluster. A store only orders entries and remembers them; what an entry
 * means is decided by the fold (image.ts). All stores pass test/metadata/cas-log-contract.ts.
 *
 * Guarantees of a store:
 * 1. An entry that was answered "ok" has a seq, is durable, and is seen by every later read.
 * 2. Entries are totally ordered by seq, from 1, without a gap. If A was answered before B was sent, seq(A) < seq(B).
 * 3. Repeating an append with the same opId gives the same seq while that entry is above the last checkpoint's window;
 *    the fold drops what a store let through twice, so "unknown" is always resolved by repeating the same bytes.
 * 4. Each entry carries the hash of the entry before it. A store that lost its end (a restored backup, a replica that
 *    lagged) is found out at once and the process halts.
 */
import { OperationFailed } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Seq, Uuid } from "../base/ids.ts";

export interface CasLog extends AsyncDisposable {
  /** Adds the entry at the end. "unknown": it may or may not be there; repeat the same entry. */
  append(
    entry: LogEntry,
  ): Promise<{ readonly kind: "ok"; readonly seq: Seq } | { readonly kind: "unknown"; readonly cause: unknown }>;
  /**
   * Entries from `from` on, in order: `entriesMax` of them, or fewer when the log ends. Throws CorruptData on a broken chain,
   * EntriesForgotten when `from` is behind a checkpoint and gone.
   */
  read(from: Seq, entriesMax: number): Promise<readonly StoredEntry[]>;
  /** The newest checkpoint, or undefined. */
  readCheckpoint(): Promise<Checkpoint | undefined>;
  /** Keeps the checkpoint durably, then may forget the entries up to its seq. */
  writeCheckpoint(checkpoint: Checkpoint): Promise<void>;
}

export interface LogEntry {
  readonly nodeId: NodeId;
  readonly nodeEpoch: NodeEpoch;
  /** Names this operation for ever: a repeat of it is the same operation. */
  readonly opId: Uuid;
  /** Groups of events (schemas/storage.ts), each accepted or refused by the fold as a whole. */
  readonly events: Uint8Array;
}

export interface StoredEntry extends LogEntry {
  readonly seq: Seq;
  /** SHA-256 over the previous hash and this entry's bytes, 32 bytes. */
  readonly hash: Uint8Array;
}

/** The reader is too far behind: the checkpoint holds what these entries said. */
export class EntriesForgotten extends OperationFailed {
  override readonly name = "EntriesForgotten";
  constructor(from: Seq) {
    super(`the metadata log has forgotten entry ${from}`, { happened: "no" });
  }
}

export interface Checkpoint {
  /** The image holds every entry up to and including this one. */
  readonly seq: Seq;
  readonly hash: Uint8Array;
  readonly image: Uint8Array;
  /** CRC-32C of the image, from who has computed it in turns: at once, a large one takes tens of milliseconds. */
  readonly imageCrc?: number;
}

/** Where the log of a rebuilt cluster begins: behind all that any process can have written before. */
export interface Beginning {
  /** Says nothing; it is there so that the chain of hashes has a first link. */
  readonly entry: StoredEntry;
  readonly previousHash: Uint8Array;
  /** The image after the entry. */
  readonly image: Uint8Array;
}

/** The log of a rebuilt cluster must be a new one. */
export class LogNotEmpty extends OperationFailed {
  override readonly name = "LogNotEmpty";
  constructor(where: string) {
    super(`there is a ${where} already: move it away, or name another place`, { happened: "no" });
  }
}
