/**
 * The metadata log of one node, in files below one directory that one process owns.
 *
 *   00000000000000000001.log          entries 1 ..               a segment (log-segment.ts)
 *   00000000000000000871.log          entries 871 ..             the next begins when one is full, after a checkpoint,
 *   00000000000000000870.checkpoint   the image after entry 870  and after a failed write
 *
 * The two newest checkpoints stay, and all entries after the older of them: a damaged checkpoint costs nothing.
 * Crash while appending: the record is whole, or a torn tail that is left out when the last segment is rewritten at the
 * next start. Crash while a checkpoint or a segment is rewritten: a temporary file that is removed.
 */
import { Lane } from "../base/async.ts";
import { type Disk, type DiskFile, diskErrorCode } from "../base/disk.ts";
import { assert, CorruptData, type Happened, OperationFailed, WrongProgram } from "../base/errors.ts";
import type { Seq, Uuid } from "../base/ids.ts";
import {
  type Beginning,
  type CasLog,
  type Checkpoint,
  EntriesForgotten,
  type LogEntry,
  LogNotEmpty,
  type StoredEntry,
} from "./cas-log.ts";
import { encodeCheckpoint } from "./checkpoint-file.ts";
import { encodeEntry, hashOf } from "./entry-format.ts";
import {
  checkpointPath,
  type Recovered,
  readCheckpoint,
  recover,
  type Segment,
  segmentPath,
} from "./file-log-recovery.ts";
import { encodeRecord, encodeSegmentHead, scanRecords, segmentHeadBytes } from "./log-segment.ts";

export interface FileLogOptions {
  readonly directory: string;
  readonly disk: Disk;
  /** A segment that holds this much is full. */
  readonly segmentBytesMax: number;
}

export async function openFileLog(options: FileLogOptions): Promise<CasLog> {
  const { disk, directory } = options;
  return await operation(directory, "no", async () => {
    await disk.makeDirectory(directory);
    return new FileLog(options, await recover(disk, directory));
  });
}

/** Makes the directory of a log that begins with this checkpoint. Throws LogNotEmpty. */
export async function beginFileLog(options: FileLogOptions, { entry, image }: Beginning): Promise<void> {
  const { disk, directory } = options;
  await operation(directory, "maybe", async () => {
    await disk.makeDirectory(directory);
    if ((await disk.list(directory)).length > 0) throw new LogNotEmpty(`metadata log in ${directory}`);
    await placeCheckpoint(disk, directory, { seq: entry.seq, hash: entry.hash, image });
  });
}

async function placeCheckpoint(disk: Disk, directory: string, checkpoint: Checkpoint): Promise<void> {
  const path = checkpointPath(directory, checkpoint.seq);
  const temporary = `${path}.tmp`;
  await disk.remove(temporary);
  try {
    await using file = await disk.open(temporary, "create");
    await file.write(encodeCheckpoint(checkpoint), 0);
    await file.datasync();
  } catch (cause) {
    await disk.remove(temporary).catch(() => undefined); // On a full disk others need the room; else the next start does.
    throw cause;
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

class FileLog implements CasLog {
  readonly #options: FileLogOptions;
  readonly #lane = new Lane();
  /** In order; the last one is being written, unless `#isSealed`. */
  readonly #segments: Segment[];
  readonly #seqs: Map<Uuid, Seq>;
  #checkpoints: readonly Seq[];
  #lastSeq: Seq;
  #lastHash: Uint8Array;
  /** Open for appending: the last segment's file. */
  #file: DiskFile | undefined;
  /** Nothing more is written to the last segment. */
  #isSealed = true;
  /** A write or sync failed: what the last segment holds after its end is unknown. */
  #isDoubtful = false;

  constructor(options: FileLogOptions, recovered: Recovered) {
    this.#options = options;
    this.#segments = [...recovered.segments];
    this.#seqs = recovered.seqs;
    this.#checkpoints = recovered.checkpoints;
    this.#lastSeq = recovered.lastSeq;
    this.#lastHash = recovered.lastHash;
  }

  append(entry: LogEntry): ReturnType<CasLog["append"]> {
    return this.#lane.run(async () => {
      const known = this.#seqs.get(entry.opId);
      if (known !== undefined) return { kind: "ok", seq: known };
      try {
        if (this.#isDoubtful) await this.#cutDoubt();
        return { kind: "ok", seq: await this.#append(entry) };
      } catch (cause) {
        if (cause instanceof WrongProgram) throw cause;
        return { kind: "unknown", cause };
      }
    });
  }

  read(from: Seq, entriesMax: number): Promise<readonly StoredEntry[]> {
    assert(from >= 1, "the first entry is 1");
    return this.#run("no", async () => {
      const entries: StoredEntry[] = [];
      for (
        let next = from;
        next <= this.#lastSeq && entries.length < entriesMax;
        next = (from + entries.length) as Seq
      ) {
        entries.push(...(await this.#readSegment(next, entriesMax - entries.length)));
      }
      return entries;
    });
  }

  readCheckpoint(): Promise<Checkpoint | undefined> {
    return this.#run("no", async () => {
      const seq = this.#checkpoints.at(-1);
      return seq === undefined ? undefined : await readCheckpoint(this.#options.disk, this.#options.directory, seq);
    });
  }

  writeCheckpoint(checkpoint: Checkpoint): Promise<void> {
    return this.#run("maybe", async () => {
      const newest = this.#checkpoints.at(-1) ?? 0;
      if (checkpoint.seq <= newest) return;
      const { disk, directory } = this.#options;
      await placeCheckpoint(disk, directory, checkpoint);
      this.#checkpoints = [...this.#checkpoints, checkpoint.seq];
      this.#isSealed = true; // The next entry begins a segment, so that this one can go as a whole later.
      await this.#forget();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lane.close();
    await this.#file?.[Symbol.asyncDispose]();
  }

  /** At least one entry: the rest of the segment that holds `from`, or as many as asked for. */
  async #readSegment(from: Seq, entriesMax: number): Promise<readonly StoredEntry[]> {
    const segment = this.#segments.findLast(({ firstSeq }) => firstSeq <= from);
    if (segment === undefined) throw new EntriesForgotten(from);
    const index = from - segment.firstSeq;
    const position = segment.positions[index];
    assert(position !== undefined, "segments join without a gap");
    const path = segmentPath(this.#options.directory, segment.firstSeq);
    await using file = await this.#options.disk.open(path, "read");
    const bytes = new Uint8Array((segment.positions[index + entriesMax] ?? segment.end) - position);
    await file.read(bytes, position);
    const { entries } = scanRecords(bytes, { position: 0, seq: from, hash: undefined }, path);
    if (entries.length > 0) return entries;
    throw new CorruptData({ source: path, position, expected: `entry ${from}`, found: "damage" });
  }

  #run<T>(happened: Happened, work: () => Promise<T>): Promise<T> {
    return this.#lane.run(() => operation(this.#options.directory, happened, work));
  }

  async #append(entry: LogEntry): Promise<Seq> {
    const full = (this.#segments.at(-1)?.end ?? 0) >= this.#options.segmentBytesMax;
    if (this.#isSealed || full) await this.#startSegment();
    const segment = this.#segments.at(-1);
    assert(segment !== undefined && this.#file !== undefined, "a started segment is open");
    const seq = (this.#lastSeq + 1) as Seq;
    const encoded = encodeEntry(entry, seq, this.#lastHash);
    const record = encodeRecord(encoded);
    this.#isDoubtful = true; // Until the sync has said otherwise.
    await this.#file.write(record, segment.end);
    await this.#file.datasync();
    this.#isDoubtful = false;
    segment.positions.push(segment.end);
    segment.end += record.reduce((sum, view) => sum + view.length, 0);
    this.#lastSeq = seq;
    this.#lastHash = hashOf(encoded);
    this.#seqs.set(entry.opId, seq);
    return seq;
  }

  /** The directory is synced before the first entry: a segment that is lost whole would take acknowledged entries with it. */
  async #startSegment(): Promise<void> {
    const { disk, directory } = this.#options;
    const firstSeq = (this.#lastSeq + 1) as Seq;
    const path = segmentPath(directory, firstSeq);
    await this.#file?.[Symbol.asyncDispose]();
    this.#file = undefined;
    await disk.remove(path); // Left by an earlier attempt, or empty after a failure: nothing in it counts.
    if (this.#segments.at(-1)?.firstSeq === firstSeq) this.#segments.pop();
    const file = await disk.open(path, "create");
    await file.write([encodeSegmentHead({ firstSeq, previousHash: this.#lastHash })], 0);
    await file.datasync();
    await disk.syncDirectory(directory);
    this.#file = file;
    this.#segments.push({ firstSeq, positions: [], end: segmentHeadBytes });
    this.#isSealed = false;
  }

  /**
   * After a failed sync the pages are marked clean whether or not they were written, so the file is never appended to
   * again: it is cut to what is known to be durable, and the log goes on in a new one.
   */
  async #cutDoubt(): Promise<void> {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined && this.#file !== undefined, "doubt is about an open segment");
    await this.#file.truncate(segment.end);
    await this.#file.datasync();
    this.#isSealed = true;
    this.#isDoubtful = false;
  }

  /** Keeps two checkpoints and what follows the older. Removing is not urgent: what fails now is done the next time. */
  async #forget(): Promise<void> {
    const { disk, directory } = this.#options;
    const keepAfter = this.#checkpoints.at(-2) ?? 0;
    for (const seq of this.#checkpoints.slice(0, -2)) await disk.remove(checkpointPath(directory, seq));
    this.#checkpoints = this.#checkpoints.slice(-2);
    while (this.#segments.length > 1 && (this.#segments[1] as Segment).firstSeq <= keepAfter + 1) {
      await disk.remove(segmentPath(directory, (this.#segments[0] as Segment).firstSeq));
      this.#segments.shift();
    }
    const firstKept = this.#segments[0]?.firstSeq ?? this.#lastSeq;
    for (const [opId, seq] of this.#seqs) {
      if (seq >= firstKept) break; // In order of seq.
      this.#seqs.delete(opId);
    }
    await disk.syncDirectory(directory);
  }
}

/** What the disk says becomes a failed operation. */
async function operation<T>(directory: string, happened: Happened, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = diskErrorCode(cause);
    if (code === undefined) throw cause;
    throw new OperationFailed(`metadata log in ${directory}: ${code}`, { happened, cause });
  }
}
