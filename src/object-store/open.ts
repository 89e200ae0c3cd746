/** From a URL to a store: s3://bucket/prefix?region=..&endpoint=..&pathStyle=true, file:///directory, memory://. */
import type { BackoffLimits } from "../base/async.ts";
import type { Disk } from "../base/disk.ts";
import type { Runtime } from "../base/runtime.ts";
import { openLocalObjectStore } from "./local.ts";
import { measured, type ObjectStoreMetrics } from "./measured.ts";
import { MemoryObjectStore } from "./memory.ts";
import { type ObjectStore, StoreFailed } from "./object-store.ts";
import { RetryingObjectStore } from "./retrying.ts";
import { openS3ObjectStore, type S3Limits, type S3Options } from "./s3.ts";

export interface ObjectStoreDeps {
  readonly runtime: Runtime;
  readonly disk: Disk;
  readonly limits: S3Limits & { readonly retry: BackoffLimits };
  /** Counts what really goes out, retries one by one; undefined: nothing is counted. */
  readonly metrics: ObjectStoreMetrics | undefined;
}

/** With retries. The URL may hold credentials: it is never put into an error. */
export async function openObjectStore(url: string, deps: ObjectStoreDeps): Promise<ObjectStore> {
  const plain = await openPlain(url, deps);
  const counted = deps.metrics === undefined ? plain : measured(plain, deps.runtime.clock, deps.metrics);
  return new RetryingObjectStore(counted, { runtime: deps.runtime, limits: deps.limits.retry });
}

async function openPlain(url: string, deps: ObjectStoreDeps): Promise<ObjectStore> {
  const parsed = URL.parse(url);
  const { runtime, disk } = deps;
  if (parsed?.protocol === "memory:") return new MemoryObjectStore(runtime);
  if (parsed?.protocol === "file:" && parsed.host === "" && parsed.search === "")
    return await openLocalObjectStore({ directory: decodeURIComponent(parsed.pathname), disk, runtime });
  if (parsed?.protocol === "s3:" && parsed.host !== "") return await openS3ObjectStore(s3Options(parsed, deps));
  throw new StoreFailed("an object store URL begins with s3://<bucket>, file:/// or memory://", {
    happened: "no",
    retriable: false,
  });
}

const s3Parameters = ["region", "endpoint", "pathStyle", "accessKey", "secretKey"];

function s3Options(url: URL, deps: ObjectStoreDeps): S3Options {
  const query = url.searchParams;
  const unknown = [...query.keys()].filter((name) => !s3Parameters.includes(name));
  if (unknown.length > 0)
    throw new StoreFailed(`unknown object store parameters: ${unknown.join(", ")}`, {
      happened: "no",
      retriable: false,
    });
  const accessKeyId = query.get("accessKey");
  const secretAccessKey = query.get("secretKey");
  return {
    bucket: decodeURIComponent(url.host),
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ""),
    region: query.get("region") ?? undefined,
    endpoint: query.get("endpoint") ?? undefined,
    pathStyle: query.get("pathStyle") === "true",
    credentials: accessKeyId !== null && secretAccessKey !== null ? { accessKeyId, secretAccessKey } : undefined,
    clock: deps.runtime.clock,
    limits: deps.limits,
  };
}
