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
  if (neverSent.includes(code)) return { kind: "failed", happened: "no", retriable: true, code };
  if (code === "RequestTimeout") return { kind: "failed", happened: "maybe", retriable: true, code };
  if (status !== undefined && status >= 300 && status < 500)
    return { kind: "failed", happened: "no", retriable: false, code };
  return { kind: "failed", happened: "maybe", retriable: true, code }; // 5xx, timeouts, resets, a 200 that carries an error.
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
