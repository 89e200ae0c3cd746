/** Proves: an upload that is slow for its size is sent a second time, within bounds, and whichever copy succeeds is enough. */
import { describe, expect, test } from "vitest";
import { Hedge } from "../../src/stream/hedge.ts";
import { ManualClock } from "../support/manual-clock.ts";

const limits = { uploadHedgesInFlightMax: 1, uploadHedgePercentile: 95, uploadHedgeMsMin: 50 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class World {
  readonly clock = new ManualClock();
  readonly winners: unknown[] = [];
  readonly hedge: Hedge;
  /** Copies on their way, in order of sending. */
  sent: PromiseWithResolvers<void>[] = [];

  constructor(more: Partial<typeof limits> = {}) {
    const hedged = { add: (_amount: number, labels?: object) => void this.winners.push(labels) };
    this.hedge = new Hedge({ clock: this.clock, limits: { ...limits, ...more }, hedged });
  }

  run(bytes = 1000): Promise<void> {
    return this.hedge.run(bytes, () => {
      const copy = Promise.withResolvers<void>();
      this.sent.push(copy);
      return copy.promise;
    });
  }

  /** 20 uploads of 100 ms, and forgets them. */
  async learn(): Promise<this> {
    for (let i = 0; i < 20; i += 1) {
      const done = this.run();
      this.clock.advance(100);
      this.sent[i]?.resolve();
      await done;
      await turn();
    }
    this.sent = [];
    return this;
  }
}

describe("hedge", () => {
  test("the second copy goes out after the percentile, and its success is enough", async () => {
    const world = await new World().learn();
    const done = world.run();
    world.clock.advance(99);
    expect(world.sent.length).toBe(1);
    world.clock.advance(1);
    expect(world.sent.length).toBe(2);
    world.sent[1]?.resolve();
    await done;
    expect(world.winners).toEqual([{ winner: "second" }]);
    world.sent[0]?.reject(new Error("too late to matter"));
    await turn();
  });

  test("one failure waits for the other copy; two are the caller's", async () => {
    const world = await new World().learn();
    const lucky = world.run();
    world.clock.advance(100);
    world.sent[1]?.reject(new Error("second"));
    await turn();
    world.sent[0]?.resolve();
    await lucky;
    const unlucky = world.run();
    world.clock.advance(100);
    world.sent[2]?.reject(new Error("first"));
    await turn();
    world.sent[3]?.reject(new Error("second"));
    await expect(unlucky).rejects.toThrow("second");
    const quick = world.run();
    world.sent[4]?.reject(new Error("at once"));
    await expect(quick).rejects.toThrow("at once");
    world.clock.advance(1000);
    expect(world.sent.length).toBe(5);
    expect(world.winners).toEqual([{ winner: "first" }]);
  });

  test("no more than the bound are on their way, until both copies of one have settled", async () => {
    const world = await new World().learn();
    const first = world.run();
    const second = world.run();
    world.clock.advance(100);
    expect(world.sent.length).toBe(3);
    world.sent[2]?.resolve();
    await first;
    await turn();
    const third = world.run();
    world.clock.advance(100);
    expect(world.sent.length).toBe(4); // The slow copy of the first one still has its bytes.
    for (const copy of world.sent) copy.resolve();
    await Promise.all([second, third]);
    await turn();
    void world.run();
    world.clock.advance(200);
    expect(world.sent.length).toBe(6);
  });

  test.each([
    ["nothing is known yet", new World(), 0, 1000],
    ["nothing of this size is known", new World(), 20, 30_000_000],
    ["it is switched off", new World({ uploadHedgesInFlightMax: 0 }), 20, 1000],
  ])("nothing is sent twice while %s", async (_why, world, learned, bytes) => {
    if (learned > 0) await world.learn();
    void world.run(bytes);
    world.clock.advance(100_000);
    expect(world.sent.length).toBe(1);
  });
});
