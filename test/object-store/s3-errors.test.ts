/** Proves: each answer of S3 is read for what it says about the request, and "maybe" is never read as "no". */
import { expect, test } from "vitest";
import { s3Trouble } from "../../src/object-store/s3-errors.ts";

const answer = (status: number, name: string): unknown => ({ name, $metadata: { httpStatusCode: status } });
const broken = (code: string): unknown => Object.assign(new Error(code), { code });
const no = (retriable: boolean) => ({ kind: "failed", happened: "no", retriable });
const maybe = { kind: "failed", happened: "maybe", retriable: true };

const table: readonly (readonly [cause: unknown, expected: unknown])[] = [
  [answer(412, "PreconditionFailed"), { kind: "condition" }],
  [answer(409, "ConditionalRequestConflict"), no(true)],
  [answer(404, "NoSuchKey"), { kind: "missing" }],
  [answer(404, "NotFound"), { kind: "missing" }],
  [answer(404, "NoSuchUpload"), { kind: "missing" }],
  [answer(404, "NoSuchBucket"), no(false)],
  [answer(416, "InvalidRange"), { kind: "range" }],
  [answer(403, "AccessDenied"), no(false)],
  [answer(403, "RequestTimeTooSkewed"), no(true)],
  [answer(400, "ExpiredToken"), no(true)],
  [answer(400, "RequestTimeout"), maybe],
  [answer(307, "TemporaryRedirect"), no(true)],
  [answer(301, "PermanentRedirect"), no(false)],
  [answer(400, "Unknown"), no(true)],
  [answer(403, "Unknown"), no(true)],
  [answer(405, "Unknown"), no(false)],
  [answer(507, "InsufficientStorage"), maybe],
  [answer(429, "TooManyRequests"), no(true)],
  [answer(503, "SlowDown"), no(true)],
  [answer(500, "InternalError"), maybe],
  [answer(503, "ServiceUnavailable"), maybe],
  [answer(200, "InternalError"), maybe],
  [broken("ECONNREFUSED"), no(true)],
  [broken("ENOTFOUND"), no(true)],
  [broken("ECONNRESET"), maybe],
  [broken("EPIPE"), maybe],
  [Object.assign(new Error("x"), { name: "TimeoutError" }), maybe],
  [Object.assign(new Error("x"), { name: "AbortError" }), maybe],
  ["nonsense", maybe],
];

test.each(table)("%j", (cause, expected) => {
  expect(s3Trouble(cause)).toMatchObject(expected as object);
});
