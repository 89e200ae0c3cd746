/**
 * A small HTTP server over node:http for the surfaces beside Kafka's: metrics, health, the admin API, the registry, the catalog.
 * It guards what listens on loopback against web pages: a name that is not ours in Host, or a foreign Origin, is refused
 * (DNS rebinding and cross-site requests need one or the other).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIP, type Socket } from "node:net";
import { assert } from "../base/errors.ts";
import type { HttpErrorWords, HttpRequest, HttpResponse, HttpRoute } from "../base/http.ts";
import { jsonResponse } from "../base/http.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import { type Match, Router } from "./http-router.ts";
import { showsToken } from "./http-token.ts";
import { listen } from "./listen.ts";

export interface HttpServerOptions {
  /** For messages, and where its settings are: "registry". */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly routes: readonly HttpRoute[];
  /** Names, beside localhost, `host` and IP addresses, that Host may hold; "*" allows all. */
  readonly hostsAllowed: readonly string[];
  /** What requests must show, but for routes that are open to all; left out where whoever reaches the port may ask. */
  readonly token?: string;
  readonly bodyBytesMax: number;
  readonly connectionsMax: number;
  readonly requestMsMax: number;
  readonly closeMsMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly errorWords?: HttpErrorWords;
}

export interface HttpServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** "http://127.0.0.1:8080", as a client on this machine would write it. */
  readonly url: string;
}

/** Resolves when it listens. Disposing stops listening, lets running requests end, then cuts what is left. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const service = new HttpService(options);
  const server = createServer({
    requestTimeout: options.requestMsMax,
    headersTimeout: options.requestMsMax,
    connectionsCheckingInterval: Math.max(50, Math.min(5000, options.requestMsMax / 2)),
    keepAliveTimeout: keepAliveMs,
  });
  server.maxConnections = options.connectionsMax;
  server.on("request", (message, response) => service.answer(message, response));
  server.on("clientError", (_cause, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
  });
  const { name, host } = options;
  await listen(server, { what: `the HTTP server "${name}"`, host, port: options.port, settings: name });
  const { port } = server.address() as AddressInfo;
  const reachable = options.host === "0.0.0.0" || options.host === "::" ? "127.0.0.1" : options.host;
  return {
    host: options.host,
    port,
    url: `http://${isIP(reachable) === 6 ? `[${reachable}]` : reachable}:${port}`,
    [Symbol.asyncDispose]: () => close(server, service, options),
  };
}

/** Of one connection, before the first of them has its answer: their bodies are in memory. Clients wait for each. */
const requestsAtOnceMax = 16;

/** Longer than the 60 s of common load balancers would need their own; clients here reconnect cheaply. */
const keepAliveMs = 5000;

async function close(server: Server, service: HttpService, { clock, closeMsMax }: HttpServerOptions): Promise<void> {
  service.drain();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = clock.after(closeMsMax, () => {
    service.abort();
    server.closeAllConnections();
  });
  await closed;
  cut[Symbol.dispose]();
}

class HttpService {
  readonly #options: HttpServerOptions;
  readonly #router: Router;
  readonly #words: HttpErrorWords;
  readonly #stop = new AbortController();
  /** Requests without an answer yet. */
  readonly #waiting = new WeakMap<Socket, number>();
  #isDraining = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#router = new Router(options.routes);
    this.#words = options.errorWords ?? ((status, message) => jsonResponse(status, { error: message }));
  }

  /** From now on each answer ends its connection: a client that keeps it alive would hold up the close. */
  drain(): void {
    this.#isDraining = true;
  }

  abort(): void {
    this.#stop.abort();
  }

  /** The one supervisor of a request: whatever goes wrong ends as an answer, or as a closed connection. */
  answer(message: IncomingMessage, response: ServerResponse): void {
    const { socket } = message;
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    this.#waiting.set(socket, waiting);
    if (waiting > requestsAtOnceMax) return void socket.destroy();
    const gone = new AbortController();
    response.on("close", () => {
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1);
      gone.abort();
    });
    this.#respond(message, AbortSignal.any([gone.signal, this.#stop.signal]))
      .catch((cause: unknown) => {
        if (cause instanceof HttpRefusal) return this.#refusal(cause);
        const request = `${message.method} ${message.url?.split("?")[0]}`;
        this.#options.logger.error("an HTTP request failed", { server: this.#options.name, request, error: cause });
        return this.#words(500, "internal error");
      })
      .then((answer) => {
        // Of an answer that nobody reads on: it would keep its memory, and its place among the connections.
        response.setTimeout(this.#options.requestMsMax, () => response.destroy());
        send(message, response, answer, this.#isDraining);
      })
      .catch((cause: unknown) => {
        this.#options.logger.error("an HTTP answer could not be sent", { server: this.#options.name, error: cause });
        response.destroy();
      });
  }

  async #respond(message: IncomingMessage, signal: AbortSignal): Promise<HttpResponse> {
    this.#guard(message);
    const [path, query] = splitTarget(message.url ?? "/");
    const match = this.#match(message, path);
    const request: HttpRequest = {
      method: message.method ?? "GET",
      params: match.params,
      query: new URLSearchParams(query),
      headers: headersOf(message),
      body: await readBody(message, this.#options.bodyBytesMax),
      signal,
    };
    return await match.route.handle(request);
  }

  #refusal({ status, message }: HttpRefusal): HttpResponse {
    const answer = this.#words(status, message);
    if (status !== 401) return answer;
    const { name } = this.#options;
    return {
      ...answer,
      headers: { ...answer.headers, "www-authenticate": `Bearer realm="${name}", Basic realm="${name}"` },
    };
  }

  /** Which paths there are is for those who show the token. */
  #match({ method = "GET", headers }: IncomingMessage, path: string): Match {
    const answer = this.#router.match(method, path);
    const { token } = this.#options;
    const isOpen = token === undefined || (answer.kind === "match" && answer.route.isOpen === true);
    if (!isOpen && !showsToken(headers.authorization ?? "", token)) throw new HttpRefusal(401, "a token is wanted");
    switch (answer.kind) {
      case "match":
        return answer;
      case "no-path":
        throw new HttpRefusal(404, "HTTP 404 Not Found");
      case "no-method":
        throw new HttpRefusal(405, "HTTP 405 Method Not Allowed");
      case "bad-encoding":
        throw new HttpRefusal(400, "the path is not percent-encoded UTF-8");
    }
  }

  #guard(message: IncomingMessage): void {
    const host = hostName(message.headers.host ?? "");
    if (!this.#isOurs(host)) throw new HttpRefusal(421, `"${host}" is no name of this server; see http.hosts.allowed`);
    const { origin } = message.headers;
    if (origin === undefined) return;
    const originHost = URL.canParse(origin) ? new URL(origin).host : "";
    if (originHost !== message.headers.host) throw new HttpRefusal(403, "requests from other origins are refused");
  }

  /** An IP address needs no name to be looked up, so no foreign name server can have pointed it here. */
  #isOurs(host: string): boolean {
    const { hostsAllowed, host: bound } = this.#options;
    if (host === "localhost" || isIP(host) !== 0 || host === bound.toLowerCase()) return true;
    return hostsAllowed.includes("*") || hostsAllowed.some((each) => each.toLowerCase() === host);
  }
}

class HttpRefusal extends Error {
  override readonly name = "HttpRefusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function readBody(message: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const announced = Number(message.headers["content-length"] ?? 0);
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (announced <= bytesMax) {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bytesMax) break;
      chunks.push(chunk);
    }
  }
  if (announced > bytesMax || bytes > bytesMax) throw new HttpRefusal(413, `the body is longer than ${bytesMax} bytes`);
  return Buffer.concat(chunks);
}

function send(message: IncomingMessage, response: ServerResponse, answer: HttpResponse, isLast: boolean): void {
  if (response.destroyed) return;
  assert(!response.headersSent, "a request has one answer");
  const body = answer.body ?? "";
  // What was not read of a refused body would otherwise be taken for the next request.
  const rest = message.complete && !isLast ? {} : { connection: "close" };
  const length =
    answer.status === 204 || answer.status === 304 ? {} : { "content-length": String(Buffer.byteLength(body)) };
  response.writeHead(answer.status, { "x-content-type-options": "nosniff", ...answer.headers, ...length, ...rest });
  response.end(message.method === "HEAD" ? undefined : body);
}

function splitTarget(target: string): readonly [path: string, query: string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

/** "[::1]:8080" → "::1"; "Broker:8080" → "broker". */
function hostName(header: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header);
  return (match?.[1] ?? match?.[2] ?? header).toLowerCase();
}

function headersOf(message: IncomingMessage): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(message.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : (value ?? ""),
    ]),
  );
}
