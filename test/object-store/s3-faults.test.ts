/** Proves: the S3 store stays honest under each kind of trouble that a proxy before a server can make, and its repeats heal it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openObjectStore } from "../../src/object-store/open.ts";
import { type BucketServer, startBucketServer } from "../support/bucket-server.ts";
import { type ProxiedS3, proxiedS3 } from "../support/proxied-s3.ts";
import { storeDeps } from "../support/store-deps.ts";
import { allFaultKinds, type FaultKind } from "../support/store-faults.ts";
import { faultGrid } from "./fault-grid.ts";

let server: BucketServer;
let bucket: ProxiedS3;
beforeAll(async () => {
  server = await startBucketServer({ bucket: "lake", dialect: "s3" });
  bucket = await proxiedS3(`s3://lake?${new URLSearchParams({ endpoint: server.endpoint, ...keys }).toString()}`);
});
afterAll(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const keys = { accessKey: "k", secretKey: "s", pathStyle: "true" };

/** They strike before there is a connection to a proxy. */
const beforeAnyProxy: readonly FaultKind[] = ["name-not-found", "tls-fails"];

faultGrid("s3, a server in memory", () => bucket.world(), {
  kinds: allFaultKinds.filter((kind) => !beforeAnyProxy.includes(kind)),
});

describe("before there is a connection", () => {
  test.each([
    ["a name that is not found", () => "http://bucket.invalid", "no"],
    // Node has one code for all that goes wrong in TLS, so a write is left open: that is never a lie.
    ["a server that does not speak TLS", () => server.endpoint.replace("http:", "https:"), "maybe"],
  ])("%s: it may heal", async (_, endpoint, happened) => {
    const parameters = new URLSearchParams({ endpoint: endpoint(), ...keys });
    await using store = await openObjectStore(`s3://lake/p?${parameters.toString()}`, storeDeps());
    const one = new Uint8Array(1);
    const writes = [
      () => store.put("a", one),
      () => store.putIfAbsent("a", one),
      () => store.putIfMatch("a", one, '"x"'),
      () => store.delete(["a"]),
      () => store.multipart("a"),
    ];
    for (const work of writes)
      await expect(work()).rejects.toMatchObject({ name: "StoreFailed", happened, retriable: true });
    const reads = [
      () => store.get("a"),
      () => store.get("a", { start: 0, end: 1 }),
      () => store.head("a"),
      async () => {
        for await (const { key } of store.list("")) expect.unreachable(key);
      },
    ];
    for (const work of reads)
      await expect(work()).rejects.toMatchObject({ name: "StoreFailed", happened: "no", retriable: true });
  });
});
