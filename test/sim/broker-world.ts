/**
 * A whole broker in a simulated world: clients at work, a nemesis that breaks things, then healing, and a judgement.
 *
 *   start ─▶ clients + nemesis (kills, torn disks, stores in trouble) ─▶ heal ─▶ everything must work again ─▶ check
 *
 * All of it is decided by the seed. A life that ends is followed by another, as a supervisor would have it.
 */
import { sleep } from "../../src/base/async.ts";
import { CorruptData, WrongProgram } from "../../src/base/errors.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { type ActorWorld, nameOf, type TopicPartition } from "./actor.ts";
import { administer, createTopic, flushNowAndThen, type TopicWanted } from "./administrator.ts";
import { check, type Violation } from "./checker.ts";
import { Client, type ClientWorld } from "./client.ts";
import { SimClock } from "./clock.ts";
import { consume } from "./consumer.ts";
import { SimDisk } from "./disk.ts";
import { readFinalState } from "./final-state.ts";
import { type FinalState, History } from "./history.ts";
import { type Appetite, appetite, badDisk, calm, type Faults, storm } from "./nemesis.ts";
import { garbageGoneMs, jsonTopic, type NodeWorld, plainTopic, reasons, SimNode, textTopic } from "./node.ts";
import type { Plant } from "./plants.ts";
import { produce } from "./producer.ts";
import { SimRandom } from "./random.ts";
import { recycle } from "./recycler.ts";

export interface WorldReport {
  readonly seed: string;
  /** What the checker found, and what no broker may do or fail to do. */
  readonly violations: readonly (Violation | { readonly anomaly: "broken" | "stuck"; readonly detail: string })[];
  readonly traceHash: string;
  readonly trace: readonly string[];
  readonly simulatedMs: number;
  readonly lives: number;
  readonly acked: number;
  readonly polled: number;
  readonly tableRows: number;
  /** Offsets that cleaning left empty. */
  readonly cleaned: number;
}

const topics: readonly TopicWanted[] = [
  { topic: textTopic, partitions: 2 },
  { topic: jsonTopic, partitions: 1 },
  { topic: plainTopic, partitions: 1 },
];
/** In some worlds: so little that retention is always at work. */
const retention = { "retention.bytes": "8000" };
/** In some worlds: always dirty enough, and tombstones do not stay for long. */
const compaction = { "min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "2000" };
const compactedTopics: readonly string[] = [textTopic, plainTopic];
const groups = ["consumer-1", "consumer-2"];

const partitions: readonly TopicPartition[] = topics.flatMap(({ topic, partitions: count }) =>
  Array.from({ length: count }, (_, index) => ({ topic, index })),
);

/** How long things may take once nothing is wrong any more. */
const healMsMax = 60_000;

export async function runWorld(seed: number | string, plant: Plant = {}): Promise<WorldReport> {
  const world = new World(seed, plant);
  return await world.run();
}

class World {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly history = new History();
  readonly #disk: SimDisk;
  readonly #node: NodeWorld;
  readonly #broken: string[] = [];
  readonly #appetite: Appetite;
  #faults: Faults = calm;
  /** Something went wrong outside of the broker in this life. */
  #isTroubled = false;
  #life: SimNode | undefined;
  #lives = 0;
  #isBusy = true;
  #isOver = false;

  constructor(seed: number | string, plant: Plant) {
    const { clock } = this;
    this.random = new SimRandom(seed);
    this.#appetite = appetite(this.random.fork("appetite"));
    this.#disk = new SimDisk({ clock, random: this.random.fork("disk") });
    this.#node = {
      clock,
      disk: this.#disk,
      objects: new MemoryObjectStore({ clock }),
      lake: new MemoryObjectStore({ clock }),
      faults: () => this.#faults,
      plant,
      isMetadataInBucket: this.random.fork("metadata").chance(0.3),
      wal: this.#appetite.wal,
    };
  }

  async run(): Promise<WorldReport> {
    const stuck: string[] = [];
    try {
      await this.clock.until(this.#script(), 600_000);
    } catch (cause) {
      stuck.push(reasons(cause).split("\n")[0] as string);
    }
    this.#isOver = true;
    this.#life?.kill();
    const { final, sends, polls } = this.history;
    return {
      seed: this.random.seed,
      violations: [
        ...this.#broken.map((detail) => ({ anomaly: "broken" as const, detail })),
        ...stuck.map((detail) => ({ anomaly: "stuck" as const, detail })),
        ...(final === undefined ? [] : check({ ...pick(this.history), final })),
      ],
      traceHash: this.clock.traceHash(),
      trace: this.clock.recentTrace(),
      simulatedMs: this.clock.monotonic(),
      lives: this.#lives,
      acked: sends.filter(({ outcome }) => outcome === "acked").length,
      polled: polls.reduce((sum, { records }) => sum + records.length, 0),
      tableRows: final?.table.rows.length ?? 0,
      cleaned: final === undefined ? 0 : offsetsWithoutRecord(final),
    };
  }

  async #script(): Promise<void> {
    const supervisor = this.#supervise();
    supervisor.catch((cause: unknown) => this.#violated(`the supervisor failed: ${reasons(cause)}`));
    const admin = new Client(this.#clients, "admin");
    for (const wanted of topics) {
      await this.#within(`topic ${wanted.topic} to be made`, async () => {
        const configs = this.#configsOf(wanted.topic);
        while (!(await createTopic(this.history, admin, { ...wanted, configs }))) await admin.pause(100);
      });
    }
    const actors = Promise.all(this.#actors());
    await this.#nemesis();
    await this.#heal();
    this.#isBusy = false;
    await this.#within("the clients to finish", () => actors);
    if (this.random.chance(0.5)) await this.#crash("power");
    await sleep(this.clock, garbageGoneMs);
    await this.#within("the end to be read", async () => {
      this.history.final = await readFinalState({
        actors: this.#actorWorld,
        clients: this.#clients,
        partitions,
        groups,
        retained: new Set(this.#appetite.retains ? partitions.map(nameOf) : []),
        compacted: new Set(partitions.filter(({ topic }) => this.#isCompacted(topic)).map(nameOf)),
        objects: this.#node.objects,
        lake: this.#node.lake,
      });
    });
  }

  #isCompacted(topic: string): boolean {
    return this.#appetite.compacts && compactedTopics.includes(topic);
  }

  #configsOf(topic: string): Readonly<Record<string, string>> {
    const { retains } = this.#appetite;
    if (!this.#isCompacted(topic)) return retains ? retention : {};
    return retains
      ? { ...retention, ...compaction, "cleanup.policy": "compact,delete" }
      : { ...compaction, "cleanup.policy": "compact" };
  }

  #actors(): readonly Promise<void>[] {
    const world = this.#actorWorld;
    const client = (id: string): Client => new Client(this.#clients, id);
    return [
      produce(world, client("producer-1"), partitions),
      produce(world, client("producer-2"), partitions),
      ...groups.map((group) => consume(world, client(group), partitions)),
      administer(world, client("administrator"), partitions),
      recycle(world, client("recycler")),
      flushNowAndThen(world, client("flusher")),
    ];
  }

  get #actorWorld(): ActorWorld {
    return {
      history: this.history,
      isBusy: () => this.#isBusy,
      node: () => this.#serving(),
      now: () => this.clock.now(),
      violated: (what) => this.#violated(what),
    };
  }

  get #clients(): ClientWorld {
    return {
      clock: this.clock,
      random: this.random,
      node: () => this.#serving(),
      violated: (what) => this.#violated(what),
    };
  }

  #serving(): SimNode | undefined {
    return this.#life?.isUp === true ? this.#life : undefined;
  }

  #violated(what: string): void {
    this.clock.trace(`VIOLATED: ${what}`);
    this.#broken.push(what);
  }

  /** One life after another. */
  async #supervise(): Promise<void> {
    while (!this.#isOver) {
      this.#lives += 1;
      this.clock.trace(`life ${this.#lives} begins`);
      this.#isTroubled = this.#faults !== calm;
      const life = new SimNode(this.#node, this.random.fork(`life ${this.#lives}`));
      life.clock.skewMs = this.#appetite.isSkewed ? Math.floor(this.random.between(-2_000, 2_000)) : 0;
      this.#life = life;
      void life.open();
      const why = await life.ended;
      this.clock.trace(`life ${this.#lives} ends: ${reasons(why)}`);
      life.kill();
      if (typeof why !== "string") {
        this.#disk.processDies();
        this.#judgeEnd(why);
      }
      await sleep(this.clock, this.random.between(10, 500));
    }
  }

  /** A broker may give up when its disk or its stores fail. Never because of what it reads back, or of a wrong program. */
  #judgeEnd(why: unknown): void {
    const chain: unknown[] = [];
    for (let each = why; each instanceof Error; each = each.cause) chain.push(each);
    const isWrong = chain.some((each) => each instanceof WrongProgram || each instanceof CorruptData);
    if (isWrong || !this.#isTroubled) this.#violated(`the broker gave up: ${reasons(why)}`);
  }

  async #nemesis(): Promise<void> {
    const random = this.random.fork("nemesis");
    const endsAt = this.clock.monotonic() + random.between(4_000, 16_000);
    while (this.clock.monotonic() < endsAt) {
      await sleep(this.clock, random.between(200, this.#appetite.quietMsMax));
      const action = random.pick(this.#appetite.actions);
      this.clock.trace(`nemesis: ${action}`);
      switch (action) {
        case "power":
        case "kill":
          await this.#crash(action);
          break;
        case "stop":
          await this.#stop();
          break;
        case "storm":
          this.#suffer({ ...this.#faults, ...storm(random) });
          break;
        case "bad-disk":
          this.#suffer({ ...this.#faults, disk: badDisk(random) });
          break;
        case "calm":
          this.#suffer(calm);
          break;
      }
    }
  }

  #suffer(faults: Faults): void {
    this.#faults = faults;
    this.#disk.faults = faults.disk;
    this.#isTroubled ||= faults !== calm;
  }

  async #crash(kind: "power" | "kill"): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    if (kind === "power") this.#disk.crash();
    else this.#disk.processDies();
    life.kill();
    await this.#nextLife(life);
  }

  /** Asked to go; killed when it takes too long. */
  async #stop(): Promise<void> {
    const life = this.#serving();
    if (life === undefined) return;
    const stopping = life.stop().catch((cause: unknown) => this.#judgeEnd(cause));
    await Promise.race([stopping, life.ended, sleep(this.clock, 15_000)]);
    this.#disk.processDies();
    life.kill();
    await this.#nextLife(life);
  }

  async #nextLife(before: SimNode): Promise<void> {
    while (this.#life === before) await sleep(this.clock, 10);
  }

  async #heal(): Promise<void> {
    this.clock.trace("healed");
    this.#suffer(calm);
    await this.#within("the broker to serve", async () => {
      while (this.#serving() === undefined) await sleep(this.clock, 50);
    });
  }

  async #within(what: string, work: () => Promise<unknown>): Promise<void> {
    const late = sleep(this.clock, healMsMax).then(() => {
      throw new Error(`waited ${healMsMax} ms for ${what}`);
    });
    await Promise.race([work(), late]);
    late.catch(() => undefined); // Nobody waits for it any more.
  }
}

function offsetsWithoutRecord({ logs }: FinalState): number {
  let without = 0;
  for (const { logStart, highWatermark, records } of logs.values())
    without += highWatermark - logStart - records.length;
  return without;
}

function pick({ sends, polls, groupOffsets, deletions, topics: made, flushes }: History) {
  return { sends, polls, groupOffsets, deletions, topics: made, flushes };
}
