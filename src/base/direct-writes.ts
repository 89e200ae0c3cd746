/**
 * Durable writes that go past the page cache (O_DIRECT): no copy by the kernel, no pages that nobody reads again. Memory,
 * position and length must be aligned for that, so the bytes are gathered in a small area that is used over and over.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { diskErrorCode } from "./disk.ts";
import { OperationFailed } from "./errors.ts";
import { KiB, MiB } from "./settings.ts";

/** Of memory, position and length. Disks want 512 or 4096. */
const alignBytes = 4 * KiB;
const slotBytes = 1 * MiB;
const slotsMax = 4;
const wasmPageBytes = 64 * KiB;

/** TypeScript knows it only together with browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** Page-aligned memory, the only that JavaScript has: what WebAssembly's memories are made of. Made when first needed. */
const slots: Uint8Array[] = [];
let isMade = false;

function takeSlot(): Uint8Array | undefined {
  if (!isMade) {
    isMade = true;
    const { buffer } = new WebAssembly.Memory({ initial: (slotsMax * slotBytes) / wasmPageBytes });
    for (let at = 0; at < buffer.byteLength; at += slotBytes) slots.push(new Uint8Array(buffer, at, slotBytes));
  }
  return slots.pop();
}

export class DirectWriter {
  readonly #handle: FileHandle;
  #isRefused = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** undefined where there is no such thing: not Linux, or a file system that cannot. */
  static async open(path: string): Promise<DirectWriter | undefined> {
    const { O_DIRECT, O_DSYNC, O_RDWR } = constants;
    if (O_DIRECT === undefined || O_DSYNC === undefined) return undefined;
    try {
      return new DirectWriter(await open(path, O_RDWR | O_DSYNC | O_DIRECT));
    } catch (cause) {
      if (diskErrorCode(cause) === "EINVAL") return undefined;
      throw cause;
    }
  }

  /** Durable when it resolves to true. False, and nothing was written: it cannot be done this way, or not now. */
  async write(views: readonly Uint8Array[], position: number): Promise<boolean> {
    let bytes = 0;
    for (const view of views) bytes += view.length;
    if (this.#isRefused || position % alignBytes !== 0 || bytes % alignBytes !== 0 || bytes === 0) return false;
    const slot = takeSlot();
    if (slot === undefined) return false;
    try {
      let at = position;
      let filled = 0;
      for (const view of views) {
        for (let from = 0; from < view.length; ) {
          const part = view.subarray(from, from + slotBytes - filled);
          slot.set(part, filled);
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
      slots.push(slot);
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
