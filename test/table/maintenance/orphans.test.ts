/** Proves: only what nothing names, is old, and looks like a table's file is removed; and where that cannot be known, nothing. */
import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import { removeOrphans } from "../../../src/table/maintenance/orphans.ts";
import { PathSet } from "../../../src/table/maintenance/path-set.ts";
import type { MaintenanceTurn, RewriteTarget } from "../../../src/table/maintenance/replace-commit.ts";
import { Lake, type maintenanceLimits } from "../../support/lake.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const day = 86_400_000;

class OldLake {
  skewMs = 0;
  readonly lake: Lake;
  readonly topic: ReturnType<Lake["topic"]>;
  readonly compactor: Compactor;

  constructor(
    seed: number,
    settings = tableSettings("json", { expire: { keepMs: 30 * day, keepMin: 5 } }),
    limits: Partial<typeof maintenanceLimits> = {},
  ) {
    const { clock } = systemRuntime();
    this.lake = new Lake(seed, {
      clock: {
        now: () => clock.now() + this.skewMs,
        monotonic: () => clock.monotonic() + this.skewMs,
        after: (delayMs, callback) => clock.after(delayMs, callback),
      },
    });
    this.topic = this.lake.topic("orders", 1);
    this.compactor = this.lake.open([settings], { expiredGraceMs: 600_000 }, { filesMin: 2, ...limits }).compactor;
  }

  async commit(id: number): Promise<void> {
    await this.lake.produce(this.topic, 0, [{ value: utf8(JSON.stringify({ id })) }]);
    await this.compactor.flush("orders");
  }

  async location(): Promise<string> {
    return (await this.lake.foreign().load(orders))?.metadata.location ?? "";
  }

  async objects(): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const { key } of this.lake.store.list("")) keys.push(key);
    return keys;
  }
}

async function tableWithOrphans(seed: number, limits: Partial<typeof maintenanceLimits> = {}) {
  const old = new OldLake(seed, undefined, limits);
  await old.commit(1);
  await old.commit(2);
  await old.compactor.maintain("orders");
  const location = await old.location();
  for (const name of ["data/lost.parquet", "metadata/lost.avro", "metadata/README", "data/deep/er/lost.parquet"]) {
    await old.lake.warehouse.create(`${location}/${name}`, utf8("orphan"));
  }
  return { old, location };
}

describe("orphans", () => {
  test("what is old and unnamed goes, in a dry run only on paper; everything else stays and can be read", async () => {
    const { old, location } = await tableWithOrphans(1);
    const before = await old.objects();
    expect(await old.compactor.removeOrphans("orders", { olderThanMs: 7 * day, isDryRun: false })).toMatchObject({
      orphans: 0,
      held: "",
    });
    old.skewMs = 8 * day;
    await old.lake.warehouse.create(`${location}/data/young.parquet`, utf8("young"));
    const dry = await old.compactor.removeOrphans("orders", { olderThanMs: 7 * day, isDryRun: true });
    expect(dry).toMatchObject({ orphans: 3, bytes: 18, held: "" });
    expect(await old.objects()).toHaveLength(before.length + 1);
    const real = await old.compactor.removeOrphans("orders", { olderThanMs: 7 * day, isDryRun: false });
    expect([...real.examples].sort()).toEqual(
      ["data/deep/er/lost.parquet", "data/lost.parquet", "metadata/lost.avro"].map((name) => `${location}/${name}`),
    );
    const left = await old.objects();
    expect(before.filter((key) => !left.includes(key)).every((key) => key.includes("lost"))).toBe(true);
    expect(left.some((key) => key.endsWith("README"))).toBe(true);
    expect(left.some((key) => key.endsWith("young.parquet"))).toBe(true);
    expect(await old.lake.places(orders)).toEqual(["0:0", "0:1"]);
    await old.compactor[Symbol.asyncDispose]();
  });

  test("what a pending round names stays, however old it is", async () => {
    const { old } = await tableWithOrphans(2);
    await old.lake.produce(old.topic, 0, [{ value: utf8(JSON.stringify({ id: 3 })) }]);
    old.lake.hooks = {
      ...old.lake.hooks,
      request: async (method) => {
        if (method === "POST") throw new TypeError("connection refused");
      },
    };
    await expect(old.compactor.flush("orders")).rejects.toThrow();
    old.lake.hooks = { ...old.lake.hooks, request: async () => {} };
    old.skewMs = 30 * day;
    expect(await old.compactor.removeOrphans("orders", { olderThanMs: day, isDryRun: false })).toMatchObject({
      orphans: expect.any(Number),
      held: "",
    });
    await old.compactor.flush("orders");
    expect(await old.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
    await old.compactor[Symbol.asyncDispose]();
  });

  test("a round that is committed while orphans are looked for keeps its files, however old they are", async () => {
    const { old } = await tableWithOrphans(6);
    await old.lake.produce(old.topic, 0, [{ value: utf8(JSON.stringify({ id: 3 })) }]);
    const { hooks } = old.lake;
    const refused = async (method: string): Promise<void> => {
      if (method === "POST") throw new TypeError("connection refused");
    };
    old.lake.hooks = { ...old.lake.hooks, request: refused };
    await expect(old.compactor.flush("orders")).rejects.toThrow();
    old.skewMs = 30 * day;
    let committed: Promise<unknown> | undefined;
    old.lake.hooks = {
      ...hooks,
      // The table has been read as it was before the commit, and the listing comes after it.
      answer: async (_method, _path, response) => {
        if (committed === undefined) {
          committed = old.compactor.flush("orders");
          await committed;
        }
        return response;
      },
    };
    const report = await old.compactor.removeOrphans("orders", { olderThanMs: day, isDryRun: false });
    expect(committed).toBeDefined();
    expect(report).toMatchObject({ held: "" });
    expect(report.examples.filter((uri) => !/lost|\/snap-/.test(uri))).toEqual([]); // Lists of the refused attempts go.
    expect(await old.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
    await old.compactor[Symbol.asyncDispose]();
  });

  test("a store that does not say how old a file is keeps it", async () => {
    const old = new OldLake(7);
    await old.commit(1);
    const { runtime, warehouse } = old.lake;
    const forgetful = new Proxy(warehouse, {
      get(target, name) {
        if (name === "list")
          return async function* () {
            for await (const each of target.list(`${await old.location()}/data`)) yield { ...each, modifiedMs: 0 };
          };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await warehouse.create(`${await old.location()}/data/lost.parquet`, utf8("orphan"));
    old.skewMs = 30 * day;
    const metadata = (await old.lake.foreign().load(orders))?.metadata;
    const turn = {
      name: orders,
      ledger: { tableUuid: metadata?.["table-uuid"] },
      rounds: [],
      inUse: [],
      others: [],
    } as unknown as MaintenanceTurn;
    const target: RewriteTarget = { catalog: old.lake.foreign(), betweenAppends: (work) => work(turn) };
    const limits = { namedFilesMax: 1000, orphansPageMax: 10 };
    const options = { olderThanMs: day, isDryRun: true, signal: new AbortController().signal };
    expect(await removeOrphans(target, { warehouse, clock: runtime.clock, limits }, options)).toMatchObject({
      orphans: 1,
    });
    expect(await removeOrphans(target, { warehouse: forgetful, clock: runtime.clock, limits }, options)).toMatchObject({
      orphans: 0,
      held: "",
    });
    await old.compactor[Symbol.asyncDispose]();
  });

  test("a table that names more files than are kept in mind is left alone", async () => {
    const { old } = await tableWithOrphans(8, { namedFilesMax: 3 });
    old.skewMs = 30 * day;
    const before = await old.objects();
    expect(await old.compactor.removeOrphans("orders", { olderThanMs: day, isDryRun: false })).toMatchObject({
      orphans: 0,
      held: "it names more than 3 files",
    });
    expect(await old.objects()).toEqual(before);
    await old.compactor[Symbol.asyncDispose]();
  });

  test("a manifest that is gone stops it: it might have named everything", async () => {
    const { old } = await tableWithOrphans(3);
    old.skewMs = 30 * day;
    const manifest = (await old.objects()).find((key) => key.includes("inlet-round"));
    await old.lake.store.delete([manifest ?? ""]);
    const before = await old.objects();
    await expect(old.compactor.removeOrphans("orders", { olderThanMs: day, isDryRun: false })).rejects.toThrow();
    expect(await old.objects()).toEqual(before);
    await old.compactor[Symbol.asyncDispose]();
  });

  test("a table that shares its directory, or says that nobody may, is left alone", async () => {
    const { old } = await tableWithOrphans(4);
    old.skewMs = 30 * day;
    await old.lake.foreign().commit(orders, [], [{ action: "set-properties", updates: { "gc.enabled": "False" } }]);
    const options = { olderThanMs: day, isDryRun: false };
    expect(await old.compactor.removeOrphans("orders", options)).toMatchObject({
      orphans: 0,
      held: "the table's gc.enabled is false",
    });
    await old.compactor[Symbol.asyncDispose]();

    const at = "memory://lake/shared";
    const shared = new OldLake(5, tableSettings("json", { location: at }));
    await shared.commit(1);
    await shared.compactor.resume("orders", "retranslate");
    await shared.compactor.flush("orders");
    shared.skewMs = 30 * day;
    expect(await shared.compactor.removeOrphans("orders", options)).toMatchObject({
      orphans: 0,
      held: `another table writes into ${at}/data too`,
    });
    expect(await shared.lake.places(orders)).toEqual(["0:0"]);
    await shared.compactor[Symbol.asyncDispose]();
  });
});

test.each([
  ["s3a://lake/a", "s3://lake/a"],
  ["file:/lake/a", "file:///lake/a"],
  ["abfs://lake@acme.dfs.core.windows.net/a", "abfss://lake@acme.dfs.core.windows.net/a"],
  ["wasbs://lake@acme.blob.core.windows.net/a", "abfss://lake@acme.dfs.core.windows.net/a"],
  ["abfss://lake@acme.dfs.core.windows.net/a", "az://lake/a"],
])("a set of paths finds %s as %s", (added, asked) => {
  const set = new PathSet(2);
  set.add(added);
  expect(set.has(asked)).toBe(true);
});

test("a set of paths says when it is full", () => {
  const set = new PathSet(2);
  set.add("s3://lake/a");
  expect(set.has("s3://lake/b")).toBe(false);
  expect(set.isFull).toBe(false);
  set.add("s3://lake/b");
  expect(set.isFull).toBe(true);
});
