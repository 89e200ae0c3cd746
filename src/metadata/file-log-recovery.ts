/** What a directory of the metadata log holds after a stop of any kind. */
import { join } from "node:path";
import type { Disk } from "../base/disk.ts";
import { CorruptData } from "../base/errors.ts";
import type { Seq, Uuid } from "../base/ids.ts";
import type { Checkpoint } from "./cas-log.ts";
import { decodeCheckpoint } from "./checkpoint-file.ts";
import { type ChainedEntry, genesisHash, sameHash } from "./entry-format.ts";
import { decodeSegmentHead, requireTornTail, scanRecords, segmentHeadBytes } from "./log-segment.ts";

export interface Segment {
  readonly firstSeq: Seq;
  /** Of the record of each entry, in order. */
  readonly positions: number[];
  /** Where the next record goes. */
  end: number;
}

export interface Recovered {
  readonly segments: readonly Segment[];
  readonly seqs: Map<Uuid, Seq>;
  /** Seqs of the checkpoint files, ascending; the last is whole. */
  readonly checkpoints: readonly Seq[];
  readonly lastSeq: Seq;
  readonly lastHash: Uint8Array;
}

export async function recover(disk: Disk, directory: string): Promise<Recovered> {
  const names = (await disk.list(directory)).map((entry) => entry.name);
  for (const name of names.filter((name) => name.endsWith(".tmp"))) await disk.remove(join(directory, name));
  const checkpoints = await wholeCheckpoints(disk, directory, numbered(names, checkpointSuffix));
  const checkpoint = checkpoints.newest;
  const chain = new Chain(checkpoint);
  const segments: Segment[] = [];
  const firstSeqs = numbered(names, segmentSuffix);
  for (const [index, firstSeq] of firstSeqs.entries()) {
    const next = firstSeqs[index + 1];
    const segment = await recoverSegment(disk, directory, { firstSeq, next, chain });
    if (segment !== undefined) segments.push(segment);
  }
  if (checkpoint !== undefined && segments.length > 0 && chain.seq < checkpoint.seq)
    throw broken(directory, `entries up to the checkpoint at ${checkpoint.seq}`, `an end at ${chain.seq}`);
  return {
    segments,
    seqs: chain.seqs,
    checkpoints: checkpoints.seqs,
    lastSeq: segments.length === 0 ? (checkpoint?.seq ?? (0 as Seq)) : chain.seq,
    lastHash: segments.length === 0 ? (checkpoint?.hash ?? genesisHash) : chain.hash,
  };
}

/** Follows the hashes from segment to segment, and past the checkpoint. */
class Chain {
  readonly seqs = new Map<Uuid, Seq>();
  readonly #checkpoint: Checkpoint | undefined;
  #isStarted = false;
  seq = 0 as Seq;
  hash = genesisHash;

  constructor(checkpoint: Checkpoint | undefined) {
    this.#checkpoint = checkpoint;
  }

  /** The first segment may begin anywhere up to the checkpoint; every other one where the one before ended. */
  join(head: { readonly firstSeq: Seq; readonly previousHash: Uint8Array }, path: string): void {
    const reach = (this.#checkpoint?.seq ?? 0) + 1;
    const joins = this.#isStarted
      ? head.firstSeq === this.seq + 1 && sameHash(head.previousHash, this.hash)
      : head.firstSeq <= reach && (head.firstSeq > 1 || sameHash(head.previousHash, genesisHash));
    if (!joins)
      throw broken(path, `a segment after entry ${this.#isStarted ? this.seq : reach - 1}`, `${head.firstSeq}`);
    this.#isStarted = true;
    this.seq = (head.firstSeq - 1) as Seq;
    this.hash = head.previousHash;
    this.#meetCheckpoint(path);
  }

  follow(entries: readonly ChainedEntry[], path: string): void {
    for (const entry of entries) {
      this.seq = entry.seq;
      this.hash = entry.hash;
      this.seqs.set(entry.opId, entry.seq);
      this.#meetCheckpoint(path);
    }
  }

  #meetCheckpoint(path: string): void {
    if (this.seq !== this.#checkpoint?.seq || sameHash(this.hash, this.#checkpoint.hash)) return;
    throw broken(path, `entry ${this.seq} as the checkpoint knows it`, "another history");
  }
}

/**
 * The entries of one segment that count: those before the next segment, or all good ones of the last. What stands behind
 * them was never answered: the tail of a write that failed or of a crash.
 */
async function recoverSegment(
  disk: Disk,
  directory: string,
  expected: { readonly firstSeq: Seq; readonly next: Seq | undefined; readonly chain: Chain },
): Promise<Segment | undefined> {
  const path = segmentPath(directory, expected.firstSeq);
  const bytes = await readWhole(disk, path);
  const head = decodeSegmentHead(bytes, path);
  if (head === undefined) {
    if (expected.next !== undefined) throw broken(path, "a head", "damage");
    requireTornTail(bytes, 0, expected.firstSeq, path); // Nothing is answered before the head is durable.
    await disk.remove(path);
    return undefined;
  }
  if (head.firstSeq !== expected.firstSeq) throw broken(path, `first seq ${expected.firstSeq}`, `${head.firstSeq}`);
  expected.chain.join(head, path);
  const at = { position: segmentHeadBytes, seq: head.firstSeq, hash: head.previousHash };
  const scan = scanRecords(bytes, at, path);
  const count = expected.next === undefined ? scan.entries.length : expected.next - head.firstSeq;
  if (count > scan.entries.length) throw broken(path, `entries up to ${expected.next}`, `damage at byte ${scan.end}`);
  const end = scan.positions[count] ?? scan.end;
  expected.chain.follow(scan.entries.slice(0, count), path);
  if (expected.next === undefined) {
    requireTornTail(bytes, end, (head.firstSeq + count) as Seq, path);
    await rewrite(disk, directory, path, bytes.subarray(0, end));
  }
  return { firstSeq: head.firstSeq, positions: scan.positions.slice(0, count), end };
}

/**
 * What was read may be in the page cache only: written by a process that died, or left clean there by a sync that failed.
 * The next segment may not build on it before it is durable, and only bytes written anew are sure to be.
 */
async function rewrite(disk: Disk, directory: string, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    await using file = await disk.open(temporary, "create");
    await file.write([bytes], 0);
    await file.datasync();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array> {
  await using file = await disk.open(path, "read");
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  return bytes;
}

/** Damaged ones are removed as long as a whole one is older: the entries after the one before are kept for this. */
async function wholeCheckpoints(
  disk: Disk,
  directory: string,
  seqs: readonly Seq[],
): Promise<{ readonly seqs: readonly Seq[]; readonly newest: Checkpoint | undefined }> {
  for (let count = seqs.length; count > 0; count--) {
    try {
      const newest = await readCheckpoint(disk, directory, seqs[count - 1] as Seq);
      for (const seq of seqs.slice(count)) await disk.remove(checkpointPath(directory, seq));
      return { seqs: seqs.slice(0, count), newest };
    } catch (cause) {
      if (!(cause instanceof CorruptData) || count === 1) throw cause;
    }
  }
  return { seqs: [], newest: undefined };
}

export async function readCheckpoint(disk: Disk, directory: string, seq: Seq): Promise<Checkpoint> {
  const path = checkpointPath(directory, seq);
  return decodeCheckpoint(await readWhole(disk, path), path);
}

const segmentSuffix = ".log";
const checkpointSuffix = ".checkpoint";

export function segmentPath(directory: string, firstSeq: Seq): string {
  return join(directory, `${String(firstSeq).padStart(20, "0")}${segmentSuffix}`);
}

export function checkpointPath(directory: string, seq: Seq): string {
  return join(directory, `${String(seq).padStart(20, "0")}${checkpointSuffix}`);
}

function numbered(names: readonly string[], suffix: string): readonly Seq[] {
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => Number(name.slice(0, -suffix.length)) as Seq)
    .filter((seq) => Number.isSafeInteger(seq))
    .sort((a, b) => a - b);
}

function broken(source: string, expected: string, found: string): CorruptData {
  return new CorruptData({ source, position: 0, expected, found });
}
