/** Proves: catalogs/glue keeps the contract over a Glue that locks by version, and writes a table as Athena wants to read it. */
import { describe, expect, test } from "vitest";
import { type GlueCatalogSettings, open } from "../../catalogs/glue.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import { startCommitProxy } from "../support/commit-proxy.ts";
import { startFakeGlue } from "../support/fake-glue.ts";
import { type CatalogWorld, catalogContract } from "../table/catalog-contract.ts";
import { emptyTable } from "../table/iceberg/tables.ts";
import { pointerDeps } from "./pointer-world.ts";

const settings = (port: number): GlueCatalogSettings => ({
  name: "main",
  region: "us-east-1",
  endpoint: `http://127.0.0.1:${port}`,
  catalogId: null,
  credentials: { kind: "static", keys: { accessKeyId: "id", secretAccessKey: "s3cr3t" } },
});

async function start(): Promise<CatalogWorld> {
  const glue = await startFakeGlue();
  const isCommit = (request: string): boolean => /AWSGlue\.(CreateTable|UpdateTable)\b/.test(request);
  const proxy = await startCommitProxy({ target: glue.port, isHttp: true, isCommit });
  const deps = pointerDeps();
  const [catalog, direct] = [open(settings(proxy.port), deps), open(settings(glue.port), deps)];
  return {
    catalog,
    direct,
    set fault(fault: CatalogWorld["fault"]) {
      proxy.fault = fault;
    },
    async [Symbol.asyncDispose]() {
      for (const each of [catalog, direct, proxy, glue]) await each[Symbol.asyncDispose]();
    },
  };
}

catalogContract("Glue", start, { namespace: ["sales"] });

describe("what Glue holds", () => {
  const table = { namespace: ["sales"], name: "orders" };
  const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
  const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });

  test("the pointer, the one before, the place and the columns with their ids", async () => {
    await using glue = await startFakeGlue();
    await using catalog = open(settings(glue.port), pointerDeps());
    const made = await catalog.create(table, creation);
    if (made.kind !== "created") throw new Error(made.kind);
    const changed = await catalog.commit(table, [], [{ action: "set-properties", updates: { a: "b" } }]);
    if (changed.kind !== "committed") throw new Error(changed.kind);
    expect(glue.tables.get("sales.orders")).toEqual({
      Name: "orders",
      DatabaseName: "sales",
      VersionId: "1",
      TableType: "EXTERNAL_TABLE",
      Parameters: {
        table_type: "ICEBERG",
        metadata_location: changed.table.metadataLocation,
        previous_metadata_location: made.table.metadataLocation,
      },
      StorageDescriptor: {
        Location: made.table.metadata.location,
        Columns: [
          { Name: "id", Type: "bigint", Parameters: parameters(1, false) },
          { Name: "name", Type: "string", Parameters: parameters(2, true) },
        ],
      },
    });
  });

  test("comments are one line of at most 255 bytes, as Glue takes them", async () => {
    await using glue = await startFakeGlue();
    await using catalog = open(settings(glue.port), pointerDeps());
    const docs = ["first line\r\nsecond", `${"ä".repeat(126)}x\u{1f600}`];
    const fields = schema.fields.map((field, at) => ({ ...field, doc: docs[at] as string }));
    const commented = { schema: { ...schema, fields }, lastColumnId: 2, location: null } as const;
    await catalog.create(table, creationUpdates({ ...commented, spec: { "spec-id": 0, fields: [] } }));
    const told = glue.tables.get("sales.orders")?.["StorageDescriptor"] as { readonly Columns: readonly object[] };
    expect(told.Columns).toMatchObject([{ Comment: "first line second" }, { Comment: `${"ä".repeat(126)}x` }]);
  });

  test("a name that Athena cannot reach is refused before anything is written", async () => {
    await using glue = await startFakeGlue();
    await using catalog = open(settings(glue.port), pointerDeps());
    for (const bad of [
      { namespace: ["sales", "eu"], name: "orders" },
      { namespace: ["sales"], name: "Orders" },
    ])
      await expect(catalog.load(bad)).rejects.toThrow("lower-case letters, digits and underscores");
  });

  function parameters(id: number, isOptional: boolean): object {
    return {
      "iceberg.field.id": String(id),
      "iceberg.field.optional": String(isOptional),
      "iceberg.field.current": "true",
    };
  }
});
