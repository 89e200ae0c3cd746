/** Proves: the embedded catalog answers as the REST specification words it, with and without prefix, and vends only when told to. */
import { describe, expect, test } from "vitest";
import { MemoryMetadata } from "../../support/memory-metadata.ts";
import { startRestCatalog, type TestCatalog } from "../../support/rest-catalog.ts";

/** Properties of a new table of which nothing is said. */
const fresh = { "write.parquet.compression-codec": "zstd" };
const schema = { type: "struct", fields: [{ id: 0, name: "id", required: false, type: "long" }] };

async function call(
  catalog: TestCatalog,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(catalog.url + path, { method, headers, ...(body === undefined ? {} : { body: text }) });
  const answer = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (answer === "" ? null : JSON.parse(answer)) as never,
  };
}

async function withTable(catalog: TestCatalog): Promise<void> {
  expect((await call(catalog, "POST", "/v1/namespaces", { namespace: ["a"] })).status).toBe(200);
  expect((await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "t", schema })).status).toBe(200);
}

test("config lists what works, and nothing else", async () => {
  await using catalog = await startRestCatalog();
  const { body } = await call(catalog, "GET", "/v1/config?warehouse=main");
  const { endpoints, defaults, overrides } = body as {
    endpoints: readonly string[];
    defaults: object;
    overrides: object;
  };
  expect([defaults, overrides]).toEqual([{ warehouse: catalog.root }, {}]);
  expect(endpoints).toContain("HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}");
  expect(endpoints).toContain("POST /v1/{prefix}/transactions/commit");
  expect(endpoints).toHaveLength(24);
  for (const endpoint of endpoints) {
    const [method = "", path = ""] = endpoint.split(" ");
    const { status, body: answer } = await call(
      catalog,
      method,
      path.replaceAll(/\{\w+\}/g, "x"),
      method === "POST" ? "{}" : undefined,
    );
    const type = (answer as { error?: { type: string } } | null)?.error?.type;
    expect([status, type], endpoint).not.toEqual([404, "BadRequestException"]); // That would be the router's.
  }
});

describe("errors", () => {
  const cases: readonly (readonly [
    method: string,
    path: string,
    body: unknown,
    status: number,
    type: string | undefined,
  ])[] = [
    ["GET", "/v1/namespaces/none", undefined, 404, "NoSuchNamespaceException"],
    ["POST", "/v1/namespaces", { namespace: ["a"] }, 409, "AlreadyExistsException"],
    ["POST", "/v1/namespaces", { namespace: "a" }, 400, "BadRequestException"],
    ["POST", "/v1/namespaces", "{", 400, "BadRequestException"],
    ["POST", "/v1/namespaces", "[]", 400, "BadRequestException"],
    ["DELETE", "/v1/namespaces/a", undefined, 409, "NamespaceNotEmptyException"],
    [
      "POST",
      "/v1/namespaces/a/properties",
      { removals: ["x"], updates: { x: "1" } },
      422,
      "UnprocessableEntityException",
    ],
    ["GET", "/v1/namespaces/a/tables/none", undefined, 404, "NoSuchTableException"],
    ["GET", "/v1/namespaces/none/tables", undefined, 404, "NoSuchNamespaceException"],
    ["POST", "/v1/namespaces/a/tables", { name: "t", schema }, 409, "AlreadyExistsException"],
    [
      "POST",
      "/v1/namespaces/a/tables",
      { name: "u", schema: { type: "struct", fields: [{}] } },
      400,
      "BadRequestException",
    ],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [{ type: "constructor" }], updates: [] },
      400,
      "BadRequestException",
    ],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [], updates: [{ action: "toString" }] },
      400,
      "BadRequestException",
    ],
    ["POST", "/v1/namespaces/a/tables/none", { requirements: [], updates: [] }, 404, "NoSuchTableException"],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [{ type: "assert-create" }], updates: [] },
      409,
      "CommitFailedException",
    ],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [{ type: "assert-moon" }], updates: [] },
      400,
      "BadRequestException",
    ],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [], updates: [{ action: "explode" }] },
      400,
      "BadRequestException",
    ],
    [
      "POST",
      "/v1/namespaces/a/tables/t",
      { requirements: [], updates: [{ action: "add-snapshot", snapshot: {} }] },
      400,
      "BadRequestException",
    ],
    [
      "POST",
      "/v1/namespaces/a/register",
      { name: "r", "metadata-location": "memory://lake/warehouse/no" },
      400,
      "BadRequestException",
    ],
    ["POST", "/v1/namespaces/a/register", { name: "r", "metadata-location": "\u00be" }, 400, "BadRequestException"],
    [
      "POST",
      "/v1/tables/rename",
      { source: { namespace: ["a"], name: "t" }, destination: { namespace: ["none"], name: "t" } },
      404,
      "NoSuchNamespaceException",
    ],
    ["HEAD", "/v1/namespaces/a/tables/none", undefined, 404, undefined],
    ["GET", "/v1/nowhere", undefined, 404, "BadRequestException"],
  ];
  test.each(cases)("%s %s %o is %i %s", async (method, path, body, status, type) => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const answer = await call(catalog, method, path, body);
    expect(answer.status).toBe(status);
    const { error } = (answer.body ?? {}) as { error?: { type: string; code: number } };
    expect([error?.type, error?.code ?? status]).toEqual([type, status]);
  });
});

describe("tables", () => {
  test("a prefix is as good as none, and %1F joins a namespace's parts", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    await call(catalog, "POST", "/v1/main/namespaces", { namespace: ["a", "b.c"] });
    await call(catalog, "POST", "/v1/main/namespaces/a%1Fb.c/tables", { name: "t", schema });
    const { body } = await call(catalog, "GET", "/v1/namespaces/a%1Fb.c/tables");
    // A server without pages leaves `next-page-token` out.
    expect(body).toEqual({ identifiers: [{ namespace: ["a", "b.c"], name: "t" }] });
    expect((await call(catalog, "GET", "/v1/namespaces?parent=a")).body).toEqual({ namespaces: [["a", "b.c"]] });
  });

  test("have a place of their own, for ever", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const place = async () => {
      const { body } = await call(catalog, "GET", "/v1/namespaces/a/tables/t");
      return (body as { metadata: { location: string } }).metadata.location;
    };
    const before = await place();
    await call(catalog, "DELETE", "/v1/namespaces/a/tables/t?purgeRequested=true");
    await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "t", schema });
    expect(await place()).not.toBe(before);
    expect(before.startsWith(`${catalog.root}/a/t-`)).toBe(true);
  });

  test("a staged table is nowhere until its commit", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const staged = await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "s", schema, "stage-create": true });
    expect((staged.body as { metadata: object }).metadata).toHaveProperty("table-uuid");
    expect((await call(catalog, "HEAD", "/v1/namespaces/a/tables/s")).status).toBe(404);
  });

  test("an unchanged table is not sent again", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const tag = (await call(catalog, "GET", "/v1/namespaces/a/tables/t")).headers.get("etag") ?? "";
    expect((await call(catalog, "GET", "/v1/namespaces/a/tables/t", undefined, { "if-none-match": tag })).status).toBe(
      304,
    );
    const updates = [{ action: "set-properties", updates: { a: "b" } }];
    await call(catalog, "POST", "/v1/namespaces/a/tables/t", { requirements: [], updates });
    expect((await call(catalog, "GET", "/v1/namespaces/a/tables/t", undefined, { "if-none-match": tag })).status).toBe(
      200,
    );
  });

  test("a transaction changes all its tables or none", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "u", schema });
    const change = (name: string, requirements: readonly object[]) => ({
      identifier: { namespace: ["a"], name },
      requirements,
      updates: [{ action: "set-properties", updates: { done: "yes" } }],
    });
    const wrong = [{ type: "assert-table-uuid", uuid: "00000000-0000-0000-0000-000000000000" }];
    const properties = async (name: string) => {
      const { body } = await call(catalog, "GET", `/v1/namespaces/a/tables/${name}`);
      return (body as { metadata: { properties: object } }).metadata.properties;
    };
    const failed = await call(catalog, "POST", "/v1/transactions/commit", {
      "table-changes": [change("t", []), change("u", wrong)],
    });
    expect([failed.status, await properties("t")]).toEqual([409, fresh]);
    const done = await call(catalog, "POST", "/v1/transactions/commit", {
      "table-changes": [change("t", []), change("u", [])],
    });
    expect([done.status, await properties("t"), await properties("u")]).toEqual([
      204,
      { ...fresh, done: "yes" },
      { ...fresh, done: "yes" },
    ]);
  });

  test("a transaction holds what it only demands of a table until it is done", async () => {
    const metadata = new MemoryMetadata();
    const race = { isOn: false, run: async () => {} };
    const racing = new Proxy(metadata, {
      get(target, name) {
        if (name !== "propose") return Reflect.get(target, name, target) as unknown;
        return async (events: Parameters<typeof metadata.propose>[0]) => {
          if (race.isOn) {
            race.isOn = false;
            await race.run();
          }
          return await target.propose(events);
        };
      },
    });
    await using catalog = await startRestCatalog({ metadata: racing });
    await withTable(catalog);
    await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "u", schema });
    const touch = [{ action: "set-properties", updates: { touched: "yes" } }];
    const wide = [
      { action: "add-schema", schema: { ...schema, fields: [{ ...schema.fields[0], name: "other" }] } },
      { action: "set-current-schema", "schema-id": -1 },
    ];
    race.run = async () => {
      const { status } = await call(catalog, "POST", "/v1/namespaces/a/tables/t", { requirements: [], updates: wide });
      expect(status).toBe(200);
    };
    race.isOn = true;
    const demand = { type: "assert-current-schema-id", "current-schema-id": 0 };
    const { status } = await call(catalog, "POST", "/v1/transactions/commit", {
      "table-changes": [
        { identifier: { namespace: ["a"], name: "t" }, requirements: [demand], updates: [] },
        { identifier: { namespace: ["a"], name: "u" }, requirements: [], updates: touch },
      ],
    });
    const { body } = await call(catalog, "GET", "/v1/namespaces/a/tables/u");
    const { properties } = (body as { metadata: { properties: object } }).metadata;
    expect([status, properties]).toEqual([409, fresh]);
  });

  test("commits that race are all applied while their requirements hold", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const commits = Array.from({ length: 5 }, (_, index) => {
      const updates = [{ action: "set-properties", updates: { [`k${index}`]: "v" } }];
      return call(catalog, "POST", "/v1/namespaces/a/tables/t", { requirements: [], updates });
    });
    expect((await Promise.all(commits)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const { body } = await call(catalog, "GET", "/v1/namespaces/a/tables/t");
    expect(Object.keys((body as { metadata: { properties: object } }).metadata.properties)).toHaveLength(1 + 5);
  });
});

describe("file access", () => {
  const vended = new Map([
    ["s3.access-key-id", "reader"],
    ["s3.secret-access-key", "readers-secret"],
  ]);

  test("nothing is vended by default, even to who asks", async () => {
    await using catalog = await startRestCatalog();
    await withTable(catalog);
    const asks = { "x-iceberg-access-delegation": "vended-credentials" };
    const { body } = await call(catalog, "GET", "/v1/namespaces/a/tables/t", undefined, asks);
    expect(body).toMatchObject({ config: {} });
    expect(body).not.toHaveProperty("storage-credentials");
  });

  test("the readers' keys are, once an operator said so", async () => {
    await using catalog = await startRestCatalog({ vended });
    await withTable(catalog);
    const { body } = await call(catalog, "GET", "/v1/namespaces/a/tables/t");
    const config = Object.fromEntries(vended);
    expect(body).toMatchObject({ config, "storage-credentials": [{ prefix: "memory://lake", config }] });
  });
});

describe("a token", () => {
  test("is wanted for every request, of the configuration too, and no other will do", async () => {
    await using catalog = await startRestCatalog({ token: "s3cr3t" });
    const paths = ["/v1/config", "/v1/namespaces", "/v1/any/namespaces/a/tables/t"];
    for (const path of paths) {
      for (const authorization of ["", "s3cr3t", "Bearer s3cr3", "Bearer s3cr3t2", "Basic s3cr3t"]) {
        const { status, body } = await call(catalog, "GET", path, undefined, { authorization });
        expect({ status, body }).toMatchObject({ status: 401, body: { error: { type: "NotAuthorizedException" } } });
      }
      const { status } = await call(catalog, "GET", path, undefined, { authorization: "Bearer s3cr3t" });
      expect(status).not.toBe(401);
    }
  });
});
