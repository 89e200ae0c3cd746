/** What a soak runs on: a broker that comes and goes at one port, its store, and samples of what both take. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { startSeaweed } from "../../interop/s3.ts";
import { type InletBroker } from "../support/inlet-process.ts";

export interface Store extends AsyncDisposable {
  readonly url: string;
  bytes(): Promise<number>;
}

export async function openStore(kind: "directory" | "s3", directory: string): Promise<Store> {
  if (kind === "s3") return await openBucket(directory);
  const root = join(directory, "bucket");
  return { url: pathToFileURL(root).href, bytes: () => directoryBytes(root), [Symbol.asyncDispose]: async () => {} };
}

async function directoryBytes(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = files.map((file) => stat(join(file.parentPath, file.name)).then(({ size }) => size, gone));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** A file that was removed between the listing and the look. */
const gone = (): number => 0;

/** SeaweedFS, with a bucket of its own. */
async function openBucket(directory: string): Promise<Store> {
  const server = await startSeaweed({ directory: join(directory, "s3") });
  const bucket = `soak-${randomUUID()}`;
  await server.createBucket(bucket);
  const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = server;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return {
    url: server.url(bucket),
    bytes: async () => {
      let bytes = 0;
      for (let token: string | undefined, isMore = true; isMore; isMore = token !== undefined) {
        const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
        for (const { Size } of page.Contents ?? []) bytes += Size ?? 0;
        token = page.NextContinuationToken;
      }
      return bytes;
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface Memory {
  /** Anonymous pages and those of the program's files: the page cache of what the broker reads and writes is not in it. */
  readonly residentBytes: number;
  readonly peakBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  readonly cpuSeconds: number;
}

/** undefined when the broker is not there to tell. */
export async function memoryOf(broker: InletBroker): Promise<Memory | undefined> {
  try {
    const status = readFileSync(`/proc/${broker.running.child.pid}/status`, "utf8");
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) * 1024;
    const metrics = await (await fetch(`${broker.http}/metrics`)).text();
    const metric = (name: string): number =>
      Number(new RegExp(`^\\w*${name}(?:{[^}]*})? (\\S+)`, "m").exec(metrics)?.[1]);
    return {
      residentBytes: kib("VmRSS"),
      peakBytes: kib("VmHWM"),
      heapUsedBytes: metric("nodejs_heap_size_used_bytes"),
      externalBytes: metric("nodejs_external_memory_bytes"),
      cpuSeconds: metric("process_cpu_seconds_total"),
    };
  } catch {
    return undefined;
  }
}
