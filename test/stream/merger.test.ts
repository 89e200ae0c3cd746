/** Proves: merges lose nothing, whatever happens to their streams meanwhile, and in the end the bucket holds what the image names. */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { Body, ByteRange, Created } from "../../src/object-store/object-store.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import type { StreamLimits } from "../../src/stream/limits.ts";
import type { OpenedStream, StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage } from "../../src/stream/stream-storage.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { seededRandom, silent } from "../support/seeded.ts";
import { smallStreams } from "../support/stream-limits.ts";

const limits: StreamLimits = {
  ...smallStreams,
  mergeIntervalMs: 10_000,
  mergePieceBytesMin: 0,
  mergeSourcesMin: 4,
  streamObjectBytesMin: 5000,
  blockBytesMax: 1000,
  mergeMemoryBytesMax: 4000,
  uploadPartBytes: 2000,
  logCacheBytesMax: 200_000,
  uploadBytesMax: 100_000,
  garbageGraceMs: 5000,
};

/** Lets a test act just before an object is written. */
class Bucket extends MemoryObjectStore {
  beforeWrite: () => Promise<void> = async () => undefined;
  bytesRead = 0;

  override async putIfAbsent(key: string, body: Body): Promise<Created> {
    await this.beforeWrite();
    return await super.putIfAbsent(key, body);
  }

  override async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    const bytes = await super.get(key, range);
    this.bytesRead += bytes.length;
    return bytes;
  }

  async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.list("")) keys.push(key);
    return keys.sort();
  }
}

let clock: SimClock;
let bucket: Bucket;
let log: MemoryLog;
let errors: string[];
let lives: number;
/** What each stream must give. */
let written: Map<StreamId, { readonly from: number; readonly bytes: Uint8Array }[]>;

beforeEach(() => {
  clock = new SimClock();
  bucket = new Bucket({ clock });
  log = new MemoryLog();
  errors = [];
  lives = 0;
  written = new Map();
});

interface Life {
  readonly metadata: MetadataClient;
  readonly storage: StreamStorage;
  readonly streams: Map<StreamId, OpenedStream>;
  append(id: StreamId, bytes: number): void;
  /** Opens the streams of the topic. */
  open(topic: Uuid): Promise<StreamId[]>;
}

/** Whoever writes them is fenced first. */
function take(metadata: MetadataClient, streams: readonly StreamId[]): Promise<Proposal> {
  const { image, nodeId: own } = metadata;
  const events: MetadataEvent[] = [];
  for (const nodeId of new Set(streams.map((id) => image.stream(id)?.node))) {
    const epoch = nodeId === undefined || nodeId === own ? undefined : image.node(nodeId)?.epoch;
    if (nodeId !== undefined && epoch !== undefined) events.push({ kind: "fence-node", nodeId, epoch });
  }
  return metadata.propose([...events, { kind: "open-streams", streams }]);
}

const logger: Logger = { ...silent, error: (message) => errors.push(message) };

/** Each life has a WAL of its own: what was not uploaded is gone. */
async function start(change: Partial<StreamLimits> = {}, node = 1): Promise<Life> {
  lives += 1;
  const runtime = { clock, random: seededRandom(lives) };
  const failed = (cause: unknown): void => void errors.push(String(cause));
  const opening = openMetadata({
    log,
    nodeId: node as NodeId,
    node: { host: "h", port: 1, rack: null },
    runtime,
    logger,
    limits: {
      pollMs: 100,
      readEntriesMax: 100,
      batchProposalsMax: 10,
      batchBytesMax: 100_000,
      proposalsWaitingMax: 100,
      checkpointEntries: 1000,
      retry: { delayMsMin: 5, delayMsMax: 50 },
    },
    failed,
  });
  const metadata = await clock.until(opening);
  const wal = new FileWal({
    disk: new MemoryDisk(),
    directory: "wal",
    nodeEpoch: metadata.nodeEpoch,
    runtime,
    limits: {
      walBytesMax: 1_000_000,
      walSegmentBytes: 200_000,
      walGroupBytesMax: 50_000,
      walGroupsInFlightMax: 3,
      walLingerMs: 0,
      walIdleMs: 100,
    },
    logger,
  });
  const all = { ...limits, ...change };
  const parts = { wal, store: bucket, metadata, runtime, limits: all, logger, metrics: noMetrics, fatal: failed };
  const storage = await clock.until(openStreamStorage(parts));
  const streams = new Map<StreamId, OpenedStream>();
  return {
    metadata,
    storage,
    streams,
    append(id, length) {
      const bytes = new Uint8Array(length).fill(lives + (written.get(id)?.length ?? 0)) as Owned;
      const known = written.get(id) ?? [];
      written.set(id, known);
      const from = (known.at(-1)?.from ?? -1) + 1;
      known.push({ from, bytes });
      const batch = { from: from as Offset, to: (from + 1) as Offset, bytes, maxTimestamp: from };
      streams.get(id)?.append(batch).catch(failed);
    },
    async open(topic) {
      const ids = [...(metadata.image.topic(topic)?.partitions ?? [])];
      await clock.until(take(metadata, ids));
      for (const id of ids) {
        const sidecar = (): Uint8Array => Buffer.from(`${written.get(id)?.length ?? 0} written`);
        streams.set(id, await clock.until(storage.open(id, { label: Buffer.from(`label ${id}`), sidecar })));
      }
      return ids;
    },
  };
}

async function stop({ storage, metadata }: Life): Promise<void> {
  await clock.until(storage[Symbol.asyncDispose]() as Promise<void>);
  await clock.until(metadata[Symbol.asyncDispose]() as Promise<void>);
}

function topicId(number: number): Uuid {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}` as Uuid;
}

async function createTopic({ metadata }: Life, number: number, partitions: number): Promise<Uuid> {
  const topic = { topicId: topicId(number), name: `topic ${number}`, partitions, configs: new Map<string, string>() };
  await clock.until(metadata.propose([{ kind: "create-topic", ...topic }]));
  return topic.topicId;
}

/** Uploads some rounds of a few batches a stream. */
async function upload(life: Life, ids: readonly StreamId[], rounds: number, bytes = 100): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const id of ids) life.append(id, bytes);
    for (const id of ids) life.append(id, bytes);
    await clock.until(life.storage.flush());
  }
}

async function expectAll(life: Life, ids: readonly StreamId[]): Promise<void> {
  for (const id of ids) {
    const stream = life.streams.get(id) as OpenedStream;
    const found: { from: number; bytes: Uint8Array }[] = [];
    for (let next = stream.start; next < stream.end; ) {
      const result = await clock.until(stream.read({ from: next, to: stream.end, bytesMax: 700 }));
      for (const { from, bytes } of result.batches) found.push({ from, bytes: Uint8Array.from(bytes) });
      next = result.next;
    }
    expect(found).toEqual(written.get(id)?.filter(({ from }) => from >= stream.start));
  }
}

function objectsOf({ metadata }: Life): string[] {
  return [...metadata.image.objects()].map(({ key }) => key).sort();
}

function rangesOf({ metadata }: Life, id: StreamId): number[] {
  return metadata.image.ranges(id, 0 as Offset).map(({ from }) => from);
}

/** Cycles of merging, and the time that garbage takes. */
async function cycles(count: number): Promise<void> {
  await clock.run(count * limits.mergeIntervalMs + limits.garbageGraceMs + 3 * limits.garbageIntervalMs);
}

describe("merges", () => {
  test("many uploads become few objects and few ranges, in which everything is found by the next process", async () => {
    const life = await start();
    const ids = await life.open(await createTopic(life, 1, 5));
    await upload(life, ids, 20);
    expect(objectsOf(life)).toHaveLength(20);
    await cycles(2);
    expect(objectsOf(life).length).toBeLessThan(5);
    expect(rangesOf(life, ids[0] as StreamId).length).toBeLessThan(5);
    await expectAll(life, ids);
    await stop(life);
    const next = await start();
    await next.open(topicId(1));
    await expectAll(next, ids);
    for (const id of ids) {
      const stream = next.streams.get(id) as OpenedStream;
      expect(stream.sidecar?.upTo).toBe(40);
      expect(Buffer.from(stream.sidecar?.bytes ?? []).toString()).toBe("40 written");
    }
    expect(errors).toEqual([]);
    await stop(next);
  });

  test("a large stream leaves the shared objects; small batches come to lie in large blocks", async () => {
    const life = await start();
    const [small, large] = (await life.open(await createTopic(life, 1, 2))) as [StreamId, StreamId];
    for (let round = 0; round < 8; round += 1) {
      await upload(life, [small], 1, 10);
      for (let i = 0; i < 8; i += 1) life.append(large, 100);
      life.append(small, 10);
      await clock.until(life.storage.flush());
    }
    await cycles(3);
    const kinds = life.metadata.image
      .ranges(large, 0 as Offset)
      .map(({ object }) => life.metadata.image.object(object)?.kind);
    expect(kinds).toContain("stream");
    await expectAll(life, [small, large]);
    expect(errors).toEqual([]);
    await stop(life);
  });

  test("after deletes and three cycles the bucket holds exactly what the image names, and the image no garbage", async () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const random = new SimRandom(seed);
      [bucket, log, written] = [new Bucket({ clock }), new MemoryLog(), new Map()];
      const life = await start();
      const kept: StreamId[] = [];
      for (let number = 1; number <= 4; number += 1) {
        const ids = await life.open(await createTopic(life, number, 1 + random.below(3)));
        if (number > 2) kept.push(...ids);
      }
      for (let round = 0; round < 30; round += 1) {
        for (const id of life.streams.keys()) {
          if (random.chance(0.7)) life.append(id, random.pick([10, 100, 900]));
        }
        await clock.until(life.storage.flush());
        await clock.run(random.below(8000));
        const id = random.pick(kept);
        const { length } = written.get(id) ?? [];
        if (random.chance(0.2)) await clock.until(life.storage.trim(id, random.below((length ?? 0) + 1) as Offset));
        if (round === 15) await clock.until(life.metadata.propose([{ kind: "delete-topic", topicId: topicId(1) }]));
        for (const gone of life.streams.keys())
          if (life.metadata.image.stream(gone) === undefined) life.streams.delete(gone);
      }
      await clock.until(life.metadata.propose([{ kind: "delete-topic", topicId: topicId(2) }]));
      await cycles(3);
      expect([...life.metadata.image.unreferenced()], `seed ${seed}`).toEqual([]);
      expect(await bucket.keys(), `seed ${seed}`).toEqual(objectsOf(life));
      await expectAll(life, kept);
      expect(errors, `seed ${seed}`).toEqual([]);
      await stop(life);
    }
  });
});

describe("while a merge is on its way", () => {
  /** Runs `act` once, when a merged object is about to be written. */
  async function during(life: Life, ids: readonly StreamId[], act: () => Promise<unknown>): Promise<boolean> {
    await upload(life, ids, 4);
    let hasActed = false;
    bucket.beforeWrite = async () => {
      if (hasActed) return;
      hasActed = true;
      await act();
    };
    await cycles(1);
    return hasActed;
  }

  test("a stream is trimmed: the others are merged, and nothing of the trimmed one comes back", async () => {
    const life = await start();
    const ids = await life.open(await createTopic(life, 1, 3));
    const [first, second] = ids as [StreamId, StreamId];
    expect(await during(life, ids, () => life.storage.trim(first, 5 as Offset))).toBe(true);
    expect(rangesOf(life, first)).toEqual([4, 6]);
    expect(rangesOf(life, second)).toEqual([0]);
    await expectAll(life, ids);
    await stop(life);
  });

  test("the topic is deleted: what was written for it goes at once", async () => {
    const life = await start({ orphanAgeMsMin: 1e9 });
    const ids = await life.open(await createTopic(life, 1, 3));
    const remove = () => life.metadata.propose([{ kind: "delete-topic", topicId: topicId(1) }]);
    expect(await during(life, ids, remove)).toBe(true);
    expect(await bucket.keys()).toEqual([]);
    await stop(life);
  });

  test("another node takes the streams: the merge is refused, and the new owner goes on with what it was", async () => {
    const life = await start({ orphanAgeMsMin: 1e9 });
    const ids = await life.open(await createTopic(life, 1, 2));
    const other = await start({ mergeIntervalMs: 1e9 }, 2);
    expect(await during(life, ids, () => take(other.metadata, ids))).toBe(true);
    expect(await bucket.keys()).toEqual(expect.arrayContaining(objectsOf(other)));
    expect(rangesOf(other, ids[0] as StreamId)).toEqual([0, 2, 4, 6]);
    await stop(life);
    for (const id of ids) other.streams.set(id, await clock.until(other.storage.open(id, writer)));
    await expectAll(other, ids);
    await stop(other);
  });

  test("a reader of a replaced object has the grace period; who comes later finds the merged one", async () => {
    const life = await start({ logCacheBytesMax: 1500, uploadBytesMax: 300 });
    const ids = await life.open(await createTopic(life, 1, 2));
    await during(life, ids, () => expectAll(life, ids));
    await expectAll(life, ids);
    expect(errors).toEqual([]);
    await stop(life);
  });
});

const writer = { label: new Uint8Array(), sidecar: () => new Uint8Array() };

describe("a merger", () => {
  test("leaves an object alone that cannot be read, says so once, and merges the rest", async () => {
    const life = await start();
    const ids = await life.open(await createTopic(life, 1, 2));
    await upload(life, ids, 1);
    const [damaged] = (await bucket.keys()) as [string];
    const bytes = await bucket.get(damaged);
    await bucket.put(
      damaged,
      Uint8Array.from(bytes, (byte, index) => (index === 60 ? byte ^ 1 : byte)),
    );
    await upload(life, ids, 4);
    await cycles(3);
    expect(errors).toEqual(["an object cannot be merged"]);
    expect(rangesOf(life, ids[0] as StreamId)).toEqual([0, 2]);
    expect(await bucket.keys()).toContain(damaged);
    await stop(life);
  });

  test("stands still while producers are held back", async () => {
    const life = await start({ logCacheBytesMax: 3000 });
    const ids = await life.open(await createTopic(life, 1, 1));
    await upload(life, ids, 4);
    const before = bucket.bytesRead;
    const away = Promise.withResolvers<void>(); // The store takes nothing for a while.
    bucket.beforeWrite = () => away.promise;
    for (let i = 0; i < 10; i += 1) life.append(ids[0] as StreamId, 300);
    expect(life.streams.get(ids[0] as StreamId)?.admission).toBe("backoff");
    await cycles(2);
    expect(bucket.bytesRead).toBe(before);
    away.resolve();
    await clock.until(life.storage.flush());
    await cycles(1);
    expect(bucket.bytesRead).toBeGreaterThan(before);
    expect(rangesOf(life, ids[0] as StreamId).length).toBeLessThan(3);
    await stop(life);
  });

  test("reads no faster than it may", async () => {
    const life = await start({ mergeBytesPerSecondMax: 1000, blockBytesMax: 500 });
    const ids = await life.open(await createTopic(life, 1, 1));
    await upload(life, ids, 4, 1000);
    await clock.run(limits.mergeIntervalMs);
    const before = bucket.bytesRead;
    await clock.run(3000);
    expect(bucket.bytesRead - before).toBeLessThan(5000);
    await cycles(2);
    expect(rangesOf(life, ids[0] as StreamId)).toEqual([0]);
    await stop(life);
  });

  test("what a process leaves behind in the middle of a merge is removed by the next", async () => {
    const life = await start();
    const ids = await life.open(await createTopic(life, 1, 2));
    await upload(life, ids, 4);
    let merged = "";
    bucket.putIfAbsent = async (key, body) => {
      await MemoryObjectStore.prototype.putIfAbsent.call(bucket, key, body);
      merged = key;
      return await new Promise(() => undefined); // The process is dead by now.
    };
    await clock.run(2 * limits.mergeIntervalMs);
    expect(await bucket.keys()).toContain(merged);
    Reflect.deleteProperty(bucket, "putIfAbsent");
    const next = await start({ mergeIntervalMs: 1e9, orphanAgeMsMin: 1000 });
    await clock.run(60_000);
    expect(await bucket.keys()).toEqual(objectsOf(next));
    await next.open(topicId(1));
    await expectAll(next, ids);
    await stop(next);
  });
});

describe("garbage", () => {
  test("of a node that is gone is removed by another, later than its own would be", async () => {
    const gone = await start({ mergeIntervalMs: 1e9, garbageIntervalMs: 1e9 });
    const ids = await gone.open(await createTopic(gone, 1, 2));
    await upload(gone, ids, 4);
    await stop(gone);
    const life = await start({}, 2);
    await life.open(topicId(1));
    await clock.run(limits.mergeIntervalMs + 3 * limits.garbageGraceMs);
    expect(rangesOf(life, ids[0] as StreamId)).toEqual([0]);
    expect(await bucket.keys()).toHaveLength(5);
    await clock.run(2 * limits.garbageGraceMs);
    expect(await bucket.keys()).toEqual(objectsOf(life));
    expect(objectsOf(life)).toHaveLength(1);
    await expectAll(life, ids);
    await stop(life);
  });

  test("is removed however much of it there is", async () => {
    const life = await start({ mergeIntervalMs: 1e9 });
    await createTopic(life, 1, 1);
    const objects = Array.from({ length: 2500 }, (_, index) => `objects/${index}`);
    const empty = { kind: "commit-object", bytes: 1, objectKind: "stream", ranges: [] } as const;
    for (const object of objects) await bucket.put(object, new Uint8Array(1));
    await clock.until(life.metadata.propose(objects.map((object) => ({ ...empty, object }))));
    await clock.run(limits.garbageGraceMs + 2 * limits.garbageIntervalMs);
    expect([await bucket.keys(), objectsOf(life)]).toEqual([[], []]);
    await stop(life);
  });
});
