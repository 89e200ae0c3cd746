/** What an answer of S3, or the lack of one, says about the request. Pure, so that every row can be tested. */
import type { Happened } from "../base/errors.ts";

export type S3Trouble =
  /** 412: the condition did not hold. */
  | { readonly kind: "condition" }
  /** 404 of a key or an upload. */
  | { readonly kind: "missing" }
  /** 416: the object is shorter than the range. */
  | { readonly kind: "range" }
  | { readonly kind: "failed"; readonly happened: Happened; readonly retriable: boolean; readonly code: string };

/** The connection never stood, so no request was sent. */
const neverSent = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
];

/** Refused for now, without effect. 409 is two conditional writes meeting (S3 documents: repeat the request). */
const refusedForNow = [
  "ConditionalRequestConflict",
  "OperationAborted",
  "ExpiredToken",
  "RequestTimeTooSkewed",
  "SlowDown",
  "TooManyRequests",
  "Throttling",
  "CredentialsProviderError",
];

export function s3Trouble(cause: unknown): S3Trouble {
  const status = statusOf(cause);
  const code = codeOf(cause);
  if (status === 412) return { kind: "condition" };
  if (status === 404 && code !== "NoSuchBucket") return { kind: "missing" };
  if (status === 416) return { kind: "range" };
  if (refusedForNow.includes(code) || status === 429) return { kind: "failed", happened: "no", retriable: true, code };
  if (neverSent.includes(code)) return { kind: "failed", happened: "no", retriable: true, code };
  if (code === "RequestTimeout") return { kind: "failed", happened: "maybe", retriable: true, code };
  if (status !== undefined && status >= 300 && status < 500)
    return { kind: "failed", happened: "no", retriable: false, code };
  return { kind: "failed", happened: "maybe", retriable: true, code }; // 5xx, timeouts, resets, a 200 that carries an error.
}

function statusOf(cause: unknown): number | undefined {
  const metadata = field(cause, "$metadata");
  const status = field(metadata, "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

/** Node's code when there is one ("ECONNRESET"), else the name that S3 gave ("SlowDown"). */
function codeOf(cause: unknown): string {
  const code = field(cause, "code");
  if (typeof code === "string") return code;
  const name = field(cause, "name");
  return typeof name === "string" ? name : "unknown";
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
