/**
 * The WAL on a disk: groups of records, each one write that is durable when it returns.
 *
 *   append ──▶ waiting ──▶ | groups in flight | ──▶ durable
 *
 * A few groups are in flight at a time; what is enqueued meanwhile is the next group. So throughput grows with load by
 * itself. A group may reach the disk before the one below it, but is acked after it, and says how far all was durable when
 * it was written: recovery takes a group that is missing above that point for one that was never acked.
 */
import { sleep } from "../base/async.ts";
import type { Disk } from "../base/disk.ts";
import { assert, CorruptData, OperationFailed, WrongProgram } from "../base/errors.ts";
import type { NodeEpoch } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { Wal, WalEntry, WalGroup, WalPosition } from "./wal.ts";
import { decodeHeader, encodeGroup, groupBytes, isBodyIntact, placeRecords, recordBytes } from "./wal-format.ts";
import { scanWal, type WalTail } from "./wal-recovery.ts";
import { type Segment, WalSegments } from "./wal-segments.ts";

export interface FileWalLimits {
  /** Room for records that are not trimmed. Reaching it is backpressure, passing it is no error. */
  readonly walBytesMax: number;
  readonly walSegmentBytes: number;
  readonly walGroupBytesMax: number;
  readonly walGroupsInFlightMax: number;
  /** How long a group waits for company when there is room in flight. 0 gathers what arrives in one turn of the event loop. */
  readonly walLingerMs: number;
  /** After this long without an append an empty group is written, which proves that the last one was durable. */
  readonly walIdleMs: number;
}

export interface FileWalOptions {
  readonly disk: Disk;
  /** Nothing else may live there. */
  readonly directory: string;
  readonly nodeEpoch: NodeEpoch;
  readonly runtime: Runtime;
  readonly limits: FileWalLimits;
  readonly logger: Logger;
}

export class FileWal implements Wal {
  readonly bytesMax: number;
  readonly slots = undefined;
  readonly #options: FileWalOptions;
  readonly #segments: WalSegments;
  readonly #stop = new AbortController();
  #current: Segment | undefined;
  /** The segment after the current one, as soon as it is ready. */
  #next: Promise<Segment> | undefined;
  #waiting: WalEntry[] = [];
  #waitingBytes = 0;
  #isLingering = false;
  /** A group is being given its place, which may have to wait for a segment. */
  #isPlacing = false;
  /** Settles when the group that was placed last has its place, or has failed. */
  #placed: Promise<void> = Promise.resolve();
  /** In order of position. */
  readonly #flights: Flight[] = [];
  #idleTimer: Disposable | undefined;
  /** What cannot be written now is not waited for any more. */
  #isClosing = false;
  /** Why nothing becomes durable any more. */
  #failure: OperationFailed | undefined;

  #walId = 0;
  #seq = 0;
  #previousCrc = 0;
  /** Where the next group begins. */
  #tail = 0;
  /** The end of the last group that is durable with all below it. */
  #durable = 0;
  /** Where the last durable group begins. */
  #anchor = 0;
  #isLastEmpty = true;
  #trimmed = 0;

  constructor(options: FileWalOptions) {
    const { limits } = options;
    assert(limits.walSegmentBytes >= 2 * limits.walGroupBytesMax, "a segment holds at least two groups");
    this.#options = options;
    this.bytesMax = limits.walBytesMax;
    const segmentsMax = Math.ceil(limits.walBytesMax / limits.walSegmentBytes) + 2; // One is current, one is ready.
    this.#segments = new WalSegments({ ...options, segmentBytes: limits.walSegmentBytes, segmentsMax });
  }

  get durable(): WalPosition {
    return this.#durable as WalPosition;
  }

  get bytesUsed(): number {
    return this.#tail - this.#trimmed + this.#waitingBytes;
  }

  async recover(visit: Parameters<Wal["recover"]>[0]): Promise<void> {
    const segments = await this.#segments.open();
    if (segments.length === 0) {
      this.#walId = randomId(this.#options.runtime);
      this.#current = await this.#segments.prepare(0, 0);
    } else {
      await this.#resume(segments, await scanWal(segments, visit));
    }
    await this.#place([]); // The first group of this epoch; it proves what recovery found.
    await this.#flights[0]?.landed;
    if (this.#failure !== undefined) throw this.#failure;
  }

  append(entry: WalEntry): void {
    if (this.#failure !== undefined) {
      entry.failed(this.#failure);
      return;
    }
    this.#waiting.push(entry);
    this.#waitingBytes += recordBytes(entry);
    if (this.#isLingering || !this.#hasRoom) return;
    this.#isLingering = true;
    this.#options.runtime.clock.after(this.#options.limits.walLingerMs, () => {
      this.#isLingering = false;
      this.#launch();
    });
  }

  async trim(position: WalPosition): Promise<void> {
    assert(position <= this.#durable, "only what is durable can be trimmed");
    this.#trimmed = Math.max(this.#trimmed, position);
    // The current segment and the prepared one end beyond the tail, so they are never touched.
    await this.#segments.trim(this.#forgotten);
  }

  /**
   * Below this nothing is read again. The last durable group stays, needed or not: the chain of a recovery begins at it, and
   * without it the first of several groups in flight, torn, could not be told from one that was never written.
   */
  get #forgotten(): number {
    return Math.min(this.#trimmed, this.#anchor);
  }

  /** Nobody recovers a file but the process that has its disk. */
  async abandon(): Promise<void> {
    this.#fail(new OperationFailed("abandoned", { happened: "no" }));
  }

  async readGroup(group: WalGroup): Promise<Uint8Array> {
    const segment = this.#segments.at(group.position);
    const expected = `a group of ${group.bytes} bytes`;
    const corrupt = (found: string): CorruptData =>
      new CorruptData({ source: "WAL", position: group.position, expected, found });
    if (segment === undefined) throw corrupt("no segment");
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(group.bytes).buffer);
    let count: number;
    try {
      count = await segment.file.read(bytes, group.position - segment.start);
    } catch (cause) {
      throw new OperationFailed("the WAL cannot be read", { happened: "no", cause });
    }
    const header = decodeHeader(bytes, 0, group.position);
    const isWhole = count === bytes.length && header !== undefined && groupBytes(header.bodyBytes) === bytes.length;
    if (!isWhole || !isBodyIntact(bytes, 0, header)) throw corrupt("none");
    return bytes;
  }

  /** What is enqueued becomes durable first, unless the disk is full. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    while (this.#isBusy && this.#failure === undefined) {
      await sleep(this.#options.runtime.clock, 0);
      await this.#placed; // It may wait for a segment for long.
      await Promise.all(this.#flights.map(({ landed }) => landed)); // The last may land first.
    }
    for (const { landed } of this.#flights) await landed; // The files stay open as long as something is written.
    this.#idleTimer?.[Symbol.dispose]();
    this.#stop.abort(new OperationFailed("the WAL is closed", { happened: "no" }));
    this.#failure ??= new OperationFailed("the WAL is closed", { happened: "no" });
    await this.#next?.catch(() => undefined); // Aborted by the line above.
    await this.#segments.close();
  }

  /** Takes over the tail that the scan found. */
  async #resume(segments: readonly Segment[], tail: WalTail): Promise<void> {
    const segment = segments[tail.segment] as Segment;
    const { nodeEpoch } = this.#options;
    this.#tail = segment.start + tail.at;
    this.#durable = this.#tail;
    if (tail.last !== undefined && tail.last.epoch > nodeEpoch) {
      const found = `epoch ${tail.last.epoch}`; // The metadata log has lost its end: it gave this number out before.
      throw new CorruptData({ source: "WAL", position: this.#tail, expected: `epochs up to ${nodeEpoch}`, found });
    }
    this.#walId = tail.last?.walId ?? randomId(this.#options.runtime);
    this.#seq = tail.last?.seq ?? 0;
    this.#previousCrc = tail.last?.headerCrc ?? 0;
    this.#trimmed = tail.trimmed;
    this.#anchor = tail.last?.position ?? this.#tail;
    this.#current = segment;
    for (const { index, group } of tail.unproven) await rewrite(segments[index] as Segment, group);
    for (const { file } of segments) await file.datasync();
  }

  get #hasRoom(): boolean {
    return !this.#isPlacing && this.#flights.length < this.#options.limits.walGroupsInFlightMax;
  }

  get #isBusy(): boolean {
    return this.#waiting.length > 0 || this.#isPlacing || this.#flights.length > 0;
  }

  /** Starts the next group, if there is one and room for it. */
  #launch(): void {
    if (this.#waiting.length === 0 || !this.#hasRoom || this.#failure !== undefined) return;
    const group = this.#takeGroup();
    this.#placed = this.#place(group).then(
      () => this.#launch(),
      (cause: unknown) => {
        for (const entry of group) entry.failed(this.#fail(cause));
      },
    );
  }

  /** The longest prefix of what waits that fits into one group; at least one record. */
  #takeGroup(): readonly WalEntry[] {
    let count = 0;
    let bytes = 0;
    for (const entry of this.#waiting) {
      if (count > 0 && bytes + recordBytes(entry) > this.#options.limits.walGroupBytesMax) break;
      bytes += recordBytes(entry);
      count += 1;
    }
    const group = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    return group;
  }

  /** Gives the group its place behind the last one and begins to write it. */
  async #place(entries: readonly WalEntry[]): Promise<void> {
    let bodyBytes = 0;
    for (const entry of entries) bodyBytes += recordBytes(entry);
    this.#isPlacing = true;
    const segment = await this.#segmentFor(groupBytes(bodyBytes));
    this.#isPlacing = false;
    if (this.#failure !== undefined) throw this.#failure; // Another group's, while this one waited for its segment.
    const position = this.#tail;
    const group = encodeGroup(
      {
        walId: this.#walId,
        epoch: this.#options.nodeEpoch,
        seq: this.#seq + 1,
        position,
        durable: this.#durable,
        trimmed: this.#forgotten,
        previousCrc: this.#previousCrc,
      },
      entries,
    );
    this.#seq += 1;
    this.#previousCrc = group.headerCrc;
    this.#tail += group.bytes;
    this.#isLastEmpty = entries.length === 0;
    this.#waitingBytes -= bodyBytes;
    const flight: Flight = { entries, position, end: this.#tail, isWritten: false, landed: Promise.resolve() };
    this.#flights.push(flight);
    flight.landed = segment.file.write(group.views, position - segment.start).then(
      () => {
        flight.isWritten = true;
        this.#settle();
      },
      (cause: unknown) => void this.#fail(cause),
    );
  }

  /** Acks the groups that are written and have nothing unwritten below them. */
  #settle(): void {
    if (this.#failure !== undefined) return;
    for (let flight = this.#flights[0]; flight?.isWritten === true; flight = this.#flights[0]) {
      this.#flights.shift();
      this.#durable = flight.end;
      this.#anchor = flight.position;
      const group = { position: flight.position as WalPosition, bytes: flight.end - flight.position };
      placeRecords(group, flight.entries, (entry, end, place) => entry.durable(end, place));
    }
    this.#launch();
    if (!this.#isBusy && !this.#isLastEmpty) this.#armIdleTimer();
  }

  /** The segment in which the next group of this size is written; moves the tail to its start when it is a new one. */
  async #segmentFor(bytes: number): Promise<Segment> {
    let current = this.#current as Segment;
    while (this.#tail + bytes > current.start + current.bytes) {
      current = await (this.#next ?? this.#prepare(current, bytes));
      this.#next = undefined;
      this.#current = current;
      this.#tail = current.start;
    }
    if (this.#next === undefined) {
      this.#next = this.#prepare(current, 0);
      this.#next.catch(() => undefined); // Whoever needs the segment sees the failure.
    }
    return current;
  }

  /** A full disk is no reason to stop: appends wait, and are held back by bytesUsed, until there is room. */
  async #prepare(current: Segment, bytesMin: number): Promise<Segment> {
    for (;;) {
      try {
        return await this.#segments.prepare(current.start + current.bytes, bytesMin);
      } catch (cause) {
        if (this.#isClosing || this.#failure !== undefined || cause instanceof WrongProgram) throw cause;
        this.#options.logger.error("cannot prepare a WAL segment, trying again", { cause });
        await sleep(this.#options.runtime.clock, prepareRetryMs, this.#stop.signal);
      }
    }
  }

  /** After a failed write or sync nobody knows what the file holds: only a recovery may look at it again. */
  #fail(cause: unknown): OperationFailed {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = new OperationFailed("the WAL failed and is sealed", { happened: "maybe", cause });
    const lost = [...this.#flights.flatMap(({ entries }) => entries), ...this.#waiting];
    this.#waiting = [];
    for (const entry of lost) entry.failed(this.#failure);
    return this.#failure;
  }

  #armIdleTimer(): void {
    this.#idleTimer?.[Symbol.dispose]();
    this.#idleTimer = this.#options.runtime.clock.after(this.#options.limits.walIdleMs, () => {
      if (this.#isBusy || this.#failure !== undefined || this.#stop.signal.aborted) return;
      this.#placed = this.#place([]).catch((cause: unknown) => void this.#fail(cause));
    });
  }
}

/** A group whose write has begun. */
interface Flight {
  readonly entries: readonly WalEntry[];
  readonly position: number;
  readonly end: number;
  isWritten: boolean;
  /** Settles when the write did, one way or the other; never rejects. */
  landed: Promise<void>;
}

/** How long to wait when a segment could not be made. */
const prepareRetryMs = 1000;

/**
 * Writes a group again. A process that died between write and sync leaves bytes that only the page cache has; some
 * kernels even take pages for clean after a failed sync. The same bytes once more make them durable.
 */
async function rewrite(
  segment: Segment,
  group: { readonly position: number; readonly bodyBytes: number },
): Promise<void> {
  const bytes = new Uint8Array(groupBytes(group.bodyBytes));
  await segment.file.read(bytes, group.position - segment.start);
  await segment.file.write([bytes], group.position - segment.start);
}

function randomId(runtime: Runtime): number {
  return Math.floor(runtime.random.unit() * Number.MAX_SAFE_INTEGER);
}
