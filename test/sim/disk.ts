/**
 * A disk that forgets what was not synced.
 *
 *   write ──▶ pending ──datasync──▶ durable bytes         a crash keeps some 512-byte sectors of what is pending, and
 *   create, link, rename, remove ──▶ pending ──syncDirectory──▶ durable names      a prefix of the pending names
 *
 * A file whose datasync failed shows its bytes until the crash and then forgets them, as Linux does: the pages are
 * marked clean (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
 */
import { dirname, join } from "node:path";
import { sleep } from "../../src/base/async.ts";
import type { DirectoryEntry, Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import type { SimClock } from "./clock.ts";
import type { SimRandom } from "./random.ts";

export const sectorBytes = 512;

export interface DiskFaults {
  /** Each operation takes a time in [0, this). */
  readonly delayMsMax: number;
  /** Probability that one datasync fails and loses what was pending. */
  readonly datasyncFails: number;
  /** Probability that one write fails with ENOSPC after writing a part. */
  readonly writeFails: number;
}

export const calmDisk: DiskFaults = { delayMsMax: 1, datasyncFails: 0, writeFails: 0 };

interface Inode {
  content: Uint8Array;
  durable: Uint8Array;
  /** What happened to `content` since the last datasync. */
  pending: Change[];
  modifiedMs: number;
}

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

interface NameChange {
  readonly directories: readonly string[];
  apply(names: Map<string, Inode>): void;
}

export class SimDisk implements Disk {
  faults: DiskFaults;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #pendingNames: NameChange[] = [];
  readonly #directories = new Set<string>(["/", "."]);
  /** Grows at each crash; operations begun before it never settle. */
  #life = 0;

  constructor(options: { readonly clock: SimClock; readonly random: SimRandom; readonly faults?: DiskFaults }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.faults = options.faults ?? calmDisk;
  }

  /** Power off, power on: the disk is what it would be found as. */
  crash(): void {
    this.#life += 1;
    const keptNames = this.#pendingNames.slice(0, this.#random.below(this.#pendingNames.length + 1));
    for (const change of keptNames) change.apply(this.#durableNames);
    this.#pendingNames = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of new Set(this.#names.values())) this.#crashInode(inode);
    this.#clock.trace(`disk crash, ${this.#names.size} files left`);
  }

  /** kill -9: what was written stays in the page cache, synced or not; what was under way never returns. */
  processDies(): void {
    this.#life += 1;
    this.#clock.trace("process dies");
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#turn();
    const name = normal(path);
    let inode = this.#names.get(name);
    if (mode === "create") {
      if (inode !== undefined) throw diskError("EEXIST", path);
      if (!this.#directories.has(dirname(name))) throw diskError("ENOENT", path);
      const created: Inode = { content: empty, durable: empty, pending: [], modifiedMs: this.#clock.now() };
      this.#change([dirname(name)], (names) => names.set(name, created));
      inode = created;
    }
    if (inode === undefined) throw diskError("ENOENT", path);
    const file = this.#file(inode);
    return mode === "durable" ? syncingWrites(file) : file;
  }

  async list(directory: string): Promise<readonly DirectoryEntry[]> {
    await this.#turn();
    const parent = normal(directory);
    const entries = new Map<string, DirectoryEntry>();
    for (const path of this.#directories)
      if (dirname(path) === parent && path !== parent) entries.set(path, entry(path, true));
    for (const path of this.#names.keys()) if (dirname(path) === parent) entries.set(path, entry(path, false));
    return [...entries.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#turn();
    for (let name = normal(path); !this.#directories.has(name); name = dirname(name)) this.#directories.add(name);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turn();
    const [source, target] = [normal(from), normal(to)];
    const inode = this.#names.get(source);
    if (inode === undefined) throw diskError("ENOENT", from);
    this.#change([dirname(source), dirname(target)], (names) => {
      names.delete(source);
      names.set(target, inode);
    });
  }

  async link(from: string, to: string): Promise<void> {
    await this.#turn();
    const [source, target] = [normal(from), normal(to)];
    const inode = this.#names.get(source);
    if (inode === undefined) throw diskError("ENOENT", from);
    if (this.#names.has(target) || this.#directories.has(target)) throw diskError("EEXIST", to);
    this.#change([dirname(target)], (names) => names.set(target, inode));
  }

  async remove(path: string): Promise<void> {
    await this.#turn();
    const name = normal(path);
    if (this.#names.has(name)) this.#change([dirname(name)], (names) => names.delete(name));
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#turn();
    const directory = normal(path);
    // A journal keeps order: what came before in time, elsewhere too, is durable with it.
    const last = this.#pendingNames.findLastIndex((change) => change.directories.includes(directory));
    for (const change of this.#pendingNames.splice(0, last + 1)) change.apply(this.#durableNames);
  }

  /** Takes the operation's time; never returns to a caller whose machine crashed meanwhile. */
  async #turn(life = this.#life): Promise<void> {
    await sleep(this.#clock, this.#random.unit() * this.faults.delayMsMax);
    if (life !== this.#life) await new Promise<never>(() => {});
  }

  #change(directories: readonly string[], apply: (names: Map<string, Inode>) => void): void {
    apply(this.#names);
    this.#pendingNames.push({ directories, apply });
  }

  #file(inode: Inode): DiskFile {
    const life = this.#life;
    return {
      read: async (into, position) => {
        await this.#turn(life);
        const found = inode.content.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      write: async (views, position) => {
        const bytes = Uint8Array.from(Buffer.concat(views));
        await this.#turn(life);
        const fails = this.#random.chance(this.faults.writeFails);
        const written = fails ? bytes.subarray(0, this.#random.below(bytes.length + 1)) : bytes;
        this.#apply(inode, { kind: "write", position, bytes: written });
        if (fails) throw diskError("ENOSPC", "write");
      },
      datasync: async () => {
        await this.#turn(life);
        if (this.#random.chance(this.faults.datasyncFails)) {
          this.#clock.trace("datasync fails");
          inode.pending = [];
          throw diskError("EIO", "datasync");
        }
        inode.durable = replay(inode.durable, inode.pending);
        inode.pending = [];
      },
      size: async () => {
        await this.#turn(life);
        return inode.content.length;
      },
      truncate: async (length) => {
        await this.#turn(life);
        this.#apply(inode, { kind: "truncate", length });
      },
      modifiedMs: async () => {
        await this.#turn(life);
        return inode.modifiedMs;
      },
      [Symbol.asyncDispose]: () => this.#turn(life),
    };
  }

  #apply(inode: Inode, change: Change): void {
    inode.pending.push(change);
    inode.content = replay(inode.content, [change]);
    inode.modifiedMs = this.#clock.now();
  }

  #crashInode(inode: Inode): void {
    const random = this.#random;
    const survives = random.pick([0, 0.5, 0.9, 1]); // Nothing, a mix, almost all, all: each finds other bugs.
    const kept = inode.pending.flatMap((change) =>
      change.kind === "truncate"
        ? random.chance(survives)
          ? [change]
          : []
        : sectors(change).filter(() => random.chance(survives)),
    );
    const last = kept.at(-1);
    if (last?.kind === "write" && random.chance(0.5))
      kept[kept.length - 1] = { ...last, bytes: last.bytes.subarray(0, random.below(last.bytes.length)) };
    inode.durable = replay(inode.durable, kept);
    inode.content = inode.durable;
    inode.pending = [];
  }
}

/** A write and a sync, between which the machine may stop as it may within a durable write. */
function syncingWrites(file: DiskFile): DiskFile {
  return {
    ...file,
    write: async (views, position) => {
      await file.write(views, position);
      await file.datasync();
    },
  };
}

const empty = new Uint8Array(0);

/** Never changes `content` in place: the durable bytes and the visible ones may be the same array. */
function replay(content: Uint8Array, changes: readonly Change[]): Uint8Array {
  if (changes.length === 0) return content;
  let length = content.length;
  let most = length;
  for (const change of changes) {
    length = change.kind === "truncate" ? change.length : Math.max(length, change.position + change.bytes.length);
    most = Math.max(most, length);
  }
  const room = new Uint8Array(most);
  room.set(content);
  let end = content.length;
  for (const change of changes) {
    if (change.kind === "truncate") {
      room.fill(0, Math.min(end, change.length), end);
      end = change.length;
    } else {
      room.set(change.bytes, change.position);
      end = Math.max(end, change.position + change.bytes.length);
    }
  }
  return room.subarray(0, length);
}

/** The write cut where the disk may tear it. */
function sectors(change: Extract<Change, { kind: "write" }>): Change[] {
  const parts: Change[] = [];
  for (let at = 0; at < change.bytes.length; ) {
    const position = change.position + at;
    const length = Math.min(sectorBytes - (position % sectorBytes), change.bytes.length - at);
    parts.push({ kind: "write", position, bytes: change.bytes.subarray(at, at + length) });
    at += length;
  }
  return parts;
}

function normal(path: string): string {
  return join(path, ".").replace(/(.)\/$/, "$1");
}

function entry(path: string, isDirectory: boolean): DirectoryEntry {
  return { name: path.slice(path.lastIndexOf("/") + 1), isDirectory };
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
