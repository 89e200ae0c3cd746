/** Proves: a catalog that only keeps pointers names, logs and forgets metadata files as Iceberg says (rules F5, F7). */
import { expect, test } from "vitest";
import { type Moved, type Pointer, PointerCatalog, type PointerStore } from "../../catalogs/pointer-catalog.ts";
import type { StoredTable } from "../../src/table/commit/metadata-files.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import { emptyTable } from "../table/iceberg/tables.ts";
import { pointerDeps } from "./pointer-world.ts";

const table = { namespace: ["sales"], name: "orders" };
const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });
const change = (value: string) => [{ action: "set-properties", updates: { change: value } } as const];

/** One table; what a move does and says is the test's. */
class OnePointer implements PointerStore<Pointer> {
  location: string | undefined;
  answer: (moving: () => Moved) => Moved = (moving) => moving();

  async find() {
    return this.location === undefined ? undefined : { location: this.location };
  }

  async makeNamespace() {}

  async insert(_table: unknown, next: StoredTable) {
    return await this.move(_table, { location: "" }, next);
  }

  async move(_table: unknown, from: Pointer, next: StoredTable): Promise<Moved> {
    return this.answer(() => {
      if ((this.location ?? "") !== from.location) return { kind: "lost", detail: "moved" };
      this.location = next.location;
      return { kind: "moved" };
    });
  }

  async [Symbol.asyncDispose]() {}
}

function world() {
  const deps = pointerDeps();
  const store = new OnePointer();
  return { deps, store, catalog: new PointerCatalog("main", store, deps) };
}

async function committed(catalog: PointerCatalog<Pointer>, value: string): Promise<string> {
  const outcome = await catalog.commit(table, [], change(value));
  if (outcome.kind !== "committed") throw new Error(outcome.kind);
  return outcome.table.metadataLocation;
}

test("files count up from 00000 in the table's own directory, and each names the one before", async () => {
  const { catalog } = world();
  const made = await catalog.create(table, creation);
  if (made.kind !== "created") throw new Error(made.kind);
  const second = await committed(catalog, "1");
  expect(made.table.metadata.location).toMatch(/^memory:\/\/lake\/warehouse\/sales\/orders-[0-9a-f]{8}$/);
  const place = `${made.table.metadata.location}/metadata`;
  expect(made.table.metadataLocation).toMatch(new RegExp(`^${place}/00000-[0-9a-f-]{36}\\.metadata\\.json$`));
  expect(second).toMatch(new RegExp(`^${place}/00001-[0-9a-f-]{36}\\.metadata\\.json$`));
  const log = (await catalog.load(table))?.metadata["metadata-log"];
  expect(log?.map((entry) => entry["metadata-file"])).toEqual([made.table.metadataLocation]);
});

test("files that drop out of the metadata log are deleted where the table asks for it", async () => {
  const { catalog, deps } = world();
  const versions = { "write.metadata.previous-versions-max": "2" };
  const made = await catalog.create(table, [...creation, { action: "set-properties", updates: versions }]);
  if (made.kind !== "created") throw new Error(made.kind);
  const files = [made.table.metadataLocation];
  for (const value of ["1", "2", "3", "4"]) files.push(await committed(catalog, value));
  const kept = await Promise.all(files.map(async (file) => (await deps.warehouse.head(file)) !== undefined));
  expect(kept).toEqual([false, false, true, true, true]);
});

test("a move that was answered with lost and happened is a commit, even when others went on from it", async () => {
  const { catalog, store } = world();
  await catalog.create(table, creation);
  store.answer = (moving) => {
    moving();
    return { kind: "lost", detail: "as the second of two said" };
  };
  const first = await committed(catalog, "1");
  store.answer = (moving) => {
    const outcome = moving();
    store.answer = (next) => next();
    return outcome;
  };
  await committed(catalog, "2");
  expect((await catalog.load(table))?.metadata["metadata-log"].at(-1)?.["metadata-file"]).toBe(first);
});

test("after an unknown outcome nothing is deleted: the file is there when the move lands late", async () => {
  const { catalog, store } = world();
  await catalog.create(table, creation);
  let late = (): Moved => ({ kind: "moved" });
  store.answer = (moving) => {
    late = moving;
    return { kind: "unknown", cause: "no answer" };
  };
  expect((await catalog.commit(table, [], change("1"))).kind).toBe("unknown");
  expect(late().kind).toBe("moved");
  expect((await catalog.load(table))?.metadata.properties["change"]).toBe("1");
});
