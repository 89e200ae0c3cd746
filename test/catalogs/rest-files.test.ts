/**
 * Proves: files are reached with what a REST catalog lends for the longest prefix, keys are asked for again before they end and
 * when the store refuses them, and where the catalog signs, each request goes out as it was signed.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { open, type RestCatalogSettings } from "../../catalogs/rest.ts";
import { openLentBucket } from "../../src/object-store/s3-lent.ts";
import { renderJson } from "../../src/table/iceberg/json.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { type BucketRequest, type BucketServer, startBucketServer } from "../support/bucket-server.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { storeDeps } from "../support/store-deps.ts";
import { emptyTable } from "../table/iceberg/tables.ts";

const table = { namespace: ["sales"], name: "orders" };
const place = "s3://lake/sales/orders";
const hourMs = 3_600_000;
const bytes = Buffer.from("PAR1");

let bucket: BucketServer;
/** Of the bucket. */
let refuse: (request: BucketRequest) => { readonly status: number; readonly code: string } | undefined;
let aheadMs = 0;

beforeEach(async () => {
  refuse = () => undefined;
  aheadMs = 0;
  bucket = await startBucketServer({ bucket: "lake", dialect: "s3", refuse: (request) => refuse(request) });
});
afterEach(() => bucket[Symbol.asyncDispose]());

const keyOf = ({ headers }: BucketRequest): string =>
  /Credential=([^/]+)/.exec(headers.authorization ?? "")?.[1] ?? "none";
const keysUsed = (): readonly string[] => bucket.requests.map((request) => `${request.method} ${keyOf(request)}`);

function keys(name: string, endsAtMs?: number): Readonly<Record<string, string>> {
  const end = endsAtMs === undefined ? {} : { "s3.session-token-expires-at-ms": String(endsAtMs) };
  return { "s3.access-key-id": name, "s3.secret-access-key": "secret", "s3.session-token": "session", ...end };
}

interface Lender {
  /** What the table's answer lends besides its place. */
  readonly load: () => object;
  readonly credentials?: () => object;
  readonly sign?: (request: { readonly method: string; readonly uri: string; readonly headers: object }) => object;
}

function world({ load, credentials, sign }: Lender) {
  const asked: string[] = [];
  const runtime = seededRuntime(1, () => aheadMs);
  const warehouse = new Warehouse({ mounts: new Map() });
  const settings: RestCatalogSettings = {
    name: "main",
    uri: "http://catalog",
    warehouse: null,
    auth: { kind: "bearer", token: "of-the-broker" },
    accessDelegation: sign === undefined ? "vended-credentials" : "remote-signing",
    properties: new Map(),
  };
  const base = "/v1/{prefix}/namespaces/{ns}/tables/{t}";
  const endpoints = [`GET ${base}`, ...(credentials === undefined ? [] : [`GET ${base}/credentials`])];
  const config = { "s3.endpoint": bucket.endpoint, "s3.path-style-access": "true" };
  const metadata = { ...emptyTable, location: place };
  const catalog = open(settings, {
    runtime,
    logger: silent,
    limits: { requestMsMax: 10_000, responseBytesMax: 1 << 20 },
    files: { warehouse, open: (access) => openLentBucket(access, { ...storeDeps({ attemptsMax: 3 }), runtime }) },
    fetch: async (input, init) => {
      const { pathname } = new URL(input);
      asked.push(`${init?.method} ${pathname}`);
      expect(new Headers(init?.headers).get("authorization")).toBe("Bearer of-the-broker");
      if (pathname === "/v1/config") return Response.json({ endpoints });
      if (pathname.endsWith("/credentials")) return Response.json(credentials?.());
      if (pathname.endsWith("/sign")) return Response.json(sign?.(JSON.parse(init?.body as string)));
      const lent = load() as { readonly config?: object };
      const answer = { "metadata-location": `${place}/metadata/1.json`, metadata, ...lent };
      return new Response(renderJson({ ...answer, config: { ...config, ...lent.config } }));
    },
  });
  return {
    asked,
    catalog,
    warehouse,
    async [Symbol.asyncDispose]() {
      await catalog[Symbol.asyncDispose]();
      await warehouse[Symbol.asyncDispose]();
    },
  };
}

describe("keys that are lent", () => {
  test("of several prefixes the longest counts, then the table's own configuration", async () => {
    await using lent = world({
      load: () => ({
        config: keys("own"),
        "storage-credentials": [
          { prefix: "s3://lake/sales", config: keys("wide") },
          { prefix: "s3a://lake/sales/orders/data", config: keys("deep") },
          { prefix: "s3://elsewhere", config: keys("else") },
        ],
      }),
    });
    await lent.catalog.reachFiles?.(table);
    await lent.warehouse.create(`${place}/data/1.parquet`, bytes);
    await lent.warehouse.create(`${place}/metadata/1.avro`, bytes);
    expect(await lent.warehouse.readText(`${place}/data/1.parquet`)).toBe("PAR1");
    expect(keysUsed()).toEqual(["PUT deep", "PUT wide", "GET deep"]);
    expect(bucket.requests.map(({ headers }) => headers["x-amz-security-token"])).toEqual(Array(3).fill("session"));
    await lent.catalog.reachFiles?.(table); // Known: the catalog is not asked again.
    expect(lent.asked).toEqual(["GET /v1/config", "GET /v1/namespaces/sales/tables/orders"]);
  });

  test("a table beside it, for which nothing was lent, has no store", async () => {
    await using lent = world({ load: () => ({ config: keys("own") }) });
    await lent.catalog.load(table);
    const write = lent.warehouse.create("s3://lake/sales/orders2/data/1.parquet", bytes);
    await expect(write).rejects.toThrow("no store is configured");
    expect(bucket.requests).toEqual([]);
  });

  test("are renewed at the credentials endpoint before they end, in one question for all that wait", async () => {
    let given = 0;
    const next = () => {
      given += 1;
      const config = keys(`key${given}`, Date.now() + aheadMs + hourMs);
      return { "storage-credentials": [{ prefix: "s3://lake/sales", config }] };
    };
    await using lent = world({ load: next, credentials: next });
    await lent.catalog.load(table);
    await lent.warehouse.create(`${place}/data/1.parquet`, bytes);
    aheadMs = hourMs - 400_000; // Over the margin of 5 minutes.
    await lent.warehouse.create(`${place}/data/2.parquet`, bytes);
    aheadMs = hourMs - 200_000;
    await Promise.all([3, 4, 5].map((n) => lent.warehouse.create(`${place}/data/${n}.parquet`, bytes)));
    expect(keysUsed()).toEqual(["PUT key1", "PUT key1", "PUT key2", "PUT key2", "PUT key2"]);
    expect(lent.asked.slice(2)).toEqual(["GET /v1/namespaces/sales/tables/orders/credentials"]);
  });

  test("are renewed with the table where there is no endpoint; keys learned by the way are used at once", async () => {
    let given = 0;
    const load = () => {
      given += 1;
      return { config: keys(`key${given}`, Date.now() + aheadMs + hourMs) };
    };
    await using lent = world({ load });
    await lent.catalog.load(table);
    await lent.warehouse.create(`${place}/data/1.parquet`, bytes);
    await lent.catalog.load(table);
    await lent.warehouse.create(`${place}/data/2.parquet`, bytes);
    aheadMs = hourMs;
    await lent.warehouse.create(`${place}/data/3.parquet`, bytes);
    expect(keysUsed()).toEqual(["PUT key1", "PUT key2", "PUT key3"]);
  });

  test.each([
    { status: 400, code: "ExpiredToken" },
    { status: 403, code: "AccessDenied" },
    { status: 403, code: "InvalidAccessKeyId" },
  ])("that the store refuses with $status $code are asked for again", async (refusal) => {
    let given = 0;
    const next = () => {
      given += 1;
      return { "storage-credentials": [{ prefix: place, config: keys(`key${given}`) }] };
    };
    await using lent = world({ load: next, credentials: next });
    await lent.catalog.load(table);
    refuse = (request) => (keyOf(request) === "key1" ? refusal : undefined);
    await lent.warehouse.create(`${place}/data/1.parquet`, bytes);
    refuse = (request) => (keyOf(request) === "key2" ? refusal : undefined);
    expect((await lent.warehouse.head(`${place}/data/1.parquet`))?.size).toBe(4);
    expect(keysUsed()).toEqual(["PUT key1", "PUT key2", "HEAD key2", "HEAD key3"]);
  });

  test("that are refused for good are an error that says so, after as many questions as attempts", async () => {
    await using lent = world({ load: () => ({ config: keys("own") }) });
    await lent.catalog.load(table);
    refuse = () => ({ status: 403, code: "AccessDenied" });
    await expect(lent.warehouse.create(`${place}/data/1.parquet`, bytes)).rejects.toThrow("AccessDenied");
    expect(keysUsed()).toEqual(Array(3).fill("PUT own"));
  });
});

test("where the catalog signs, what goes out is what it signed", async () => {
  const unsigned: object[] = [];
  await using lent = world({
    load: () => ({ config: { "s3.remote-signing-enabled": "true", "s3.signer.endpoint": "v1/sign" } }),
    sign: ({ method, uri, headers }) => {
      unsigned.push(headers);
      const names = ["x-amz-date", ...Object.keys(headers)].join(";");
      return {
        uri,
        headers: {
          ...headers,
          authorization: [`signed ${method} ${decodeURIComponent(new URL(uri).pathname)} ${names}`],
          "x-amz-date": ["now"],
        },
      };
    },
  });
  refuse = ({ method, key, headers, query }) => {
    const [, signed, path, names = ""] = /^signed (\S+) (.*) (\S+)$/.exec(headers.authorization ?? "") ?? [];
    const isSigned = (signed === method && path === `/lake/${key}`) || query.has("delete");
    // As stores do: what speaks to them and is not signed may be somebody else's.
    const amz = Object.keys(headers).filter((name) => name.startsWith("x-amz-"));
    const isAsSigned = isSigned && amz.every((name) => names.split(";").includes(name));
    return isAsSigned && headers["x-amz-date"] === "now" ? undefined : { status: 403, code: "AccessDenied" };
  };
  await lent.catalog.load(table);
  const file = `${place}/data/a=b c/1.parquet`;
  expect(await lent.warehouse.create(file, bytes)).toBe("created");
  expect(await lent.warehouse.readText(file)).toBe("PAR1");
  await lent.warehouse.remove([file]);
  expect(await lent.warehouse.head(file)).toBeUndefined();
  expect(unsigned.every((headers) => "host" in headers && !("user-agent" in headers))).toBe(true);
  expect(lent.asked.filter((each) => each === "POST /v1/sign")).toHaveLength(bucket.requests.length);
});
