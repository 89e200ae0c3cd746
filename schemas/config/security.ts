import { KiB, MiB, setting } from "../../src/base/settings.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const security = {
  strangerRequestBytesMax: setting({
    key: "authentication.request.bytes.max",
    type: "bytes",
    default: 512 * KiB,
    min: 1 * KiB,
    max: 16 * MiB,
    doc: "Largest request frame of a connection that has not authenticated (Kafka's sasl.server.max.receive.size).",
  }),
  authenticationMsMax: setting({
    key: "authentication.ms.max",
    type: "ms",
    default: 10_000,
    min: 100,
    max: 600_000,
    doc: "How long a TLS handshake may take, and after it the authentication.",
  }),
  failedAuthenticationDelayMs: setting({
    key: "authentication.failed.delay.ms",
    type: "ms",
    default: 100,
    min: 0,
    max: 60_000,
    doc: "How long the answer to a failed authentication waits (Kafka's connection.failed.authentication.delay.ms).",
  }),
  sessionMsMax: setting({
    key: "authentication.session.ms.max",
    type: "ms",
    default: 0,
    min: 0,
    max: 30 * dayMs,
    doc: "Clients must authenticate again after this time; 0: never (Kafka's connections.max.reauth.ms).",
  }),
  passwordChecksMax: setting({
    key: "authentication.password.checks.max",
    type: "integer",
    default: 2,
    min: 1,
    max: 64,
    doc: "Most passwords of mechanism PLAIN that are hashed at once; each takes a thread and 32 MiB.",
  }),
  tlsReloadMs: setting({
    key: "tls.reload.ms",
    type: "ms",
    default: 10_000,
    min: 100,
    max: dayMs,
    doc: "How often certificates, keys and the file of users are looked at; what has changed counts for new connections.",
  }),
  delegationTokenSecret: setting({
    key: "delegation.token.secret",
    type: "string",
    default: "",
    secret: true,
    doc: "What delegation tokens are made with, the same on all brokers; empty turns them off (Kafka's delegation.token.secret.key).",
  }),
  delegationTokenLifetimeMsMax: setting({
    key: "delegation.token.lifetime.ms.max",
    type: "ms",
    default: 7 * dayMs,
    min: 1_000,
    max: 3650 * dayMs,
    doc: "No token lives longer than this, however often it is renewed (Kafka's delegation.token.max.lifetime.ms).",
  }),
  delegationTokenExpiryMs: setting({
    key: "delegation.token.expiry.ms",
    type: "ms",
    default: dayMs,
    min: 1_000,
    max: 3650 * dayMs,
    doc: "How long a token is good for until it is renewed (Kafka's delegation.token.expiry.time.ms).",
  }),
  delegationTokensMax: setting({
    key: "delegation.tokens.max",
    type: "integer",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: "Most delegation tokens in the cluster; beyond it, no more are given out.",
  }),
};
