/** The names and contents of the metadata's copy in a bucket (mirror.ts), and the image that they make. */
import { assert, CorruptData } from "../base/errors.ts";
import type { Seq, Uuid } from "../base/ids.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { decodeImage } from "./checkpoint.ts";
import { decodeCheckpoint } from "./checkpoint-file.ts";
import type { ChainedEntry } from "./entry-format.ts";
import { fold } from "./fold.ts";
import { ImageState } from "./image-state.ts";
import { decodeSegmentHead, scanRecords, segmentHeadBytes } from "./log-segment.ts";
import { objectLogPrefixes, openObjectLog } from "./object-log.ts";

export interface MirrorNames {
  /** Prefixes of listings. */
  readonly log: string;
  readonly checkpoints: string;
  segment(firstSeq: Seq): string;
  checkpoint(seq: Seq): string;
}

const mirrorPrefix = "meta/mirror/";

export function mirrorNames(cluster: Uuid): MirrorNames {
  const log = `${mirrorPrefix}${cluster}/log/`;
  const checkpoints = `${mirrorPrefix}${cluster}/checkpoints/`;
  const padded = (seq: Seq): string => String(seq).padStart(20, "0");
  return {
    log,
    checkpoints,
    segment: (firstSeq) => `${log}${padded(firstSeq)}`,
    checkpoint: (seq) => `${checkpoints}${padded(seq)}`,
  };
}

/** The seqs that objects below the prefix are named by, ascending. */
export async function seqsBelow(store: ObjectStore, prefix: string): Promise<readonly Seq[]> {
  const seqs: Seq[] = [];
  for await (const { key } of store.list(prefix)) {
    const seq = Number(key.slice(prefix.length));
    if (Number.isSafeInteger(seq)) seqs.push(seq as Seq);
  }
  return seqs.sort((a, b) => a - b);
}

/** The entries of one segment, at least one. */
export async function readSegment(
  store: ObjectStore,
  names: MirrorNames,
  firstSeq: Seq,
): Promise<readonly ChainedEntry[]> {
  const key = names.segment(firstSeq);
  const bytes = await store.get(key);
  const source = `${store.url}/${key}`;
  const damaged = (position: number, expected: string): CorruptData =>
    new CorruptData({ source, position, expected, found: "damage" });
  const head = decodeSegmentHead(bytes, source);
  if (head?.firstSeq !== firstSeq) throw damaged(0, `a segment from entry ${firstSeq}`);
  const scan = scanRecords(bytes, { position: segmentHeadBytes, seq: firstSeq, hash: head.previousHash }, source);
  if (scan.entries.length === 0 || scan.end !== bytes.length) throw damaged(scan.end, "another entry");
  return scan.entries;
}

/** The newest entry that the copy knows of. */
export async function readMirrorEnd(
  store: ObjectStore,
  names: MirrorNames,
): Promise<{ readonly seq: Seq; readonly hash: Uint8Array } | undefined> {
  const segment = (await seqsBelow(store, names.log)).at(-1);
  const entry = segment === undefined ? undefined : (await readSegment(store, names, segment)).at(-1);
  const checkpoint = (await seqsBelow(store, names.checkpoints)).at(-1) ?? 0;
  if (checkpoint <= (entry?.seq ?? 0)) return entry;
  const { seq, hash } = await newestCheckpoint(store, names);
  return { seq, hash };
}

export interface RecoveredImage {
  readonly image: ImageState;
  /** Of the newest object that it was made from: the store's clock. */
  readonly writtenMs: number;
}

/**
 * The newest image that the copy gives: the newest whole checkpoint and the entries that follow it without a gap. Of several
 * clusters that had the bucket one after another the last is taken. undefined when there is no copy.
 */
export async function readMirror(store: ObjectStore): Promise<RecoveredImage | undefined> {
  let newest: { cluster: Uuid; writtenMs: number } | undefined;
  for await (const { key, modifiedMs } of store.list(mirrorPrefix)) {
    const cluster = key.slice(mirrorPrefix.length).split("/")[0] as Uuid;
    if (modifiedMs >= (newest?.writtenMs ?? 0)) newest = { cluster, writtenMs: modifiedMs };
  }
  if (newest === undefined) return undefined;
  const names = mirrorNames(newest.cluster);
  const image = await newestCheckpoint(store, names);
  const segments = await seqsBelow(store, names.log);
  for (const [index, firstSeq] of segments.entries()) {
    if ((segments[index + 1] ?? Number.POSITIVE_INFINITY) <= image.seq + 1) continue; // All of it is in the image.
    if (firstSeq > image.seq + 1) break; // A gap: what follows cannot be told from another history.
    for (const entry of await readSegment(store, names, firstSeq)) fold(image, entry);
  }
  return { image, writtenMs: newest.writtenMs };
}

/** The image of a log that is itself in the bucket (object-log.ts); undefined when there is none. */
export async function readBucketLog(store: ObjectStore): Promise<RecoveredImage | undefined> {
  let writtenMs: number | undefined;
  for (const prefix of objectLogPrefixes)
    for await (const { modifiedMs } of store.list(prefix)) writtenMs = Math.max(writtenMs ?? 0, modifiedMs);
  if (writtenMs === undefined) return undefined;
  const log = openObjectLog({ store });
  const checkpoint = await log.readCheckpoint();
  const source = `${store.url}, metadata checkpoint ${checkpoint?.seq ?? 0}`;
  const image = checkpoint === undefined ? new ImageState() : decodeImage(checkpoint.image, source);
  for (;;) {
    const entries = await log.read((image.seq + 1) as Seq, readEntriesMax);
    for (const entry of entries) fold(image, entry);
    if (entries.length < readEntriesMax) return { image, writtenMs };
  }
}

/** Nothing else waits meanwhile. */
const readEntriesMax = 1000;

/** The image before any entry when there is no checkpoint; a damaged one is passed over for the one before. */
async function newestCheckpoint(store: ObjectStore, names: MirrorNames): Promise<ImageState> {
  const seqs = [...(await seqsBelow(store, names.checkpoints))];
  for (let seq = seqs.pop(); seq !== undefined; seq = seqs.pop()) {
    try {
      const source = `${store.url}/${names.checkpoint(seq)}`;
      const checkpoint = decodeCheckpoint(await store.get(names.checkpoint(seq)), source);
      const image = decodeImage(checkpoint.image, source);
      assert(image.seq === seq, "a checkpoint holds the image of its seq");
      return image;
    } catch (cause) {
      if (!(cause instanceof CorruptData) || seqs.length === 0) throw cause;
    }
  }
  return new ImageState();
}
