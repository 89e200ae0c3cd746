/**
 * Random histories of a table with a key, some of whose records are dead letters at first, beside the fold of the records that became
 * rows, in the order of their offsets. The table must equal it whenever letters are replayed or history is brought.
 */
import avsc from "avsc";
import { expect } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import type { Random } from "../../src/base/runtime.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "../table/translate-fixtures.ts";
import { Crashes } from "./crashes.ts";
import { readRows } from "./iceberg-reader.ts";
import { Lake } from "./lake.ts";
import { int, seededRandom } from "./seeded.ts";
import { verified } from "./verified.ts";

const orders = { namespace: ["sales"], name: "orders" };
const never = new AbortController().signal;
/** Of the topic at first; twice as many later, when each key goes to another. */
const partitions = 2;
const keysOfPartition = 5;

export const keyedKinds = ["kafka-key", "columns", "debezium"] as const;
export type KeyedKind = (typeof keyedKinds)[number];

const modes: Readonly<Record<KeyedKind, Partial<WriteMode>>> = {
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
  /** When, among all records. */
  readonly at: number;
  readonly effects: Effects;
  readonly schemaId: number | undefined;
  /** Whether it is in the table, as it should be. */
  isIn: boolean;
}

export type Counted =
  | "letters"
  | "replayed"
  | "superseded"
  | "undecided"
  | "crashes"
  | "moves"
  | "trims"
  | "rewritten"
  | "brought"
  | "grown";

export class KeyedHistory {
  readonly #counts = {
    letters: 0,
    replayed: 0,
    superseded: 0,
    undecided: 0,
    moves: 0,
    trims: 0,
    rewritten: 0,
    brought: 0,
    grown: 0,
  };
  readonly #random: Random;
  readonly #crashes: Crashes;
  readonly #kind: KeyedKind;
  readonly #lake: Lake;
  readonly #topic: ReturnType<Lake["topic"]>;
  readonly #registry = new Registry();
  readonly #settings: TableSettings;
  /** By partition: one an offset. */
  readonly #log: Written[][] = Array.from({ length: partitions * 2 }, () => []);
  /** As the source has them. */
  readonly #source = new Map<string, Row>();
  readonly #type: avsc.Type;
  readonly #hasHistory: boolean;
  #schemas = 0;
  #compactor: Compactor;
  #next = 0;

  constructor(seed: number, kind: KeyedKind, hasHistory: boolean) {
    this.#random = seededRandom(seed * 7919);
    this.#crashes = new Crashes(this.#random, 0.03);
    this.#kind = kind;
    this.#hasHistory = hasHistory;
    this.#type = avsc.Type.forSchema((kind === "debezium" ? envelope : row) as never);
    this.#lake = new Lake(seed);
    this.#lake.schemaById = this.#registry.schemaById;
    this.#topic = this.#lake.topic("orders", partitions);
    const mode = { key: [], envelope: "none", opField: "op", tombstone: "delete", ...modes[kind] } as WriteMode;
    const formatVersion = seed % 2 === 0 ? 2 : 3;
    this.#settings = tableSettings("schema-id", {
      key: { decode: "string" },
      mode,
      formatVersion,
      ...(hasHistory ? { begin: "latest" } : {}),
    });
    this.#register();
    this.#compactor = this.#open();
  }

  get counts(): Readonly<Record<Counted, number>> {
    return { ...this.#counts, crashes: this.#crashes.count };
  }

  async run(steps: number): Promise<void> {
    await this.#change(false);
    if (this.#hasHistory) await this.#begin();
    for (let step = 0; step < steps; step += 1) {
      const choice = this.#random.unit();
      if (choice < 0.5) await this.#change(true);
      else if (choice < 0.7) await this.#troubled(() => this.#compactor.flush("orders"));
      else if (choice < 0.78) await this.#rewrite();
      else if (choice < 0.82) await this.#restart();
      else if (choice < 0.9) await (this.#hasHistory ? this.#bring(1 + int(this.#random, 4)) : this.#trim());
      else if (choice < 0.975) await this.#replay();
      else this.#grow();
    }
  }

  /** `directory`: where verification may write; null does without. */
  async finish(directory: string | null) {
    await this.#restart();
    await this.#compactor.flush("orders");
    if (this.#hasHistory) await this.#bring(Number.POSITIVE_INFINITY);
    this.#register(); // The last that a record may have asked for.
    await this.#replay();
    const what = { settings: this.#settings, directory: directory ?? "", keysMax: 7 };
    const verdict = directory !== null ? await verified(this.#lake, this.#compactor, what) : "equal";
    await this.#compactor[Symbol.asyncDispose]();
    const loaded = await this.#lake.foreign().load(orders);
    const rows = loaded === undefined ? [] : await readRows(this.#lake.warehouse, loaded.metadata);
    return { rows: rows.map(shown).toSorted(compare), model: this.#model(), verdict };
  }

  #model(): readonly string[] {
    const rows = new Map<string, Row>();
    const written = this.#log.flat().filter(({ isIn }) => isIn);
    for (const { effects } of written.toSorted((a, b) => a.at - b.at))
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
    const roundBytesMax = [150, 400, 1 << 20][int(this.#random, 3)] as number;
    return this.#crashes.open(this.#lake, this.#settings, { roundBytesMax, readBytesMax: 200 });
  }

  async #restart(): Promise<void> {
    await this.#compactor[Symbol.asyncDispose]();
    this.#compactor = this.#open();
  }

  async #troubled(work: () => Promise<unknown>): Promise<void> {
    if (!(await this.#crashes.during(0.5, work))) await this.#restart();
  }

  async #rewrite(): Promise<void> {
    await this.#troubled(async () => {
      this.#counts.rewritten += (await this.#compactor.maintain("orders")).filesIn;
    });
  }

  /** A table that begins with what is new, and is asked to bring what was before. */
  async #begin(): Promise<void> {
    for (let changes = 0; changes < 12; changes += 1) await this.#change(true);
    await this.#compactor.flush("orders");
    for (let changes = 0; changes < 3; changes += 1) await this.#change(true);
    await this.#compactor.startBackfill("orders", { from: "earliest", bytesPerSecond: null });
  }

  async #bring(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) {
      const { backfill } = await this.#compactor.report("orders");
      if (backfill?.state !== "running") return;
      if (backfill.trouble !== null) await this.#restart(); // It would wait a second.
      this.#counts.brought += 1;
      await this.#troubled(() => this.#compactor.advanceBackfill("orders"));
      expect(turn).toBeLessThan(2000);
      if (turn % 2 === 1) await this.#compactor.flush("orders");
    }
  }

  /** The log lets go of what the table holds. */
  async #trim(): Promise<void> {
    await this.#troubled(() => this.#compactor.flush("orders"));
    await this.#compactor.flush("orders");
    const index = int(this.#random, this.#partitions);
    const partition = this.#lake.partition(this.#topic, index);
    partition.logStart = (partition.logStart +
      int(this.#random, partition.highWatermark - partition.logStart + 1)) as Offset;
    this.#counts.trims += 1;
  }

  /** Registers what is missing, and replays; what comes meanwhile is committed meanwhile. */
  async #replay(): Promise<void> {
    if (this.#random.unit() < 0.8) this.#register();
    await this.#compactor.flush("orders");
    const logStarts = Array.from({ length: this.#partitions }, (_, index) => {
      return this.#lake.partition(this.#topic, index).logStart;
    });
    await this.#troubled(() => this.#compactor.replay("orders", never)); // May die, anywhere.
    const replay = this.#compactor.replay("orders", never);
    await this.#change(false);
    const [{ rows, superseded, undecided, letters }] = await Promise.all([replay, this.#compactor.flush("orders")]);
    this.#counts.replayed += rows;
    this.#counts.superseded += superseded;
    this.#counts.undecided += undecided.records;
    this.#counts.letters += letters;
    for (const [partition, records] of this.#log.entries())
      for (const [offset, record] of records.entries())
        if (offset >= (logStarts[partition] as number) && (record.schemaId ?? 0) <= this.#schemas) record.isIn = true;
  }

  async #change(mayFail: boolean): Promise<void> {
    const partition = int(this.#random, partitions);
    const changes = Array.from({ length: 1 + int(this.#random, 4) }, () => this.#record(partition, mayFail)).flat();
    const records = changes.map(({ key, value, written }) => {
      return { key: utf8(key), value, timestamp: 1_700_000_000_000 + written.at };
    });
    const index = partition + (this.#counts.grown === 0 ? 0 : partitions);
    this.#log[index]?.push(...changes.map(({ written }) => written));
    await this.#lake.produce(this.#topic, index, records);
  }

  #grow(): void {
    if (this.#counts.grown > 0) return;
    this.#counts.grown = 1;
    this.#lake.grow(this.#topic, "orders", this.#partitions);
  }

  get #partitions(): number {
    return this.#counts.grown === 0 ? partitions : partitions * 2;
  }

  #record(partition: number, mayFail: boolean) {
    const id = `k${partition}-${int(this.#random, keysOfPartition)}`;
    const before = this.#source.get(id) ?? null;
    const choice = this.#random.unit();
    const isDelete = choice < 0.25;
    const isMove = !isDelete && choice < 0.45 && before !== null && this.#kind === "debezium";
    this.#next += 1;
    const at = this.#next;
    const after = { id: isMove ? `k${partition}-${int(this.#random, keysOfPartition)}` : id, v: at };
    const effects = new Map<string, Row | null>(isMove ? [[id, null]] : []);
    effects.set(after.id, isDelete ? null : after);
    for (const [key, put] of effects) {
      if (put === null) this.#source.delete(key);
      else this.#source.set(key, put);
    }
    if (isMove) this.#counts.moves += 1;
    const asked = this.#schemas + (mayFail && this.#random.unit() < 0.35 ? 1 : 0);
    if (isDelete && this.#kind !== "debezium")
      return [{ key: id, value: null, written: { at, effects, schemaId: undefined, isIn: true } }];
    const change = {
      before: isDelete ? { id, v: 0 } : before,
      after: isDelete ? null : after,
      op: isDelete ? "d" : "u",
    };
    const value = this.#kind === "debezium" ? change : after;
    const written = { at, effects, schemaId: asked, isIn: asked <= this.#schemas };
    return [{ key: id, value: withSchemaId(asked, this.#type.toBuffer(value)), written }];
  }
}

function shown({ id, v }: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([id, Number(v)]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
