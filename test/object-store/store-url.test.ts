/** Proves: a URL means one place, and what it cannot mean is refused without repeating its values. */
import { describe, expect, test } from "vitest";
import { withoutSecrets } from "../../src/base/secrets.ts";
import { parseStoreUrl } from "../../src/object-store/store-url.ts";

const key32 = Buffer.alloc(32, 1).toString("base64");

describe("store URLs", () => {
  test.each<readonly [url: string, place: object]>([
    ["memory://", { kind: "memory" }],
    ["mem://", { kind: "memory" }],
    ["file:///data/my%20objects", { kind: "directory", directory: "/data/my objects" }],
    [
      "s3://b/a/c/?region=r",
      { kind: "s3", url: "s3://b/a/c", bucket: "b", prefix: "a/c", region: "r", pathStyle: false },
    ],
    [
      "s3://b",
      {
        url: "s3://b",
        prefix: "",
        credentials: { kind: "default" },
        encryption: { kind: "bucket" },
        checksum: "crc32c",
      },
    ],
    ["s3://b?profile=p&checksum=none", { credentials: { kind: "profile", profile: "p" }, checksum: "none" }],
    [
      "s3://b?accessKey=a&secretKey=s&sessionToken=t",
      { credentials: { kind: "static", keys: { accessKeyId: "a", secretAccessKey: "s", sessionToken: "t" } } },
    ],
    [
      "s3://b?roleArn=arn:x&externalId=e",
      { credentials: { kind: "default" }, role: { arn: "arn:x", externalId: "e" } },
    ],
    ["s3://b?sse=s3", { encryption: { kind: "s3" } }],
    ["s3://b?sse=kms", { encryption: { kind: "kms", keyId: undefined } }],
    ["s3://b?sse=kms&sseKmsKey=k", { encryption: { kind: "kms", keyId: "k" } }],
    [
      `s3://b?sse=customer&sseCustomerKey=${encodeURIComponent(key32)}`,
      { encryption: { kind: "customer", key: key32 } },
    ],
    ["gs://b/p?accessKey=a&secretKey=s", { kind: "gcs", url: "gs://b/p", endpoint: "https://storage.googleapis.com" }],
    [
      "az://c/p?account=acct",
      {
        kind: "azure",
        url: "az://c/p",
        bucket: "c",
        endpoint: "https://acct.blob.core.windows.net",
        credentials: { kind: "default" },
      },
    ],
    ["az://c?account=a&accountKey=k", { credentials: { kind: "key", accountKey: "k" } }],
    ["az://c?account=a&sasToken=%3Fsv%3D1%26sig%3Dx", { credentials: { kind: "sas", token: "sv=1&sig=x" } }],
    [
      "abfss://c@acct.dfs.core.usgovcloudapi.net/p/",
      {
        url: "abfss://c@acct.dfs.core.usgovcloudapi.net/p",
        bucket: "c",
        account: "acct",
        endpoint: "https://acct.blob.core.usgovcloudapi.net",
      },
    ],
  ])("%s", (url, place) => {
    expect(parseStoreUrl(url)).toMatchObject(place);
  });

  test.each([
    "",
    "nonsense",
    "ftp://x",
    "file://host/x",
    "file:///x?hush=1",
    "s3:///x",
    "s3://b?secretKey=hush&wrong=1",
    "s3://b?accessKey=hush",
    "s3://b?secretKey=hush",
    "s3://b?sessionToken=hush",
    "s3://hush:hush@b",
    "s3://b?accessKey=a&secretKey=hush&profile=p",
    "s3://b?externalId=hush",
    "s3://b?pathStyle=hush",
    "s3://b?checksum=hush",
    "s3://b?sse=hush",
    "s3://b?sse=s3&sseKmsKey=hush",
    "s3://b?sse=customer",
    "s3://b?sse=customer&sseCustomerKey=hush",
    "gs://b",
    "gs://b?accessKey=a&secretKey=hush&region=r",
    "az://c?accountKey=hush",
    "az://c?account=a&accountKey=hush&sasToken=hush",
    "abfss://acct.dfs.core.windows.net/x",
    "abfss://c@acct.dfs.core.windows.net/x?account=hush",
  ])("%s is refused", (url) => {
    expect(() => parseStoreUrl(url)).toThrow(expect.objectContaining({ name: "StoreFailed", retriable: false }));
    expect(() => parseStoreUrl(url)).not.toThrow(/hush/);
  });

  test("shown, their keys are masked and nothing else", () => {
    const url = `s3://b/p?region=r&accessKey=h1&secretKey=h2&sessionToken=h3&sse=customer&sseCustomerKey=h4`;
    expect(withoutSecrets(url)).not.toMatch(/h\d/);
    expect(withoutSecrets(url)).toContain("s3://b/p?region=r&accessKey=********&");
    expect(withoutSecrets("az://c?account=a&accountKey=h1&sasToken=sv%3D1%26sig%3Dh2")).not.toMatch(/h\d/);
    expect(withoutSecrets("GET https://a.blob.core.windows.net/c/b?sv=1&sig=h1 failed")).toBe(
      "GET https://a.blob.core.windows.net/c/b?sv=1&sig=******** failed",
    );
  });
});
