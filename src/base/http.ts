/** What a layer says to serve HTTP without knowing the server: routes as values. src/server/http.ts listens for them. */

export interface HttpRoute {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Segments begin with ":" where they stand for a value: "/subjects/:subject/versions". */
  readonly path: string;
  /** Answered without a token, also where the server wants one. */
  readonly isOpen?: boolean;
  /** Values in the path are encoded as in a form: a plus is a space. */
  readonly isFormEncoded?: boolean;
  handle(request: HttpRequest): HttpResponse | Promise<HttpResponse>;
}

export interface HttpRequest {
  readonly method: string;
  /** Percent-decoded values of the path's ":name" segments. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Lower-case names; of a repeated header, the values joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  /** Aborts when the client is gone or the server closes. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is when text or bytes, with "content-type" from the headers. */
  readonly body?: string | Uint8Array;
}

/** How a server words a failure of its own (404, 405, 413, 500), since each API has an error body that its clients parse. */
export type HttpErrorWords = (status: number, message: string) => HttpResponse;

export function jsonResponse(status: number, value: unknown, contentType = "application/json"): HttpResponse {
  return { status, headers: { "content-type": contentType }, body: JSON.stringify(value) };
}
