/**
 * Proves: whatever others do to a topic or its table, nothing is lost, doubled or written where it does not belong: the table
 * follows, or it pauses with the reason and a way out that leads on.
 */
import { describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { Snapshot, TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { NestedField } from "../../src/table/iceberg/types.ts";
import type { Update } from "../../src/table/iceberg/updates.ts";
import { markName } from "../../src/table/rounds.ts";
import { Lake } from "../support/lake.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const second = { namespace: ["sales"], name: "orders__g2" };

/** A table of two commits, one record each, and a compactor that goes on. */
class Scene implements AsyncDisposable {
  readonly lake: Lake;
  readonly topic;
  readonly compactor: Compactor;
  #id = 0;

  constructor(seed: number, expire = { keepMs: 86_400_000, keepMin: 10 }) {
    this.lake = new Lake(seed);
    this.topic = this.lake.topic("orders", 1);
    this.compactor = this.lake.open([tableSettings("json", { expire })]).compactor;
  }

  static async twoCommits(
    seed: number,
    expire?: { readonly keepMs: number; readonly keepMin: number },
  ): Promise<Scene> {
    const scene = new Scene(seed, expire);
    await scene.commit();
    await scene.commit();
    return scene;
  }

  async produce(value: object = {}): Promise<void> {
    this.#id += 1;
    await this.lake.produce(this.topic, 0, [{ value: utf8(JSON.stringify({ id: this.#id, name: "n", ...value })) }]);
  }

  async commit(value: object = {}): Promise<void> {
    await this.produce(value);
    await this.compactor.flush("orders");
  }

  async metadata(): Promise<TableMetadata> {
    return (await this.lake.foreign().load(orders))?.metadata as TableMetadata;
  }

  /** Somebody is faster: between the load of a commit of ours and the commit itself, the first one or a later one. */
  meanwhile(act: () => Promise<void>, nth = 1): void {
    let commits = 0;
    this.lake.hooks = {
      ...this.lake.hooks,
      request: async (method, path) => {
        if (method !== "POST" || !path.endsWith("/tables/orders")) return;
        commits += 1;
        if (commits === nth) await act();
      },
    };
  }

  async foreign(...updates: readonly Update[]): Promise<void> {
    expect(await this.lake.foreign().commit(orders, [], updates)).toMatchObject({ kind: "committed" });
  }

  /** DDL of somebody else. */
  async alter(change: (fields: readonly NestedField[], nextId: number) => readonly NestedField[]): Promise<void> {
    const metadata = await this.metadata();
    const schema = currentSchema(metadata);
    await this.foreign(
      { action: "add-schema", schema: { ...schema, fields: change(schema.fields, metadata["last-column-id"] + 1) } },
      { action: "set-current-schema", "schema-id": -1 },
    );
  }

  state() {
    const [table] = [...this.compactor.tables()];
    return { state: table?.table?.state, reason: table?.table?.reason };
  }

  /** The next commit does not go through, and the table says so. */
  async stops(state: "paused" | "diverged", reason: RegExp): Promise<void> {
    await this.produce();
    await expect(this.compactor.flush("orders")).rejects.toThrow(reason);
    expect(this.state()).toEqual({ state, reason: expect.stringMatching(reason) });
  }

  async retranslates(): Promise<void> {
    await this.compactor.resume("orders", "retranslate");
    await this.compactor.flush("orders");
  }

  /** As Spark's or Iceberg's own commits are made: a snapshot of the parent's files. */
  async foreignSnapshot(
    parent: Snapshot | undefined,
    files: Snapshot,
    summary: Record<string, string>,
  ): Promise<Snapshot> {
    const metadata = await this.metadata();
    return {
      "snapshot-id": files["snapshot-id"] + 1n,
      ...(parent === undefined ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
      "sequence-number": metadata["last-sequence-number"] + 1,
      "timestamp-ms": metadata["last-updated-ms"],
      "manifest-list": files["manifest-list"],
      summary: { operation: "append", ...summary },
      "schema-id": metadata["current-schema-id"],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compactor[Symbol.asyncDispose]();
  }
}

const mainAt = (id: bigint): Update => ({
  action: "set-snapshot-ref",
  "ref-name": "main",
  type: "branch",
  "snapshot-id": id,
});

const named = (name: string, change: Partial<NestedField>) => (fields: readonly NestedField[]) =>
  fields.map((field) => (field.name === name ? { ...field, ...change } : field));

const without = (name: string) => (fields: readonly NestedField[]) => fields.filter((field) => field.name !== name);

describe("columns that people alter", () => {
  test("added: a field of that name fills it, once its type fits", async () => {
    await using scene = await Scene.twoCommits(401);
    await scene.alter((fields, id) => [...fields, { id, name: "total", required: false, type: "double" }]);
    await scene.commit();
    await scene.commit({ total: 5 });
    const columns = currentSchema(await scene.metadata()).fields.map((field) => field.name);
    expect(columns.filter((name) => name.startsWith("total"))).toEqual(["total"]);
    expect((await scene.lake.rows(orders)).map((row) => row["total"] ?? null)).toContain(5);
  });

  test("renamed: rows go on into it under its new name", async () => {
    await using scene = await Scene.twoCommits(402);
    await scene.alter(named("name", { name: "customer" }));
    await scene.commit();
    await scene.commit({ name: "last" });
    expect((await scene.lake.rows(orders)).map((row) => row["customer"] ?? row["name"])).toContain("last");
    expect(currentSchema(await scene.metadata()).fields.map((field) => field.name)).not.toContain("name");
    expect(await scene.lake.places(orders)).toHaveLength(4);
  });

  test("dropped: it stays away, and its values are kept in the extra column", async () => {
    await using scene = await Scene.twoCommits(403);
    await scene.alter(without("name"));
    await scene.commit();
    await scene.commit({ name: "late", extra: 1 });
    const columns = currentSchema(await scene.metadata()).fields.map((field) => field.name);
    expect(columns).not.toContain("name");
    expect(columns).toContain("extra");
    expect((await scene.lake.rows(orders)).map((row) => row["_extra"])).toContain('{"/name":"late"}');
  });

  test("dropped, the key's column and the headers': records go on without them", async () => {
    await using scene = await Scene.twoCommits(404);
    await scene.alter((fields) => without("_kafka_key")(without("_kafka_headers")(fields)));
    await scene.commit();
    await scene.commit();
    expect(await scene.lake.places(orders)).toHaveLength(4);
  });

  test("dropped, the offset's column: the table pauses, since its rows could not be told apart; a new one is the way out", async () => {
    await using scene = await Scene.twoCommits(405);
    await scene.alter(without("_kafka_offset"));
    await scene.commit(); // What was translated before we saw it: the files still hold the column.
    await scene.stops("paused", /column of each record's offset was dropped/);
    await expect(scene.compactor.resume("orders", "accept")).rejects.toThrow(/offset was dropped/);
    await scene.retranslates();
    expect(await scene.lake.places(second)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
  });

  test("moved: nothing changes for rows, and the order stays theirs", async () => {
    await using scene = await Scene.twoCommits(406);
    await scene.alter((fields) => [...fields].reverse());
    await scene.commit();
    await scene.commit({ more: true });
    const names = currentSchema(await scene.metadata()).fields.map((field) => field.name);
    expect(names.indexOf("name")).toBeLessThan(names.indexOf("_kafka_partition"));
    expect(names.at(-1)).toBe("more");
  });

  test("made required: the table pauses before a null could stand there, and goes on when it is optional again", async () => {
    await using scene = await Scene.twoCommits(407);
    await scene.alter(named("name", { required: true }));
    await scene.stops("paused", /column name was made required.*make it optional again/);
    await expect(scene.compactor.resume("orders", "accept")).rejects.toThrow(/made required/);
    await scene.alter(named("name", { required: false }));
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("made required while a commit is on its way: it pauses all the same", async () => {
    await using scene = await Scene.twoCommits(434);
    scene.meanwhile(() => scene.alter(named("name", { required: true })));
    await scene.stops("paused", /column name was made required/);
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1"]);
  });

  test("while our own column is on its way: theirs stands, ours comes after it under an id of its own", async () => {
    await using scene = await Scene.twoCommits(408);
    let isAltered = false;
    scene.lake.hooks = {
      ...scene.lake.hooks,
      request: async (method) => {
        if (method !== "POST" || isAltered) return;
        isAltered = true;
        await scene.alter(named("name", { name: "customer" })); // No new id: only the schema's own tells.
      },
    };
    await scene.commit({ fresh: 1 });
    const names = currentSchema(await scene.metadata()).fields.map((field) => field.name);
    expect(names).toContain("customer");
    expect(names).toContain("fresh");
    expect(names).not.toContain("name");
  });
});

describe("a table that people", () => {
  test("drop: it pauses; a new one is the way out, and accept says so", async () => {
    await using scene = await Scene.twoCommits(420);
    const expected = scene.lake.metadataLog.image.tablePointer("sales", "orders") ?? null;
    scene.lake.metadataLog.apply([
      { kind: "move-table-pointers", pointers: [{ namespace: "sales", table: "orders", expected, location: null }] },
    ]);
    await scene.stops("diverged", /not in its catalog/);
    await expect(scene.compactor.resume("orders", "accept")).rejects.toThrow(/--retranslate/);
    await scene.retranslates();
    expect(await scene.lake.places(second)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("drop and create under its name: it is another one, which accept cannot make ours", async () => {
    await using scene = await Scene.twoCommits(421);
    const { schemas } = await scene.metadata();
    const expected = scene.lake.metadataLog.image.tablePointer("sales", "orders") ?? null;
    scene.lake.metadataLog.apply([
      { kind: "move-table-pointers", pointers: [{ namespace: "sales", table: "orders", expected, location: null }] },
    ]);
    const schema = schemas.at(-1) as TableMetadata["schemas"][number];
    const created = await scene.lake.foreign().create(orders, [
      { action: "add-schema", schema },
      { action: "set-current-schema", "schema-id": -1 },
    ]);
    expect(created.kind).toBe("created");
    await scene.stops("diverged", /the table was replaced: its uuid/);
    await expect(scene.compactor.resume("orders", "accept")).rejects.toThrow(/replaced/);
    await scene.retranslates();
    expect(await scene.lake.places(second)).toHaveLength(3);
    expect(await scene.lake.places(orders)).toEqual([]);
  });

  test("replace (CREATE OR REPLACE keeps the uuid, and begins a history without ours): it pauses; accept goes on after it", async () => {
    await using scene = await Scene.twoCommits(422);
    await scene.foreign({ action: "remove-snapshot-ref", "ref-name": "main" });
    await scene.stops("diverged", /main holds no commit of ours/);
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toEqual(["0:2"]);
  });

  test("replace with other columns: without ours it cannot go on, and says which is missing", async () => {
    await using scene = await Scene.twoCommits(423);
    await scene.foreign({ action: "remove-snapshot-ref", "ref-name": "main" });
    await scene.alter((_fields, id) => [{ id, name: "x", required: false, type: "int" }]);
    await scene.stops("diverged", /main/);
    await expect(scene.compactor.resume("orders", "accept")).rejects.toThrow(
      /column of each record's partition was dropped/,
    );
  });

  test("roll back: it pauses; accept leaves the rows away, retranslate writes them all anew", async () => {
    for (const how of ["accept", "retranslate"] as const) {
      await using scene = await Scene.twoCommits(424);
      const [first] = (await scene.metadata()).snapshots as [Snapshot];
      await scene.foreign(mainAt(first["snapshot-id"]));
      await scene.stops("diverged", /rolled back/);
      await scene.compactor.resume("orders", how);
      await scene.compactor.flush("orders");
      const expected = how === "accept" ? [orders, ["0:0", "0:2"]] : [second, ["0:0", "0:1", "0:2"]];
      expect(await scene.lake.places(expected[0] as typeof orders)).toEqual(expected[1]);
    }
  });

  test("branch and tag: main goes on, and what the refs hold is kept", async () => {
    await using scene = await Scene.twoCommits(425);
    const [first] = (await scene.metadata()).snapshots as [Snapshot];
    const ref = { action: "set-snapshot-ref", "snapshot-id": first["snapshot-id"] } as const;
    await scene.foreign({ ...ref, "ref-name": "audit", type: "branch" }, { ...ref, "ref-name": "v1", type: "tag" });
    await scene.commit();
    const { refs, snapshots } = await scene.metadata();
    expect([refs["audit"]?.["snapshot-id"], refs["v1"]?.["snapshot-id"]]).toEqual([
      first["snapshot-id"],
      first["snapshot-id"],
    ]);
    expect(snapshots.map((snapshot) => snapshot["snapshot-id"])).toContain(first["snapshot-id"]);
    expect(await scene.lake.places(orders)).toHaveLength(3);
  });

  test("tag a snapshot that a commit of ours is about to expire: the tag and what it holds stay", async () => {
    await using scene = await Scene.twoCommits(435, { keepMs: -1, keepMin: 1 });
    const [first] = (await scene.metadata()).snapshots as [Snapshot];
    const id = first["snapshot-id"];
    scene.meanwhile(() =>
      scene.foreign({ action: "set-snapshot-ref", "ref-name": "v1", type: "tag", "snapshot-id": id }),
    );
    await scene.commit();
    const { refs, snapshots } = await scene.metadata();
    expect(refs["v1"]).toMatchObject({ "snapshot-id": id });
    expect(snapshots.map((snapshot) => snapshot["snapshot-id"])).toContain(id);
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("partition anew, the old spec taken away, while the first rows are on their way: none come in that nobody could read", async () => {
    await using scene = new Scene(436);
    const field = { name: "p", transform: "identity", "source-id": 1, "field-id": 1000 } as const;
    const partition = () =>
      scene.foreign(
        { action: "add-spec", spec: { "spec-id": 1, fields: [field] } },
        { action: "set-default-spec", "spec-id": -1 },
        { action: "remove-partition-specs", "spec-ids": [0] },
      );
    scene.meanwhile(partition, 3); // The first two are of the columns.
    await scene.commit().catch(() => undefined); // Translated again in the new one, or for a person to see.
    expect((await scene.metadata())["partition-specs"].map((spec) => spec["spec-id"])).not.toContain(0);
    expect(["", "0:0"]).toContain((await scene.lake.places(orders)).join());
  });

  test("cherry-pick onto: a commit of theirs is one like any other", async () => {
    await using scene = await Scene.twoCommits(426);
    const current = (await scene.metadata()).snapshots.at(-1) as Snapshot;
    const picked = await scene.foreignSnapshot(current, current, { "source-snapshot-id": "7" });
    await scene.foreign({ action: "add-snapshot", snapshot: picked }, mainAt(picked["snapshot-id"]));
    await scene.commit();
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("cherry-pick our commit after a rollback: its rows are there without our mark, so it pauses; accept doubles nothing", async () => {
    await using scene = await Scene.twoCommits(427);
    const [first, last] = (await scene.metadata()).snapshots as [Snapshot, Snapshot];
    await scene.foreign(mainAt(first["snapshot-id"]));
    const picked = await scene.foreignSnapshot(first, last, { "source-snapshot-id": String(last["snapshot-id"]) });
    await scene.foreign({ action: "add-snapshot", snapshot: picked }, mainAt(picked["snapshot-id"]));
    await scene.stops("diverged", /rolled back/);
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("expire past our mark: the live files prove it, and it goes on", async () => {
    await using scene = await Scene.twoCommits(428);
    const metadata = await scene.metadata();
    const current = metadata.snapshots.at(-1) as Snapshot;
    const rewritten = await scene.foreignSnapshot(current, current, {});
    const gone = metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]);
    await scene.foreign(
      { action: "add-snapshot", snapshot: { ...rewritten, summary: { operation: "replace" } } },
      mainAt(rewritten["snapshot-id"]),
      ...gone.map((id) => ({ action: "remove-snapshots", "snapshot-ids": [id] }) as const),
    );
    await scene.commit();
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("move: new files go to the new location, those of before stay where they are", async () => {
    await using scene = await Scene.twoCommits(429);
    await scene.foreign({ action: "set-location", location: `${scene.lake.root}/elsewhere` });
    await scene.commit();
    await scene.commit();
    const files = (await scene.lake.files(orders)).map((entry) => entry.file.path);
    expect(files.filter((path) => path.startsWith(`${scene.lake.root}/elsewhere/data/`))).toHaveLength(1);
    expect(await scene.lake.places(orders)).toHaveLength(4);
  });

  test("move to where we have no store: it pauses with the reason, and goes on when it is moved back", async () => {
    await using scene = await Scene.twoCommits(430);
    const { location } = await scene.metadata();
    await scene.foreign({ action: "set-properties", updates: { "write.data.path": "s3://not-ours/data" } });
    await scene.commit();
    await scene.stops("paused", /files are to go to s3:\/\/not-ours\/data, which has no store/);
    await scene.foreign({ action: "set-properties", updates: { "write.data.path": `${location}/data` } });
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toHaveLength(4);
  });

  test("break, by taking a manifest list away that is still named: it pauses and says which (cloudflare/workers-sdk#12774)", async () => {
    await using scene = await Scene.twoCommits(432);
    const list = (await scene.metadata()).snapshots.at(-1)?.["manifest-list"] as string;
    const bytes = await scene.lake.warehouse.read(list);
    await scene.lake.warehouse.remove([list]);
    await scene.stops("paused", /a file of the table is lost: .*snap-/);
    await scene.lake.warehouse.create(list, bytes); // From a backup.
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("set defaults of columns: they stay when a record brings a new column", async () => {
    await using scene = await Scene.twoCommits(435);
    await scene.foreign({ action: "upgrade-format-version", "format-version": 3 });
    await scene.alter((fields) =>
      fields.map((field) => (field.name === "name" ? { ...field, "write-default": "nobody" } : field)),
    );
    await scene.commit({ more: 1 });
    const fields = currentSchema(await scene.metadata()).fields.map((field): object => field);
    expect(fields).toContainEqual(expect.objectContaining({ name: "name", "write-default": "nobody" }));
    expect(fields).toContainEqual(expect.objectContaining({ name: "more" }));
    expect(await scene.lake.places(orders)).toHaveLength(3);
  });

  test("break, by putting something else into a manifest list: it pauses and says which", async () => {
    await using scene = await Scene.twoCommits(434);
    const list = (await scene.metadata()).snapshots.at(-1)?.["manifest-list"] as string;
    const bytes = await scene.lake.warehouse.read(list);
    const put = async (body: Uint8Array): Promise<void> => {
      await scene.lake.warehouse.remove([list]);
      await scene.lake.warehouse.create(list, body);
    };
    await put(bytes.subarray(0, 100));
    await scene.stops("paused", /a file of the table is damaged: .*snap-/);
    await put(bytes);
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("move on while the outcome of our commit is unknown: nothing is deleted, nothing comes twice (apache/iceberg#7151)", async () => {
    await using scene = await Scene.twoCommits(433);
    const removed: string[] = [];
    const remove = scene.lake.store.delete.bind(scene.lake.store);
    scene.lake.store.delete = (keys) => {
      removed.push(...keys);
      return remove(keys);
    };
    let isLost = false;
    scene.lake.hooks = {
      ...scene.lake.hooks,
      answer: async (method, path, response) => {
        if (method !== "POST" || isLost || !path.endsWith("orders")) return response;
        isLost = true;
        // The commit has happened, its answer is lost, and somebody commits after it before we look.
        const current = (await scene.metadata()).snapshots.at(-1) as Snapshot;
        const theirs = await scene.foreignSnapshot(current, current, {});
        await scene.foreign({ action: "add-snapshot", snapshot: theirs }, mainAt(theirs["snapshot-id"]));
        throw new Error("connection reset");
      },
    };
    await scene.commit();
    expect(isLost).toBe(true);
    expect(removed).toEqual([]);
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("strip of our property: it pauses, and accept writes it anew", async () => {
    await using scene = await Scene.twoCommits(431);
    await scene.foreign({ action: "remove-properties", removals: [markName] });
    await scene.stops("diverged", /property inlet.committed was changed/);
    await scene.compactor.resume("orders", "accept");
    await scene.compactor.flush("orders");
    expect((await scene.metadata()).properties[markName]).toBeDefined();
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });
});

describe("a topic that", () => {
  test("grows: the rows of its new partitions are in the next commit", async () => {
    await using scene = await Scene.twoCommits(440);
    scene.lake.grow(scene.topic, "orders", 3);
    await scene.lake.produce(scene.topic, 2, [{ value: utf8('{"id":9}') }]);
    await scene.commit();
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "2:0"]);
  });

  test("is deleted and made again: each has a table of its own, however often, and the earlier ones stay", async () => {
    await using scene = await Scene.twoCommits(441);
    for (const generation of [2, 3]) {
      const topic = scene.lake.topic("orders", 1);
      await scene.lake.produce(topic, 0, [{ value: utf8(`{"id":${generation}}`) }]);
      await scene.compactor.flush("orders");
      expect(await scene.lake.places({ namespace: ["sales"], name: `orders__g${generation}` })).toEqual(["0:0"]);
    }
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1"]);
    const report = await scene.compactor.report("orders");
    expect(report).toMatchObject({ table: "sales.orders__g3", generation: 3, rows: 1 });
  });
});

describe("a report", () => {
  test("says state and reason, lag, rows, files, dead letters and the snapshot", async () => {
    await using scene = await Scene.twoCommits(450);
    await scene.lake.produce(scene.topic, 0, [{ value: utf8("{bad") }]);
    await scene.compactor.flush("orders");
    await scene.produce();
    const report = await scene.compactor.report("orders");
    const current = (await scene.metadata())["current-snapshot-id"];
    expect(report).toEqual({
      topic: "orders",
      catalog: "main",
      backfill: null,
      beside: [],
      table: "sales.orders",
      generation: 1,
      state: "running",
      reason: "",
      trouble: null,
      pendingRounds: 0,
      partitions: [{ partition: 0, end: 4, translatedTo: 3, committedTo: 3, translationLag: 1, commitLag: 0 }],
      rows: 2,
      files: 2,
      rejects: 1,
      snapshotId: String(current),
      catalogError: null,
    });
  });

  test("stands also while the catalog is away", async () => {
    await using scene = await Scene.twoCommits(451);
    scene.lake.hooks = { ...scene.lake.hooks, request: () => Promise.reject(new Error("connection refused")) };
    const report = await scene.compactor.report("orders");
    expect(report).toMatchObject({ state: "running", rows: null, catalogError: expect.stringContaining("") });
    expect(report.catalogError).not.toBeNull();
  });

  test("says what keeps a running table waiting: it never stalls in silence (apache/iceberg#16016)", async () => {
    await using scene = await Scene.twoCommits(452);
    scene.lake.hooks = { ...scene.lake.hooks, request: () => Promise.reject(new Error("connection refused")) };
    await scene.produce();
    await expect(scene.compactor.flush("orders")).rejects.toThrow();
    const waiting = await scene.compactor.report("orders");
    expect(waiting).toMatchObject({
      state: "running",
      trouble: expect.stringMatching(/did not go through/),
      pendingRounds: 1,
    });
    scene.lake.hooks = { ...scene.lake.hooks, request: async () => {} };
    await scene.compactor.flush("orders");
    expect(await scene.compactor.report("orders")).toMatchObject({ trouble: null, rows: 3 });
  });
});
