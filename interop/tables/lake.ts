/** Five catalogs over one directory of files, and how the broker and each engine reach them. */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startJavaCatalog, startMoto } from "../catalog-servers.ts";
import { startHiveMetastore } from "../hive-metastore.ts";
import { startPostgres } from "../postgres.ts";

export const catalogNames = ["embedded", "java", "postgres", "glue", "hms"] as const;
export type CatalogName = (typeof catalogNames)[number];

export type Properties = Readonly<Record<string, string>>;
export type PerCatalog = Readonly<Record<CatalogName, Properties>>;

/** What people call them. */
export const catalogTitles: Readonly<Record<CatalogName, string>> = {
  embedded: "embedded REST",
  java: "REST of another maker",
  postgres: "JDBC, PostgreSQL",
  glue: "Glue (moto)",
  hms: "Hive Metastore",
};

const keys = { accessKeyId: "inlet", secretAccessKey: "of-the-test" };
/** AWS's clients take them from here. */
export const awsEnvironment = {
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
};

export interface Lake extends AsyncDisposable {
  /** A file: URL. */
  readonly root: string;
  /** Of the broker's `lake.catalogs`. */
  readonly inlet: Readonly<Record<CatalogName, object>>;
  /** Given once the broker's own catalog has an address. */
  engines(embedded: string): Readonly<Record<"pyiceberg" | "spark" | "trino" | "flink", PerCatalog>>;
}

export async function startLake(directory: string): Promise<Lake> {
  chmodSync(directory, 0o755); // PostgreSQL runs as somebody else.
  for (const name of ["hms", "lake"]) mkdirSync(join(directory, name));
  const root = pathToFileURL(join(directory, "lake")).href;
  await using opened = new AsyncDisposableStack();
  const postgres = opened.use(await startPostgres({ directory: join(directory, "postgres") }));
  const moto = opened.use(await startMoto());
  // The last that answers the calls of Hive 2, which PyIceberg, Spark and Flink make.
  const hms = opened.use(await startHiveMetastore({ version: "3.1.3", directory: join(directory, "hms") }));
  const java = opened.use(await startJavaCatalog({ database: join(directory, "java.db"), warehouse: `${root}/java` }));
  const at = {
    root,
    postgres: {
      url: postgres.url(),
      jdbc: `jdbc:postgresql://127.0.0.1:${postgres.port}/postgres`,
      password: postgres.password,
    },
    glue: `http://127.0.0.1:${moto.port}`,
    hms: `thrift://127.0.0.1:${hms.port}`,
    java: `http://127.0.0.1:${java.port}`,
  };
  const servers = opened.move();
  return {
    root,
    inlet: inletCatalogs(at),
    engines: (embedded) => ({
      pyiceberg: pyicebergCatalogs(at, embedded),
      spark: javaCatalogs(at, embedded),
      trino: trinoCatalogs(at, embedded),
      flink: javaCatalogs(at, embedded),
    }),
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}

interface Addresses {
  readonly root: string;
  readonly postgres: { readonly url: string; readonly jdbc: string; readonly password: string };
  readonly glue: string;
  readonly hms: string;
  readonly java: string;
}

function inletCatalogs({ postgres, glue, hms, java }: Addresses): Lake["inlet"] {
  const credentials = { access_key: keys.accessKeyId, secret_key: keys.secretAccessKey };
  return {
    embedded: { type: "embedded" },
    java: { type: "rest", uri: java },
    postgres: { type: "jdbc", uri: postgres.url, catalog_name: "postgres" },
    glue: { type: "glue", region: "us-east-1", endpoint: glue, credentials },
    hms: { type: "hms", uri: hms },
  };
}

function pyicebergCatalogs({ postgres, glue, hms, java }: Addresses, embedded: string): PerCatalog {
  return {
    embedded: { type: "rest", uri: embedded, warehouse: "embedded" },
    java: { type: "rest", uri: java },
    postgres: { type: "sql", uri: postgres.url.replace("postgres://", "postgresql+psycopg2://") },
    glue: {
      type: "glue",
      "glue.endpoint": glue,
      "glue.region": "us-east-1",
      "glue.access-key-id": keys.accessKeyId,
      "glue.secret-access-key": keys.secretAccessKey,
    },
    hms: { type: "hive", uri: hms },
  };
}

/** Of Iceberg's Java library, which Spark and Flink use. */
function javaCatalogs({ root, postgres, glue, hms, java }: Addresses, embedded: string): PerCatalog {
  const files = { "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO" };
  return {
    embedded: { type: "rest", uri: embedded, warehouse: "embedded", ...files },
    java: { type: "rest", uri: java, ...files },
    postgres: {
      "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
      uri: postgres.jdbc,
      "jdbc.user": "inlet",
      "jdbc.password": postgres.password,
      "jdbc.schema-version": "V1",
      warehouse: root,
      ...files,
    },
    glue: {
      "catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
      "glue.endpoint": glue,
      "client.region": "us-east-1",
      warehouse: root,
      ...files,
    },
    hms: { type: "hive", uri: hms, warehouse: root, ...files },
  };
}

function trinoCatalogs({ root, postgres, glue, hms, java }: Addresses, embedded: string): PerCatalog {
  const all = { "connector.name": "iceberg", "fs.hadoop.enabled": "true" };
  return {
    embedded: {
      ...all,
      "iceberg.catalog.type": "rest",
      "iceberg.rest-catalog.uri": embedded,
      "iceberg.rest-catalog.warehouse": "embedded",
    },
    java: { ...all, "iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": java },
    postgres: {
      ...all,
      "iceberg.catalog.type": "jdbc",
      "iceberg.jdbc-catalog.catalog-name": "postgres",
      "iceberg.jdbc-catalog.driver-class": "org.postgresql.Driver",
      "iceberg.jdbc-catalog.connection-url": postgres.jdbc,
      "iceberg.jdbc-catalog.connection-user": "inlet",
      "iceberg.jdbc-catalog.connection-password": postgres.password,
      "iceberg.jdbc-catalog.default-warehouse-dir": root,
    },
    glue: {
      ...all,
      "iceberg.catalog.type": "glue",
      "hive.metastore.glue.region": "us-east-1",
      "hive.metastore.glue.endpoint-url": glue,
      "hive.metastore.glue.aws-access-key": keys.accessKeyId,
      "hive.metastore.glue.aws-secret-key": keys.secretAccessKey,
      "hive.metastore.glue.default-warehouse-dir": root,
    },
    hms: { ...all, "iceberg.catalog.type": "hive_metastore", "hive.metastore.uri": hms },
  };
}
