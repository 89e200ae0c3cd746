/** Proves: what a URL says about encryption, checksums and credentials is what goes over the wire, credentials are renewed, and keys reach no log. */

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LogLevels } from "../../src/base/log-levels.ts";
import { openObjectStore } from "../../src/object-store/open.ts";
import { openLogger } from "../../src/telemetry/logging.ts";
import {
  type BucketRequest,
  type BucketServer,
  type BucketServerOptions,
  startBucketServer,
} from "../support/bucket-server.ts";
import { storeDeps } from "../support/store-deps.ts";
import { objectStoreContract } from "./contract.ts";

const keys = { accessKey: "AKID", secretKey: "hunter-secret" };

function url(endpoint: string, parameters: Readonly<Record<string, string>>): string {
  return `s3://lake/p?${new URLSearchParams({ endpoint, pathStyle: "true", ...parameters }).toString()}`;
}

async function bucketServer(more: Partial<BucketServerOptions> = {}): Promise<BucketServer> {
  return await startBucketServer({ bucket: "lake", dialect: "s3", ...more });
}

for (const checksum of ["crc32c", "none"]) {
  objectStoreContract(`s3, a server in memory, checksum=${checksum}`, async () => {
    const server = await bucketServer({ pageKeys: 3 });
    const store = await openObjectStore(url(server.endpoint, { ...keys, checksum }), storeDeps());
    const dispose = async (): Promise<void> => {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    };
    return { store, run: (work) => work, dispose };
  });
}

/** Every kind of request there is; what came of it, by the request's name. */
async function everyRequest(server: BucketServer, parameters: Readonly<Record<string, string>>) {
  await using store = await openObjectStore(url(server.endpoint, { ...keys, ...parameters }), storeDeps());
  await store.put("k", new Uint8Array(3));
  await store.get("k");
  await store.head("k");
  const upload = await store.multipart("m");
  await upload.part(new Uint8Array(4));
  await upload.complete();
  await store.delete(["k"]);
  const named = (request: BucketRequest): string => {
    const { method, query } = request;
    if (query.has("uploads")) return "begin";
    if (query.has("delete")) return "delete";
    return query.has("uploadId") ? (method === "PUT" ? "part" : "complete") : method.toLowerCase();
  };
  return Object.fromEntries(server.requests.map((request) => [named(request), request.headers]));
}

describe("encryption", () => {
  const encryption = "x-amz-server-side-encryption";

  test("SSE-S3 is asked for where an object begins", async () => {
    await using server = await bucketServer();
    const sent = await everyRequest(server, { sse: "s3" });
    expect(sent["put"]?.[encryption]).toBe("AES256");
    expect(sent["begin"]?.[encryption]).toBe("AES256");
    expect([sent["get"]?.[encryption], sent["part"]?.[encryption]]).toEqual([undefined, undefined]);
  });

  test("SSE-KMS names its key", async () => {
    await using server = await bucketServer();
    const sent = await everyRequest(server, { sse: "kms", sseKmsKey: "arn:aws:kms:x" });
    for (const headers of [sent["put"], sent["begin"]]) {
      expect(headers).toMatchObject({ [encryption]: "aws:kms", [`${encryption}-aws-kms-key-id`]: "arn:aws:kms:x" });
    }
  });

  test("SSE-C sends the key with every request that touches bytes, and with no other", async () => {
    await using server = await bucketServer();
    const key = Buffer.alloc(32, 7).toString("base64");
    const sent = await everyRequest(server, { sse: "customer", sseCustomerKey: key });
    const keyOf = (name: string): unknown => sent[name]?.[`${encryption}-customer-key`];
    expect(["put", "get", "head", "begin", "part"].map(keyOf)).toEqual([key, key, key, key, key]);
    expect(["complete", "delete"].map(keyOf)).toEqual([undefined, undefined]);
    expect(sent["put"]?.[`${encryption}-customer-key-md5`]).toBeTypeOf("string");
  });
  test.each([
    { sse: "s3" },
    { sse: "kms" },
    { sse: "customer", sseCustomerKey: Buffer.alloc(32, 7).toString("base64") },
  ])("of a store that takes %o and does not do it no broker makes use", async (parameters) => {
    const probed = async (more: Partial<BucketServerOptions>): Promise<void> => {
      await using server = await bucketServer(more);
      await using store = await openObjectStore(url(server.endpoint, { ...keys, ...parameters }), storeDeps());
      await store.put("k", new Uint8Array(1));
      await store.put("k", new Uint8Array(2));
      expect(server.requests.map(({ method }) => method)).toEqual(["PUT", "HEAD", "PUT"]); // Looked at once.
    };
    await probed({});
    const refused = probed({ ignoresEncryption: true });
    await expect(refused).rejects.toThrow("is not encrypted as the URL of the store asks for");
    await expect(refused).rejects.toMatchObject({ happened: "maybe", retriable: false });
  });
});

describe("checksums", () => {
  test("CRC-32C by default; none for servers that refuse them, where a delete has the MD5 it must have", async () => {
    await using server = await bucketServer();
    const sent = await everyRequest(server, {});
    expect(sent["put"]?.["x-amz-checksum-crc32c"]).toBeTypeOf("string");
    expect(sent["part"]?.["x-amz-checksum-crc32c"]).toBeTypeOf("string");
    await using old = await bucketServer();
    for (const [name, headers] of Object.entries(await everyRequest(old, { checksum: "none" }))) {
      expect(
        Object.keys(headers ?? {}).filter((header) => header.includes("checksum")),
        name,
      ).toEqual([]);
      expect(headers?.["content-md5"] !== undefined, name).toBe(name === "delete");
    }
  });
});

describe("credentials", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "inlet-aws-"));
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"])
      vi.stubEnv(name, undefined);
    vi.stubEnv("AWS_CONFIG_FILE", join(directory, "config"));
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(directory, "credentials"));
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  const usedBy = (server: BucketServer): (readonly [key: string | undefined, token: unknown])[] =>
    server.requests.map(({ headers }) => [
      /Credential=([^/]+)/.exec(headers.authorization ?? "")?.[1],
      headers["x-amz-security-token"],
    ]);

  test("keys of the URL, with a session's token", async () => {
    await using server = await bucketServer();
    await using store = await openObjectStore(url(server.endpoint, { ...keys, sessionToken: "tok" }), storeDeps());
    await store.put("a", new Uint8Array(1));
    expect(usedBy(server)).toEqual([["AKID", "tok"]]);
  });

  test("a profile of the shared files", async () => {
    const text = "[lake]\naws_access_key_id = PROFILED\naws_secret_access_key = hunter-profile\n";
    writeFileSync(join(directory, "credentials"), text);
    await using server = await bucketServer();
    await using store = await openObjectStore(url(server.endpoint, { profile: "lake" }), storeDeps());
    await store.put("a", new Uint8Array(1));
    expect(usedBy(server)).toEqual([["PROFILED", undefined]]);
  });

  /** As a container's agent gives them out: numbered, valid for so long. */
  async function agent(validMs: number) {
    let given = 0;
    const http = createServer((_, response) => {
      given += 1;
      const expires = new Date(Date.now() + validMs).toISOString();
      const answer = {
        AccessKeyId: `AGENT${given}`,
        SecretAccessKey: "hunter-agent",
        Token: `t${given}`,
        Expiration: expires,
      };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
    return {
      async [Symbol.asyncDispose]() {
        http.closeAllConnections();
        await new Promise((closed) => http.close(closed));
      },
    };
  }

  test("the chain asks the container's agent, and again when what it gave has ended", async () => {
    await using _agent = await agent(1);
    await using server = await bucketServer();
    await using store = await openObjectStore(url(server.endpoint, {}), storeDeps());
    await store.put("a", new Uint8Array(1));
    await store.put("b", new Uint8Array(1));
    const [first, second] = usedBy(server).map(([key]) => Number(key?.slice("AGENT".length)));
    expect(first).toBeGreaterThan(0);
    expect(second).toBeGreaterThan(first as number);
  });

  test("a role is assumed with the keys of the URL, and its own are used", async () => {
    const asked: string[] = [];
    const sts = createServer((request, response) => {
      request.setEncoding("utf8");
      let body = "";
      request.on("data", (chunk: string) => {
        body += chunk;
      });
      request.on("end", () => {
        asked.push(`${/Credential=([^/]+)/.exec(request.headers.authorization ?? "")?.[1]} ${body}`);
        const expires = new Date(Date.now() + 3_600_000).toISOString();
        response.writeHead(200, { "content-type": "text/xml" });
        response.end(
          `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>hunter-role</SecretAccessKey><SessionToken>role-token</SessionToken><Expiration>${expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
        );
      });
    });
    sts.listen(0, "127.0.0.1");
    await once(sts, "listening");
    vi.stubEnv("AWS_ENDPOINT_URL_STS", `http://127.0.0.1:${(sts.address() as AddressInfo).port}`);
    await using server = await bucketServer();
    const role = { roleArn: "arn:aws:iam::123456789012:role/lake", externalId: "ex" };
    await using store = await openObjectStore(url(server.endpoint, { ...keys, ...role }), storeDeps());
    await store.put("a", new Uint8Array(1));
    await store.put("b", new Uint8Array(1));
    sts.closeAllConnections();
    await new Promise((closed) => sts.close(closed));
    expect(usedBy(server)).toEqual([
      ["ROLE", "role-token"],
      ["ROLE", "role-token"],
    ]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatch(/^AKID .*RoleArn=arn.*ExternalId=ex/);
  });

  test("what the store calls expired is renewed at once, however long it was to be valid", async () => {
    await using _agent = await agent(3_600_000);
    const isOld = ({ headers }: BucketRequest): boolean => headers.authorization?.includes("AGENT1") === true;
    let isLate = false;
    await using server = await bucketServer({
      refuse: (request) => (isLate && isOld(request) ? { status: 400, code: "ExpiredToken" } : undefined),
    });
    await using store = await openObjectStore(url(server.endpoint, {}), storeDeps({ attemptsMax: 3 }));
    await store.put("a", new Uint8Array(1));
    await store.put("a", new Uint8Array(1)); // What was given is kept.
    isLate = true;
    await store.put("b", new Uint8Array(1));
    expect(usedBy(server).map(([key]) => key)).toEqual(["AGENT1", "AGENT1", "AGENT1", "AGENT2"]);
  });
});

describe("secrets", () => {
  const secret = "hunter-secret";
  const key32 = Buffer.from("hunter-secret-hunter-secret-1234").toString("base64");

  test.each([
    [
      `s3://lake/p?accessKey=AKID&secretKey=${secret}&sessionToken=${secret}&sse=customer&sseCustomerKey=${encodeURIComponent(key32)}`,
    ],
    [`gs://lake/p?accessKey=AKID&secretKey=${secret}`],
    [`az://lake/p?account=a&accountKey=${encodeURIComponent(key32)}`],
    [`az://lake/p?account=a&sasToken=${encodeURIComponent(`sv=1&sig=${secret}`)}`],
  ])("of %s reach no log, whatever fails", async (text) => {
    await using server = await bucketServer({ refuse: () => ({ status: 403, code: "AccessDenied" }) });
    const lines: string[] = [];
    const clock = storeDeps().runtime.clock;
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = openLogger({ levels: new LogLevels("debug"), repeatsMax: 100, repeatsMs: 1000, clock, destination });
    const pathStyle = text.startsWith("s3:") ? "&pathStyle=true" : "";
    const full = `${text}&endpoint=${encodeURIComponent(server.endpoint)}${pathStyle}`;
    await using store = await openObjectStore(full, storeDeps());
    const failures = [
      () => store.put("a", new Uint8Array(1)),
      () => store.get("a"),
      () => store.head("a"),
      () => store.delete(["a"]),
      () => openObjectStore(`${full}&nonsense=1`, storeDeps()),
    ];
    logger.info("opening", { url: full, store: store.url });
    for (const failure of failures) {
      logger.error("failed", { cause: await failure().catch((cause: unknown) => cause) });
    }
    expect(lines).toHaveLength(6);
    expect(
      lines.filter((line) => line.includes('"StoreFailed"') || line.includes("StoreAnswer")).length,
    ).toBeGreaterThan(3);
    for (const hidden of [secret, key32, encodeURIComponent(key32)]) expect(lines.join("")).not.toContain(hidden);
  });
});
