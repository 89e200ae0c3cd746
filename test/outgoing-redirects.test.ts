/** Proves: whom the broker calls over HTTP cannot send it on to somebody else, with its token or for a look at what only it can reach. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { open as openRest } from "../catalogs/rest.ts";
import { fetchKeys } from "../src/authentication.ts";
import { httpGetter } from "../src/registry/external-http.ts";
import { ExternalRegistry } from "../src/registry/external-registry.ts";
import { seededRuntime, silent } from "./support/seeded.ts";

const runtime = seededRuntime(1);

const callers: Readonly<Record<string, (url: string) => Promise<unknown>>> = {
  "the keys of tokens": (url) => fetchKeys(`${url}/keys`),
  "a REST catalog": async (url) => {
    const settings = {
      name: "main",
      uri: url,
      warehouse: "main",
      auth: { kind: "bearer", token: "the secret" },
      accessDelegation: null,
      properties: new Map(),
    } as const;
    const limits = { requestMsMax: 5_000, responseBytesMax: 1024 };
    return await openRest(settings, { runtime, logger: silent, limits }).load({ namespace: ["a"], name: "t" });
  },
  "an external registry": async (url) => {
    const limits = { requestMsMax: 5_000, schemasMax: 2, attemptsMax: 1, delayMsMin: 1, delayMsMax: 2 };
    const authorization = "Bearer the secret";
    const get = httpGetter({});
    return await new ExternalRegistry({ urls: [url], authorization, get, ...runtime, limits }).latestId("s");
  },
};

async function served(answer: (request: IncomingMessage) => readonly [status: number, location: string]) {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const [status, location] = answer(request);
    response.writeHead(status, { location }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

describe.each(Object.entries(callers))("%s", (_, call) => {
  test.each([301, 302, 303, 307, 308])(
    "that answers %i has no answer, and who it names hears nothing",
    async (status) => {
      await using elsewhere = await served(() => [200, ""]);
      await using asked = await served((request) => [status, `${elsewhere.url}${request.url}`]);
      await expect(call(asked.url)).rejects.toThrow();
      expect(asked.asked.length).toBeGreaterThan(0);
      expect(elsewhere.asked).toEqual([]);
    },
  );
});
