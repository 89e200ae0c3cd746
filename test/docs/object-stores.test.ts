/** Proves: the policies of docs/object-stores.md allow every request that a broker makes of S3, and nothing else. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openObjectStore } from "../../src/object-store/open.ts";
import { type BucketRequest, startBucketServer } from "../support/bucket-server.ts";
import { blocks } from "../support/markdown.ts";
import { checkout } from "../support/processes.ts";
import { storeDeps } from "../support/store-deps.ts";

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: unknown;
}

const path = "docs/object-stores.md";
const [identity = [], bucket = []] = blocks({ path, text: readFileSync(join(checkout, path), "utf8") })
  .filter(({ language }) => language === "json")
  .map(({ text }) => (JSON.parse(text) as { readonly Statement: readonly Statement[] }).Statement);

/** As AWS's reference of S3's actions has them. */
function actionOf({ method, key, query }: BucketRequest): string {
  if (key === "") return query.has("delete") ? "s3:DeleteObject" : "s3:ListBucket";
  if (method === "GET" || method === "HEAD") return "s3:GetObject";
  return method === "DELETE" ? "s3:AbortMultipartUpload" : "s3:PutObject";
}

test("the policies say what every request takes, and no more", async () => {
  await using server = await startBucketServer({ bucket: "lake", dialect: "s3" });
  const query = new URLSearchParams({ endpoint: server.endpoint, pathStyle: "true", accessKey: "k", secretKey: "s" });
  await using store = await openObjectStore(`s3://lake/p?${query.toString()}`, storeDeps());
  await store.put("k", new Uint8Array(3));
  await store.putIfAbsent("l", new Uint8Array(3));
  await store.get("k");
  await store.head("k");
  for (const end of ["complete", "abort"] as const) {
    const upload = await store.multipart("m");
    await upload.part(new Uint8Array(4));
    await upload[end]();
  }
  for await (const { key } of store.list("")) expect(key).not.toBe("");
  await store.delete(["k"]);
  const taken = new Set(server.requests.map(actionOf));
  const allowed = identity.filter(({ Effect }) => Effect === "Allow").flatMap(({ Action }) => Action);
  expect(allowed.toSorted()).toEqual([...taken].toSorted());
  expect(identity.flatMap(({ Resource }) => Resource).toSorted()).toEqual(["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]);
});

test("the policy of the bucket refuses whoever speaks without TLS", () => {
  expect(bucket).toMatchObject([
    { Effect: "Deny", Action: "s3:*", Condition: { Bool: { "aws:SecureTransport": "false" } } },
  ]);
});
