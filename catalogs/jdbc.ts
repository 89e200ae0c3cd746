/**
 * Iceberg's JDBC catalog: pointers in two tables of a SQL database, which Java's JdbcCatalog and PyIceberg's SqlCatalog read and
 * write too (rule J15).
 *
 *   iceberg_tables                (catalog_name, table_namespace, table_name) metadata_location, previous_metadata_location,
 *                                 iceberg_type                                'TABLE', 'VIEW' or null; absent in version 0
 *   iceberg_namespace_properties  (catalog_name, namespace, property_key) property_value
 */
import { OperationFailed } from "../src/base/errors.ts";
import type { Catalog, TableName } from "../src/table/catalog.ts";
import type { StoredTable } from "../src/table/commit/metadata-files.ts";
import {
  type Moved,
  type Pointer,
  PointerCatalog,
  type PointerCatalogDeps,
  type PointerStore,
  refusal,
  tableText,
} from "./pointer-catalog.ts";
import { type SqlDatabase, type SqlDeps, sqlitePath } from "./sql-database.ts";
import { openPostgres } from "./sql-postgres.ts";
import { openSqlite } from "./sql-sqlite.ts";

export interface JdbcCatalogSettings {
  readonly name: string;
  /** postgres://… or sqlite:/path. Holds a password: never shown. */
  readonly uri: string;
  /** Several catalogs may share a database; other clients must say the same. */
  readonly catalogName: string;
}

export interface JdbcCatalogDeps extends PointerCatalogDeps {
  readonly limits: { readonly requestMsMax: number };
  /** For tests, which put faults between. */
  readonly openDatabase?: (uri: string, deps: SqlDeps) => Promise<SqlDatabase>;
}

/** The database is opened, and the tables made, at the first use: one that is down does not stop a broker from starting. */
export function open(settings: JdbcCatalogSettings, deps: JdbcCatalogDeps): Catalog {
  const logger = deps.logger.child({ catalog: settings.name });
  const sql = { clock: deps.runtime.clock, logger, requestMsMax: deps.limits.requestMsMax };
  const openDatabase = deps.openDatabase ?? openSqlDatabase;
  return new PointerCatalog(settings.name, new JdbcPointers(settings, () => openDatabase(settings.uri, sql)), deps);
}

export async function openSqlDatabase(uri: string, deps: SqlDeps): Promise<SqlDatabase> {
  const path = sqlitePath(uri);
  return path === undefined ? await openPostgres(uri, deps) : await openSqlite(path, deps);
}

interface Opened {
  readonly database: SqlDatabase;
  /** Version 1 tells tables from views; databases of older clients do not. */
  readonly hasType: boolean;
}

class JdbcPointers implements PointerStore<Pointer> {
  readonly #settings: JdbcCatalogSettings;
  readonly #openDatabase: () => Promise<SqlDatabase>;
  #opened: Promise<Opened> | undefined;

  constructor(settings: JdbcCatalogSettings, openDatabase: () => Promise<SqlDatabase>) {
    this.#settings = settings;
    this.#openDatabase = openDatabase;
  }

  async find(table: TableName): Promise<Pointer | undefined> {
    const { database, hasType } = await this.#open();
    const type = hasType ? ", iceberg_type" : "";
    const [row] = await database.query(
      `SELECT metadata_location${type} FROM iceberg_tables WHERE ${thisTable}`,
      this.#key(table),
    );
    if (row === undefined) return undefined;
    const location = row["metadata_location"];
    if ((row["iceberg_type"] ?? "TABLE") !== "TABLE" || typeof location !== "string") {
      throw refusal(this.#settings.name, `${tableText(table)} is no table`);
    }
    return { location };
  }

  async makeNamespace(namespace: readonly string[]): Promise<void> {
    const { database } = await this.#open();
    // The one property that every client looks for; a namespace may have others already.
    const values = [this.#settings.catalogName, namespace.join(".")];
    const known = "SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ? LIMIT 1";
    if ((await database.query(known, values)).length > 0) return;
    await database.change(
      "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true') ON CONFLICT DO NOTHING",
      values,
    );
  }

  async insert(table: TableName, next: StoredTable): Promise<Moved> {
    const { database, hasType } = await this.#open();
    const [column, value] = hasType ? [", iceberg_type", ", 'TABLE'"] : ["", ""];
    return await moved(
      database,
      `INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location${column}) VALUES (?, ?, ?, ?${value}) ON CONFLICT DO NOTHING`,
      [...this.#key(table), next.location],
    );
  }

  async move(table: TableName, from: Pointer, next: StoredTable): Promise<Moved> {
    const { database, hasType } = await this.#open();
    const isTable = hasType ? " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" : "";
    return await moved(
      database,
      `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? WHERE ${thisTable} AND metadata_location = ?${isTable}`,
      [next.location, from.location, ...this.#key(table), from.location],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined); // What failed to open needs no closing.
    await opened?.database[Symbol.asyncDispose]();
  }

  #key(table: TableName): readonly [catalog: string, namespace: string, name: string] {
    return [this.#settings.catalogName, table.namespace.join("."), table.name];
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#prepare().catch((cause: unknown) => {
      this.#opened = undefined; // The next use tries again.
      throw cause;
    });
    return this.#opened;
  }

  async #prepare(): Promise<Opened> {
    const database = await this.#openDatabase();
    try {
      await makeTables(database);
      return { database, hasType: await isAnswered(database, "SELECT iceberg_type FROM iceberg_tables LIMIT 0") };
    } catch (cause) {
      await database[Symbol.asyncDispose]();
      throw cause;
    }
  }
}

const thisTable = "catalog_name = ? AND table_namespace = ? AND table_name = ?";

/** As JdbcUtil of Iceberg's Java makes them. A role without the right to create tables can use those that are there. */
async function makeTables(database: SqlDatabase): Promise<void> {
  const name = (column: string): string => `${column} VARCHAR(255) NOT NULL`;
  const tables = {
    iceberg_tables: `${["catalog_name", "table_namespace", "table_name"].map(name).join(", ")}, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name)`,
    iceberg_namespace_properties: `${["catalog_name", "namespace", "property_key"].map(name).join(", ")}, property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key)`,
  };
  for (const [table, columns] of Object.entries(tables)) {
    const probe = `SELECT catalog_name FROM ${table} LIMIT 0`;
    if (await isAnswered(database, probe)) continue;
    try {
      await database.change(`CREATE TABLE IF NOT EXISTS ${table} (${columns})`);
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      await database.query(probe); // Two that make it at once: one fails, and finds the other's.
    }
  }
}

/** Whether the database takes the query; a database that cannot be asked throws. */
async function isAnswered(database: SqlDatabase, probe: string): Promise<boolean> {
  try {
    await database.query(probe);
    return true;
  } catch (cause) {
    if (!(cause instanceof OperationFailed) || cause.happened === "maybe") throw cause;
    await database.query("SELECT 1"); // Throws when it was the database that is not there.
    return false;
  }
}

async function moved(database: SqlDatabase, sql: string, values: readonly string[]): Promise<Moved> {
  try {
    const rows = await database.change(sql, values);
    return rows === 1 ? { kind: "moved" } : { kind: "lost", detail: "the table was changed by somebody else" };
  } catch (cause) {
    if (cause instanceof OperationFailed && cause.happened === "maybe") return { kind: "unknown", cause };
    throw cause;
  }
}
