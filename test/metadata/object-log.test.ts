/**
 * Proves: a log whose entries are objects obeys the contract over every store, also one whose answers get lost and whose
 * writes land late; it needs few requests; and what is forgotten stays forgotten, whoever slept.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import type { Seq, Uuid } from "../../src/base/ids.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import { type CasLog, EntriesForgotten } from "../../src/metadata/cas-log.ts";
import { openObjectLog } from "../../src/metadata/object-log.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { SimClock } from "../sim/clock.ts";
import { calmStore, FaultyStore, type StoreFaults, stormyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { casLogContract } from "./cas-log-contract.ts";
import { backUpObjects, keysIn } from "./contract/objects.ts";
import {
  appendAll,
  appendSurely,
  checkpointAt,
  entryAt,
  entryOf,
  opIds,
  readAll,
  upTo,
  uuidOf,
} from "./contract/world.ts";

/** So small that the contract's logs are truncated. */
const blockEntries = 5;

casLogContract("objects in memory", async () => {
  const store = new MemoryObjectStore(systemRuntime());
  const open = async (): Promise<CasLog> => openObjectLog({ store, blockEntries });
  return {
    open,
    restart: open,
    backUp: () => backUpObjects(store),
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: async () => {},
  };
});

casLogContract("objects in a directory", async () => {
  const root = await mkdtemp(join(tmpdir(), "inlet-objects-"));
  const directory = join(root, "bucket");
  const store = await openLocalObjectStore({ directory, disk: systemDisk, runtime: systemRuntime() });
  const open = async (): Promise<CasLog> => openObjectLog({ store, blockEntries });
  return {
    open,
    restart: open,
    backUp: async () => {
      await cp(directory, join(root, "backup"), { recursive: true });
      return async () => {
        await rm(directory, { recursive: true });
        await cp(join(root, "backup"), directory, { recursive: true });
      };
    },
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
});

interface World {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly memory: MemoryObjectStore;
  readonly faulty: FaultyStore;
  open(attemptsMax?: number): CasLog;
}

function world(seed: number, faults: StoreFaults): World {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const memory = new MemoryObjectStore({ clock });
  const faulty = new FaultyStore(memory, { clock, random: random.fork("faults"), faults });
  let opened = 0;
  const open = (attemptsMax = 6): CasLog => {
    opened += 1;
    const runtime = { clock, random: random.fork(`handle ${opened}`) };
    const store = new RetryingObjectStore(faulty, {
      runtime,
      limits: { attemptsMax, delayMsMin: 10, delayMsMax: 1000 },
    });
    return openObjectLog({ store, blockEntries });
  };
  return { clock, random, memory, faulty, open };
}

for (const seed of [1]) {
  const setUp = async () => {
    const w = world(seed, { ...stormyStore, slow: 0 });
    return {
      open: async () => w.open(50),
      restart: async () => w.open(50),
      backUp: () => backUpObjects(w.memory),
      runtime: w,
      run: <T>(work: Promise<T>) => w.clock.until(work),
      dispose: async () => {},
    };
  };
  casLogContract(`objects behind a storm with ghosts, seed ${seed}`, setUp);
}

/** Counts what is asked of a store. */
function counted(store: ObjectStore): { readonly store: ObjectStore; take: () => Record<string, number> } {
  let counts: Record<string, number> = {};
  const counting = new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        counts[String(name)] = (counts[String(name)] ?? 0) + 1;
        return Reflect.apply(value, target, args);
      };
    },
  });
  return {
    store: counting,
    take: () => {
      const taken = counts;
      counts = {};
      return taken;
    },
  };
}

describe("requests", () => {
  const open = async () => {
    const memory = new MemoryObjectStore(systemRuntime());
    const other = openObjectLog({ store: memory });
    const { store, take } = counted(memory);
    const log = openObjectLog({ store });
    await appendSurely(log, entryOf(1));
    take();
    return { log, other, take };
  };

  test("an append is a put and two looks: for its block's mark, and at the entry before", async () => {
    const { log, take } = await open();
    await appendSurely(log, entryOf(2));
    expect(take()).toEqual({ putIfAbsent: 1, get: 1, head: 1 });
  });

  test("a poll of an idle tail is two gets and a look", async () => {
    const { log, take } = await open();
    await log.read(1 as Seq, 1000);
    expect(take()).toEqual({ get: 2, head: 1 });
  });

  test("a rival that was faster costs a put, two gets and a look more", async () => {
    const { log, other, take } = await open();
    await appendSurely(other, entryOf(2));
    await appendSurely(log, entryOf(3));
    expect(take()).toEqual({ putIfAbsent: 2, get: 3, head: 2 });
  });

  test("five hundred entries are read with a few more gets than that, and are not put against one by one", async () => {
    const { log, other, take } = await open();
    await appendAll(other, 2, 500);
    expect(await appendSurely(log, entryOf(501))).toBe(501);
    const { putIfAbsent, get = 0 } = take();
    expect(putIfAbsent).toBe(2);
    expect(get).toBeLessThan(500 + 64);
  });
});

describe("a storm", () => {
  test("with ghosts that land long after, each of many writers is told the place where its entry stands", async () => {
    let ghosts = 0;
    for (let seed = 0; seed < 25; seed++) {
      const w = world(seed, stormyStore);
      const handles = upTo(5).map(() => w.open(2));
      const told = new Map<string, number>();
      const live = async (log: CasLog, writer: number): Promise<void> => {
        for (const i of upTo(10)) {
          const entry = entryOf(writer * 100 + i);
          const seq = await appendSurely(log, entry);
          told.set(entry.opId, seq);
          if (seq % 11 === 0) await checkpointAt(log, seq).catch(() => undefined); // The store may refuse it.
        }
      };
      await w.clock.until(Promise.all(handles.map(live)));
      await w.clock.run(60_000); // All ghosts have landed.
      w.faulty.faults = calmStore;
      ghosts += w.faulty.struck.get("ghost") ?? 0;
      const check = async (): Promise<void> => {
        const log = w.open();
        const checkpoint = await log.readCheckpoint();
        const from = (checkpoint?.seq ?? 0) + 1;
        const found = await readAll(log, from, checkpoint?.hash);
        const places = Map.groupBy(found, ({ opId }) => opId);
        for (const [opId, seq] of told) {
          const stands = (places.get(opId as Uuid) ?? []).map((entry) => entry.seq);
          if (seq >= from) expect(stands, `seed ${seed}, ${opId}`).toContain(seq);
        }
        expect(
          [...places.keys()].filter((opId) => !told.has(opId)),
          `seed ${seed}`,
        ).toEqual([]);
        expect(new Set(told.values()).size, `seed ${seed}`).toBe(50);
      };
      await w.clock.until(check());
    }
    expect(ghosts).toBeGreaterThan(20);
  });
});

describe("forgetting", () => {
  test("whole blocks go, marks stay, and two checkpoints", async () => {
    const store = new MemoryObjectStore(systemRuntime());
    const log = openObjectLog({ store, blockEntries });
    for (const tens of [10, 20, 30]) {
      await appendAll(log, tens - 9, tens);
      await checkpointAt(log, tens);
    }
    expect(await keysIn(store, "meta/log/")).toEqual(
      upTo(15).map((i) => `meta/log/${String(15 + i).padStart(20, "0")}`),
    );
    expect((await keysIn(store, "meta/gone/")).map((key) => Number(key.slice(-20)))).toEqual([0, 1, 2]);
    expect((await keysIn(store, "meta/checkpoints/")).map((key) => Number(key.slice(-20)))).toEqual([20, 30]);
  });

  test("an entry that somebody wrote into an emptied slot is seen by nobody, and is swept up", async () => {
    const store = new MemoryObjectStore(systemRuntime());
    const [log, sleeper, reader] = upTo(3).map((): CasLog => openObjectLog({ store, blockEntries })) as [
      CasLog,
      CasLog,
      CasLog,
    ];
    await appendAll(log, 1, 3);
    expect(await appendSurely(sleeper, entryOf(3))).toBe(3);
    await readAll(reader);
    for (const tens of [10, 20]) {
      await appendAll(log, tens === 10 ? 4 : 11, tens);
      await checkpointAt(log, tens);
    }
    expect(await appendSurely(sleeper, entryOf(99))).toBe(21);
    expect(await keysIn(store, "meta/log/")).toContain("meta/log/00000000000000000004"); // What it tried first.
    await expect(reader.read(4 as Seq, 10)).rejects.toThrow(EntriesForgotten);
    await checkpointAt(log, 21);
    expect(await keysIn(store, "meta/log/")).not.toContain("meta/log/00000000000000000004");
    expect(opIds(await readAll(reader, 21))).toEqual([uuidOf(99)]);
  });

  test("a damaged newest checkpoint is passed over for the one before, behind which all entries are kept", async () => {
    const store = new MemoryObjectStore(systemRuntime());
    const log = openObjectLog({ store, blockEntries });
    for (const tens of [10, 20]) {
      await appendAll(log, tens - 9, tens);
      await checkpointAt(log, tens);
    }
    await store.put("meta/checkpoints/00000000000000000020", new Uint8Array(200));
    const other = openObjectLog({ store, blockEntries });
    expect((await other.readCheckpoint())?.seq).toBe(10);
    expect((await readAll(other, 11)).at(-1)?.seq).toBe(20);
  });
});

describe("damage", () => {
  test("a flipped byte anywhere in an entry halts whoever reads it", async () => {
    const store = new MemoryObjectStore(systemRuntime());
    const log = openObjectLog({ store });
    await appendAll(log, 1, 3);
    const key = "meta/log/00000000000000000002";
    const bytes = await store.get(key);
    for (let position = 0; position < bytes.length; position++) {
      await store.put(
        key,
        bytes.map((byte, index) => (index === position ? byte ^ 0x20 : byte)),
      );
      await expect(openObjectLog({ store }).read(1 as Seq, 3), `byte ${position}`).rejects.toThrow(CorruptData);
    }
  });

  test("a log that ends before its checkpoint was rolled back", async () => {
    const store = new MemoryObjectStore(systemRuntime());
    const log = openObjectLog({ store });
    await appendAll(log, 1, 8);
    await checkpointAt(log, 8);
    await store.delete(["meta/log/00000000000000000008"]);
    await expect(openObjectLog({ store }).append(entryOf(9))).rejects.toThrow(CorruptData);
    await expect(openObjectLog({ store }).readCheckpoint()).rejects.toThrow("ends before");
    expect((await entryAt(log, 7)).opId).toBe(uuidOf(7));
  });
});
