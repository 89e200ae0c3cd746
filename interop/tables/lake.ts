/** Five kinds of catalogs over one directory of files, and how the broker and each engine reach them. */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startJavaCatalog, startMoto } from "../catalog-servers.ts";
import { startHiveMetastore } from "../hive-metastore.ts";
import { startPostgres } from "../postgres.ts";

export const catalogNames = ["embedded", "java", "postgres", "glue", "hms"] as const;
export type CatalogName = (typeof catalogNames)[number];

type Properties = Readonly<Record<string, string>>;
type PerCatalog = Readonly<Record<string, Properties>>;

/** One catalog in the words of each: of the broker's file, of PyIceberg, of Iceberg's Java library in Spark and Flink, of Trino. */
interface Reach {
  readonly inlet: object;
  readonly pyiceberg: Properties;
  readonly java: Properties;
  readonly trino: Properties;
}

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
  /** The broker's `lake.catalogs`. */
  readonly inlet: Readonly<Record<string, object>>;
  /** Given once the broker's own catalog has an address. */
  engines(embedded: string): Readonly<Record<"pyiceberg" | "spark" | "trino" | "flink", PerCatalog>>;
}

/** The broker's own catalog, and servers of those others that are wanted. */
export async function startLake(directory: string, wanted: readonly CatalogName[] = catalogNames): Promise<Lake> {
  chmodSync(directory, 0o755); // PostgreSQL runs as somebody else.
  mkdirSync(join(directory, "lake"));
  const root = pathToFileURL(join(directory, "lake")).href;
  await using opened = new AsyncDisposableStack();
  const reaches = new Map<string, Reach>();
  for (const name of wanted) {
    const start = servers[name];
    if (start !== undefined) reaches.set(name, await start({ directory, root, opened }));
  }
  const ended = opened.move();
  return {
    root,
    inlet: { embedded: { type: "embedded" }, ...pick(reaches, "inlet") },
    engines(embedded) {
      const all = new Map([["embedded", embeddedReach(embedded)], ...reaches]);
      const java = pick(all, "java");
      return { pyiceberg: pick(all, "pyiceberg"), spark: java, flink: java, trino: pick(all, "trino") };
    },
    [Symbol.asyncDispose]: () => ended[Symbol.asyncDispose](),
  };
}

function pick<K extends keyof Reach>(reaches: ReadonlyMap<string, Reach>, who: K): Readonly<Record<string, Reach[K]>> {
  return Object.fromEntries([...reaches].map(([name, reach]) => [name, reach[who]]));
}

/** Files are opened by Hadoop, which knows file: URLs. */
const javaFiles = { "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO" };
const trinoFiles = { "connector.name": "iceberg", "fs.hadoop.enabled": "true" };

function embeddedReach(uri: string): Reach {
  return {
    inlet: { type: "embedded" },
    pyiceberg: { type: "rest", uri, warehouse: "embedded" },
    java: { type: "rest", uri, warehouse: "embedded", ...javaFiles },
    trino: {
      ...trinoFiles,
      "iceberg.catalog.type": "rest",
      "iceberg.rest-catalog.uri": uri,
      "iceberg.rest-catalog.warehouse": "embedded",
    },
  };
}

type Start = (options: {
  readonly directory: string;
  readonly root: string;
  readonly opened: AsyncDisposableStack;
}) => Promise<Reach>;

const servers: Readonly<Partial<Record<CatalogName, Start>>> = {
  async java({ directory, root, opened }) {
    const database = join(directory, "java.db");
    const { port } = opened.use(await startJavaCatalog({ database, warehouse: `${root}/java` }));
    const uri = `http://127.0.0.1:${port}`;
    return {
      inlet: { type: "rest", uri },
      pyiceberg: { type: "rest", uri },
      java: { type: "rest", uri, ...javaFiles },
      trino: { ...trinoFiles, "iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": uri },
    };
  },

  async postgres({ directory, root, opened }) {
    const server = opened.use(await startPostgres({ directory: join(directory, "postgres") }));
    const jdbc = `jdbc:postgresql://127.0.0.1:${server.port}/postgres`;
    return {
      inlet: { type: "jdbc", uri: server.url(), catalog_name: "postgres" },
      pyiceberg: { type: "sql", uri: server.url().replace("postgres://", "postgresql+psycopg2://") },
      java: {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        uri: jdbc,
        "jdbc.user": "inlet",
        "jdbc.password": server.password,
        "jdbc.schema-version": "V1",
        warehouse: root,
        ...javaFiles,
      },
      trino: {
        ...trinoFiles,
        "iceberg.catalog.type": "jdbc",
        "iceberg.jdbc-catalog.catalog-name": "postgres",
        "iceberg.jdbc-catalog.driver-class": "org.postgresql.Driver",
        "iceberg.jdbc-catalog.connection-url": jdbc,
        "iceberg.jdbc-catalog.connection-user": "inlet",
        "iceberg.jdbc-catalog.connection-password": server.password,
        "iceberg.jdbc-catalog.default-warehouse-dir": root,
      },
    };
  },

  async glue({ root, opened }) {
    const { port } = opened.use(await startMoto());
    const endpoint = `http://127.0.0.1:${port}`;
    const credentials = { access_key: keys.accessKeyId, secret_key: keys.secretAccessKey };
    return {
      inlet: { type: "glue", region: "us-east-1", endpoint, credentials },
      pyiceberg: {
        type: "glue",
        "glue.endpoint": endpoint,
        "glue.region": "us-east-1",
        "glue.access-key-id": keys.accessKeyId,
        "glue.secret-access-key": keys.secretAccessKey,
      },
      java: {
        "catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
        "glue.endpoint": endpoint,
        "client.region": "us-east-1",
        warehouse: root,
        ...javaFiles,
      },
      trino: {
        ...trinoFiles,
        "iceberg.catalog.type": "glue",
        "hive.metastore.glue.region": "us-east-1",
        "hive.metastore.glue.endpoint-url": endpoint,
        "hive.metastore.glue.aws-access-key": keys.accessKeyId,
        "hive.metastore.glue.aws-secret-key": keys.secretAccessKey,
        "hive.metastore.glue.default-warehouse-dir": root,
      },
    };
  },

  /** The last version that answers the calls of Hive 2, which PyIceberg, Spark and Flink make. */
  async hms({ directory, root, opened }) {
    mkdirSync(join(directory, "hms"));
    const { port } = opened.use(await startHiveMetastore({ version: "3.1.3", directory: join(directory, "hms") }));
    const uri = `thrift://127.0.0.1:${port}`;
    return {
      inlet: { type: "hms", uri },
      pyiceberg: { type: "hive", uri },
      java: { type: "hive", uri, warehouse: root, ...javaFiles },
      trino: { ...trinoFiles, "iceberg.catalog.type": "hive_metastore", "hive.metastore.uri": uri },
    };
  },
};
