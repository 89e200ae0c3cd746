/** Proves: the HTTP server answers routes within its bounds, refuses names and origins that are not its own, and closes without cutting a running request. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { type HttpRoute, jsonResponse } from "../../src/base/http.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import { type AdminSurface, adminRoutes, type FlushOutcome } from "../../src/server/admin-routes.ts";
import { type HttpServerOptions, openHttpServer } from "../../src/server/http.ts";
import { type TableAnswer, type TableStateSurface, tableStateRoutes } from "../../src/server/table-state-routes.ts";

const logged: string[] = [];
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (message) => void logged.push(message),
  child: () => logger,
};

function open(routes: readonly HttpRoute[], extra: Partial<HttpServerOptions> = {}) {
  return openHttpServer({
    name: "test",
    host: "127.0.0.1",
    port: 0,
    routes,
    hostsAllowed: ["broker.example"],
    bodyBytesMax: 1000,
    connectionsMax: 10,
    requestMsMax: 5000,
    closeMsMax: 5000,
    clock: systemRuntime().clock,
    logger,
    ...extra,
  });
}

const echo: HttpRoute = {
  method: "POST",
  path: "/echo/:name/parts",
  handle: ({ params, query, body }) =>
    jsonResponse(200, { name: params["name"], q: query.get("q"), body: Buffer.from(body).toString() }),
};

async function statusWith(url: string, headers: Record<string, string>): Promise<number> {
  const request = httpRequest(`${url}/x`, { headers });
  request.end();
  const [response] = (await once(request, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

describe("routes", () => {
  test("values of the path are decoded after splitting, the query is read, the body arrives", async () => {
    await using server = await open([echo]);
    const response = await fetch(`${server.url}/echo/a%2Fb%1Fc/parts/?q=%20x`, { method: "POST", body: "hi" });
    expect(await response.json()).toEqual({ name: "a/b\u001fc", q: " x", body: "hi" });
  });

  test("what is not there is 404, another method 405, a bad escape 400", async () => {
    await using server = await open([echo]);
    const status = async (path: string, method: string) => (await fetch(server.url + path, { method })).status;
    expect(await status("/nowhere", "GET")).toBe(404);
    expect(await status("/echo/x/parts", "GET")).toBe(405);
    expect(await status("/echo/%FF/parts", "POST")).toBe(400);
    expect(await status("/echo//parts", "POST")).toBe(404);
  });

  test("HEAD is answered by GET without its body", async () => {
    await using server = await open([{ method: "GET", path: "/x", handle: () => ({ status: 200, body: "four" }) }]);
    const response = await fetch(`${server.url}/x`, { method: "HEAD" });
    expect([response.status, response.headers.get("content-length"), await response.text()]).toEqual([200, "4", ""]);
  });

  test("a handler that fails is a 500 that tells the client nothing and the log everything", async () => {
    const fails: HttpRoute = { method: "GET", path: "/x", handle: () => Promise.reject(new Error("secret detail")) };
    await using server = await open([fails]);
    const response = await fetch(`${server.url}/x`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    expect(logged.at(-1)).toBe("an HTTP request failed");
  });
});

describe("bounds", () => {
  test("a body past the limit is refused, announced or chunked, and the connection ends", async () => {
    await using server = await open([echo]);
    const announced = await fetch(`${server.url}/echo/x/parts`, { method: "POST", body: "x".repeat(1001) });
    expect(announced.status).toBe(413);
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 40; i++) controller.enqueue(Buffer.alloc(100));
        controller.close();
      },
    });
    const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
    const chunked = await fetch(`${server.url}/echo/x/parts`, init).then(
      ({ status }) => status,
      () => "cut",
    );
    expect([413, "cut"]).toContain(chunked);
  });

  test("a request that never ends is cut", async () => {
    await using server = await open([echo], { requestMsMax: 100 });
    const socket = connect(server.port, "127.0.0.1");
    socket.write("POST /echo/x/parts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nabc");
    socket.resume();
    await once(socket, "close");
  });

  test("bytes that are no HTTP are answered 400", async () => {
    await using server = await open([echo]);
    const socket = connect(server.port, "127.0.0.1");
    socket.write("\u0000\u0001nonsense\r\n\r\n");
    const [chunk] = (await once(socket, "data")) as [Buffer];
    expect(chunk.toString()).toContain("400 Bad Request");
  });
});

describe("the guard", () => {
  test.each([
    ["127.0.0.1:1", {}, 200],
    ["localhost", {}, 200],
    ["[::1]:9", {}, 200],
    ["Broker.Example:80", {}, 200],
    ["evil.example", {}, 421],
    ["localhost:1", { origin: "http://localhost:1" }, 200],
    ["localhost:1", { origin: "http://evil.example" }, 403],
    ["localhost:1", { origin: "null" }, 403],
  ])("Host %s with %o is %i", async (host, headers, expected) => {
    await using server = await open([{ method: "GET", path: "/x", handle: () => ({ status: 200 }) }]);
    expect(await statusWith(server.url, { host, ...headers })).toBe(expected);
  });
});

describe("a token", () => {
  const routes: readonly HttpRoute[] = [
    { method: "GET", path: "/x", handle: () => ({ status: 200 }) },
    { method: "GET", path: "/v1/things/:name", handle: () => ({ status: 200 }) },
    { method: "GET", path: "/health/live", isOpen: true, handle: () => ({ status: 200 }) },
  ];
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

  test.each([
    [{}, 401],
    [{ authorization: "Bearer s3cret" }, 200],
    [{ authorization: "bearer s3cret" }, 200],
    [{ authorization: "Bearer s3cre" }, 401],
    [{ authorization: "Bearer s3crets" }, 401],
    [{ authorization: "Bearer " }, 401],
    [{ authorization: "s3cret" }, 401],
    [{ authorization: basic("anybody:s3cret") }, 200],
    [{ authorization: basic(":s3cret") }, 200],
    [{ authorization: basic("s3cret") }, 401],
    [{ authorization: basic("s3cret:") }, 401],
    [{ authorization: basic("s3cret:wrong") }, 401],
  ])("with %o is %i", async (headers, expected) => {
    await using server = await open(routes, { token: "s3cret" });
    expect(await statusWith(server.url, headers as Record<string, string>)).toBe(expected);
  });

  test("is wanted however a path is written, and tells nothing of which paths there are", async () => {
    await using server = await open(routes, { token: "s3cret" });
    for (const path of [
      "/x/",
      "//x",
      "/%78",
      "/v1/things/a",
      "/v1/things/..%2Fx",
      "/health/live/../../x",
      "/nowhere",
    ]) {
      const socket = connect(server.port, "127.0.0.1");
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      const [chunk] = (await once(socket, "data")) as [Buffer];
      expect([path, chunk.toString().split("\r\n")[0]]).toEqual([path, "HTTP/1.1 401 Unauthorized"]);
      socket.destroy();
    }
    const asked = await fetch(`${server.url}/x`);
    expect(asked.headers.get("www-authenticate")).toBe('Bearer realm="test", Basic realm="test"');
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  });
});

describe("closing", () => {
  test("lets a running request end, then no longer listens", async () => {
    const started = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    const slow: HttpRoute = {
      method: "GET",
      path: "/slow",
      handle: async () => {
        started.resolve();
        await mayEnd.promise;
        return { status: 200, body: "done" };
      },
    };
    const server = await open([slow]);
    const running = fetch(`${server.url}/slow`);
    await started.promise;
    const closed = server[Symbol.asyncDispose]();
    await expect(fetch(`${server.url}/slow`)).rejects.toThrow();
    mayEnd.resolve();
    expect(await (await running).text()).toBe("done");
    await closed;
  });

  test("cuts what has not ended in time, and tells the handler", async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const stuck: HttpRoute = {
      method: "GET",
      path: "/stuck",
      handle: ({ signal }) => {
        started.resolve(signal);
        return new Promise(() => undefined);
      },
    };
    const server = await open([stuck], { closeMsMax: 1 });
    const running = fetch(`${server.url}/stuck`).then(
      () => "answered",
      () => "cut",
    );
    const signal = await started.promise;
    await server[Symbol.asyncDispose]();
    expect(await running).toBe("cut");
    expect(signal.aborted).toBe(true);
  });

  test("a port that is taken is said with the server's name", async () => {
    await using first = await open([]);
    await expect(open([], { port: first.port, name: "registry" })).rejects.toThrow(
      /"registry" cannot listen on 127\.0\.0\.1:\d+: the port is in use; set registry\.port/,
    );
  });
});

describe("the admin API", () => {
  const outcomes: Readonly<Record<string, FlushOutcome>> = {
    orders: { kind: "flushed", detail: { rows: 3 } },
    paused: { kind: "refused", reason: "the table is paused: diverged" },
  };

  const surfaceOf = (reasons: readonly string[]): AdminSurface => ({
    metrics: () => "up 1\n",
    metricsContentType: "text/plain",
    unreadyBecause: () => reasons,
    status: () => ({ node: 1 }),
    tables: () => [{ topic: "orders", catalog: "main", table: "a.b", state: "running" }],
    flushTable: (topic) => Promise.resolve(outcomes[topic] ?? { kind: "no-table" }),
  });

  async function get(path: string, init: RequestInit = {}, reasons: readonly string[] = []) {
    await using server = await open(adminRoutes(surfaceOf(reasons)));
    const response = await fetch(server.url + path, init);
    return [response.status, await response.text()];
  }

  test("answers metrics, health, status, tables and flush", async () => {
    expect(await get("/metrics")).toEqual([200, "up 1\n"]);
    expect(await get("/health/live")).toEqual([200, '{"status":"live"}']);
    expect(await get("/health/ready")).toEqual([200, '{"status":"ready"}']);
    expect(await get("/health/ready", {}, ["recovering"])).toEqual([
      503,
      '{"status":"unready","reasons":["recovering"]}',
    ]);
    expect(await get("/v1/status")).toEqual([200, '{"node":1}']);
    expect((await get("/v1/tables"))[1]).toContain('"table":"a.b"');
    expect(await get("/v1/tables/orders/flush", { method: "POST" })).toEqual([200, '{"rows":3}']);
    expect((await get("/v1/tables/paused/flush", { method: "POST" }))[0]).toBe(409);
    expect((await get("/v1/tables/none/flush", { method: "POST" }))[0]).toBe(404);
  });

  test("is for those who show the token; who watches over the process needs none", async () => {
    await using server = await open(adminRoutes(surfaceOf([])), { token: "s3cret" });
    const status = async (path: string, headers = {}) => (await fetch(server.url + path, { headers })).status;
    for (const path of ["/metrics", "/v1/status", "/v1/tables"])
      expect([path, await status(path)]).toEqual([path, 401]);
    expect(await status("/v1/status", { authorization: "Bearer s3cret" })).toBe(200);
    expect([await status("/health/live"), await status("/health/ready")]).toEqual([200, 200]);
  });

  test("says how a table stands, and resumes it in one of two ways only", async () => {
    const answerOf = (topic: string, detail: unknown): TableAnswer => {
      if (topic === "none") return { kind: "no-table" };
      return topic === "stuck" ? { kind: "refused", reason: "it was replaced" } : { kind: "ok", detail };
    };
    const surface: TableStateSurface = {
      tableState: (topic) => Promise.resolve(answerOf(topic, { state: "paused" })),
      resumeTable: (topic, how) => Promise.resolve(answerOf(topic, { how })),
    };
    await using server = await open(tableStateRoutes(surface));
    const ask = async (path: string, method = "POST") => {
      const response = await fetch(server.url + path, { method });
      return [response.status, await response.text()];
    };
    expect(await ask("/v1/tables/orders", "GET")).toEqual([200, '{"state":"paused"}']);
    expect(await ask("/v1/tables/none", "GET")).toEqual([404, '{"error":"topic none has no table"}']);
    expect(await ask("/v1/tables/orders/resume?how=accept")).toEqual([200, '{"how":"accept"}']);
    expect(await ask("/v1/tables/orders/resume?how=retranslate")).toEqual([200, '{"how":"retranslate"}']);
    expect(await ask("/v1/tables/stuck/resume?how=accept")).toEqual([409, '{"error":"it was replaced"}']);
    expect((await ask("/v1/tables/orders/resume"))[0]).toBe(400);
    expect((await ask("/v1/tables/orders/resume", "GET"))[0]).toBe(405);
  });
});

describe("one connection", () => {
  test("that asks on and on without waiting for answers is closed", async () => {
    let running = 0;
    const release = Promise.withResolvers<void>();
    const slow: HttpRoute = {
      method: "POST",
      path: "/slow",
      handle: async () => {
        running += 1;
        await release.promise;
        return { status: 200 };
      },
    };
    await using server = await open([slow]);
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => undefined);
    const closed = once(socket, "close");
    for (let i = 0; i < 100; i += 1) {
      socket.write("POST /slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx");
    }
    socket.resume();
    await closed;
    expect(running).toBeLessThanOrEqual(16);
    release.resolve();
  });

  test("that does not read its answer gives its place up", async () => {
    const large: HttpRoute = { method: "GET", path: "/large", handle: () => ({ status: 200, body: "x".repeat(32e6) }) };
    await using server = await open([large], { connectionsMax: 1, requestMsMax: 300 });
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => undefined).pause();
    socket.write("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n");
    const isServed = () =>
      fetch(`${server.url}/none`).then(
        ({ status }) => status === 404,
        () => false,
      );
    await expect.poll(isServed, { timeout: 5_000, interval: 100 }).toBe(true);
    socket.destroy();
  });
});
