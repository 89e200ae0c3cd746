/** Proves: sound storage is called sound, and each kind of damage is named, with its place. */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodeEpoch, NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import { type StorageReport, verifyStorage } from "../../src/inspect/verify.ts";
import type { StreamState } from "../../src/metadata/image-state.ts";
import type { RangeRow } from "../../src/metadata/packed-range.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { patchBatch } from "../../src/protocol/record-batch.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import { encodeObject } from "../../src/stream/object-format.ts";
import { ObjectWal } from "../../src/stream/object-wal.ts";
import type { Batch } from "../../src/stream/storage.ts";
import { rangeOf } from "../../src/stream/upload-plan.ts";
import type { Wal } from "../../src/stream/wal.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { MemoryMetadata, MemoryMetadataLog } from "../support/memory-metadata.ts";
import { seededRuntime, silent } from "../support/seeded.ts";

const node = 1 as NodeId;
const topicId = "00000000-0000-4000-8000-00000000000a" as Uuid;
let log: MemoryMetadataLog;
let store: MemoryObjectStore;
let disk: MemoryDisk;
let stream: StreamId;
let objects: number;

beforeEach(() => {
  log = new MemoryMetadataLog();
  store = new MemoryObjectStore({ clock: new ManualClock() });
  disk = new MemoryDisk();
  objects = 0;
  log.apply([{ kind: "create-topic", topicId, name: "orders", partitions: 1, configs: new Map() }]);
  stream = log.image.topicByName("orders")?.partitions[0] as StreamId;
  log.apply([{ kind: "open-streams", streams: [stream] }]);
});

function batch(from: number, count: number): Batch {
  const records = Array.from({ length: count }, (_, i) => ({
    timestamp: 5,
    key: null,
    value: Buffer.from(`${from + i}`),
  }));
  const bytes = buildBatch({ records });
  patchBatch(bytes, { baseOffset: from as Offset, leaderEpoch: 1 });
  return { from: from as Offset, to: (from + count) as Offset, maxTimestamp: 5, bytes: bytes as Owned };
}

/** Puts an object of these batches, and commits it unless told otherwise. */
async function upload(
  batches: readonly Batch[],
  options: { key?: string; isCommitted?: boolean } = {},
): Promise<string> {
  objects += 1;
  const key = options.key ?? `objects/00000000-0000-4000-8000-00000000000${objects}-n1-e1-${objects}`;
  const part = {
    stream,
    epoch: 1,
    from: (batches[0] as Batch).from,
    to: (batches.at(-1) as Batch).to,
    label: new Uint8Array(3),
    sidecar: new Uint8Array(20).fill(7),
    batches,
  };
  const origin = { cluster: log.image.clusterId, node, nodeEpoch: log.epochOf(node) };
  const bytes = Buffer.concat([...encodeObject(origin, [part], 200)].flat());
  await store.put(key, bytes);
  if (options.isCommitted === false) return key;
  const ranges = [rangeOf(part)];
  const proposal = log.apply([
    { kind: "commit-object", object: key, bytes: bytes.length, objectKind: "stream", ranges },
  ]);
  expect(proposal.kind).toBe("accepted");
  return key;
}

/** Writes the batches to the WAL. `after` is where the first one says that its stream ended. */
async function writeWal(batches: readonly Batch[], after = batches[0]?.from ?? 0): Promise<void> {
  const wal = new FileWal({
    disk,
    directory: "wal",
    nodeEpoch: 1 as NodeEpoch,
    runtime: seededRuntime(1),
    limits: {
      walBytesMax: 1_000_000,
      walSegmentBytes: 65_536,
      walGroupBytesMax: 16_384,
      walGroupsInFlightMax: 1,
      walLingerMs: 0,
      walIdleMs: 100_000,
    },
    logger: silent,
  });
  await fill(wal, batches, after as Offset);
}

/** The same in the object store, a slot a batch. */
async function writeSlots(batches: readonly Batch[]): Promise<readonly string[]> {
  const limits = {
    walBytesMax: 1_000_000,
    walSlotBytesMax: 1,
    walSlotIntervalMs: 0,
    walSlotBurst: 100,
    walSlotsInFlightMax: 2,
    walCloseMsMax: 1000,
    blockBytesMax: 1000,
    uploadRetryDelayMsMin: 1,
    uploadRetryDelayMsMax: 1,
  };
  const metadata = new MemoryMetadata(log);
  const wal = new ObjectWal({ store, metadata, runtime: seededRuntime(2), limits, logger: silent });
  await fill(wal, batches, (batches[0] as Batch).from);
  const keys: string[] = [];
  for await (const { key } of store.list("wal/")) keys.push(key);
  return keys;
}

async function fill(wal: Wal, batches: readonly Batch[], after: Offset): Promise<void> {
  await wal.recover(() => undefined);
  let end = after;
  for (const each of batches) {
    const label = new Uint8Array();
    await new Promise((durable, failed) =>
      wal.append({ stream, epoch: 1, label, after: end, ...each, durable, failed }),
    );
    end = each.to;
  }
  await wal[Symbol.asyncDispose]();
}

const runtime = seededRuntime(3);

async function verify(changed: { node?: NodeId } = {}): Promise<StorageReport> {
  return await verifyStorage({
    disk,
    walDirectory: "wal",
    node,
    store,
    readImage: async () => log.image,
    runtime,
    ...changed,
  });
}

async function problems(changed: { node?: NodeId } = {}): Promise<readonly string[]> {
  const report = await verify(changed);
  for (const { advice } of report.problems) expect(advice).not.toBe("");
  return report.problems.map(({ kind, where, detail }) => `${kind}: ${where}: ${detail}`);
}

async function flip(key: string, at: number): Promise<void> {
  const bytes = await store.get(key);
  bytes[at] = (bytes[at] as number) ^ 1;
  await store.put(key, bytes);
}

describe("sound storage", () => {
  test("is counted and called sound", async () => {
    await upload([batch(0, 5), batch(5, 5)]);
    await upload([batch(10, 3)]);
    await writeWal([batch(5, 5), batch(10, 3), batch(13, 4)]); // Of which two are in objects by now.
    expect(await verify()).toMatchObject({
      problems: [],
      counts: { walSegments: 2, walRecords: 3, streams: 1, ranges: 2, objects: 2, batches: 3, collectable: 0 },
    });
  });

  test("may hold what garbage collection will take: the rest of an upload, an object that nobody names", async () => {
    const orphan = await upload([batch(0, 5)], { isCommitted: false });
    const trimmed = await upload([batch(0, 5)]);
    await upload([batch(5, 5)]);
    log.apply([{ kind: "trim-streams", streams: [{ stream, start: 5 as Offset }] }]);
    const report = await verify();
    expect(report.problems).toEqual([]);
    expect(report.collectable.toSorted()).toEqual([orphan, trimmed].toSorted());
  });
});

describe("damage", () => {
  test("a missing object", async () => {
    const key = await upload([batch(0, 5)]);
    await store.delete([key]);
    const { problems: found } = await verify();
    expect(found).toMatchObject([{ kind: "missing-object", where: key }]);
    expect(found[0]?.advice).toContain("orders-0 [0, 5)"); // What is lost with it.
  });

  test("a flipped byte, wherever in the object", async () => {
    const key = await upload([batch(0, 5), batch(5, 5)]);
    const { length } = await store.get(key);
    for (let at = 0; at < length; at += 1) {
      await flip(key, at);
      const [first] = await problems();
      expect(first, `byte ${at} of ${length}`).toMatch(/^corrupt-object: .* at byte \d+: expected/);
      await flip(key, at);
    }
    expect(await problems()).toEqual([]);
  });

  test("a batch that was spoilt before it was checksummed into a block", async () => {
    const spoilt = batch(0, 5);
    spoilt.bytes[70] = (spoilt.bytes[70] as number) ^ 1;
    const key = await upload([spoilt, batch(5, 5)]);
    expect(await problems()).toEqual([
      expect.stringMatching(`bad-batch: ${key} at byte \\d+: orders-0: batch \\[0, 5\\): .*checksum`),
    ]);
  });

  test("another length than was committed", async () => {
    const key = await upload([batch(0, 5)]);
    await store.put(key, (await store.get(key)).subarray(1));
    expect(await problems()).toEqual([expect.stringContaining(`wrong-size: ${key}`)]);
  });

  test("a gap between two ranges, and between objects and the WAL", async () => {
    await upload([batch(0, 5)]);
    await upload([batch(8, 2)]);
    await writeWal([batch(12, 2), batch(14, 2)]);
    expect(await problems()).toEqual([
      "gap: orders-0 in the WAL: offsets [10, 12) are nowhere",
      "gap: orders-0: offsets [5, 8) are nowhere",
    ]);
  });

  test("a range that is there twice, in the metadata and within an object", async () => {
    const key = await upload([batch(0, 5)]);
    const state = log.image.streamStates.get(stream) as StreamState;
    const [row] = state.ranges.rows() as [RangeRow];
    state.ranges.append({ ...row, from: 3 as Offset }); // As a spoilt checkpoint would say.
    expect(await problems()).toEqual([
      expect.stringContaining(`doubled-range: orders-0: offsets [3, 5) are there twice, again in ${key}`),
    ]);
  });

  test("batches that lie over one another in an object", async () => {
    await upload([batch(0, 5), batch(3, 4)]);
    expect(await problems()).toEqual([expect.stringContaining("offsets from 3 on are there twice")]);
  });

  test("an object whose index lacks what the metadata expects of it", async () => {
    const key = await upload([batch(0, 5)], { isCommitted: false });
    const { length: bytes } = await store.get(key);
    const range = { stream, epoch: 1, from: 0 as Offset, to: 9 as Offset, bytes: 9, maxTimestamp: 5 };
    log.apply([{ kind: "commit-object", object: key, bytes, objectKind: "stream", ranges: [range] }]);
    expect(await problems()).toEqual([
      `range-not-in-object: ${key}: the metadata expects orders-0 [0, 9), the index has [0, 5)`,
    ]);
  });

  test("an object that nobody will ever remove", async () => {
    await upload([batch(0, 5)], { key: "objects/readme.txt", isCommitted: false });
    await upload([batch(0, 5)], { key: "objects/x-n7-e1-1", isCommitted: false });
    await upload([batch(0, 5)], { key: "objects/x-n1-e99-1", isCommitted: false });
    expect((await problems()).toSorted()).toEqual([
      "stranger: objects/readme.txt: no broker gives such a name",
      expect.stringContaining("stranger: objects/x-n1-e99-1: written in epoch 99 of node 1"),
      "stranger: objects/x-n7-e1-1: node 7 has never registered",
    ]);
  });

  test("a WAL whose chain is broken, and one that lacks a segment", async () => {
    await writeWal([batch(0, 5), batch(5, 5), batch(10, 5)]);
    const files = disk.files();
    const [first, ...others] = [...files.keys()].toSorted() as [string, ...string[]];
    (files.get(first) as Uint8Array).fill(1, 4096 + 10, 4096 + 20);
    disk = MemoryDisk.of(files);
    expect(await problems()).toEqual([expect.stringMatching(/^corrupt-wal: wal: corrupt WAL segment 0 at byte 4096/)]);
    files.set("wal/0000000009999999.wal", files.get(others[0] as string) as Uint8Array);
    disk = MemoryDisk.of(files);
    expect(await problems()).toEqual([expect.stringContaining("expected 0000000000131072.wal")]);
  });

  test("records of the WAL that another node has taken the stream over without", async () => {
    await writeWal([batch(0, 5)]);
    expect(await problems({ node: 2 as NodeId })).toEqual([
      "taken-over: orders-0 in the WAL: offsets [0, 5) were acked, and another node has taken the stream over without them",
    ]);
  });
});

describe("a WAL in the object store", () => {
  test("is read as a start would recover it, and nothing is written", async () => {
    await upload([batch(0, 5)]);
    const keys = await writeSlots([batch(0, 5), batch(5, 5), batch(10, 3)]);
    expect(await verify()).toMatchObject({ problems: [], counts: { walSlots: 3, walRecords: 3 } });
    const left: string[] = [];
    for await (const { key } of store.list("wal/")) left.push(key);
    expect(left).toEqual(keys);
  });

  test("a slot that is lost is told, a slot that is damaged too", async () => {
    const keys = await writeSlots([batch(0, 5), batch(5, 5), batch(10, 3), batch(13, 1)]);
    await flip(keys[3] as string, 150);
    expect(await problems()).toEqual([expect.stringMatching(/^corrupt-wal: wal\/: corrupt wal\/1\//)]);
    await flip(keys[3] as string, 150);
    expect(await problems()).toEqual([]);
    await store.delete([keys[1] as string]);
    expect(await problems()).toEqual([expect.stringMatching(/^corrupt-wal: .*proves to have been durable/)]);
  });

  test("what one WAL has not, the other may have", async () => {
    await upload([batch(0, 5)]);
    await writeWal([batch(10, 3)]);
    expect(await problems()).toEqual(["gap: orders-0 in the WAL: offsets [5, 10) are nowhere"]);
    await writeSlots([batch(5, 5), batch(10, 3), batch(13, 2)]);
    expect(await problems()).toEqual([]);
  });
});
