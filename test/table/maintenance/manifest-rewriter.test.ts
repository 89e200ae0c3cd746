/** Proves: manifests are written again behind appends, in a snapshot that changes no row, and appends settle over it. */
import { expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import { manifestsOf } from "../../../src/table/commit/table-files.ts";
import { Lake } from "../../support/lake.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const bucketed = tableSettings("json", {
  partitionBy: [{ column: "_kafka_offset", transform: "bucket[4]" }],
  expire: { keepMs: 86_400_000, keepMin: 5 },
  maintain: { rewrites: false, manifests: true, orphansMs: 0 },
});

class Partitioned {
  skewMs = 0;
  readonly lake: Lake;
  readonly topic: ReturnType<Lake["topic"]>;
  readonly opened: ReturnType<Lake["open"]>;

  constructor(seed: number) {
    const { clock } = systemRuntime();
    const now = (): number => clock.now() + this.skewMs;
    this.lake = new Lake(seed, {
      clock: { now, monotonic: () => clock.monotonic(), after: (ms, call) => clock.after(ms, call) },
    });
    this.topic = this.lake.topic("orders", 1);
    this.opened = this.lake.open([bucketed], { merge: { isEnabled: true, countMin: 100, bytesTarget: 8 << 20 } });
  }

  async commit(count: number): Promise<void> {
    for (let each = 0; each < count; each += 1) {
      const records = Array.from({ length: 8 }, (_, id) => ({ value: utf8(JSON.stringify({ id })) }));
      await this.lake.produce(this.topic, 0, records);
      await this.opened.compactor.flush("orders");
    }
  }

  async manifests() {
    const metadata = (await this.lake.foreign().load(orders))?.metadata;
    const snapshot = metadata?.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
    return { snapshot, manifests: await manifestsOf(this.lake.warehouse, snapshot) };
  }
}

/** As the owner of a table may say: every manifest of a commit counts as full then. */
const tiny = [{ action: "set-properties", updates: { "commit.manifest.target-size-bytes": "4400" } } as const];

test("a table that has gone quiet is left with one manifest, and its rows", async () => {
  const table = new Partitioned(1);
  await table.commit(6);
  const places = await table.lake.places(orders);
  const files = (await table.lake.files(orders)).length;
  const { compactor, metadata } = table.opened;
  expect(await compactor.maintain("orders")).toMatchObject({ manifestsIn: 0 });
  const mark = (await table.manifests()).snapshot?.summary["inlet.committed"];
  table.skewMs = 2 * 3_600_000;
  expect(await compactor.maintain("orders")).toMatchObject({ manifestsIn: 6, manifestsOut: 1, filesIn: 0, held: "" });
  const { snapshot, manifests } = await table.manifests();
  expect(manifests).toHaveLength(1);
  expect(manifests[0]?.files).toEqual({ added: 0, existing: files, deleted: 0 });
  expect(snapshot?.summary).toMatchObject({
    operation: "replace",
    "manifests-created": "1",
    "manifests-replaced": "6",
    "manifests-kept": "0",
    "entries-processed": String(files),
    "total-records": "48",
    "total-data-files": String(files),
    "inlet.committed": mark,
  });
  expect(snapshot?.summary["deleted-data-files"]).toBeUndefined();
  expect(await table.lake.places(orders)).toEqual(places);
  expect(await compactor.maintain("orders")).toMatchObject({ manifestsIn: 0 });
  await table.commit(1);
  expect(await table.lake.places(orders)).toHaveLength(56);
  expect([...metadata.image.tables()][0]?.state).toBe("running");
  await compactor[Symbol.asyncDispose]();
});

test("full manifests that list all partitions are written again by partition, over a commit that came meanwhile", async () => {
  const table = new Partitioned(2);
  await table.commit(1);
  await table.lake.foreign().commit(orders, [], tiny);
  await table.commit(5);
  const { compactor } = table.opened;
  let isDone = false;
  table.lake.hooks = {
    ...table.lake.hooks,
    request: async (method) => {
      if (method !== "POST" || isDone) return;
      isDone = true;
      await table.commit(1);
    },
  };
  const report = await compactor.maintain("orders");
  expect(isDone).toBe(true);
  expect(report).toMatchObject({ manifestsIn: 7, held: "" });
  const { manifests } = await table.manifests();
  expect(manifests).toHaveLength(report.manifestsOut);
  expect(await table.lake.places(orders)).toHaveLength(56);
  await table.commit(1);
  expect(await table.lake.places(orders)).toHaveLength(64);
  await compactor[Symbol.asyncDispose]();
});

test("an answer that is lost is looked up, not repeated", async () => {
  const table = new Partitioned(3);
  await table.commit(6);
  table.skewMs = 2 * 3_600_000;
  const { compactor } = table.opened;
  let isLost = false;
  table.lake.hooks = {
    ...table.lake.hooks,
    answer: async (method, _path, response) => {
      if (method !== "POST" || isLost) return response;
      isLost = true;
      throw new TypeError("connection reset");
    },
  };
  expect(await compactor.maintain("orders")).toMatchObject({ manifestsIn: 6, manifestsOut: 1, held: "" });
  expect(isLost).toBe(true);
  const loaded = await table.lake.foreign().load(orders);
  const replaced = loaded?.metadata.snapshots.filter(({ summary }) => summary["operation"] === "replace");
  expect(replaced).toHaveLength(1);
  await compactor[Symbol.asyncDispose]();
});

test("what was set for main's history stays set, by appends and by rewrites", async () => {
  const table = new Partitioned(4);
  await table.commit(1);
  const kept = { type: "branch", "min-snapshots-to-keep": 50, "max-ref-age-ms": 9_000_000_000 } as const;
  const id = (await table.manifests()).snapshot?.["snapshot-id"] as bigint;
  const retain = { action: "set-snapshot-ref", "ref-name": "main", ...kept, "snapshot-id": id } as const;
  await table.lake.foreign().commit(orders, [], [retain]);
  const main = async () => (await table.lake.foreign().load(orders))?.metadata.refs["main"];
  await table.commit(5);
  expect(await main()).toMatchObject(kept);
  table.skewMs = 2 * 3_600_000;
  const { compactor } = table.opened;
  expect(await compactor.maintain("orders")).toMatchObject({ manifestsIn: 6, held: "" });
  expect(await main()).toMatchObject(kept);
  await compactor[Symbol.asyncDispose]();
});
