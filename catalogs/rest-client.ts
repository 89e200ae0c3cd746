/**
 * Requests to a REST catalog: authorized, bounded in time and size. What may change something is sent once (and once more after a
 * refused token, or signature). Tells an answer from no answer, because a commit without one may still have happened.
 */
import { OperationFailed } from "../src/base/errors.ts";
import type { Clock } from "../src/base/runtime.ts";
import type { Authorizer, HeaderValues } from "./rest-auth.ts";

export type Fetch = typeof globalThis.fetch;

export interface RestLimits {
  readonly requestMsMax: number;
  readonly responseBytesMax: number;
}

export interface RestRequest {
  readonly method: "GET" | "POST" | "HEAD";
  readonly uri: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RestResponse {
  readonly status: number;
  readonly body: string;
  /** The version of what was asked for, where the catalog names one. */
  readonly etag: string | null;
  /** NaN: it does not say. */
  readonly dateMs: number;
}

/** The request may or may not have reached the catalog, or its answer was lost on the way. */
export class NoAnswer extends OperationFailed {
  override readonly name = "NoAnswer";
  constructor(request: { readonly method: string; readonly uri: string }, cause: unknown) {
    super(`no answer to ${request.method} ${request.uri.split("?")[0]}`, { happened: "maybe", cause });
  }
}

export class RestClient {
  readonly #fetch: Fetch;
  readonly #clock: Clock;
  readonly #limits: RestLimits;
  readonly #stop = new AbortController();

  constructor(options: { readonly fetch: Fetch; readonly clock: Clock; readonly limits: RestLimits }) {
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  close(): void {
    this.#stop.abort(new Error("the catalog is closed"));
  }

  /** 401, 403 and 419 mean that nothing happened: asked once more if we can say better who we are, and when. */
  async send(request: RestRequest, auth: Authorizer): Promise<RestResponse> {
    const unsigned = { method: request.method, uri: request.uri, headers: headersOf(request), body: request.body };
    const headers = await auth.headers(unsigned);
    const answer = await this.#send(request, headers);
    const isRefused = answer.status === 401 || answer.status === 403 || answer.status === 419;
    if (!isRefused || !auth.renew(headers, answer)) return answer;
    return await this.#send(request, await auth.headers(unsigned));
  }

  /** To whom we need not say who we are. */
  async sendUnauthorized(request: RestRequest): Promise<RestResponse> {
    return await this.#send(request, headersOf(request));
  }

  /**
   * A question whose connection ended is asked once more, on another one: a catalog that starts anew, and a proxy before it, end
   * connections that were kept open. What took all of its time is not.
   */
  async #send(request: RestRequest, headers: HeaderValues): Promise<RestResponse> {
    const late = new AbortController();
    using _timer = this.#clock.after(this.#limits.requestMsMax, () => late.abort(new Error("timed out")));
    const signal = AbortSignal.any([late.signal, this.#stop.signal]);
    try {
      return await this.#sendOnce(request, headers, signal);
    } catch (cause) {
      if (request.method === "POST" || signal.aborted) throw new NoAnswer(request, cause);
    }
    try {
      return await this.#sendOnce(request, headers, signal);
    } catch (cause) {
      throw new NoAnswer(request, cause);
    }
  }

  async #sendOnce(request: RestRequest, headers: HeaderValues, signal: AbortSignal): Promise<RestResponse> {
    const response = await this.#fetch(request.uri, {
      method: request.method,
      // A redirected request would carry its token to another host, and a POST could turn into a GET.
      redirect: "error",
      signal,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const { status, headers: said } = response;
    return { status, body: await this.#text(response), etag: said.get("etag"), dateMs: timeOf(said.get("date")) };
  }

  async #text(response: Response): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > this.#limits.responseBytesMax) throw new Error(`an answer of over ${bytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString("utf8");
  }
}

function timeOf(text: string | null): number {
  return Date.parse(text ?? ""); // oxlint-disable-line no-restricted-globals -- It tells no time but the text's.
}

function headersOf(request: RestRequest): HeaderValues {
  const body = request.body === undefined ? {} : { "content-type": "application/json" };
  return { accept: "application/json", ...body, ...request.headers };
}
