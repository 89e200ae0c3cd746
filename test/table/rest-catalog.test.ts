/** Proves: catalogs/rest keeps the contract over the embedded catalog on real sockets, and authorizes as RFC 6749 says. */
import { describe, expect, test } from "vitest";
import { open, type RestCatalogSettings } from "../../catalogs/rest.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import { startRestCatalog } from "../support/rest-catalog.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { type CatalogWorld, catalogContract, type Fault } from "./catalog-contract.ts";

type Fetch = typeof globalThis.fetch;

const settings = (uri: string, changes: Partial<RestCatalogSettings> = {}): RestCatalogSettings => ({
  name: "main",
  uri,
  warehouse: "main",
  auth: { kind: "none" },
  accessDelegation: null,
  properties: new Map(),
  ...changes,
});
const deps = (fetch?: Fetch, logger: Logger = silent) => ({
  runtime: seededRuntime(1),
  logger,
  limits: { requestMsMax: 10_000, responseBytesMax: 1 << 20 },
  ...(fetch === undefined ? {} : { fetch }),
});

async function start(): Promise<CatalogWorld> {
  const server = await startRestCatalog();
  const direct = open(settings(server.url), deps());
  const world: CatalogWorld = {
    direct,
    fault: undefined,
    catalog: open(
      settings(server.url),
      deps((input, init) => faulty(world, input, init)),
    ),
    async [Symbol.asyncDispose]() {
      await direct[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
  return world;
}

async function faulty(world: CatalogWorld, ...[input, init]: Parameters<Fetch>): Promise<Response> {
  const isCommit = init?.method === "POST" && /\/(tables\/[^/]+|transactions\/commit)$/.test(input as string);
  const fault: Fault | undefined = isCommit ? world.fault : undefined;
  if (fault === undefined) return await fetch(input, init);
  world.fault = undefined;
  if (fault === "request-lost") throw new TypeError("fetch failed");
  if (typeof fault === "object" && !fault.happens) return new Response("{}", { status: fault.status });
  const response = await fetch(input, init);
  await response.arrayBuffer();
  if (fault === "request-doubled") return await fetch(input, init);
  if (typeof fault === "object") return new Response("<html>gateway</html>", { status: fault.status });
  if (fault === "answer-lost") throw new TypeError("other side closed");
  throw new DOMException("timed out", "TimeoutError");
}

catalogContract("rest over the embedded one", start, { hasTransactions: true });

describe("configuration", () => {
  test("server defaults, then our properties, then overrides; prefix, separator and headers", async () => {
    const seen: { readonly url: string; readonly headers: Headers }[] = [];
    const config = {
      defaults: { prefix: "from-defaults", "header.X-A": "1" },
      overrides: { "namespace-separator": "%2E", uri: "http://elsewhere/api" },
      "idempotency-key-lifetime": "PT30M",
    };
    const catalog = open(
      settings("http://here/", { properties: new Map([["prefix", "ours"]]), accessDelegation: "vended-credentials" }),
      deps(async (input, init) => {
        seen.push({ url: input as string, headers: new Headers(init?.headers) });
        return (input as string).includes("/v1/config") ? Response.json(config) : new Response("{}", { status: 409 });
      }),
    );
    expect((await catalog.commit({ namespace: ["a b", "c"], name: "t/1" }, [], [])).kind).toBe("conflict");
    expect(seen.map(({ url }) => url)).toEqual([
      "http://here/v1/config?warehouse=main",
      "http://elsewhere/api/v1/ours/namespaces/a%20b%2Ec/tables/t%2F1",
    ]);
    const headers = seen[1]?.headers;
    expect(headers?.get("x-a")).toBe("1");
    expect(headers?.get("x-iceberg-access-delegation")).toBe("vended-credentials");
    expect(headers?.get("idempotency-key")).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });

  test("a catalog that is down at the start is asked again at the next use", async () => {
    let isDown = true;
    const catalog = open(
      settings("http://here"),
      deps(async (input) => {
        if (isDown) throw new TypeError("fetch failed");
        return (input as string).includes("/v1/config") ? Response.json({}) : new Response("{}", { status: 404 });
      }),
    );
    await expect(catalog.load({ namespace: ["a"], name: "t" })).rejects.toThrow("no answer");
    isDown = false;
    expect(await catalog.load({ namespace: ["a"], name: "t" })).toBeUndefined();
  });
});

describe("an answer that is no catalog's", () => {
  const config = (body: string) => (input: string) =>
    input.includes("/v1/config") ? new Response("{}") : new Response(body);
  test.each([
    ["a proxy's page", config("<html>sign in</html>")],
    ["no table", config("{}")],
    ["a table of a later version", config('{"metadata":{"format-version":4}}')],
    ["a page instead of the configuration", () => new Response("<html>")],
  ])("%s is a failure of the catalog, to be asked again", async (_what, answer) => {
    const catalog = open(
      settings("http://here"),
      deps(async (input) => answer(input as string)),
    );
    await expect(catalog.load({ namespace: ["a"], name: "t" })).rejects.toThrow(OperationFailed);
  });
});

describe("endpoints", () => {
  const table = { namespace: ["a"], name: "t" };
  const listing = (endpoints: readonly string[] | undefined, seen: string[] = []) =>
    open(
      settings("http://here"),
      deps(async (input, init) => {
        if ((input as string).includes("/v1/config")) return Response.json({ endpoints });
        seen.push(`${init?.method} ${new URL(input).pathname}`);
        return new Response("{}", { status: 409 });
      }),
    );

  test("that the catalog does not list are not called", async () => {
    const seen: string[] = [];
    const reader = listing(["GET /v1/{prefix}/namespaces/{ns}/tables/{table}"], seen);
    await expect(reader.commit(table, [], [])).rejects.toThrow("does not offer POST");
    await expect(reader.create(table, [])).rejects.toThrow("does not offer POST");
    expect(await reader.commitAll?.([{ table, requirements: [], updates: [] }])).toEqual({ kind: "unsupported" });
    expect(seen).toEqual([]);
  });

  test("transactions: only where they are listed", async () => {
    expect((await listing(undefined).commitAll?.([]))?.kind).toBe("unsupported");
    const seen: string[] = [];
    expect((await listing(["POST /v1/{prefix}/transactions/commit"], seen).commitAll?.([]))?.kind).toBe("conflict");
    expect(seen).toEqual(["POST /v1/transactions/commit"]);
  });
});

describe("authorization", () => {
  const secret = "s3cr3t-of-the-client";

  test("client credentials: one token for many requests, one new one after a 401, and no secret in logs or errors", async () => {
    const lines: string[] = [];
    const write = (...parts: readonly unknown[]): void => void lines.push(JSON.stringify(parts));
    const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
    let token = 0;
    let valid = "";
    const fetch: Fetch = async (input, init) => {
      const url = input as string;
      if (url === "http://auth/token") {
        const form = new URLSearchParams(init?.body as string);
        expect(Object.fromEntries(form)).toEqual({
          grant_type: "client_credentials",
          scope: "catalog",
          client_id: "me",
          client_secret: secret,
        });
        token += 1;
        valid = `Bearer token-${token}`;
        return Response.json({ access_token: `token-${token}`, token_type: "bearer", expires_in: 3600 });
      }
      if (new Headers(init?.headers).get("authorization") !== valid) return new Response("{}", { status: 401 });
      return url.includes("/v1/config") ? Response.json({}) : new Response("{}", { status: 404 });
    };
    const auth = {
      kind: "oauth2",
      tokenUri: "http://auth/token",
      clientId: "me",
      clientSecret: secret,
      scope: "catalog",
    } as const;
    const catalog = open(settings("http://here", { auth }), deps(fetch, logger));
    const load = () => catalog.load({ namespace: ["a"], name: "t" });
    await Promise.all([load(), load(), load()]);
    expect(token).toBe(1);
    valid = "Bearer revoked";
    await load();
    expect(token).toBe(2);
    expect(lines.join()).not.toContain(secret);
    expect(lines.join()).not.toContain("token-");
  });

  test("a commit for which there is no token was not sent", async () => {
    const fetch: Fetch = async (input) => {
      if (input === "http://auth/token") throw new Error("the connection was cut");
      return Response.json({});
    };
    const auth = {
      kind: "oauth2",
      tokenUri: "http://auth/token",
      clientId: "me",
      clientSecret: secret,
      scope: "c",
    } as const;
    let isFirst = true;
    const once: Fetch = async (input, init) => {
      if (input !== "http://auth/token" || !isFirst) return await fetch(input, init);
      isFirst = false;
      return Response.json({ access_token: "token", expires_in: 0 });
    };
    const catalog = open(settings("http://here", { auth }), deps(once));
    const failure = await catalog.commit({ namespace: ["a"], name: "t" }, [], []).catch((cause: unknown) => cause);
    expect(failure).toMatchObject({ happened: "no" });
  });

  test("a refused token is an error that says nothing of it", async () => {
    const auth = { kind: "bearer", token: secret } as const;
    const catalog = open(
      settings("http://here", { auth }),
      deps(async () => new Response("{}", { status: 401 })),
    );
    const failure = await catalog.load({ namespace: ["a"], name: "t" }).catch((cause: unknown) => cause);
    expect(String(failure)).toContain("HTTP 401");
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure as object))).not.toContain(secret);
  });
});
