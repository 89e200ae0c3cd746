/** The embedded REST catalog, listening on a free loopback port, over a warehouse in memory or in a directory. */
import { systemDisk } from "../../src/base/system-disk.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { openHttpServer } from "../../src/server/http.ts";
import { restCatalogErrorWords, restCatalogRoutes } from "../../src/table/rest-server/rest-catalog-server.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { MemoryMetadata } from "./memory-metadata.ts";
import { seededRuntime, silent } from "./seeded.ts";

export interface TestCatalog extends AsyncDisposable {
  readonly url: string;
  readonly root: string;
  readonly warehouse: Warehouse;
}

export async function startRestCatalog(
  options: {
    readonly seed?: number;
    readonly metadata?: MetadataClient;
    /** A directory for a file: warehouse; absent: in memory. */
    readonly directory?: string;
    readonly vended?: ReadonlyMap<string, string>;
    readonly token?: string;
  } = {},
): Promise<TestCatalog> {
  const runtime = seededRuntime(options.seed ?? 1);
  const { directory } = options;
  const root = directory === undefined ? "memory://lake/warehouse" : `file://${directory}`;
  const store =
    directory === undefined
      ? new MemoryObjectStore(runtime)
      : await openLocalObjectStore({ directory, disk: systemDisk, runtime });
  const warehouse = new Warehouse({ mounts: new Map([[root, store]]) });
  const server = await openHttpServer({
    name: "catalog",
    host: "127.0.0.1",
    port: 0,
    hostsAllowed: [],
    bodyBytesMax: 1 << 20,
    connectionsMax: 100,
    requestMsMax: 30_000,
    closeMsMax: 100,
    clock: runtime.clock,
    logger: silent,
    routes: restCatalogRoutes({
      metadata: options.metadata ?? new MemoryMetadata(),
      warehouse,
      root,
      runtime,
      logger: silent,
      limits: { cacheEntriesMax: 100, commitAttemptsMax: 8 },
      fileAccess: new Map(),
      vendedCredentials: options.vended ?? null,
      token: options.token ?? null,
    }),
    errorWords: restCatalogErrorWords,
  });
  return {
    url: server.url,
    root,
    warehouse,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await warehouse[Symbol.asyncDispose]();
    },
  };
}
