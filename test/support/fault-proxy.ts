/**
 * A proxy in front of a server that speaks S3, which makes one trouble (test/support/store-faults.ts) when told to. It reads
 * whole requests and passes them on as they were signed.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import type { FaultKind, StoreOperation } from "./store-faults.ts";

interface Request {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface FaultProxyOptions {
  /** http://host:port */
  readonly upstream: string;
  /** Makes the clients lose their patience now. */
  readonly giveUp: () => void;
  /** Deletes keys as they stand in a request, for a delete that is done in part. */
  readonly remove: (keys: readonly string[]) => Promise<void>;
}

/** What is slow takes so long, and a server that is away is back after it. */
const slowMs = 50;
/** From the end of a client's patience to its request's effect. */
const ghostMs = 20;

export class FaultProxy implements AsyncDisposable {
  readonly #options: FaultProxyOptions;
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));
  #port = 0;
  #struck = 0;
  #plan: { readonly kind: FaultKind; readonly operation: StoreOperation } | undefined;
  #firstPage: Answer | undefined;
  readonly #later: Promise<unknown>[] = [];

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await proxy.#listen();
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get struck(): number {
    return this.#struck;
  }

  strike(kind: FaultKind, operation: StoreOperation): void {
    if (kind !== "connection-refused") {
      this.#plan = { kind, operation };
      return;
    }
    this.#struck += 1;
    this.#server.closeAllConnections();
    this.#server.close();
    this.#later.push(pause(slowMs).then(() => this.#listen()));
  }

  /** Until ghosts have landed. */
  async settle(): Promise<void> {
    await Promise.all(this.#later);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle();
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy()); // A client that gave up.
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? "/", this.#options.upstream);
    const request = { method: incoming.method ?? "", url, headers: incoming.headers, body: Buffer.concat(chunks) };
    const trouble = this.#troubleFor(request);
    if (trouble !== undefined) return await this.#make(trouble, request, response);
    const answer = await this.#forward(request);
    if (operationOf(request) === "list" && !url.searchParams.has("continuation-token")) this.#firstPage = answer;
    pass(answer, request, response);
  }

  #troubleFor(request: Request): FaultKind | undefined {
    const plan = this.#plan;
    if (plan === undefined || operationOf(request) !== plan.operation) return undefined;
    if (plan.kind === "page-repeated" && !request.url.searchParams.has("continuation-token")) return undefined;
    this.#plan = undefined;
    this.#struck += 1;
    return plan.kind;
  }

  async #make(kind: FaultKind, request: Request, response: ServerResponse): Promise<void> {
    if (isRefusal(kind)) return pass(errorAnswer(refusals[kind]), request, response);
    switch (kind) {
      case "answer-lost":
        await this.#forward(request);
        return void response.socket?.resetAndDestroy();
      case "answer-late":
        await this.#forward(request);
        return this.#hold(response);
      case "ghost":
        this.#hold(response);
        this.#later.push(pause(ghostMs).then(() => this.#forward(request)));
        return;
      case "duplicate":
        await this.#forward(request);
        return pass(await this.#forward(request), request, response);
      case "stall":
        return this.#hold(response);
      case "slow-first-byte":
        await pause(slowMs);
        return pass(await this.#forward(request), request, response);
      case "trickle":
        return await trickle(await this.#forward(request), request, response);
      case "delete-in-part":
        return pass(await this.#deleteInPart(request), request, response);
      case "page-repeated":
        return pass(this.#firstPage as Answer, request, response);
      case "wrong-range": {
        // As many bytes as were asked for, but others, and no word about which: the range was not understood.
        const { headers, body } = await this.#forward(request);
        const others = { ...headers };
        delete others["content-range"];
        return pass({ status: 200, headers: others, body: body.reverse() }, request, response);
      }
      case "truncated":
        return truncate(await this.#forward(request), response);
      case "bit-flipped": {
        const answer = await this.#forward(request);
        const middle = Math.floor(answer.body.length / 2);
        answer.body[middle] = (answer.body[middle] ?? 0) ^ 1;
        return pass(answer, request, response);
      }
      case "fresh-key-missing":
        return pass(await this.#withoutFresh(request), request, response);
      case "connection-refused":
      case "name-not-found":
      case "tls-fails":
        throw new Error(`${kind} comes before a proxy`);
    }
  }

  /** The listing without its newest key; of anything else, that it is not there. */
  async #withoutFresh(request: Request): Promise<Answer> {
    if (operationOf(request) !== "list") return errorAnswer([404, "NoSuchKey"]);
    const answer = await this.#forward(request);
    const entries = answer.body.toString().split(/(?=<Contents>)/);
    const stale = entries.filter((_, index) => index !== 1).join("");
    return { ...answer, body: Buffer.from(stale) };
  }

  async #deleteInPart({ body }: Request): Promise<Answer> {
    const keys = [...body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map((match) => match[1] as string);
    const done = keys.slice(0, Math.floor(keys.length / 2));
    await this.#options.remove(done);
    const errors = keys.slice(done.length).map((key) => `<Error><Key>${key}</Key><Code>InternalError</Code></Error>`);
    return xmlAnswer(200, `<DeleteResult>${errors.join("")}</DeleteResult>`);
  }

  /** Nobody answers, and the client does not wait for ever. */
  #hold(response: ServerResponse): void {
    this.#options.giveUp();
    response.destroy();
  }

  async #forward({ method, url, headers, body }: Request): Promise<Answer> {
    const outgoing = send(url, { method, headers });
    outgoing.end(body);
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) };
  }
}

const refusals = {
  "500": [500, "InternalError"],
  "503-slow-down": [503, "SlowDown"],
  "429": [429, "TooManyRequests"],
  "credentials-expired": [400, "ExpiredToken"],
  "clock-skewed": [403, "RequestTimeTooSkewed"],
  "307": [307, "TemporaryRedirect"],
  "409-conflict": [409, "OperationAborted"],
  "507-quota": [507, "InsufficientStorage"],
  "200-with-error": [200, "InternalError"],
} as const satisfies Partial<Readonly<Record<FaultKind, readonly [status: number, code: string]>>>;

function isRefusal(kind: FaultKind): kind is keyof typeof refusals {
  return Object.hasOwn(refusals, kind);
}

function operationOf({ method, url, headers }: Request): StoreOperation {
  const query = url.searchParams;
  if (method === "POST" && query.has("uploads")) return "multipart-create";
  if (method === "POST" && query.has("delete")) return "delete";
  if (query.has("uploadId")) {
    if (method === "PUT") return "multipart-part";
    return method === "POST" ? "multipart-complete" : "multipart-abort";
  }
  if (method === "GET" && query.has("list-type")) return "list";
  if (method === "GET") return headers.range === undefined ? "get" : "get-range";
  if (method === "HEAD") return "head";
  if (headers["if-none-match"] !== undefined) return "put-if-absent";
  return headers["if-match"] === undefined ? "put" : "put-if-match";
}

function errorAnswer([status, code]: readonly [status: number, code: string]): Answer {
  return xmlAnswer(status, `<Error><Code>${code}</Code><Message>trouble</Message></Error>`);
}

function xmlAnswer(status: number, text: string): Answer {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
  return { status, headers: { "content-type": "application/xml" }, body };
}

function headersOf({ headers, body }: Answer, isHead: boolean): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(([name]) => !["transfer-encoding", "connection"].includes(name));
  const all = Object.fromEntries(kept) as Record<string, string | string[]>;
  return isHead ? all : { ...all, "content-length": String(body.length) };
}

function pass(answer: Answer, { method }: Request, response: ServerResponse): void {
  const isHead = method === "HEAD"; // Which has no body, an error's neither.
  response.writeHead(answer.status, headersOf(answer, isHead)).end(isHead ? undefined : answer.body);
}

function truncate(answer: Answer, response: ServerResponse): void {
  response.writeHead(answer.status, headersOf(answer, false));
  const half = answer.body.subarray(0, Math.floor(answer.body.length / 2));
  response.write(half, () => response.destroy());
}

async function trickle(answer: Answer, { method }: Request, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, headersOf(answer, method === "HEAD"));
  const pieces = 4;
  const bytes = Math.ceil(answer.body.length / pieces);
  for (let at = 0; at < answer.body.length; at += bytes) {
    response.write(answer.body.subarray(at, at + bytes));
    await pause(slowMs / pieces);
  }
  response.end();
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, delayMs));
}
