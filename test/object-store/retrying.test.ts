/** Proves: under every kind of failure the retries tell the truth about what happened, and stop when they should. */
import { describe, expect, test } from "vitest";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectInfo, ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { SimClock } from "../sim/clock.ts";
import { calmStore, FaultyStore, type StoreFaults, stormyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { objectStoreContract } from "./contract.ts";

function world(seed: number, faults: StoreFaults, attemptsMax = 50) {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const memory = new MemoryObjectStore({ clock });
  const faulty = new FaultyStore(memory, { clock, random: random.fork("faults"), faults });
  const limits = { attemptsMax, delayMsMin: 10, delayMsMax: 1000 };
  const retrying = (name: string): ObjectStore =>
    new RetryingObjectStore(faulty, { runtime: { clock, random: random.fork(name) }, limits });
  return { clock, memory, faulty, retrying, store: retrying("store") };
}

objectStoreContract("simulated, calm", async () => {
  const { clock, faulty } = world(1, calmStore);
  return { store: faulty, run: (work) => clock.until(work), dispose: async () => {} };
});

// No ghosts here: the contract puts one key twice, and a ghost of the first may then land over the second.
for (const seed of [1, 2, 3, 4, 5]) {
  const setUp = async () => {
    const { clock, store } = world(seed, { ...stormyStore, ghost: 0 });
    return { store, run: <T>(work: Promise<T>) => clock.until(work), dispose: async () => {} };
  };
  objectStoreContract(`retrying over a storm, seed ${seed}`, setUp, { doubts: true });
}

function compareFolders(a: string, b: string): number {
  const names = (key: string): string => key.replaceAll("/", "\u0000"); // Sorts before all else.
  return names(a) < names(b) ? -1 : 1;
}

const body = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("retrying", () => {
  test("of rivals for one key, ghosts included, exactly one is told that it created, and its bytes stay", async () => {
    let ghosts = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { clock, memory, faulty, retrying } = world(seed, { ...stormyStore, unheard: 0.3, ghost: 0.3 });
      const rivals = ["one", "two", "three"].map(async (name) => {
        const outcome = await retrying(name).putIfAbsent("slot", body(name));
        return outcome.kind === "created" ? name : undefined;
      });
      const outcomes = (await clock.until(Promise.all(rivals))).filter((name) => name !== undefined);
      await clock.run(); // Every ghost has landed.
      const kept = new TextDecoder().decode(await memory.get("slot"));
      expect(outcomes, `seed ${seed}`).toEqual([kept]);
      ghosts += faulty.struck.get("ghost") ?? 0;
    }
    expect(ghosts).toBeGreaterThan(100);
  });

  test("a replaced version is never called a mismatch, and never replaced twice", async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { clock, memory, store, retrying } = world(seed, { ...stormyStore, unheard: 0.3, ghost: 0.2 });
      const { etag } = await memory.put("pointer", body("base"));
      const attempts = [store, retrying("rival")].map(async (one, index) => {
        const outcome = await one
          .putIfMatch("pointer", body(`v${index}`), etag)
          .catch(() => ({ kind: "maybe" as const }));
        return { index, kind: outcome.kind };
      });
      const outcomes = await clock.until(Promise.all(attempts));
      await clock.run();
      const kept = new TextDecoder().decode(await memory.get("pointer"));
      const replaced = outcomes.filter(({ kind }) => kind === "replaced").map(({ index }) => `v${index}`);
      expect(replaced.length, `seed ${seed}`).toBeLessThanOrEqual(1);
      if (replaced.length === 1) expect(replaced, `seed ${seed}`).toEqual([kept]);
      const winner = outcomes.find(({ index }) => `v${index}` === kept);
      expect(winner?.kind, `seed ${seed}`).not.toBe("mismatch");
    }
  });

  test("it gives up after its attempts, and says maybe when any of them may have happened", async () => {
    const never = world(1, { ...calmStore, refused: 1 }, 3);
    const refused = never.clock.until(never.store.put("a", body("x")));
    await expect(refused).rejects.toMatchObject({ happened: "no", retriable: true });
    expect(never.faulty.struck.get("refused")).toBe(3);

    const { clock, faulty, store } = world(2, { ...calmStore, lost: 1 }, 2);
    const put = store.put("a", body("x"));
    put.catch(() => {});
    await clock.run(35); // The first attempt is over.
    faulty.faults = { ...calmStore, refused: 1 };
    await expect(clock.until(put)).rejects.toMatchObject({ happened: "maybe" });
  });

  test("a put-if-absent that was delivered twice is created, and open while nobody can look", async () => {
    const heals = world(1, calmStore);
    heals.faulty.strike("duplicate", "put-if-absent");
    expect(await heals.clock.until(heals.store.putIfAbsent("a", body("x")))).toMatchObject({ kind: "created" });

    const { clock, faulty, store } = world(1, calmStore, 1);
    faulty.strike("duplicate", "put-if-absent");
    const created = store.putIfAbsent("a", body("x"));
    created.catch(() => {});
    await clock.run(1); // The request is on its way.
    faulty.faults = { ...calmStore, refused: 1 };
    await expect(clock.until(created)).rejects.toMatchObject({ happened: "maybe" });
  });

  test("a part that was sent again under its number counts once when its upload's end is unheard", async () => {
    const { clock, faulty, store } = world(1, calmStore);
    const work = async (): Promise<string> => {
      const upload = await store.multipart("m");
      await upload.part(body("a first try"), 1);
      await upload.part(body("a second"), 1);
      faulty.strike("duplicate", "multipart-complete");
      await upload.complete();
      return new TextDecoder().decode(await store.get("m"));
    };
    expect(await clock.until(work())).toBe("a second");
  });

  test("what repeating cannot help is not repeated", async () => {
    const { clock, store, faulty } = world(1, calmStore);
    await expect(clock.until(store.get("none"))).rejects.toMatchObject({ name: "ObjectMissing" });
    expect(faulty.struck.size).toBe(0);
    expect(clock.monotonic()).toBeLessThan(25);
  });

  test("closing ends the waiting", async () => {
    const { clock, store } = world(1, { ...calmStore, refused: 1 }, 1_000_000);
    const put = store.put("a", body("x"));
    put.catch(() => {});
    await clock.run(500);
    await store[Symbol.asyncDispose]();
    await expect(clock.until(put)).rejects.toThrow();
  });

  test.each(["by bytes", "by folders"])("a listing %s that breaks goes on where it was", async (order) => {
    const { clock, memory, store } = world(3, { ...calmStore, lost: 0.3 });
    const keys = Array.from(
      { length: 30 },
      (_, i) => `k${i % 3}${["-", "/", "."][i % 3]}${String(i).padStart(2, "0")}`,
    );
    for (const key of keys) await memory.put(key, body(key));
    keys.sort(order === "by bytes" ? undefined : compareFolders);
    const listing = memory.list.bind(memory);
    memory.list = async function* (prefix) {
      const found: ObjectInfo[] = [];
      for await (const info of listing(prefix)) found.push(info);
      yield* order === "by bytes" ? found : found.sort((a, b) => compareFolders(a.key, b.key));
    };
    const listed = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key } of store.list("k")) found.push(key);
      return found;
    };
    expect(await clock.until(listed())).toEqual(keys);
  });
});
