/**
 * Proves: whenever dead letters of a table with a key are replayed, in whatever mode, over topic partitions, rounds, rewrites, moves
 * of rows to other keys, logs that have let go of records and processes that die at any step, the table is the fold of the
 * records that became rows, in the order of their offsets: no letter takes the place of what came after it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import avsc from "avsc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OperationFailed } from "../../../src/base/errors.ts";
import type { Offset } from "../../../src/base/ids.ts";
import type { Random } from "../../../src/base/runtime.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import type { TableSettings, WriteMode } from "../../../src/table/settings.ts";
import { readRows } from "../../support/iceberg-reader.ts";
import { Lake } from "../../support/lake.ts";
import { seededRandom } from "../../support/seeded.ts";
import { verified } from "../../support/verified.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const never = new AbortController().signal;
const histories = Number(process.env["INLET_HISTORIES"] ?? 60);
const partitions = 2;
const keysOfPartition = 5;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-replay-keyed-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

class Crash extends Error {}

const kinds = ["kafka-key", "columns", "debezium"] as const;
type Kind = (typeof kinds)[number];

const modes: Readonly<Record<Kind, Partial<WriteMode>>> = {
  "kafka-key": { write: "upsert" },
  columns: { write: "upsert", key: ["id"] },
  debezium: { write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" },
};

const fields = [
  { name: "id", type: "string" },
  { name: "v", type: "int" },
] as const;
const row = { type: "record", name: "Row", fields: [...fields] } as const;
const envelope = {
  type: "record",
  name: "Envelope",
  fields: [
    { name: "before", type: ["null", row], default: null },
    { name: "after", type: ["null", "Row"], default: null },
    { name: "op", type: "string" },
  ],
} as const;

interface Row {
  readonly id: string;
  readonly v: number;
}

/** What a record does to rows: null deletes. */
type Effects = ReadonlyMap<string, Row | null>;

interface Written {
  readonly effects: Effects;
  readonly schemaId: number | undefined;
  /** Whether it is in the table, as it should be. */
  isIn: boolean;
}

function int(random: Random, below: number): number {
  return Math.floor(random.unit() * below);
}

class History {
  readonly counts = {
    letters: 0,
    replayed: 0,
    superseded: 0,
    undecided: 0,
    crashes: 0,
    moves: 0,
    trims: 0,
    rewritten: 0,
  };
  readonly #random: Random;
  readonly #kind: Kind;
  readonly #lake: Lake;
  readonly #topic: ReturnType<Lake["topic"]>;
  readonly #registry = new Registry();
  readonly #settings: TableSettings;
  /** By partition: one an offset. */
  readonly #log: Written[][] = Array.from({ length: partitions }, () => []);
  /** As the source has them. */
  readonly #source = new Map<string, Row>();
  readonly #type: avsc.Type;
  #schemas = 0;
  #compactor: Compactor;
  #isTroubled = false;
  #next = 0;

  constructor(seed: number, kind: Kind) {
    this.#random = seededRandom(seed * 7919);
    this.#kind = kind;
    this.#type = avsc.Type.forSchema((kind === "debezium" ? envelope : row) as never);
    this.#lake = new Lake(seed);
    this.#lake.schemaById = this.#registry.schemaById;
    this.#topic = this.#lake.topic("orders", partitions);
    const mode = { key: [], envelope: "none", opField: "op", tombstone: "delete", ...modes[kind] } as WriteMode;
    const formatVersion = seed % 2 === 0 ? 2 : 3;
    this.#settings = tableSettings("schema-id", { key: { decode: "string" }, mode, formatVersion });
    this.#register();
    this.#compactor = this.#open();
  }

  async run(steps: number): Promise<void> {
    await this.#change(false);
    for (let step = 0; step < steps; step += 1) {
      const choice = this.#random.unit();
      if (choice < 0.5) await this.#change(true);
      else if (choice < 0.7) await this.#troubled(() => this.#compactor.flush("orders"));
      else if (choice < 0.78) await this.#rewrite();
      else if (choice < 0.84) await this.#restart();
      else if (choice < 0.9) await this.#trim();
      else await this.#replay();
    }
  }

  async finish(isVerified: boolean) {
    await this.#restart();
    await this.#compactor.flush("orders");
    await this.#replay();
    const what = { settings: this.#settings, directory, keysMax: 7 };
    const verdict = isVerified ? await verified(this.#lake, this.#compactor, what) : "equal";
    await this.#compactor[Symbol.asyncDispose]();
    const loaded = await this.#lake.foreign().load(orders);
    const rows = loaded === undefined ? [] : await readRows(this.#lake.warehouse, loaded.metadata);
    return { rows: rows.map(shown).toSorted(compare), model: this.#model(), verdict };
  }

  #model(): readonly string[] {
    const rows = new Map<string, Row>();
    for (const { effects } of this.#log.flat().filter(({ isIn }) => isIn))
      for (const [id, put] of effects) {
        if (put === null) rows.delete(id);
        else rows.set(id, put);
      }
    return [...rows.values()].map((each) => shown({ ...each })).toSorted(compare);
  }

  #register(): void {
    this.#schemas = this.#registry.register("AVRO", this.#kind === "debezium" ? envelope : row);
  }

  #open(): Compactor {
    const crash = (): void => {
      if (!this.#isTroubled || this.#random.unit() >= 0.03) return;
      this.counts.crashes += 1;
      throw new Crash("the process died here");
    };
    const answer = async (_method: string, _path: string, response: Response): Promise<Response> => {
      crash();
      return response;
    };
    this.#lake.hooks = { request: async () => crash(), answer, write: crash };
    const roundBytesMax = [150, 400, 1 << 20][int(this.#random, 3)] as number;
    const { compactor, metadata } = this.#lake.open([this.#settings], { roundBytesMax, readBytesMax: 200 });
    metadata.onPropose = crash;
    return compactor;
  }

  async #restart(): Promise<void> {
    await this.#compactor[Symbol.asyncDispose]();
    this.#isTroubled = false;
    this.#compactor = this.#open();
  }

  async #troubled(work: () => Promise<unknown>): Promise<void> {
    this.#isTroubled = this.#random.unit() < 0.5;
    try {
      await work();
    } catch (cause) {
      if (!wasCrash(cause) && !(cause instanceof OperationFailed)) throw cause;
      await this.#restart();
    }
    this.#isTroubled = false;
  }

  async #rewrite(): Promise<void> {
    await this.#troubled(async () => {
      this.counts.rewritten += (await this.#compactor.maintain("orders")).filesIn;
    });
  }

  /** The log lets go of what the table holds. */
  async #trim(): Promise<void> {
    await this.#troubled(() => this.#compactor.flush("orders"));
    await this.#compactor.flush("orders");
    const index = int(this.#random, partitions);
    const partition = this.#lake.partition(this.#topic, index);
    partition.logStart = (partition.logStart +
      int(this.#random, partition.highWatermark - partition.logStart + 1)) as Offset;
    this.counts.trims += 1;
  }

  /** Registers what is missing, and replays; what comes meanwhile is committed meanwhile. */
  async #replay(): Promise<void> {
    if (this.#random.unit() < 0.8) this.#register();
    await this.#compactor.flush("orders");
    const logStarts = this.#log.map((_, index) => this.#lake.partition(this.#topic, index).logStart);
    await this.#troubled(() => this.#compactor.replay("orders", never)); // May die, anywhere.
    const replay = this.#compactor.replay("orders", never);
    await this.#change(false);
    const [{ rows, superseded, undecided, letters }] = await Promise.all([replay, this.#compactor.flush("orders")]);
    this.counts.replayed += rows;
    this.counts.superseded += superseded;
    this.counts.undecided += undecided.records;
    this.counts.letters += letters;
    for (const [partition, records] of this.#log.entries())
      for (const [offset, record] of records.entries())
        if (offset >= (logStarts[partition] as number) && (record.schemaId ?? 0) <= this.#schemas) record.isIn = true;
  }

  async #change(mayFail: boolean): Promise<void> {
    const partition = int(this.#random, partitions);
    const changes = Array.from({ length: 1 + int(this.#random, 4) }, () => this.#record(partition, mayFail)).flat();
    const records = changes.map(({ key, value }) => ({ key: utf8(key), value }));
    this.#log[partition]?.push(...changes.map(({ written }) => written));
    await this.#lake.produce(this.#topic, partition, records);
  }

  #record(partition: number, mayFail: boolean) {
    const id = `k${partition}-${int(this.#random, keysOfPartition)}`;
    const before = this.#source.get(id) ?? null;
    const choice = this.#random.unit();
    const isDelete = choice < 0.25;
    const isMove = !isDelete && choice < 0.45 && before !== null && this.#kind === "debezium";
    this.#next += 1;
    const after = { id: isMove ? `k${partition}-${int(this.#random, keysOfPartition)}` : id, v: this.#next };
    const effects = new Map<string, Row | null>(isMove ? [[id, null]] : []);
    effects.set(after.id, isDelete ? null : after);
    for (const [key, put] of effects) {
      if (put === null) this.#source.delete(key);
      else this.#source.set(key, put);
    }
    if (isMove) this.counts.moves += 1;
    const asked = this.#schemas + (mayFail && this.#random.unit() < 0.35 ? 1 : 0);
    if (isDelete && this.#kind !== "debezium")
      return [{ key: id, value: null, written: { effects, schemaId: undefined, isIn: true } }];
    const change = {
      before: isDelete ? { id, v: 0 } : before,
      after: isDelete ? null : after,
      op: isDelete ? "d" : "u",
    };
    const value = this.#kind === "debezium" ? change : after;
    const written = { effects, schemaId: asked, isIn: asked <= this.#schemas };
    return [{ key: id, value: withSchemaId(asked, this.#type.toBuffer(value)), written }];
  }
}

function shown({ id, v }: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([id, Number(v)]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function wasCrash(cause: unknown): boolean {
  return cause instanceof Error && (cause instanceof Crash || wasCrash(cause.cause));
}

describe.each(kinds)("%s", (kind) => {
  const total = { letters: 0, replayed: 0, superseded: 0, undecided: 0, crashes: 0, moves: 0, trims: 0, rewritten: 0 };
  const groups = Math.ceil(histories / kinds.length / 10);
  test.each(Array.from({ length: groups }, (_, group) => group))(
    "ten histories from seed %i0",
    { timeout: 120_000 },
    async (group) => {
      for (let seed = group * 10 + 1; seed <= group * 10 + 10; seed += 1) {
        const history = new History(seed, kind);
        await history.run(30);
        const { rows, model, verdict } = await history.finish(seed % 5 === 0);
        expect(rows, `seed ${seed}`).toEqual(model);
        expect(verdict, `seed ${seed}`).toMatch(/^(equal|unproven)$/);
        for (const [name, count] of Object.entries(history.counts)) total[name as keyof typeof total] += count;
      }
    },
  );
  afterAll(() => {
    const { moves, ...always } = total;
    for (const [name, count] of Object.entries(always)) expect(count, name).toBeGreaterThan(0);
    if (kind === "debezium") expect(moves).toBeGreaterThan(0);
  });
});
