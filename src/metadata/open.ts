/** From a setting to a metadata log: PostgreSQL, a bucket, or a directory of this machine. */
import { fileURLToPath } from "node:url";
import { OperationFailed } from "../base/errors.ts";
import type { Logger } from "../base/telemetry.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { ObjectStoreDeps } from "../object-store/open.ts";
import { openObjectStore } from "../object-store/open.ts";
import { requireConditionalWrites } from "../object-store/probe.ts";
import type { Beginning, CasLog } from "./cas-log.ts";
import { beginFileLog, openFileLog } from "./file-log.ts";
import { openObjectLog } from "./object-log.ts";
import { isPostgresUrl } from "./postgres-address.ts";
import { openPostgresLog } from "./postgres-log.ts";
import type { SlotLog } from "./slot-log.ts";

export interface MetadataLogDeps {
  /** What `metadata.url` says; it may hold credentials. */
  readonly url: string;
  /** Of a log that `url` does not place elsewhere. */
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly requestMsMax: number;
  /** The bucket of the data, with retries, known to honour conditional writes. Not closed with the log. */
  readonly store: ObjectStore;
  readonly storeDeps: ObjectStoreDeps;
  readonly logger: Logger;
}

/** The setting for a log in the bucket of the data: that bucket needs no copy of it. */
export const inDataBucket = "bucket";

/** Throws OperationFailed when the place cannot hold a metadata log. */
export async function openMetadataLog(deps: MetadataLogDeps): Promise<CasLog> {
  const shared = await openShared(deps);
  return shared ?? (await openFileLog(fileLogOptions(deps)));
}

/** Makes a new log that begins in the middle, for a cluster that was rebuilt. Throws LogNotEmpty. */
export async function beginMetadataLog(deps: MetadataLogDeps, beginning: Beginning): Promise<void> {
  const shared = await openShared(deps);
  if (shared === undefined) return await beginFileLog(fileLogOptions(deps), beginning);
  await using log = shared;
  await log.begin(beginning);
}

/** Where a log in files lives; undefined when it lives elsewhere. */
export function metadataDirectoryOf(deps: MetadataLogDeps): string | undefined {
  const isElsewhere = isPostgresUrl(deps.url) || deps.url === inDataBucket || isBucketUrl(deps.url);
  return isElsewhere ? undefined : directoryOf(deps);
}

export function isBucketUrl(url: string): boolean {
  return /^(s3|gs|az|abfss):/.test(url);
}

/** A log that several nodes can share; undefined for one in files. */
async function openShared({ url, ...deps }: MetadataLogDeps): Promise<SlotLog | undefined> {
  if (isPostgresUrl(url)) return await openPostgresLog({ url, ...deps });
  if (url === inDataBucket) return openObjectLog({ store: deps.store });
  if (!isBucketUrl(url)) return undefined;
  const store = await openObjectStore(url, deps.storeDeps);
  try {
    await requireConditionalWrites(store, deps.storeDeps.runtime.random);
  } catch (cause) {
    await store[Symbol.asyncDispose]();
    throw cause;
  }
  return openObjectLog({ store, closesStore: true });
}

function fileLogOptions(deps: MetadataLogDeps): Parameters<typeof openFileLog>[0] {
  return { directory: directoryOf(deps), disk: deps.storeDeps.disk, segmentBytesMax: deps.segmentBytesMax };
}

function directoryOf({ url, directory }: MetadataLogDeps): string {
  if (url === "") return directory;
  if (url.startsWith("file:")) return fileURLToPath(url);
  if (/^[a-z][a-z0-9+.-]+:/i.test(url))
    throw new OperationFailed(
      `metadata.url is postgres://.., a bucket's URL, ${inDataBucket} or a directory; it begins with ${url.slice(0, url.indexOf(":"))}:`,
      { happened: "no" },
    );
  return url;
}
