/** From a URL to a store, with retries and measurements around it. */
import type { BackoffLimits } from "../base/async.ts";
import type { Disk } from "../base/disk.ts";
import type { Runtime } from "../base/runtime.ts";
import { openAzureObjectStore } from "./azure.ts";
import { openGcsObjectStore } from "./gcs.ts";
import { openLocalObjectStore } from "./local.ts";
import { measured, type ObjectStoreMetrics } from "./measured.ts";
import { MemoryObjectStore } from "./memory.ts";
import type { ObjectStore, StoreLimits } from "./object-store.ts";
import { RetryingObjectStore } from "./retrying.ts";
import { openS3ObjectStore } from "./s3.ts";
import { parseStoreUrl, type StorePlace } from "./store-url.ts";

export interface ObjectStoreDeps {
  readonly runtime: Runtime;
  readonly disk: Disk;
  readonly limits: StoreLimits & { readonly retry: BackoffLimits };
  /** Counts what really goes out, retries one by one; undefined: nothing is counted. */
  readonly metrics: ObjectStoreMetrics | undefined;
}

/** The URL may hold credentials: it is never put into an error. */
export async function openObjectStore(url: string, deps: ObjectStoreDeps): Promise<ObjectStore> {
  const plain = await openPlain(parseStoreUrl(url), deps);
  const counted = deps.metrics === undefined ? plain : measured(plain, deps.runtime.clock, deps.metrics);
  return new RetryingObjectStore(counted, { runtime: deps.runtime, limits: deps.limits.retry });
}

async function openPlain(place: StorePlace, { runtime, disk, limits }: ObjectStoreDeps): Promise<ObjectStore> {
  const network = { clock: runtime.clock, limits };
  switch (place.kind) {
    case "memory":
      return new MemoryObjectStore(runtime);
    case "directory":
      return await openLocalObjectStore({ directory: place.directory, disk, runtime });
    case "s3":
      return await openS3ObjectStore(place, network);
    case "gcs":
      return await openGcsObjectStore(place, network);
    case "azure":
      return await openAzureObjectStore(place, { ...network, random: runtime.random });
  }
}
