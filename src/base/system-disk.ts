/** Disk over the operating system's files. Errors are Node's own, whose `code` (ENOENT, EEXIST, ENOSPC, EIO) callers may read. */
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { alignBytes, DirectReader, DirectWriter } from "./direct-io.ts";
import { type DirectoryEntry, type Disk, type DiskFile, diskErrorCode } from "./disk.ts";
import { assert, OperationFailed } from "./errors.ts";
import { KiB } from "./settings.ts";

export const systemDisk: Disk = {
  async open(path, mode) {
    const handle = await open(path, openFlags[mode]);
    switch (mode) {
      case "read":
        return new ReadFile(handle);
      case "write":
        return new SystemFile(handle);
      case "durable":
        return new DurableFile(handle, await DirectWriter.open(handle, "durable"));
      case "create":
        return new NewFile(handle);
    }
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
  protected readonly handle: FileHandle;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await this.handle.read(into, filled, into.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(views: readonly Uint8Array[], position: number): Promise<void> {
    let rest = views.filter((view) => view.length > 0);
    let at = position;
    while (rest.length > 0) {
      const { bytesWritten } = await this.handle.writev(rest, at);
      if (bytesWritten === 0) throw new OperationFailed("the disk took no bytes", { happened: "maybe" });
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten); // pwritev may stop early, for example when the disk is almost full.
    }
  }

  datasync(): Promise<void> {
    return this.handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  truncate(length: number): Promise<void> {
    return this.handle.truncate(length);
  }

  async modifiedMs(): Promise<number> {
    return (await this.handle.stat()).mtimeMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.close();
  }
}

/** Large reads go past the page cache: what reads them caches them itself, or never comes back. */
class ReadFile extends SystemFile {
  #direct: Promise<DirectReader | undefined> | undefined;

  override async read(into: Uint8Array, position: number, room?: Uint8Array): Promise<number> {
    if (into.length < directBytesMin) return await super.read(into, position);
    this.#direct ??= DirectReader.open(this.handle);
    const direct = await this.#direct;
    return (await direct?.read(into, position, room)) ?? (await super.read(into, position));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const direct = await this.#direct?.catch(() => undefined); // Its reader was told.
    await direct?.[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}

/** Each write is durable when it resolves. */
class DurableFile extends SystemFile {
  readonly #direct: DirectWriter | undefined;

  constructor(handle: FileHandle, direct: DirectWriter | undefined) {
    super(handle);
    this.#direct = direct;
  }

  override async write(views: readonly Uint8Array[], position: number): Promise<void> {
    if ((await this.#direct?.write(views, position)) === true) return;
    await super.write(views, position);
    if (syncsWrites === undefined) await this.handle.datasync();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}

/** Large writes go past the page cache, save for the ends that are not aligned. */
class NewFile extends SystemFile {
  #direct: Promise<DirectWriter | undefined> | undefined;

  override async write(views: readonly Uint8Array[], position: number): Promise<void> {
    const end = position + views.reduce((sum, view) => sum + view.length, 0);
    const from = Math.ceil(position / alignBytes) * alignBytes;
    const to = Math.floor(end / alignBytes) * alignBytes;
    if (to - from < directBytesMin) {
      await super.write(views, position);
      return;
    }
    const [before, rest] = splitAt(views, from - position);
    const [aligned, after] = splitAt(rest, to - from);
    this.#direct ??= DirectWriter.open(this.handle, "bulk");
    const direct = await this.#direct;
    if ((await direct?.write(aligned, from)) !== true) {
      await super.write(views, position);
      return;
    }
    if (before.length > 0) await super.write(before, position);
    if (after.length > 0) await super.write(after, to);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const direct = await this.#direct?.catch(() => undefined); // Its writer was told.
    await direct?.[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}

/** Below it the kernel's copy costs less than a request of its own to the disk. */
const directBytesMin = 256 * KiB;

function splitAt(
  views: readonly Uint8Array[],
  count: number,
): readonly [before: readonly Uint8Array[], after: readonly Uint8Array[]] {
  const before: Uint8Array[] = [];
  let left = count;
  for (const view of views) {
    if (left > 0) before.push(view.subarray(0, left));
    left -= view.length;
  }
  return [before, dropBytes(views, count)];
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
