/** Proves: a record that was acked is in a slot that recovery takes, whoever else writes, and whatever the store answers. */
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { CorruptData } from "../../src/base/errors.ts";
import type { NodeEpoch, NodeId } from "../../src/base/ids.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { decodeHeader } from "../../src/stream/object-format.ts";
import { ObjectWal, type ObjectWalLimits } from "../../src/stream/object-wal.ts";
import { decodeSlot, encodeSeal, keyOfSlot, slotHeadBytes, slotOfKey } from "../../src/stream/slot-format.ts";
import { SimClock } from "../sim/clock.ts";
import { calmStore, FaultyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryMetadata, MemoryMetadataLog } from "../support/memory-metadata.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { append, contractBytesMax, recover, upTo, type WalWorld, walContract } from "./wal-contract.ts";

const node = 1 as NodeId;

const limits: ObjectWalLimits = {
  walBytesMax: contractBytesMax,
  walSlotBytesMax: 8 * 1024,
  walSlotIntervalMs: 2,
  walSlotBurst: 3,
  walSlotsInFlightMax: 3,
  walCloseMsMax: 5_000,
  blockBytesMax: 2 * 1024,
  uploadRetryDelayMsMin: 1,
  uploadRetryDelayMsMax: 2,
};

/** A bucket, a metadata log, and processes of one node, one after another. */
class ObjectWorld implements WalWorld {
  readonly log = new MemoryMetadataLog();
  readonly objects = new MemoryObjectStore(seededRuntime(1));
  readonly changed: Partial<ObjectWalLimits>;
  lives = 0;

  constructor(changed: Partial<ObjectWalLimits> = {}) {
    this.changed = changed;
  }

  start(store: ObjectStore = this.objects, clock?: Clock): ObjectWal {
    this.lives += 1;
    this.log.register(node, { host: "h", port: 1, rack: null });
    const runtime = { ...seededRuntime(this.lives), ...(clock === undefined ? {} : { clock }) };
    const metadata = new MemoryMetadata(this.log);
    return new ObjectWal({ store, metadata, runtime, limits: { ...limits, ...this.changed }, logger: silent });
  }

  get epoch(): NodeEpoch {
    return this.log.epochOf(node);
  }

  /** As whoever takes over does. */
  async breakWrites(): Promise<void> {
    const origin = { cluster: this.log.image.clusterId, node, nodeEpoch: this.epoch };
    for (let seq = 0; seq < 100; seq += 1) {
      const name = { node, epoch: this.epoch, seq };
      await this.objects.putIfAbsent(keyOfSlot(name), encodeSeal(origin, name, origin.cluster));
    }
  }
}

walContract("an object store", () => new ObjectWorld());

async function keys(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list("")) found.push(key);
  return found;
}

async function started(world: ObjectWorld, store?: ObjectStore): Promise<ObjectWal> {
  const wal = world.start(store);
  await recover(wal);
  return wal;
}

describe("object WAL", () => {
  test("a slot that is lost below one that knew it to be durable is called lost", async () => {
    const world = new ObjectWorld();
    const wal = await started(world);
    for (let i = 0; i < 5; i += 1) await append(wal, i);
    await wal[Symbol.asyncDispose]();
    await world.objects.delete([keyOfSlot({ node, epoch: world.epoch, seq: 2 })]);
    await expect(recover(world.start())).rejects.toThrow(/slot 2, which slot [34] proves/);
    await expect(recover(world.start())).rejects.toThrow(CorruptData); // It was not sealed over.
  });

  test("damage anywhere in a slot is found", async () => {
    const world = new ObjectWorld();
    const wal = await started(world);
    await append(wal, 0, 300);
    await wal[Symbol.asyncDispose]();
    const key = keyOfSlot({ node, epoch: world.epoch, seq: 0 });
    const bytes = await world.objects.get(key);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      const name = { node, epoch: world.epoch, seq: 0 };
      expect(() => decodeHeader(flipped, "slot") && decodeSlot(flipped, name), `byte ${at}`).toThrow(CorruptData);
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeSlot(bytes.subarray(0, length), { node, epoch: world.epoch, seq: 0 })).toThrow(CorruptData);
    }
  });

  test("a store that is away stops acks, and is waited for", async () => {
    const world = new ObjectWorld();
    const clock = new SimClock();
    const store = new FaultyStore(world.objects, { clock, random: new SimRandom(1) });
    const wal = world.start(store, clock);
    await clock.until(recover(wal));
    store.faults = { ...calmStore, refused: 1 };
    let acked = 0;
    const acks = upTo(20).map((i) => append(wal, i, 1000).then(() => (acked += 1)));
    await clock.until(sleep(clock, 60_000));
    expect(acked).toBe(0);
    store.faults = calmStore;
    await clock.until(Promise.all(acks));
    expect(acked).toBe(20);
    await clock.until(wal[Symbol.asyncDispose]());
  });

  test("closing gives a store up that does not come back, and says that nobody knows", async () => {
    const world = new ObjectWorld();
    const clock = new SimClock();
    const store = new FaultyStore(world.objects, { clock, random: new SimRandom(1) });
    const wal = world.start(store, clock);
    await clock.until(recover(wal));
    store.faults = { ...calmStore, lost: 1 };
    const ack = append(wal, 0);
    ack.catch(() => undefined);
    await clock.until(wal[Symbol.asyncDispose]());
    await expect(ack).rejects.toMatchObject({ happened: "maybe" });
    expect(clock.monotonic()).toBeLessThan(limits.walCloseMsMax + 1_000);
  });

  test("a quiet writer never waits for company, a busy one pays for one slot an interval", async () => {
    const world = new ObjectWorld({ walSlotIntervalMs: 250, walSlotBurst: 4, walSlotBytesMax: 1_000_000 });
    const clock = new SimClock();
    const store = new FaultyStore(world.objects, {
      clock,
      random: new SimRandom(1),
      faults: { ...calmStore, delayMsMax: 0 },
    });
    const wal = world.start(store, clock);
    await clock.until(recover(wal));
    const before = (await keys(world.objects)).length;
    for (let i = 0; i < 20; i += 1) {
      const sentMs = clock.monotonic();
      await clock.until(append(wal, i));
      expect(clock.monotonic() - sentMs).toBeLessThan(1);
      await clock.until(sleep(clock, 300));
    }
    expect((await keys(world.objects)).length - before).toBe(20);
    const fromMs = clock.monotonic();
    for (let i = 20; clock.monotonic() - fromMs < 10_000; i += 1) {
      void append(wal, i);
      await clock.until(sleep(clock, 5));
    }
    const slots = (await keys(world.objects)).length - before - 20;
    expect(slots).toBeGreaterThanOrEqual(40);
    expect(slots).toBeLessThanOrEqual(10_000 / 250 + 4 + 1);
    await clock.until(wal[Symbol.asyncDispose]());
  });

  test("a full slot goes at once, and no more are on their way than the log was told", async () => {
    const world = new ObjectWorld({ walSlotIntervalMs: 60_000, walSlotBurst: 0 });
    const waiting: (() => void)[] = [];
    const held: ObjectStore = Object.create(world.objects, {
      putIfAbsent: {
        value: async (...request: Parameters<ObjectStore["putIfAbsent"]>) => {
          await new Promise<void>((resolve) => waiting.push(resolve));
          return await world.objects.putIfAbsent(...request);
        },
      },
    }) as ObjectStore;
    const wal = await started(world, held);
    const acks = upTo(60).map((i) => append(wal, i, 2000));
    expect(waiting.length).toBe(limits.walSlotsInFlightMax);
    expect(world.log.image.wals(node).at(-1)).toMatchObject({ slot: 0, slotsInFlightMax: limits.walSlotsInFlightMax });
    const closing = wal[Symbol.asyncDispose]();
    while (waiting.length > 0) {
      waiting.pop()?.(); // The youngest first: it is not acked before those below it.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([...acks, closing]);
  });

  test("a trim removes slots, after the log knows; seals stay for good", async () => {
    const world = new ObjectWorld();
    const wal = await started(world);
    for (let i = 0; i < 5; i += 1) await append(wal, i);
    await wal.trim(wal.durable);
    await wal[Symbol.asyncDispose]();
    expect(await keys(world.objects)).toEqual([]);
    const again = await started(world);
    await append(again, 5);
    await again.trim(again.durable);
    expect(world.log.image.wals(node)).toHaveLength(1);
    await again[Symbol.asyncDispose]();
    await recover(world.start());
    const left = await keys(world.objects);
    expect(left.map((key) => slotOfKey(key)?.seq)).toEqual([5, 1]);
    for (const key of left) expect((await world.objects.head(key))?.size).toBe(slotHeadBytes);
  });
});
