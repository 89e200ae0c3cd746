/**
 * Proves: what a node acked into the object store is there, once and in order, for whoever takes it over; and the node, which
 * may well be alive, acks nothing more. Of two that take it over at the same time, one does.
 */
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import type { NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import type { Runtime } from "../../src/base/runtime.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import { ObjectWal } from "../../src/stream/object-wal.ts";
import { ReplicatedWal } from "../../src/stream/replicated-wal.ts";
import type { OpenedStream, StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage } from "../../src/stream/stream-storage.ts";
import { type Takeover, takeOver } from "../../src/stream/takeover.ts";
import type { Wal } from "../../src/stream/wal.ts";
import { NodeClock, SimClock } from "../sim/clock.ts";
import { SimDisk } from "../sim/disk.ts";
import { calmStore, FaultyStore, type StoreFaults } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { silent } from "../support/seeded.ts";
import { smallStreams } from "../support/stream-limits.ts";

const topicId = "00000000-0000-4000-8000-000000000001" as Uuid;
const streams = [1, 2, 3].map((id) => id as StreamId);
const writer = { label: new Uint8Array(), sidecar: () => new Uint8Array() };
const limits = {
  ...smallStreams,
  uploadBytesMax: 20_000,
  uploadIntervalMsMax: 700,
  walReferenceBytesMin: 1500,
  walBytesMax: 300_000,
  walSlotBytesMax: 4096,
  walSlotIntervalMs: 20,
  walSlotBurst: 3,
  walSlotsInFlightMax: 3,
  walCloseMsMax: 1_000,
  takeoverRangesMax: 6,
};
const metadataLimits = {
  pollMs: 50,
  readEntriesMax: 100,
  batchProposalsMax: 10,
  batchBytesMax: 100_000,
  proposalsWaitingMax: 100,
  checkpointEntries: 20,
  retry: { delayMsMin: 5, delayMsMax: 50 },
};

interface World {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly log: MemoryLog;
  readonly objects: MemoryObjectStore;
  faults: StoreFaults;
  /** Values acked, by stream, in the order of the acks. */
  readonly acked: Map<StreamId, number[]>;
  values: number;
  readonly walKind: WalKind;
}

type WalKind = "file" | "object" | "replicated";

const fileLimits = {
  walBytesMax: 300_000,
  walSegmentBytes: 64 * 1024,
  walGroupBytesMax: 16 * 1024,
  walGroupsInFlightMax: 2,
  walLingerMs: 0,
  walIdleMs: 1_000,
};

/** One life of a node. */
class Node {
  readonly clock: NodeClock;
  readonly id: NodeId;
  readonly opened = new Map<StreamId, OpenedStream>();
  readonly #world: World;
  readonly #ends = new Map<StreamId, number>();
  #runtime!: Runtime;
  #store!: RetryingObjectStore;
  #storage!: StreamStorage;
  metadata!: MetadataClient;
  fatal: unknown;

  constructor(world: World, id: number) {
    this.#world = world;
    this.id = id as NodeId;
    this.clock = new NodeClock(world.clock);
  }

  async start(): Promise<void> {
    const { random, objects, log } = this.#world;
    const own = random.fork(`node ${this.id} at ${this.#world.clock.monotonic()}`);
    this.#runtime = { clock: this.clock, random: own };
    const fatal = (cause: unknown): void => {
      this.fatal ??= cause;
    };
    const node = { host: "h", port: 1, rack: null };
    const parts = { runtime: this.#runtime, logger: silent };
    this.metadata = await openMetadata({ ...parts, log, nodeId: this.id, node, limits: metadataLimits, failed: fatal });
    const faults = (): StoreFaults => this.#world.faults;
    const faulty = new FaultyStore(objects, {
      clock: this.#world.clock,
      random: own.fork("store"),
      node: this.clock,
      faults,
    });
    const retry = { delayMsMin: 5, delayMsMax: 50, attemptsMax: 30 };
    this.#store = new RetryingObjectStore(faulty, { runtime: this.#runtime, limits: retry });
    const { metadata } = this;
    const wal = this.#makeWal(new SimDisk({ clock: this.#world.clock, random: own.fork("disk") }));
    const metrics = noMetrics;
    this.#storage = await openStreamStorage({ ...parts, wal, store: this.#store, metadata, limits, metrics, fatal });
  }

  /** Each life has a disk of its own, that nobody else reads. */
  #makeWal(disk: SimDisk): Wal {
    const parts = { runtime: this.#runtime, logger: silent };
    const object = (): Wal => new ObjectWal({ ...parts, store: this.#store, metadata: this.metadata, limits });
    const file = (): Wal =>
      new FileWal({ ...parts, disk, directory: "wal", nodeEpoch: this.metadata.nodeEpoch, limits: fileLimits });
    switch (this.#world.walKind) {
      case "file":
        return file();
      case "object":
        return object();
      case "replicated":
        return new ReplicatedWal({
          halves: [file(), object()],
          onLoss: "stop",
          logger: silent,
          isAlone: noMetrics.walIsAlone,
        });
    }
  }

  async openAll(): Promise<void> {
    for (const id of streams) {
      const stream = await this.#storage.open(id, writer);
      this.opened.set(id, stream);
      this.#ends.set(id, stream.end);
    }
  }

  append(id: StreamId): void {
    const value = this.#world.values++;
    const from = this.#ends.get(id) as Offset;
    const bytes = Buffer.alloc(
      20 + this.#world.random.below(900),
      String(value).padStart(10, "0"),
    ) as Uint8Array as Owned;
    const to = (from + 1) as Offset;
    this.#ends.set(id, to);
    const settled = this.opened.get(id)?.append({ from, to, bytes, maxTimestamp: 1 });
    settled?.then(
      () => this.#world.acked.get(id)?.push(value),
      () => undefined, // `fatal` has been told.
    );
  }

  /** All values of a stream, in order. */
  async values(id: StreamId): Promise<number[]> {
    const stream = this.opened.get(id) as OpenedStream;
    const found: number[] = [];
    for (let next = 0 as Offset; next < stream.end; ) {
      const result = await stream.read({ from: next, to: stream.end, bytesMax: 5000 });
      for (const { bytes } of result.batches) found.push(Number(Buffer.from(bytes.subarray(0, 10)).toString()));
      next = result.next;
    }
    return found;
  }

  takeOver(node: NodeId): Promise<Takeover> {
    const { signal } = new AbortController();
    const parts = { runtime: this.#runtime, logger: silent, store: this.#store, metadata: this.metadata };
    return takeOver({ ...parts, node, limits, signal });
  }
}

async function work(world: World, node: Node, turns: number): Promise<void> {
  for (let turn = 0; turn < turns && node.fatal === undefined; turn += 1) {
    for (let count = world.random.below(4); count >= 0; count -= 1) node.append(world.random.pick(streams));
    await sleep(node.clock, world.random.unit() * 60);
  }
}

function isSubsequence(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const value of whole) if (at < part.length && part[at] === value) at += 1;
  return at === part.length;
}

interface Counts {
  readonly acked: number;
  readonly outrun: number;
  readonly slots: number;
}

/** A store that takes no notice of the condition, as some do: nothing keeps a zombie's slot from replacing the seal. */
class CarelessStore extends MemoryObjectStore {
  override async putIfAbsent(
    ...request: Parameters<ObjectStore["putIfAbsent"]>
  ): ReturnType<ObjectStore["putIfAbsent"]> {
    return { kind: "created", ...(await this.put(...request)) };
  }
}

interface Variant {
  readonly Store?: typeof MemoryObjectStore;
  readonly walKind?: WalKind;
}

function makeWorld(seed: number, { Store = MemoryObjectStore, walKind = "object" }: Variant): World {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const stormy = { ...calmStore, refused: 0.1, lost: 0.1, unheard: 0.1, ghost: 0.1, ghostMsMax: 3_000, delayMsMax: 60 };
  return {
    walKind,
    clock,
    random,
    log: new MemoryLog(),
    objects: new Store({ clock }),
    faults: random.chance(0.3) ? calmStore : stormy,
    acked: new Map(streams.map((id) => [id, []])),
    values: 0,
  };
}

async function run(seed: number, variant: Variant = {}): Promise<Counts> {
  const world = makeWorld(seed, variant);
  return await world.clock.until(live(world)).catch((cause: unknown) => {
    throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
  });
}

async function live(world: World): Promise<Counts> {
  const { clock, random } = world;
  let owner = new Node(world, 1);
  await owner.start();
  const topic = { topicId, name: "t", partitions: streams.length, configs: new Map<string, string>() };
  await owner.metadata.propose([{ kind: "create-topic", ...topic }]);
  await owner.metadata.propose([{ kind: "open-streams", streams }]);
  await owner.openAll();
  let outrun = 0;
  let slots = 0;
  for (let round = 0; round < 4; round += 1) {
    const zombie = owner;
    const working = work(world, zombie, 400);
    await sleep(clock, random.between(50, 2_500));
    if (random.chance(0.4)) zombie.clock.kill();
    const takers = [2, 3].map((n) => new Node(world, 1 + ((zombie.id + n - 2) % 3)));
    await Promise.all(takers.map((taker) => taker.start()));
    const isRace = random.chance(0.5);
    const outcomes = await Promise.all(
      (isRace ? takers : takers.slice(0, 1)).map((taker) => taker.takeOver(zombie.id)),
    );
    const taken = outcomes.flatMap((outcome, i) =>
      outcome.kind === "taken" ? [{ outcome, taker: takers[i] as Node }] : [],
    );
    // With luck the second comes when the first is done, and takes the streams from nobody.
    const winner = taken.find(({ outcome }) => outcome.streams.length > 0);
    expect(winner, JSON.stringify(outcomes)).toBeDefined();
    expect(taken.filter(({ outcome }) => outcome.streams.length > 0)).toHaveLength(1);
    outrun += outcomes.filter(({ kind }) => kind === "outrun").length;
    slots += winner?.outcome.slots ?? 0;
    owner = (winner as { taker: Node }).taker;
    await owner.openAll();
    await sleep(clock, 2_000); // The zombie hears of slots that were there before the seal, and has time to do harm.
    for (const id of streams) {
      const found = await owner.values(id);
      expect(new Set(found).size, "nothing twice").toBe(found.length);
      expect(isSubsequence(world.acked.get(id) as number[], found), `acked in order: stream ${id}`).toBe(true);
    }
    zombie.clock.kill();
    for (const taker of takers) if (taker !== owner) taker.clock.kill();
    await Promise.race([working, sleep(clock, 10)]);
    expect(owner.fatal).toBeUndefined();
  }
  return { acked: [...world.acked.values()].flat().length, outrun, slots };
}

describe("a takeover", () => {
  test("keeps what was acked, and lets the former writer ack nothing more", { timeout: 120_000 }, async () => {
    const sum = { acked: 0, outrun: 0, slots: 0 };
    for (let seed = 1; seed <= Number(process.env.SEEDS ?? 40); seed += 1) {
      const found = await run(seed);
      sum.acked += found.acked;
      sum.outrun += found.outrun;
      sum.slots += found.slots;
    }
    expect(sum.acked).toBeGreaterThan(1000);
    expect(sum.outrun).toBeGreaterThan(3);
    expect(sum.slots).toBeGreaterThan(100);
  });

  test("does so where each record is on a disk of its own too", { timeout: 120_000 }, async () => {
    let acked = 0;
    for (let seed = 1; seed <= 20; seed += 1) acked += (await run(seed, { walKind: "replicated" })).acked;
    expect(acked).toBeGreaterThan(200);
  });

  test("leaves a node alone whose WAL is on its disk only: it is neither fenced nor ended", async () => {
    const world = makeWorld(1, { walKind: "file" });
    const living = async (): Promise<void> => {
      const [owner, taker] = [new Node(world, 1), new Node(world, 2)];
      await owner.start();
      const topic = { topicId, name: "t", partitions: streams.length, configs: new Map<string, string>() };
      await owner.metadata.propose([{ kind: "create-topic", ...topic }]);
      await owner.metadata.propose([{ kind: "open-streams", streams }]);
      await owner.openAll();
      await taker.start();
      expect(await taker.takeOver(owner.id)).toEqual({ kind: "out-of-reach" });
      await work(world, owner, 20);
      await sleep(world.clock, 1_000);
      expect(owner.fatal).toBeUndefined();
      expect([...world.acked.values()].flat().length).toBe(world.values);
    };
    await world.clock.until(living());
  });

  test("planted bug: with a store that ignores conditions acked records are lost, and this test sees it", async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const failure: unknown = await run(seed, { Store: CarelessStore }).then(
        () => undefined,
        (cause: unknown) => cause,
      );
      if (String(failure).includes("acked in order")) return;
    }
    expect.unreachable("not found in 40 worlds");
  });
});
