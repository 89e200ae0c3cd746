/** Proves: a table that has not changed is not sent again, one that has always is, and what is kept of them is bounded. */
import { describe, expect, test } from "vitest";
import { KnownTables } from "../../catalogs/known-tables.ts";
import type { LoadedTable } from "../../src/table/catalog.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import type { Update } from "../../src/table/iceberg/updates.ts";
import { Lake } from "../support/lake.ts";
import { emptyTable } from "../table/iceberg/tables.ts";

const table = { namespace: ["sales"], name: "orders" };
const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });

/** A catalog over HTTP with one table, and the statuses of its answers to loads and commits. */
async function start() {
  const lake = new Lake(1);
  const statuses: number[] = [];
  const answer = async (_method: string, path: string, response: Response): Promise<Response> => {
    if (path.endsWith("/orders")) statuses.push(response.status);
    return response;
  };
  lake.hooks = { ...lake.hooks, answer };
  const catalog = lake.catalog();
  await catalog.create(table, creation);
  await catalog.load(table);
  statuses.length = 0;
  return { catalog, foreign: lake.foreign(), statuses };
}

function setting(value: string): readonly Update[] {
  return [{ action: "set-properties", updates: { owner: value } }];
}

describe("a table of a REST catalog", () => {
  test("is not sent again while nobody changes it", async () => {
    const { catalog, statuses } = await start();
    const first = await catalog.load(table);
    expect(await catalog.load(table)).toBe(first);
    expect(statuses).toEqual([304, 304]);
  });

  test("nor after a commit of our own, which told what it is now", async () => {
    const { catalog, statuses } = await start();
    const before = await catalog.load(table);
    expect((await catalog.commit(table, [], setting("us"))).kind).toBe("committed");
    const after = await catalog.load(table);
    expect(after?.metadata.properties).toMatchObject({ owner: "us" });
    expect(after?.config).toEqual(before?.config);
    expect(statuses).toEqual([304, 200, 304]);
  });

  test("is sent when somebody else has changed it", async () => {
    const { catalog, foreign, statuses } = await start();
    await foreign.commit(table, [], setting("them"));
    expect((await catalog.load(table))?.metadata.properties).toMatchObject({ owner: "them" });
    expect(statuses).toEqual([200]);
  });

  test("is sent after a conflict, whatever its tag says", async () => {
    const { catalog, statuses } = await start();
    const requirement = { type: "assert-table-uuid", uuid: "00000000-0000-4000-8000-000000000000" } as const;
    expect((await catalog.commit(table, [requirement], setting("us"))).kind).toBe("conflict");
    await catalog.load(table);
    expect(statuses).toEqual([409, 200]);
  });
});

describe("what is known of tables", () => {
  const known = (bytes: number) => ({ etag: '"1"', table: {} as LoadedTable, bytes });

  test("is of the ones that were used last, up to so many bytes", () => {
    const tables = new KnownTables(100);
    for (const name of ["a", "b", "c"]) tables.set(name, known(33));
    tables.get("a");
    tables.set("d", known(34));
    expect(["a", "b", "c", "d"].filter((name) => tables.get(name) !== undefined)).toEqual(["a", "c", "d"]);
  });

  test("is nothing of one that is larger than that", () => {
    const tables = new KnownTables(100);
    tables.set("a", known(101));
    expect(tables.get("a")).toBeUndefined();
    tables.set("b", known(100));
    expect(tables.get("b")).toBeDefined();
  });
});
