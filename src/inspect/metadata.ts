/** What a metadata log holds: its entries one by one, its checkpoints, and the image that they fold to. Nothing is written. */
import { join } from "node:path";
import type { Disk } from "../base/disk.ts";
import { CorruptData } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { type CasLog, EntriesForgotten, type StoredEntry } from "../metadata/cas-log.ts";
import { decodeImage } from "../metadata/checkpoint.ts";
import { decodeGroups } from "../metadata/event-codec.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import { fold } from "../metadata/fold.ts";
import { ImageState } from "../metadata/image-state.ts";
import { decodeSegmentHead, requireTornTail, scanRecords, segmentHeadBytes } from "../metadata/log-segment.ts";

/** As much of a metadata log as reading takes. */
export type MetadataSource = Pick<CasLog, "read" | "readCheckpoint"> & AsyncDisposable;

export interface EntrySeen {
  /** Where it stands, in a log of files. */
  readonly place: { readonly file: string; readonly position: number } | undefined;
  readonly entry: StoredEntry;
  readonly groups: readonly (readonly MetadataEvent[])[];
}

/**
 * All entries in a directory of the log from `from` on, with one file in memory. Throws CorruptData where the next one
 * should stand and does not, after all before it were seen.
 */
export async function eachEntryInFiles(
  disk: Disk,
  directory: string,
  from: number,
  seen: (entry: EntrySeen) => void,
): Promise<void> {
  const names = (await disk.list(directory)).map(({ name }) => name).filter((name) => name.endsWith(".log"));
  for (const [index, file] of names.entries()) {
    const next = names[index + 1];
    if (next !== undefined && Number.parseInt(next, 10) <= from) continue;
    const path = join(directory, file);
    const bytes = await readWhole(disk, path);
    const head = decodeSegmentHead(bytes, path);
    if (head === undefined) {
      if (next === undefined) return; // Being made when the process stopped.
      throw new CorruptData({ source: path, position: 0, expected: "the head of a segment", found: "damage" });
    }
    const start = { position: segmentHeadBytes, seq: head.firstSeq, hash: head.previousHash };
    const { entries, positions, end } = scanRecords(bytes, start, path);
    for (const [at, entry] of entries.entries()) {
      if (entry.seq < from || (next !== undefined && entry.seq >= Number.parseInt(next, 10))) continue;
      const position = positions[at] as number;
      seen({ place: { file, position }, entry, groups: decodeGroups(entry.events, `${path} at byte ${position}`) });
    }
    const nextSeq = ((entries.at(-1)?.seq ?? head.firstSeq - 1) + 1) as Seq;
    if (next === undefined) requireTornTail(bytes, end, nextSeq, path);
    else if (nextSeq < Number.parseInt(next, 10))
      throw new CorruptData({ source: path, position: end, expected: `entry ${nextSeq}`, found: "damage" });
  }
}

/** All entries that the log still has from `from` on; those that only a checkpoint remembers are passed over. */
export async function eachEntry(
  log: Omit<MetadataSource, keyof AsyncDisposable>,
  from: number,
  seen: (entry: EntrySeen) => void,
): Promise<void> {
  for (let next = from as Seq; ; ) {
    const entries = await readFrom(log, next);
    for (const entry of entries) {
      seen({ place: undefined, entry, groups: decodeGroups(entry.events, `metadata entry ${entry.seq}`) });
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    next = (last.seq + 1) as Seq;
  }
}

async function readFrom(log: Omit<MetadataSource, keyof AsyncDisposable>, from: Seq): Promise<readonly StoredEntry[]> {
  try {
    return await log.read(from, entriesAtOnce);
  } catch (cause) {
    const checkpoint = cause instanceof EntriesForgotten ? await log.readCheckpoint() : undefined;
    if (checkpoint === undefined || checkpoint.seq < from) throw cause;
    return await log.read((checkpoint.seq + 1) as Seq, entriesAtOnce);
  }
}

/** The image after the last entry. Throws CorruptData. */
export async function readImage(log: Omit<MetadataSource, keyof AsyncDisposable>): Promise<ImageState> {
  const checkpoint = await log.readCheckpoint();
  const image =
    checkpoint === undefined ? new ImageState() : decodeImage(checkpoint.image, `checkpoint ${checkpoint.seq}`);
  for (;;) {
    const entries = await log.read((image.seq + 1) as Seq, entriesAtOnce);
    if (entries.length === 0) return image;
    for (const entry of entries) fold(image, entry);
  }
}

const entriesAtOnce = 1000;

async function readWhole(disk: Disk, path: string): Promise<Uint8Array> {
  await using file = await disk.open(path, "read");
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  return bytes;
}
