/** Proves: requests as clients other than the compatibility kit's send them, and what those clients rely on in the answers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startRestCatalog, type TestCatalog } from "../../support/rest-catalog.ts";

const schema = { type: "struct", fields: [{ id: 0, name: "id", required: false, type: "long" }] };

async function call(
  catalog: TestCatalog,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
) {
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await fetch(`${catalog.url}/v1${path}`, init);
  const text = await response.text();
  const json = (text === "" ? {} : JSON.parse(text)) as never;
  return { status: response.status, etag: response.headers.get("etag") ?? "", json };
}

async function withNamespace(name = "a"): Promise<TestCatalog> {
  const catalog = await startRestCatalog();
  expect((await call(catalog, "POST", "/namespaces", { namespace: [name] })).status).toBe(200);
  return catalog;
}

interface Loaded {
  readonly metadata: Readonly<Record<string, unknown>>;
}

describe("names", () => {
  test("a plus in a path is a space, as java.net.URLEncoder writes it; %2B is a plus", async () => {
    await using catalog = await withNamespace("my space");
    const at = "/namespaces/my+space/tables";
    for (const name of ["a table", "c+d"]) expect((await call(catalog, "POST", at, { name, schema })).status).toBe(200);
    expect((await call(catalog, "HEAD", `${at}/a+table`)).status).toBe(204);
    expect((await call(catalog, "HEAD", "/namespaces/my%20space/tables/a%20table")).status).toBe(204);
    expect((await call(catalog, "HEAD", `${at}/c%2Bd`)).status).toBe(204);
    expect((await call(catalog, "GET", "/namespaces?parent=my+space")).status).toBe(200);
  });

  // A directory's name has at most 255 bytes, a key of S3 1,024.
  test("are no longer in a place than a store can keep them", async () => {
    const directory = mkdtempSync(join(tmpdir(), "inlet-names-"));
    await using catalog = await startRestCatalog({ directory });
    const namespace = Array.from({ length: 8 }, (_, at) => `${at}`.repeat(250));
    expect((await call(catalog, "POST", "/namespaces", { namespace })).status).toBe(200);
    const at = `/namespaces/${namespace.join("%1F")}/tables`;
    const places = new Set<string>();
    for (const name of ["x".repeat(250), `${"x".repeat(250)}y`]) {
      const made = await call(catalog, "POST", at, { name, schema });
      expect(made.status).toBe(200);
      places.add((made.json as Loaded).metadata["location"] as string);
    }
    expect(places.size).toBe(2);
    for (const place of places) expect(place.length - catalog.root.length).toBeLessThan(600);
    rmSync(directory, { recursive: true });
  });

  // PyIceberg encodes the parts of a parent, and then the query that they stand in.
  test("a parent that was encoded twice is found, unless there is one of that name", async () => {
    await using catalog = await withNamespace("50% off/now");
    await call(catalog, "POST", "/namespaces", { namespace: ["50% off/now", "b"] });
    const parent = (name: string) => call(catalog, "GET", `/namespaces?parent=${encodeURIComponent(name)}`);
    const children = { status: 200, json: { namespaces: [["50% off/now", "b"]] } };
    expect(await parent("50% off/now")).toMatchObject(children);
    expect(await parent(encodeURIComponent("50% off/now"))).toMatchObject(children);
    expect(await parent("50%")).toMatchObject({ status: 404 });
    await call(catalog, "POST", "/namespaces", { namespace: [encodeURIComponent("50% off/now")] });
    expect((await parent(encodeURIComponent("50% off/now"))).json).toEqual({ namespaces: [] });
  });

  // iceberg-rust's own tests do.
  test("a namespace brings the parents that it lacks", async () => {
    await using catalog = await withNamespace();
    const properties = { owner: "me" };
    await call(catalog, "POST", "/namespaces/a/properties", { updates: properties });
    const made = await call(catalog, "POST", "/namespaces", { namespace: ["x", "y", "z"], properties });
    expect(made).toMatchObject({ status: 200, json: { namespace: ["x", "y", "z"], properties } });
    expect((await call(catalog, "GET", "/namespaces")).json).toEqual({ namespaces: [["a"], ["x"]] });
    expect((await call(catalog, "GET", "/namespaces?parent=x")).json).toEqual({ namespaces: [["x", "y"]] });
    expect((await call(catalog, "GET", "/namespaces/x%1Fy")).json).toEqual({ namespace: ["x", "y"], properties: {} });
    expect((await call(catalog, "POST", "/namespaces", { namespace: ["a", "b"] })).status).toBe(200);
    expect((await call(catalog, "GET", "/namespaces/a")).json).toEqual({ namespace: ["a"], properties });
  });

  test("a namespace of more levels than anybody has is a 400", async () => {
    await using catalog = await startRestCatalog();
    const deep = { namespace: Array.from({ length: 100_000 }, () => "n") };
    expect((await call(catalog, "POST", "/namespaces", deep)).status).toBe(400);
    expect((await call(catalog, "GET", "/namespaces")).json).toEqual({ namespaces: [] });
  });

  test("namespaces that are made at once below one that is not there are all there", async () => {
    await using catalog = await startRestCatalog();
    const names = ["1", "2", "3", "4"];
    const answers = names.map((name) => call(catalog, "POST", "/namespaces", { namespace: ["p", "q", name] }));
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
    const children = names.map((name) => ["p", "q", name]);
    expect((await call(catalog, "GET", "/namespaces?parent=p%1Fq")).json).toEqual({ namespaces: children });
  });

  test("a table or a view that is renamed to its own name is as it was", async () => {
    await using catalog = await withNamespace();
    const version = {
      "version-id": 1,
      "timestamp-ms": 1,
      "schema-id": 0,
      summary: {},
      representations: [{ type: "sql", sql: "select 1", dialect: "spark" }],
      "default-namespace": ["a"],
    };
    expect((await call(catalog, "POST", "/namespaces/a/tables", { name: "t", schema })).status).toBe(200);
    const view = { name: "v", schema: { ...schema, "schema-id": 0 }, "view-version": version, properties: {} };
    expect((await call(catalog, "POST", "/namespaces/a/views", view)).status).toBe(200);
    const itself = (name: string) => ({
      source: { namespace: ["a"], name },
      destination: { namespace: ["a"], name },
    });
    expect((await call(catalog, "POST", "/tables/rename", itself("t"))).status).toBe(204);
    expect((await call(catalog, "POST", "/views/rename", itself("v"))).status).toBe(204);
    expect((await call(catalog, "POST", "/tables/rename", itself("none"))).status).toBe(404);
    expect((await call(catalog, "HEAD", "/namespaces/a/tables/t")).status).toBe(204);
    expect((await call(catalog, "HEAD", "/namespaces/a/views/v")).status).toBe(204);
  });
});

describe("an entity tag", () => {
  const snapshot = (id: number) => ({
    "snapshot-id": id,
    "sequence-number": id,
    "timestamp-ms": 1_700_000_000_000 + id,
    "manifest-list": `memory://lake/warehouse/a/${id}.avro`,
    summary: { operation: "append" },
    "schema-id": 0,
  });

  test("of the refs alone is not that of the whole history", async () => {
    await using catalog = await withNamespace();
    await call(catalog, "POST", "/namespaces/a/tables", { name: "t", schema });
    const at = "/namespaces/a/tables/t";
    const updates = [1, 2].map((id) => ({ action: "add-snapshot", snapshot: snapshot(id) }));
    const main = { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": 2 };
    expect((await call(catalog, "POST", at, { requirements: [], updates: [...updates, main] })).status).toBe(200);
    const refs = await call(catalog, "GET", `${at}?snapshots=refs`);
    const all = await call(catalog, "GET", at, undefined, { "if-none-match": refs.etag });
    expect(all.status).toBe(200);
    expect((all.json as Loaded).metadata["snapshots"]).toHaveLength(2);
    const again = await call(catalog, "GET", `${at}?snapshots=refs`, undefined, { "if-none-match": refs.etag });
    expect([again.status, again.etag]).toEqual([304, refs.etag]);
  });

  // RFC 9110: proxies weaken tags, and clients may name several.
  test("is found among others, and where a proxy made it a weak one", async () => {
    await using catalog = await withNamespace();
    const { etag } = await call(catalog, "POST", "/namespaces/a/tables", { name: "t", schema });
    const asked = async (tags: string) =>
      (await call(catalog, "GET", "/namespaces/a/tables/t", undefined, { "if-none-match": tags })).status;
    expect(await asked(`W/${etag}`)).toBe(304);
    expect(await asked(`"other", ${etag}`)).toBe(304);
    expect(await asked('"other"')).toBe(200);
  });
});

describe("a table of format version 1", () => {
  const fields = [{ "source-id": 0, name: "id_bucket", transform: "bucket[4]" }];
  const creation = {
    name: "t",
    schema,
    "partition-spec": { "spec-id": 0, fields },
    properties: { "format-version": "1" },
  };
  const column = {
    action: "add-schema",
    schema: { ...schema, fields: [...schema.fields, { id: 2, name: "more", required: false, type: "int" }] },
  };

  // PyIceberg and readers of version 1 know a table without them for none.
  test("has its schema and its partition fields also where version 1 looks for them", async () => {
    await using catalog = await withNamespace();
    const made = (await call(catalog, "POST", "/namespaces/a/tables", creation)).json as Loaded;
    expect(made.metadata).toMatchObject({
      schema: { "schema-id": 0, fields: [{ id: 1 }] },
      "partition-spec": [{ "source-id": 1, "field-id": 1000, name: "id_bucket" }],
    });
    const current = { action: "set-current-schema", "schema-id": -1 };
    const updates = [
      {
        ...column,
        schema: {
          ...column.schema,
          fields: [{ id: 1, name: "id", required: false, type: "long" }, column.schema.fields[1]],
        },
      },
      current,
    ];
    const at = "/namespaces/a/tables/t";
    const changed = (await call(catalog, "POST", at, { requirements: [], updates })).json as Loaded;
    expect(changed.metadata["schema"]).toMatchObject({ "schema-id": 1, fields: [{ id: 1 }, { id: 2 }] });
    const upgrade = [{ action: "upgrade-format-version", "format-version": 2 }];
    const upgraded = (await call(catalog, "POST", at, { requirements: [], updates: upgrade })).json as Loaded;
    expect(upgraded.metadata).toMatchObject({ "format-version": 2, "current-schema-id": 1 });
    expect(Object.keys(upgraded.metadata)).not.toContain("schema");
    expect(Object.keys(upgraded.metadata)).not.toContain("partition-spec");
  });
});

describe("a table of format version 3", () => {
  const key = (id: string) => ({ "key-id": id, "encrypted-key-metadata": "AAEC", "encrypted-by-id": "master" });

  test("takes the keys of encrypted files, and gives them up", async () => {
    await using catalog = await withNamespace();
    const at = "/namespaces/a/tables/t";
    await call(catalog, "POST", "/namespaces/a/tables", { name: "t", schema, properties: { "format-version": "3" } });
    const commit = async (...updates: readonly object[]) => call(catalog, "POST", at, { requirements: [], updates });
    const add = (each: object) => ({ action: "add-encryption-key", "encryption-key": each });
    expect(await commit(add(key("k1")), add(key("k2")), add(key("k1")))).toMatchObject({
      status: 200,
      json: { metadata: { "encryption-keys": [key("k1"), key("k2")] } },
    });
    const remove = (id: string) => ({ action: "remove-encryption-key", "key-id": id });
    expect((await commit(remove("k1"), remove("none"))).status).toBe(200);
    const { json } = await call(catalog, "GET", at);
    expect((json as Loaded).metadata["encryption-keys"]).toEqual([key("k2")]);
    expect((await commit(add({ "key-id": "k3" }))).status).toBe(400);
  });
});

describe("a new table", () => {
  // As the reference's catalogs do: Java's writers would take gzip for a table that says nothing.
  test("is compressed by zstd unless it says otherwise, and keeps no property that stands for what it is", async () => {
    await using catalog = await withNamespace();
    const codec = "write.parquet.compression-codec";
    const made = async (name: string, properties: object, more: object = {}) => {
      const { json } = await call(catalog, "POST", "/namespaces/a/tables", { name, schema, properties, ...more });
      return (json as Loaded).metadata["properties"];
    };
    expect(await made("t", {})).toEqual({ [codec]: "zstd" });
    expect(await made("u", { [codec]: "snappy", p: "1" })).toEqual({ [codec]: "snappy", p: "1" });
    expect(
      await made("v", { "format-version": "3", uuid: "x", "current-schema": "y" }, { "stage-create": true }),
    ).toEqual({
      [codec]: "zstd",
    });
  });
});
