/**
 * The files of a WAL. Each holds a stretch of positions and is named after the first one; together they leave no gap:
 *
 *   000…0000.wal   000…4000.wal   000…8000.wal   000…c000.wal
 *   trimmed, idle  in use         current        ready: filled with zeros, or a trimmed one under a new name
 *
 * A file gets its name only after its blocks are allocated and synced, so that a group's write never has to.
 */
import { Lane } from "../base/async.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { CorruptData } from "../base/errors.ts";
import { KiB, MiB } from "../base/settings.ts";

export interface Segment {
  readonly start: number;
  readonly bytes: number;
  /** Opened as "durable". */
  readonly file: DiskFile;
}

export class WalSegments {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segmentsMax: number;
  /** One change of the directory at a time. */
  readonly #lane = new Lane();
  /** In order of position: idle ones, then those in use, the last of which is current. */
  readonly #segments: Segment[] = [];
  #trimmed = 0;

  constructor(options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly segmentBytes: number;
    /** Trimmed files beyond this number are removed instead of being kept for another use. */
    readonly segmentsMax: number;
  }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#segmentBytes = options.segmentBytes;
    this.#segmentsMax = options.segmentsMax;
  }

  /** All segments found. Throws CorruptData when one is missing between two. */
  async open(): Promise<readonly Segment[]> {
    await this.#disk.makeDirectory(this.#directory);
    for (const { name } of await this.#disk.list(this.#directory)) {
      if (name.endsWith(unfinished)) await this.#disk.remove(this.#path(name));
    }
    this.#segments.push(...(await openSegments(this.#disk, this.#directory, "durable")));
    requireNoGap(this.#segments);
    await this.#disk.syncDirectory(this.#directory); // A process that was killed may have left a name that is not durable.
    return this.#segments;
  }

  /**
   * A segment that begins at the position, where another ends: the one that a crash has left there, whatever its size, or
   * else one of at least `bytesMin`. May take long: its blocks are written.
   */
  prepare(start: number, bytesMin: number): Promise<Segment> {
    return this.#lane.run(async () => {
      const ready = this.#segments.find((segment) => segment.start === start);
      if (ready !== undefined) return ready;
      const idle = this.#segments[0];
      const isReusable = idle !== undefined && this.#isIdle(idle) && idle.bytes >= bytesMin;
      return isReusable
        ? await this.#rename(idle, start)
        : await this.#create(start, Math.max(bytesMin, this.#segmentBytes));
    });
  }

  /** The segment in which the position lies. */
  at(position: number): Segment | undefined {
    return this.#segments.find(({ start, bytes }) => start <= position && position < start + bytes);
  }

  /** Segments that end at or below the position may be written anew; what is beyond need is removed. */
  trim(position: number): Promise<void> {
    this.#trimmed = Math.max(this.#trimmed, position);
    return this.#lane.run(async () => {
      for (let oldest = this.#segments[0]; oldest !== undefined && this.#isIdle(oldest); oldest = this.#segments[0]) {
        if (this.#segments.length <= this.#segmentsMax && oldest.bytes === this.#segmentBytes) return;
        this.#segments.shift();
        await oldest.file[Symbol.asyncDispose]();
        await this.#disk.remove(this.#path(nameOf(oldest.start)));
        await this.#disk.syncDirectory(this.#directory); // Before the next one goes: a lost removal must not leave a gap.
      }
    });
  }

  async close(): Promise<void> {
    await this.#lane.close();
    for (const segment of this.#segments) await segment.file[Symbol.asyncDispose]();
    this.#segments.length = 0;
  }

  async #rename(idle: Segment, start: number): Promise<Segment> {
    await this.#disk.rename(this.#path(nameOf(idle.start)), this.#path(nameOf(start)));
    await this.#disk.syncDirectory(this.#directory);
    this.#segments.shift();
    const segment = { ...idle, start };
    this.#segments.push(segment);
    return segment;
  }

  async #create(start: number, bytes: number): Promise<Segment> {
    const draft = this.#path(`${nameOf(start)}${unfinished}`);
    await this.#disk.remove(draft);
    try {
      await this.#fillWithZeros(draft, bytes);
    } catch (cause) {
      await this.#disk.remove(draft).catch(() => undefined); // On a full disk others need the room; else the next attempt does.
      throw cause;
    }
    const file = await this.#disk.open(draft, "durable");
    await this.#disk.rename(draft, this.#path(nameOf(start)));
    await this.#disk.syncDirectory(this.#directory);
    const segment = { start, bytes, file };
    this.#segments.push(segment);
    return segment;
  }

  async #fillWithZeros(path: string, bytes: number): Promise<void> {
    await using file = await this.#disk.open(path, "create");
    for (let at = 0; at < bytes; at += chunkBytes) {
      const chunk = zeros.subarray(0, Math.min(zeros.length, bytes - at));
      await file.write([chunk], at);
      if ((at + chunkBytes) % syncedBytesMax === 0) await file.datasync(); // Many small syncs: groups wait behind them.
    }
    await file.datasync();
  }

  #isIdle(segment: Segment): boolean {
    return segment.start + segment.bytes <= this.#trimmed;
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** The segments that have a name, in order of position. Nothing is changed; whoever opens them closes their files. */
export async function openSegments(
  disk: Disk,
  directory: string,
  mode: "read" | "durable",
): Promise<readonly Segment[]> {
  const segments: Segment[] = [];
  for (const { name } of await disk.list(directory)) {
    const start = startOf(name);
    if (start === undefined) continue;
    const file = await disk.open(`${directory}/${name}`, mode);
    segments.push({ start, bytes: await file.size(), file });
  }
  return segments;
}

/** Throws CorruptData when a segment is missing between two. */
export function requireNoGap(segments: readonly Segment[]): void {
  for (const [index, { start }] of segments.entries()) {
    const before = segments[index - 1];
    if (before === undefined || before.start + before.bytes === start) continue;
    const expected = nameOf(before.start + before.bytes);
    throw new CorruptData({ source: `WAL segment ${nameOf(start)}`, position: 0, expected, found: nameOf(start) });
  }
}

const unfinished = ".new";
const chunkBytes = 256 * KiB;
const syncedBytesMax = 4 * MiB;
const zeros = new Uint8Array(chunkBytes);

function nameOf(start: number): string {
  return `${start.toString().padStart(16, "0")}.wal`;
}

function startOf(name: string): number | undefined {
  return /^\d{16}\.wal$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}
