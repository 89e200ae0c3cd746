/** Proves: what the storage does at a cut, under pressure, with deleted streams, with garbage, and when it cannot go on. */
import { beforeEach, describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { CorruptData, OperationFailed } from "../../src/base/errors.ts";
import type { NodeId, Offset, Owned, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import type { StreamLimits } from "../../src/stream/limits.ts";
import type { OpenedStream, StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage, type StreamStorageOptions } from "../../src/stream/stream-storage.ts";
import { SimClock } from "../sim/clock.ts";
import { FakeMetadata } from "../support/fake-metadata.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { seededRandom, silent } from "../support/seeded.ts";
import { smallStreams } from "../support/stream-limits.ts";

const node = 1 as NodeId;
const [topicA, topicB] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"] as [
  Uuid,
  Uuid,
];
const [a, b, c] = [1, 2, 3] as [StreamId, StreamId, StreamId];

let clock: SimClock;
let disk: MemoryDisk;
let objects: MemoryObjectStore;
let metadata: FakeMetadata;
let fatal: unknown[];

beforeEach(() => {
  clock = new SimClock();
  disk = new MemoryDisk();
  objects = new MemoryObjectStore({ clock });
  metadata = new FakeMetadata();
  metadata.addStream(a, topicA, node);
  metadata.addStream(b, topicA, node);
  metadata.addStream(c, topicB, node);
  fatal = [];
});

async function start(
  limits: Partial<StreamLimits> = {},
  more: Partial<StreamStorageOptions> = {},
): Promise<StreamStorage> {
  const runtime = { clock, random: seededRandom(metadata.seq + 1) };
  const client = metadata.register(node, { clock, delayMs: () => 1 });
  const wal = new FileWal({
    disk,
    directory: "wal",
    nodeEpoch: client.nodeEpoch,
    runtime,
    limits: {
      walBytesMax: 1_000_000,
      walSegmentBytes: 200_000,
      walGroupBytesMax: 50_000,
      walGroupsInFlightMax: 3,
      walLingerMs: 0,
      walIdleMs: 100,
    },
    logger: silent,
  });
  const opening = openStreamStorage({
    wal,
    store: objects,
    metadata: client,
    runtime,
    limits: { ...smallStreams, ...limits },
    logger: silent,
    metrics: noMetrics,
    fatal: (cause) => fatal.push(cause),
    ...more,
  });
  opening.catch(() => undefined);
  return await clock.until(opening);
}

const writer = { label: new Uint8Array(), sidecar: () => new Uint8Array() };

function append(stream: OpenedStream, from: number, length = 100): Promise<void> {
  const bytes = new Uint8Array(length).fill(from) as Owned;
  return stream.append({ from: from as Offset, to: (from + 1) as Offset, bytes, maxTimestamp: from });
}

async function keys(): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of objects.list("")) found.push(key);
  return found;
}

async function everything(stream: OpenedStream): Promise<number[]> {
  const { batches } = await clock.until(stream.read({ from: 0 as Offset, to: stream.end, bytesMax: 1e9 }));
  return batches.map((batch) => batch.from);
}

describe("a cut", () => {
  test("gives small streams one object, and a large one its own, in one group of events", async () => {
    const storage = await start();
    const opened = await Promise.all([a, b, c].map((id) => clock.until(storage.open(id, writer))));
    const [first, second, third] = opened as [OpenedStream, OpenedStream, OpenedStream];
    await clock.until(Promise.all([append(first, 0), append(second, 0, 20_000), append(third, 0)]));
    const before = metadata.seq;
    await clock.until(storage.flush());
    expect(metadata.seq).toBe(before + 1);
    expect([...metadata.objects.values()].map((object) => object.kind).sort()).toEqual(["stream", "stream-set"]);
    expect(metadata.streams.get(a)?.end).toBe(1);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("asks for the sidecar at the batch that fills the generation, after its owner has taken that batch in", async () => {
    const storage = await start({ uploadBytesMax: 1000 });
    let known = 0;
    const sidecar = (): Uint8Array => Uint8Array.of(known);
    const stream = await clock.until(storage.open(a, { ...writer, sidecar }));
    const acks: Promise<void>[] = [];
    for (let i = 0; i < 20; i += 1) {
      acks.push(append(stream, i));
      known = i + 1; // As late as an owner may learn it: before anything else runs.
      await Promise.resolve();
    }
    await clock.until(Promise.all(acks));
    await clock.until(storage.flush());
    expect(metadata.ranges.get(a)?.length).toBeGreaterThan(3);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    for (const range of metadata.ranges.get(a) ?? []) {
      const image = metadata.ranges.get(a) ?? [];
      metadata.ranges.set(
        a,
        image.filter((one) => one.to <= range.to),
      );
      metadata.streams.set(a, { ...(metadata.streams.get(a) as object), end: range.to } as never);
      disk = new MemoryDisk();
      const again = await start();
      const reopened = await clock.until(again.open(a, writer));
      expect(reopened.sidecar).toEqual({ upTo: range.to, bytes: Uint8Array.of(range.to) });
      metadata.ranges.set(a, image);
      await clock.until(again[Symbol.asyncDispose]() as Promise<void>);
    }
  });

  test("leaves its records in the WAL until the metadata has accepted it", async () => {
    const storage = await start({ uploadBytesMax: 250_000 }); // More than a segment.
    const stream = await clock.until(storage.open(a, writer));
    metadata.isStuck = true;
    let count = 0;
    while (count < 400) await clock.until(append(stream, count++, 1000)); // The WAL goes on over several segments.
    expect(await keys()).not.toEqual([]);
    disk = disk.afterPowerLoss(() => "lost");
    metadata.isStuck = false;
    const again = await start();
    const reopened = await clock.until(again.open(a, writer));
    expect(await everything(reopened)).toEqual(Array.from({ length: count }, (_, i) => i));
    await clock.until(again[Symbol.asyncDispose]() as Promise<void>);
  });

  test("a slow upload is sent a second time, and the object is there once", async () => {
    const put = objects.putIfAbsent.bind(objects);
    let stuck = 0;
    let puts = 0;
    objects.putIfAbsent = async (key, body) => {
      puts += 1;
      if (puts === 31) {
        stuck += 1;
        await sleep(clock, 1_000_000); // Its connection hangs.
      }
      await sleep(clock, 10);
      return await put(key, body);
    };
    const storage = await start({ uploadHedgesInFlightMax: 1, uploadHedgePercentile: 98, uploadHedgeMsMin: 50 });
    const stream = await clock.until(storage.open(a, writer));
    for (let i = 0; i < 32; i += 1) {
      await clock.until(append(stream, i));
      const startedMs = clock.monotonic();
      await clock.until(storage.flush());
      expect(clock.monotonic() - startedMs).toBeLessThan(100);
    }
    expect([stuck, puts, (await keys()).length]).toEqual([1, 33, 32]);
    expect(await everything(stream)).toEqual(Array.from({ length: 32 }, (_, i) => i));
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("comes by time, too", async () => {
    const storage = await start({ uploadIntervalMsMax: 800 });
    const stream = await clock.until(storage.open(a, writer));
    await clock.run(5000);
    await clock.until(append(stream, 0));
    expect(metadata.streams.get(a)?.end).toBe(0);
    await clock.run(1000);
    expect(metadata.streams.get(a)?.end).toBe(1);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });
});

describe("pressure", () => {
  test("while the store is down memory is bounded by the cache, appends by the WAL; all heals, nothing is lost", async () => {
    const slabs = new Slabs({ slabBytes: 4096 });
    const released = (bytes: Owned): void => slabs.release(bytes);
    const storage = await start({ logCacheBytesMax: 100_000 }, { released });
    const [stream, other] = (await Promise.all([a, b].map((id) => clock.until(storage.open(id, writer))))) as [
      OpenedStream,
      OpenedStream,
    ];
    const putIfAbsent = objects.putIfAbsent.bind(objects);
    objects.putIfAbsent = () => Promise.reject(new OperationFailed("down", { happened: "no" }));
    let count = 0;
    let heldMax = 0;
    const appendTo = (to: OpenedStream, from: number): Promise<void> => {
      const bytes = slabs.copy(new Uint8Array(4000).fill(from));
      return to.append({ from: from as Offset, to: (from + 1) as Offset, bytes, maxTimestamp: from });
    };
    while (stream.admission === "admitted") {
      await clock.until(Promise.all([appendTo(stream, count), appendTo(other, count)]));
      count += 1;
      heldMax = Math.max(heldMax, slabs.bytesHeld);
    }
    expect(2 * count * 4000).toBeGreaterThan(500_000);
    expect(heldMax).toBeLessThan(110_000);
    expect(storage.fullness).toBeGreaterThan(1);
    expect(stream.readCached({ from: 10 as Offset, to: 15 as Offset, bytesMax: 1e6 })).toBeUndefined();
    const early = await clock.until(other.read({ from: 12 as Offset, to: 15 as Offset, bytesMax: 1e6 }));
    expect(early.batches.map(({ from, bytes }) => [from, bytes.length, bytes[9]])).toEqual(
      [12, 13, 14].map((at) => [at, 4000, at]),
    );
    expect(await everything(stream)).toEqual(Array.from({ length: count }, (_, i) => i));
    let isAdmitted = false;
    const admitted = stream.admitted().then(() => {
      isAdmitted = true;
    });
    await clock.run(5000);
    expect(isAdmitted).toBe(false);
    objects.putIfAbsent = putIfAbsent;
    await clock.until(admitted);
    await clock.until(storage.flush());
    expect(storage.fullness).toBeLessThan(0.3);
    for (const one of [stream, other]) {
      const { batches } = await clock.until(one.read({ from: 0 as Offset, to: one.end, bytesMax: 1e9 }));
      expect(batches.map(({ from, bytes }) => [from, bytes[500]])).toEqual(
        Array.from({ length: count }, (_, i) => [i, i & 255]),
      );
    }
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    expect(fatal).toEqual([]);
  });

  test("while the store is down appends go on as soon as a disk that was slow has what it was given", async () => {
    let write = Promise.withResolvers<void>();
    write.resolve();
    const open = disk.open.bind(disk);
    disk.open = async (path, mode) => {
      const file = await open(path, mode);
      const now = file.write.bind(file);
      file.write = (views, position) => write.promise.then(() => now(views, position));
      return file;
    };
    const storage = await start({ logCacheBytesMax: 90_000 });
    const stream = await clock.until(storage.open(a, writer));
    objects.putIfAbsent = () => Promise.reject(new OperationFailed("down", { happened: "no" }));
    let count = 0;
    for (; count < 20; count += 1) await clock.until(append(stream, count, 4000));
    write = Promise.withResolvers();
    const acks: Promise<void>[] = [];
    for (; stream.admission === "admitted"; count += 1) {
      acks.push(append(stream, count, 4000));
      await clock.run(1);
    }
    let isAdmitted = false;
    const admitted = stream.admitted().then(() => {
      isAdmitted = true;
    });
    write.resolve();
    await clock.until(Promise.all(acks));
    expect(stream.admission).toBe("admitted");
    await clock.run(1);
    expect(isAdmitted).toBe(true);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    await admitted;
  });

  test("a start after a long outage holds no more in memory than before it", async () => {
    const first = await start({ logCacheBytesMax: 100_000 });
    const stream = await clock.until(first.open(a, writer));
    const putIfAbsent = objects.putIfAbsent.bind(objects);
    objects.putIfAbsent = () => Promise.reject(new OperationFailed("down", { happened: "no" }));
    let count = 0;
    while (stream.admission === "admitted") await clock.until(append(stream, count++, 5000));
    expect(count).toBeGreaterThan(100);
    await clock.until(first[Symbol.asyncDispose]() as Promise<void>);
    let cachedMax = 0;
    const logCacheBytes = { set: (bytes: number) => void (cachedMax = Math.max(cachedMax, bytes)) };
    const again = await start({ logCacheBytesMax: 100_000 }, { metrics: { ...noMetrics, logCacheBytes } });
    expect(cachedMax).toBeLessThan(110_000);
    expect(cachedMax).toBeGreaterThan(20_000);
    const reopened = await clock.until(again.open(a, writer));
    expect(await everything(reopened)).toEqual(Array.from({ length: count }, (_, i) => i));
    objects.putIfAbsent = putIfAbsent;
    await clock.until(again.flush());
    expect(metadata.streams.get(a)?.end).toBe(count);
    expect(await everything(reopened)).toEqual(Array.from({ length: count }, (_, i) => i));
    await clock.until(again[Symbol.asyncDispose]() as Promise<void>);
    expect(fatal).toEqual([]);
  });

  test("a spilled batch that has rotted in the WAL is an error of its range, never other bytes", async () => {
    const storage = await start({ logCacheBytesMax: 30_000 });
    const stream = await clock.until(storage.open(a, writer));
    objects.putIfAbsent = () => Promise.reject(new OperationFailed("down", { happened: "no" }));
    for (let i = 0; i < 60; i += 1) await clock.until(append(stream, i, 1000));
    const segment = await disk.open("wal/0000000000000000.wal", "write");
    const content = new Uint8Array(await segment.size());
    await segment.read(content, 0);
    await segment.write([Uint8Array.of(31)], Buffer.from(content).indexOf(Buffer.alloc(1000, 30)));
    const read = (from: number) =>
      clock.until(stream.read({ from: from as Offset, to: (from + 1) as Offset, bytesMax: 1 }));
    await expect(read(30)).rejects.toMatchObject({ name: "RangeUnreadable", from: 30, object: "the WAL" });
    expect((await read(31)).batches.length).toBe(1);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("a spilled batch whose segment goes while it is read, as it was uploaded, is read from its object", async () => {
    const held: PromiseWithResolvers<void>[] = [];
    let holds = false;
    const open = disk.open.bind(disk);
    disk.open = async (path, mode) => {
      const file = await open(path, mode);
      const now = file.read.bind(file);
      file.read = async (into, position) => {
        if (!holds) return await now(into, position);
        holds = false;
        const one = Promise.withResolvers<void>();
        held.push(one);
        await one.promise;
        throw new Error("the file is closed");
      };
      return file;
    };
    const storage = await start({ logCacheBytesMax: 30_000 });
    const stream = await clock.until(storage.open(a, writer));
    const putIfAbsent = objects.putIfAbsent.bind(objects);
    objects.putIfAbsent = () => Promise.reject(new OperationFailed("down", { happened: "no" }));
    for (let i = 0; i < 60; i += 1) await clock.until(append(stream, i, 1000));
    holds = true;
    const reading = stream.read({ from: 30 as Offset, to: 31 as Offset, bytesMax: 1e6 });
    objects.putIfAbsent = putIfAbsent;
    await clock.until(storage.flush());
    expect(held).toHaveLength(1);
    held[0]?.resolve();
    expect((await clock.until(reading)).batches.map(({ from }) => from)).toEqual([30]);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("who reads at the end never touches the store, whatever is uploaded and evicted behind", async () => {
    let gets = 0;
    const get = objects.get.bind(objects);
    objects.get = (key, range) => {
      gets += 1;
      return get(key, range);
    };
    const storage = await start({ logCacheBytesMax: 30_000, uploadIntervalMsMax: 40 });
    const stream = await clock.until(storage.open(a, writer));
    for (let i = 0; i < 300; i += 1) {
      if (stream.admission === "backoff") await clock.until(stream.admitted());
      await clock.until(append(stream, i, 1000));
      const tail = { from: Math.max(0, i - 2) as Offset, to: stream.end, bytesMax: 1e6 };
      const { batches } = stream.readCached(tail) ?? (await clock.until(stream.read(tail)));
      expect(batches.at(-1)?.from).toBe(i);
    }
    expect(metadata.objects.size).toBeGreaterThan(10);
    expect(gets).toBe(0);
    expect(stream.readCached({ from: 0 as Offset, to: 1 as Offset, bytesMax: 1 })).toBeUndefined();
    await clock.until(stream.read({ from: 0 as Offset, to: 1 as Offset, bytesMax: 1 }));
    expect(gets).toBeGreaterThan(0); // The counter does count.
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("who reads on from objects is read ahead of, whatever the batches leave of each read's limit", async () => {
    const first = await start();
    const written = await clock.until(first.open(a, writer));
    await clock.until(Promise.all(Array.from({ length: 600 }, (_, i) => append(written, i)))); // One object in the end.
    await clock.until(first.flush());
    await clock.until(first[Symbol.asyncDispose]() as Promise<void>);
    let gets = 0;
    const get = objects.get.bind(objects);
    objects.get = (key, range) => {
      gets += 1;
      return get(key, range);
    };
    const storage = await start({ readaheadBytesMax: 32_000, readRequestBytesMax: 20_000 });
    const stream = await clock.until(storage.open(a, writer));
    gets = 0;
    let reads = 0;
    for (let next = 0; next < 600; reads += 1) {
      const request = { from: next as Offset, to: stream.end, bytesMax: 950 }; // Nine batches and a half.
      const read = await clock.until(stream.read(request));
      expect(read.batches.map(({ from }) => from)).toEqual(
        Array.from({ length: read.batches.length }, (_, i) => next + i),
      );
      ({ next } = read);
    }
    expect(reads).toBeLessThan(80); // Some end where a block does.
    expect(gets).toBeLessThan(12); // For 17 blocks.
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("memory stays within the budget while everything stays readable", async () => {
    const storage = await start({ logCacheBytesMax: 30_000, blockCacheBytesMax: 10_000 });
    const stream = await clock.until(storage.open(a, writer));
    for (let i = 0; i < 200; i += 1) {
      if (stream.admission === "backoff") await clock.until(stream.admitted());
      await clock.until(append(stream, i, 1000));
    }
    await clock.until(storage.flush());
    expect(stream.readCached({ from: 0 as Offset, to: 10 as Offset, bytesMax: 100 })).toBeUndefined();
    expect(stream.readCached({ from: 195 as Offset, to: 200 as Offset, bytesMax: 1e6 })?.batches.length).toBe(5);
    expect(await everything(stream)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(stream.bytes).toBe(200_000);
    const ranges = stream.ranges();
    for (let i = 1; i < ranges.length; i += 1) expect(ranges[i]?.from).toBe(ranges[i - 1]?.to);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });
});

describe("deleted and trimmed", () => {
  test("a topic deleted between upload and commit does not hold the others up", async () => {
    const storage = await start();
    const [first, third] = await Promise.all([a, c].map((id) => clock.until(storage.open(id, writer))));
    await clock.until(Promise.all([append(first as OpenedStream, 0), append(third as OpenedStream, 0)]));
    const putIfAbsent = objects.putIfAbsent.bind(objects);
    objects.putIfAbsent = async (key, body) => {
      metadata.apply([{ kind: "delete-topic", topicId: topicB }], node);
      return await putIfAbsent(key, body);
    };
    await clock.until(storage.flush());
    expect(metadata.streams.get(a)?.end).toBe(1);
    await expect(append(third as OpenedStream, 1)).rejects.toThrow(/closed/);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    expect(fatal).toEqual([]);
  });

  test("records of a deleted topic are dropped at recovery", async () => {
    const storage = await start();
    const third = await clock.until(storage.open(c, writer));
    await clock.until(append(third, 0));
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    metadata.apply([{ kind: "delete-topic", topicId: topicB }], node);
    const again = await start();
    await clock.until(again.flush());
    expect(metadata.objects.size).toBe(0);
    await clock.until(again[Symbol.asyncDispose]() as Promise<void>);
  });

  test("a trim is durable, uploads what it must, and the objects it frees go after the grace period", async () => {
    const storage = await start();
    const stream = await clock.until(storage.open(a, writer));
    await clock.until(append(stream, 0));
    await clock.until(storage.flush());
    await clock.until(append(stream, 1));
    await clock.until(storage.trim(a, 2 as Offset));
    expect(stream.start).toBe(2);
    expect(await everything(stream)).toEqual([]);
    expect((await keys()).length).toBe(2);
    await clock.run(3000);
    expect((await keys()).length).toBe(2);
    await clock.run(6000);
    expect(await keys()).toEqual([]);
    expect(metadata.unreferenced.size).toBe(0);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("the rest of a crashed upload goes when it is old; what might still be committed by its writer stays", async () => {
    await objects.put("objects/x-n1-e0-1", new Uint8Array(1)); // Of an earlier life of this node.
    await objects.put("objects/x-n2-e9-1", new Uint8Array(1)); // Of a node that is alive.
    metadata.nodes.set(2 as NodeId, 9 as Seq as never);
    await objects.put("objects/x-n2-e8-1", new Uint8Array(1)); // Of a life of it that was fenced.
    await objects.put("objects/readme", new Uint8Array(1));
    const storage = await start();
    await clock.run(30_000);
    expect((await keys()).length).toBe(4);
    await clock.run(60_000);
    expect(await keys()).toEqual(["objects/readme", "objects/x-n2-e9-1"]);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });
});

describe("cannot go on", () => {
  test("a WAL that fails is fatal: the append is refused, the owner is told once", async () => {
    const storage = await start();
    const stream = await clock.until(storage.open(a, writer));
    disk.fault = (operation) => {
      if (operation === "datasync") throw new Error("EIO");
    };
    await expect(clock.until(append(stream, 0))).rejects.toMatchObject({ happened: "maybe" });
    await expect(clock.until(append(stream, 1))).rejects.toMatchObject({ happened: "maybe" });
    expect(fatal.length).toBe(1);
    disk.fault = () => undefined;
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("a node that was fenced stops", async () => {
    const storage = await start();
    const stream = await clock.until(storage.open(a, writer));
    await clock.until(append(stream, 0));
    metadata.nodes.set(node, 99 as never);
    await expect(clock.until(storage.flush())).rejects.toThrow(/fenced/);
    expect(fatal.length).toBe(1);
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  });

  test("a record missing between the objects and the WAL is refused at start", async () => {
    const storage = await start();
    const stream = await clock.until(storage.open(a, writer));
    await clock.until(append(stream, 5));
    await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
    // The record says that it is the first of its stream; the metadata says that objects end elsewhere.
    metadata.streams.set(a, { ...(metadata.streams.get(a) as object), end: 3 } as never);
    await expect(start()).rejects.toThrow(CorruptData);
  });
});
