/**
 * Proves: what is deleted after an expiry is exactly what no remaining snapshot reads. Histories are made by a small model
 * of a table (append, join, rewrite, roll back, tag) and judged by looking at every remaining snapshot.
 */
import { expect, test } from "vitest";
import type { Random } from "../../../src/base/runtime.ts";
import { MemoryObjectStore } from "../../../src/object-store/memory.ts";
import { expiredSnapshots } from "../../../src/table/commit/expire.ts";
import { filesOfExpired, ListedPaths } from "../../../src/table/commit/expired-files.ts";
import { joinedEntries } from "../../../src/table/commit/manifest-merge.ts";
import { entriesOf, manifestsOf } from "../../../src/table/commit/table-files.ts";
import { addedFile, type ManifestEntry, writeManifest } from "../../../src/table/iceberg/manifest.ts";
import { type ManifestFile, newManifestFile, writeManifestList } from "../../../src/table/iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import type { PartitionSpec, Schema } from "../../../src/table/iceberg/types.ts";
import { Warehouse } from "../../../src/table/warehouse.ts";
import { seededRandom, seededRuntime } from "../../support/seeded.ts";
import { emptyTable, snapshot } from "../iceberg/tables.ts";

const seeds = Number(process.env["INLET_SEEDS"] ?? 12);
const minuteMs = 60_000;
const schema = emptyTable.schemas[0] as Schema;
const spec = emptyTable["partition-specs"][0] as PartitionSpec;

class Model {
  readonly warehouse: Warehouse;
  readonly listed: ListedPaths;
  readonly #random: Random;
  metadata: TableMetadata = emptyTable;
  #manifests = new Map<bigint, readonly ManifestFile[]>();
  #count = 0;

  /** Neither tags nor rollbacks. */
  readonly #isLinear: boolean;

  constructor(seed: number, isLinear: boolean) {
    this.#isLinear = isLinear;
    const runtime = seededRuntime(seed);
    this.#random = seededRandom(seed);
    this.warehouse = new Warehouse({ mounts: new Map([["s3://lake", new MemoryObjectStore(runtime)]]) });
    this.listed = new ListedPaths(this.warehouse, { listsMax: 5 });
  }

  async step(): Promise<void> {
    const choice = this.#random.unit() * (this.#isLinear ? 0.9 : 1);
    const { metadata } = this;
    const parent = metadata["current-snapshot-id"];
    const inherited = this.#manifests.get(parent) ?? [];
    if (choice < 0.55) return await this.append();
    if (choice < 0.75)
      return await this.#commit("append", [await this.#manifest([this.#file()]), ...(await this.#joined(inherited))]);
    if (choice < 0.9 && inherited.length > 0) return await this.#rewrite(inherited);
    const line = metadata.snapshots.map((each) => each["snapshot-id"]);
    const id = line[Math.floor(this.#random.unit() * line.length)];
    if (id === undefined) return;
    const name = choice < 0.96 ? `tag${this.#count}` : "main";
    const ref = { "snapshot-id": id, type: name === "main" ? "branch" : "tag" } as const;
    this.metadata = {
      ...metadata,
      "current-snapshot-id": name === "main" ? id : parent,
      refs: { ...metadata.refs, [name]: ref },
    };
  }

  async append(): Promise<void> {
    await this.#commit("append", [await this.#manifest([this.#file()]), ...this.current]);
  }

  /** Another writer deletes the only file, and adds the same file again. */
  async takeOutAndBringBack(respelt: (path: string) => string = (path) => path): Promise<string> {
    const [file] = await this.#live(this.current);
    if (file === undefined) throw new Error("the table is empty");
    const taken: ManifestEntry = { ...file, status: "deleted", snapshotId: this.#nextId() };
    await this.#commit("delete", [await this.#manifest([taken])], {});
    const back = addedFile({ ...file.file, path: respelt(file.file.path) });
    await this.#commit("append", [await this.#manifest([back])], {});
    return file.file.path;
  }

  expire(expired: ReadonlySet<bigint>): void {
    const snapshots = this.metadata.snapshots.filter((each) => !expired.has(each["snapshot-id"]));
    this.metadata = { ...this.metadata, snapshots };
  }

  /** All that the remaining snapshots read. */
  async read(): Promise<ReadonlySet<string>> {
    const read = new Set<string>();
    for (const each of this.metadata.snapshots) {
      read.add(each["manifest-list"]);
      for (const manifest of await manifestsOf(this.warehouse, each)) {
        read.add(manifest.path);
        const entries = await entriesOf(this.warehouse, manifest, this.metadata);
        for (const { status, file } of entries) if (status !== "deleted") read.add(file.path);
      }
    }
    return read;
  }

  get current(): readonly ManifestFile[] {
    return this.#manifests.get(this.metadata["current-snapshot-id"]) ?? [];
  }

  async #joined(manifests: readonly ManifestFile[]): Promise<readonly ManifestFile[]> {
    if (manifests.length < 2) return manifests;
    return [await this.#manifest(await this.#live(manifests))];
  }

  async #rewrite(inherited: readonly ManifestFile[]): Promise<void> {
    const [old, ...kept] = await this.#live(inherited);
    if (old === undefined) return;
    const taken: ManifestEntry = { ...old, status: "deleted", snapshotId: this.#nextId() };
    await this.#commit("replace", [await this.#manifest([taken, ...kept, this.#file()])]);
  }

  async #live(manifests: readonly ManifestFile[]): Promise<readonly ManifestEntry[]> {
    const parts = [];
    for (const file of manifests) {
      const entries = await entriesOf(this.warehouse, file, this.metadata);
      parts.push({ file, manifest: { schema, specId: 0, content: "data" as const, entries } });
    }
    return joinedEntries(parts, { schema, spec });
  }

  #file(): ManifestEntry {
    const none = new Map();
    const metrics = { columnSizes: none, valueCounts: none, nullValueCounts: none, nanValueCounts: none };
    this.#count += 1;
    return addedFile({
      path: `s3://lake/t/data/${this.#count}.parquet`,
      format: "PARQUET",
      partition: [],
      recordCount: 1,
      bytes: 1,
      ...metrics,
      lowerBounds: none,
      upperBounds: none,
      splitOffsets: [],
    });
  }

  async #manifest(entries: readonly ManifestEntry[]): Promise<ManifestFile> {
    this.#count += 1;
    const path = `s3://lake/t/metadata/m${this.#count}.avro`;
    const bytes = writeManifest({ schema, spec, content: "data", entries });
    await this.warehouse.create(path, bytes);
    const sequenceNumber = this.metadata["last-sequence-number"] + 1;
    return newManifestFile({
      path,
      bytes: bytes.length,
      spec,
      schema,
      entries,
      snapshotId: this.#nextId(),
      sequenceNumber,
    });
  }

  #nextId(): bigint {
    return BigInt(this.metadata["last-sequence-number"] + 1);
  }

  async #commit(
    operation: string,
    manifests: readonly ManifestFile[],
    mark: Readonly<Record<string, string>> = { "inlet.committed": "x" },
  ): Promise<void> {
    const { metadata } = this;
    const parent = metadata["current-snapshot-id"];
    const sequence = metadata["last-sequence-number"] + 1;
    const id = this.#nextId();
    const more = { timestampMs: sequence * 7 * minuteMs, summary: { operation, ...mark } };
    const added: Snapshot = snapshot(id, parent === -1n ? null : parent, sequence, more);
    const list = { snapshotId: id, parentSnapshotId: null, sequenceNumber: sequence, manifests };
    await this.warehouse.create(added["manifest-list"], writeManifestList(list));
    this.#manifests.set(id, manifests);
    this.metadata = {
      ...metadata,
      "last-sequence-number": sequence,
      "current-snapshot-id": id,
      snapshots: [...metadata.snapshots, added],
      refs: { ...metadata.refs, main: { "snapshot-id": id, type: "branch" } },
    };
  }
}

test("nothing that a remaining snapshot reads is deleted, and no list or manifest that none reads stays; of a line, in the end no data file either", {
  timeout: 120_000,
}, async () => {
  const counts = { deleted: 0, data: 0, olderRemain: 0 };
  for (let seed = 1; seed <= seeds; seed += 1) {
    const isLinear = seed % 2 === 0;
    const model = new Model(seed, isLinear);
    const random = seededRandom(seed * 31);
    const everything = new Set<string>();
    const deleted = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      for (let step = 0; step < 12; step += 1) await model.step();
      const isLast = round === 5;
      if (isLast) await model.append(); // What a snapshot took out goes with it, and the newest stays.
      for (const file of await model.read()) everything.add(file);
      const nowMs = model.metadata["last-sequence-number"] * 7 * minuteMs;
      const keepMs = isLast ? 0 : (1 + Math.floor(random.unit() * 10)) * 60 * minuteMs;
      const all = expiredSnapshots(model.metadata, { keepMs, keepMin: 1 }, nowMs);
      const expired = new Set(isLast ? all : all.slice(0, 1 + Math.floor(random.unit() * all.length)));
      if (expired.size === 0) continue;
      const before = model.metadata;
      const files = await filesOfExpired(model.warehouse, model.listed, {
        before,
        expired,
        current: model.current,
        pending: new Set(),
      });
      model.expire(expired);
      const read = await model.read();
      for (const file of files) expect(read.has(file), `seed ${seed}: ${file} is read`).toBe(false);
      for (const file of files) deleted.add(file);
      const lost = [...everything].filter(
        (file) => !read.has(file) && !deleted.has(file) && ((isLinear && isLast) || file.endsWith(".avro")),
      );
      expect(lost, `seed ${seed}: left over`).toEqual([]);
      counts.deleted += files.length;
      counts.data += files.filter((file) => file.endsWith(".parquet")).length;
      const oldest = model.metadata.snapshots[0]?.["snapshot-id"] ?? 0n;
      if ([...expired].some((id) => id > oldest)) counts.olderRemain += 1;
    }
  }
  for (const [name, count] of Object.entries(counts)) expect(count, name).toBeGreaterThan(0);
});

test("what a pending round names is never deleted", async () => {
  const model = new Model(7, true);
  while (model.metadata.snapshots.length < 30) await model.step();
  const before = model.metadata;
  const expired = new Set(before.snapshots.slice(0, -1).map((each) => each["snapshot-id"]));
  const expiry = { before, expired, current: [] };
  const files = await filesOfExpired(model.warehouse, model.listed, { ...expiry, pending: new Set() });
  const [manifest] = files.filter((file) => file.includes("/metadata/m"));
  if (manifest === undefined) throw new Error("the history should have dropped a manifest");
  expect(
    await filesOfExpired(model.warehouse, model.listed, { ...expiry, pending: new Set([manifest]) }),
  ).not.toContain(manifest);
});

test.each([
  ["as it was", (path: string) => path],
  ["as Hadoop spells it", (path: string) => path.replace("s3://", "s3a://")],
])("a file that another writer has deleted and added again stays: %s", async (_, respelt) => {
  const model = new Model(8, true);
  await model.append();
  const path = await model.takeOutAndBringBack(respelt);
  const before = model.metadata;
  const expired = new Set(before.snapshots.slice(0, -1).map((each) => each["snapshot-id"]));
  const { warehouse, listed, current } = model;
  const files = await filesOfExpired(warehouse, listed, { before, expired, current, pending: new Set() });
  expect(files).toContain("s3://lake/t/metadata/snap-1.avro");
  expect(files).not.toContain(path);
});
