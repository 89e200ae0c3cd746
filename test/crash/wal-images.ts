/**
 * Crash images of the WALs: a workload with several groups or slots in flight is recorded on a tape, and the WAL is recovered
 * from what a machine that stopped could have left: at any moment, any of the unsynced sectors, torn ones too, after a loss of
 * power or a kill; of a bucket any of the puts and removals that were not answered, some of which come later.
 *
 *   node test/crash/wal-images.ts [--wal file|object|directory|replicated] [--images 50000] [--seed N]
 *                                 [--mutant NAME | --mutants]
 *
 * Of each image: what was acked is there, in order, without a gap, nothing is made up; a second recovery, and one after a
 * second loss of power, find the same; the WAL goes on from there; and of a replicated one each half has all of it alone.
 * `--mutants` plants bugs, each of which must be found.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import type { Offset, StreamId } from "../../src/base/ids.ts";
import type { Wal, WalPosition, WalRecord } from "../../src/stream/wal.ts";
import { SimRandom } from "../sim/random.ts";
import { plantMutant } from "../support/mutate.ts";
import { walMutants } from "./wal-mutants.ts";
import {
  type FoundWorld,
  loadWalMakers,
  nothing,
  type Setting,
  type WalImage,
  WalTape,
  type WalWorldKind,
  walWorlds,
} from "./wal-worlds.ts";

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

const imagesOfLife = 120;
const livesOfWorkload = 3;
const violationsMax = 5;

export async function checkImages(options: {
  readonly wal: WalWorldKind;
  readonly images: number;
  readonly seed: number;
}): Promise<ImagesReport> {
  const makers = await loadWalMakers();
  const sum = { images: 0, workloads: 0, lives: 0, acked: 0, violations: [] as string[] };
  for (let index = 0; sum.images < options.images && sum.violations.length < violationsMax; index += 1) {
    const random = new SimRandom(`${options.seed}/${index}`);
    const workload = new Workload({ kind: options.wal, makers, random });
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
  readonly #setting: Setting;
  /** By number. What a crash lost is written anew, with other bytes. */
  readonly #records: Uint8Array[] = [];

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#random = setting.random;
  }

  async run(imagesMax: number): Promise<void> {
    let before = nothing;
    let from: Promised = { acked: 0, trimmed: 0 };
    for (let life = 1; life <= livesOfWorkload && this.violations.length === 0; life += 1) {
      this.lives += 1;
      const tape = new WalTape(this.#setting, before, `life ${life}`);
      const promised = await this.#live(tape, from);
      const { moments } = tape.disk;
      const seen = new Set<string>();
      for (let i = 0; i < Math.min(imagesOfLife, imagesMax); i += 1) {
        const moment = this.#random.below(moments);
        const image = tape.image(moment, this.#random.chance(0.7) ? "power" : "kill");
        if (seen.has(image.name)) continue;
        seen.add(image.name);
        this.images += 1;
        const at = promisedAt(promised, moment);
        this.acked += at.acked - at.trimmed;
        await this.#check(image, at, `life ${life}, moment ${moment} of ${moments}, image ${image.name}`);
      }
      const moment = this.#random.below(moments);
      before = tape.image(moment, "power").remains;
      from = promisedAt(promised, moment);
    }
  }

  /** Recovers, appends, trims, until there is nothing left to do. What was promised at each moment of the disk. */
  async #live(tape: WalTape, from: Promised): Promise<readonly Promised[]> {
    const random = this.#random;
    const { disk } = tape;
    const promised: Promised[] = [from];
    let now = from;
    const note = (change: Partial<Promised>): void => {
      now = { ...now, ...change };
      promised[disk.moments - 1] = now; // At once: many moments may pass before the next turn.
    };
    const life = this.#script(tape, from, note);
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

  async #script(tape: WalTape, from: Promised, note: (change: Partial<Promised>) => void): Promise<void> {
    const random = this.#random;
    const wal = await tape.open();
    const ends: WalPosition[] = [];
    let first = from.acked;
    await wal.recover((record, end) => {
      const number = numberOf(record);
      ends[number] = end;
      first = Math.max(first, number + 1);
    });
    this.#records.length = first; // What was never acked and is not there was never written.
    note({ acked: first });
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
        const to = random.chance(0.4) ? acked : first + 1 + random.below(acked - first);
        trimmed = Math.max(trimmed, to);
        note({ trimmed });
        await wal.trim(ends[to - 1] as WalPosition);
      }
    }
    await Promise.all(acks);
    await wal[Symbol.asyncDispose]();
  }

  async #check(image: WalImage, promised: Promised, where: string): Promise<void> {
    const tell = (what: string): void => void this.violations.push(`${where}: ${what}`);
    try {
      const world = image.found();
      const found = await this.#recovered(await world.open());
      const problem = this.#judge(found, promised);
      if (problem !== undefined) return tell(problem);
      const afterLoss = await this.#recovered(await world.afterPowerLoss().open());
      if (afterLoss.join() !== found.join())
        return tell(`found ${range(found)}, after another crash ${range(afterLoss)}`);
      if (this.#setting.kind === "replicated") await this.#loseHalf(image, world, found, promised, tell);
      if (this.#random.chance(0.1)) await this.#goOn(world, found, tell);
      if (this.#random.chance(0.1)) await this.#crashAgain(image, promised, tell);
    } catch (cause) {
      tell(`recovery refuses: ${String(cause)}`);
    }
  }

  /** Numbers of the records found, in order. Throws when one's bytes are not what was appended, or a stream's are out of order. */
  async #recovered(wal: Wal): Promise<readonly number[]> {
    const found: number[] = [];
    const last = new Map<StreamId, number>();
    await wal.recover((record) => {
      const number = numberOf(record);
      const appended = this.#records[number];
      const isSame = appended !== undefined && Buffer.compare(appended, record.bytes) === 0;
      if (!isSame || record.after !== record.from || record.to !== record.from + 1)
        throw new Error(`record ${number} was never appended so`);
      if (number <= (last.get(record.stream) ?? -1))
        throw new Error(`record ${number} comes after ${last.get(record.stream)}`);
      last.set(record.stream, number);
      found.push(number);
    });
    await wal[Symbol.asyncDispose]();
    return found.sort((a, b) => a - b);
  }

  /** What was trimmed may be there, and with holes: two halves forget at different times. */
  #judge(found: readonly number[], { acked, trimmed }: Promised): string | undefined {
    const there = new Set(found);
    for (let number = trimmed; number < acked; number += 1)
      if (!there.has(number)) return `${number} is missing of ${trimmed} to ${acked - 1}, found ${found.join(" ")}`;
    const hole = found.find((number) => number >= trimmed + streams.length && !there.has(number - streams.length));
    return hole === undefined ? undefined : `a gap in a stream before ${hole}: ${found.join(" ")}`;
  }

  /** The WAL is written on, and then holds both. */
  async #goOn(world: FoundWorld, found: readonly number[], tell: (what: string) => void): Promise<void> {
    const wal = await world.open();
    const expected = new Map<number, Uint8Array>();
    await wal.recover((record) => void expected.set(numberOf(record), record.bytes.slice()));
    const next = (found.at(-1) ?? -1) + 1;
    await Promise.all(
      [1, 2, 3].map((fill, i) => {
        const { promise, resolve, reject } = Promise.withResolvers<unknown>();
        const bytes = new Uint8Array(2000).fill(fill);
        expected.set(next + i, bytes);
        wal.append({ ...recordOf(next + i, bytes), label: new Uint8Array(), durable: resolve, failed: reject });
        return promise;
      }),
    );
    const after = new Map<number, Uint8Array>();
    const again = await world.afterPowerLoss().open(); // The WAL that wrote is dead where it stands.
    await again.recover((record) => void after.set(numberOf(record), record.bytes.slice()));
    await Promise.all([wal[Symbol.asyncDispose](), again[Symbol.asyncDispose]()]);
    const isSame = [...expected].every(
      ([number, bytes]) => Buffer.compare(after.get(number) ?? new Uint8Array(), bytes) === 0,
    );
    if (!isSame || after.size !== expected.size)
      tell(`written on from ${next}, ${expected.size} records are expected and ${after.size} found`);
  }

  /** The machine stops again while it recovers. */
  async #crashAgain(image: WalImage, promised: Promised, tell: (what: string) => void): Promise<void> {
    const tape = new WalTape(this.#setting, image.remains, "recovery");
    const { disk } = tape;
    let isUp = false;
    const up = (): void => {
      isUp = true;
    };
    const recovery = tape.open().then((wal) => wal.recover(() => undefined));
    recovery.then(up, up);
    for (let idle = 0; !isUp && idle < idleTurnsMax; idle = disk.turn() ? 0 : idle + 1) await settled();
    await recovery;
    for (let i = 0; i < 3; i += 1) {
      const again = tape.image(this.#random.below(disk.moments), "power");
      this.images += 1;
      const problem = this.#judge(await this.#recovered(await again.found().open()), promised);
      if (problem !== undefined) tell(`and again while it recovers, image ${again.name}: ${problem}`);
    }
  }

  /** One half is gone: the other had what was acked before the crash, and has what was shown after it. */
  async #loseHalf(
    image: WalImage,
    world: FoundWorld,
    shown: readonly number[],
    promised: Promised,
    tell: (what: string) => void,
  ): Promise<void> {
    for (const half of ["file", "object"] as const) {
      const problem = this.#judge(await this.#recovered(await image.found().open(half)), promised);
      if (problem !== undefined) tell(`the ${half} half alone: ${problem}`);
      const found = new Set(await this.#recovered(await world.afterPowerLoss().open(half)));
      const lacking = shown.filter((number) => number >= promised.trimmed && !found.has(number));
      if (lacking.length > 0) tell(`after a recovery the ${half} half lacks ${range(lacking)}`);
    }
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

/** Numbers go to two streams by turns. */
const streams = [7 as StreamId, 9 as StreamId] as const;

function recordOf(number: number, bytes: Uint8Array): WalRecord {
  const from = Math.floor(number / streams.length) as Offset;
  const stream = streams[number % streams.length] as StreamId;
  return { stream, epoch: 1, after: from, from, to: (from + 1) as Offset, maxTimestamp: -1, bytes };
}

function numberOf({ stream, from }: WalRecord): number {
  return from * streams.length + streams.indexOf(stream);
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
  readonly wal: string;
  readonly mutant?: string;
}): Promise<boolean> {
  const mutant = values.mutant === undefined ? undefined : walMutants[values.mutant];
  if (values.mutant !== undefined && mutant === undefined)
    throw new Error(`mutants: ${Object.keys(walMutants).join(", ")}`);
  if (mutant !== undefined) plantMutant(mutant);
  const began = performance.now();
  const wal = mutant?.wal ?? walWorlds.find((kind) => kind === values.wal);
  if (wal === undefined) throw new Error(`kinds of WAL: ${walWorlds.join(", ")}`);
  const report = await checkImages({ wal, images: Number(values.images), seed: Number(values.seed) });
  const facts = [
    `WAL ${wal}`,
    `seed ${report.seed}`,
    `${report.images} crash images of ${report.lives} lives in ${report.workloads} workloads`,
    `${report.acked} acked records looked for`,
    `${report.violations.length} violations`,
    `${((performance.now() - began) / 1000).toFixed(1)} s`,
  ];
  console.log(facts.join(", "));
  for (const violation of report.violations.slice(0, violationsMax)) console.log(`  ${violation}`);
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
      wal: { type: "string", default: "file" },
      images: { type: "string", default: "50000" },
      seed: { type: "string", default: String(randomInt(1_000_000_000)) },
      mutant: { type: "string" },
      mutants: { type: "boolean", default: false },
    },
  });
  process.exitCode = (values.mutants ? runMutants(values) : await run(values)) ? 0 : 1;
}
