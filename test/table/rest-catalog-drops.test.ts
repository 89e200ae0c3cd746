/** Proves: what the embedded catalog does to files on behalf of its clients: purge, foreign places, metadata that is gone. */
import { expect, test } from "vitest";
import { parseMetadata } from "../../src/table/iceberg/metadata-json.ts";
import { startRestCatalog, type TestCatalog } from "../support/rest-catalog.ts";

const schema = { type: "struct", fields: [{ id: 1, name: "id", required: false, type: "long" }] };

async function call(catalog: TestCatalog, method: string, path: string, body?: object) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(`${catalog.url}/v1${path}`, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

async function withTable(more: object = {}) {
  const catalog = await startRestCatalog();
  await call(catalog, "POST", "/namespaces", { namespace: ["sales"] });
  const created = await call(catalog, "POST", "/namespaces/sales/tables", { name: "orders", schema, ...more });
  return { catalog, created };
}

async function commit(catalog: TestCatalog, updates: readonly object[]): Promise<string> {
  const answer = await call(catalog, "POST", "/namespaces/sales/tables/orders", { requirements: [], updates });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body["metadata-location"] as string;
}

const change = (value: string) => ({ action: "set-properties", updates: { change: value } });

test("a drop leaves the files, a drop with purge takes those below the table's location and no others", async () => {
  const { catalog, created } = await withTable();
  await using _closing = catalog;
  const first = created.body["metadata-location"] as string;
  const second = await commit(catalog, [change("1")]);
  const elsewhere = `${catalog.root}/elsewhere/list.avro`;
  await catalog.warehouse.create(elsewhere, Buffer.from("not an Avro file"));
  const snapshot = {
    "snapshot-id": 7,
    "sequence-number": 1,
    "timestamp-ms": Date.UTC(2030, 0),
    "manifest-list": elsewhere,
  };
  const third = await commit(catalog, [
    { action: "add-snapshot", snapshot: { ...snapshot, summary: { operation: "append" } } },
  ]);

  expect((await call(catalog, "DELETE", "/namespaces/sales/tables/orders")).status).toBe(204);
  expect(await catalog.warehouse.head(third)).toBeDefined();
  const register = { name: "orders", "metadata-location": third };
  expect((await call(catalog, "POST", "/namespaces/sales/register", register)).status).toBe(200);
  expect((await call(catalog, "DELETE", "/namespaces/sales/tables/orders?purgeRequested=true")).status).toBe(204);
  for (const file of [first, second, third]) expect(await catalog.warehouse.head(file), file).toBeUndefined();
  expect(await catalog.warehouse.head(elsewhere)).toBeDefined();
});

test.each(["false", "False", "FALSE"])("gc.enabled=%s keeps the files even from a purge", async (said) => {
  const { catalog, created } = await withTable({ properties: { "gc.enabled": said } });
  await using _closing = catalog;
  expect((await call(catalog, "DELETE", "/namespaces/sales/tables/orders?purgeRequested=true")).status).toBe(204);
  expect(await catalog.warehouse.head(created.body["metadata-location"])).toBeDefined();
});

test("a table at a place that the broker cannot reach is refused as the client's mistake", async () => {
  const { catalog, created } = await withTable({ location: "gopher://far/away" });
  await using _closing = catalog;
  expect(created.status).toBe(400);
  expect(created.body.error.message).toContain("cannot write to gopher://far/away");
});

test("F5: with delete-after-commit, metadata files that drop out of the log are deleted, and no others", async () => {
  const properties = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "2",
  };
  const { catalog, created } = await withTable({ properties });
  await using _closing = catalog;
  const files = [created.body["metadata-location"] as string];
  for (let version = 1; version <= 5; version += 1) files.push(await commit(catalog, [change(String(version))]));
  const kept = await Promise.all(files.map(async (file) => (await catalog.warehouse.head(file)) !== undefined));
  expect(kept).toEqual([false, false, false, true, true, true]);
  const current = files.at(-1) as string;
  const log = parseMetadata(await catalog.warehouse.readText(current), current)["metadata-log"];
  expect(log.map((entry) => entry["metadata-file"])).toEqual(files.slice(3, 5));
});
