/** Proves: a record that was acked is found by recovery, whatever the disk loses; rot is told from a torn tail. */
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import type { Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import { CorruptData } from "../../src/base/errors.ts";
import type { NodeEpoch } from "../../src/base/ids.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { FileWal, type FileWalLimits } from "../../src/stream/file-wal.ts";
import type { WalPosition } from "../../src/stream/wal.ts";
import { SimClock } from "../sim/clock.ts";
import { calmDisk, SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { seededRandom, seededRuntime, silent } from "../support/seeded.ts";
import { append, contractBytesMax, upTo, walContract } from "./wal-contract.ts";

const limits: FileWalLimits = {
  walBytesMax: contractBytesMax,
  walSegmentBytes: 32 * 1024,
  walGroupBytesMax: 8 * 1024,
  walGroupsInFlightMax: 3,
  walLingerMs: 0,
  walIdleMs: 600_000,
};

let epochs = 0;

function walOn(disk: Disk, changed: Partial<FileWalLimits> = {}, clock: { clock?: Clock } = {}): FileWal {
  epochs += 1;
  return new FileWal({
    disk,
    directory: "wal",
    nodeEpoch: epochs as NodeEpoch,
    runtime: { ...seededRuntime(epochs), ...clock },
    limits: { ...limits, ...changed },
    logger: silent,
  });
}

async function recovered(disk: MemoryDisk): Promise<number[]> {
  const found: number[] = [];
  const wal = walOn(disk);
  await wal.recover((record) => {
    expect(record.bytes.every((byte) => byte === (record.from & 255))).toBe(true);
    found.push(record.from);
  });
  return found;
}

walContract("a file", () => {
  let disk = new MemoryDisk();
  let running = disk;
  return {
    start: () => {
      running.stepsMax = 0; // What the process before has not heard of, it never will.
      disk = disk.afterPowerLoss(() => "kept");
      running = disk;
      return walOn(disk);
    },
    breakWrites: async () => {
      disk.fault = (operation) => {
        if (operation === "datasync") throw new Error("EIO");
      };
    },
  };
});

describe("file WAL", () => {
  test("what is enqueued while a group is in flight becomes one group", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    const before = disk.steps;
    await Promise.all(upTo(20).map((i) => append(wal, i)));
    expect(disk.steps - before).toBeLessThan(10); // One write and one sync, and the making of the next segment.
    await wal[Symbol.asyncDispose]();
  });

  test("trimmed segments are used again, so the files stay within the bound", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    for (let i = 0; i < 200; i += 1) await wal.trim(await append(wal, i, 5000));
    expect(wal.bytesUsed).toBe(0);
    expect(disk.files().size).toBeLessThanOrEqual(6);
    await wal[Symbol.asyncDispose]();
  });

  test("recovery reads nothing that was trimmed", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    let last = 0 as WalPosition;
    for (let i = 0; i < 40; i += 1) last = await append(wal, i, 3000);
    await wal.trim(last);
    for (let i = 40; i < 50; i += 1) await append(wal, i, 3000); // A segment that begins after the trim says so.
    await wal[Symbol.asyncDispose]();
    const files = disk.files();
    const oldest = files.get([...files.keys()].sort()[0] as string) as Uint8Array;
    oldest.fill(1, 4096 + 2000); // Would be corruption, if it mattered.
    const found = await recovered(MemoryDisk.of(files));
    expect(found.at(-1)).toBe(49);
    expect(found.length).toBeLessThan(10 + 11); // At most a segment of what was trimmed.
  });

  test("the first of two groups in flight is missed though all before them is trimmed", async () => {
    const memory = new MemoryDisk();
    const writes = new HeldWrites();
    const small = { walSegmentBytes: 16 * 1024, walGroupBytesMax: 8 * 1024 };
    const wal = walOn(writes.below(memory), small);
    await wal.recover(() => undefined);
    for (const number of [0, 1]) await append(wal, number, 7000);
    const end = await append(wal, 2, 7000);
    expect(end % small.walSegmentBytes).toBe(0); // So the trim leaves no segment but the ones to come.
    await wal.trim(end);
    writes.holdsNext = true;
    append(wal, 3, 7000).catch(() => undefined);
    append(wal, 4, 9000).catch(() => undefined); // Too large for the segment: at the start of the next one.
    await writes.passed;
    const found = await recovered(memory.afterPowerLoss(() => "lost"));
    expect(found.filter((number) => number > 2)).toEqual([]);
  });

  test("several prepared segments behind the tail are all written into, and none is made twice", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    for (let i = 0; i < 30; i += 1) await append(wal, i, 3000);
    await wal[Symbol.asyncDispose]();
    const files = disk.files();
    for (const name of [...files.keys()].sort().slice(1)) files.get(name)?.fill(0); // As a power loss leaves it.
    const found = await recovered(MemoryDisk.of(files));
    const again = MemoryDisk.of(files);
    const next = walOn(again);
    await next.recover(() => undefined);
    let last = 0 as WalPosition;
    for (let i = found.length; i < 100; i += 1) {
      last = await append(next, i, 3000);
      if (i === 60) await next.trim(last);
    }
    await next[Symbol.asyncDispose]();
    const kept = await recovered(again);
    expect(kept[0]).toBeLessThanOrEqual(61);
    expect(kept).toEqual(upTo(100).slice(kept[0]));
  });

  test("a trim may end where a segment does, though the next one was too small and stayed empty", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    const filling = 40_000; // Its group gets a segment of its own and fills it to the last byte.
    const ends: WalPosition[] = [];
    for (let i = 0; i < 3; i += 1) ends.push(await append(wal, i, filling));
    await wal.trim(ends[1] as WalPosition);
    ends.push(await append(wal, 3), await append(wal, 4, filling)); // A segment's first group tells how far the trim went.
    await wal[Symbol.asyncDispose]();
    expect((await recovered(disk)).filter((i) => i >= 2)).toEqual([2, 3, 4]);
  });

  test("a close waits for a group that has no segment yet without spinning: time goes on meanwhile", async () => {
    const clock = new SimClock();
    const random = new SimRandom(1);
    const disk = new SimDisk({ clock, random, faults: { ...calmDisk, delayMsMax: 50 } });
    const wal = walOn(disk, {}, { clock });
    await clock.until(wal.recover(() => undefined));
    const acks = Promise.all(upTo(30).map((i) => append(wal, i, 7000))); // Each needs a group, and every fourth a segment.
    await clock.until(wal[Symbol.asyncDispose]());
    expect(await acks).toHaveLength(30);
  });

  test("a failed sync fails the group as maybe, seals the WAL, and is not repeated", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    await append(wal, 0);
    let syncs = 0;
    disk.fault = (operation) => {
      if (operation !== "datasync") return;
      syncs += 1;
      throw new Error("EIO");
    };
    await expect(append(wal, 1)).rejects.toMatchObject({ happened: "maybe" });
    const seen = syncs;
    await expect(append(wal, 2)).rejects.toMatchObject({ happened: "maybe" });
    expect(syncs).toBe(seen);
  });

  test("a group that waits for a segment while another fails has failed too", async () => {
    const clock = new SimClock();
    const memory = new MemoryDisk();
    const write = Promise.withResolvers<void>();
    let isHeld = false;
    const open = memory.open.bind(memory);
    memory.open = async (path, mode) => {
      const file = await open(path, mode);
      const now = file.write.bind(file);
      file.write = async (views, position) => {
        if (isHeld) await write.promise;
        await now(views, position);
      };
      return file;
    };
    const wal = walOn(memory, { walGroupsInFlightMax: 8 }, { clock });
    let opens = 0;
    memory.fault = (operation) => {
      if (operation !== "open") return;
      opens += 1;
      if (opens > 2) throw Object.assign(new Error("no space"), { code: "ENOSPC" }); // The first segment took two.
    };
    await clock.until(wal.recover(() => undefined));
    isHeld = true;
    const acks = Promise.allSettled(upTo(5).map((i) => append(wal, i, 7000))); // The fifth needs another segment.
    await clock.until(sleep(clock, 100));
    write.reject(new Error("EIO"));
    let settled: readonly PromiseSettledResult<unknown>[] = [];
    void acks.then((all) => (settled = all));
    await clock.until(wal[Symbol.asyncDispose]());
    expect(settled.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => "rejected"));
  });

  test("a full disk stops appends until there is room, and loses nothing", async () => {
    const disk = new MemoryDisk();
    const { clock } = seededRuntime(0);
    const hurried: Clock = {
      ...clock,
      after: (delayMs, callback) => clock.after(delayMs > 60_000 ? delayMs : 0, callback),
    };
    const wal = walOn(disk, {}, { clock: hurried });
    await wal.recover(() => undefined);
    let refused = 0;
    disk.fault = (operation) => {
      if (operation !== "open" || refused > 0) return;
      refused += 1;
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    await Promise.all(upTo(30).map((i) => append(wal, i, 3000)));
    expect(refused).toBe(1);
    await wal[Symbol.asyncDispose]();
    expect(await recovered(disk)).toEqual(upTo(30));
  });

  test("a close does not wait for a disk that stays full: what needs room has failed", async () => {
    const clock = new SimClock();
    const disk = new MemoryDisk();
    const wal = walOn(disk, {}, { clock });
    await clock.until(wal.recover(() => undefined));
    disk.fault = (operation) => {
      if (operation === "open") throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    const acks = Promise.allSettled(upTo(30).map((i) => append(wal, i, 3000)));
    await clock.until(sleep(clock, 10_000));
    await clock.until(wal[Symbol.asyncDispose]());
    const statuses = (await acks).map(({ status }) => status);
    expect(statuses).toEqual(statuses.toSorted());
    expect(statuses.at(-1)).toBe("rejected");
    disk.fault = () => undefined;
    expect(await recovered(disk)).toEqual(upTo(statuses.indexOf("rejected")));
  });

  test("a segment that a full disk did not take leaves the room that there was to others", async () => {
    const clock = new SimClock();
    const disk = new MemoryDisk();
    const wal = walOn(disk, { walSegmentBytes: 512 * 1024 }, { clock });
    let writes = 0;
    disk.fault = (operation) => {
      if (operation === "write") writes += 1;
      if (operation === "write" && writes > 4) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    await clock.until(wal.recover(() => undefined)); // Two for the first segment, one for its group; the next needs two more.
    await clock.until(sleep(clock, 500));
    expect(writes).toBe(5);
    expect((await disk.list("wal")).map(({ name }) => name)).toEqual(["0000000000000000.wal"]);
    await clock.until(wal[Symbol.asyncDispose]());
  });

  test("a missing segment between two is refused", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    await Promise.all(upTo(60).map((i) => append(wal, i, 3000)));
    await wal[Symbol.asyncDispose]();
    const files = disk.files();
    files.delete([...files.keys()].sort()[1] as string);
    await expect(recovered(MemoryDisk.of(files))).rejects.toThrow(CorruptData);
  });

  test("an epoch from the future is refused: the metadata log has lost its end", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    await wal[Symbol.asyncDispose]();
    epochs -= 2;
    await expect(recovered(disk)).rejects.toThrow(/epoch/);
    epochs += 2;
  });
});

describe("power loss", () => {
  test("at every operation, with every subset of unsynced sectors: what was acked is there, in order, and no gap", async () => {
    let images = 0;
    let cuts = 0;
    for (let cut = 1; ; cut += 1) {
      const disk = new MemoryDisk();
      disk.stepsMax = cut;
      let acked = 0;
      const isDone = await workload(disk, () => acked++);
      const choices = disk.unsynced;
      const random = seededRandom(cut);
      const subsets = choices <= 7 ? 2 ** choices : 80;
      for (let subset = 0; subset < subsets; subset += 1) {
        for (const last of ["kept", "torn"] as const) {
          const image = disk.afterPowerLoss((i) => {
            const isKept = choices <= 7 ? (subset >> i) % 2 === 1 : random.unit() < 0.7;
            return isKept ? (i === choices - 1 ? last : "kept") : "lost";
          });
          const found = await recovered(image);
          expect(found.length, `cut ${cut} subset ${subset} ${last}`).toBeGreaterThanOrEqual(acked);
          expect(found).toEqual(upTo(found.length));
          if (subset % 8 === 0) await goOn(image, found.length);
          images += 1;
        }
      }
      cuts += 1;
      if (isDone) break;
    }
    expect(cuts).toBeGreaterThan(25);
    expect(images).toBeGreaterThan(2000);
  });

  test("a second power loss, during recovery or after, changes nothing", async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = seededRandom(seed);
      const loss = (disk: MemoryDisk): MemoryDisk =>
        disk.afterPowerLoss(() => (random.unit() < 0.6 ? "kept" : random.unit() < 0.5 ? "torn" : "lost"));
      let disk = new MemoryDisk();
      disk.stepsMax = 10 + Math.floor(random.unit() * 90);
      let acked = 0;
      await workload(disk, () => acked++);
      for (let crash = 0; crash < 3; crash += 1) {
        disk = loss(disk);
        disk.stepsMax = Math.floor(random.unit() * 60);
        const found: number[] = [];
        const wal = walOn(disk);
        const isUp = await settledOrCut(
          wal.recover((record) => found.push(record.from)),
          disk,
        );
        if (!isUp) continue;
        expect(found.length, `seed ${seed}`).toBeGreaterThanOrEqual(acked);
        expect(found, `seed ${seed}`).toEqual(upTo(found.length));
        acked = found.length; // Whatever recovery has shown must stay.
        const more = append(wal, acked, 2000).then(() => acked++);
        await settledOrCut(more, disk);
      }
      const last = await recovered(loss(disk));
      expect(last.length, `seed ${seed}`).toBeGreaterThanOrEqual(acked);
      expect(last, `seed ${seed}`).toEqual(upTo(last.length));
    }
  });

  test("while trimmed segments are removed: no removal is lost that would leave a gap", async () => {
    let removals = 0;
    for (let cut = 20; ; cut += 1) {
      const disk = new MemoryDisk();
      disk.stepsMax = cut;
      disk.fault = (operation) => {
        if (operation === "remove") removals += 1;
      };
      const wal = walOn(disk, { walSegmentBytes: 16 * 1024, walBytesMax: 16 * 1024 });
      let acked = 0;
      let trimmed = 0;
      const run = async (): Promise<void> => {
        await wal.recover(() => undefined);
        let end = 0 as WalPosition;
        for (let i = 0; i < 30; i += 1) {
          end = await append(wal, i, 3000);
          acked = i + 1;
        }
        trimmed = acked;
        await wal.trim(end);
        await append(wal, 30);
        acked += 1;
      };
      const isDone = await settledOrCut(run(), disk);
      for (let subset = 0; subset < 2 ** Math.min(4, disk.unsynced); subset += 1) {
        const found = await recovered(disk.afterPowerLoss((i) => ((subset >> i) % 2 === 1 ? "kept" : "lost")));
        const first = found[0] ?? acked;
        expect(first, `cut ${cut} subset ${subset}`).toBeLessThanOrEqual(trimmed);
        expect(found.length + first, `cut ${cut} subset ${subset}`).toBeGreaterThanOrEqual(acked);
      }
      if (isDone) break;
    }
    expect(removals).toBeGreaterThan(3);
  });

  test("a group whose sync failed, and that the next start could read, is there for good", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    await append(wal, 0);
    disk.fault = (operation) => {
      if (operation === "datasync") throw new Error("EIO");
    };
    await expect(append(wal, 1)).rejects.toThrow();
    disk.fault = () => undefined;
    expect(await recovered(disk)).toEqual([0, 1]); // The page cache still shows it, so it may be served.
    expect(await recovered(disk.afterPowerLoss(() => "lost"))).toEqual([0, 1]);
  });

  test("a segment whose name a killed process could not sync does not take what is written into it along", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk);
    await wal.recover(() => undefined);
    await append(wal, 0);
    await wal[Symbol.asyncDispose]();
    const states = new Map([...disk.files()].map(([path, bytes]) => [path, { bytes, synced: bytes }]));
    expect(states.size).toBe(2);
    const [current] = states;
    const killed = MemoryDisk.found({ shown: states, durable: new Map([current as NonNullable<typeof current>]) });
    const next = walOn(killed);
    await next.recover(() => undefined);
    for (let i = 1; i < 4; i += 1) await append(next, i, 6000); // The last one goes into the second segment.
    expect(await recovered(killed.afterPowerLoss(() => "lost"))).toEqual(upTo(4));
  });

  test("planted bug: a WAL that acks before the sync is found out", async () => {
    let lost = 0;
    for (let cut = 5; cut < 60 && lost === 0; cut += 1) {
      const disk = new MemoryDisk();
      disk.stepsMax = cut;
      let acked = 0;
      disk.isSyncSkipped = true;
      await workload(disk, () => acked++);
      const found = await recovered(disk.afterPowerLoss((i) => (i % 3 === 0 ? "lost" : "kept"))).catch(() => []);
      if (found.length < acked) lost += 1;
    }
    expect(lost).toBeGreaterThan(0);
  });
});

describe("rot", () => {
  test("a flip at any byte never loses a record silently: it is refused, or it hit what holds none", async () => {
    const disk = new MemoryDisk();
    const wal = walOn(disk, { walIdleMs: 1 });
    await wal.recover(() => undefined);
    for (let i = 0; i < 3; i += 1) await append(wal, i, 150);
    const { steps } = disk;
    while (disk.steps < steps + 2) await new Promise((resolve) => setImmediate(resolve)); // The empty group's write and sync.
    await wal[Symbol.asyncDispose]();
    const files = disk.files();
    const name = [...files.keys()].sort()[0] as string;
    const bytes = files.get(name) as Uint8Array;
    let refused = 0;
    for (let at = 0; at < 5 * 4096; at += 1) {
      if (at % 4096 > 400) continue; // Zeros between the groups: looked at once, below.
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      const found = await recovered(MemoryDisk.of(new Map(files).set(name, flipped))).catch((error: unknown) => error);
      if (found instanceof CorruptData) refused += 1;
      else expect(found, `byte ${at}`).toEqual([0, 1, 2]);
    }
    expect(refused).toBeGreaterThan(600);
    const padding = bytes.slice().fill(1, 4096 - 100, 4096);
    expect(await recovered(MemoryDisk.of(new Map(files).set(name, padding)))).toEqual([0, 1, 2]);
  });
});

/** Appends over three segments with trims between. False when the power went off before the end. */
/** A disk on which one write of a group never happens, while the one after it does. */
class HeldWrites {
  holdsNext = false;
  #isHeld = false;
  readonly #passed = Promise.withResolvers<void>();

  /** Settles when a group is written behind the one that is held. */
  get passed(): Promise<void> {
    return this.#passed.promise;
  }

  below(disk: MemoryDisk): Disk {
    const write = async (file: DiskFile, views: readonly Uint8Array[], position: number): Promise<void> => {
      if (this.holdsNext) {
        [this.holdsNext, this.#isHeld] = [false, true];
        await new Promise<never>(() => undefined);
      }
      await file.write(views, position);
      if (this.#isHeld) this.#passed.resolve();
    };
    const open = async (path: string, mode: OpenMode): Promise<DiskFile> => {
      const file = await disk.open(path, mode);
      if (mode !== "durable") return file;
      return withMethod(file, "write", (views: readonly Uint8Array[], position: number) =>
        write(file, views, position),
      );
    };
    return withMethod(disk, "open", open);
  }
}

function withMethod<T extends object>(target: T, name: keyof T & string, method: unknown): T {
  return new Proxy(target, {
    get: (_, asked) => {
      if (asked === name) return method;
      const value: unknown = Reflect.get(target, asked, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function workload(disk: MemoryDisk, acked: () => void): Promise<boolean> {
  const wal = walOn(disk, { walSegmentBytes: 16 * 1024 });
  const run = async (): Promise<void> => {
    await wal.recover(() => undefined);
    for (let i = 0; i < 18; i += 3) {
      const group = [i, i + 1, i + 2].map((n) => append(wal, n, n % 4 === 0 ? 5000 : 200).then(acked));
      await Promise.all(group);
    }
  };
  return await settledOrCut(run(), disk);
}

/** What recovery has left can be written on, over several segments, and read again. */
async function goOn(disk: MemoryDisk, count: number): Promise<void> {
  const wal = walOn(disk, { walSegmentBytes: 16 * 1024 });
  await wal.recover(() => undefined);
  for (let i = count; i < count + 5; i += 1) await append(wal, i, 5000);
  await wal[Symbol.asyncDispose]();
  expect(await recovered(disk)).toEqual(upTo(count + 5));
}

/** Waits until the work is done or hangs because the power is off. */
async function settledOrCut(work: Promise<unknown>, disk: MemoryDisk): Promise<boolean> {
  let isDone = false;
  const watched = work.then(() => {
    isDone = true;
  });
  while (!isDone && disk.steps <= disk.stepsMax) {
    await Promise.race([watched, new Promise((resolve) => setImmediate(resolve))]);
  }
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve)); // Acks that were on their way.
  return isDone;
}
