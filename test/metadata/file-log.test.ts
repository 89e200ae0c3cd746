/** Proves: the log in files obeys the contract, keeps every answered entry over every crash, and never goes on from damage. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CorruptData, OperationFailed } from "../../src/base/errors.ts";
import type { Seq } from "../../src/base/ids.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import type { CasLog, Checkpoint, StoredEntry } from "../../src/metadata/cas-log.ts";
import { openFileLog } from "../../src/metadata/file-log.ts";
import { SimClock } from "../sim/clock.ts";
import { calmDisk, SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { casLogContract } from "./cas-log-contract.ts";
import { forwarding } from "./contract/forwarding.ts";
import { appendSurely, entryOf, readAll, uuidOf } from "./contract/world.ts";

casLogContract("file", async () => {
  const root = await mkdtemp(join(tmpdir(), "inlet-metadata-"));
  const directory = join(root, "log");
  const openLog = (): Promise<CasLog> => openFileLog({ directory, disk: systemDisk, segmentBytesMax: 1000 });
  let log = await openLog();
  const handle = forwarding(() => log);
  const reopen = async (between: () => Promise<void> = async () => {}): Promise<CasLog> => {
    await log[Symbol.asyncDispose]();
    await between();
    log = await openLog();
    return handle;
  };
  return {
    open: async () => handle,
    restart: () => reopen(),
    backUp: async () => {
      const copy = join(root, "backup");
      await reopen(() => cp(directory, copy, { recursive: true }));
      return async () => {
        await reopen(async () => {
          await rm(directory, { recursive: true });
          await cp(copy, directory, { recursive: true });
        });
      };
    },
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: async () => {
      await log[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
});

interface World {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly disk: SimDisk;
  open(): Promise<CasLog>;
}

function world(seed: number): World {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const disk = new SimDisk({ clock, random: random.fork("disk") });
  return { clock, random, disk, open: () => openFileLog({ directory: "/meta", disk, segmentBytesMax: 2000 }) };
}

const failingDisk = async () => {
  const w = world(1);
  const { clock, disk, random } = w;
  const failing = { delayMsMax: 1, datasyncFails: 0.3, writeFails: 0.2 };
  /** Opening and checkpointing report a failing disk as such; the contract is about appends that nobody knows of. */
  const onCalmDisk = async <T>(work: () => Promise<T>): Promise<T> => {
    disk.faults = calmDisk;
    try {
      return await work();
    } finally {
      disk.faults = failing;
    }
  };
  let log = await clock.until(onCalmDisk(() => w.open()));
  const handle = {
    ...forwarding(() => log),
    writeCheckpoint: (checkpoint: Checkpoint) => onCalmDisk(() => log.writeCheckpoint(checkpoint)),
  };
  const restart = (): Promise<CasLog> =>
    onCalmDisk(async () => {
      disk.processDies();
      log = await w.open();
      return handle;
    });
  const run = <T>(work: Promise<T>): Promise<T> => clock.until(work);
  return { open: async () => handle, restart, runtime: { clock, random }, run, dispose: async () => {} };
};
casLogContract("file, simulated disk that fails", failingDisk, { canGoBack: false });

/** Appends and checkpoints until the power goes or the process is killed; returns what was answered. */
async function liveAndDie(w: World, first: number): Promise<{ answered: Map<number, Seq>; tried: number }> {
  const answered = new Map<number, Seq>();
  let tried = first;
  const openSurely = (): Promise<CasLog> =>
    w.open().catch((cause: unknown) => {
      if (cause instanceof OperationFailed) return openSurely();
      throw cause;
    });
  const live = async (): Promise<void> => {
    const log = await openSurely();
    for (let i = first; ; i++) {
      tried = i;
      const seq = await appendSurely(log, entryOf(i, w.random.below(700)));
      answered.set(i, seq);
      if (w.random.chance(0.1)) {
        const { hash } = (await log.read(seq, 1))[0] as StoredEntry;
        const image = new Uint8Array(1200).fill(seq);
        await log.writeCheckpoint({ seq, hash, image }).catch(() => {}); // The disk may refuse it; the log goes on.
      }
    }
  };
  let failure: unknown;
  live().catch((cause: unknown) => {
    failure = cause;
  });
  await w.clock.run(w.random.between(5, 60));
  if (w.random.chance(0.6)) w.disk.crash();
  else w.disk.processDies();
  if (failure !== undefined) throw new Error(`seed ${w.random.seed}`, { cause: failure });
  return { answered, tried };
}

describe("crashes", () => {
  test("a checkpoint that a full disk did not take leaves nothing behind", async () => {
    const disk = new MemoryDisk();
    const log = await openFileLog({ directory: "/meta", disk, segmentBytesMax: 2000 });
    await appendSurely(log, entryOf(1, 10));
    const [entry] = await readAll(log);
    const { seq, hash } = entry as StoredEntry;
    disk.fault = (operation) => {
      if (operation === "write") throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    await expect(log.writeCheckpoint({ seq, hash, image: new Uint8Array(100) })).rejects.toThrow(OperationFailed);
    expect((await disk.list("/meta")).map(({ name }) => name)).toEqual(["00000000000000000001.log"]);
  });

  test("every answered entry is there after any number of crashes, nothing else but the one in flight, and the chain holds", async () => {
    for (let seed = 0; seed < 150; seed++) {
      const w = world(seed);
      if (seed % 3 === 0) w.disk.faults = { delayMsMax: 1, datasyncFails: 0.1, writeFails: 0.1 };
      const answered = new Map<number, Seq>();
      const inFlight = new Set<number>();
      let next = 1;
      for (let life = 0; life < 4; life++) {
        const lived = await liveAndDie(w, next);
        for (const [number, seq] of lived.answered) answered.set(number, seq);
        inFlight.add(lived.tried);
        next = lived.tried + 1;
      }
      w.disk.faults = calmDisk;
      w.disk.crash();
      const check = async (): Promise<void> => {
        const log = await w.open();
        const checkpoint = await log.readCheckpoint();
        if (checkpoint !== undefined) expect(new Set(checkpoint.image)).toEqual(new Set([checkpoint.seq % 256]));
        const found = await readAll(log, (checkpoint?.seq ?? 0) + 1, checkpoint?.hash);
        const seqs = new Map(found.map(({ opId, seq }) => [opId, seq]));
        for (const [number, seq] of answered) {
          if (seq > (checkpoint?.seq ?? 0)) expect(seqs.get(uuidOf(number)), `seed ${seed}, entry ${number}`).toBe(seq);
        }
        const known = new Set([...answered.keys(), ...inFlight].map(uuidOf));
        for (const { opId } of found) expect(known.has(opId), `seed ${seed}`).toBe(true);
      };
      await w.clock.until(check());
    }
  });
});

describe("damage", () => {
  async function built(): Promise<World & { files: () => Promise<string[]> }> {
    const w = world(5);
    const build = async (): Promise<void> => {
      const log = await w.open();
      for (let i = 1; i <= 30; i++) {
        const seq = await appendSurely(log, entryOf(i, 150));
        if (i % 12 > 0) continue;
        const { hash } = (await log.read(seq, 1))[0] as StoredEntry;
        await log.writeCheckpoint({ seq, hash, image: new Uint8Array(50).fill(i) });
      }
      await log[Symbol.asyncDispose]();
    };
    await w.clock.until(build());
    const files = async (): Promise<string[]> => (await w.disk.list("/meta")).map(({ name }) => `/meta/${name}`);
    return { ...w, files };
  }

  async function flip(w: World, path: string, position: number): Promise<void> {
    const file = await w.disk.open(path, "write");
    const byte = new Uint8Array(1);
    await file.read(byte, position);
    await file.write([Uint8Array.of((byte[0] as number) ^ 0x10)], position);
    await file.datasync();
  }

  test("a flipped byte anywhere in a segment halts, or is the torn tail; it is never read as something else", async () => {
    const { clock, files } = await built();
    const segments = (await clock.until(files())).filter((name) => name.endsWith(".log"));
    expect(segments.length).toBeGreaterThan(2);
    let halted = 0;
    for (const [index] of segments.entries()) {
      for (let position = 0; position < 1500; position += 37) {
        const w = await built();
        const path = (await w.clock.until(w.files())).filter((name) => name.endsWith(".log"))[index] as string;
        const attempt = async (): Promise<number> => {
          const file = await w.disk.open(path, "read");
          if (position >= (await file.size())) return 30;
          await flip(w, path, position);
          const log = await w.open();
          const checkpoint = await log.readCheckpoint();
          return (await readAll(log, (checkpoint?.seq ?? 0) + 1, checkpoint?.hash)).at(-1)?.seq ?? 24;
        };
        const outcome = await w.clock.until(attempt().catch((cause: unknown) => cause));
        if (outcome instanceof CorruptData) halted += 1;
        else expect(outcome, `${path} at ${position}`).toBeGreaterThanOrEqual(24);
      }
    }
    expect(halted).toBeGreaterThan(50);
  });

  test("a damaged newest checkpoint is passed over: the one before and the entries after it are still there", async () => {
    const w = await built();
    const newest = (await w.clock.until(w.files())).filter((name) => name.endsWith(".checkpoint")).at(-1) as string;
    const attempt = async (): Promise<void> => {
      await flip(w, newest, 90);
      const log = await w.open();
      const checkpoint = await log.readCheckpoint();
      expect(checkpoint?.seq).toBe(12);
      expect((await readAll(log, 13, checkpoint?.hash)).at(-1)?.seq).toBe(30);
    };
    await w.clock.until(attempt());
  });

  test("a lost segment is found out", async () => {
    const w = await built();
    const segments = (await w.clock.until(w.files())).filter((name) => name.endsWith(".log"));
    await w.clock.until(w.disk.remove(segments[1] as string));
    await expect(w.clock.until(w.open())).rejects.toThrow(CorruptData);
  });

  test("a log that ends before its checkpoint was rolled back", async () => {
    const w = await built();
    const segments = (await w.clock.until(w.files())).filter((name) => name.endsWith(".log"));
    const attempt = async (): Promise<CasLog> => {
      for (const path of segments.slice(1)) await w.disk.remove(path);
      return await w.open();
    };
    await expect(w.clock.until(attempt())).rejects.toThrow("checkpoint");
  });
});
