/**
 * A random history of a table with a key beside the model of what its rows are: inserts, updates, deletes, inserts again, moves to
 * another key, rewrites of files, a change of the partition spec or the format version, restarts, and processes that die at any step.
 */
import type { Random } from "../../src/base/runtime.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { tableSettings, utf8 } from "../table/translate-fixtures.ts";
import { Crashes } from "./crashes.ts";
import { readRows } from "./iceberg-reader.ts";
import { Lake } from "./lake.ts";
import { int, seededRandom } from "./seeded.ts";
import { verified } from "./verified.ts";

export const historyTable = { namespace: ["sales"], name: "orders" };

const partitions = 3;
const keysOfPartition = 6;

export const upsertKinds = ["kafka-key", "columns", "debezium"] as const;
export type UpsertKind = (typeof upsertKinds)[number];

const modes: Readonly<Record<UpsertKind, Partial<WriteMode>>> = {
  "kafka-key": { write: "upsert" },
  columns: { write: "upsert", key: ["id"] },
  debezium: { write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" },
};

function settingsOf(kind: UpsertKind, isPartitioned: boolean, formatVersion: 2 | 3): TableSettings {
  const partitionBy = isPartitioned ? [{ column: "region", transform: "identity" } as const] : [];
  const mode = { key: [], envelope: "none", opField: "op", tombstone: "delete", ...modes[kind] } as WriteMode;
  const expire = { keepMs: 1e12, keepMin: 3 };
  return tableSettings("json", { key: { decode: "string" }, mode, partitionBy, formatVersion, expire });
}

interface Row {
  readonly id: string;
  readonly region: string;
  readonly v: number;
}

/** Keys stay in their topic partition, as producers keep them. */
export class UpsertHistory {
  readonly lake: Lake;
  readonly counts = { moves: 0, deletes: 0, again: 0, specs: 0, rewritten: 0, vectors: 0, upgraded: 0 };
  readonly #random: Random;
  readonly #crashes: Crashes;
  readonly #kind: UpsertKind;
  readonly #formatVersion: 2 | 3;
  readonly #topic: ReturnType<Lake["topic"]>;
  readonly #model = new Map<string, Row>();
  readonly #deleted = new Set<string>();
  #settings: TableSettings;
  #compactor: Compactor;
  #next = 0;

  constructor(seed: number, kind: UpsertKind, formatVersion: 2 | 3, root?: string) {
    this.#random = seededRandom(seed * 6151);
    this.#crashes = new Crashes(this.#random, 0.04);
    this.#kind = kind;
    this.lake = new Lake(seed, {}, root);
    this.#topic = this.lake.topic("orders", partitions);
    const isPartitioned = this.#random.unit() < 0.3;
    // Every third table of version 3 is one of version 2 first.
    this.#formatVersion = formatVersion;
    this.#settings = settingsOf(kind, isPartitioned, seed % 3 === 0 ? 2 : formatVersion);
    this.#compactor = this.#open();
  }

  get crashes(): number {
    return this.#crashes.count;
  }

  async run(steps: number): Promise<void> {
    await this.#change();
    for (let step = 0; step < steps; step += 1) {
      const choice = this.#random.unit();
      if (choice < 0.55) await this.#change();
      else if (choice < 0.85) await this.#flush();
      else if (choice < 0.92) await this.#rewrite();
      else if (choice < 0.97) await this.#restart();
      else await this.#changeTable();
    }
  }

  /** `directory`: where verification may write; null does without. */
  async finish(directory: string | null): Promise<{
    readonly rows: readonly string[];
    readonly model: readonly string[];
    readonly verdict: string;
  }> {
    await this.#restart();
    await this.#compactor.flush("orders");
    const isMade = (await this.lake.foreign().load(historyTable)) !== undefined;
    const what = { settings: this.#settings, directory: directory ?? "", keysMax: 9 };
    const isVerified = directory !== null && isMade;
    const outcome = isVerified ? await verified(this.lake, this.#compactor, what) : "equal";
    await this.#compactor[Symbol.asyncDispose]();
    const loaded = await this.lake.foreign().load(historyTable);
    const rows = loaded === undefined ? [] : await readRows(this.lake.warehouse, loaded.metadata);
    return {
      rows: rows.map((row) => shownRow([row["id"], row["region"], row["v"]])).toSorted(compare),
      model: [...this.#model.values()].map(({ id, region, v }) => shownRow([id, region, v])).toSorted(compare),
      verdict: outcome,
    };
  }

  #open(): Compactor {
    // Small rounds, so that a flush makes several, and joined manifests, so that files change theirs.
    const merge = { isEnabled: true, countMin: 4, bytesTarget: 1 << 20 };
    const roundBytesMax = [150, 400, 1 << 20][int(this.#random, 3)] as number;
    return this.#crashes.open(this.lake, this.#settings, { roundBytesMax, readBytesMax: 200, merge });
  }

  async #restart(): Promise<void> {
    await this.#compactor[Symbol.asyncDispose]();
    this.#compactor = this.#open();
  }

  async #flush(): Promise<void> {
    if (!(await this.#crashes.during(0.6, () => this.#compactor.flush("orders")))) await this.#restart();
  }

  /** Small files become large ones, without the rows that deletes have taken. */
  async #rewrite(): Promise<void> {
    const isDone = await this.#crashes.during(0.3, async () => {
      const { filesIn, vectorsWritten } = await this.#compactor.maintain("orders");
      this.counts.rewritten += filesIn;
      this.counts.vectors += vectorsWritten;
    });
    if (!isDone) await this.#restart();
  }

  /** As an owner does it; a setting that grows does the same. */
  async #changeTable(): Promise<void> {
    const loaded = await this.lake.foreign().load(historyTable);
    if (loaded === undefined) return;
    const region = currentSchema(loaded.metadata).fields.find((field) => field.name === "region");
    if (region === undefined) return;
    if (this.#settings.formatVersion < this.#formatVersion) {
      this.#settings = { ...this.#settings, formatVersion: this.#formatVersion };
      this.counts.upgraded += 1;
      await this.#restart();
    } else if (this.#settings.partitionBy.length === 0) {
      this.#settings = settingsOf(this.#kind, true, this.#formatVersion);
      this.counts.specs += 1;
      await this.#restart();
    }
  }

  async #change(): Promise<void> {
    const partition = int(this.#random, partitions);
    const records = Array.from({ length: 1 + int(this.#random, 5) }, () => this.#record(partition)).flat();
    await this.lake.produce(this.#topic, partition, records);
  }

  #record(partition: number): readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[] {
    const id = `k${partition}-${int(this.#random, keysOfPartition)}`;
    const before = this.#model.get(id);
    const choice = this.#random.unit();
    if (choice < 0.25) return this.#delete(id, before);
    if (choice < 0.4 && before !== undefined && this.#kind === "debezium") return this.#move(partition, before);
    if (this.#deleted.has(id)) this.counts.again += 1;
    const after = this.#rowOf(id);
    this.#model.set(id, after);
    return [this.#put(before, after)];
  }

  #rowOf(id: string): Row {
    this.#next += 1;
    return { id, region: ["eu", "us", "asia"][int(this.#random, 3)] as string, v: this.#next };
  }

  #put(before: Row | undefined, after: Row) {
    const op = before === undefined ? "c" : "u";
    const value = this.#kind === "debezium" ? { before: before ?? null, after, op } : after;
    return { key: utf8(after.id), value: utf8(JSON.stringify(value)) };
  }

  #delete(id: string, before: Row | undefined) {
    this.#model.delete(id);
    this.#deleted.add(id);
    this.counts.deletes += 1;
    const tombstone = { key: utf8(id), value: null };
    if (this.#kind !== "debezium") return [tombstone];
    if (before === undefined) return [];
    return [{ key: utf8(id), value: utf8(JSON.stringify({ before, after: null, op: "d" })) }, tombstone];
  }

  /** An update that says another key than before, to a key of the same partition that may have a row. */
  #move(partition: number, before: Row) {
    const after = this.#rowOf(`k${partition}-${int(this.#random, keysOfPartition)}`);
    this.#model.delete(before.id);
    this.#model.set(after.id, after);
    this.counts.moves += 1;
    return [{ key: utf8(before.id), value: utf8(JSON.stringify({ before, after, op: "u" })) }];
  }
}

/** As rows of the table and of the model are compared. */
export function shownRow(cells: readonly [id: unknown, region: unknown, v: unknown]): string {
  return JSON.stringify(cells);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
