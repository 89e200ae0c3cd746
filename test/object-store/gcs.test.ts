/** Proves: the store over Google's XML API obeys the contract against a server that knows generations only, and signs as Google asks. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generationsAsEtags, googleHeaders } from "../../src/object-store/gcs.ts";
import { signForGoogle } from "../../src/object-store/gcs-signature.ts";
import { openObjectStore } from "../../src/object-store/open.ts";
import { type BucketServer, startBucketServer } from "../support/bucket-server.ts";
import { storeDeps } from "../support/store-deps.ts";
import { objectStoreContract } from "./contract.ts";

const secretKey = "hushhush";
let server: BucketServer;
let runs = 0;
beforeAll(async () => {
  server = await startBucketServer({ bucket: "lake", dialect: "gcs", secretKey, pageKeys: 3 });
});
afterAll(async () => await server[Symbol.asyncDispose]());

function url(prefix: string, secret = secretKey): string {
  const parameters = new URLSearchParams({ endpoint: server.endpoint, accessKey: "GOOG1E", secretKey: secret });
  return `gs://lake/${prefix}?${parameters.toString()}`;
}

objectStoreContract("gcs, a server of its documented semantics", async () => {
  runs += 1;
  const store = await openObjectStore(url(`run ${runs}/objects`), storeDeps());
  return { store, run: (work) => work, dispose: () => store[Symbol.asyncDispose]() };
});

describe("gcs", () => {
  test("a wrong secret is denied for good", async () => {
    await using store = await openObjectStore(url("p", "wrong"), storeDeps());
    await expect(store.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
  });

  test("conditions become generations, and nothing of AWS's is left", () => {
    const given = { "If-None-Match": "*", "x-amz-sdk-checksum-algorithm": "CRC32", "amz-sdk-request": "1", range: "x" };
    expect(googleHeaders(given)).toEqual({ range: "x", "x-goog-if-generation-match": "0" });
    expect(googleHeaders({ "if-match": '"17"' })).toEqual({ "x-goog-if-generation-match": "17" });
  });

  test("a listing's ETags are generations, entry by entry", () => {
    const entry = (etag: string, generation: string): string =>
      `<Contents><Key>k</Key>${generation}<ETag>${etag}</ETag></Contents>`;
    const listing = `${entry("a", "<Generation>1</Generation>")}${entry("b", "")}${entry("c", "<Generation>3</Generation>")}`;
    expect([...generationsAsEtags(listing).matchAll(/<ETag>(.*?)<\/ETag>/g)].map((match) => match[1])).toEqual([
      '"1"',
      "b",
      '"3"',
    ]);
  });

  test("only what front ends leave alone is signed", () => {
    const request = {
      method: "PUT",
      hostname: "storage.googleapis.com",
      path: "/b/k",
      headers: { "accept-encoding": "identity", "user-agent": "x", "x-goog-if-generation-match": "0" },
      body: new Uint8Array(3),
    };
    const keys = { accessKeyId: "id", secretAccessKey: "hush" };
    const { authorization } = signForGoogle(request, { keys, now: new Date(0) });
    expect(authorization).toMatch(
      /^GOOG4-HMAC-SHA256 Credential=id\/19700101\/auto\/storage\/goog4_request, SignedHeaders=host;x-goog-content-sha256;x-goog-date;x-goog-if-generation-match, Signature=[0-9a-f]{64}$/,
    );
  });
});
