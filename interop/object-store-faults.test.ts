/** Proves: before a real server of another maker too, each kind of trouble leaves the S3 store honest, and its repeats heal it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { faultGrid } from "../test/object-store/fault-grid.ts";
import { type ProxiedS3, proxiedS3 } from "../test/support/proxied-s3.ts";
import { allFaultKinds } from "../test/support/store-faults.ts";
import { type S3Server, startSeaweed } from "./s3.ts";

let directory: string;
let server: S3Server;
let bucket: ProxiedS3;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-seaweed-"));
  server = await startSeaweed({ directory });
  await server.createBucket("faults");
  bucket = await proxiedS3(server.url("faults"));
}, 120_000);

afterAll(async () => {
  await bucket?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

// The two others strike before there is a connection to anything (test/object-store/s3-faults.test.ts).
faultGrid("s3, SeaweedFS", () => bucket.world(), {
  kinds: allFaultKinds.filter((kind) => kind !== "name-not-found" && kind !== "tls-fails"),
});
