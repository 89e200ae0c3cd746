/** One entry of the log as bytes, and the hash that chains it to all before it; drawn in schemas/storage.ts. */
import { createHash } from "node:crypto";
import { hashBytes } from "../../schemas/storage.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { assert, CorruptData } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Seq } from "../base/ids.ts";
import type { LogEntry, StoredEntry } from "./cas-log.ts";

/** The hash before the first entry. */
export const genesisHash: Uint8Array = new Uint8Array(hashBytes);

export interface ChainedEntry extends StoredEntry {
  readonly previousHash: Uint8Array;
}

export function encodeEntry(entry: LogEntry, seq: Seq, previousHash: Uint8Array): Uint8Array {
  assert(previousHash.length === hashBytes, "not a hash");
  const writer = new ByteWriter();
  writer.int64(seq);
  writer.int32(entry.nodeId);
  writer.int64(entry.nodeEpoch);
  writer.uuid(entry.opId);
  writer.bytes(previousHash);
  writer.bytes(entry.events);
  return writer.toBytes();
}

/** Keeps nothing of the input. */
export function decodeEntry(bytes: Uint8Array, source: string): ChainedEntry {
  const reader = new ByteReader(bytes, { source });
  return {
    seq: reader.int64() as Seq,
    nodeId: reader.int32() as NodeId,
    nodeEpoch: reader.int64() as NodeEpoch,
    opId: reader.uuid(),
    previousHash: reader.view(hashBytes).slice(),
    events: reader.view(reader.remaining).slice(),
    hash: hashOf(bytes),
  };
}

export function hashOf(encodedEntry: Uint8Array): Uint8Array {
  return createHash("sha256").update(encodedEntry).digest();
}

/** The entry as the log stores it after the one with this hash. */
export function chained(entry: LogEntry, seq: Seq, previousHash: Uint8Array): ChainedEntry {
  return { ...entry, seq, previousHash, hash: hashOf(encodeEntry(entry, seq, previousHash)) };
}

/** Throws unless the entry follows what has this seq and hash: then it, or what came before, is not what the cluster agreed on. */
export function requireChain(previous: { readonly seq: Seq; readonly hash: Uint8Array }, entry: StoredEntry): void {
  const expected = chained(entry, (previous.seq + 1) as Seq, previous.hash).hash;
  if (entry.seq === previous.seq + 1 && sameHash(expected, entry.hash)) return;
  throw new CorruptData({
    source: "metadata log",
    position: entry.seq,
    expected: `entry ${previous.seq + 1} after hash ${hex(previous.hash)}`,
    found: `entry ${entry.seq} with another history: the store lost or replaced entries`,
  });
}

export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex").slice(0, 16);
}
