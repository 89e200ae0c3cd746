/** What an answer of S3, or the lack of one, says about the request. Pure, so that every row can be tested. */
import { fieldOf, neverSent, type Trouble } from "./requests.ts";

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

export function s3Trouble(cause: unknown): Trouble {
  const status = statusOf(cause);
  const code = codeOf(cause);
  if (status === 412) return { kind: "condition" };
  if (status === 404 && code !== "NoSuchBucket") return { kind: "missing" };
  if (status === 416) return { kind: "range" };
  if (refusedForNow.includes(code) || status === 429) return { kind: "failed", happened: "no", retriable: true, code };
  if (status === 307 || saysNothing(status, code)) return { kind: "failed", happened: "no", retriable: true, code };
  if (neverSent.includes(code)) return { kind: "failed", happened: "no", retriable: true, code };
  if (code === "RequestTimeout") return { kind: "failed", happened: "maybe", retriable: true, code };
  if (status !== undefined && status >= 300 && status < 500)
    return { kind: "failed", happened: "no", retriable: false, code };
  return { kind: "failed", happened: "maybe", retriable: true, code }; // 5xx, timeouts, resets, a 200 that carries an error.
}

/**
 * An answer to HEAD has no body, so a refusal that ends soon (an expired token, a clock that is off) looks like one for
 * good: all are repeated.
 */
function saysNothing(status: number | undefined, code: string): boolean {
  return code === "Unknown" && (status === 400 || status === 403 || status === 409);
}

function statusOf(cause: unknown): number | undefined {
  const status = fieldOf(fieldOf(cause, "$metadata"), "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

/** Node's code when there is one ("ECONNRESET"), else the name that S3 gave ("SlowDown"). */
function codeOf(cause: unknown): string {
  const code = fieldOf(cause, "code");
  if (typeof code === "string") return code;
  const name = fieldOf(cause, "name");
  return typeof name === "string" ? name : "unknown";
}
