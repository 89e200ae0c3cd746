/** Proves: the embedded catalog's views are made, replaced, renamed, registered and dropped; a name is a table or a view, never both. */
import { expect, test } from "vitest";
import { startRestCatalog, type TestCatalog } from "../../support/rest-catalog.ts";

const schema = { type: "struct", "schema-id": 0, fields: [{ id: 1, name: "id", required: false, type: "long" }] };
const version = (sql: string, schemaId = 0) => ({
  "version-id": 1,
  "timestamp-ms": 1000,
  "schema-id": schemaId,
  summary: {},
  representations: [{ type: "sql", sql, dialect: "spark" }],
  "default-namespace": ["a"],
});
const creation = (name: string) => ({ name, schema, "view-version": version("select 1"), properties: { p: "1" } });

interface View {
  readonly "metadata-location": string;
  readonly metadata: { readonly "view-uuid": string; readonly versions: readonly unknown[] };
}

async function opened() {
  const catalog: TestCatalog = await startRestCatalog();
  const call = async (method: string, path: string, body?: unknown) => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(`${catalog.url}/v1${path}`, init);
    const text = await response.text();
    const json = (text === "" ? {} : JSON.parse(text)) as { readonly error?: { readonly type: string } };
    return { status: response.status, type: json.error?.type, json: json as unknown };
  };
  for (const namespace of ["a", "b"]) await call("POST", "/namespaces", { namespace: [namespace] });
  await call("POST", "/namespaces/a/tables", { name: "t", schema });
  return { call, [Symbol.asyncDispose]: () => catalog[Symbol.asyncDispose]() };
}

test("a view lives through its calls, beside the tables", async () => {
  await using world = await opened();
  const { call } = world;
  const made = (await call("POST", "/namespaces/a/views", creation("v"))).json as View;
  expect(made["metadata-location"]).toMatch(/\/metadata\/00000-/);
  expect((await call("HEAD", "/namespaces/a/views/v")).status).toBe(204);
  expect((await call("GET", "/namespaces/a/views")).json).toMatchObject({
    identifiers: [{ namespace: ["a"], name: "v" }],
  });
  expect((await call("GET", "/namespaces/a/tables")).json).toMatchObject({
    identifiers: [{ namespace: ["a"], name: "t" }],
  });
  const updates = [
    { action: "add-view-version", "view-version": version("select 2") },
    { action: "set-current-view-version", "view-version-id": -1 },
  ];
  const uuid = made.metadata["view-uuid"];
  const wrong = { requirements: [{ type: "assert-view-uuid", uuid: "00000000-0000-0000-0000-000000000000" }], updates };
  expect(await call("POST", "/namespaces/a/views/v", wrong)).toMatchObject({
    status: 409,
    type: "CommitFailedException",
  });
  const right = { requirements: [{ type: "assert-view-uuid", uuid }], updates };
  expect((await call("POST", "/namespaces/a/views/v", right)).status).toBe(200);
  const move = { source: { namespace: ["a"], name: "v" }, destination: { namespace: ["b"], name: "w" } };
  expect((await call("POST", "/views/rename", move)).status).toBe(204);
  const renamed = (await call("GET", "/namespaces/b/views/w")).json as View;
  expect(renamed.metadata).toMatchObject({ "view-uuid": uuid, "current-version-id": 2, properties: { p: "1" } });
  expect(renamed["metadata-location"]).toMatch(/\/metadata\/00001-/);
  expect(await call("DELETE", "/namespaces/b")).toMatchObject({ status: 409, type: "NamespaceNotEmptyException" });
  expect((await call("DELETE", "/namespaces/b/views/w")).status).toBe(204);
  expect(await call("GET", "/namespaces/b/views/w")).toMatchObject({ status: 404, type: "NoSuchViewException" });
  const again = { name: "x", "metadata-location": renamed["metadata-location"] };
  expect((await call("POST", "/namespaces/b/register-view", again)).json).toMatchObject({
    metadata: { "view-uuid": uuid },
  });
});

test("a name is one thing, whichever way it would become another", async () => {
  await using world = await opened();
  const { call } = world;
  await call("POST", "/namespaces/a/views", creation("v"));
  const taken = { status: 409, type: "AlreadyExistsException" };
  const to = (name: string) => ({ source: { namespace: ["a"], name: "x" }, destination: { namespace: ["a"], name } });
  expect(await call("POST", "/namespaces/a/views", creation("t"))).toMatchObject(taken);
  expect(await call("POST", "/namespaces/a/views", creation("v"))).toMatchObject(taken);
  expect(await call("POST", "/namespaces/a/tables", { name: "v", schema })).toMatchObject(taken);
  const create = { requirements: [{ type: "assert-create" }], updates: [] };
  expect(await call("POST", "/namespaces/a/tables/v", create)).toMatchObject(taken);
  expect(await call("POST", "/tables/rename", { ...to("v"), source: { namespace: ["a"], name: "t" } })).toMatchObject(
    taken,
  );
  expect(await call("POST", "/views/rename", { ...to("t"), source: { namespace: ["a"], name: "v" } })).toMatchObject(
    taken,
  );
  expect(await call("GET", "/namespaces/a/tables/v")).toMatchObject({ status: 404, type: "NoSuchTableException" });
  expect(await call("DELETE", "/namespaces/a/tables/v")).toMatchObject({ status: 404, type: "NoSuchTableException" });
  expect(await call("GET", "/namespaces/a/views/t")).toMatchObject({ status: 404, type: "NoSuchViewException" });
});

test("what is no view is refused with a reason", async () => {
  await using world = await opened();
  const { call } = world;
  const bad = async (body: object) => await call("POST", "/namespaces/a/views", { ...creation("v"), ...body });
  const representations = [{ type: "python", code: "1" }];
  expect(await bad({ name: "" })).toMatchObject({ status: 400 });
  expect(await bad({ schema: null })).toMatchObject({ status: 400 });
  expect(await bad({ "view-version": {} })).toMatchObject({ status: 400 });
  expect(await bad({ "view-version": { ...version("x"), representations } })).toMatchObject({ status: 400 });
  expect(await bad({ location: "s3://elsewhere/v" })).toMatchObject({ status: 400, type: "BadRequestException" });
  expect(await call("POST", "/namespaces/none/views", creation("v"))).toMatchObject({
    status: 404,
    type: "NoSuchNamespaceException",
  });
  const elsewhere = { name: "r", "metadata-location": "memory://nowhere/v.metadata.json" };
  expect(await call("POST", "/namespaces/a/register-view", elsewhere)).toMatchObject({ status: 400 });
});
