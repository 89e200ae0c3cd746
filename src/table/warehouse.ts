/**
 * Files by their full URIs, as Iceberg names them: `s3://bucket/…`, `file:///…`. A URI is opaque (rule K3): it is split into
 * a mounted root and a key, and never decoded. What is written is new: names are unique and never reused (K4).
 */
import { posix } from "node:path";
import { OperationFailed } from "../base/errors.ts";
import { uuidRandom } from "../base/ids.ts";
import type { Random } from "../base/runtime.ts";
import type { Body, ByteRange, ObjectInfo, ObjectStore } from "../object-store/object-store.ts";

export interface WarehouseOptions {
  /** Stores by the URI of their root, e.g. "s3://lake/warehouse" or "file:///srv/lake". Disposed of with the warehouse. */
  readonly mounts: ReadonlyMap<string, ObjectStore>;
  /** Opens the store of a bucket ("s3://other") that an external catalog's tables live in. Absent: only mounts exist. */
  readonly open?: (root: string) => Promise<ObjectStore>;
  /** Of a canonical URI: whether it is no table's, whatever a client or a metadata file says, but one of the broker's own objects. */
  readonly isReserved?: (uri: string) => boolean;
}

/** Suffixes of Azure's clouds. */
export const azureClouds = ["core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net"] as const;

/** Reaches files with what a catalog lent for them. */
export interface FileLender {
  /** undefined: nothing was lent for the file. */
  storeOf(uri: string): Promise<{ readonly root: string; readonly store: ObjectStore } | undefined>;
}

export class Warehouse implements AsyncDisposable {
  readonly #mounts: Map<string, ObjectStore>;
  readonly #open: WarehouseOptions["open"];
  readonly #isOwn: (uri: string) => boolean;
  readonly #opening = new Map<string, Promise<ObjectStore>>();
  /** By the directory whose files they reach. */
  readonly #lenders = new Map<string, FileLender>();

  constructor(options: WarehouseOptions) {
    this.#mounts = new Map([...options.mounts].map(([root, store]) => [withoutSlash(canonicalUri(root)), store]));
    this.#open = options.open;
    this.#isOwn = options.isReserved ?? (() => false);
  }

  /** Files in the directories are reached through the lender from now on; of nested directories the innermost counts. */
  lend(directories: readonly string[], lender: FileLender): void {
    for (const directory of directories) this.#lenders.set(withoutSlash(canonicalUri(directory)), lender);
  }

  /** Throws ObjectMissing when there is no such file. */
  async read(uri: string): Promise<Uint8Array> {
    const { store, key } = await this.#resolve(uri);
    return await store.get(key);
  }

  async readRange(uri: string, range: ByteRange): Promise<Uint8Array> {
    const { store, key } = await this.#resolve(uri);
    return await store.get(key, range);
  }

  async readText(uri: string): Promise<string> {
    return Buffer.from(await this.read(uri)).toString("utf8");
  }

  async head(uri: string): Promise<ObjectInfo | undefined> {
    const { store, key } = await this.#resolve(uri);
    return await store.head(key);
  }

  /** Repeating a write under its own name is harmless; somebody else's file is never overwritten. */
  async create(uri: string, body: Body): Promise<"created" | "exists"> {
    const { store, key } = await this.#resolve(uri);
    return (await store.putIfAbsent(key, body)).kind;
  }

  /** Files below a directory, in the order of the store; by canonical URI. */
  async *list(directory: string): AsyncIterable<Omit<ObjectInfo, "key" | "etag"> & { readonly uri: string }> {
    const base = `${withoutSlash(canonicalUri(directory))}/`;
    const { store, key: prefix } = await this.#resolve(base);
    for await (const { key, size, modifiedMs } of store.list(prefix)) {
      yield { uri: `${base}${key.slice(prefix.length)}`, size, modifiedMs };
    }
  }

  async remove(uris: readonly string[]): Promise<void> {
    const keys = new Map<ObjectStore, string[]>();
    for (const uri of uris) {
      const { store, key } = await this.#resolve(uri);
      const known = keys.get(store);
      if (known === undefined) keys.set(store, [key]);
      else known.push(key);
    }
    for (const [store, all] of keys) await store.delete(all);
  }

  /** Whether a file could be at this URI, as far as the URI itself says. */
  reaches(uri: string): boolean {
    const canonical = canonicalUri(uri);
    if (this.#isReserved(canonical)) return false;
    if (innermost(this.#lenders, canonical) !== undefined) return true;
    if ([...this.#mounts.keys()].some((root) => canonical.startsWith(`${root}/`))) return true;
    return this.#open !== undefined && bucketOf(canonical) !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const store of this.#mounts.values()) await store[Symbol.asyncDispose]();
  }

  async #resolve(uri: string): Promise<{ readonly store: ObjectStore; readonly key: string }> {
    const canonical = canonicalUri(uri);
    if (this.#isReserved(canonical)) throw new OperationFailed(`${uri} is no table's`, { happened: "no" });
    const lent = await innermost(this.#lenders, canonical)?.value.storeOf(canonical);
    if (lent !== undefined) return { store: lent.store, key: canonical.slice(lent.root.length + 1) };
    const best = innermost(this.#mounts, canonical);
    if (best !== undefined) return { store: best.value, key: canonical.slice(best.root.length + 1) };
    const bucket = bucketOf(canonical);
    if (this.#open === undefined || bucket === undefined) {
      throw new OperationFailed(`no store is configured for ${uri}`, { happened: "no" });
    }
    return { store: await this.#mount(bucket, this.#open), key: canonical.slice(bucket.length + 1) };
  }

  /** Of the path as it stands, and as what stands between may read it. */
  #isReserved(canonical: string): boolean {
    return this.#isOwn(canonical) || this.#isOwn(normalUri(canonical));
  }

  #mount(bucket: string, open: (root: string) => Promise<ObjectStore>): Promise<ObjectStore> {
    const opening =
      this.#opening.get(bucket) ??
      open(bucket)
        .then((store) => {
          this.#mounts.set(bucket, store);
          return store;
        })
        .finally(() => this.#opening.delete(bucket));
    this.#opening.set(bucket, opening);
    return opening;
  }
}

function innermost<T>(
  roots: ReadonlyMap<string, T>,
  canonical: string,
): { readonly root: string; readonly value: T } | undefined {
  let best: { readonly root: string; readonly value: T } | undefined;
  for (const [root, value] of roots) {
    if (canonical.startsWith(`${root}/`) && root.length >= (best?.root.length ?? 0)) best = { root, value };
  }
  return best;
}

/** `<directory>/<stem>-<uuid><suffix>`: a name that nobody else has or will have. */
export function uniqueUri(directory: string, stem: string, suffix: string, random: Random): string {
  return `${withoutSlash(directory)}/${stem}-${uuidRandom(random)}${suffix}`;
}

/** Where a table goes that says no place of its own. A table dropped and made again under its name does not share a directory. */
export function newTablePlace(
  root: string,
  table: { readonly namespace: readonly string[]; readonly name: string },
  uuid: string,
): string {
  const namespace = table.namespace.map((part) => `/${pathPart(part)}`).join("");
  const above = withoutSlash(withoutSlash(root) + namespace.slice(0, namespaceCharsMax));
  return `${above}/${pathPart(table.name)}-${uuid.slice(0, 8)}`;
}

/** Names may be longer than a file system's 255 bytes and S3's 1,024 for a whole key, below which a table's files still need theirs. */
const partCharsMax = 100;
const namespaceCharsMax = 400;

/** Names become directories: what a URI or a file system would read as something else is replaced (rule K3). */
function pathPart(name: string): string {
  return name
    .slice(0, partCharsMax)
    .replace(/[^A-Za-z0-9_.=-]/g, "_")
    .replace(/^\.+/, "_");
}

/**
 * "s3://other" of a file in it. What a table says of its files comes from clients and from files of others: it may name a bucket, and
 * nothing else that a store's URL can hold (where the bucket is, with which keys), nor a host that is not the cloud's own.
 */
const bucketPattern = new RegExp(
  String.raw`^(?:(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*|abfss://[a-z0-9$-]+@[a-z0-9]+\.dfs\.(?:${azureClouds.join("|").replaceAll(".", "\\.")}))(?=/.)`,
);

function bucketOf(canonical: string): string | undefined {
  return bucketPattern.exec(canonical)?.[0];
}

function normalUri(uri: string): string {
  const [, root, path] = /^([a-z0-9]+:\/\/[^/]*)(\/.*)$/.exec(uri) ?? [];
  return root === undefined || path === undefined ? uri : root + posix.normalize(path);
}

/** Hadoop writes file:/path, names S3 s3a or s3n, and Azure abfs or by its older driver. */
export function canonicalUri(uri: string): string {
  return uri
    .replace(/^s3[an]:\/\//, "s3://")
    .replace(/^file:\/(?!\/)/, "file:///")
    .replace(/^abfs:\/\//, "abfss://")
    .replace(/^wasbs?:\/\/([^@/]+@[^./]+)\.blob\./, "abfss://$1.dfs.");
}

/**
 * Without scheme, bucket and account, which some spellings leave out (az://). Files of two buckets may share it: of use where
 * taking two for one costs nothing but space.
 */
export function pathOf(uri: string): string {
  return canonicalUri(uri).replace(/^[a-z0-9]+:\/\/[^/]*/, "");
}

/** Whether the file lies in the directory, however the two are spelt. */
export function isBelow(uri: string, directory: string): boolean {
  return canonicalUri(uri).startsWith(`${withoutSlash(canonicalUri(directory))}/`);
}

export function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, "");
}
