/**
 * Writes and reads that go past the page cache (O_DIRECT): no copy by the kernel, no pages that nobody reads again. Memory,
 * position and length must be aligned for that, so the bytes pass through a small area that is used over and over.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { copyInto } from "./bytes.ts";
import { diskErrorCode } from "./disk.ts";
import { OperationFailed } from "./errors.ts";
import { isPageAligned, pageAligned, pageBytes } from "./page-memory.ts";
import { MiB } from "./settings.ts";

/** Of memory, position and length. Disks want 512 or 4096. */
export const alignBytes = pageBytes;
const slotBytes = 1 * MiB;

/** Made when first needed. */
class AlignedSlots {
  readonly #count: number;
  #free: Uint8Array[] | undefined;
  readonly #waiting: ((slot: Uint8Array) => void)[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  take(): Uint8Array | undefined {
    this.#free ??= this.#make();
    return this.#free.pop();
  }

  /** In order of arrival. */
  async wait(): Promise<Uint8Array> {
    return this.take() ?? (await new Promise<Uint8Array>((resolve) => this.#waiting.push(resolve)));
  }

  give(slot: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free?.push(slot);
    else next(slot);
  }

  #make(): Uint8Array[] {
    const all = pageAligned(this.#count * slotBytes);
    return Array.from({ length: this.#count }, (_, index) => all.subarray(index * slotBytes, (index + 1) * slotBytes));
  }
}

/**
 * "durable": small writes that somebody waits for, each durable when it resolves. "bulk": large ones, synced together later,
 * which rather wait for a slot than go through the page cache.
 */
export type DirectUse = "durable" | "bulk";

/** Apart, so that what is uploaded or read never takes the place of what is acked. */
const slotsFor: Readonly<Record<DirectUse, AlignedSlots>> = {
  durable: new AlignedSlots(4),
  bulk: new AlignedSlots(2),
};
const slotsForReads = new AlignedSlots(4);

/**
 * The same file by a handle of its own, whatever has become of its name meanwhile. undefined where there is no such thing: not
 * Linux, no /proc, or a file system that cannot.
 */
async function openDirect(file: FileHandle, flags: number): Promise<FileHandle | undefined> {
  if (constants.O_DIRECT === undefined) return undefined;
  try {
    return await open(`/proc/self/fd/${file.fd}`, flags | constants.O_DIRECT);
  } catch (cause) {
    if (["EINVAL", "ENOENT"].includes(diskErrorCode(cause) ?? "")) return undefined;
    throw cause;
  }
}

export class DirectWriter {
  readonly #handle: FileHandle;
  readonly #use: DirectUse;
  #isRefused = false;

  private constructor(handle: FileHandle, use: DirectUse) {
    this.#handle = handle;
    this.#use = use;
  }

  /** undefined where it cannot be done. */
  static async open(file: FileHandle, use: DirectUse): Promise<DirectWriter | undefined> {
    const { O_DSYNC, O_RDWR } = constants;
    if (O_DSYNC === undefined) return undefined;
    const handle = await openDirect(file, O_RDWR | (use === "durable" ? O_DSYNC : 0));
    return handle && new DirectWriter(handle, use);
  }

  /** All of it when it resolves to true. False, and nothing was written: it cannot be done this way, or not now. */
  async write(views: readonly Uint8Array[], position: number): Promise<boolean> {
    let bytes = 0;
    for (const view of views) bytes += view.length;
    if (this.#isRefused || position % alignBytes !== 0 || bytes % alignBytes !== 0 || bytes === 0) return false;
    const slots = slotsFor[this.#use];
    const slot = this.#use === "bulk" ? await slots.wait() : slots.take();
    if (slot === undefined) return false;
    try {
      let at = position;
      let filled = 0;
      for (const view of views) {
        for (let from = 0; from < view.length; ) {
          const part = view.subarray(from, from + slotBytes - filled);
          copyInto(slot, filled, part);
          filled += part.length;
          from += part.length;
          if (filled < slotBytes) continue;
          await this.#writeAll(slot, at);
          at += filled;
          filled = 0;
        }
      }
      if (filled > 0) await this.#writeAll(slot.subarray(0, filled), at);
      return true;
    } catch (cause) {
      // Said before anything is written, by file systems that take the flag and not the write.
      if (diskErrorCode(cause) !== "EINVAL") throw cause;
      this.#isRefused = true;
      return false;
    } finally {
      slots.give(slot);
    }
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.writev([bytes.subarray(done)], position + done);
      if (bytesWritten === 0) throw new OperationFailed("the disk took no bytes", { happened: "maybe" });
      done += bytesWritten;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}

export class DirectReader {
  readonly #handle: FileHandle;
  #isRefused = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** undefined where it cannot be done. */
  static async open(file: FileHandle): Promise<DirectReader | undefined> {
    const handle = await openDirect(file, constants.O_RDONLY);
    return handle && new DirectReader(handle);
  }

  /** As DiskFile.read; undefined, and nothing was read: it cannot be done this way. */
  async read(into: Uint8Array, position: number, room?: Uint8Array): Promise<number | undefined> {
    if (this.#isRefused) return undefined;
    try {
      const around = room && aroundIn(room, into, position);
      return await (around === undefined
        ? this.#readThroughSlot(into, position)
        : this.#readInto(around, into, position));
    } catch (cause) {
      if (diskErrorCode(cause) !== "EINVAL") throw cause;
      this.#isRefused = true;
      return undefined;
    }
  }

  async #readInto(around: Uint8Array, into: Uint8Array, position: number): Promise<number> {
    const before = position % alignBytes;
    const { bytesRead } = await this.#handle.read(around, 0, around.length, position - before);
    return Math.min(Math.max(0, bytesRead - before), into.length);
  }

  async #readThroughSlot(into: Uint8Array, position: number): Promise<number> {
    const slot = await slotsForReads.wait();
    try {
      const end = position + into.length;
      for (let at = position; at < end; ) {
        const from = at - (at % alignBytes);
        const wanted = Math.min(slotBytes, Math.ceil((end - from) / alignBytes) * alignBytes);
        const { bytesRead } = await this.#handle.read(slot, 0, wanted, from);
        const found = Math.min(from + bytesRead, end);
        if (found > at) copyInto(into, at - position, slot.subarray(at - from, found - from));
        if (bytesRead < wanted) return Math.max(at, found) - position; // The file ends here.
        at = found;
      }
      return into.length;
    } finally {
      slotsForReads.give(slot);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}

/** The whole pages of the room that `into` lies in, when they can be read at once: `into` begins where its position has it in a page. */
function aroundIn(room: Uint8Array, into: Uint8Array, position: number): Uint8Array | undefined {
  if (!isPageAligned(room) || into.buffer !== room.buffer) return undefined;
  const before = position % alignBytes;
  const from = into.byteOffset - before - room.byteOffset;
  const to = from + Math.ceil((before + into.length) / alignBytes) * alignBytes;
  return from < 0 || from % alignBytes !== 0 || to > room.length ? undefined : room.subarray(from, to);
}
