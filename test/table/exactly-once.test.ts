/**
 * Proves: whatever is lost, crashes or is done to the table in between, its (partition, offset) pairs are the log's in the
 * end: none missing, none twice. And: what a foreigner takes out of history is found and named, not repaired by guess.
 */
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import { type Random, systemRuntime } from "../../src/base/runtime.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { RecordCursor } from "../../src/protocol/records.ts";
import type { Catalog } from "../../src/table/catalog.ts";
import { currentSchema, defaultSpec } from "../../src/table/commit/table-creation.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import { type ManifestEntry, readManifest, writeManifest } from "../../src/table/iceberg/manifest.ts";
import { newManifestFile, readManifestList, writeManifestList } from "../../src/table/iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { Update } from "../../src/table/iceberg/updates.ts";
import { placeOfRecord } from "../../src/table/translate/letter-records.ts";
import { Crash, wasCrash } from "../support/crashes.ts";
import type { FakePartition } from "../support/fake-log.ts";
import { Lake, sorted } from "../support/lake.ts";
import type { MemoryMetadata } from "../support/memory-metadata.ts";
import { int, seededRandom } from "../support/seeded.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const letters = { namespace: ["sales"], name: "orders_dlq" };

const minuteMs = 60_000;

/** Trouble at about one effect in ten, while it is on. */
class Trouble {
  isOn = false;
  readonly #random: Random;
  readonly counts = { crashes: 0, lostRequests: 0, lostAnswers: 0, errors: 0, transactions: 0 };
  /** Without them dead letters and rows are two commits. */
  readonly #hasTransactions: boolean;

  constructor(random: Random, hasTransactions: boolean) {
    this.#random = random;
    this.#hasTransactions = hasTransactions;
  }

  arm(lake: Lake): void {
    lake.hooks = {
      request: async () => {
        this.maybeCrash();
        if (!this.#hits(0.05)) return;
        this.counts.lostRequests += 1;
        throw new TypeError("connection refused");
      },
      answer: async (method, path, response) => {
        this.maybeCrash();
        if (path.startsWith("/v1/config") && !this.#hasTransactions) return await withoutTransactions(response);
        if (path.endsWith("/transactions/commit") && response.ok) this.counts.transactions += 1;
        if (method !== "POST" || !this.#hits(0.15)) return response;
        if (this.#hits(0.5, true)) {
          this.counts.errors += 1;
          return new Response("{}", { status: [500, 502, 503, 504][int(this.#random, 4)] as number });
        }
        this.counts.lostAnswers += 1;
        throw new TypeError("connection reset");
      },
      write: () => this.maybeCrash(),
    };
  }

  maybeCrash(): void {
    if (!this.#hits(0.03)) return;
    this.counts.crashes += 1;
    throw new Crash();
  }

  #hits(chance: number, always = false): boolean {
    return (this.isOn || always) && this.#random.unit() < chance;
  }
}

async function withoutTransactions(response: Response): Promise<Response> {
  const config = (await response.json()) as { readonly endpoints: readonly string[] };
  return Response.json({ ...config, endpoints: config.endpoints.filter((each) => !each.includes("transactions")) });
}

describe("a table under trouble", () => {
  const seeds = Number(process.env["INLET_SEEDS"] ?? 12);
  const total = {
    crashes: 0,
    lostRequests: 0,
    lostAnswers: 0,
    errors: 0,
    transactions: 0,
    losses: 0,
    rewritten: 0,
    held: 0,
  };
  for (let seed = 1; seed <= seeds; seed += 1) {
    test(`seed ${seed}: holds every offset once`, async () => {
      const world = new World(seed);
      await world.run(40);
      const { rows, deadLetters, lettersSent } = await world.finish();
      expect(rows, `seed ${seed}`).toEqual(sorted(world.expectedRows));
      expect(deadLetters, `seed ${seed}`).toEqual(sorted(world.expectedLetters));
      expect(lettersSent, `seed ${seed}`).toEqual(sorted(world.expectedLetters));
      total.losses += world.losses;
      total.rewritten += world.rewritten;
      total.held += world.held;
      await requireReadable(world.lake);
      for (const [name, count] of Object.entries(world.trouble.counts)) total[name as keyof typeof total] += count;
    });
  }
  test("the trouble was real", () => {
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0);
  });
});

/** Everything that any snapshot of the table names is there. */
async function requireReadable(lake: Lake): Promise<void> {
  const loaded = await lake.foreign().load(orders);
  if (loaded === undefined) return;
  const table = { schema: currentSchema(loaded.metadata), specs: loaded.metadata["partition-specs"] };
  for (const snapshot of loaded.metadata.snapshots) {
    for (const manifest of await readManifestList(await lake.warehouse.read(snapshot["manifest-list"]), "list")) {
      const { entries } = await readManifest(await lake.warehouse.read(manifest.path), manifest.path, table);
      for (const { status, file } of entries) {
        if (status !== "deleted") expect(await lake.warehouse.head(file.path), file.path).toBeDefined();
      }
    }
  }
}

interface Node {
  readonly compactor: Compactor;
  readonly metadata: MemoryMetadata;
}

class World {
  readonly lake: Lake;
  readonly trouble: Trouble;
  readonly expectedRows: string[] = [];
  readonly expectedLetters: string[] = [];
  losses = 0;
  rewritten = 0;
  held = 0;
  #skewMs = 0;
  readonly #random: Random;
  readonly #topic: ReturnType<Lake["topic"]>;
  readonly #letterTopic: ReturnType<Lake["topic"]>;
  readonly #ends = [0, 0, 0];
  readonly #foreign: Catalog;
  #node: Node;
  /** Processes that were thought dead. */
  readonly #zombies: Node[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed * 7919);
    // Real timers, but every step takes a minute, so that snapshots grow old.
    const { clock } = systemRuntime();
    this.lake = new Lake(seed, {
      clock: {
        now: () => clock.now() + this.#skewMs,
        monotonic: () => clock.monotonic() + this.#skewMs,
        after: (delayMs, callback) => clock.after(delayMs, callback),
      },
    });
    this.trouble = new Trouble(this.#random, seed % 2 === 0);
    this.#topic = this.lake.topic("orders", 3);
    this.#letterTopic = this.lake.topic("orders.dlq", 2);
    for (const index of [0, 1]) this.#mayCrash(this.lake.partition(this.#letterTopic, index));
    this.#foreign = this.lake.foreign();
    this.#node = this.#open();
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.#skewMs += minuteMs;
      const choice = this.#random.unit();
      if (choice < 0.45) await this.#produce();
      else if (choice < 0.7) await this.#flushInTrouble();
      else if (choice < 0.8) await this.#maintainInTrouble();
      else if (choice < 0.85) this.#restart();
      else if (choice < 0.9) await this.#zombieActs();
      else if (choice < 0.93) await this.#loseFile();
      else await this.#disturb();
    }
  }

  async finish() {
    this.#node = this.#open();
    if (this.expectedRows.length + this.expectedLetters.length > 0) await this.#node.compactor.flush("orders");
    const rows = await this.lake.places(orders);
    const deadLetters = await this.lake.places(letters, { partition: "partition", offset: "offset" });
    return { rows, deadLetters, lettersSent: sorted(this.#lettersSent()) };
  }

  #mayCrash(partition: FakePartition): void {
    const append = partition.append.bind(partition);
    partition.append = async (batch) => {
      this.trouble.maybeCrash();
      const outcome = await append(batch);
      this.trouble.maybeCrash();
      return outcome;
    };
  }

  /** "partition:offset" of every letter in the topic. */
  #lettersSent(): readonly string[] {
    return [0, 1].flatMap((index) =>
      this.lake.partition(this.#letterTopic, index).batches.flatMap((bytes) => {
        const batch = new BatchView(bytes);
        const cursor = new RecordCursor(batch.records, batch.recordCount);
        const places: string[] = [];
        while (cursor.next()) {
          const place = placeOfRecord(cursor.headers());
          places.push(`${place?.partition}:${place?.offset}`);
        }
        return places;
      }),
    );
  }

  #open(): Node {
    this.trouble.isOn = false;
    this.trouble.arm(this.lake);
    // Snapshots expire, files go and manifests are joined as soon as may be.
    const errors = { policy: "dlq", deadLetterTable: "orders_dlq", deadLetterTopic: "orders.dlq" } as const;
    const settings = tableSettings("json", { errors, expire: { keepMs: 10 * minuteMs, keepMin: 2 } });
    const merge = { isEnabled: true, countMin: 3, bytesTarget: 6000 };
    const limits = { roundBytesMax: 400, commitRoundsMax: 2, trustMs: -1, merge, expiredGraceMs: 0 };
    // Every few files are worth a rewrite, and some groups of them make a commit of their own.
    const node = this.lake.open([settings], limits, { filesMin: 2, targetBytes: 12_000, commitBytes: 6000 });
    node.metadata.onPropose = () => this.trouble.maybeCrash();
    return node;
  }

  #restart(): void {
    this.#zombies.push(this.#node);
    this.#node = this.#open();
  }

  /** One that has taken the table, lost it, and does not know. Its image is current: the worst it can have. */
  async #zombieActs(): Promise<void> {
    const zombie = this.#zombies[int(this.#random, this.#zombies.length)];
    if (zombie !== undefined) await this.#flush(zombie.compactor);
  }

  async #produce(): Promise<void> {
    const partition = int(this.#random, 3);
    const values = Array.from({ length: 1 + int(this.#random, 5) }, () => this.#random.unit() < 0.15);
    const records = values.map((isBad, index) => ({
      value: utf8(isBad ? "{bad" : JSON.stringify({ id: index, [`c${int(this.#random, 6)}`]: index })),
    }));
    await this.lake.produce(this.#topic, partition, records);
    for (const isBad of values) {
      const place = `${partition}:${this.#ends[partition]}`;
      (isBad ? this.expectedLetters : this.expectedRows).push(place);
      this.#ends[partition] = (this.#ends[partition] as number) + 1;
    }
  }

  async #flushInTrouble(): Promise<void> {
    this.trouble.isOn = true;
    if (!(await this.#flush(this.#node.compactor))) this.#restart();
    this.trouble.isOn = false;
  }

  /** Sometimes beside a flush of the same node, sometimes of one that was thought dead. */
  async #maintainInTrouble(): Promise<void> {
    const zombie = this.#zombies[int(this.#random, this.#zombies.length * 3 + 1)];
    const { compactor } = zombie ?? this.#node;
    this.trouble.isOn = true;
    const flushing = this.#random.unit() < 0.3 ? this.#flush(this.#node.compactor) : Promise.resolve(true);
    const [isWell, isFlushed] = await Promise.all([this.#maintain(compactor), flushing]);
    if ((!isWell && zombie === undefined) || !isFlushed) this.#restart();
    this.trouble.isOn = false;
  }

  async #maintain(compactor: Compactor): Promise<boolean> {
    try {
      const report = await compactor.maintain("orders");
      this.rewritten += report.filesIn;
      if (report.held !== "") this.held += 1;
      return true;
    } catch (cause) {
      if (!wasCrash(cause) && !(cause instanceof OperationFailed)) throw cause;
      return false;
    }
  }

  async #flush(compactor: Compactor): Promise<boolean> {
    try {
      await compactor.flush("orders");
      return true;
    } catch (cause) {
      const isExpected = wasCrash(cause) || (cause as Error).name === "TableStuck";
      if (!isExpected) throw cause;
      return false;
    }
  }

  /** A pending round's manifest, or a data file that it lists, is gone from the store. */
  async #loseFile(): Promise<void> {
    const table = [...this.#node.metadata.image.tables()].at(-1);
    const rounds = table?.pending.filter((round) => round.main !== null) ?? [];
    const location = rounds[int(this.#random, rounds.length)]?.main?.location;
    if (location === undefined) return;
    const held = (await this.lake.files(orders)).map((entry) => entry.file.path);
    const lost = await this.#lossOf(location);
    if (lost === undefined || held.includes(lost)) return; // Its commit has landed, only our log does not know.
    await this.lake.warehouse.remove([lost]);
    this.losses += 1;
  }

  async #lossOf(location: string): Promise<string | undefined> {
    const loaded = await this.#foreign.load(orders);
    if (loaded === undefined || (await this.lake.warehouse.head(location)) === undefined) return undefined;
    const table = { schema: currentSchema(loaded.metadata), specs: loaded.metadata["partition-specs"] };
    const { entries } = await readManifest(await this.lake.warehouse.read(location), location, table);
    const path = entries[0]?.file.path;
    const isIn = (await this.lake.files(orders)).some((entry) => entry.file.path === path);
    return isIn ? undefined : this.#random.unit() < 0.5 ? location : path;
  }

  /** What other writers do to a table, without taking rows away. */
  async #disturb(): Promise<void> {
    const loaded = await this.#foreign.load(orders);
    if (loaded === undefined || loaded.metadata["current-snapshot-id"] === -1n) return;
    const updates = await this.#disturbance(loaded.metadata);
    await this.#foreign.commit(orders, [], updates);
  }

  async #disturbance({ ...metadata }: TableMetadata): Promise<readonly Update[]> {
    const choice = int(this.#random, 5);
    if (choice === 4) return await foreignCommit(this.lake, metadata, "rewrite");
    if (choice === 0) return await foreignCommit(this.lake, metadata, "append");
    if (choice === 1) return await foreignCommit(this.lake, metadata, "replace");
    const current = metadata["current-snapshot-id"];
    const others = metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]).filter((id) => id !== current);
    const expired: readonly Update[] = others.map((id) => ({ action: "remove-snapshots", "snapshot-ids": [id] }));
    if (choice === 2) return expired;
    // The cut: our mark's snapshot is expired, and only a foreign one is left.
    const replaced = await foreignCommit(this.lake, metadata, "replace");
    return [...replaced, ...expired, { action: "remove-snapshots", "snapshot-ids": [current] }];
  }
}

/**
 * A commit of somebody else: an empty append; one that puts all entries into one new manifest, as engines do; or one that
 * also writes a data file anew.
 */
async function foreignCommit(
  lake: Lake,
  metadata: TableMetadata,
  kind: "append" | "replace" | "rewrite",
): Promise<readonly Update[]> {
  const parent = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]) as Snapshot;
  const snapshotId = parent["snapshot-id"] + 1n;
  const sequenceNumber = metadata["last-sequence-number"] + 1;
  const before = await readManifestList(await lake.warehouse.read(parent["manifest-list"]), "list");
  const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
  let manifests = before;
  if (kind !== "append") {
    const entries: ManifestEntry[] = [];
    for (const manifest of before) {
      const read = await readManifest(await lake.warehouse.read(manifest.path), manifest.path, table);
      const live = read.entries.filter((entry) => entry.status !== "deleted");
      entries.push(
        ...live.map((entry) => ({
          ...entry,
          status: "existing" as const,
          snapshotId: entry.snapshotId ?? manifest.addedSnapshotId,
          sequenceNumber: entry.sequenceNumber ?? manifest.sequenceNumber,
          fileSequenceNumber: entry.fileSequenceNumber ?? manifest.sequenceNumber,
        })),
      );
    }
    const [old] = entries;
    if (kind === "rewrite" && old !== undefined) {
      const path = `${metadata.location}/data/foreign-${snapshotId}.parquet`;
      await lake.warehouse.create(path, await lake.warehouse.read(old.file.path));
      const inherited = { snapshotId: null, sequenceNumber: null, fileSequenceNumber: null };
      const added: ManifestEntry = { ...old, ...inherited, status: "added", file: { ...old.file, path } };
      entries.splice(0, 1, { ...old, status: "deleted", snapshotId }, added);
    }
    const spec = defaultSpec(metadata);
    const bytes = writeManifest({ schema: table.schema, spec, content: "data", entries });
    const path = `${metadata.location}/metadata/foreign-${snapshotId}.avro`;
    await lake.warehouse.create(path, bytes);
    const options = { path, bytes: bytes.length, spec, schema: table.schema, entries, snapshotId, sequenceNumber };
    manifests = [newManifestFile(options)];
  }
  const list = `${metadata.location}/metadata/foreign-list-${snapshotId}.avro`;
  const parentSnapshotId = parent["snapshot-id"];
  await lake.warehouse.create(list, writeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests }));
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    "parent-snapshot-id": parentSnapshotId,
    "sequence-number": sequenceNumber,
    "timestamp-ms": metadata["last-updated-ms"],
    "manifest-list": list,
    summary: { operation: kind === "append" ? "append" : "replace" },
  };
  return [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
  ];
}

describe("history that somebody changed", () => {
  const json = (id: number) => ({ value: utf8(JSON.stringify({ id })) });

  async function committedTwice(seed: number) {
    const lake = new Lake(seed);
    const topic = lake.topic("orders", 1);
    const { compactor } = lake.open([tableSettings("json")]);
    await lake.produce(topic, 0, [json(1)]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [json(2)]);
    await compactor.flush("orders");
    const metadata = (await lake.foreign().load(orders))?.metadata as TableMetadata;
    const [first, second] = metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]) as [bigint, bigint];
    return { lake, topic, compactor, metadata, first, second };
  }

  test("a rollback of main stops the table, which says why; accept goes on after it", async () => {
    const { lake, topic, compactor, first } = await committedTwice(101);
    await lake
      .foreign()
      .commit(orders, [], [{ action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": first }]);
    await lake.produce(topic, 0, [json(3)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/main was rolled back/);
    const [table] = compactor.tables();
    expect(table?.table).toMatchObject({ state: "diverged", reason: expect.stringContaining("rolled back") });
    await compactor.resume("orders", "accept");
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "0:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("retranslate leaves the table alone and writes the whole log into a new generation", async () => {
    const { lake, topic, compactor, first } = await committedTwice(102);
    await lake
      .foreign()
      .commit(orders, [], [{ action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": first }]);
    await lake.produce(topic, 0, [json(3)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/rolled back/);
    await compactor.resume("orders", "retranslate");
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0"]);
    expect(await lake.places({ namespace: ["sales"], name: "orders__g2" })).toEqual(["0:0", "0:1", "0:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("a rollback whose traces were expired is still found", async () => {
    const { lake, topic, compactor, metadata, first, second } = await committedTwice(103);
    await lake
      .foreign()
      .commit(orders, [], [{ action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": first }]);
    const rolledBack = (await lake.foreign().load(orders))?.metadata as TableMetadata;
    const updates = await foreignCommit(lake, rolledBack, "append");
    const expired: readonly Update[] = [first, second].map((id) => ({
      action: "remove-snapshots",
      "snapshot-ids": [id],
    }));
    await lake.foreign().commit(orders, [], [...updates, ...expired]);
    expect(metadata.snapshots).toHaveLength(2);
    await lake.produce(topic, 0, [json(3)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/expired, and its rows are not in the live files/);
    await compactor[Symbol.asyncDispose]();
  });

  test("a table that was dropped and made anew stops", async () => {
    const { lake, topic, compactor } = await committedTwice(104);
    const expected = lake.metadataLog.image.tablePointer("sales", "orders") ?? null;
    const gone = { namespace: "sales", table: "orders", expected, location: null };
    lake.metadataLog.apply([{ kind: "move-table-pointers", pointers: [gone] }]);
    await lake.produce(topic, 0, [json(3)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/not in its catalog/);
    await compactor[Symbol.asyncDispose]();
  });

  test("a committer that took the table later stops the earlier one", async () => {
    const { lake, topic, compactor } = await committedTwice(105);
    const later = lake.open([tableSettings("json")]);
    await lake.produce(topic, 0, [json(3)]);
    await later.compactor.flush("orders");
    await lake.produce(topic, 0, [json(4)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/another node commits/);
    await later.compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    await compactor[Symbol.asyncDispose]();
    await later.compactor[Symbol.asyncDispose]();
  });

  test("a column whose type no longer fits pauses the table", async () => {
    const { lake, topic, compactor, metadata } = await committedTwice(106);
    const schema = currentSchema(metadata);
    const fields = schema.fields.map((field) => (field.name === "id" ? { ...field, type: "string" as const } : field));
    await lake.foreign().commit(
      orders,
      [],
      [
        { action: "add-schema", schema: { ...schema, fields } },
        { action: "set-current-schema", "schema-id": -1 },
      ],
    );
    await lake.produce(topic, 0, [json(3)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/field \d+ was double and is string/);
    await compactor[Symbol.asyncDispose]();
  });
});
