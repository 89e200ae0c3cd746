/** A registry over HTTP with its log in memory. */
import { expect } from "vitest";
import { systemRuntime } from "../../src/base/runtime.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import { registryErrorWords } from "../../src/registry/route-answer.ts";
import { registryRoutes } from "../../src/registry/routes.ts";
import { SchemaRegistry } from "../../src/registry/schema-registry.ts";
import { openHttpServer } from "../../src/server/http.ts";
import { MemorySchemaLog } from "./memory-log.ts";

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (message, fields) => expect.unreachable(`${message} ${String(fields?.["error"])}`),
  child: () => silent,
};

export async function open(log = new MemorySchemaLog()) {
  const registry = await SchemaRegistry.open({
    log,
    compatibility: "BACKWARD",
    schemaBytesMax: 100_000,
    schemasMax: 50,
  });
  const server = await openHttpServer({
    name: "registry",
    host: "127.0.0.1",
    port: 0,
    routes: registryRoutes({ registry, clusterId: "c", version: "0" }),
    errorWords: registryErrorWords,
    hostsAllowed: [],
    bodyBytesMax: 1_000_000,
    connectionsMax: 50,
    requestMsMax: 5000,
    closeMsMax: 1000,
    clock: systemRuntime().clock,
    logger: silent,
  });
  /** Status and body, or for errors the code alone. */
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(server.url + path, { ...init, headers: { "content-type": "application/json" } });
    if (response.status === 204) return undefined;
    expect(response.headers.get("content-type")).toBe("application/vnd.schemaregistry.v1+json");
    const answer = (await response.json()) as { readonly error_code?: number; readonly message?: string };
    if (response.status === 200) return answer;
    expect(answer.message).not.toBe("");
    expect(Math.floor((answer.error_code as number) / (answer.error_code! > 1000 ? 100 : 1))).toBe(response.status);
    return answer.error_code;
  };
  return { log, registry, url: server.url, call, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
