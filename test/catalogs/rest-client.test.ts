/** Proves: a question that a connection ended under is asked again on a new one, once; what changes something never is, nor what took too long. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { NoAnswer, RestClient, type RestRequest } from "../../catalogs/rest-client.ts";
import { systemRuntime } from "../../src/base/runtime.ts";

/** A server that answers requests as it is told for each of them, "end" being the connection's. */
async function serve(turns: readonly ("end" | "answer" | "silence")[]) {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const turn = turns[asked.length] ?? "answer";
    asked.push(request.method ?? "");
    if (turn === "end") request.socket.destroy();
    else if (turn === "answer") response.end("here");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const limits = { requestMsMax: 300, responseBytesMax: 1000 };
  const client = new RestClient({ fetch: globalThis.fetch, clock: systemRuntime().clock, limits });
  const { port } = server.address() as AddressInfo;
  const send = (method: RestRequest["method"]) => {
    return client.sendUnauthorized({ method, uri: `http://127.0.0.1:${port}/v1/config` });
  };
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { asked, send, [Symbol.dispose]: close };
}

test("a GET whose connection ended is sent again", async () => {
  using catalog = await serve(["end", "answer"]);
  expect(await catalog.send("GET")).toMatchObject({ status: 200, body: "here", etag: null });
  expect(catalog.asked).toEqual(["GET", "GET"]);
});

test("and only once", async () => {
  using catalog = await serve(["end", "end"]);
  await expect(catalog.send("GET")).rejects.toThrow(NoAnswer);
  expect(catalog.asked).toEqual(["GET", "GET"]);
});

test("a POST is sent once: it may have happened", async () => {
  using catalog = await serve(["end", "answer"]);
  await expect(catalog.send("POST")).rejects.toThrow(NoAnswer);
  expect(catalog.asked).toEqual(["POST"]);
});

test("a GET that took all of its time is not sent again", async () => {
  using catalog = await serve(["silence", "answer"]);
  await expect(catalog.send("GET")).rejects.toThrow(NoAnswer);
  expect(catalog.asked).toEqual(["GET"]);
});
