/**
 * Objects as plain files under one directory, owned by one process (its data directory is locked).
 *
 *   <root>/<key>              the object, under its own name, so that query engines can read a file: warehouse
 *   <root>/.inlet-tmp/<uuid>  an object on its way: written, synced, then renamed or linked into place
 *
 * Crash at any point: the object is there whole, or not at all, or as it was; what is left in .inlet-tmp is removed at the
 * next start. Any key that a file system can name is legal; one whose part is another key's directory is not.
 */
import { basename, dirname, join } from "node:path";
import { Lane, sleep } from "../base/async.ts";
import { type Disk, type DiskFile, diskErrorCode } from "../base/disk.ts";
import { uuidRandom } from "../base/ids.ts";
import { pageBytes } from "../base/page-memory.ts";
import type { Runtime } from "../base/runtime.ts";
import { bodyBytes, viewsOf } from "./body.ts";
import { attempt, etagOf, type Staged } from "./local-files.ts";
import { beginLocalUpload } from "./local-upload.ts";
import {
  type Body,
  type ByteRange,
  type Created,
  type MultipartUpload,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Replaced,
  requireRange,
  StoreFailed,
} from "./object-store.ts";
import { OpenFiles } from "./open-files.ts";

const temporaryName = ".inlet-tmp";
/** NAME_MAX of every file system in use. */
const nameBytesMax = 255;
/** Objects that are read in parts at a time: far fewer than a process may have open. */
const openFilesMax = 64;

interface LocalOptions {
  readonly directory: string;
  readonly disk: Disk;
  readonly runtime: Runtime;
}

/** Makes the directory if it is missing and clears away what a crash left half written. */
export async function openLocalObjectStore(options: LocalOptions): Promise<ObjectStore> {
  const temporary = join(options.directory, temporaryName);
  await options.disk.makeDirectory(temporary);
  for (const { name } of await options.disk.list(temporary)) await options.disk.remove(join(temporary, name));
  return new LocalObjectStore(options);
}

class LocalObjectStore implements ObjectStore {
  readonly url: string;
  readonly #root: string;
  readonly #disk: Disk;
  readonly #runtime: Runtime;
  /** Replacing is compare, then rename: one at a time. */
  readonly #replacing = new Lane();
  readonly #openFiles: OpenFiles;

  constructor(options: LocalOptions) {
    this.#root = options.directory;
    this.#disk = options.disk;
    this.#runtime = options.runtime;
    this.#openFiles = new OpenFiles({ disk: options.disk, filesMax: openFilesMax });
    this.url = `file://${options.directory}`;
  }

  async put(key: string, body: Body): Promise<{ readonly etag: string }> {
    const path = this.#path(key);
    return await this.#staged(key, body, (staged) => this.#replacing.run(() => this.#replace(path, staged)));
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    return await this.#staged(key, body, (staged) => this.#create(key, staged));
  }

  async putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    const path = this.#path(key);
    return await this.#staged(key, body, (staged) =>
      this.#replacing.run(async () => {
        if ((await this.#etagAt(path)) === etag) return { kind: "replaced", ...(await this.#replace(path, staged)) };
        await attempt(`forget ${key}`, "no", () => this.#disk.remove(staged.path));
        return { kind: "mismatch" };
      }),
    );
  }

  async get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array> {
    return await attempt(`read ${key}`, "no", async () => {
      try {
        const path = this.#path(key);
        if (range !== undefined) return await this.#openFiles.read(path, (file) => readRange(key, file, range, room));
        await using file = await this.#disk.open(path, "read");
        return await readRange(key, file, { start: 0, end: await file.size() });
      } catch (cause) {
        throw isAbsence(cause) ? new ObjectMissing(key) : cause;
      }
    });
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return await attempt(`look at ${key}`, "no", async () => {
      await using file = await this.#openExisting(this.#path(key));
      return file === undefined ? undefined : await infoOf(key, file);
    });
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    yield* this.#walk(folder, prefix);
  }

  async delete(keys: readonly string[]): Promise<void> {
    await attempt(`delete ${keys.length} objects`, "maybe", async () => {
      const paths = keys.map((key) => this.#path(key));
      for (const path of paths) {
        await unlessAbsent(this.#disk.remove(path));
        await this.#openFiles.drop(path);
      }
      for (const directory of new Set(paths.map((path) => dirname(path)))) {
        await unlessAbsent(this.#disk.syncDirectory(directory));
      }
    });
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const path = this.#path(key);
    return await beginLocalUpload({
      key,
      disk: this.#disk,
      temporaryPath: () => this.#temporaryPath(),
      publish: async (staged) => {
        await attempt(`create the directory of ${key}`, "no", () => this.#disk.makeDirectory(dirname(path)));
        return await this.#replacing.run(() => this.#replace(path, staged));
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replacing.close();
    await this.#openFiles[Symbol.asyncDispose]();
  }

  /** Stages the body, and leaves nothing of it behind when it does not become the object: on a full disk others need the room. */
  async #staged<T>(key: string, body: Body, place: (staged: Staged) => Promise<T>): Promise<T> {
    const path = this.#temporaryPath();
    try {
      return await place(await this.#stage(path, key, body));
    } catch (cause) {
      await this.#disk.remove(path).catch(() => undefined); // Then the next start does.
      throw cause;
    }
  }

  /** Writes the body, durably, where nobody looks, and makes the directory that it will move to. */
  async #stage(path: string, key: string, body: Body): Promise<Staged> {
    return await attempt(`write ${key}`, "no", async () => {
      await this.#disk.makeDirectory(dirname(this.#path(key)));
      await using file = await this.#disk.open(path, "create");
      await file.write(viewsOf(body), 0);
      await file.datasync();
      return { path, bytes: bodyBytes(body), etag: await etagOf(file) };
    });
  }

  /** Gives it the name unless another has it. */
  async #create(key: string, staged: Staged): Promise<Created> {
    const path = this.#path(key);
    return await attempt(`create ${key}`, "maybe", async () => {
      const isCreated = await this.#disk.link(staged.path, path).then(
        () => true,
        (cause: unknown) => {
          if (diskErrorCode(cause) !== "EEXIST") throw cause;
          return false;
        },
      );
      await this.#disk.remove(staged.path);
      await this.#disk.syncDirectory(dirname(path)); // When it exists, too: whoever is told so may rely on it.
      return isCreated ? { kind: "created", etag: staged.etag } : { kind: "exists" };
    });
  }

  /** An ETag is size and modification time, so two versions of one size must differ in time. */
  async #replace(path: string, staged: Staged): Promise<{ readonly etag: string }> {
    return await attempt(`replace ${basename(path)}`, "maybe", async () => {
      const present = await this.#etagAt(path);
      let etag = staged.etag;
      while (etag === present && staged.bytes > 0) {
        await sleep(this.#runtime.clock, 1);
        etag = await this.#touch(staged.path);
      }
      await this.#disk.rename(staged.path, path);
      await this.#openFiles.drop(path);
      await this.#disk.syncDirectory(dirname(path));
      return { etag };
    });
  }

  async #touch(path: string): Promise<string> {
    await using file = await this.#disk.open(path, "write");
    const first = new Uint8Array(1);
    await file.read(first, 0);
    await file.write([first], 0);
    await file.datasync();
    return await etagOf(file);
  }

  async #etagAt(path: string): Promise<string | undefined> {
    await using file = await this.#openExisting(path);
    return file === undefined ? undefined : await etagOf(file);
  }

  async #openExisting(path: string): Promise<DiskFile | undefined> {
    let file: DiskFile | undefined;
    try {
      file = await this.#disk.open(path, "read");
      await file.read(new Uint8Array(1), 0); // A directory opens like a file, and says what it is when it is read.
      return file;
    } catch (cause) {
      await file?.[Symbol.asyncDispose]();
      if (isAbsence(cause)) return undefined;
      throw cause;
    }
  }

  /** Key order is byte order of whole keys: a directory sorts as its name with the slash that follows it. */
  async *#walk(folder: string, prefix: string): AsyncIterable<ObjectInfo> {
    const entries = await attempt(`list ${folder}`, "no", () => this.#disk.list(join(this.#root, folder)));
    const named = entries
      .map((entry) => ({ key: `${folder}${entry.name}${entry.isDirectory ? "/" : ""}`, entry }))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    for (const { key, entry } of named) {
      if (folder === "" && entry.name === temporaryName) continue;
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue;
      if (entry.isDirectory) yield* this.#walk(key, prefix);
      else {
        const info = await this.head(key);
        if (info !== undefined) yield info;
      }
    }
  }

  #temporaryPath(): string {
    return join(this.#root, temporaryName, uuidRandom(this.#runtime.random));
  }

  #path(key: string): string {
    const segments = key.split("/");
    const isLegal = segments.every(
      (name) => name !== "" && name !== "." && name !== ".." && Buffer.byteLength(name) <= nameBytesMax,
    );
    if (!isLegal || key.includes("\0") || segments[0] === temporaryName)
      throw new StoreFailed(`no file can have the key ${JSON.stringify(key)}`, { happened: "no", retriable: false });
    return join(this.#root, key);
  }
}

async function readRange(
  key: string,
  file: DiskFile,
  { start, end }: ByteRange,
  room?: Uint8Array,
): Promise<Uint8Array> {
  const length = Math.max(0, end - start);
  // Not zeroed, as requireRange sees to it that all of it is read.
  const bytes =
    room?.subarray(start % pageBytes).subarray(0, length) ?? new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  requireRange(key, { start, end }, await file.read(bytes, start, room));
  return bytes;
}

async function infoOf(key: string, file: DiskFile): Promise<ObjectInfo> {
  return { key, size: await file.size(), etag: await etagOf(file), modifiedMs: Math.floor(await file.modifiedMs()) };
}

/** A part of the key is missing or a file, or the whole of it names a directory: there is no such object. */
function isAbsence(cause: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR"].includes(diskErrorCode(cause) ?? "");
}

async function unlessAbsent(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (cause) {
    if (!isAbsence(cause)) throw cause;
  }
}
