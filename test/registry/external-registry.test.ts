/** Proves: schemas of another registry are found with what they refer to, asked for once, and waited for while nobody answers. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { type HttpGet, httpGetter } from "../../src/registry/external-http.ts";
import { ExternalRegistry } from "../../src/registry/external-registry.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import { open } from "./registry-server.ts";

const { clock, random } = systemRuntime();
const limits = { requestMsMax: 5000, schemasMax: 2, attemptsMax: 2, delayMsMin: 1, delayMsMax: 2 };

function external(urls: readonly string[], get: HttpGet = httpGetter({}), authorization?: string): ExternalRegistry {
  return new ExternalRegistry({ urls, authorization, get, clock, random, limits });
}

/** Passes requests on, and keeps them. */
function recorded() {
  const inner = httpGetter({});
  const asked: string[] = [];
  const get: HttpGet = async (url, headers, signal) => {
    asked.push(url.pathname);
    return await inner(url, headers, signal);
  };
  return { asked, get };
}

const inner = { schema: '{"type":"record","name":"In","fields":[{"name":"x","type":"int"}]}' };
const outer = {
  schema: '{"type":"record","name":"Out","fields":[{"name":"r","type":"In"}]}',
  references: [{ name: "In", subject: "inner", version: 1 }],
};

describe("against a registry", () => {
  test("by id with references, once; the latest of a subject each time", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/inner/versions", inner);
    await server.call("POST", "/subjects/outer/versions", outer);
    const { asked, get } = recorded();
    const registry = external([`${server.url}/`], get);
    const [found, same] = await Promise.all([registry.schemaById(2, "any"), registry.schemaById(2, "any")]);
    expect(found).toEqual({
      schemaType: "AVRO",
      schema: outer.schema,
      resolved: [{ name: "In", schema: inner.schema }],
    });
    expect([same, await registry.schemaById(2, "any")]).toEqual([found, found]);
    expect(asked).toEqual(["/schemas/ids/2", "/subjects/inner/versions/1"]);
    expect([await registry.latestId("outer"), await registry.latestId("outer")]).toEqual([2, 2]);
    expect(asked).toHaveLength(4);
  });

  test("an id is of the context of the subject; what is not there is no failure", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", { schema: '"int"' });
    await server.call("POST", "/subjects/:.team:s/versions", { schema: '"long"' });
    const registry = external([server.url]);
    expect(await registry.schemaById(1, "s")).toMatchObject({ schema: '"int"' });
    expect(await registry.schemaById(1, ":.team:s")).toMatchObject({ schema: '"long"' });
    expect(await registry.schemaById(7, "s")).toBe(undefined);
    expect(await registry.latestId("none")).toBe(undefined);
  });
});

test("one version under two names is there under both, and refers from its own context", async () => {
  const bodies: Readonly<Record<string, object>> = {
    "/schemas/ids/1": {
      schema: "{}",
      schemaType: "JSON",
      references: ["a", "b"].map((name) => ({ name, subject: ":.team:mid", version: 1 })),
    },
    "/subjects/%3A.team%3Amid/versions/1": { schema: "[]", references: [{ name: "c", subject: "in", version: 1 }] },
    "/subjects/%3A.team%3Ain/versions/1": { schema: "true" },
  };
  const get: HttpGet = async ({ pathname }) => ({
    status: bodies[pathname] === undefined ? 404 : 200,
    body: JSON.stringify(bodies[pathname] ?? { error_code: 40401, message: pathname }),
  });
  const found = await external(["http://there"], get).schemaById(1, "s");
  expect(found?.resolved.map(({ name }) => name)).toEqual(["c", "a", "b"]);
});

describe("trouble", () => {
  const answer = { status: 200, body: '{"schema":"\\"int\\""}' };

  test("the next server is asked, and the one that answered is asked first from then on", async () => {
    const asked: string[] = [];
    const get: HttpGet = async ({ hostname }) => {
      asked.push(hostname);
      if (hostname === "down") throw new Error("refused");
      return answer;
    };
    const registry = external(["http://down", "http://up"], get);
    await registry.schemaById(1, "s");
    await registry.schemaById(2, "s");
    expect(asked).toEqual(["down", "up", "up"]);
  });

  test.each([
    ["no connection", undefined],
    ["a server in trouble", { status: 503, body: "" }],
    ["too many requests", { status: 429, body: "{}" }],
    ["a proxy's page", { status: 404, body: "<html>" }],
    ["no JSON", { status: 200, body: "hello" }],
  ])("%s fails as an operation that did not happen, after its attempts, and is asked again later", async (_, bad) => {
    let asked = 0;
    const get: HttpGet = async () => {
      asked += 1;
      if (asked > limits.attemptsMax) return answer;
      if (bad === undefined) throw new Error("refused");
      return bad;
    };
    const registry = external(["http://one"], get);
    await expect(registry.schemaById(1, "s")).rejects.toThrow(OperationFailed);
    expect(asked).toBe(limits.attemptsMax);
    expect(await registry.schemaById(1, "s")).toMatchObject({ schema: '"int"' });
  });

  test("a refusal is not repeated, and says what was refused", async () => {
    let asked = 0;
    const get: HttpGet = async () => {
      asked += 1;
      return { status: 401, body: '{"error_code":401,"message":"Unauthorized"}' };
    };
    await expect(external(["http://one", "http://two"], get).latestId("s")).rejects.toThrow(/refuses us with 401/);
    expect(asked).toBe(1);
  });
});

test("credentials go with each request", async () => {
  const seen: unknown[] = [];
  const get: HttpGet = async (_url, headers) => {
    seen.push(headers["authorization"]);
    return { status: 200, body: '{"id":1}' };
  };
  await external(["http://one"], get, "Bearer t").latestId("s");
  await external(["http://one"], get).latestId("s");
  expect(seen).toEqual(["Bearer t", undefined]);
});

test.runIf(hasOpenssl)(
  "a server that wants a certificate gets ours, and is believed by its authority alone",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "inlet-external-"));
    const authority = new Authority(directory, "authority");
    const [server, client] = [authority.issue("server", "/CN=server"), authority.issue("client", "/CN=client")];
    const pem = (path: string): string => readFileSync(path, "utf8");
    const ca = pem(authority.certificate);
    const options = { cert: pem(server.certificate), key: pem(server.key), ca, requestCert: true };
    const https = createServer(options, (_request, response) => response.end('{"id":9}'));
    await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
    const url = `https://localhost:${(https.address() as AddressInfo).port}`;
    const ours = { ca, certificate: pem(client.certificate), key: pem(client.key) };
    try {
      expect(await external([url], httpGetter(ours)).latestId("s")).toBe(9);
      await expect(external([url], httpGetter({ ca })).latestId("s")).rejects.toThrow(OperationFailed);
      await expect(external([url], httpGetter({ ...ours, ca: undefined })).latestId("s")).rejects.toThrow(
        OperationFailed,
      );
    } finally {
      https.close();
      https.closeAllConnections();
      rmSync(directory, { recursive: true });
    }
  },
);
