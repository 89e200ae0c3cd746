/** Disk over the operating system's files. Errors are Node's own, whose `code` (ENOENT, EEXIST, ENOSPC, EIO) callers may read. */
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DirectWriter } from "./direct-writes.ts";
import { type DirectoryEntry, type Disk, type DiskFile, diskErrorCode } from "./disk.ts";
import { assert, OperationFailed } from "./errors.ts";

export const systemDisk: Disk = {
  async open(path, mode) {
    const handle = await open(path, openFlags[mode]);
    if (mode !== "durable") return new SystemFile(handle, { syncsAfterWrite: false, direct: undefined });
    const direct = await DirectWriter.open(path);
    return new SystemFile(handle, { syncsAfterWrite: syncsWrites === undefined, direct });
  },

  async list(directory) {
    try {
      const entries = await readdir(directory, { withFileTypes: true });
      return entries
        .map((entry): DirectoryEntry => ({ name: entry.name, isDirectory: entry.isDirectory() }))
        .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    } catch (cause) {
      if (diskErrorCode(cause) === "ENOENT") return [];
      throw cause;
    }
  },

  async makeDirectory(path) {
    const target = resolve(path);
    const first = await mkdir(target, { recursive: true });
    if (first === undefined) return; // It was there.
    for (let made = target; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  },

  rename,
  link,
  remove: (path) => rm(path, { force: true }),
  syncDirectory,
};

/** Only Linux says that a write may sync by itself. Elsewhere each write is followed by a sync. */
const syncsWrites: number | undefined = constants.O_DSYNC;
const openFlags = { read: "r", write: "r+", durable: constants.O_RDWR | (syncsWrites ?? 0), create: "wx+" } as const;

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

class SystemFile implements DiskFile {
  readonly #handle: FileHandle;
  readonly #syncsAfterWrite: boolean;
  readonly #direct: DirectWriter | undefined;

  constructor(
    handle: FileHandle,
    options: { readonly syncsAfterWrite: boolean; readonly direct: DirectWriter | undefined },
  ) {
    this.#handle = handle;
    this.#syncsAfterWrite = options.syncsAfterWrite;
    this.#direct = options.direct;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(views: readonly Uint8Array[], position: number): Promise<void> {
    if ((await this.#direct?.write(views, position)) === true) return;
    let rest = views.filter((view) => view.length > 0);
    let at = position;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, at);
      if (bytesWritten === 0) throw new OperationFailed("the disk took no bytes", { happened: "maybe" });
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten); // pwritev may stop early, for example when the disk is almost full.
    }
    if (this.#syncsAfterWrite) await this.#handle.datasync();
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async modifiedMs(): Promise<number> {
    return (await this.#handle.stat()).mtimeMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.[Symbol.asyncDispose]();
    await this.#handle.close();
  }
}

/** What is left of the views after their first `count` bytes. */
export function dropBytes(views: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let index = 0;
  while (index < views.length && left >= (views[index] as Uint8Array).length)
    left -= (views[index++] as Uint8Array).length;
  const rest = views.slice(index);
  assert(left === 0 || rest.length > 0, "more bytes were written than given");
  if (left > 0) rest[0] = (rest[0] as Uint8Array).subarray(left);
  return rest;
}
