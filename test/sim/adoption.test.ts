/**
 * Proves: a whole broker that is killed before or after any write of the adoption of a table (to the metadata log, the
 * catalog or the warehouse) has adopted it once in its next life, and the table holds every record once.
 */
import { expect } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { uuidZero } from "../../src/base/ids.ts";
import type { Config } from "../../src/config.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { adoptedLane } from "../../src/table/topic-table.ts";
import { atEachStep } from "../support/each-step.ts";
import { createTopic } from "./administrator.ts";
import { Client } from "./client.ts";
import { SimClock } from "./clock.ts";
import { SimDisk } from "./disk.ts";
import { History } from "./history.ts";
import { calm } from "./nemesis.ts";
import { configOf, SimNode } from "./node.ts";
import { SimRandom } from "./random.ts";
import { recordOf } from "./record.ts";
import { readRows } from "./table-rows.ts";

const naming = (table: string): Config =>
  configOf(`topics: { orders: { table: { name: sim.${table} }, value: { decode: string }, commit: { every: 2s } } }`);
const [before, after] = [naming("orders"), naming("orders_v2")];

/** Counts writes while it is armed, and ends the broker at the last one. */
class Fuse {
  left = Number.POSITIVE_INFINITY;
  blow: () => void = () => undefined;

  /** The store, whose writes count before they happen and after. */
  over(store: ObjectStore): ObjectStore {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        const call = (...parameters: unknown[]): unknown =>
          (value as (...all: unknown[]) => unknown).apply(target, parameters);
        if (name !== "put" && name !== "putIfAbsent" && name !== "putIfMatch") return call;
        return async (...parameters: unknown[]): Promise<unknown> => {
          await this.#step();
          const answer = await call(...parameters);
          await this.#step();
          return answer;
        };
      },
    });
  }

  async #step(): Promise<void> {
    this.left -= 1;
    if (this.left === 0) this.blow();
    if (this.left <= 0) await new Promise(() => undefined); // The dead get no answer.
  }
}

class World {
  readonly clock = new SimClock();
  readonly #random: SimRandom;
  readonly #disk: SimDisk;
  readonly #objects: ObjectStore;
  readonly #lake: ObjectStore;
  readonly #client: Client;
  readonly #history = new History();
  #node: SimNode | undefined;
  #lives = 0;

  constructor(seed: number) {
    const { clock } = this;
    this.#random = new SimRandom(seed);
    this.#disk = new SimDisk({ clock, random: this.#random.fork("disk") });
    this.#objects = new MemoryObjectStore({ clock });
    this.#lake = new MemoryObjectStore({ clock });
    const violated = (what: string): never => expect.fail(what);
    this.#client = new Client({ clock, random: this.#random, node: () => this.#node, violated }, "client");
  }

  async start(config: Config, fuse = new Fuse()): Promise<SimNode> {
    const { clock } = this;
    this.#lives += 1;
    const faults = (): typeof calm => calm;
    const stores = { objects: fuse.over(this.#objects), lake: fuse.over(this.#lake) };
    const places = { clock, disk: this.#disk, ...stores, isMetadataInBucket: true, wal: "file" } as const;
    const node = new SimNode({ ...places, faults, plant: {}, config }, this.#random.fork(`life ${this.#lives}`));
    fuse.blow = () => this.kill(node);
    await node.open();
    this.#node = node;
    return node;
  }

  kill(node: SimNode): void {
    this.#disk.processDies();
    node.kill();
  }

  async makeTopic(): Promise<void> {
    while (!(await createTopic(this.#history, this.#client, { topic: "orders", partitions: 2 })))
      await sleep(this.clock, 100);
  }

  async produce(index: number, count: number): Promise<void> {
    for (let at = 0; at < count; ) {
      const records = buildBatch({ records: [recordOf(`k.${index}.${at}`, this.clock.now())] });
      const topicData = [{ name: "orders", topicId: uuidZero, partitionData: [{ index, records }] }];
      const request = { transactionalId: null, acks: -1, timeoutMs: 3000, topicData };
      const reply = await this.#client.send("produce", request, 12);
      const answer = reply.kind === "answer" ? reply.body.responses[0]?.partitionResponses[0] : undefined;
      if (answer?.errorCode === 0) at += 1;
      else await sleep(this.clock, 100);
    }
  }

  async build(node: SimNode): Promise<void> {
    expect(await node.tables.tools.startBackfill("orders", { into: "orders_v2" })).toMatchObject({ kind: "ok" });
    const isDone = async (): Promise<boolean> => {
      const state = await node.tables.tableState("orders");
      return JSON.stringify(state).includes('"state":"done"');
    };
    while (!(await isDone())) await sleep(this.clock, 200);
  }

  /** Once all partitions are open. */
  async flush(node: SimNode): Promise<void> {
    for (;;) {
      const outcome = await node.tables.flush("orders");
      if (outcome.kind === "flushed") return;
      expect(JSON.stringify(outcome)).toContain("not all partitions are here");
      await sleep(this.clock, 100);
    }
  }

  /** "partition:offset" of every row. */
  async places(node: SimNode, table: string): Promise<readonly string[]> {
    const rows = await readRows(this.#lake, await node.filesOf(table));
    return rows.map((row) => `${Number(row["_kafka_partition"])}:${Number(row["_kafka_offset"])}`).toSorted();
  }
}

/** Offsets by partition: where the backfill had ended. */
const adoptedAt = [
  [0, 4],
  [1, 1],
];

/** Whether the broker died at that step. */
async function adoptAndDie(step: number): Promise<boolean> {
  const world = new World(step);
  const { clock } = world;
  return await clock.until(
    (async () => {
      const first = await world.start(before);
      await world.makeTopic();
      await world.produce(0, 4);
      await world.produce(1, 1);
      await world.flush(first);
      await world.build(first);
      await world.produce(0, 1);
      await world.produce(1, 1);
      await world.flush(first);
      await first.stop();
      const fuse = new Fuse();
      const second = await world.start(after, fuse);
      fuse.left = step;
      await Promise.race([world.flush(second), second.ended]);
      const isDead = !second.isUp;
      if (!isDead) world.kill(second);
      const third = await world.start(after);
      await world.produce(0, 1);
      await world.produce(1, 1);
      await world.flush(third);
      const words = `step ${step}`;
      const own = ["0:0", "0:1", "0:2", "0:3", "0:4", "1:0", "1:1"];
      expect(await world.places(third, "orders_v2"), words).toEqual([...own, "0:5", "1:2"].toSorted());
      expect(await world.places(third, "orders"), words).toEqual(own);
      const tables = [...third.core.metadata.image.tables()];
      const states = tables.map(({ name, state, lanes }) => [name, [state, [...(lanes.get(adoptedLane) ?? [])]]]);
      expect(tables, words).toHaveLength(2);
      expect(Object.fromEntries(states), words).toEqual({
        "sim.orders": ["paused", []],
        "sim.orders_v2": ["running", adoptedAt],
      });
      await third.stop();
      return isDead;
    })(),
  );
}

atEachStep("wherever the broker is killed", { parts: 6, stepsMin: 3 }, adoptAndDie);
