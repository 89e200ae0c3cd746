/**
 * A disk to look at another one with: whatever is written stays in memory and is forgotten. Parts of the broker that tidy up
 * when they open what a crash has left (the metadata log, a directory of objects) do so here without anybody noticing.
 */
import type { DirectoryEntry, Disk, DiskFile } from "../base/disk.ts";

/** Only for what such tidying takes: small files, whole writes. */
export function overlayDisk(below: Disk): Disk {
  /** By path; undefined: removed. */
  const changed = new Map<string, MemoryFile | undefined>();
  const read = (path: string): Promise<DiskFile> => {
    const file = changed.get(path);
    if (file !== undefined) return Promise.resolve(file);
    return changed.has(path) ? Promise.reject(missing(path)) : below.open(path, "read");
  };
  return {
    async open(path, mode) {
      if (mode === "read") return await read(path);
      if (mode !== "create") return await copyOf(await read(path), (file) => changed.set(path, file));
      const file = new MemoryFile();
      changed.set(path, file);
      return file;
    },
    async list(directory) {
      const entries = new Map((await below.list(directory)).map((entry) => [entry.name, entry]));
      for (const [path, file] of changed) {
        const name = nameIn(directory, path);
        if (name === undefined) continue;
        if (file === undefined) entries.delete(name);
        else entries.set(name, { name, isDirectory: false });
      }
      return [...entries.values()].sort(byName);
    },
    makeDirectory: () => Promise.resolve(),
    async rename(from, to) {
      const file = changed.get(from) ?? (await copyOf(await read(from), () => undefined));
      changed.set(to, file);
      changed.set(from, undefined);
    },
    async link(from, to) {
      changed.set(to, changed.get(from) ?? (await copyOf(await read(from), () => undefined)));
    },
    remove(path) {
      changed.set(path, undefined);
      return Promise.resolve();
    },
    syncDirectory: () => Promise.resolve(),
  };
}

class MemoryFile implements DiskFile {
  #bytes = new Uint8Array();

  read(into: Uint8Array, position: number): Promise<number> {
    const found = this.#bytes.subarray(position, position + into.length);
    into.set(found);
    return Promise.resolve(found.length);
  }

  write(views: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (const view of views) {
      if (at + view.length > this.#bytes.length) this.#resize(at + view.length);
      this.#bytes.set(view, at);
      at += view.length;
    }
    return Promise.resolve();
  }

  datasync(): Promise<void> {
    return Promise.resolve();
  }

  size(): Promise<number> {
    return Promise.resolve(this.#bytes.length);
  }

  truncate(length: number): Promise<void> {
    this.#resize(length);
    return Promise.resolve();
  }

  modifiedMs(): Promise<number> {
    return Promise.resolve(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #resize(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes.subarray(0, length));
    this.#bytes = bytes;
  }
}

async function copyOf(from: DiskFile, keep: (file: MemoryFile) => void): Promise<MemoryFile> {
  await using source = from;
  const bytes = new Uint8Array(await source.size());
  await source.read(bytes, 0);
  const file = new MemoryFile();
  await file.write([bytes], 0);
  keep(file);
  return file;
}

function nameIn(directory: string, path: string): string | undefined {
  const cut = path.lastIndexOf("/");
  return path.slice(0, cut) === directory ? path.slice(cut + 1) : undefined;
}

function byName(a: DirectoryEntry, b: DirectoryEntry): number {
  return a.name < b.name ? -1 : 1;
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
}
