/** Proves: a store that keeps its word passes the probe and is left as it was; each way of not keeping it is told by name. */
import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../src/base/runtime.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { Body, Created, ObjectInfo } from "../../src/object-store/object-store.ts";
import { requireConditionalWrites } from "../../src/object-store/probe.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { SimClock } from "../sim/clock.ts";
import { FaultyStore, stormyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";

const { clock, random } = systemRuntime();
const memory = (): MemoryObjectStore => new MemoryObjectStore({ clock });

/** As many mocks, and gateways that drop headers they do not know. */
class IgnoresTheCondition extends MemoryObjectStore {
  override async putIfAbsent(key: string, body: Body): Promise<Created> {
    return { kind: "created", ...(await this.put(key, body)) };
  }
}

/** Looks, and then writes: right as long as nobody else asks at the same time. */
class ChecksThenWrites extends MemoryObjectStore {
  override async putIfAbsent(key: string, body: Body): Promise<Created> {
    if ((await this.head(key)) !== undefined) return { kind: "exists" };
    return { kind: "created", ...(await this.put(key, body)) };
  }
}

class SaysExistsAndReplaces extends MemoryObjectStore {
  override async putIfAbsent(key: string, body: Body): Promise<Created> {
    const isThere = (await this.head(key)) !== undefined;
    const { etag } = await this.put(key, body);
    return isThere ? { kind: "exists" } : { kind: "created", etag };
  }
}

class ListsLate extends MemoryObjectStore {
  override async *list(): AsyncIterable<ObjectInfo> {}
}

class RefusesEverybody extends MemoryObjectStore {
  override async putIfAbsent(): Promise<Created> {
    return { kind: "exists" };
  }
}

async function keysIn(store: MemoryObjectStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

describe("the probe", () => {
  test("passes a store that obeys, and leaves nothing in it", async () => {
    const store = memory();
    await store.put("objects/a", new Uint8Array(1));
    await requireConditionalWrites(store, random);
    expect(await keysIn(store)).toEqual(["objects/a"]);
  });

  test("may be run by several nodes at once", async () => {
    const store = memory();
    await Promise.all(Array.from({ length: 5 }, () => requireConditionalWrites(store, random)));
    expect(await keysIn(store)).toEqual([]);
  });

  test("passes a store whose answers get lost", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const simClock = new SimClock();
      const seeded = new SimRandom(seed);
      const faulty = new FaultyStore(new MemoryObjectStore({ clock: simClock }), {
        clock: simClock,
        random: seeded,
        faults: { ...stormyStore, ghost: 0 },
      });
      const limits = { attemptsMax: 30, delayMsMin: 1, delayMsMax: 100 };
      const store = new RetryingObjectStore(faulty, { runtime: { clock: simClock, random: seeded }, limits });
      await simClock.until(requireConditionalWrites(store, seeded));
    }
  });

  test.each([
    [new IgnoresTheCondition({ clock }), "ignores the condition"],
    [new ChecksThenWrites({ clock }), "of 8 rivals"],
    [new SaysExistsAndReplaces({ clock }), "other bytes"],
    [new ListsLate({ clock }), "does not list"],
    [new RefusesEverybody({ clock }), "refuses a new name"],
  ])("refuses %o", async (store, reason) => {
    const refused = requireConditionalWrites(store, random);
    await expect(refused).rejects.toThrow(reason);
    await expect(refused).rejects.toMatchObject({ happened: "no", retriable: false });
    expect(await keysIn(store)).toEqual([]);
  });
});
