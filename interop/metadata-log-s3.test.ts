/** Proves: the metadata log in a bucket obeys the contract on a real S3 server of another maker. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { systemRuntime } from "../src/base/runtime.ts";
import { systemDisk } from "../src/base/system-disk.ts";
import type { CasLog } from "../src/metadata/cas-log.ts";
import { openObjectLog } from "../src/metadata/object-log.ts";
import { openObjectStore } from "../src/object-store/open.ts";
import { casLogContract } from "../test/metadata/cas-log-contract.ts";
import { backUpObjects } from "../test/metadata/contract/objects.ts";
import { type S3Server, startSeaweed } from "./s3.ts";

let directory: string;
let server: S3Server;
let prefixes = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-seaweed-"));
  server = await startSeaweed({ directory });
  await server.createBucket("metadata");
}, 120_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

casLogContract("objects in SeaweedFS", async () => {
  prefixes += 1;
  const store = await openObjectStore(server.url(`metadata/run-${prefixes}`), {
    runtime: systemRuntime(),
    disk: systemDisk,
    limits: {
      requestMsMax: 10_000,
      connectMsMax: 1_000,
      socketsMax: 32,
      retry: { attemptsMax: 5, delayMsMin: 10, delayMsMax: 200 },
    },
    metrics: undefined,
  });
  const open = async (): Promise<CasLog> => openObjectLog({ store, blockEntries: 5 });
  return {
    open,
    restart: open,
    backUp: () => backUpObjects(store),
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: () => store[Symbol.asyncDispose](),
  };
});
