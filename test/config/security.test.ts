/** Proves: a listener whose security was left open is refused when the broker starts, with what to say instead. */
import { expect, test } from "vitest";
import { configOf } from "../support/config.ts";

const users = "sasl: { users: { alice: { password: secret } } }";

test.each([
  [
    "passwords without TLS",
    `listeners: { a: { port: 1, protocol: SASL_PLAINTEXT, mechanisms: [PLAIN] } }\n${users}`,
    "unencrypted",
  ],
  [
    "PLAIN without users",
    "listeners: { a: { port: 1, protocol: SASL_SSL, mechanisms: [PLAIN], tls: { certificate: c, key: k } } }",
    "no users",
  ],
  ["SASL without mechanisms", "listeners: { a: { port: 1, protocol: SASL_PLAINTEXT } }", "no mechanisms"],
  ["mechanisms without SASL", "listeners: { a: { port: 1, mechanisms: [PLAIN] } }", "has mechanisms but protocol"],
  [
    "TLS without a key",
    "listeners: { a: { port: 1, protocol: SSL, tls: { certificate: c } } }",
    "needs a certificate and its key",
  ],
  [
    "clients' certificates that nobody signs",
    "listeners: { a: { port: 1, protocol: SSL, tls: { certificate: c, key: k, client_auth: required } } }",
    "trusts nobody's",
  ],
  ["a user with no password", "sasl: { users: { alice: { password: '' } } }", "needs a password or a hash"],
])("%s", (_, text, problem) => {
  expect(() => configOf(text)).toThrow(problem);
});

test("passwords without TLS are allowed where it is said", () => {
  const listener = "{ port: 1, protocol: SASL_PLAINTEXT, mechanisms: [PLAIN], allow_plain_without_tls: true }";
  expect(configOf(`listeners: { a: ${listener} }\n${users}`).listeners).toHaveLength(1);
});
