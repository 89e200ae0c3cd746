/** Proves: only what nothing names, is old, and looks like a table's file is removed; and where that cannot be known, nothing. */
import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import { PathSet } from "../../../src/table/maintenance/path-set.ts";
import { Lake } from "../../support/lake.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const day = 86_400_000;

class OldLake {
  skewMs = 0;
  readonly lake: Lake;
  readonly topic: ReturnType<Lake["topic"]>;
  readonly compactor: Compactor;

  constructor(seed: number, settings = tableSettings("json", { expire: { keepMs: 30 * day, keepMin: 5 } })) {
    const { clock } = systemRuntime();
    this.lake = new Lake(seed, {
      clock: {
        now: () => clock.now() + this.skewMs,
        monotonic: () => clock.monotonic() + this.skewMs,
        after: (delayMs, callback) => clock.after(delayMs, callback),
      },
    });
    this.topic = this.lake.topic("orders", 1);
    this.compactor = this.lake.open([settings], { expiredGraceMs: 600_000 }, { filesMin: 2 }).compactor;
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

async function tableWithOrphans(seed: number) {
  const old = new OldLake(seed);
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
    await old.lake.foreign().commit(orders, [], [{ action: "set-properties", updates: { "gc.enabled": "false" } }]);
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

test("a set of paths finds what was added however its scheme is spelt, and says when it is full", () => {
  const set = new PathSet(2);
  set.add("s3a://lake/a");
  expect(set.has("s3://lake/a")).toBe(true);
  expect(set.has("s3://lake/b")).toBe(false);
  expect(set.isFull).toBe(false);
  set.add("s3://lake/b");
  expect(set.isFull).toBe(true);
});
