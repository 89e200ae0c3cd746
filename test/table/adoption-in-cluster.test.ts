/**
 * Proves: while brokers die, lose partitions to each other and are started again one by one, a table that was built beside a
 * topic's own is adopted once in each partition, and has every record once.
 */
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../src/base/ids.ts";
import type { Log, Lookup } from "../../src/log/log.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { adoptedLane } from "../../src/table/topic-table.ts";
import { NodeClock, SimClock } from "../sim/clock.ts";
import {
  allPlaces,
  besideTable,
  firstPlaces,
  json,
  lakeWithBeside,
  named,
  ownSettings,
  ownTable,
} from "../support/beside-lake.ts";
import { atEachStep } from "../support/each-step.ts";
import type { Hooks, Lake } from "../support/lake.ts";

const beatMs = 10;
const atOnce = (of: TableSettings): TableSettings => ({ ...of, commit: { ...of.commit, everyMs: 0 } });
const before = atOnce(ownSettings);
const after = atOnce(named(ownSettings));

class Death extends Error {}

/** A broker over some of the topic's partitions. */
class Node {
  readonly partitions: Set<number>;
  #onEffect: () => void = () => undefined;
  readonly #clock: NodeClock;
  readonly #compactor: Compactor;
  #isDead = false;

  constructor(cluster: Cluster, settings: TableSettings, partitions: readonly number[]) {
    this.partitions = new Set(partitions);
    this.#clock = new NodeClock(cluster.clock);
    const effect = (): void => {
      if (!this.#isDead) this.#onEffect();
      if (this.#isDead) throw new Death("the broker died here"); // And stays dead: nothing after it happens.
    };
    const hooks: Hooks = {
      request: async () => effect(),
      answer: async (_method, _path, response) => {
        effect();
        return response;
      },
      write: effect,
    };
    const log = logOf(cluster.lake.log, this.partitions);
    const node = { log, hooks: () => hooks, clock: this.#clock };
    const { compactor, metadata } = cluster.lake.open([settings], { beatMs }, {}, node);
    const propose = metadata.propose.bind(metadata);
    metadata.propose = async (events) => {
      effect();
      const answer = await propose(events);
      effect();
      return answer;
    };
    this.#compactor = compactor;
  }

  /** An effect is before, or after, the metadata log, the catalog or the warehouse is written to. Whether there was such a one. */
  atEffect(step: number, happen: () => void): () => boolean {
    let left = step;
    this.#onEffect = () => {
      left -= 1;
      if (left === 0) happen();
    };
    return () => left <= 0;
  }

  async reason(): Promise<string> {
    const { reason, trouble } = await this.#compactor.report("orders");
    return trouble ?? reason;
  }

  die(): void {
    this.#isDead = true;
    this.#clock.kill();
  }

  async stop(): Promise<void> {
    if (!this.#isDead) await this.#compactor[Symbol.asyncDispose]();
  }
}

/** What a broker sees of the log: its own partitions. */
function logOf(log: Log, partitions: ReadonlySet<number>): Log {
  const elsewhere: Lookup = { kind: "elsewhere", node: undefined, leaderEpoch: 1 };
  return {
    partition: (topicId, index) => (partitions.has(index) ? log.partition(topicId, index) : elsewhere),
    *partitions() {
      for (const partition of log.partitions()) if (partitions.has(partition.index)) yield partition;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

class Cluster {
  readonly clock: SimClock;
  readonly lake: Lake;
  readonly topic: Uuid;
  /** "partition:offset" where the table was adopted, as often as the metadata log took it. */
  readonly adopted: string[] = [];

  private constructor(clock: SimClock, lake: Lake, topic: Uuid) {
    this.clock = clock;
    this.lake = lake;
    this.topic = topic;
    lake.metadataLog.onChange((events) => {
      for (const event of events)
        if (event.kind === "add-table-round" && event.lane === adoptedLane)
          this.adopted.push(...event.ranges.map(({ partition, from }) => `${partition}:${from}`));
    });
  }

  static async make(seed: number): Promise<Cluster> {
    const clock = new SimClock();
    const { lake, topic } = await lakeWithBeside(seed, ownSettings, { runtime: { clock } });
    return new Cluster(clock, lake, topic);
  }

  node(settings: TableSettings, ...partitions: readonly number[]): Node {
    return new Node(this, settings, partitions);
  }

  /** Every broker has looked at its table this often. */
  async beats(count: number): Promise<void> {
    await this.clock.run(count * beatMs);
  }

  /** One more record of each partition, and time to bring all to the table. */
  async finish(): Promise<void> {
    await this.lake.produce(this.topic, 0, [json({ id: 5 })]);
    await this.lake.produce(this.topic, 1, [json({ id: 11 })]);
    await this.beats(50);
  }
}

const finalPlaces = ["0:0", "0:1", "0:2", "0:3", "0:4", "0:5", "1:0", "1:1", "1:2"];
const joins = ["0:4", "1:1"];

/** What becomes of the broker of partition 0 at one of its effects; `heir` has the other partition, and gets this one. */
const fates: Readonly<Record<string, (broker: Node, heir: Node) => void>> = {
  "dies, and the other one has its partition": (broker, heir) => {
    broker.die();
    heir.partitions.add(0);
  },
  "loses its partition to the other one": (broker, heir) => {
    broker.partitions.delete(0);
    heir.partitions.add(0);
  },
  "does not know that it lost its partition": (_broker, heir) => heir.partitions.add(0),
};

describe("wherever the broker that begins", () => {
  for (const fate of Object.keys(fates))
    atEachStep(fate, { stepsMin: 10 }, async (step) => {
      const cluster = await Cluster.make(200 + step);
      const [broker, heir] = [cluster.node(after, 0), cluster.node(after, 1)];
      const isReached = broker.atEffect(step, () => fates[fate]?.(broker, heir));
      await cluster.beats(20);
      await cluster.finish();
      const words = `step ${step}: ${await heir.reason()}`;
      expect(await cluster.lake.places(besideTable), words).toEqual(finalPlaces);
      expect(await cluster.lake.places(ownTable), words).toEqual(allPlaces);
      expect(cluster.adopted.toSorted(), words).toEqual(joins);
      await Promise.all([broker.stop(), heir.stop()]);
      return isReached();
    });
});

atEachStep("wherever the other broker dies, the one that began goes on for it", { stepsMin: 3 }, async (step) => {
  const cluster = await Cluster.make(300 + step);
  const [heir, broker] = [cluster.node(after, 0), cluster.node(after, 1)];
  const isReached = broker.atEffect(step, () => {
    broker.die();
    heir.partitions.add(1);
  });
  await cluster.beats(20);
  await cluster.finish();
  expect(await cluster.lake.places(besideTable), `step ${step}`).toEqual(finalPlaces);
  expect(cluster.adopted.toSorted(), `step ${step}`).toEqual(joins);
  await heir.stop();
  return isReached();
});

describe("brokers that are started again one by one", () => {
  test("wait for the one of partition 0, and follow it", async () => {
    const cluster = await Cluster.make(400);
    const early = cluster.node(after, 1);
    const last = cluster.node(before, 0);
    await cluster.beats(20);
    expect(await early.reason()).toContain("the broker of partition 0 does not write to sales.orders_v2 yet");
    expect(cluster.adopted).toEqual([]);
    await last.stop();
    const again = cluster.node(after, 0);
    await cluster.finish();
    expect(await cluster.lake.places(besideTable)).toEqual(finalPlaces);
    expect(cluster.adopted.toSorted()).toEqual(joins);
    await Promise.all([early.stop(), again.stop()]);
  });

  const name = "lose nothing where one that knows only the table of before comes to partition 0 meanwhile";
  atEachStep(name, { stepsMin: 10 }, async (step) => {
    const cluster = await Cluster.make(500 + step);
    const [broker, old] = [cluster.node(after, 0), cluster.node(before, 1)];
    const isReached = broker.atEffect(step, () => {
      broker.die();
      old.partitions.add(0);
    });
    await cluster.beats(20);
    await cluster.lake.produce(cluster.topic, 1, [json({ id: 12 })]);
    await cluster.beats(20);
    await Promise.all([broker.stop(), old.stop()]);
    const again = cluster.node(after, 0, 1);
    await cluster.finish();
    expect(await cluster.lake.places(besideTable), `step ${step}`).toEqual([...finalPlaces, "1:3"]);
    const places = await cluster.lake.places(ownTable);
    expect(new Set(places).size, `step ${step}`).toBe(places.length);
    expect(places).toEqual(expect.arrayContaining(firstPlaces));
    await again.stop();
    return isReached();
  });
});
