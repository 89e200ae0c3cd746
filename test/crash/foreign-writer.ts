/**
 * Another writer of Iceberg tables, in a process of its own: commits through the catalog alone, with the broker's tables
 * as its base, and tries again when it loses a race. Rows of its own say that they are of a partition that no topic has.
 * DuckDB chooses rows. Told over the process's channel: test/crash/foreign-process.ts.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { open as openRestCatalog } from "../../catalogs/rest.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import type { Catalog, LoadedTable, TableName } from "../../src/table/catalog.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { addedFile, type ManifestEntry, readManifest, writeManifest } from "../../src/table/iceberg/manifest.ts";
import {
  type ManifestFile,
  newManifestFile,
  readManifestList,
  writeManifestList,
} from "../../src/table/iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { PartitionSpec } from "../../src/table/iceberg/types.ts";
import type { Requirement, Update } from "../../src/table/iceberg/updates.ts";
import { RewriteCore } from "../../src/table/maintenance/rewrite-core.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { silent } from "../support/seeded.ts";
import type { ForeignAction } from "./fire-plan.ts";

/** No topic of the test has so many partitions. */
export const foreignPartition = 1000;

export interface ForeignTask {
  readonly table: TableName;
  readonly action: ForeignAction;
  /** Column that tells rows apart, where the table has one. */
  readonly key: string | null;
}

/** "nothing": there was nothing to do it to. "lost": others were always faster. */
export type ForeignOutcome = "done" | "nothing" | "lost";

const attemptsMax = 25;
const outageMs = 50;
const MiB = 1024 * 1024;

const limits = {
  parquet: {
    pageBytesMax: MiB,
    pageRowsMax: 20_000,
    dictionaryBytesMax: MiB,
    zstdLevel: 1,
    metricsColumnsMax: 100,
  },
  rowGroupBytesMax: 16 * MiB,
  openBytesMax: 16 * MiB,
};

interface LiveFile {
  readonly entry: ManifestEntry;
  readonly specId: number;
  /** Its data sequence number. */
  readonly sequence: number;
}

/** What becomes of a table's data files. */
interface Change {
  readonly operation: "append" | "overwrite" | "replace";
  readonly added: readonly { readonly entry: ManifestEntry; readonly specId: number }[];
  readonly removed: ReadonlySet<string>;
  /** Every manifest of data is written anew, whether one of its files goes or not. */
  readonly isJoined: boolean;
}

const nothingChanges: Change = { operation: "append", added: [], removed: new Set(), isJoined: false };

export class ForeignWriter implements AsyncDisposable {
  readonly #catalog: Catalog;
  readonly #warehouse: Warehouse;
  readonly #duckdb: DuckDBConnection;
  readonly #scratch = mkdtempSync(join(tmpdir(), "inlet-foreign-"));
  readonly #random = systemRuntime().random;

  private constructor(catalog: Catalog, warehouse: Warehouse, duckdb: DuckDBConnection) {
    this.#catalog = catalog;
    this.#warehouse = warehouse;
    this.#duckdb = duckdb;
  }

  static async open(options: { readonly catalogUrl: string; readonly warehouse: string }): Promise<ForeignWriter> {
    const runtime = systemRuntime();
    const store = await openLocalObjectStore({ directory: options.warehouse, disk: systemDisk, runtime });
    const warehouse = new Warehouse({ mounts: new Map([[pathToFileURL(options.warehouse).href, store]]) });
    const catalog = openRestCatalog(
      {
        name: "foreign",
        uri: options.catalogUrl,
        warehouse: "main",
        auth: { kind: "none" },
        accessDelegation: null,
        properties: new Map(),
      },
      { runtime, logger: silent, limits: { requestMsMax: 10_000, responseBytesMax: 64 * MiB } },
    );
    return new ForeignWriter(catalog, warehouse, await (await DuckDBInstance.create()).connect());
  }

  async run(task: ForeignTask): Promise<ForeignOutcome> {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      try {
        const loaded = await this.#catalog.load(task.table);
        if (loaded === undefined || loaded.metadata["current-snapshot-id"] === -1n) return "nothing";
        const outcome = await this.#attempt(task, loaded);
        if (outcome !== "lost") return outcome;
      } catch (cause) {
        if (!(cause instanceof OperationFailed)) throw cause;
        await pause(outageMs); // The catalog is away, or what was read is in the table no more.
      }
    }
    return "lost";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#duckdb.closeSync();
    await this.#catalog[Symbol.asyncDispose]();
    await this.#warehouse[Symbol.asyncDispose]();
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async #attempt(task: ForeignTask, { metadata }: LoadedTable): Promise<ForeignOutcome> {
    const current = metadata["current-snapshot-id"];
    switch (task.action) {
      case "tag": {
        const ref = { type: "tag", "snapshot-id": current } as const;
        return await this.#commit(task, metadata, [
          { action: "set-snapshot-ref", "ref-name": `seen-${current}`, ...ref },
        ]);
      }
      case "expire":
        return await this.#commit(task, metadata, expiryOf(metadata));
      case "publish": {
        const { snapshot, publish } = await this.#snapshot(metadata, nothingChanges);
        const staged = await this.#commit(task, metadata, [{ action: "add-snapshot", snapshot }]);
        return staged === "done" ? await this.#commit(task, metadata, [publish]) : staged;
      }
      case "append":
      case "delete":
      case "rewrite":
      case "join-manifests": {
        const change = await this.#change(task, metadata);
        if (change === undefined) return "nothing";
        const { snapshot, publish } = await this.#snapshot(metadata, change);
        return await this.#commit(task, metadata, [{ action: "add-snapshot", snapshot }, publish]);
      }
    }
  }

  async #commit({ table }: ForeignTask, base: TableMetadata, updates: readonly Update[]): Promise<ForeignOutcome> {
    if (updates.length === 0) return "nothing";
    const requirements: readonly Requirement[] = [
      { type: "assert-table-uuid", uuid: base["table-uuid"] },
      { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": base["current-snapshot-id"] },
    ];
    const outcome = await this.#catalog.commit(table, requirements, updates);
    return outcome.kind === "committed" ? "done" : "lost"; // Unknown too: rows of its own may well come twice.
  }

  async #change(task: ForeignTask, metadata: TableMetadata): Promise<Change | undefined> {
    if (task.action === "join-manifests") return { ...nothingChanges, operation: "replace", isJoined: true };
    const live = (await this.#live(metadata)).filter(({ entry }) => entry.content === "data");
    if (live.length === 0) return undefined;
    if (task.action === "append") {
      const from = this.#one(live);
      const key = task.key === null ? "" : `, 'foreign-' || ${task.key} AS ${task.key}`;
      const rows = await this.#rewritten(
        [from],
        metadata,
        `SELECT * REPLACE (${foreignPartition} AS _kafka_partition${key}) FROM $file LIMIT 3`,
      );
      return { ...nothingChanges, added: rows.map((entry) => ({ entry, specId: from.specId })) };
    }
    if (task.action === "delete") return await this.#withoutForeignRows(live, metadata);
    const from = this.#victims(live, task.key !== null);
    const rows = await this.#rewritten(from, metadata);
    return replaced(from, rows, task.key !== null);
  }

  /** Files of one partition and spec; of a table with a key just one, since each row's own sequence number decides what takes it. */
  #victims(live: readonly LiveFile[], hasKey: boolean): readonly LiveFile[] {
    const first = this.#one(live);
    const beside = live.filter((file) => file.specId === first.specId && tuple(file) === tuple(first));
    return hasKey ? [first] : beside.slice(0, 4);
  }

  async #withoutForeignRows(live: readonly LiveFile[], metadata: TableMetadata): Promise<Change | undefined> {
    const changes: Change[] = [];
    for (const file of live) {
      const path = new URL(file.entry.file.path).pathname;
      const count = `SELECT count(*)::INT AS n FROM '${path}' WHERE _kafka_partition = ${foreignPartition}`;
      const [[foreign]] = (await this.#duckdb.runAndReadAll(count)).getRows() as [[number]];
      if (foreign === 0) continue;
      const kept = `SELECT * FROM $file WHERE _kafka_partition <> ${foreignPartition}`;
      changes.push(replaced([file], await this.#rewritten([file], metadata, kept), true));
    }
    if (changes.length === 0) return undefined;
    return {
      operation: "overwrite",
      added: changes.flatMap(({ added }) => added),
      removed: new Set(changes.flatMap(({ removed }) => [...removed])),
      isJoined: false,
    };
  }

  /** New data files with these files' rows, or with those of them that the query chooses. */
  async #rewritten(
    files: readonly LiveFile[],
    metadata: TableMetadata,
    query?: string,
  ): Promise<readonly ManifestEntry[]> {
    const [{ entry }] = files as [LiveFile];
    const schema = currentSchema(metadata);
    const plan = { schema, partition: entry.file.partition, targetFileBytes: 256 * MiB };
    const core = new RewriteCore(plan, limits);
    for (const { entry: each, sequence } of files) {
      const stored = await this.#warehouse.read(each.file.path);
      const bytes = query === undefined ? stored : await this.#chosen(stored, query);
      const rows = query === undefined ? each.file.recordCount : await this.#count(bytes);
      const answer = core.add({ path: each.file.path, bytes, sequence, firstRowId: null, rows, partition: "" });
      if (answer.kind === "unreadable") throw new Error(answer.reason);
    }
    const entries: ManifestEntry[] = [];
    for (const { bytes, file } of core.finish().files) {
      const path = `${metadata.location}/data/foreign-${this.#id()}.parquet`;
      await this.#warehouse.create(path, bytes);
      entries.push(addedFile({ ...file, path, format: "PARQUET" }));
    }
    return entries;
  }

  async #chosen(bytes: Uint8Array, query: string): Promise<Uint8Array> {
    const [from, to] = [this.#scratchFile(), this.#scratchFile()];
    writeFileSync(from, bytes);
    const fields = `SELECT name, field_id FROM parquet_schema('${from}') WHERE field_id IS NOT NULL`;
    const ids = (await this.#duckdb.runAndReadAll(fields)).getRows().map((row) => {
      const [name, id] = row as [string, number];
      return `"${name}": ${id}`;
    });
    const copy = `COPY (${query.replace("$file", `'${from}'`)}) TO '${to}' (FORMAT parquet, FIELD_IDS {${ids.join(", ")}})`;
    await this.#duckdb.run(copy);
    const chosen = new Uint8Array(readFileSync(to));
    for (const path of [from, to]) rmSync(path);
    return chosen;
  }

  async #count(bytes: Uint8Array): Promise<number> {
    const path = this.#scratchFile();
    writeFileSync(path, bytes);
    const [[rows]] = (await this.#duckdb.runAndReadAll(`SELECT count(*)::INT FROM '${path}'`)).getRows() as [[number]];
    rmSync(path);
    return rows;
  }

  /** Never the same: of a path that was written again and again DuckDB failed to read one file in some hundreds, which was whole. */
  #scratchFile(): string {
    return join(this.#scratch, `${this.#id()}.parquet`);
  }

  async #live(metadata: TableMetadata): Promise<readonly LiveFile[]> {
    const files: LiveFile[] = [];
    for (const manifest of await this.#manifests(metadata))
      for (const entry of await this.#entries(manifest, metadata))
        files.push({ entry, specId: manifest.specId, sequence: entry.sequenceNumber as number });
    return files;
  }

  async #manifests(metadata: TableMetadata): Promise<readonly ManifestFile[]> {
    const { "manifest-list": list } = currentOf(metadata);
    return await readManifestList(await this.#warehouse.read(list), list);
  }

  /** Those that live, with nothing left to inherit. */
  async #entries(manifest: ManifestFile, metadata: TableMetadata): Promise<readonly ManifestEntry[]> {
    const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
    const { entries } = await readManifest(await this.#warehouse.read(manifest.path), manifest.path, table);
    return entries
      .filter((entry) => entry.status !== "deleted")
      .map((entry) => ({
        ...entry,
        status: "existing" as const,
        snapshotId: entry.snapshotId ?? manifest.addedSnapshotId,
        sequenceNumber: entry.sequenceNumber ?? manifest.sequenceNumber,
        fileSequenceNumber: entry.fileSequenceNumber ?? manifest.sequenceNumber,
      }));
  }

  async #snapshot(metadata: TableMetadata, change: Change): Promise<{ snapshot: Snapshot; publish: Update }> {
    const parent = currentOf(metadata);
    const [snapshotId, sequenceNumber] = [this.#id(), metadata["last-sequence-number"] + 1];
    const kept: ManifestFile[] = [];
    const anew = new Map<number, ManifestEntry[]>();
    const into = (specId: number): ManifestEntry[] => {
      const entries = anew.get(specId) ?? [];
      anew.set(specId, entries);
      return entries;
    };
    for (const manifest of await this.#manifests(metadata)) {
      const entries = manifest.content === "data" ? await this.#entries(manifest, metadata) : [];
      const goes = ({ file }: ManifestEntry): boolean => change.removed.has(file.path);
      if (manifest.content !== "data" || (!change.isJoined && !entries.some(goes))) kept.push(manifest);
      else
        into(manifest.specId).push(
          ...entries.map((entry) => (goes(entry) ? { ...entry, status: "deleted" as const, snapshotId } : entry)),
        );
    }
    for (const { entry, specId } of change.added) into(specId).push(entry);
    const written = await Promise.all(
      [...anew].map(([specId, entries]) => this.#manifest(metadata, { specId, entries, snapshotId, sequenceNumber })),
    );
    const list = `${metadata.location}/metadata/foreign-list-${snapshotId}.avro`;
    const parentSnapshotId = parent["snapshot-id"];
    const manifests = [...written, ...kept];
    await this.#warehouse.create(list, writeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests }));
    return {
      snapshot: {
        "snapshot-id": snapshotId,
        "parent-snapshot-id": parentSnapshotId,
        "sequence-number": sequenceNumber,
        "timestamp-ms": Math.max(Date.now(), metadata["last-updated-ms"]),
        "manifest-list": list,
        summary: { operation: change.operation },
        "schema-id": metadata["current-schema-id"],
      },
      publish: { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
    };
  }

  async #manifest(
    metadata: TableMetadata,
    {
      specId,
      ...written
    }: {
      readonly specId: number;
      readonly entries: readonly ManifestEntry[];
      readonly snapshotId: bigint;
      readonly sequenceNumber: number;
    },
  ): Promise<ManifestFile> {
    const schema = currentSchema(metadata);
    const spec = metadata["partition-specs"].find((each) => each["spec-id"] === specId) as PartitionSpec;
    const bytes = writeManifest({ schema, spec, content: "data", entries: written.entries });
    const path = `${metadata.location}/metadata/foreign-${this.#id()}.avro`;
    await this.#warehouse.create(path, bytes);
    return newManifestFile({ path, bytes: bytes.length, spec, schema, ...written });
  }

  #id(): bigint {
    const bytes = this.#random.fill(new Uint8Array(8));
    return new DataView(bytes.buffer).getBigUint64(0) >> 1n;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.unit() * list.length)] as T;
  }
}

/** With `keepsSequence` the new files stand where the old ones stood: what deletes rows of those deletes theirs. */
function replaced(from: readonly LiveFile[], rows: readonly ManifestEntry[], keepsSequence: boolean): Change {
  const [{ specId, sequence }] = from as [LiveFile];
  return {
    operation: "replace",
    added: rows.map((entry) => ({ specId, entry: keepsSequence ? { ...entry, sequenceNumber: sequence } : entry })),
    removed: new Set(from.map(({ entry }) => entry.file.path)),
    isJoined: false,
  };
}

function expiryOf(metadata: TableMetadata): readonly Update[] {
  const refs = Object.entries(metadata.refs);
  const others = metadata.snapshots
    .map((snapshot) => snapshot["snapshot-id"])
    .filter((id) => id !== metadata["current-snapshot-id"]);
  if (others.length === 0) return [];
  const tags = refs.filter(([name]) => name !== "main");
  return [
    ...tags.map(([name]) => ({ action: "remove-snapshot-ref", "ref-name": name }) as const),
    { action: "remove-snapshots", "snapshot-ids": others },
  ];
}

function currentOf(metadata: TableMetadata): Snapshot {
  const id = metadata["current-snapshot-id"];
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === id);
  if (snapshot === undefined) throw new Error(`main names snapshot ${id}, which is not there`);
  return snapshot;
}

function tuple({ entry }: LiveFile): string {
  return entry.file.partition
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value)))
    .join();
}

if (import.meta.main) {
  const [catalogUrl, warehouse] = process.argv.slice(2) as [string, string];
  const writer = await ForeignWriter.open({ catalogUrl, warehouse });
  process.on("message", (task: ForeignTask) => {
    writer.run(task).then(
      (outcome) => process.send?.({ outcome }),
      (cause: unknown) => process.send?.({ error: cause instanceof Error ? (cause.stack ?? cause.message) : "" }),
    );
  });
  process.on("disconnect", () => void writer[Symbol.asyncDispose]().finally(() => process.exit()));
  process.send?.({ outcome: "ready" });
}
