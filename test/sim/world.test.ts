/** Proves: the same seed gives the same world, and time passes only where something happens. */
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { NodeClock, SimClock } from "./clock.ts";
import { SimDisk } from "./disk.ts";
import { SimRandom } from "./random.ts";

async function traceOf(seed: number): Promise<string> {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const disk = new SimDisk({ clock, random: random.fork("disk") });
  const writer = async (name: string): Promise<void> => {
    const file = await disk.open(`/${name}`, "create");
    for (let i = 0; i < 5; i++) {
      await file.write([random.fill(new Uint8Array(100))], i * 100);
      await file.datasync();
      clock.trace(`${name} ${i}`);
      if (random.chance(0.3)) await sleep(clock, random.between(0, 5));
    }
  };
  await clock.until(Promise.all(["a", "b", "c"].map(writer)));
  return clock.traceHash();
}

describe("world", () => {
  test("the same seed twice is the same trace, another seed is another", async () => {
    for (let seed = 0; seed < 10; seed++) expect(await traceOf(seed), `seed ${seed}`).toBe(await traceOf(seed));
    expect(await traceOf(1)).not.toBe(await traceOf(2));
  });

  test("events run by time, then by order of arrival; what was disposed of does not", async () => {
    const clock = new SimClock();
    const seen: string[] = [];
    for (const [delay, name] of [
      [5, "c"],
      [1, "a"],
      [5, "d"],
      [1, "b"],
    ] as const)
      clock.after(delay, () => seen.push(name));
    clock.after(3, () => seen.push("never"))[Symbol.dispose]();
    await clock.run(2);
    expect(seen).toEqual(["a", "b"]);
    expect(clock.monotonic()).toBe(2);
    await clock.run();
    expect(seen).toEqual(["a", "b", "c", "d"]);
    expect(clock.monotonic()).toBe(5);
  });

  test("many timers come out sorted", async () => {
    const clock = new SimClock();
    const random = new SimRandom(3);
    const seen: number[] = [];
    for (let i = 0; i < 500; i++) clock.after(random.between(0, 1000), () => seen.push(clock.monotonic()));
    await clock.run();
    expect(seen).toHaveLength(500);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test("a promise that nothing can settle is found out", async () => {
    const clock = new SimClock();
    await expect(clock.until(new Promise(() => {}))).rejects.toThrow("stands still");
  });

  test("a dead node's timers stay silent, and its wall clock may be wrong", async () => {
    const clock = new SimClock(1_000);
    const node = new NodeClock(clock);
    node.skewMs = -500;
    const seen: string[] = [];
    node.after(1, () => seen.push("alive"));
    node.after(3, () => seen.push("dead"));
    await clock.run(2);
    node.kill();
    await clock.run();
    expect(seen).toEqual(["alive"]);
    expect(node.now()).toBe(clock.now() - 500);
  });
});
