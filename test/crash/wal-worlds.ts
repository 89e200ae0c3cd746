/** What each kind of WAL lives on, on one tape; and what a restart finds of it. */
import type { NodeEpoch } from "../../src/base/ids.ts";
import type { Clock, Runtime } from "../../src/base/runtime.ts";
import type { Gauge } from "../../src/base/telemetry.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import type { FileWalLimits } from "../../src/stream/file-wal.ts";
import type { ObjectWalLimits } from "../../src/stream/object-wal.ts";
import type { Wal } from "../../src/stream/wal.ts";
import type { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { MemoryMetadata, MemoryMetadataLog } from "../support/memory-metadata.ts";
import { silent } from "../support/seeded.ts";
import { type CrashImage, type Lasting, TapeDisk } from "./tape-disk.ts";
import { type BucketState, emptyBucket, FoundStore, TapeStore } from "./tape-store.ts";

/** "directory" is the object WAL in a directory, where a put is several steps and what is written may be torn. */
export const walWorlds = ["file", "object", "directory", "replicated"] as const;
export type WalWorldKind = (typeof walWorlds)[number];

/** Small, so that a short workload sees many segments, slots, renames and removals. */
const fileLimits: FileWalLimits = {
  walBytesMax: 64 * 1024,
  walSegmentBytes: 16 * 1024,
  walGroupBytesMax: 8 * 1024,
  walGroupsInFlightMax: 3,
  walLingerMs: 0,
  walIdleMs: 1000,
};
const objectLimits: ObjectWalLimits = {
  walBytesMax: 64 * 1024,
  walSlotBytesMax: 4 * 1024,
  walSlotIntervalMs: 2,
  walSlotBurst: 3,
  walSlotsInFlightMax: 3,
  walCloseMsMax: 60_000,
  blockBytesMax: 2 * 1024,
  uploadRetryDelayMsMin: 1,
  uploadRetryDelayMsMax: 2,
};

/** The constructors, loaded when they are needed: a mutant is planted as its module is loaded. */
export type WalMakers = Awaited<ReturnType<typeof loadWalMakers>>;

export async function loadWalMakers() {
  const { FileWal } = await import("../../src/stream/file-wal.ts");
  const { ObjectWal } = await import("../../src/stream/object-wal.ts");
  const { ReplicatedWal } = await import("../../src/stream/replicated-wal.ts");
  const { openLocalObjectStore } = await import("../../src/object-store/local.ts");
  return { FileWal, ObjectWal, ReplicatedWal, openLocalObjectStore };
}

/** Everything that a process leaves. */
export interface Remains {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly bucket: BucketState;
  readonly entries: readonly Entry[];
}

/** Of the metadata log: a node that starts, or what it proposed. */
type Entry = "start" | readonly MetadataEvent[];

export const nothing: Remains = { files: new Map(), bucket: emptyBucket, entries: [] };

export interface Setting {
  readonly kind: WalWorldKind;
  readonly makers: WalMakers;
  readonly random: SimRandom;
}

/** A life that is recorded. */
export class WalTape {
  readonly disk: TapeDisk;
  readonly #setting: Setting;
  readonly #store: TapeStore;
  readonly #metadata: TapeMetadata;

  constructor(setting: Setting, before: Remains, life: string) {
    this.#setting = setting;
    this.disk = new TapeDisk(before.files, setting.random.fork(life));
    this.#store = new TapeStore(this.disk, before.bucket, setting.random.fork(`bucket of ${life}`));
    this.#metadata = new TapeMetadata(this.disk, before.entries);
  }

  async open(): Promise<Wal> {
    const { disk } = this;
    return await openWal(this.#setting, { disk, clock: disk.clock, store: this.#store, metadata: this.#metadata });
  }

  image(moment: number, cause: "power" | "kill"): WalImage {
    const { kind, random } = this.#setting;
    const disk = this.disk.image(moment, cause);
    const bucket = this.#store.image(moment);
    const entries = this.#metadata.entriesAt(moment, random);
    const name = kind === "file" ? disk.name : `${disk.name} ${bucket.name} ${entries.length}`;
    return new WalImage(this.#setting, { disk, bucket: bucket.state, entries, name });
  }
}

/** What a machine that stopped could have left. */
export class WalImage {
  readonly name: string;
  readonly #setting: Setting;
  readonly #disk: CrashImage;
  readonly #bucket: BucketState;
  readonly #entries: readonly Entry[];

  constructor(
    setting: Setting,
    of: {
      readonly disk: CrashImage;
      readonly bucket: BucketState;
      readonly entries: readonly Entry[];
      readonly name: string;
    },
  ) {
    this.#setting = setting;
    this.#disk = of.disk;
    this.#bucket = of.bucket;
    this.#entries = of.entries;
    this.name = of.name;
  }

  found(): FoundWorld {
    return new FoundWorld(this.#setting, MemoryDisk.found(this.#disk), this.#bucket, this.#entries);
  }

  /** What is left when the power goes as well. */
  get remains(): Remains {
    const files = new Map([...this.#disk.durable].map(([path, { synced }]) => [path, synced]));
    return { files, bucket: this.#bucket, entries: this.#entries };
  }
}

/** What processes after the crash find and leave, one after another. */
export class FoundWorld {
  readonly #setting: Setting;
  readonly #disk: MemoryDisk;
  readonly #store: FoundStore;
  readonly #log: MemoryMetadataLog;
  readonly #entries: Entry[];

  constructor(setting: Setting, disk: MemoryDisk, bucket: BucketState, entries: readonly Entry[]) {
    this.#setting = setting;
    this.#disk = disk;
    this.#store = new FoundStore(bucket, setting.random);
    this.#entries = [...entries];
    this.#log = logOf(entries);
  }

  /** The WAL of the next process; of a replicated one a half alone where that is asked for. */
  async open(half?: "file" | "object"): Promise<Wal> {
    start(this.#log);
    this.#entries.push("start");
    const metadata = new MemoryMetadata(this.#log);
    metadata.onPropose = (events) => void this.#entries.push(events);
    return await openWal(this.#setting, { disk: this.#disk, clock: hastyClock, store: this.#store, metadata }, half);
  }

  /** The same when the power has gone: of the disk what was durable. */
  afterPowerLoss(): FoundWorld {
    const disk = this.#disk.afterPowerLoss(() => "lost");
    return new FoundWorld(this.#setting, disk, this.#store.state, this.#entries);
  }
}

/** What waits a moment waits for a turn; what watches for something that takes long never sees it. */
const hastyClock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  after: (delayMs, callback) => {
    if (delayMs >= fileLimits.walIdleMs) return { [Symbol.dispose]: () => undefined };
    const turn = setImmediate(callback);
    return { [Symbol.dispose]: () => clearImmediate(turn) };
  },
};

interface Place {
  readonly disk: TapeDisk | MemoryDisk;
  readonly clock: Clock;
  readonly store: Pick<ObjectStore, "get" | "putIfAbsent" | "delete">;
  readonly metadata: MetadataClient;
}

async function openWal({ kind, makers, random }: Setting, place: Place, half?: "file" | "object"): Promise<Wal> {
  const { disk, clock, metadata } = place;
  const runtime: Runtime = { clock, random };
  const common = { runtime, logger: silent };
  const file = (): Wal => {
    const { nodeEpoch } = metadata;
    return new makers.FileWal({ ...common, disk, directory: "wal", nodeEpoch, limits: fileLimits });
  };
  const object = (store: Place["store"]): Wal =>
    new makers.ObjectWal({ ...common, store: store as ObjectStore, metadata, limits: objectLimits });
  const only = half ?? kind;
  if (only === "file") return file();
  if (only === "object") return object(place.store);
  if (only === "directory") return object(await makers.openLocalObjectStore({ directory: "bucket", disk, runtime }));
  const halves = [file(), object(place.store)] as const;
  return new makers.ReplicatedWal({ halves, onLoss: "stop", logger: silent, isAlone: ignored });
}

const ignored = { set: () => undefined } as unknown as Gauge;

/** Starts of the node and what it proposes, on the tape. One proposal after another, as the real client sends them. */
class TapeMetadata extends MemoryMetadata {
  readonly #tape: TapeDisk;
  readonly #before: readonly Entry[];
  readonly #proposed: (Lasting & { readonly events: readonly MetadataEvent[] })[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(tape: TapeDisk, before: readonly Entry[]) {
    const log = logOf(before);
    start(log);
    super(log);
    this.#tape = tape;
    this.#before = [...before, "start"];
  }

  override propose(events: readonly MetadataEvent[]): Promise<Proposal> {
    const answer = this.#last.then(async () => {
      const change = { events, ...this.#tape.begun() };
      this.#proposed.push(change);
      await this.#tape.ended();
      const proposal = this.log.apply(events);
      this.#tape.madeDurable([change]);
      await this.#tape.ended();
      return proposal;
    });
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  entriesAt(moment: number, random: SimRandom): readonly Entry[] {
    const begun = this.#proposed.filter(({ begunAt }) => begunAt <= moment);
    const there = begun.filter(({ durableAt }) => durableAt <= moment || random.chance(0.5));
    return [...this.#before, ...there.map(({ events }) => events)];
  }
}

/** The same entries make the same log, epochs included. */
function logOf(entries: readonly Entry[]): MemoryMetadataLog {
  const log = new MemoryMetadataLog();
  for (const entry of entries) {
    if (entry === "start") start(log);
    else log.apply(entry);
  }
  return log;
}

function start(log: MemoryMetadataLog): NodeEpoch {
  const metadata = new MemoryMetadata(log);
  log.register(metadata.nodeId, { host: "h", port: 1, rack: null });
  return log.epochOf(metadata.nodeId);
}
