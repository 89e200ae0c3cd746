/**
 * Google's V4 signature of a request with an HMAC key. It is AWS's with other words in it:
 *
 *   key        HMAC(HMAC(HMAC(HMAC("GOOG4" + secret, date), region), "storage"), "goog4_request")
 *   to sign    GOOG4-HMAC-SHA256 \n time \n scope \n SHA-256(method, path, query, headers, names of headers, SHA-256(body))
 */
import { createHash, createHmac } from "node:crypto";
import type { StaticKeys } from "./store-url.ts";

/** Of the SDK's request, what a signature reads and writes. */
export interface SignableRequest {
  readonly method: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  /** Percent-encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The headers to send: those given, and who asks when. Front ends rewrite some headers on the way, so only what counts is signed. */
export function signForGoogle(
  request: SignableRequest,
  options: { readonly keys: StaticKeys; readonly now: Date },
): Readonly<Record<string, string>> {
  const time = options.now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`;
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.port === undefined ? request.hostname : `${request.hostname}:${request.port}`,
    "x-goog-date": time,
    "x-goog-content-sha256": sha256(bodyOf(request.body)),
  };
  const names = Object.keys(headers).filter(isSigned).sort();
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(request.query ?? {}),
    ...names.map((name) => `${name}:${headers[name]?.trim().replaceAll(/ +/g, " ")}`),
    "",
    names.join(";"),
    headers["x-goog-content-sha256"],
  ].join("\n");
  const signature = hmac(
    signingKey(options.keys.secretAccessKey, scope),
    `${algorithm}\n${time}\n${scope}\n${sha256(canonical)}`,
  );
  const authorization = `${algorithm} Credential=${options.keys.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature.toString("hex")}`;
  return { ...headers, authorization };
}

const algorithm = "GOOG4-HMAC-SHA256";

function isSigned(name: string): boolean {
  return name.startsWith("x-goog-") || ["host", "content-md5", "content-type", "range"].includes(name);
}

function signingKey(secret: string, scope: string): Buffer {
  return scope.split("/").reduce<Buffer>(hmac, Buffer.from(`GOOG4${secret}`));
}

function canonicalQuery(query: NonNullable<SignableRequest["query"]>): string {
  return Object.entries(query)
    .flatMap(([name, values]) => [values ?? ""].flat().map((value) => `${encode(name)}=${encode(value)}`))
    .sort()
    .join("&");
}

/** encodeURIComponent leaves five characters that a signature wants encoded. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function bodyOf(body: unknown): string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array ? body : "";
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
