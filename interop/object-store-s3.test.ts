/** Proves: the S3 store obeys the object store contract against a real server of another maker, and tells failures apart. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemRuntime } from "../src/base/runtime.ts";
import { systemDisk } from "../src/base/system-disk.ts";
import { openObjectStore } from "../src/object-store/open.ts";
import { objectStoreContract } from "../test/object-store/contract.ts";
import { type S3Server, startSeaweed } from "./s3.ts";

let directory: string;
let server: S3Server;
let prefixes = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-seaweed-"));
  server = await startSeaweed({ directory });
  await server.createBucket("contract");
}, 120_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const deps = {
  runtime: systemRuntime(),
  disk: systemDisk,
  limits: {
    requestMsMax: 10_000,
    connectMsMax: 1_000,
    socketsMax: 32,
    retry: { attemptsMax: 1, delayMsMin: 10, delayMsMax: 100 },
  },
  metrics: undefined,
};

function urlOf(bucket: string, prefix: string, endpoint: string): string {
  const keys = { accessKey: server.accessKey, secretKey: server.secretKey };
  return `s3://${bucket}/${prefix}?${new URLSearchParams({ endpoint, pathStyle: "true", ...keys }).toString()}`;
}

objectStoreContract("s3, SeaweedFS", async () => {
  prefixes += 1;
  const store = await openObjectStore(urlOf("contract", `run-${prefixes}/objects`, server.endpoint), deps);
  return { store, run: (work) => work, dispose: () => store[Symbol.asyncDispose]() };
});

describe("s3 failures", () => {
  test("a missing bucket and wrong credentials did not happen, and repeating would not help", async () => {
    await using absent = await openObjectStore(urlOf("absent", "p", server.endpoint), deps);
    await expect(absent.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
    const wrong = urlOf("contract", "p", server.endpoint).replace(server.secretKey, "wrong");
    await using denied = await openObjectStore(wrong, deps);
    await expect(denied.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
  });

  test("a refused connection did not happen; one that breaks after the request may have", async () => {
    const breaking = createServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    await new Promise<void>((listening) => breaking.listen(0, "127.0.0.1", listening));
    const { port } = breaking.address() as { readonly port: number };
    await using broken = await openObjectStore(urlOf("contract", "p", `http://127.0.0.1:${port}`), deps);
    await expect(broken.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "maybe", retriable: true });
    await expect(broken.get("a")).rejects.toMatchObject({ happened: "no", retriable: true });
    await new Promise((closed) => breaking.close(closed));
    await expect(broken.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: true });
  });

  test("an answer that does not come counts as maybe", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
    const { port } = silent.address() as { readonly port: number };
    const impatient = { ...deps, limits: { ...deps.limits, requestMsMax: 200 } };
    await using store = await openObjectStore(urlOf("contract", "p", `http://127.0.0.1:${port}`), impatient);
    await expect(store.putIfAbsent("a", new Uint8Array(1))).rejects.toMatchObject({
      happened: "maybe",
      retriable: true,
    });
    silent.close();
  });
});
