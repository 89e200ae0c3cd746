/** Proves: a signed request to a REST catalog is what AWS's documents say, worked out here step by step. */
import { createHash, createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { open, type RestCatalogSettings } from "../../catalogs/rest.ts";
import { open as openS3Tables } from "../../catalogs/s3tables.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import { startRestCatalog } from "../support/rest-catalog.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { emptyTable } from "../table/iceberg/tables.ts";

type Fetch = typeof globalThis.fetch;

const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "of/the+test", sessionToken: "session" };
const credentials = { kind: "static", keys } as const;
const deps = (fetch: Fetch) => ({
  runtime: seededRuntime(1),
  logger: silent,
  limits: { requestMsMax: 10_000, responseBytesMax: 1 << 20 },
  fetch,
});
const arn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/lake";
const table = { namespace: ["sales"], name: "orders" };

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

/** The Authorization header that the request must have, from its other headers (AWS Signature Version 4, "Create a signed request"). */
function expectedAuthorization(method: string, url: URL, headers: Headers, body: string, service: string): string {
  const authorization = headers.get("authorization") ?? "";
  const names = (/SignedHeaders=([^,]*)/.exec(authorization)?.[1] ?? "").split(";");
  const values = names.map((name) => `${name}:${(name === "host" ? url.host : headers.get(name))?.trim()}\n`);
  const path = url.pathname.split("/").map(encodeURIComponent).join("/"); // Once more than it is sent.
  const query = [...url.searchParams].map((pair) => pair.map(encodeURIComponent).join("=")).sort();
  const canonical = [method, path, query.join("&"), values.join(""), names.join(";"), sha256(body)].join("\n");
  const time = headers.get("x-amz-date") ?? "";
  const scope = [time.slice(0, 8), "eu-west-1", service, "aws4_request"];
  const text = ["AWS4-HMAC-SHA256", time, scope.join("/"), sha256(canonical)].join("\n");
  let key = hmac(`AWS4${keys.secretAccessKey}`, scope[0] as string);
  for (const part of scope.slice(1)) key = hmac(key, part);
  const signature = hmac(key, text).toString("hex");
  const who = `Credential=${keys.accessKeyId}/${scope.join("/")}`;
  return `AWS4-HMAC-SHA256 ${who}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
}

test("S3 Tables: the region's endpoint, the ARN as warehouse, its prefix as it came, every request signed", async () => {
  const seen: string[] = [];
  const fetch: Fetch = async (input, init) => {
    const url = new URL(input);
    seen.push(`${init?.method} ${url.href}`);
    const headers = new Headers(init?.headers);
    const body = (init?.body as string | undefined) ?? "";
    const expected = expectedAuthorization(init?.method ?? "", url, headers, body, "s3tables");
    expect(headers.get("authorization")).toBe(expected);
    expect(headers.get("authorization")).toContain("x-amz-content-sha256");
    expect(headers.get("x-amz-security-token")).toBe("session");
    const config = { overrides: { prefix: encodeURIComponent(arn) } };
    return url.pathname.endsWith("/config") ? Response.json(config) : new Response("{}", { status: 409 });
  };
  await using catalog = openS3Tables({ name: "main", arn, endpoint: null, credentials }, deps(fetch));
  expect(catalog.isSelfMaintained).toBe(true);
  expect((await catalog.commit(table, [], [])).kind).toBe("conflict");
  const bucket = encodeURIComponent(arn);
  expect(seen).toEqual([
    `GET https://s3tables.eu-west-1.amazonaws.com/iceberg/v1/config?warehouse=${bucket}`,
    `POST https://s3tables.eu-west-1.amazonaws.com/iceberg/v1/${bucket}/namespaces/sales/tables/orders`,
  ]);
});

describe("a service whose clock is far from ours", () => {
  const signedAt = (init: RequestInit | undefined): number => {
    const [, day, time] = /^(\d{8})T(\d{6})Z$/.exec(new Headers(init?.headers).get("x-amz-date") ?? "") ?? [];
    const [date, clock] = [day?.replace(/(....)(..)(..)/, "$1-$2-$3"), time?.replace(/(..)(..)(..)/, "$1:$2:$3")];
    return Date.parse(`${date}T${clock}Z`);
  };
  const refusal = { message: "Signature not yet current", __type: "InvalidSignatureException" };

  test.each([-3_600_000, 600_000])("is asked again, by its own time, and from then on (%i ms)", async (aheadMs) => {
    const seen: (string | undefined)[] = [];
    const fetch: Fetch = async (input, init) => {
      const serviceMs = Date.now() + aheadMs;
      const headers = { date: new Date(serviceMs).toUTCString() };
      seen.push(init?.method);
      if (Math.abs(signedAt(init) - serviceMs) > 300_000) return Response.json(refusal, { status: 403, headers });
      if (new URL(input).pathname.endsWith("/config")) return Response.json({}, { headers });
      return new Response("{}", { status: 409, headers });
    };
    await using catalog = openS3Tables({ name: "main", arn, endpoint: null, credentials }, deps(fetch));
    expect((await catalog.commit(table, [], [])).kind).toBe("conflict");
    expect(seen).toEqual(["GET", "GET", "POST"]);
  });

  test.each([
    ["is as ours", { date: new Date().toUTCString() }],
    ["is not told", {}],
  ])("is not what was wrong when it %s", async (_, headers) => {
    let asked = 0;
    const fetch: Fetch = async () => {
      asked += 1;
      return Response.json({ message: "User is not authorized" }, { status: 403, headers });
    };
    await using catalog = openS3Tables({ name: "main", arn, endpoint: null, credentials }, deps(fetch));
    await expect(catalog.load(table)).rejects.toThrow("not authorized");
    expect(asked).toBe(1);
  });
});

test("keys that cannot be had are an error, and nothing happened", async () => {
  const auth = {
    kind: "sigv4",
    service: "glue",
    region: "eu-west-1",
    credentials: { kind: "profile", profile: "there-is-none-of-this-name" },
  } as const;
  const settings: RestCatalogSettings = {
    name: "main",
    uri: "http://here",
    warehouse: null,
    auth,
    accessDelegation: null,
    properties: new Map(),
  };
  await using catalog = open(
    settings,
    deps(async () => Response.json({})),
  );
  const failure = await catalog.load(table).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(OperationFailed);
  expect((failure as OperationFailed).happened).toBe("no");
});

test("a server that stages nothing and numbers fields by itself ends with our field ids all the same", async () => {
  await using server = await startRestCatalog();
  const fetchUnstaged: Fetch = async (input, init) => {
    const isCreate = init?.method === "POST" && (input as string).endsWith("/tables");
    if (!isCreate) return await fetch(input, init);
    const body = JSON.parse(init.body as string) as { "stage-create": boolean; schema: { fields: { id: number }[] } };
    const refusal = { error: { message: "Malformed request: Stage create is not supported", code: 400 } };
    if (body["stage-create"]) return Response.json(refusal, { status: 400 });
    for (const field of body.schema.fields) field.id += 10;
    return await fetch(input, { ...init, body: JSON.stringify(body) });
  };
  const auth = { kind: "none" } as const;
  await using catalog = open(
    { name: "main", uri: server.url, warehouse: "main", auth, accessDelegation: null, properties: new Map() },
    deps(fetchUnstaged),
  );
  const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
  const spec = { "spec-id": 0, fields: [] };
  const made = await catalog.create(table, creationUpdates({ schema, lastColumnId: 2, spec, location: null }));
  if (made.kind !== "created") throw new Error(made.kind);
  const current = made.table.metadata.schemas.find(
    (each) => each["schema-id"] === made.table.metadata["current-schema-id"],
  );
  expect(current?.fields).toEqual(schema.fields);
});
