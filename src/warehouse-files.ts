/** Where the tables' files live, derived from the object store unless the settings name another place. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Settings } from "../schemas/config.ts";
import type { BucketAccess } from "./base/lent-access.ts";
import type { ObjectStore } from "./object-store/object-store.ts";
import { type ObjectStoreDeps, openObjectStore } from "./object-store/open.ts";
import { openLentBucket } from "./object-store/s3-lent.ts";
import { parseStoreUrl } from "./object-store/store-url.ts";
import { azureClouds, canonicalUri, Warehouse, withoutSlash } from "./table/warehouse.ts";

export interface WarehouseFiles {
  readonly files: Warehouse;
  /** URI under which the embedded catalog places new tables, without credentials or parameters. */
  readonly root: string;
  /** What engines must know to reach the files, keys left out. */
  readonly fileAccess: ReadonlyMap<string, string>;
  /** Opens a bucket that a catalog lends access to. */
  readonly openBucket: (access: BucketAccess) => Promise<ObjectStore>;
}

/** `storeUrl` is the object store's, with its parameters. Disposing of the warehouse closes what is opened here. */
export async function openWarehouse(options: {
  readonly settings: Settings;
  readonly storeUrl: string;
  readonly storeDeps: ObjectStoreDeps;
}): Promise<WarehouseFiles> {
  const { settings, storeUrl, storeDeps } = options;
  const url = settings.catalogWarehouse || defaultWarehouse(storeUrl, settings.dataDirectory);
  const { search, searchParams } = new URL(storeUrl);
  const root = new URL(url);
  const isOfStore = root.search === "" && root.protocol === new URL(storeUrl).protocol; // Then its keys reach it too.
  const parameters = isOfStore ? search : root.search;
  root.search = "";
  const rootUri = root.href.replace(/\/$/, "");
  const open = async (uri: string): Promise<ObjectStore> =>
    await openObjectStore(uri.startsWith(root.protocol) ? uri + parameters : uri, storeDeps);
  return {
    files: new Warehouse({
      mounts: new Map([[rootUri, await open(rootUri)]]),
      open,
      isReserved: ownObjects(storeUrl),
    }),
    root: rootUri,
    fileAccess: root.protocol === "s3:" ? s3Access(searchParams) : new Map(),
    openBucket: (access) => openLentBucket(access, storeDeps),
  };
}

/**
 * The log's objects, its WAL, the metadata: what the cluster cannot do without. And what it knows of each table, by the table's
 * id: who could write there could prove what they like. The rest of "tables/" may be a warehouse.
 */
const ownPath = /^(?:objects|wal|meta|tables\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/|$)/;

function ownObjects(storeUrl: string): (uri: string) => boolean {
  const roots = storeRoots(storeUrl).map((root) => `${withoutSlash(canonicalUri(root))}/`);
  return (uri) => roots.some((root) => uri.startsWith(root) && ownPath.test(uri.slice(root.length)));
}

/** However the store may be spelt. */
function storeRoots(storeUrl: string): readonly string[] {
  const place = parseStoreUrl(storeUrl);
  if (place.kind === "memory") return [];
  if (place.kind === "directory") return [pathToFileURL(place.directory).href];
  if (place.kind !== "azure") return [place.url];
  const below = place.prefix === "" ? "" : `/${place.prefix}`;
  const full = azureClouds.map((cloud) => `abfss://${place.bucket}@${place.account}.dfs.${cloud}${below}`);
  return [place.url, `az://${place.bucket}${below}`, ...full];
}

function defaultWarehouse(storeUrl: string, dataDirectory: string): string {
  const url = new URL(storeUrl);
  if (["file:", "memory:", "mem:"].includes(url.protocol)) return pathToFileURL(join(dataDirectory, "warehouse")).href;
  url.search = "";
  return `${url.href.replace(/\/$/, "")}/warehouse`;
}

/** Ours, and those of Iceberg's S3 file IO. */
const encryptionNames: ReadonlyMap<string, string> = new Map([
  ["s3", "s3"],
  ["kms", "kms"],
  ["customer", "custom"],
]);

/** In the words of Iceberg's S3 file IO. */
function s3Access(parameters: URLSearchParams): ReadonlyMap<string, string> {
  const named = [
    ["s3.endpoint", parameters.get("endpoint")],
    ["s3.path-style-access", parameters.get("pathStyle")],
    ["client.region", parameters.get("region")],
    ["s3.region", parameters.get("region")],
    ["s3.sse.type", encryptionNames.get(parameters.get("sse") ?? "") ?? null],
    ["s3.sse.key", parameters.get("sseKmsKey")],
  ] as const;
  return new Map(named.filter((entry): entry is readonly [(typeof entry)[0], string] => entry[1] !== null));
}
