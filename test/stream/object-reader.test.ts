/** Proves: reads of objects give every batch once, ask the store for as little as they can, and fetch ahead of who reads on. */
import { beforeEach, describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData, RangeUnreadable } from "../../src/base/errors.ts";
import type { NodeEpoch, NodeId, Offset, Owned, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { BlockCache } from "../../src/stream/block-cache.ts";
import type { BlockMemory } from "../../src/stream/block-memory.ts";
import { CatchupShare } from "../../src/stream/catchup-share.ts";
import { encodeObject } from "../../src/stream/object-format.ts";
import { ObjectIo } from "../../src/stream/object-io.ts";
import { ObjectReader } from "../../src/stream/object-reader.ts";
import { Pace } from "../../src/stream/pace.ts";
import type { Batch } from "../../src/stream/storage.ts";
import { FakeMetadata } from "../support/fake-metadata.ts";
import { wipingMemory } from "../support/wiping-memory.ts";

const stream = 5 as StreamId;
const node = 1 as NodeId;
const offsets = (from: number, to: number): Offset[] =>
  Array.from({ length: to - from }, (_, i) => (from + i) as Offset);

let store: MemoryObjectStore;
let metadata: FakeMetadata;
let alarms: RangeUnreadable[];
let gets: { key: string; bytes: number }[];

/** One batch an offset, 100 bytes each, blocks of 10. */
async function commit(key: string, from: number, to: number, batches = offsets(from, to)): Promise<void> {
  const held: Batch[] = batches.map((offset) => ({
    from: offset,
    to: (offset + 1) as Offset,
    maxTimestamp: offset,
    bytes: new Uint8Array(100).fill(offset) as Owned,
  }));
  const origin = { cluster: "00000000-0000-4000-8000-000000000002" as Uuid, node, nodeEpoch: 1 as NodeEpoch };
  const epoch = metadata.streams.get(stream)?.epoch as number;
  const place = { stream, epoch, from: from as Offset, to: to as Offset };
  const sidecar = from === 0 ? Uint8Array.of(1, 2) : undefined;
  const views = [...encodeObject(origin, [{ ...place, label: new Uint8Array(), sidecar, batches: held }], 1280)].flat();
  await store.put(key, views);
  const ranges = [{ ...place, bytes: 100 * held.length, maxTimestamp: to }];
  const bytes = joined(views).length;
  expect(metadata.apply([{ kind: "commit-object", object: key, bytes, objectKind: "stream", ranges }], node).kind).toBe(
    "accepted",
  );
}

function reader(
  limits: { readaheadBytesMax?: number; blockCacheBytesMax?: number; memory?: BlockMemory } = {},
): ObjectReader {
  const counting: ObjectStore = Object.assign(Object.create(store) as ObjectStore, {
    get: (key: string, range: { start: number; end: number }, room?: Uint8Array) => {
      gets.push({ key, bytes: range.end - range.start });
      return store.get(key, range, room);
    },
  });
  const pace = new Pace({
    clock: systemRuntime().clock,
    limits: { catchupLoopPercentMax: 100, catchupBytesPerSecondMax: 0 },
  });
  const io = new ObjectIo({ store: counting, pace, indexCacheBytesMax: 10_000, readsInFlightMax: 4 });
  const blocks = new BlockCache({
    io,
    memory: limits.memory ?? wipingMemory(100_000),
    blockCacheBytesMax: limits.blockCacheBytesMax ?? 100_000,
    readRequestBytesMax: 6500,
  });
  const client = metadata.register(node, { clock: systemRuntime().clock, delayMs: () => 0 });
  const share = new CatchupShare({
    clock: systemRuntime().clock,
    limits: { catchupBusyBytesPerSecondMax: 0 },
    appended: () => 0,
  });
  return new ObjectReader({
    share,
    unreadable: (range) => alarms.push(range),
    metadata: client,
    io,
    blocks,
    limits: {
      readRequestBytesMax: 6500,
      readaheadBytesMax: limits.readaheadBytesMax ?? 0,
      readsInFlightMax: 4,
      readCursorsMax: 2,
      catchupLoopPercentMax: 100,
      catchupBytesPerSecondMax: 0,
      catchupBusyBytesPerSecondMax: 0,
    },
  });
}

async function read(
  from: ObjectReader,
  start: number,
  to: number,
  bytesMax: number,
): Promise<{ found: number[]; next: number }> {
  const { batches, next } = await from.read(stream, { from: start as Offset, to: to as Offset, bytesMax });
  for (const batch of batches) expect(batch.bytes.every((byte) => byte === (batch.from & 255))).toBe(true);
  return { found: batches.map((batch) => batch.from), next };
}

beforeEach(() => {
  store = new MemoryObjectStore({ clock: systemRuntime().clock });
  metadata = new FakeMetadata();
  metadata.addStream(stream, "00000000-0000-4000-8000-000000000001" as Uuid, node);
  gets = [];
  alarms = [];
});

describe("object reader", () => {
  test("an object is opened once, and one request brings what a read needs", async () => {
    await commit("a", 0, 100);
    const cold = reader();
    expect(await read(cold, 15, 100, 2000)).toEqual({ found: offsets(15, 30), next: 30 });
    expect(gets.length).toBe(2); // The index, then two neighbouring blocks.
    expect(await read(cold, 11, 25, 1300)).toEqual({ found: offsets(11, 20), next: 20 });
    expect(gets.length).toBe(2);
  });

  test("a read stops at what was asked for, and passes over gaps", async () => {
    await commit("a", 0, 100, [...offsets(3, 5), ...offsets(50, 52)]);
    const cold = reader();
    expect(await read(cold, 0, 40, 9999)).toEqual({ found: [3, 4], next: 40 });
    expect(await read(cold, 5, 51, 9999)).toEqual({ found: [50], next: 51 });
    expect(await read(cold, 52, 200, 9999)).toEqual({ found: [], next: 100 });
    expect(await read(cold, 3, 200, 100)).toEqual({ found: [3], next: 4 });
    expect(await read(cold, 3, 200, 0)).toEqual({ found: [3], next: 4 });
    expect(await read(cold, 100, 200, 100)).toEqual({ found: [], next: 200 });
  });

  test("a read ends where a block does rather than take a part of the next, if half of what was asked for is there", async () => {
    await commit("a", 0, 100);
    const cold = reader();
    expect(await read(cold, 0, 100, 1900)).toEqual({ found: offsets(0, 10), next: 10 });
    expect(await read(cold, 10, 100, 2700)).toEqual({ found: offsets(10, 30), next: 30 });
    expect(await read(cold, 37, 100, 1000)).toEqual({ found: offsets(37, 47), next: 47 }); // What is left of the block is less than half.
  });

  test("nothing is read ahead that comes after what is asked for: it is in memory, or asked for by nobody", async () => {
    await commit("a", 0, 100);
    await commit("b", 100, 200);
    const cold = reader({ readaheadBytesMax: 64_000 });
    let next = 0;
    while (next < 50) ({ next } = await read(cold, next, 50, 1100));
    expect(gets.map(({ key }) => key)).not.toContain("b");
    const [, ...blocks] = gets; // After the index.
    expect(blocks.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(5 * 1304);
  });

  test("two readers of the same block share one request", async () => {
    await commit("a", 0, 100);
    const cold = reader();
    await Promise.all([read(cold, 0, 10, 9999), read(cold, 2, 10, 9999), read(cold, 5, 10, 9999)]);
    expect(gets.length).toBe(2);
  });

  test("who reads on is read ahead of, further each time", async () => {
    await commit("a", 0, 2000);
    const ahead = reader({ readaheadBytesMax: 64_000, blockCacheBytesMax: 200_000 });
    let next = 0;
    while (next < 2000) ({ next } = await read(ahead, next, 2000, 1000));
    expect(gets.length).toBeLessThan(60); // For 200 reads.
    gets = [];
    await read(reader({ readaheadBytesMax: 64_000 }), 500, 2000, 1000);
    expect(gets.length).toBe(2); // A reader that jumps is not read ahead of.
  });

  test("the next object is opened before its reader is there", async () => {
    await commit("a", 0, 200);
    await commit("b", 200, 400);
    const ahead = reader({ readaheadBytesMax: 16_000, blockCacheBytesMax: 200_000 });
    let next = 0;
    while (next < 200) ({ next } = await read(ahead, next, 400, 1000));
    const fetched = gets.filter(({ key }) => key === "b");
    expect(fetched.length).toBeGreaterThan(1); // Its index, and blocks.
    expect(await read(ahead, 200, 201, 1000)).toEqual({ found: [200], next: 201 });
    expect(gets.filter(({ key }) => key === "b").length).toBe(fetched.length);
  });

  test("who reads on does not push out what others read", async () => {
    await commit("a", 0, 2000);
    const cold = reader({ readaheadBytesMax: 64_000, blockCacheBytesMax: 20_000 });
    await read(cold, 1900, 1950, 9999); // Five blocks, to be read again and again.
    let next = 0;
    while (next < 500) {
      ({ next } = await read(cold, next, 500, 300));
      const before = gets.length;
      await read(cold, 1900, 1950, 9999);
      expect(gets.length, `at ${next}`).toBe(before);
    }
  });

  test("memory stays under the bound, and what was dropped is read again", async () => {
    await commit("a", 0, 200);
    const cold = reader({ blockCacheBytesMax: 3000 });
    for (let round = 0; round < 2; round += 1) {
      for (let at = 0; at < 200; at += 10)
        expect((await read(cold, at, at + 10, 9999)).found).toEqual(offsets(at, at + 10));
    }
    expect(gets.length).toBe(1 + 2 * 20);
  });

  test("what is borrowed stays for as long as it is borrowed, and its place is used again then", async () => {
    await commit("a", 0, 200);
    const memory = wipingMemory(40_000);
    const small = reader({ blockCacheBytesMax: 20_000, memory });
    const { bytesFree } = memory;
    const borrow = new DisposableStack();
    const request = { from: 0 as Offset, to: 100 as Offset, bytesMax: 2000 };
    const lent = await small.read(stream, { ...request, borrow });
    const kept = await small.read(stream, request);
    expect(kept.batches.map(({ bytes }) => bytes)).toEqual(lent.batches.map(({ bytes }) => bytes));
    expect(kept.batches[0]?.bytes.buffer).not.toBe(lent.batches[0]?.bytes.buffer);
    const before = lent.batches.map(({ bytes }) => bytes.slice());
    for (let at = 0; at < 100; at += 5) await read(small, at, 100, 500);
    expect(lent.batches.map(({ bytes }) => bytes)).toEqual(before);
    borrow.dispose();
    for (let at = 0; at < 100; at += 5) await read(small, at, 100, 500);
    expect(lent.batches.map(({ bytes }) => bytes)).not.toEqual(before);
    expect(kept.batches.map(({ bytes }) => bytes)).toEqual(before);
    expect(memory.bytesFree).toBeLessThan(bytesFree);
  });

  test("an object that was replaced meanwhile is looked up again; one that is gone is an error", async () => {
    await commit("a", 0, 10);
    const cold = reader();
    await store.delete(["a"]);
    await expect(read(cold, 0, 10, 9999)).rejects.toMatchObject({
      name: "RangeUnreadable",
      because: "missing",
      to: 10,
    });
    expect(alarms.length).toBe(1);
    const ranges = metadata.ranges.get(stream) ?? [];
    metadata.ranges.set(stream, []);
    metadata.streams.set(stream, { ...(metadata.streams.get(stream) as object), end: 0 } as never);
    await commit("b", 0, 10);
    const [replacement] = metadata.ranges.get(stream) ?? [];
    metadata.ranges.set(stream, ranges);
    const reading = read(cold, 0, 10, 9999);
    metadata.ranges.set(stream, [replacement as never]);
    expect((await reading).found).toEqual(offsets(0, 10));
  });

  test("a rotten block is an error of its own range: all around it can be read, and nothing is skipped", async () => {
    await commit("a", 0, 100);
    await commit("b", 100, 120);
    const bytes = Uint8Array.from(await store.get("a"));
    const rotten = bytes.indexOf(42, 5000); // In the block of [40, 50).
    bytes[rotten] = 41;
    await store.put("a", bytes);
    const cold = reader();
    expect(await read(cold, 0, 100, 9999)).toEqual({ found: offsets(0, 40), next: 40 });
    const failure: unknown = await read(cold, 40, 100, 9999).catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(RangeUnreadable);
    expect(failure).toMatchObject({ stream, from: 40, to: 100, object: "a", because: "corrupt" });
    expect((failure as RangeUnreadable).cause).toBeInstanceOf(CorruptData);
    expect(await read(cold, 50, 100, 99_999)).toEqual({ found: offsets(50, 100), next: 100 });
    expect((await read(cold, 100, 120, 9999)).found).toEqual(offsets(100, 120));
    expect(alarms).toEqual([failure]);
  });

  test("the newest sidecar is found behind ranges that have none", async () => {
    await commit("a", 0, 10);
    await commit("b", 10, 20);
    expect(await reader().sidecar(stream)).toEqual({ upTo: 10, bytes: Uint8Array.of(1, 2) });
    expect(metadata.seq as Seq).toBeGreaterThan(0);
  });
});
