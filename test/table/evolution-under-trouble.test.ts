/**
 * Proves: while producers add fields, people alter columns and specs, settings change with each restart, and requests or their
 * answers are lost, every record is a row once, with its value in its own column, and no field id ever means two things.
 */
import { describe, expect, test } from "vitest";
import type { Random } from "../../src/base/runtime.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import { visitFields } from "../../src/table/iceberg/schema-ids.ts";
import type { NestedField } from "../../src/table/iceberg/types.ts";
import type { Update } from "../../src/table/iceberg/updates.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { Lake, sorted } from "../support/lake.ts";
import { seededRandom } from "../support/seeded.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };

const layouts: readonly Partial<TableSettings>[] = [
  {},
  { partitionBy: [{ column: "id", transform: "identity" }] },
  {
    partitionBy: [{ column: "_kafka_timestamp", transform: "day" }],
    sortBy: [{ column: "id", direction: "desc", nulls: "last" }],
  },
  { sortBy: [{ column: "f1", direction: "asc", nulls: "first" }] },
];

class World {
  readonly lake: Lake;
  readonly expected: string[] = [];
  readonly counts = { faults: 0, alterations: 0, restarts: 0 };
  readonly #random: Random;
  readonly #topic;
  #compactor: Compactor;
  #layout: Partial<TableSettings> = {};
  #isTroubled = false;
  #next = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed * 104_729);
    this.lake = new Lake(seed);
    this.#topic = this.lake.topic("orders", 1);
    this.lake.hooks = {
      ...this.lake.hooks,
      request: async () => this.#maybeFail("the request was lost"),
      answer: async (_method, _path, response) => {
        this.#maybeFail("the answer was lost");
        return response;
      },
    };
    this.#compactor = this.#open();
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      const choice = this.#random.unit();
      if (choice < 0.4) await this.#produce();
      else if (choice < 0.75) await this.#flush();
      else if (choice < 0.85) await this.#restart();
      else await this.#alter();
    }
  }

  async finish(): Promise<void> {
    await this.#produce();
    await this.#compactor.flush("orders");
    await this.#compactor[Symbol.asyncDispose]();
  }

  #open(): Compactor {
    return this.lake.open([tableSettings("json", this.#layout)]).compactor;
  }

  async #restart(): Promise<void> {
    this.counts.restarts += 1;
    await this.#compactor[Symbol.asyncDispose]();
    this.#layout = this.#one(layouts);
    this.#compactor = this.#open();
  }

  async #produce(): Promise<void> {
    const records = Array.from({ length: 1 + this.#int(4) }, () => {
      const id = this.#next;
      this.#next += 1;
      this.expected.push(`0:${id}`);
      return { value: utf8(JSON.stringify({ id, [`f${this.#int(6)}`]: id, s: { [`n${this.#int(4)}`]: id } })) };
    });
    await this.lake.produce(this.#topic, 0, records);
  }

  async #flush(): Promise<void> {
    this.#isTroubled = true;
    try {
      await this.#compactor.flush("orders");
    } catch (cause) {
      if ((cause as Error).name !== "TableStuck") throw cause;
    }
    this.#isTroubled = false;
  }

  async #alter(): Promise<void> {
    const metadata = (await this.lake.foreign().load(orders))?.metadata;
    if (metadata === undefined) return;
    const updates = this.#alteration(metadata);
    const outcome = await this.lake.foreign().commit(orders, [], updates);
    if (outcome.kind === "committed") this.counts.alterations += 1;
  }

  #alteration(metadata: TableMetadata): readonly Update[] {
    const schema = currentSchema(metadata);
    const values = schema.fields.filter(({ name }) => /^f\d|^r\d/.test(name));
    const victim = values.length === 0 ? undefined : this.#one(values);
    const nextId = metadata["last-column-id"] + 1;
    const changes: readonly ((fields: readonly NestedField[]) => readonly NestedField[])[] = [
      (fields) => [...fields].reverse(),
      (fields) => fields.filter((field) => field !== victim),
      (fields) => fields.map((field) => (field === victim ? { ...field, name: `r${nextId}_${field.id}` } : field)),
      (fields) => {
        const name = `f${this.#int(6)}`;
        const isTaken = fields.some((field) => field.name === name);
        return isTaken ? fields : [...fields, { id: nextId, name, required: false, type: "double" }];
      },
    ];
    const which = this.#int(changes.length + 1);
    const change = changes[which];
    if (change !== undefined) {
      return [
        { action: "add-schema", schema: { ...schema, fields: change(schema.fields) } },
        { action: "set-current-schema", "schema-id": -1 },
      ];
    }
    const spec = this.#one(metadata["partition-specs"]);
    return [{ action: "set-default-spec", "spec-id": spec["spec-id"] }];
  }

  #maybeFail(message: string): void {
    if (!this.#isTroubled || this.#random.unit() > 0.08) return;
    this.counts.faults += 1;
    throw new Error(message);
  }

  #int(below: number): number {
    return Math.floor(this.#random.unit() * below);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#int(list.length)] as T;
  }
}

describe("a table that everybody changes", () => {
  const seeds = Number(process.env["INLET_SEEDS"] ?? 15);
  const total = { faults: 0, alterations: 0, restarts: 0 };
  for (let seed = 1; seed <= seeds; seed += 1) {
    test(`seed ${seed}: holds every record once, in its columns`, async () => {
      const world = new World(seed);
      await world.run(50);
      await world.finish();
      expect(await world.lake.places(orders), `seed ${seed}`).toEqual(sorted(world.expected));
      const rows = await world.lake.rows(orders);
      for (const row of rows) expect(Number(row["id"]), `seed ${seed}`).toBe(Number(row["_kafka_offset"]));
      const metadata = (await world.lake.foreign().load(orders))?.metadata as TableMetadata;
      requireOneMeaning(metadata);
      await requireTrueOrder(world.lake, metadata);
      for (const [name, count] of Object.entries(world.counts)) total[name as keyof typeof total] += count;
    });
  }
  test("the trouble was real", () => {
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0);
  });
});

/** Rules G1, G7, G8: an id is one column in all schemas, and a partition field's id one source and transform in all specs. */
function requireOneMeaning(metadata: TableMetadata): void {
  const kinds = new Map<number, string>();
  for (const schema of metadata.schemas) {
    const ids: number[] = [];
    visitFields(schema, (id, type) => {
      ids.push(id);
      const kind = typeof type === "string" ? type : type.type;
      expect(kinds.get(id) ?? kind, `field ${id}`).toBe(kind);
      kinds.set(id, kind);
    });
    expect(new Set(ids).size).toBe(ids.length);
    expect(Math.max(...ids)).toBeLessThanOrEqual(metadata["last-column-id"]);
  }
  const fields = new Map<number, string>();
  for (const field of metadata["partition-specs"].flatMap((spec) => spec.fields)) {
    const meaning = `${field["source-id"]} ${field.transform}`;
    expect(fields.get(field["field-id"]) ?? meaning).toBe(meaning);
    fields.set(field["field-id"], meaning);
  }
  const texts = metadata["partition-specs"].map(({ fields: each }) => JSON.stringify(each));
  expect(new Set(texts).size).toBe(texts.length);
}

/** Rule G14: what a file says of its order names an order that is there. */
async function requireTrueOrder(lake: Lake, metadata: TableMetadata): Promise<void> {
  const known = new Set(metadata["sort-orders"].map((order) => order["order-id"]));
  for (const { sortOrderId } of await lake.files(orders)) expect(known.has(sortOrderId ?? 0)).toBe(true);
}
