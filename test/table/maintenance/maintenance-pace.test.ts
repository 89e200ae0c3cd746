/** Proves, in virtual time: every table is looked after in time, whatever the appends of other tables, and its own, wait for. */
import { describe, expect, test } from "vitest";
import { sleep } from "../../../src/base/async.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { SimClock } from "../../sim/clock.ts";
import { Lake, type maintenanceLimits } from "../../support/lake.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const minuteMs = 60_000;
const intervalMs = 5 * minuteMs;

function settingsOf(name: string): TableSettings {
  return tableSettings("json", {
    topic: name,
    table: name,
    commit: { everyMs: minuteMs, bytesMax: 1 << 20 },
    errors: { policy: "skip", deadLetterTable: "" },
    expire: { keepMs: 86_400_000, keepMin: 5 },
  });
}

/** Tables with a commit a minute, whose catalog takes its time for each. */
class World {
  readonly clock = new SimClock();
  readonly lake = new Lake(1, { clock: this.clock });
  readonly names: readonly string[];
  readonly #topics: readonly ReturnType<Lake["topic"]>[];
  readonly #compactor: Compactor;

  constructor(
    tables: number,
    options: {
      /** Of a commit to the table. */
      readonly commitMs: (table: string) => number;
      /** Of a request for a data file. */
      readonly readMs?: number;
      /** Until a manifest of a rewrite is written. */
      readonly manifestMs?: number;
      readonly maintenance?: Partial<typeof maintenanceLimits>;
    },
  ) {
    this.names = Array.from({ length: tables }, (_, at) => `t${at}`);
    this.#topics = this.names.map((name) => this.lake.topic(name, 1));
    this.lake.hooks = {
      ...this.lake.hooks,
      request: async (method, path) => {
        const table = path.split("/").at(-1) as string;
        if (method === "POST" && this.names.includes(table)) await sleep(this.clock, options.commitMs(table));
      },
      read: async (key) => {
        if (key.endsWith(".parquet")) await sleep(this.clock, options.readMs ?? 0);
      },
      write: async (key) => {
        if (key.includes("/inlet-replaced-")) await sleep(this.clock, options.manifestMs ?? 0);
      },
    };
    const limits = { beatMs: 10_000 };
    const maintenance = { intervalMs, bytesPerSecondMax: 1 << 20, ...options.maintenance };
    this.#compactor = this.lake.open(this.names.map(settingsOf), limits, maintenance).compactor;
  }

  async live(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      for (const topic of this.#topics)
        await this.lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id: minute })) }]);
      await this.clock.run(minuteMs);
    }
  }

  /** Minutes since each table's last pass. */
  passedMinutes(): readonly number[] {
    return this.names.map((name) => {
      const ended = this.#compactor.maintenanceOf(name)?.endedMs;
      return ended === undefined ? Number.POSITIVE_INFINITY : (this.clock.now() - ended) / minuteMs;
    });
  }

  /** How long a pass over the table takes now. */
  async maintainedMs(name: string): Promise<number> {
    const began = this.clock.now();
    const report = await this.clock.until(this.#compactor.maintain(name));
    expect(report.filesOut).toBeGreaterThan(0);
    return this.clock.now() - began;
  }

  async files(name: string): Promise<number> {
    return (await this.lake.files({ namespace: ["sales"], name })).length;
  }

  async end(): Promise<void> {
    await this.clock.until(Promise.resolve(this.#compactor[Symbol.asyncDispose]()));
  }
}

describe("a table is looked after", () => {
  test("while the catalog does not answer to another one's commits", async () => {
    const world = new World(4, { commitMs: (table) => (table === "t0" ? 10 * 3_600_000 : 100) });
    await world.live(60);
    expect(Math.max(...world.passedMinutes().slice(1))).toBeLessThan(10);
    for (const name of world.names.slice(1)) expect(await world.files(name)).toBeLessThan(20);
  });

  test("though its commits take half of the time", async () => {
    const world = new World(20, { commitMs: () => minuteMs / 2 });
    await world.live(30);
    expect(Math.max(...world.passedMinutes())).toBeLessThan(11);
    for (const name of world.names) expect(await world.files(name)).toBeLessThan(20);
    await world.end();
  });

  test("though an append is always committed before its own commit is ready", async () => {
    const world = new World(2, { commitMs: () => 100, manifestMs: 1.2 * minuteMs });
    await world.live(60);
    for (const name of world.names) expect(await world.files(name)).toBeLessThan(20);
    await world.end();
  });

  test("while a catalog does not answer for more tables than there are places", async () => {
    const isDead = (table: string): boolean => table < "t4";
    const world = new World(8, {
      commitMs: (table) => (isDead(table) ? 10 * 3_600_000 : 100),
      maintenance: { tablesMax: 1 },
    });
    await world.live(20);
    for (let minute = 0; minute < 40; minute += 1) {
      await world.live(1);
      expect(Math.max(...world.passedMinutes().slice(4))).toBeLessThan(10);
    }
  });

  test("in less time than its small files take one by one", async () => {
    const readMs = 200;
    const world = new World(1, { commitMs: () => 100, readMs, maintenance: { intervalMs: 24 * 60 * minuteMs } });
    await world.live(60);
    const files = await world.files("t0");
    expect(files).toBeGreaterThan(50);
    expect(await world.maintainedMs("t0")).toBeLessThan((files * readMs) / 4);
    await world.end();
  });

  test("but not by a maintenance that holds one table at a time: this is what the other test looks for", async () => {
    const world = new World(20, { commitMs: () => minuteMs / 2, maintenance: { tablesMax: 1 } });
    await world.live(30);
    expect(Math.max(...world.passedMinutes())).toBeGreaterThan(11);
    await world.end();
  });
});
