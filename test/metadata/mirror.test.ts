/**
 * Proves: the copy of the metadata in the bucket gives the image of the log, whatever fails and whoever writes it; deletions
 * are in it at once; it stays small; and a copy of another history is not written over.
 */
import { describe, expect, test } from "vitest";
import type { NodeId } from "../../src/base/ids.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import type { ImageState } from "../../src/metadata/image-state.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { Mirror } from "../../src/metadata/mirror.ts";
import { readMirror } from "../../src/metadata/mirror-files.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { SimClock } from "../sim/clock.ts";
import { FaultyStore, stormyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { keysIn } from "./contract/objects.ts";
import { upTo, uuidOf } from "./contract/world.ts";
import { imageBytes } from "./generate.ts";

const intervalMs = 1_000;

class World {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly bucket = new MemoryObjectStore({ clock: this.clock });
  readonly warnings: string[] = [];
  lag = Number.NaN;

  constructor(seed: number) {
    this.random = new SimRandom(seed);
  }

  async node(
    log: MemoryLog,
    id: number,
    store: ObjectStore = this.bucket,
  ): Promise<{ client: MetadataClient; mirror: Mirror }> {
    const warn = (message: string): void => void this.warnings.push(message);
    const logger: Logger = { debug() {}, info() {}, warn, error: warn, child: () => logger };
    const mirror = new Mirror({
      log,
      store,
      clock: this.clock,
      logger,
      limits: { intervalMs, readEntriesMax: 7 },
      lag: {
        set: (value) => {
          this.lag = value;
        },
      },
    });
    const client = await openMetadata({
      log: mirror.log,
      nodeId: id as NodeId,
      node: { host: "127.0.0.1", port: 9092, rack: null },
      runtime: { clock: this.clock, random: this.random.fork(`client ${id}`) },
      logger,
      limits: {
        pollMs: 500,
        readEntriesMax: 10,
        batchProposalsMax: 1,
        batchBytesMax: 10_000,
        proposalsWaitingMax: 100,
        checkpointEntries: 20,
        retry: { delayMsMin: 1, delayMsMax: 50 },
      },
      failed: (cause) => warn(String(cause)),
    });
    mirror.follow(client);
    return { client, mirror };
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.clock.until(work());
  }
}

function createTopic(number: number): MetadataEvent {
  return { kind: "create-topic", topicId: uuidOf(number), name: `t${number}`, partitions: 1, configs: new Map() };
}

async function mirrored(store: ObjectStore): Promise<ImageState> {
  return (await readMirror(store))?.image as ImageState;
}

describe("the mirror", () => {
  test("gives the image of the log after the interval, and of its end when the node stops", async () => {
    const w = new World(1);
    const log = new MemoryLog();
    const { client, mirror } = await w.run(() => w.node(log, 1));
    for (const i of upTo(5)) await w.run(() => client.propose([createTopic(i)]));
    await w.clock.run(intervalMs * 2);
    expect(imageBytes(await mirrored(w.bucket))).toEqual(imageBytes(client.image as ImageState));
    expect(w.lag).toBe(0);
    for (const i of upTo(4)) await w.run(() => client.propose([createTopic(10 + i)]));
    await w.run(async () => await client[Symbol.asyncDispose]());
    await w.run(async () => await mirror[Symbol.asyncDispose]());
    expect(imageBytes(await mirrored(w.bucket))).toEqual(imageBytes(client.image as ImageState));
    expect(w.warnings).toEqual([]);
  });

  test("holds a deletion long before the interval ends", async () => {
    const w = new World(1);
    const { client } = await w.run(() => w.node(new MemoryLog(), 1));
    await w.run(() => client.propose([createTopic(1)]));
    await w.clock.run(intervalMs * 2);
    await w.run(() => client.propose([{ kind: "delete-topic", topicId: uuidOf(1) }]));
    await w.clock.run(10);
    expect([...(await mirrored(w.bucket)).topics()]).toEqual([]);
  });

  test("stays small: two checkpoints, and the entries after the older of them", async () => {
    const w = new World(1);
    const { client } = await w.run(() => w.node(new MemoryLog(), 1));
    for (const i of upTo(300)) {
      await w.run(() => client.propose([createTopic(i)]));
      if (i % 3 === 0) await w.clock.run(intervalMs);
    }
    await w.clock.run(intervalMs * 2);
    const keys = await keysIn(w.bucket, "meta/mirror/");
    expect(keys.filter((key) => key.includes("/checkpoints/"))).toHaveLength(2);
    expect(keys.length).toBeLessThan(25);
    expect(imageBytes(await mirrored(w.bucket))).toEqual(imageBytes(client.image as ImageState));
  });

  test("of several nodes, through a storm of lost answers and ghosts, gives an image that the log once had, and at last all of it", async () => {
    for (let seed = 0; seed < 15; seed++) {
      const w = new World(seed);
      const log = new MemoryLog();
      const stores = upTo(3).map(
        (i) => new FaultyStore(w.bucket, { clock: w.clock, random: w.random.fork(`store ${i}`), faults: stormyStore }),
      );
      const nodes: { readonly client: MetadataClient }[] = [];
      for (const [index, store] of stores.entries()) nodes.push(await w.run(() => w.node(log, index + 1, store)));
      for (const i of upTo(120)) {
        await w.run(() => (nodes[i % 3] as { readonly client: MetadataClient }).client.propose([createTopic(i)]));
        await w.clock.run(w.random.between(0, 400));
        if (i % 40 > 0) continue;
        const names = [...(await mirrored(w.bucket)).topics()].map(({ name }) => Number(name.slice(1)));
        expect(
          names.toSorted((a, b) => a - b),
          `seed ${seed}`,
        ).toEqual(upTo(names.length));
      }
      for (const store of stores) store.faults = { ...stormyStore, refused: 0, lost: 0, unheard: 0, ghost: 0, slow: 0 };
      await w.clock.run(60_000);
      expect([...(await mirrored(w.bucket)).topics()], `seed ${seed}`).toHaveLength(120);
      expect(
        w.warnings.filter((warning) => warning.includes("history")),
        `seed ${seed}`,
      ).toEqual([]);
    }
  });

  test("begins with a checkpoint when the log has forgotten what was before", async () => {
    const w = new World(1);
    const log = new MemoryLog();
    const first = await w.run(() => w.node(log, 1, new MemoryObjectStore({ clock: w.clock })));
    for (const i of upTo(100)) await w.run(() => first.client.propose([createTopic(i)]));
    await w.run(async () => await first.client[Symbol.asyncDispose]());
    const { client } = await w.run(() => w.node(log, 1));
    await w.clock.run(intervalMs * 2);
    expect(imageBytes(await mirrored(w.bucket))).toEqual(imageBytes(client.image as ImageState));
  });

  test("of another history is left as it is, and somebody is told", async () => {
    const w = new World(1);
    const log = new MemoryLog();
    const { client, mirror } = await w.run(() => w.node(log, 1));
    const backup = log.copy();
    for (const i of upTo(5)) await w.run(() => client.propose([createTopic(i)]));
    await w.clock.run(intervalMs * 2);
    const kept = imageBytes(client.image as ImageState);
    await w.run(async () => await client[Symbol.asyncDispose]());
    await w.run(async () => await mirror[Symbol.asyncDispose]());
    const other = await w.run(() => w.node(backup, 1));
    for (const i of upTo(9)) await w.run(() => other.client.propose([createTopic(50 + i)]));
    await w.clock.run(intervalMs * 3);
    expect(w.warnings.some((warning) => warning.includes("another history"))).toBe(true);
    expect(w.lag).toBeGreaterThan(0);
    expect(imageBytes(await mirrored(w.bucket))).toEqual(kept);
  });
});
