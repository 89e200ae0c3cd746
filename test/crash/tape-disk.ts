/**
 * A disk that remembers all that it was asked to do, and tells afterwards what a machine that stopped at any moment could
 * have found on it.
 *
 *   tape   | write A begun | write B begun | B durable | rename begun | A durable | directory synced | ...
 *                                          ^ a moment: A's sectors are there or not, each for itself; B is there whole
 *
 * Operations that are under way together end in an order that the seed decides, so several writes are in flight as on a
 * real queue. Sectors of 512 bytes are written or not, or torn by half, which is more than disks admit to.
 */
import type { DirectoryEntry, Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import type { Clock } from "../../src/base/runtime.ts";
import type { SimRandom } from "../sim/random.ts";
import type { FileState } from "../support/memory-disk.ts";

const sectorBytes = 512;

/** In force for sure once `durableAt` is over, perhaps from `begunAt` on. */
export interface Lasting {
  readonly begunAt: number;
  durableAt: number;
}
/** What changes a disk. */
type Change = Lasting &
  (
    | { readonly kind: "write"; readonly inode: Inode; readonly position: number; readonly bytes: Uint8Array }
    | { readonly kind: "name"; readonly directory: string; apply(names: Map<string, Inode>): void }
  );
type Write = Extract<Change, { readonly kind: "write" }>;

/** Of a sector: not written, written, written by half. */
type Fate = 0 | 1 | 2;
const [lost, written, torn] = [0, 1, 2] as const;

/** A timer this close may be over before what is under way: longer ones watch over what takes too long. */
const soonMs = 1500;

interface Inode {
  bytes: Uint8Array;
  /** As the tape began. */
  readonly before: Uint8Array;
}

interface Found {
  readonly names: ReadonlyMap<string, Inode>;
  readonly contents: ReadonlyMap<Inode, Uint8Array>;
}

/** What a restart finds: what it is shown, and what would be left if the power went as well. */
export interface CrashImage {
  readonly shown: ReadonlyMap<string, FileState>;
  readonly durable: ReadonlyMap<string, FileState>;
  /** Equal images have equal names. */
  readonly name: string;
}

export class TapeDisk implements Disk {
  readonly #random: SimRandom;
  readonly #before: Map<string, Inode>;
  readonly #names: Map<string, Inode>;
  readonly #changes: Change[] = [];
  #moment = 0;
  /** Operations under way, each to be ended by `turn`. */
  readonly #underWay: (() => void)[] = [];
  readonly #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];
  #nowMs = 0;

  constructor(files: ReadonlyMap<string, Uint8Array>, random: SimRandom) {
    this.#random = random;
    this.#before = new Map([...files].map(([path, bytes]) => [path, { bytes: bytes.slice(), before: bytes.slice() }]));
    this.#names = new Map(this.#before);
  }

  /** Moments at which the disk can be found: before the first change, and after each. */
  get moments(): number {
    return this.#moment + 1;
  }

  /** Timers of 0 ms are operations like others; of the others the next is over now and then, and when nothing else goes on. */
  readonly clock: Clock = {
    now: () => 0,
    monotonic: () => this.#nowMs,
    after: (delayMs, callback) => {
      if (delayMs <= 0) {
        this.#underWay.push(callback);
        return { [Symbol.dispose]: () => removeFrom(this.#underWay, callback) };
      }
      const timer = { dueMs: this.#nowMs + delayMs, callback };
      this.#timers.push(timer);
      this.#timers.sort((a, b) => a.dueMs - b.dueMs);
      return { [Symbol.dispose]: () => removeFrom(this.#timers, timer) };
    },
  };

  /** Ends one operation. False when nothing is under way. */
  turn(): boolean {
    const next = this.#timers[0];
    const isIdle = this.#underWay.length === 0 || (next !== undefined && next.dueMs < this.#nowMs + soonMs);
    if (next !== undefined && isIdle && this.#random.chance(this.#underWay.length === 0 ? 0.3 : 0.02)) {
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      return true;
    }
    const [end] = this.#underWay.splice(this.#random.below(this.#underWay.length), 1);
    end?.();
    return end !== undefined;
  }

  /**
   * The disk as it may be found at the moment. After a loss of power it shows what is durable, and of the rest what the seed
   * decides; after a kill it shows all that was written, while no more than that is durable.
   */
  image(moment: number, cause: "power" | "kill"): CrashImage {
    const choose = this.#lottery();
    const fates: string[] = [];
    const durable = this.#found(moment, (change) => {
      const kept = choose(change);
      fates.push(kept.join(""));
      return kept;
    });
    if (cause === "power" || fates.length === 0)
      return { ...imageOf(durable, durable), name: `${moment} ${fates.join(",")}` };
    const shown = this.#found(moment, () => undefined);
    return { ...imageOf(shown, durable), name: `${moment} killed ${fates.join(",")}` };
  }

  /** How likely a sector is kept: all, none, most, some; or each write whole or not at all, which finds wrong orders fastest. */
  #lottery(): (change: Change) => readonly Fate[] {
    const random = this.#random;
    const odds = random.pick([0, 0.1, 0.5, 0.9, 1]);
    const isByWrite = random.chance(0.5);
    const isTearing = random.chance(0.3);
    return (change) => {
      const whole = random.chance(odds) ? written : lost;
      if (change.kind === "name") return [whole];
      const kept = sectorsOf(change).map((): Fate => (isByWrite ? whole : random.chance(odds) ? written : lost));
      if (isTearing && kept.length > 0) kept[random.below(kept.length)] = torn;
      return kept;
    };
  }

  /**
   * Sure changes first, then of the pending ones what was chosen; undefined is all. Where two changes overlap, the first was
   * durable before the second began, so this is their order.
   */
  #found(moment: number, choose: (change: Change) => readonly Fate[] | undefined): Found {
    const names = new Map(this.#before);
    const contents = new Map<Inode, Uint8Array>();
    const contentOf = (inode: Inode): Uint8Array => contents.get(inode) ?? inode.before.slice();
    const begun = this.#changes.filter((change) => change.begunAt <= moment);
    for (const isSure of [true, false]) {
      for (const change of begun) {
        if (change.durableAt <= moment !== isSure) continue;
        const fates = isSure ? undefined : choose(change);
        if (change.kind === "write") contents.set(change.inode, applied(contentOf(change.inode), change, fates));
        else if (fates?.[0] !== lost) change.apply(names);
      }
    }
    for (const inode of names.values()) contents.set(inode, contentOf(inode));
    return { names, contents };
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.ended();
    let inode = this.#names.get(path);
    if (mode === "create") {
      if (inode !== undefined) throw withCode("EEXIST", path);
      const created: Inode = { bytes: new Uint8Array(), before: new Uint8Array() };
      this.#rename(path, (names) => names.set(path, created));
      inode = created;
    }
    if (inode === undefined) throw withCode("ENOENT", path);
    return this.#file(inode, mode === "durable");
  }

  async list(directory: string): Promise<readonly DirectoryEntry[]> {
    await this.ended();
    const paths = [...this.#names.keys()].filter((path) => directoryOf(path) === directory).sort();
    return paths.map((path) => ({ name: path.slice(directory.length + 1), isDirectory: false }));
  }

  async makeDirectory(): Promise<void> {
    await this.ended();
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (inode === undefined) throw withCode("ENOENT", from);
    this.#rename(to, (names) => {
      names.delete(from);
      names.set(to, inode);
    });
    await this.ended();
  }

  async link(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (inode === undefined) throw withCode("ENOENT", from);
    if (this.#names.has(to)) throw withCode("EEXIST", to);
    this.#rename(to, (names) => names.set(to, inode));
    await this.ended();
  }

  async remove(path: string): Promise<void> {
    if (this.#names.has(path)) this.#rename(path, (names) => names.delete(path));
    await this.ended();
  }

  async syncDirectory(directory: string): Promise<void> {
    const pending = this.#changes.filter((change) => change.kind === "name" && change.directory === directory);
    await this.ended();
    this.madeDurable(pending);
  }

  #file(inode: Inode, isSyncing: boolean): DiskFile {
    return {
      read: async (into, position) => {
        await this.ended();
        const found = inode.bytes.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      write: async (views, position) => {
        const bytes = Uint8Array.from(Buffer.concat(views as Uint8Array[]));
        const change: Change = { kind: "write", inode, position, bytes, ...this.begun() };
        this.#changes.push(change);
        await this.ended();
        inode.bytes = overwritten(inode.bytes, position, bytes);
        if (isSyncing) this.madeDurable([change]);
      },
      datasync: async () => {
        const pending = this.#changes.filter((change) => change.kind === "write" && change.inode === inode);
        await this.ended();
        this.madeDurable(pending);
      },
      size: async () => {
        await this.ended();
        return inode.bytes.length;
      },
      truncate: () => Promise.reject(new Error("the WAL truncates nothing")),
      modifiedMs: async () => 0,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  #rename(path: string, apply: (names: Map<string, Inode>) => void): void {
    apply(this.#names);
    this.#changes.push({ kind: "name", directory: directoryOf(path), apply, ...this.begun() });
  }

  /** What is put on the tape as begun now. Others than the disk may share its tape. */
  begun(): Lasting {
    this.#moment += 1;
    return { begunAt: this.#moment, durableAt: Number.POSITIVE_INFINITY };
  }

  madeDurable(changes: readonly Lasting[]): void {
    const pending = changes.filter(({ durableAt }) => durableAt === Number.POSITIVE_INFINITY);
    if (pending.length === 0) return;
    this.#moment += 1;
    for (const change of pending) change.durableAt = this.#moment;
  }

  /** Resolves when the operation's turn has come. */
  ended(): Promise<void> {
    return new Promise((end) => this.#underWay.push(end));
  }
}

function sectorsOf({ position, bytes }: Write): readonly { readonly start: number; readonly end: number }[] {
  const sectors: { start: number; end: number }[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + sectorBytes - ((position + start) % sectorBytes));
    sectors.push({ start, end });
    start = end;
  }
  return sectors;
}

/** The file's bytes after the write, of which only some sectors may have come through. In place, unless the file must grow. */
function applied(content: Uint8Array, change: Write, fates: readonly Fate[] | undefined): Uint8Array {
  let bytes = content;
  for (const [index, { start, end }] of sectorsOf(change).entries()) {
    const fate = fates?.[index] ?? written;
    if (fate === lost) continue;
    const upTo = fate === written ? end : start + Math.floor((end - start) / 2);
    bytes = overwritten(bytes, change.position + start, change.bytes.subarray(start, upTo));
  }
  return bytes;
}

function overwritten(content: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
  let into = content;
  if (position + bytes.length > content.length) {
    into = new Uint8Array(position + bytes.length);
    into.set(content);
  }
  into.set(bytes, position);
  return into;
}

function imageOf(shown: Found, durable: Found): Omit<CrashImage, "name"> {
  const states = new Map<Inode, FileState>();
  for (const inode of new Set([...shown.contents.keys(), ...durable.contents.keys()])) {
    const synced = durable.contents.get(inode) ?? new Uint8Array();
    states.set(inode, { bytes: shown.contents.get(inode) ?? synced, synced });
  }
  const files = ({ names }: Found): ReadonlyMap<string, FileState> =>
    new Map([...names].map(([path, inode]) => [path, states.get(inode) as FileState]));
  return { shown: files(shown), durable: files(durable) };
}

function removeFrom<T>(list: T[], one: T): void {
  const at = list.indexOf(one);
  if (at !== -1) list.splice(at, 1);
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function withCode(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
