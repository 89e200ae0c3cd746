/** Proves: catalogs/jdbc keeps the contract on SQLite, in the tables that Java's and Python's catalogs use, of both versions. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { open, openSqlDatabase } from "../../catalogs/jdbc.ts";
import type { SqlDatabase } from "../../catalogs/sql-database.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import type { Catalog } from "../../src/table/catalog.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import { type CatalogWorld, catalogContract } from "../table/catalog-contract.ts";
import { emptyTable } from "../table/iceberg/tables.ts";
import { pointerDeps } from "./pointer-world.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-jdbc-"));
let files = 0;

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function freshFile(): string {
  files += 1;
  return join(directory, `${files}.db`);
}

function openOn(file: string, deps = pointerDeps(), openDatabase = openSqlDatabase): Catalog {
  return open({ name: "main", uri: `sqlite:${file}`, catalogName: "lake" }, { ...deps, openDatabase });
}

async function start(): Promise<CatalogWorld> {
  const file = freshFile();
  const deps = pointerDeps();
  const direct = openOn(file, deps);
  const world: CatalogWorld = {
    direct,
    fault: undefined,
    catalog: openOn(file, deps, async (...args) => faulty(await openSqlDatabase(...args), world)),
    async [Symbol.asyncDispose]() {
      await direct[Symbol.asyncDispose]();
      await this.catalog[Symbol.asyncDispose]();
    },
  };
  return world;
}

/** SQLite loses no answers, but what stands above it must bear a database that does. */
function faulty(database: SqlDatabase, world: CatalogWorld): SqlDatabase {
  return {
    query: (...args) => database.query(...args),
    async change(sql, values) {
      const fault = /^(INSERT INTO|UPDATE) iceberg_tables/.test(sql) ? world.fault : undefined;
      if (fault === undefined) return await database.change(sql, values);
      world.fault = undefined;
      const happens = typeof fault === "object" ? fault.happens : fault !== "request-lost";
      const rows = happens ? await database.change(sql, values) : 0;
      if (fault === "request-doubled") return await database.change(sql, values);
      throw new OperationFailed(`no answer, ${rows} rows`, { happened: "maybe" });
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

catalogContract("JDBC on SQLite", start);

describe("the tables of the JDBC catalog", () => {
  const table = { namespace: ["sales", "eu"], name: "orders" };
  const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
  const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });

  test("hold what Java and Python look for: namespace joined by dots, where it was, and that it is a table", async () => {
    const file = freshFile();
    await using catalog = openOn(file);
    const made = await catalog.create(table, creation);
    if (made.kind !== "created") throw new Error(made.kind);
    const changed = await catalog.commit(table, [], [{ action: "set-properties", updates: { a: "b" } }]);
    if (changed.kind !== "committed") throw new Error(changed.kind);
    using database = new DatabaseSync(file);
    expect(
      database
        .prepare("SELECT * FROM iceberg_tables")
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([
      {
        catalog_name: "lake",
        table_namespace: "sales.eu",
        table_name: "orders",
        metadata_location: changed.table.metadataLocation,
        previous_metadata_location: made.table.metadataLocation,
        iceberg_type: "TABLE",
      },
    ]);
    expect(
      database
        .prepare("SELECT * FROM iceberg_namespace_properties")
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([{ catalog_name: "lake", namespace: "sales.eu", property_key: "exists", property_value: "true" }]);
  });

  test("of version 0, without a type, are used as they are", async () => {
    const file = freshFile();
    {
      using database = new DatabaseSync(file);
      database.exec(
        "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), PRIMARY KEY (catalog_name, table_namespace, table_name))",
      );
    }
    await using catalog = openOn(file);
    expect((await catalog.create(table, creation)).kind).toBe("created");
    expect((await catalog.commit(table, [], [{ action: "set-properties", updates: { a: "b" } }])).kind).toBe(
      "committed",
    );
  });

  test("may hold a view of the name: it is refused, and left as it is", async () => {
    const file = freshFile();
    await using catalog = openOn(file);
    expect(await catalog.load(table)).toBeUndefined();
    using database = new DatabaseSync(file);
    database.exec("INSERT INTO iceberg_tables VALUES ('lake', 'sales.eu', 'orders', 'memory://v', NULL, 'VIEW')");
    await expect(catalog.load(table)).rejects.toThrow("sales.eu.orders is no table");
    await expect(catalog.create(table, creation)).rejects.toThrow("sales.eu.orders is no table");
  });

  test("wait for another process that holds the file", async () => {
    const file = freshFile();
    await using catalog = openOn(file);
    await catalog.create(table, creation);
    const other = new DatabaseSync(file);
    other.exec("BEGIN EXCLUSIVE");
    const committing = catalog.commit(table, [], [{ action: "set-properties", updates: { a: "b" } }]);
    setImmediate(() => {
      other.exec("COMMIT");
      other.close();
    });
    expect((await committing).kind).toBe("committed");
  });
});

test("a database that is down is an error with no word of its password, and asked again at the next use", async () => {
  const settings = { name: "main", uri: "postgres://inlet:s3cr3t@127.0.0.1:1/catalog", catalogName: "lake" };
  await using catalog = open(settings, pointerDeps());
  const failure = await catalog.load({ namespace: ["a"], name: "t" }).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(OperationFailed);
  expect((failure as OperationFailed).happened).toBe("no");
  expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure as object))).not.toContain("s3cr3t");
});
