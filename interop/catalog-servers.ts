/** Real catalogs of other makers, each on a free loopback port: moto's Glue, Nessie, and Iceberg's own REST server over its JDBC catalog. */
import { join } from "node:path";
import { answers, freePort, start } from "../test/support/processes.ts";
import type { S3Server } from "./s3.ts";
import { icebergRestServer, java, nessieJar, python, versions } from "./tools.ts";

export interface CatalogServer extends AsyncDisposable {
  readonly port: number;
}

export async function startMoto(): Promise<CatalogServer> {
  const bin = await python("moto", [`moto[server,glue,s3]==${versions.moto}`]);
  const port = await freePort();
  // Not by its script, which names the interpreter by where the cache was made.
  const args = ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)];
  const running = await start("moto", join(bin, "python"), args, {
    ready: () => answers(`http://127.0.0.1:${port}/moto-api/`),
  });
  return { port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** Its tables are in the SQLite file as Java's JdbcCatalog keeps them; its files below the warehouse. */
export async function startJavaCatalog(options: {
  readonly database: string;
  readonly warehouse: string;
}): Promise<CatalogServer> {
  const libs = await icebergRestServer();
  const port = await freePort();
  const env = {
    JAVA_TOOL_OPTIONS: "",
    CATALOG_CATALOG__IMPL: "org.apache.iceberg.jdbc.JdbcCatalog",
    CATALOG_URI: `jdbc:sqlite:${options.database}`,
    CATALOG_JDBC_SCHEMA__VERSION: "V1",
    CATALOG_WAREHOUSE: options.warehouse,
    CATALOG_REST_PORT: String(port),
  };
  const args = ["-cp", join(libs, "*"), "org.apache.iceberg.rest.RESTCatalogServer"];
  const running = await start("java-catalog", java(17), args, {
    ready: () => answers(`http://127.0.0.1:${port}/v1/config`),
    env,
  });
  return { port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** Its history is in memory, its tables in the bucket, whose keys it keeps to itself: it signs each request for a file. */
export async function startNessie(options: { readonly s3: S3Server; readonly bucket: string }): Promise<CatalogServer> {
  const { s3, bucket } = options;
  const jar = await nessieJar();
  const [port, managementPort] = [await freePort(), await freePort()];
  const bucketOptions = "nessie.catalog.service.s3.default-options";
  const properties = {
    "quarkus.http.host": "127.0.0.1",
    "quarkus.http.port": port,
    "quarkus.management.port": managementPort,
    "nessie.version.store.type": "IN_MEMORY",
    "nessie.catalog.default-warehouse": "lake",
    "nessie.catalog.warehouses.lake.location": `s3://${bucket}/`,
    [`${bucketOptions}.endpoint`]: s3.endpoint,
    [`${bucketOptions}.region`]: "us-east-1",
    [`${bucketOptions}.path-style-access`]: true,
    [`${bucketOptions}.access-key`]: "urn:nessie-secret:quarkus:bucket",
    "bucket.name": s3.accessKey,
  };
  const flags = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  const running = await start("nessie", java(21), ["-Xmx512m", "-XX:TieredStopAtLevel=1", ...flags, "-jar", jar], {
    ready: () => answers(`http://127.0.0.1:${port}/iceberg/v1/config`),
    env: { BUCKET_SECRET: s3.secretKey },
  });
  return { port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
