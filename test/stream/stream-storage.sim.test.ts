/**
 * Proves: whatever dies, and whenever, every acked batch is read back exactly once and in order, and the newest sidecar
 * with the batches behind it gives the writer's whole state.
 */
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import type { NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import type { Runtime } from "../../src/base/runtime.ts";
import type { CasLog } from "../../src/metadata/cas-log.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { type MetadataLimits, openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import type { StreamLimits } from "../../src/stream/limits.ts";
import { ObjectWal } from "../../src/stream/object-wal.ts";
import type { OpenedStream, StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage, type StreamStorageOptions } from "../../src/stream/stream-storage.ts";
import type { Wal } from "../../src/stream/wal.ts";
import { NodeClock, SimClock } from "../sim/clock.ts";
import { SimDisk } from "../sim/disk.ts";
import { HastyWal } from "../sim/hasty-wal.ts";
import { SimRandom } from "../sim/random.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { silent } from "../support/seeded.ts";
import { TroubledStore } from "../support/troubled-store.ts";
import { wipingMemory } from "../support/wiping-memory.ts";

const node = 1 as NodeId;
const topicId = "00000000-0000-4000-8000-000000000001" as Uuid;
/** A stream a partition, in the order in which the metadata gives them out. */
const streams = [1, 2, 3].map((id) => id as StreamId);

const limits: StreamLimits = {
  uploadBytesMax: 20_000,
  uploadIntervalMsMax: 400,
  uploadsInFlightMax: 2,
  uploadPartBytes: 3000,
  streamObjectBytesMin: 6000,
  objectStreamsMax: 2,
  blockBytesMax: 1500,
  walReferenceBytesMin: 1000,
  uploadRetryDelayMsMin: 5,
  uploadRetryDelayMsMax: 50,
  uploadHedgesInFlightMax: 1,
  uploadHedgePercentile: 80,
  uploadHedgeMsMin: 1,
  logCacheBytesMax: 40_000,
  blockCacheBytesMax: 10_000,
  indexCacheBytesMax: 1000,
  readRequestBytesMax: 4000,
  readaheadBytesMax: 8000,
  readsInFlightMax: 2,
  readCursorsMax: 4,
  catchupLoopPercentMax: 50,
  catchupBytesPerSecondMax: 1_000_000,
  catchupBusyBytesPerSecondMax: 0,
  mergeIntervalMs: 350,
  mergePieceBytesMin: 0,
  mergeSourcesMin: 2,
  mergeSourcesMax: 5,
  mergeObjectBytesMax: 30_000,
  mergeSpanMsMax: 1_000_000,
  mergeCycleBytesMax: 40_000,
  mergeCycleRangesMax: 12,
  mergeMemoryBytesMax: 6000,
  mergeBytesPerSecondMax: 1_000_000,
  garbageIntervalMs: 300,
  garbageGraceMs: 500,
  orphanAgeMsMin: 2000,
};

const metadataLimits: MetadataLimits = {
  pollMs: 50,
  readEntriesMax: 100,
  batchProposalsMax: 10,
  batchBytesMax: 100_000,
  proposalsWaitingMax: 100,
  checkpointEntries: 20,
  retry: { delayMsMin: 5, delayMsMax: 50 },
};

interface Appended {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: Uint8Array;
  isAcked: boolean;
}

/** What a stream's writer knows, folded from its batches: enough to notice a lost, doubled or swapped one. */
interface State {
  readonly end: number;
  readonly fold: number;
}

function fold(state: State, batch: { readonly from: number; readonly to: number; readonly bytes: Uint8Array }): State {
  let sum = Math.imul(state.fold, 31) + batch.from;
  for (const byte of batch.bytes) sum = Math.imul(sum, 33) + byte;
  return { end: batch.to, fold: sum | 0 };
}

/** A bug, to see that it is found. */
interface Plant {
  readonly wrapWal?: (wal: Wal) => Wal;
  readonly wrapMerged?: StreamStorageOptions["wrapMerged"];
}

class World {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly disk: SimDisk;
  readonly metadataLog = new MemoryLog();
  readonly objects: MemoryObjectStore;
  /** Everything ever appended and not known to be lost, per stream. */
  readonly model = new Map<StreamId, Appended[]>(streams.map((id) => [id, []]));
  readonly states = new Map<StreamId, State>();
  readonly opened = new Map<StreamId, OpenedStream>();
  readonly plant: Plant;
  /** Objects that took the place of others. */
  merges = 0;
  propose: MetadataClient["propose"] = () => Promise.reject(new Error("not started"));
  life = 0;
  groupsReadBack = 0;
  fatal: unknown;
  nodeClock: NodeClock;
  storage: StreamStorage | undefined;
  store: TroubledStore | undefined;

  readonly kind: "file" | "object";

  constructor(seed: number, plant: Plant = {}) {
    this.kind = seed % 2 === 0 ? "object" : "file";
    this.random = new SimRandom(seed);
    this.disk = new SimDisk({ clock: this.clock, random: this.random.fork("disk") });
    this.objects = new MemoryObjectStore({ clock: this.clock });
    this.nodeClock = new NodeClock(this.clock);
    this.plant = plant;
  }

  async start(): Promise<void> {
    this.life += 1;
    this.fatal = undefined;
    this.nodeClock = new NodeClock(this.clock);
    const clock = this.nodeClock;
    const random = this.random.fork(`life ${this.life}`);
    const runtime: Runtime = { clock, random };
    const slowness = random.pick([2, 10, 400]);
    const metadata = await openMetadata({
      log: new SlowLog(this.metadataLog, () => sleep(clock, random.unit() * slowness)),
      nodeId: node,
      node: { host: "a", port: 1, rack: null },
      runtime,
      logger: silent,
      limits: metadataLimits,
      failed: (cause) => {
        this.fatal = cause;
      },
    });
    metadata.onChange((events) => {
      if (events.some(({ kind }) => kind === "replace-ranges")) this.merges += 1;
    });
    if (this.life === 1) {
      const topic = { topicId, name: "t", partitions: streams.length, configs: new Map<string, string>() };
      expect((await metadata.propose([{ kind: "create-topic", ...topic }])).kind).toBe("accepted");
      expect(metadata.image.topic(topicId)?.partitions).toEqual(streams);
    }
    this.store = new TroubledStore(this.objects, { clock, random, failing: random.pick([0, 0.1, 0.5, 0.98]) });
    const wal = this.#wal(metadata, runtime);
    if (wal.readGroup !== undefined) {
      const readGroup = wal.readGroup.bind(wal);
      wal.readGroup = (group) => {
        this.groupsReadBack += 1;
        return readGroup(group);
      };
    }
    const fatal = (cause: unknown): void => {
      this.fatal = cause;
    };
    this.storage = await openStreamStorage({
      wal: this.plant.wrapWal?.(wal) ?? wal,
      store: this.store,
      blockMemory: wipingMemory(limits.blockCacheBytesMax),
      metadata,
      runtime,
      limits,
      metrics: noMetrics,
      fatal,
      logger: silent,
      wrapMerged: this.plant.wrapMerged ?? ((batches) => batches),
    });
    this.propose = (events) => metadata.propose(events);
    for (const id of streams) await this.open(id);
  }

  #wal(metadata: MetadataClient, runtime: Runtime): Wal {
    if (this.kind === "object") {
      return new ObjectWal({
        store: this.store as TroubledStore,
        metadata,
        runtime,
        limits: {
          ...limits,
          walBytesMax: 300_000,
          walSlotBytesMax: 4096,
          walSlotIntervalMs: 20,
          walSlotBurst: 3,
          walSlotsInFlightMax: 3,
          walCloseMsMax: 1_000,
        },
        logger: silent,
      });
    }
    return new FileWal({
      disk: this.disk,
      directory: "/wal",
      nodeEpoch: metadata.nodeEpoch,
      runtime,
      limits: {
        walBytesMax: 300_000,
        walSegmentBytes: 8192,
        walGroupBytesMax: 4096,
        walGroupsInFlightMax: 3,
        walLingerMs: 0,
        walIdleMs: 100,
      },
      logger: silent,
    });
  }

  /** Opens the stream and checks everything that was promised about it. */
  async open(id: StreamId): Promise<void> {
    this.states.delete(id);
    expect((await this.propose([{ kind: "open-streams", streams: [id] }])).kind).toBe("accepted");
    const stream = await (this.storage as StreamStorage).open(id, {
      label: Uint8Array.of(id),
      sidecar: () => {
        const state = this.states.get(id);
        if (state === undefined) throw new Error("asked before the owner has replayed the tail");
        return encodeState(state);
      },
    });
    const model = this.model.get(id) as Appended[];
    const end = stream.end;
    const ackedEnd = model.findLast((batch) => batch.isAcked)?.to ?? 0;
    expect(end, `acked batches of stream ${id}`).toBeGreaterThanOrEqual(ackedEnd);
    const kept = model.filter((batch) => batch.to <= end);
    for (const batch of kept) batch.isAcked = true; // Shown once, they must stay.
    this.model.set(id, kept);
    const visible = kept.filter((batch) => batch.to > stream.start);
    expect(await readAll(stream, stream.start)).toEqual(visible.map(plain));
    let state: State = stream.sidecar === undefined ? { end: 0, fold: 0 } : decodeState(stream.sidecar.bytes);
    if (stream.sidecar !== undefined) expect(state.end).toBeLessThanOrEqual(stream.sidecar.upTo);
    if (stream.sidecar !== undefined || stream.start === 0) {
      for (const batch of await readAll(stream, (stream.sidecar?.upTo ?? 0) as Offset)) {
        if (batch.from >= state.end) state = fold(state, batch);
      }
      expect(state.fold, `state of stream ${id}`).toBe(kept.reduce(fold, { end: 0, fold: 0 }).fold);
    }
    this.states.set(id, kept.reduce(fold, { end: 0, fold: 0 }));
    this.opened.set(id, stream);
  }

  append(id: StreamId): void {
    const stream = this.opened.get(id) as OpenedStream;
    const state = this.states.get(id) as State;
    const from = (state.end + (this.random.chance(0.1) ? 3 : 0)) as Offset;
    const to = (from + 1 + this.random.below(4)) as Offset;
    const bytes = this.random.fill(new Uint8Array(this.random.below(1500))) as Owned;
    const batch: Appended = { from, to, bytes, isAcked: false };
    (this.model.get(id) as Appended[]).push(batch);
    const life = this.life;
    const settled = stream.append({ from, to, bytes, maxTimestamp: from });
    this.states.set(id, fold(state, batch));
    const acked = (): void => {
      if (life === this.life) batch.isAcked = true;
    };
    settled.then(acked, () => undefined); // When it fails, `fatal` has been told.
  }

  async turn(): Promise<void> {
    const id = this.random.pick(streams);
    const stream = this.opened.get(id) as OpenedStream;
    const dice = this.random.unit();
    if (dice < 0.6) {
      if (stream.admission === "backoff") await stream.admitted();
      for (let i = this.random.below(6); i >= 0; i -= 1) this.append(this.random.pick(streams));
    } else if (dice < 0.75) await this.readSome(stream, id);
    else if (dice < 0.85) await sleep(this.nodeClock, this.random.unit() * 200);
    else if (dice < 0.9) await this.storage?.flush();
    else if (dice < 0.93) {
      const batches = (this.model.get(id) as Appended[]).filter((batch) => batch.isAcked && batch.to > stream.start);
      if (batches.length > 3) await this.storage?.trim(id, this.random.pick(batches).from);
    } else if (dice < 0.95) {
      await this.storage?.close(id);
      await this.open(id);
    } else await sleep(this.nodeClock, 1);
  }

  async readSome(stream: OpenedStream, id: StreamId): Promise<void> {
    const model = this.model.get(id) as Appended[];
    const { start, end } = stream;
    const visible = model.filter((batch) => batch.to > start && batch.to <= end);
    if (visible.length === 0) return;
    const first = this.random.below(visible.length);
    const from = (visible[first] as Appended).from;
    const bytesMax = this.random.below(6000);
    using borrow = this.random.chance(0.5) ? new DisposableStack() : undefined;
    const request = { from, to: end, bytesMax, borrow };
    const result = this.random.chance(0.3) ? stream.readCached(request) : await stream.read(request);
    if (result === undefined) return;
    // What is borrowed stays as it is while others read; what is not, for good.
    if (this.random.chance(0.5)) await sleep(this.nodeClock, 5);
    expect(result.batches.map(plain)).toEqual(visible.slice(first, first + result.batches.length).map(plain));
    expect(result.batches.length).toBeGreaterThan(0);
    expect(result.next).toBeGreaterThanOrEqual((result.batches.at(-1) as Appended).to);
    const following = visible[first + result.batches.length];
    if (following !== undefined) expect(result.next).toBeLessThanOrEqual(following.from);
    const bytes = result.batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    if (result.batches.length > 1) expect(bytes).toBeLessThanOrEqual(bytesMax);
  }

  crash(): void {
    this.clock.trace("crash");
    this.nodeClock.kill();
    this.disk.crash();
  }
}

/** Reads in small steps, so that the seams are read across too. */
async function readAll(stream: OpenedStream, from: Offset): Promise<{ from: Offset; to: Offset; bytes: Uint8Array }[]> {
  const found: { from: Offset; to: Offset; bytes: Uint8Array }[] = [];
  for (let next = from; next < stream.end; ) {
    const result = await stream.read({ from: next, to: stream.end, bytesMax: 2500 });
    found.push(...result.batches.map(plain));
    expect(result.next).toBeGreaterThan(next);
    next = result.next;
  }
  return found;
}

function plain(batch: { readonly from: Offset; readonly to: Offset; readonly bytes: Uint8Array }): {
  from: Offset;
  to: Offset;
  bytes: Uint8Array;
} {
  return { from: batch.from, to: batch.to, bytes: Uint8Array.from(batch.bytes) };
}

function encodeState(state: State): Uint8Array {
  return Buffer.from(JSON.stringify(state));
}

function decodeState(bytes: Uint8Array): State {
  return JSON.parse(Buffer.from(bytes).toString()) as State;
}

async function live(world: World): Promise<void> {
  const { clock, random } = world;
  for (let life = 0; life < 4; life += 1) {
    await clock.until(world.start());
    const dieAtMs = clock.monotonic() + random.unit() * 3000;
    let isDead = false;
    const death = clock.after(dieAtMs - clock.monotonic(), () => {
      world.crash();
      isDead = true;
    });
    const work = async (): Promise<void> => {
      while (!isDead) await world.turn();
    };
    const working = work().catch((cause: unknown) => {
      if (!isDead || !(cause instanceof OperationFailed)) throw cause;
    });
    await clock.until(Promise.race([working, died(world, () => isDead)]));
    death[Symbol.dispose]();
    expect(world.fatal).toBeUndefined();
  }
  await clock.until(world.start());
}

async function died(world: World, isDead: () => boolean): Promise<void> {
  while (!isDead()) await sleep(world.clock, 10);
}

describe("stream storage", () => {
  test("acked batches survive crashes at any moment, with a store that fails", { timeout: 120_000 }, async () => {
    const seeds = Number(process.env.SEEDS ?? 60);
    let groupsReadBack = 0;
    let merges = 0;
    for (let seed = 1; seed <= seeds; seed += 1) {
      const world = new World(seed);
      await live(world).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${world.clock.recentTrace().slice(-5).join("\n")}`, { cause });
      });
      expect([...world.model.values()].flat().length).toBeGreaterThan(20);
      groupsReadBack += world.groupsReadBack;
      merges += world.merges;
    }
    expect(merges).toBeGreaterThan(seeds);
    expect(groupsReadBack).toBeGreaterThan(100); // Memory did leave batches to the WAL.
  });

  test.each<[what: string, plant: Plant, found: RegExp, firstSeed: 1 | 2]>([
    [
      "a WAL in a file that acks before the sync loses batches",
      { wrapWal: (wal) => new HastyWal(wal) },
      /acked batches of stream|corrupt WAL/,
      1,
    ],
    [
      "a WAL in the store that acks before it is there loses batches",
      { wrapWal: (wal) => new HastyWal(wal) },
      /acked batches of stream|to deeply equal/,
      2,
    ],
    [
      "a merge that leaves out the last batch of a block loses it",
      { wrapMerged: (batches) => batches.slice(0, -1) },
      /toEqual|to deeply equal|toBeGreaterThan|to be less than or equal/,
      1,
    ],
  ])("planted bug: %s, and this test sees it", { timeout: 120_000 }, async (_, plant, found, firstSeed) => {
    let caught = 0;
    for (let seed: number = firstSeed; seed <= 200 && caught === 0; seed += 2) {
      await live(new World(seed, plant)).catch((cause: unknown) => {
        expect(String(cause)).toMatch(found);
        caught += 1;
      });
    }
    expect(caught).toBe(1);
  });
});

/** An append takes its time before and after it happens, and never returns to a node that died meanwhile. */
class SlowLog implements CasLog {
  readonly #log: CasLog;
  readonly #pause: () => Promise<void>;
  constructor(log: CasLog, pause: () => Promise<void>) {
    this.#log = log;
    this.#pause = pause;
  }
  async append(entry: Parameters<CasLog["append"]>[0]): ReturnType<CasLog["append"]> {
    await this.#pause();
    const outcome = await this.#log.append(entry);
    await this.#pause();
    return outcome;
  }
  read(...request: Parameters<CasLog["read"]>): ReturnType<CasLog["read"]> {
    return this.#log.read(...request);
  }
  readCheckpoint(): ReturnType<CasLog["readCheckpoint"]> {
    return this.#log.readCheckpoint();
  }
  writeCheckpoint(checkpoint: Parameters<CasLog["writeCheckpoint"]>[0]): Promise<void> {
    return this.#log.writeCheckpoint(checkpoint);
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
