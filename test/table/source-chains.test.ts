/**
 * Proves: of whatever schemas one topic's producers use, in Avro, Protobuf, JSON Schema or none, and however they change, each valid
 * record is a row with the values that were produced, or a dead letter where its schema and another cannot share columns. Files
 * say of themselves what is in them, before and after they are rewritten. INLET_SEEDS runs more chains, INLET_SEED begins elsewhere.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Random } from "../../src/base/runtime.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { deserializeValue } from "../../src/table/iceberg/bounds.ts";
import type { ManifestEntry } from "../../src/table/iceberg/manifest.ts";
import type { NestedField, PrimitiveType } from "../../src/table/iceberg/types.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { Lake } from "../support/lake.ts";
import { int, seededRandom } from "../support/seeded.ts";
import { type Plain, plainDuckDb } from "./parquet-values.ts";
import { type Format, jsonValue, randomFormat, readJsonText } from "./source-formats.ts";
import {
  chance,
  changedRecord,
  clash,
  hasVoid,
  isRecord,
  newRecord,
  newValue,
  type Shape,
  saysNothing,
  type Value,
} from "./source-shapes.ts";
import { Registry, tableSettings } from "./translate-fixtures.ts";

const firstSeed = Number(process.env["INLET_SEED"] ?? 1);
/** Fewer may leave out a format, or have no dead letter. */
const seedsUsual = 12;
const seeds = Number(process.env["INLET_SEEDS"] ?? seedsUsual);
const orders = { namespace: ["sales"], name: "orders" };
const letters = { namespace: ["sales"], name: "orders_dlq" };

let directory: string;
let instance: DuckDBInstance;
let duckDb: DuckDBConnection;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-source-chains-"));
  instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  duckDb = await instance.connect();
});
afterAll(() => {
  duckDb.closeSync();
  instance.closeSync();
  rmSync(directory, { recursive: true });
});

type Row = Readonly<Record<string, Plain>>;
let filesRead = 0;

async function rowsOf(bytes: Uint8Array): Promise<readonly Row[]> {
  filesRead += 1; // DuckDB remembers files by their name.
  const path = join(directory, `${filesRead}.parquet`);
  writeFileSync(path, bytes);
  const reader = await duckDb.runAndReadAll(`SELECT * FROM read_parquet('${path}')`);
  rmSync(path);
  return reader.getRowObjects().map((row) => plainFields(row));
}

function plainFields(row: Readonly<Record<string, unknown>>): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainDuckDb(value)]));
}

interface Version {
  readonly shape: Shape;
  readonly schemaId: number;
}

interface Produced {
  readonly version: Version;
  readonly value: Value;
  /** undefined: the record has none. */
  readonly key: { readonly version: Version; readonly value: Value } | undefined;
}

/** One topic, whose producers go from version to version of their schema, and sometimes back. */
class Chain {
  readonly format: Format;
  readonly counts = { rows: 0, letters: 0, rewritten: 0 };
  readonly #random: Random;
  readonly #lake: Lake;
  readonly #settings: TableSettings;
  readonly #registry = new Registry();
  readonly #versions: Version[] = [];
  /** None where keys are bytes. */
  readonly #keyVersions: Version[] = [];
  readonly #produced: Produced[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed * 7919);
    this.#lake = new Lake(seed);
    this.#lake.schemaById = this.#registry.schemaById;
    this.format = randomFormat(this.#random);
    const decode = this.format.type === undefined ? "json" : "schema-id";
    const onTypeChange = chance(this.#random, 0.5) ? "dead-letter" : "new-column";
    const layout = chance(this.#random, 0.2) ? "nested" : "flat";
    this.#settings = tableSettings(decode, {
      formatVersion: chance(this.#random, 0.5) ? 2 : 3,
      value: { decode, subject: null, onTypeChange, layout },
      key:
        decode === "schema-id" && chance(this.#random, 0.3)
          ? { decode, columns: chance(this.#random, 0.5) ? "flat" : "nested" }
          : { decode: "raw" },
    });
  }

  /** What is wrong. */
  async run(): Promise<readonly string[]> {
    const topic = this.#lake.topic("orders", 1);
    const { compactor } = this.#lake.open([this.#settings], {}, { filesMin: 2 });
    await using _ = compactor;
    const rounds = 2 + int(this.#random, 3);
    for (let round = 0; round < rounds; round += 1) {
      this.#addVersion(this.#versions);
      if (this.#settings.key.decode === "schema-id") this.#addVersion(this.#keyVersions);
      await this.#lake.produce(topic, 0, this.#records());
      await compactor.flush("orders");
    }
    const before = await this.#wrongs();
    if (before.length > 0) return before;
    this.counts.rewritten += (await compactor.maintain("orders")).filesIn;
    return (await this.#wrongs()).map((wrong) => `after a rewrite: ${wrong}`);
  }

  describe(): string {
    const shown = ({ shape }: Version): string => this.format.declare(shape);
    const keys = this.#keyVersions.map((version) => `key ${shown(version)}`);
    return [this.#settings.value.onTypeChange, ...this.#versions.map(shown), ...keys].join("\n");
  }

  #addVersion(versions: Version[]): void {
    const last = versions.at(-1);
    const shape =
      last === undefined ? newRecord(this.#random, this.format) : changedRecord(this.#random, this.format, last.shape);
    const { type } = this.format;
    const text = this.format.declare(shape);
    const schemaId =
      type === undefined ? 0 : this.#registry.register(type, type === "PROTOBUF" ? text : JSON.parse(text));
    versions.push({ shape, schemaId });
  }

  #records(): readonly { readonly key: Uint8Array | null; readonly value: Uint8Array }[] {
    return Array.from({ length: 1 + int(this.#random, 4) }, () => {
      const version = this.#version(this.#versions) as Version;
      const keyVersion = chance(this.#random, 0.8) ? this.#version(this.#keyVersions) : undefined;
      const key = keyVersion && { version: keyVersion, value: newValue(this.#random, keyVersion.shape) };
      const value = this.#withUndeclared(newValue(this.#random, version.shape), version);
      this.#produced.push({ version, value, key });
      return {
        key: key === undefined ? null : this.format.encode(key.version.shape, key.value, key.version.schemaId),
        value: this.format.encode(version.shape, value, version.schemaId),
      };
    });
  }

  /** The newest, or that of a producer which nobody has brought up to date. */
  #version(versions: readonly Version[]): Version | undefined {
    return chance(this.#random, 0.25) ? versions[0] : versions.at(-1);
  }

  /** Fields of any type, which a JSON Schema does not forbid. */
  #withUndeclared(value: Value, { shape }: Version): Value {
    if (this.format.type !== "JSON" || value.kind !== "fields" || shape.kind !== "struct") return value;
    if (chance(this.#random, 0.5)) return value;
    const more = newValue(this.#random, newRecord(this.#random, this.format));
    const declared = shape.fields;
    const undeclared = more.kind === "fields" ? [...more.fields].filter(([name]) => !declared.has(name)) : [];
    return { kind: "fields", fields: new Map([...undeclared, ...value.fields]) };
  }

  async #wrongs(): Promise<readonly string[]> {
    const wrongs: string[] = [];
    const seen = new Set<number>();
    const metadata = (await this.#lake.foreign().load(orders))?.metadata;
    for (const entry of await this.#lake.files(orders)) {
      const rows = await rowsOf(await this.#lake.warehouse.read(entry.file.path));
      wrongs.push(...wrongMetrics(entry, rows, metadata === undefined ? [] : currentSchema(metadata).fields));
      for (const row of rows) {
        const offset = Number(row["_kafka_offset"]);
        this.counts.rows += 1;
        if (seen.has(offset)) wrongs.push(`offset ${offset} is twice in the table`);
        seen.add(offset);
        const wrong = this.#wrongRow(row, this.#produced[offset] as Produced);
        if (wrong !== undefined) wrongs.push(`offset ${offset}: ${wrong}`);
      }
    }
    for (const letter of await this.#lake.rows(letters)) {
      const offset = Number(letter["offset"]);
      this.counts.letters += 1;
      seen.add(offset);
      if (!this.#isExplained(this.#produced[offset] as Produced, String(letter["reason"])))
        wrongs.push(`offset ${offset} is a dead letter: ${String(letter["reason"])}, ${String(letter["detail"])}`);
    }
    if (seen.size !== this.#produced.length)
      wrongs.push(`${this.#produced.length} were produced, ${seen.size} are there`);
    return wrongs;
  }

  #wrongRow(row: Row, { version, value, key }: Produced): string | undefined {
    const extra = typeof row["_extra"] === "string" ? readJsonText(row["_extra"]) : {};
    const isFlat =
      this.#settings.value.layout === "flat" && (isRecord(version.shape) || this.format.type === undefined);
    const cell = isFlat ? cellsOf(row, /^(?!_)/) : (row["value"] ?? null);
    const below = new Comparison(extra as Readonly<Record<string, unknown>>);
    const wrong =
      this.format.type === undefined
        ? below.json(jsonValue(value), cell, "")
        : below.declared(version.shape, value, cell, "");
    return wrong ?? (this.#keyVersions.length === 0 ? undefined : this.#wrongKey(row, key));
  }

  #wrongKey(row: Row, key: Produced["key"]): string | undefined {
    const isFlat = this.#settings.key.columns === "flat" && (key === undefined || isRecord(key.version.shape));
    const cell = isFlat ? cellsOf(row, /^_kafka_key_/) : (row["_kafka_key"] ?? null);
    if (key === undefined) return isEmpty(cell) ? undefined : differs("key", null, cell);
    const wrong = new Comparison({}).declared(key.version.shape, key.value, cell, "");
    return wrong === undefined ? undefined : `key ${wrong}`;
  }

  #isExplained({ version, key }: Produced, reason: string): boolean {
    const hasOther = this.#versions.some((other) => clash(other.shape, version.shape));
    const hasOtherKey = this.#keyVersions.some((other) => key !== undefined && clash(other.shape, key.version.shape));
    // Of a key nothing may be lost, and what has no column has no other place.
    const isLost = this.format.type === "JSON" && key !== undefined && hasVoid(key.version.shape);
    if (reason === "type-mismatch") return isLost;
    // Only fields have further columns.
    const isWhole = !isRecord(version.shape) || (key !== undefined && !isRecord(key.version.shape));
    const hasWhole = isWhole || this.#settings.value.layout === "nested" || this.#keyVersions.length > 0;
    const isAllowed = this.#settings.value.onTypeChange === "dead-letter" || hasWhole;
    return reason === "schema-refused" && isAllowed && (hasOther || hasOtherKey);
  }
}

/** By the names behind the prefix. */
function cellsOf(row: Row, prefix: RegExp): Row {
  const own = Object.entries(row).filter(([name]) => prefix.test(name));
  return Object.fromEntries(own.map(([name, cell]) => [name.replace(prefix, ""), cell]));
}

/** Of what was produced and what is read. Each gives the first difference. */
class Comparison {
  /** JSON Pointers to what found no column. */
  readonly #extra: Readonly<Record<string, unknown>>;

  constructor(extra: Readonly<Record<string, unknown>>) {
    this.#extra = extra;
  }

  declared(shape: Shape, value: Value, cell: Plain, at: string): string | undefined {
    // In JSON it may be anything, as what is not declared.
    if (saysNothing(shape)) return isEmpty(cell) ? undefined : this.json(jsonValue(value), cell, at);
    if (shape.kind === "optional" && value.kind !== "absent") return this.declared(shape.of, value, cell, at);
    switch (value.kind) {
      case "absent":
        // Of a flat record: all its columns.
        return cell === null || (at === "" && isEmpty(cell)) ? undefined : differs(at, null, cell);
      case "scalar": {
        const isJson = shape.kind === "scalar" && shape.scalar.isJson === true;
        const isSame = isJson
          ? typeof cell === "string" && isDeepStrictEqual(readJsonText(cell), value.sent)
          : isSameScalar(value.read, cell);
        return isSame ? undefined : differs(at, value.read, cell);
      }
      case "fields":
        return this.#fields(shape, value.fields, cell, at);
      case "list": {
        if (!Array.isArray(cell) || cell.length !== value.items.length) return differs(at, value.items, cell);
        const { of } = shape as Extract<Shape, { readonly kind: "list" }>;
        return first(value.items.map((item, index) => this.declared(of, item, cell[index], `${at}/${index}`)));
      }
      case "map": {
        const last = new Map(value.entries);
        if (!Array.isArray(cell) || cell.length !== last.size) return differs(at, value.entries, cell);
        const cells = new Map(cell as readonly [string, Plain][]);
        const { of } = shape as Extract<Shape, { readonly kind: "map" }>;
        return first([...last].map(([key, item]) => this.declared(of, item, cells.get(key), `${at}/${key}`)));
      }
    }
  }

  #fields(shape: Shape, values: ReadonlyMap<string, Value>, cell: Plain, at: string): string | undefined {
    if (typeof cell !== "object" || cell === null) return differs(at, "an object", cell);
    const cells = new Map(Object.entries(cell));
    const known =
      shape.kind === "struct" ? shape.fields : shape.kind === "choice" ? shape.of : new Map<string, Shape>();
    const wrong = first(
      [...values].map(([name, value]) => {
        const of = known.get(name);
        const below = `${at}/${name}`;
        if (of === undefined) return this.json(jsonValue(value), takeCell(cells, name), below);
        return this.declared(of, value, takeCell(cells, name), below);
      }),
    );
    return (
      wrong ??
      first([...cells].map(([name, rest]) => (isEmpty(rest) ? undefined : differs(`${at}/${name}`, "nothing", rest))))
    );
  }

  /** Of what no schema describes: in its column, or in the extra one. */
  json(value: unknown, cell: Plain, at: string): string | undefined {
    if (at in this.#extra) {
      const isKept = isEmpty(cell) && isDeepStrictEqual(this.#extra[at], value);
      return isKept ? undefined : differs(at, value, [cell, this.#extra[at]]);
    }
    if (value === null) return isEmpty(cell) ? undefined : differs(at, null, cell);
    if (Array.isArray(value)) {
      if (!Array.isArray(cell) || cell.length !== value.length) return differs(at, value, cell);
      return first(value.map((item, index) => this.json(item, cell[index], `${at}/${index}`)));
    }
    if (typeof value !== "object") return isSameScalar(value, cell) ? undefined : differs(at, value, cell);
    if (typeof cell !== "object" && at !== "") return differs(at, value, cell);
    const cells = new Map<string, Plain>(
      Array.isArray(cell) ? (cell as [string, Plain][]) : Object.entries(cell ?? {}),
    );
    const fields = Object.entries(value).map(([name, item]) => this.json(item, takeCell(cells, name), `${at}/${name}`));
    return first(fields);
  }
}

/** Of the columns that the field may have, the one that has a value. */
function takeCell(cells: Map<string, Plain>, name: string): Plain {
  const own = [...cells].filter(([column]) => column === name || column.startsWith(`${name}__`));
  for (const [column] of own) cells.delete(column);
  const filled = own.map(([, cell]) => cell).filter((cell) => cell !== null);
  if (filled.length > 1) return `several columns: ${filled.map(String).join()}`;
  return filled[0] ?? null;
}

function isEmpty(cell: Plain): boolean {
  if (cell === null || cell === undefined) return true;
  return typeof cell === "object" && Object.values(cell).every(isEmpty);
}

function isSameScalar(value: Plain, cell: Plain): boolean {
  if (typeof value === "number" && typeof cell === "number") return Object.is(value, cell);
  if (typeof value === "string" && typeof cell !== "string") {
    const time = Date.parse(value);
    return typeof cell === "bigint" ? BigInt(time) * 1000n === cell : time / 86_400_000 === cell;
  }
  if (typeof value === "string" && typeof cell === "string") return uuidOf(value) === uuidOf(cell);
  return typeof value === typeof cell || typeof cell === "bigint" || typeof value === "bigint"
    ? String(value) === String(cell)
    : false;
}

/** As bytes are shown, if it is one. */
function uuidOf(text: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? `0x${text.replaceAll("-", "")}` : text;
}

function first(all: readonly (string | undefined)[]): string | undefined {
  return all.find((each) => each !== undefined);
}

function differs(at: string, expected: unknown, found: unknown): string {
  return `${at} should be ${shown(expected)}, is ${shown(found)}`;
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? `${each}n` : each)) ?? "missing";
}

/** Counts and bounds of a manifest's entry against the file's rows. */
function wrongMetrics(
  { file }: ManifestEntry,
  rows: readonly Row[],
  fields: readonly NestedField[],
): readonly string[] {
  const wrongs: string[] = [];
  if (file.recordCount !== rows.length) wrongs.push(`${file.recordCount} rows are announced, ${rows.length} are there`);
  const look = (field: NestedField, cells: readonly Plain[]): void => {
    if (typeof field.type === "object") {
      if (field.type.type !== "struct") return;
      for (const inner of field.type.fields)
        look(
          inner,
          cells.map((cell) => (cell as Row | null | undefined)?.[inner.name]),
        );
      return;
    }
    const count = file.valueCounts.get(field.id);
    if (count === undefined) {
      if (!cells.every(isEmpty)) wrongs.push(`${field.name} has values and no counts`);
      return;
    }
    const present = cells.filter((cell) => cell !== null && cell !== undefined);
    const counts = [count, file.nullValueCounts.get(field.id)];
    if (!isDeepStrictEqual(counts, [rows.length, rows.length - present.length]))
      wrongs.push(`${field.name} has counts ${counts.join()}`);
    const [lower, upper] = [file.lowerBounds.get(field.id), file.upperBounds.get(field.id)];
    for (const cell of present.filter((each) => !Number.isNaN(each))) {
      if (lower === undefined || order(field.type, lower, cell) > 0)
        wrongs.push(`${field.name} has ${shown(cell)} below its bound`);
      if (upper !== undefined && order(field.type, upper, cell) < 0)
        wrongs.push(`${field.name} has ${shown(cell)} above its bound`);
    }
  };
  for (const field of fields)
    look(
      field,
      rows.map((row) => row[field.name]),
    );
  return wrongs;
}

function order(type: PrimitiveType, bound: Uint8Array, cell: Plain): number {
  if (typeof cell === "string") {
    return Buffer.compare(
      bound,
      cell.startsWith("0x") && type !== "string" ? Buffer.from(cell.slice(2), "hex") : Buffer.from(cell),
    );
  }
  const value = deserializeValue(type, bound);
  const [a, b] = [typeof value === "boolean" ? Number(value) : value, typeof cell === "boolean" ? Number(cell) : cell];
  return Number((a as number) > (b as number)) - Number((a as number) < (b as number));
}

test("every record of every chain of schemas is a row with its values, or a dead letter that its schema explains", async () => {
  const counts = { rows: 0, letters: 0, rewritten: 0 };
  const formats = new Set<Format>();
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const chain = new Chain(seed);
    let wrongs: readonly string[];
    try {
      wrongs = await chain.run();
    } catch (cause) {
      throw new Error(`seed ${seed}\n${chain.describe()}`, { cause });
    }
    expect(wrongs, `seed ${seed}\n${chain.describe()}`).toEqual([]);
    formats.add(chain.format);
    for (const name of ["rows", "letters", "rewritten"] as const) counts[name] += chain.counts[name];
  }
  if (seeds < seedsUsual) return;
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
  expect(formats.size).toBe(4);
}, 600_000);
