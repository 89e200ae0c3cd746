/**
 * Crash images of the file WAL: a workload with several groups in flight is recorded on a disk that keeps a tape, and the
 * WAL is recovered from what a machine that stopped could have left: at any moment, any of the unsynced sectors, torn ones
 * too, after a loss of power or a kill.
 *
 *   node test/crash/wal-images.ts [--images 50000] [--seed N] [--mutant NAME | --mutants]
 *
 * Of each image: what was acked is there, in order, without a gap, nothing is made up; a second recovery, and one after a
 * second loss of power, find the same; and the WAL goes on from there. `--mutants` plants bugs, each of which must be found.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import type { NodeEpoch, Offset, StreamId } from "../../src/base/ids.ts";
import type { Clock } from "../../src/base/runtime.ts";
import type { FileWal, FileWalLimits } from "../../src/stream/file-wal.ts";
import type { WalPosition, WalRecord } from "../../src/stream/wal.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { plantMutant } from "../support/mutate.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { type CrashImage, TapeDisk } from "./tape-disk.ts";
import { walMutants } from "./wal-mutants.ts";

export interface ImagesReport {
  readonly seed: number;
  readonly images: number;
  readonly workloads: number;
  /** Lives of a WAL from which images were taken: a workload goes on after some of its crashes. */
  readonly lives: number;
  /** Acked records that had to be found, over all images: a run that proves nothing has 0. */
  readonly acked: number;
  readonly violations: readonly string[];
}

/** Small, so that a short workload sees many segments, renames and removals. */
const limits: FileWalLimits = {
  walBytesMax: 64 * 1024,
  walSegmentBytes: 16 * 1024,
  walGroupBytesMax: 8 * 1024,
  walGroupsInFlightMax: 3,
  walLingerMs: 0,
  walIdleMs: 1000,
};
const imagesOfLife = 120;
const livesOfWorkload = 3;
const violationsMax = 5;

type OpenWal = (options: ConstructorParameters<typeof FileWal>[0]) => FileWal;

export async function checkImages(options: { readonly images: number; readonly seed: number }): Promise<ImagesReport> {
  const { FileWal } = await import("../../src/stream/file-wal.ts"); // Not before: a mutant is planted as it is loaded.
  const open: OpenWal = (walOptions) => new FileWal(walOptions);
  const sum = { images: 0, workloads: 0, lives: 0, acked: 0, violations: [] as string[] };
  for (let index = 0; sum.images < options.images && sum.violations.length < violationsMax; index += 1) {
    const workload = new Workload(`${options.seed}/${index}`, open);
    await workload.run(Math.ceil((options.images - sum.images) / livesOfWorkload));
    sum.workloads += 1;
    for (const name of ["images", "lives", "acked"] as const) sum[name] += workload[name];
    sum.violations.push(...workload.violations.map((violation) => `workload ${options.seed}/${index}: ${violation}`));
  }
  return { seed: options.seed, ...sum };
}

/** What a life has promised at a moment of its disk. */
interface Promised {
  readonly acked: number;
  /** Records below may be gone. */
  readonly trimmed: number;
}

/** A WAL that lives, crashes and lives again, and records that are never the same twice. */
class Workload {
  images = 0;
  lives = 0;
  acked = 0;
  readonly violations: string[] = [];
  readonly #random: SimRandom;
  readonly #open: OpenWal;
  #epoch = 0;
  /** By number: the record's offset. What a crash lost is written anew, with other bytes. */
  readonly #records: Uint8Array[] = [];

  constructor(seed: string, open: OpenWal) {
    this.#random = new SimRandom(seed);
    this.#open = open;
  }

  async run(imagesMax: number): Promise<void> {
    let files: ReadonlyMap<string, Uint8Array> = new Map();
    let from: Promised = { acked: 0, trimmed: 0 };
    for (let life = 1; life <= livesOfWorkload && this.violations.length === 0; life += 1) {
      this.lives += 1;
      const disk = new TapeDisk(files, this.#random.fork(`life ${life}`));
      const promised = await this.#live(disk, from);
      const seen = new Set<string>();
      for (let i = 0; i < Math.min(imagesOfLife, imagesMax); i += 1) {
        const moment = this.#random.below(disk.moments);
        const image = disk.image(moment, this.#random.chance(0.7) ? "power" : "kill");
        if (seen.has(image.name)) continue;
        seen.add(image.name);
        this.images += 1;
        const at = promisedAt(promised, moment);
        this.acked += at.acked - at.trimmed;
        await this.#check(image, at, `life ${life}, moment ${moment} of ${disk.moments}, image ${image.name}`);
      }
      const moment = this.#random.below(disk.moments);
      const last = disk.image(moment, "power");
      files = new Map([...last.shown].map(([path, { bytes }]) => [path, bytes]));
      from = promisedAt(promised, moment);
    }
  }

  /** Recovers, appends, trims, until there is nothing left to do. What was promised at each moment of the disk. */
  async #live(disk: TapeDisk, from: Promised): Promise<readonly Promised[]> {
    const random = this.#random;
    const wal = this.#wal(disk, disk.clock);
    const promised: Promised[] = [from];
    let now = from;
    const note = (change: Partial<Promised>): void => {
      now = { ...now, ...change };
      promised[disk.moments - 1] = now; // At once: many moments may pass before the next turn.
    };
    const life = this.#script(wal, from, note);
    let isOver = false;
    life.then(
      () => {
        isOver = true;
      },
      (cause: unknown) => {
        this.violations.push(`a life without faults ends: ${String(cause)}`);
        isOver = true;
      },
    );
    for (let idle = 0; !isOver && idle < idleTurnsMax; ) {
      await settled();
      idle = disk.turn() ? 0 : idle + 1;
      if (random.chance(0.3)) disk.turn(); // Two ends before anybody notices the first.
    }
    if (!isOver) this.violations.push("a life without faults stands still");
    return promised;
  }

  async #script(wal: FileWal, from: Promised, note: (change: Partial<Promised>) => void): Promise<void> {
    const random = this.#random;
    const found: WalRecord[] = [];
    await wal.recover((record) => found.push({ ...record, bytes: record.bytes.slice() }));
    const first = found.at(-1)?.to ?? from.acked;
    this.#records.length = first; // What was never acked and is not there was never written.
    note({ acked: first });
    const ends: WalPosition[] = [];
    let acked = first;
    let { trimmed } = from;
    const acks: Promise<void>[] = [];
    const count = 10 + random.below(30);
    for (let number = first; number < first + count; number += 1) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      acks.push(promise);
      const bytes = random.fill(new Uint8Array(random.chance(0.2) ? random.below(6000) : random.below(600)));
      this.#records[number] = bytes;
      wal.append({
        ...recordOf(number, bytes),
        label: new Uint8Array(),
        durable: (end) => {
          if (number !== acked) this.violations.push(`record ${number} is acked where ${acked} is next`);
          acked = number + 1;
          ends[number] = end;
          note({ acked });
          resolve();
        },
        failed: reject,
      });
      // Mostly a few groups' worth at once, so that groups are in flight together.
      if (random.chance(0.25)) await Promise.race([acks[random.below(acks.length)], Promise.all(acks)]);
      if (random.chance(0.1) && acked > first) {
        const to = first + 1 + random.below(acked - first);
        trimmed = Math.max(trimmed, to);
        note({ trimmed });
        await wal.trim(ends[to - 1] as WalPosition);
      }
    }
    await Promise.all(acks);
    await wal[Symbol.asyncDispose]();
  }

  async #check(image: CrashImage, promised: Promised, where: string): Promise<void> {
    const tell = (what: string): void => void this.violations.push(`${where}: ${what}`);
    try {
      const disk = MemoryDisk.found(image);
      const found = await this.#recovered(disk);
      const problem = this.#judge(found, promised);
      if (problem !== undefined) return tell(problem);
      const afterLoss = await this.#recovered(disk.afterPowerLoss(() => "lost"));
      if (afterLoss.join() !== found.join())
        return tell(`found ${range(found)}, after another crash ${range(afterLoss)}`);
      if (this.#random.chance(0.1)) await this.#goOn(disk, found, tell);
      if (this.#random.chance(0.1)) await this.#crashAgain(image, promised, tell);
    } catch (cause) {
      tell(`recovery refuses: ${String(cause)}`);
    }
  }

  /** Numbers of the records found. Throws when one's bytes are not what was appended. */
  async #recovered(disk: MemoryDisk): Promise<readonly number[]> {
    const found: number[] = [];
    const wal = this.#wal(disk, seededRuntime(0).clock);
    await wal.recover((record) => found.push(this.#numberOf(record)));
    await wal[Symbol.asyncDispose]();
    return found;
  }

  #numberOf({ from, after, to, bytes }: WalRecord): number {
    const appended = this.#records[from];
    const isSame = appended !== undefined && Buffer.compare(appended, bytes) === 0;
    if (!isSame || after !== from || to !== from + 1) throw new Error(`record ${from} was never appended so`);
    return from;
  }

  #judge(found: readonly number[], { acked, trimmed }: Promised): string | undefined {
    const [first, last] = [found[0] ?? acked, found.at(-1) ?? acked - 1];
    if (found.some((number, index) => number !== first + index)) return `a gap or a wrong order: ${found.join(" ")}`;
    if (first > trimmed && trimmed < acked) return `acked from ${trimmed} on, found ${range(found)}`;
    if (last < acked - 1) return `acked up to ${acked - 1}, found ${range(found)}`;
    return undefined;
  }

  /** The WAL is written on, and then holds both. */
  async #goOn(disk: MemoryDisk, found: readonly number[], tell: (what: string) => void): Promise<void> {
    const wal = this.#wal(disk, seededRuntime(0).clock);
    const seen: WalRecord["bytes"][] = [];
    await wal.recover(({ bytes }) => seen.push(bytes.slice()));
    const next = (found.at(-1) ?? -1) + 1;
    const more = Array.from({ length: 3 }, (_, i) => new Uint8Array(2000).fill(i + 1));
    await Promise.all(
      more.map((bytes, i) => {
        const { promise, resolve, reject } = Promise.withResolvers<unknown>();
        wal.append({ ...recordOf(next + i, bytes), label: new Uint8Array(), durable: resolve, failed: reject });
        return promise;
      }),
    );
    const after = await this.#contents(disk.afterPowerLoss(() => "lost"));
    const expected = [...seen, ...more];
    const isSame =
      after.length === expected.length &&
      after.every((each, i) => Buffer.compare(each, expected[i] as Uint8Array) === 0);
    if (!isSame) tell(`written on from ${next}, ${expected.length} records are expected and ${after.length} found`);
  }

  async #contents(disk: MemoryDisk): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = [];
    const wal = this.#wal(disk, seededRuntime(0).clock);
    await wal.recover(({ bytes }) => found.push(bytes.slice()));
    await wal[Symbol.asyncDispose]();
    return found;
  }

  /** The machine stops again while it recovers. */
  async #crashAgain(image: CrashImage, promised: Promised, tell: (what: string) => void): Promise<void> {
    const files = new Map([...image.durable].map(([path, { synced }]) => [path, synced]));
    const disk = new TapeDisk(files, this.#random.fork("recovery"));
    const wal = this.#wal(disk, disk.clock);
    let isUp = false;
    const recovery = wal
      .recover(() => undefined)
      .then(() => {
        isUp = true;
      });
    for (let idle = 0; !isUp && idle < idleTurnsMax; idle = disk.turn() ? 0 : idle + 1) await settled();
    await recovery;
    for (let i = 0; i < 3; i += 1) {
      const again = disk.image(this.#random.below(disk.moments), "power");
      this.images += 1;
      const problem = this.#judge(await this.#recovered(MemoryDisk.found(again)), promised);
      if (problem !== undefined) tell(`and again while it recovers, image ${again.name}: ${problem}`);
    }
  }

  #wal(disk: TapeDisk | MemoryDisk, clock: Clock): FileWal {
    this.#epoch += 1;
    const runtime = { clock, random: this.#random };
    const nodeEpoch = this.#epoch as NodeEpoch;
    return this.#open({ disk, directory: "wal", nodeEpoch, runtime, limits, logger: silent });
  }
}

/** A life that does nothing for this many turns is stuck. */
const idleTurnsMax = 100;

function promisedAt(promised: readonly Promised[], moment: number): Promised {
  for (let at = moment; ; at -= 1) {
    const found = promised[at];
    if (found !== undefined) return found;
  }
}

function recordOf(number: number, bytes: Uint8Array): WalRecord {
  const [from, to] = [number as Offset, (number + 1) as Offset];
  return { stream: 7 as StreamId, epoch: 1, after: from, from, to, maxTimestamp: -1, bytes };
}

/** All promises that can go on have done so. */
function settled(): Promise<void> {
  return new Promise((resume) => setImmediate(resume));
}

function range(numbers: readonly number[]): string {
  return numbers.length === 0 ? "nothing" : `${numbers[0]} to ${numbers.at(-1)}`;
}

async function run(values: {
  readonly images: string;
  readonly seed: string;
  readonly mutant?: string;
}): Promise<boolean> {
  const mutant = values.mutant === undefined ? undefined : walMutants[values.mutant];
  if (values.mutant !== undefined && mutant === undefined)
    throw new Error(`mutants: ${Object.keys(walMutants).join(", ")}`);
  if (mutant !== undefined) plantMutant(mutant);
  const began = performance.now();
  const report = await checkImages({ images: Number(values.images), seed: Number(values.seed) });
  const facts = [
    `seed ${report.seed}`,
    `${report.images} crash images of ${report.lives} lives in ${report.workloads} workloads`,
    `${report.acked} acked records looked for`,
    `${report.violations.length} violations`,
    `${((performance.now() - began) / 1000).toFixed(1)} s`,
  ];
  console.log(facts.join(", "));
  for (const violation of report.violations) console.log(`  ${violation}`);
  return mutant === undefined ? report.violations.length === 0 && report.acked > 0 : report.violations.length > 0;
}

/** A process each, since a mutant is planted as its module is loaded. */
function runMutants(values: { readonly images: string; readonly seed: string }): boolean {
  const names = Object.keys(walMutants);
  const found = names.filter((mutant) => {
    const args = [import.meta.filename, "--images", values.images, "--seed", values.seed, "--mutant", mutant];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    const said = `${stdout}${stderr}`.trim().split("\n").slice(0, 2).join("\n").slice(0, 400);
    console.log(`planted ${mutant}: ${status === 0 ? "found" : "FAIL, not found"}\n${said}`);
    return status === 0;
  });
  console.log(`mutation score of the WAL's crash images: ${found.length}/${names.length}`);
  return found.length === names.length;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      images: { type: "string", default: "50000" },
      seed: { type: "string", default: String(randomInt(1_000_000_000)) },
      mutant: { type: "string" },
      mutants: { type: "boolean", default: false },
    },
  });
  process.exitCode = (values.mutants ? runMutants(values) : await run(values)) ? 0 : 1;
}
