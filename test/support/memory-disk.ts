/**
 * A disk that can lose power: it knows which 512-byte sectors and which directory changes were not synced, and can be cut
 * at any operation. What is lost then is the caller's choice, so tests can try every one or draw them.
 */
import type { DirectoryEntry, Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";

const sectorBytes = 512;

interface Inode {
  bytes: Uint8Array;
  synced: Uint8Array;
  /** Not synced, in order. */
  writes: { readonly position: number; readonly bytes: Uint8Array }[];
  /** Not synced length. */
  isResized: boolean;
}

type Names = Map<string, Inode>;

/** A file as it is read, and as a loss of power would leave it. */
export interface FileState {
  readonly bytes: Uint8Array;
  readonly synced: Uint8Array;
}

export class MemoryDisk implements Disk {
  /** Operations so far. */
  steps = 0;
  /** The operation with this number, and all later ones, never return: the power is off. */
  stepsMax = Number.POSITIVE_INFINITY;
  /** Called with each operation's name; what it throws is the operation's failure. */
  fault: (operation: string) => void = () => undefined;
  /** A planted bug: syncs answer at once and do nothing. */
  isSyncSkipped = false;
  #names: Names = new Map();
  #namesSynced: Names = new Map();
  /** Directory changes that are not synced, as functions to apply to the synced names. */
  #changes: { readonly directory: string; readonly apply: (names: Names) => void }[] = [];

  /** A disk whose page cache shows more than is durable, and takes for clean what it shows: nothing is written unless anew. */
  static found(image: {
    readonly shown: ReadonlyMap<string, FileState>;
    readonly durable: ReadonlyMap<string, FileState>;
  }): MemoryDisk {
    const disk = new MemoryDisk();
    const inodes = new Map<FileState, Inode>();
    const inodeOf = (state: FileState): Inode => {
      const { bytes, synced } = state;
      const known = inodes.get(state) ?? { bytes: bytes.slice(), synced: synced.slice(), writes: [], isResized: false };
      inodes.set(state, known);
      return known;
    };
    const shown: Names = new Map([...image.shown].map(([path, state]) => [path, inodeOf(state)]));
    disk.#namesSynced = new Map([...image.durable].map(([path, state]) => [path, inodeOf(state)]));
    disk.#names = new Map(shown);
    for (const directory of new Set([...shown.keys()].map(directoryOf))) {
      const apply = (names: Names): void => {
        for (const path of names.keys()) if (directoryOf(path) === directory) names.delete(path);
        for (const [path, inode] of shown) if (directoryOf(path) === directory) names.set(path, inode);
      };
      disk.#changes.push({ directory, apply });
    }
    return disk;
  }

  static of(files: ReadonlyMap<string, Uint8Array>): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [path, bytes] of files) {
      const inode: Inode = { bytes: bytes.slice(), synced: bytes.slice(), writes: [], isResized: false };
      disk.#names.set(path, inode);
      disk.#namesSynced.set(path, inode);
    }
    return disk;
  }

  /** The bytes of all files as a reader sees them now. */
  files(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, inode]) => [path, inode.bytes.slice()]));
  }

  /** How many choices `afterPowerLoss` asks for. */
  get unsynced(): number {
    let count = 0;
    this.afterPowerLoss(() => {
      count += 1;
      return "lost";
    });
    return count;
  }

  /** The disk that a restart finds. For each unsynced sector `choose` says whether it was written, not, or in part. */
  afterPowerLoss(choose: (index: number) => "kept" | "lost" | "torn"): MemoryDisk {
    let index = 0;
    const names: Names = new Map(this.#namesSynced);
    for (const { apply } of this.#changes) if (choose(index++) === "kept") apply(names);
    const inodes = new Set([...this.#names.values(), ...this.#namesSynced.values()]);
    const images = new Map<Inode, Uint8Array>();
    for (const inode of inodes) {
      let image: Uint8Array = inode.synced.slice();
      if (inode.isResized && choose(index++) === "kept") image = resized(image, inode.bytes.length);
      for (const { position, bytes } of inode.writes) {
        for (let at = 0; at < bytes.length; ) {
          const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes));
          const choice = choose(index++);
          const kept = choice === "kept" ? end : choice === "torn" ? at + Math.floor((end - at) / 2) : at;
          if (kept > at) {
            if (position + kept > image.length) image = resized(image, position + kept);
            image.set(bytes.subarray(at, kept), position + at);
          }
          at = end;
        }
      }
      images.set(inode, image);
    }
    return MemoryDisk.of(new Map([...names].map(([path, inode]) => [path, images.get(inode) as Uint8Array])));
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#step("open");
    let inode = this.#names.get(path);
    if (mode === "create") {
      if (inode !== undefined) throw withCode("EEXIST", path);
      const created: Inode = { bytes: new Uint8Array(), synced: new Uint8Array(), writes: [], isResized: false };
      this.#change(path, (names) => names.set(path, created));
      inode = created;
    }
    if (inode === undefined) throw withCode("ENOENT", path);
    const file = this.#file(inode);
    return mode === "durable" ? syncingWrites(file) : file;
  }

  async list(directory: string): Promise<readonly DirectoryEntry[]> {
    await this.#step("list");
    const names = [...this.#names.keys()].filter((path) => directoryOf(path) === directory);
    return names.map((path) => ({ name: path.slice(directory.length + 1), isDirectory: false })).sort(byName);
  }

  async makeDirectory(): Promise<void> {
    await this.#step("makeDirectory");
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step("rename");
    const inode = this.#names.get(from);
    if (inode === undefined) throw withCode("ENOENT", from);
    this.#change(to, (names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async link(from: string, to: string): Promise<void> {
    await this.#step("link");
    const inode = this.#names.get(from);
    if (inode === undefined) throw withCode("ENOENT", from);
    if (this.#names.has(to)) throw withCode("EEXIST", to);
    this.#change(to, (names) => names.set(to, inode));
  }

  async remove(path: string): Promise<void> {
    await this.#step("remove");
    if (this.#names.has(path)) this.#change(path, (names) => names.delete(path));
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#step("syncDirectory");
    for (const change of this.#changes) if (change.directory === directory) change.apply(this.#namesSynced);
    this.#changes = this.#changes.filter((change) => change.directory !== directory);
  }

  #file(inode: Inode): DiskFile {
    return {
      read: async (into, position) => {
        await this.#step("read");
        const found = inode.bytes.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      write: async (views, position) => {
        let at = position;
        const copies = views.map((view) => view.slice()); // A write that was asked for may reach the disk even if cut.
        for (const bytes of copies) {
          inode.writes.push({ position: at, bytes });
          at += bytes.length;
        }
        await this.#step("write");
        if (at > inode.bytes.length) inode.bytes = resized(inode.bytes, at);
        at = position;
        for (const bytes of copies) {
          inode.bytes.set(bytes, at);
          at += bytes.length;
        }
      },
      datasync: async () => {
        try {
          await this.#step("datasync");
        } catch (cause) {
          inode.writes = []; // As Linux does: the pages are taken for clean, what is shown is not what is kept.
          throw cause;
        }
        if (this.isSyncSkipped) return;
        inode.synced = resized(inode.synced, inode.bytes.length);
        for (const { position, bytes } of inode.writes) inode.synced.set(bytes, position);
        inode.writes = [];
        inode.isResized = false;
      },
      size: async () => {
        await this.#step("size");
        return inode.bytes.length;
      },
      truncate: async (length) => {
        await this.#step("truncate");
        inode.bytes = resized(inode.bytes, length);
        inode.isResized = true;
      },
      modifiedMs: async () => 0,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  #change(path: string, apply: (names: Names) => void): void {
    apply(this.#names);
    this.#changes.push({ directory: directoryOf(path), apply });
  }

  async #step(operation: string): Promise<void> {
    this.steps += 1;
    if (this.steps > this.stepsMax) await new Promise<never>(() => undefined);
    this.fault(operation);
  }
}

/** A write and a sync, between which the power may go as it may within a durable write. */
function syncingWrites(file: DiskFile): DiskFile {
  return {
    ...file,
    write: async (views, position) => {
      await file.write(views, position);
      await file.datasync();
    },
  };
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function byName(a: DirectoryEntry, b: DirectoryEntry): number {
  return a.name < b.name ? -1 : 1;
}

function withCode(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
