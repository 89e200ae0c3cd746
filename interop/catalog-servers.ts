/** Real catalogs of other makers, each on a free loopback port: moto's Glue, and Iceberg's own REST server over its JDBC catalog. */
import { join } from "node:path";
import { answers, freePort, start } from "../test/support/processes.ts";
import { icebergRestServer, java, python, versions } from "./tools.ts";

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
