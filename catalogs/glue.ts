/**
 * AWS Glue as an Iceberg catalog: a table whose parameters name the current metadata file, moved under Glue's own optimistic
 * lock, the version of the table as it was read (rules J12, J13). Names are lower case, as Athena wants them.
 *
 * The SDK repeats nothing: a repeat of an update that had happened is refused as a concurrent one, which reads like a lost race.
 */
import type * as GlueSdk from "@aws-sdk/client-glue";
import type { Column, GlueClient, Table, TableInput } from "@aws-sdk/client-glue";
import { OperationFailed } from "../src/base/errors.ts";
import type { Catalog, TableName } from "../src/table/catalog.ts";
import type { StoredTable } from "../src/table/commit/metadata-files.ts";
import { type AwsCredentials, keysProvider } from "./aws.ts";
import { type HiveColumn, hiveColumns } from "./hive-columns.ts";
import { glueComment } from "./hive-comment.ts";
import { isGlueName } from "./hive-names.ts";
import {
  type Moved,
  type Pointer,
  PointerCatalog,
  type PointerCatalogDeps,
  type PointerStore,
  refusal,
  tableText,
} from "./pointer-catalog.ts";

export interface GlueCatalogSettings {
  readonly name: string;
  /** null: as the SDK finds it. */
  readonly region: string | null;
  readonly endpoint: string | null;
  /** The account whose catalog it is; null: that of the credentials. */
  readonly catalogId: string | null;
  readonly credentials: AwsCredentials;
}

export interface GlueCatalogDeps extends PointerCatalogDeps {
  readonly limits: { readonly requestMsMax: number };
}

export function open(settings: GlueCatalogSettings, deps: GlueCatalogDeps): Catalog {
  return new PointerCatalog(settings.name, new GluePointers(settings, deps.limits.requestMsMax), deps);
}

interface GluePointer extends Pointer {
  readonly table: Table;
}

interface Connection {
  readonly sdk: typeof GlueSdk;
  readonly client: GlueClient;
}

class GluePointers implements PointerStore<GluePointer> {
  readonly #settings: GlueCatalogSettings;
  readonly #requestMsMax: number;
  #connection: Promise<Connection> | undefined;

  constructor(settings: GlueCatalogSettings, requestMsMax: number) {
    this.#settings = settings;
    this.#requestMsMax = requestMsMax;
  }

  async find(name: TableName): Promise<GluePointer | undefined> {
    const { sdk, client } = await this.#connect();
    const table = await this.#ask(`reading ${tableText(name)}`, ["EntityNotFoundException"], async () => {
      const { database, table: Name } = this.#names(name);
      const answer = await client.send(new sdk.GetTableCommand({ ...this.#account(), DatabaseName: database, Name }));
      return answer.Table;
    });
    if (table === undefined) return undefined;
    const { table_type: type, metadata_location: location } = table.Parameters ?? {};
    if (type?.toUpperCase() !== "ICEBERG" || location === undefined) {
      throw refusal(this.#settings.name, `${tableText(name)} is no Iceberg table`);
    }
    return { location, table };
  }

  async makeNamespace(namespace: readonly string[]): Promise<void> {
    const { sdk, client } = await this.#connect();
    const [Name = ""] = namespace;
    const what = `database ${Name}`;
    const found = await this.#ask(`reading ${what}`, ["EntityNotFoundException"], async () => {
      return await client.send(new sdk.GetDatabaseCommand({ ...this.#account(), Name }));
    });
    if (found !== undefined) return;
    // Somebody else may be faster, which is as good.
    await this.#ask(`making ${what}`, ["AlreadyExistsException"], async () => {
      return await client.send(new sdk.CreateDatabaseCommand({ ...this.#account(), DatabaseInput: { Name } }));
    });
  }

  async insert(name: TableName, next: StoredTable): Promise<Moved> {
    const { sdk, client } = await this.#connect();
    const { database } = this.#names(name);
    const TableInput = tableInput(name, undefined, next);
    return await this.#move(`creating ${tableText(name)}`, async () => {
      await client.send(new sdk.CreateTableCommand({ ...this.#account(), DatabaseName: database, TableInput }));
    });
  }

  async move(name: TableName, from: GluePointer, next: StoredTable): Promise<Moved> {
    const { sdk, client } = await this.#connect();
    const { VersionId } = from.table;
    if (VersionId === undefined) throw refusal(this.#settings.name, `${tableText(name)} has no version to lock by`);
    const { database } = this.#names(name);
    const TableInput = tableInput(name, from, next);
    const request = { ...this.#account(), DatabaseName: database, TableInput, VersionId, SkipArchive: true };
    return await this.#move(`committing to ${tableText(name)}`, async () => {
      await client.send(new sdk.UpdateTableCommand(request));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined); // What failed to open needs no closing.
    connection?.client.destroy();
  }

  #account(): { readonly CatalogId?: string } {
    const { catalogId } = this.#settings;
    return catalogId === null ? {} : { CatalogId: catalogId };
  }

  #names({ namespace, name }: TableName): { readonly database: string; readonly table: string } {
    const [database] = namespace;
    if (database === undefined || namespace.length !== 1 || !isGlueName(database) || !isGlueName(name)) {
      const rule = "a database and a table of lower-case letters, digits and underscores";
      throw refusal(this.#settings.name, `${[...namespace, name].join(".")} is not ${rule}`);
    }
    return { database, table: name };
  }

  /** A read, or a write that may as well be there already; undefined for the exceptions that are expected. */
  async #ask<T>(what: string, expected: readonly string[], request: () => Promise<T>): Promise<T | undefined> {
    try {
      return await request();
    } catch (cause) {
      if (cause instanceof Error && expected.includes(cause.name)) return undefined;
      throw new OperationFailed(`catalog ${this.#settings.name}: ${what}: ${textOf(cause)}`, { happened: "no" });
    }
  }

  async #move(what: string, request: () => Promise<void>): Promise<Moved> {
    try {
      await request();
      return { kind: "moved" };
    } catch (cause) {
      const text = `catalog ${this.#settings.name}: ${what}: ${textOf(cause)}`;
      if (cause instanceof Error && lostRaces.has(cause.name)) return { kind: "lost", detail: text };
      if (didNotHappen(cause)) throw new OperationFailed(text, { happened: "no" });
      return { kind: "unknown", cause: new OperationFailed(text, { happened: "maybe" }) };
    }
  }

  #connect(): Promise<Connection> {
    this.#connection ??= this.#open().catch((cause: unknown) => {
      this.#connection = undefined; // The next use tries again.
      throw cause;
    });
    return this.#connection;
  }

  async #open(): Promise<Connection> {
    const { region, endpoint, credentials } = this.#settings;
    const sdk = await import("@aws-sdk/client-glue");
    const client = new sdk.GlueClient({
      ...(region === null ? {} : { region }),
      ...(endpoint === null ? {} : { endpoint }),
      credentials: await keysProvider(credentials),
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: this.#requestMsMax,
        requestTimeout: this.#requestMsMax,
        throwOnRequestTimeout: true,
      },
    });
    return { sdk, client };
  }
}

const lostRaces: ReadonlySet<string> = new Set([
  "ConcurrentModificationException",
  "AlreadyExistsException",
  "EntityNotFoundException", // Dropped meanwhile: the caller loads again and finds out.
]);

/**
 * Rule J2: Glue's own refusals, of a request that was sent once. Its timeouts are refusals in form only, and an answer that is
 * not in its words (a SyntaxError) is somebody else's, who may have passed the request on.
 */
function didNotHappen(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  if (cause.name === "CredentialsProviderError") return true; // Nothing was sent.
  const { $metadata } = cause as { readonly $metadata?: { readonly httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  return status >= 400 && status < 500 && !/Timeout|^SyntaxError$/.test(cause.name);
}

/** What others put there stays: parameters, owner, description, comments of columns. */
function tableInput(name: TableName, from: GluePointer | undefined, next: StoredTable): TableInput {
  const { metadata, location } = next;
  const before = from?.table;
  const previous = from === undefined ? {} : { previous_metadata_location: from.location };
  const comments = new Map(before?.StorageDescriptor?.Columns?.map((column) => [column.Name, column.Comment]));
  return {
    ...kept(before),
    Name: name.name,
    TableType: "EXTERNAL_TABLE",
    Parameters: { ...before?.Parameters, table_type: "ICEBERG", metadata_location: location, ...previous },
    StorageDescriptor: {
      ...before?.StorageDescriptor,
      Location: metadata.location,
      Columns: hiveColumns(metadata, "glue").map((column) => glueColumn(column, comments.get(column.field.name))),
    },
  };
}

/** Of a table as it is read, what an update takes; fields that are left out would be cleared. */
function kept(before: Table | undefined): Partial<TableInput> {
  const { Description, Owner, Retention, PartitionKeys, LastAccessTime, LastAnalyzedTime } = before ?? {};
  const all = { Description, Owner, Retention, PartitionKeys, LastAccessTime, LastAnalyzedTime };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function glueColumn({ field, type, isCurrent }: HiveColumn, before: string | undefined): Column {
  const comment = field.doc ?? before;
  return {
    Name: field.name,
    Type: type,
    ...(comment === undefined ? {} : { Comment: glueComment(comment) }),
    Parameters: {
      "iceberg.field.id": String(field.id),
      "iceberg.field.optional": String(!field.required),
      "iceberg.field.current": String(isCurrent),
    },
  };
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
}
