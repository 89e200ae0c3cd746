/** A real Trino server and a way to ask it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answers, freePort, start } from "../test/support/processes.ts";
import { java, trinoHome } from "./tools.ts";

export interface Trino extends AsyncDisposable {
  /** host:port */
  readonly address: string;
  /** Runs one statement to its end; rows as Trino's JSON gives them. Throws with Trino's message when it fails. */
  query(sql: string): Promise<readonly (readonly unknown[])[]>;
}

/** The embedded catalog, whose warehouse is a bucket of this server. */
export function restCatalogOnS3(
  uri: string,
  s3: { readonly endpoint: string; readonly accessKey: string; readonly secretKey: string },
): Readonly<Record<string, string>> {
  return {
    "connector.name": "iceberg",
    "iceberg.catalog.type": "rest",
    "iceberg.rest-catalog.uri": uri,
    "iceberg.rest-catalog.warehouse": "main",
    "fs.native-s3.enabled": "true",
    "s3.endpoint": s3.endpoint,
    "s3.region": "us-east-1",
    "s3.path-style-access": "true",
    "s3.aws-access-key": s3.accessKey,
    "s3.aws-secret-key": s3.secretKey,
  };
}

/** Catalogs by name, each with the lines of its properties file. */
export async function startTrino(options: {
  readonly directory: string;
  readonly catalogs: Readonly<Record<string, Readonly<Record<string, string>>>>;
}): Promise<Trino> {
  const home = await trinoHome();
  const port = await freePort();
  const etc = join(options.directory, "etc");
  mkdirSync(join(etc, "catalog"), { recursive: true });
  const properties = (values: Readonly<Record<string, string>>): string =>
    Object.entries(values)
      .map(([key, value]) => `${key}=${value}\n`)
      .join("");
  writeFileSync(
    join(etc, "config.properties"),
    properties({
      coordinator: "true",
      "node-scheduler.include-coordinator": "true",
      "http-server.http.port": String(port),
      "discovery.uri": `http://127.0.0.1:${port}`,
      "query.max-memory": "512MB",
      "catalog.management": "static",
    }),
  );
  writeFileSync(
    join(etc, "node.properties"),
    properties({
      "node.environment": "test",
      "node.id": "trino-1",
      "node.data-dir": join(options.directory, "data"),
      "plugin.dir": join(home, "plugin"),
    }),
  );
  for (const [name, values] of Object.entries({ ...options.catalogs, tpch: { "connector.name": "tpch" } }))
    writeFileSync(join(etc, "catalog", `${name}.properties`), properties(values));

  const running = await start(
    "trino",
    java(24),
    [
      "-Xmx2g",
      "-XX:+UseG1GC",
      "-Djdk.attach.allowAttachSelf=true",
      "--add-modules=jdk.incubator.vector",
      "--sun-misc-unsafe-memory-access=allow",
      "--enable-native-access=ALL-UNNAMED",
      `-Dnode.environment=test`,
      `-Dconfig=${join(etc, "config.properties")}`,
      `-Dnode.id=trino-1`,
      `-Dnode.data-dir=${join(options.directory, "data")}`,
      `-Dplugin.dir=${join(home, "plugin")}`,
      `-Dcatalog.config-dir=${join(etc, "catalog")}`,
      "-cp",
      join(home, "lib", "*"),
      "io.trino.server.TrinoServer",
    ],
    {
      cwd: options.directory,
      ready: async (output) => output.includes("SERVER STARTED") && (await answers(`http://127.0.0.1:${port}/v1/info`)),
      timeoutMs: 600_000, // It reads as much as a gigabyte of classes, catalog by catalog.
    },
  );
  const server = `http://127.0.0.1:${port}`;
  await hasNodes(server);
  return {
    address: `127.0.0.1:${port}`,
    query: (sql) => query(server, sql),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** The server says that it is up a moment before it has found itself as a worker. */
async function hasNodes(server: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await query(server, "SELECT count(*) FROM tpch.tiny.nation"); // A scan: it needs a worker, not just a coordinator.
      return;
    } catch (cause) {
      if (attempt === 100 || !String(cause).includes("NO_NODES_AVAILABLE")) throw cause;
      await new Promise((resume) => setTimeout(resume, 200));
    }
  }
}

interface StatementPage {
  readonly nextUri?: string;
  readonly data?: readonly (readonly unknown[])[];
  readonly error?: { readonly message: string; readonly errorName: string };
}

/** Trino's client protocol: a POST, then pages by nextUri until there is none. */
async function query(server: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  const rows: (readonly unknown[])[] = [];
  let page = (await (
    await fetch(`${server}/v1/statement`, { method: "POST", body: sql, headers: { "X-Trino-User": "interop" } })
  ).json()) as StatementPage;
  for (;;) {
    if (page.error !== undefined) throw new Error(`Trino: ${page.error.errorName}: ${page.error.message}\n${sql}`);
    rows.push(...(page.data ?? []));
    if (page.nextUri === undefined) return rows;
    page = (await (await fetch(page.nextUri)).json()) as StatementPage;
  }
}
