/** The blocks `listeners` and `sasl`: their shapes, and what becomes of them. */
import type { Settings } from "../../schemas/config.ts";
import { type PasswordHash, parsePasswordHash } from "../auth/password-hash.ts";
import { type MappingRule, parseMappingRule } from "../auth/principal-mapping.ts";
import {
  boolean,
  integer,
  list,
  ms,
  object,
  oneOf,
  optionalText,
  parsed,
  record,
  text,
  type ValueOf,
} from "./shape.ts";

export const protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] as const;
export const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const;

export type SecurityProtocol = (typeof protocols)[number];
export type SaslMechanism = (typeof saslMechanisms)[number];

const mappingRule = parsed<{ readonly text: string; readonly rule: MappingRule }>(
  {
    doc: "DEFAULT, or RULE:pattern/replacement/ with L or U behind it for lower or upper case.",
    typeName: "mapping rule",
    pattern: "^(DEFAULT|RULE:.*/[LU]?)$",
    placeholder: { text: "DEFAULT", rule: { kind: "default" } },
  },
  (word) => {
    const rule = parseMappingRule(word);
    if (rule !== undefined) return { kind: "value", value: { text: word, rule } };
    return { kind: "refused", mustBe: "DEFAULT or RULE:pattern/replacement/[LU] with a regular expression" };
  },
  (value) => value.text,
);

const listenerShape = object("A port for Kafka clients.", {
  protocol: oneOf(protocols, {
    default: "PLAINTEXT",
    doc: "SSL encrypts; SASL asks who the client is.",
  }),
  host: text({ default: "127.0.0.1", doc: "Address to bind." }),
  port: integer({ min: 0, max: 65535, doc: "Port to bind; 0 takes a free one." }),
  advertised_host: text({
    default: "",
    doc: "Host name that clients of this listener are told; empty means host, or 127.0.0.1 when that is a wildcard.",
  }),
  advertised_port: integer({ default: 0, min: 0, max: 65535, doc: "Port that they are told; 0 means port." }),
  mechanisms: list("SASL mechanisms, of those that have users.", oneOf(saslMechanisms, { doc: "A mechanism." }), []),
  allow_plain_without_tls: boolean({
    default: false,
    doc: "Lets PLAIN be offered where everybody on the way can read the passwords.",
  }),
  tls: object("Where the protocol has SSL in it.", {
    certificate: text({ default: "", doc: "PEM file: the certificate and those that lead to its root." }),
    key: text({ default: "", doc: "PEM file: its private key." }),
    client_auth: oneOf(["none", "requested", "required"], {
      default: "none",
      doc: "Whether clients show certificates of their own (mTLS).",
    }),
    client_ca: optionalText({ doc: "PEM file: who signs clients' certificates." }),
    principal_rules: list(
      "How a certificate's name becomes a user's; the first rule that fits counts (Kafka's ssl.principal.mapping.rules).",
      mappingRule,
      [{ text: "DEFAULT", rule: { kind: "default" } }],
    ),
  }),
});

export const listenersShape = record(
  "Ports for Kafka clients by name, instead of the one that kafka.host and kafka.port say. The first is the one that tools without a listener of their own are told.",
  "name",
  listenerShape,
);

const passwordHash = parsed<{ readonly text: string; readonly hash: PasswordHash } | null>(
  {
    doc: "The password's hash, as `inlet config hash-password` prints it; null where the password is said.",
    typeName: "scrypt hash",
    pattern: "^\\$scrypt\\$.*$",
    placeholder: null,
    default: null,
    isSecret: true,
  },
  (word) => {
    const hash = parsePasswordHash(word);
    if (hash !== undefined) return { kind: "value", value: { text: word, hash } };
    return { kind: "refused", mustBe: "a hash of scrypt", fix: 'make one with "inlet config hash-password"' };
  },
  (value) => value?.text ?? "",
);

export const saslShape = object("Who may authenticate. Users of SCRAM are not here: kafka-configs makes them.", {
  users: record(
    "Users of mechanism PLAIN.",
    "user",
    object("One of the two.", {
      password: optionalText({ isSecret: true, doc: "The password, best as ${env:NAME} or ${file:/path}." }),
      hash: passwordHash,
    }),
  ),
  users_file: optionalText({
    doc: "A file of lines user:hash, for more users of PLAIN; looked at every tls.reload.ms.",
  }),
  oauth: object("Tokens of mechanism OAUTHBEARER.", {
    issuer: text({ default: "", doc: "Who must have issued the token (its claim iss)." }),
    audience: list("Whom it must be for (its claim aud): one of these.", text({ doc: "An audience." }), []),
    jwks: text({ default: "", doc: "The issuer's keys: an https URL, or the path of a file." }),
    principal_claim: text({ default: "sub", doc: "The claim that names the user." }),
    clock_skew: ms({ default: 30_000, min: 0, max: 600_000, doc: "How far the issuer's clock may be from ours." }),
    refresh: ms({
      default: 600_000,
      min: 10_000,
      max: 86_400_000,
      doc: "How old the keys may get before they are read again; twice as old, and they count no more.",
    }),
  }),
});

export interface ListenerSettings {
  readonly name: string;
  /** Where it is said: "kafka" or "listeners.INTERNAL". */
  readonly path: string;
  readonly protocol: SecurityProtocol;
  readonly host: string;
  readonly port: number;
  readonly advertisedHost: string;
  readonly advertisedPort: number;
  readonly mechanisms: readonly SaslMechanism[];
  readonly allowsPlainWithoutTls: boolean;
  readonly tls: {
    readonly certificate: string;
    readonly key: string;
    readonly clientAuth: "none" | "requested" | "required";
    readonly clientCa: string | null;
    readonly rules: readonly MappingRule[];
  };
}

export interface SaslSettings {
  readonly users: ReadonlyMap<string, { readonly password: string | null; readonly hash: PasswordHash | null }>;
  readonly usersFile: string | null;
  readonly oauth: {
    readonly issuer: string;
    readonly audience: readonly string[];
    readonly jwks: string;
    readonly principalClaim: string;
    readonly clockSkewMs: number;
    readonly refreshMs: number;
  };
}

export function listenerSettings(name: string, value: ValueOf<typeof listenerShape>): ListenerSettings {
  const { tls } = value;
  return {
    name,
    path: `listeners.${name}`,
    protocol: value.protocol,
    host: value.host,
    port: value.port,
    advertisedHost: value.advertised_host,
    advertisedPort: value.advertised_port,
    mechanisms: value.mechanisms,
    allowsPlainWithoutTls: value.allow_plain_without_tls,
    tls: {
      certificate: tls.certificate,
      key: tls.key,
      clientAuth: tls.client_auth,
      clientCa: tls.client_ca,
      rules: tls.principal_rules.map(({ rule }) => rule),
    },
  };
}

/** The listener that the settings kafka.* speak of, where no others are named. */
export function simpleListener(settings: Settings): ListenerSettings {
  return {
    name: "PLAINTEXT",
    path: "kafka",
    protocol: "PLAINTEXT",
    host: settings.kafkaHost,
    port: settings.kafkaPort,
    advertisedHost: settings.kafkaAdvertisedHost,
    advertisedPort: settings.kafkaAdvertisedPort,
    mechanisms: [],
    allowsPlainWithoutTls: false,
    tls: { certificate: "", key: "", clientAuth: "none", clientCa: null, rules: [] },
  };
}

export function saslSettings(value: ValueOf<typeof saslShape>): SaslSettings {
  const { oauth } = value;
  return {
    users: new Map(
      Array.from(value.users, ([name, { password, hash }]) => [name, { password, hash: hash?.hash ?? null }]),
    ),
    usersFile: value.users_file,
    oauth: {
      issuer: oauth.issuer,
      audience: oauth.audience,
      jwks: oauth.jwks,
      principalClaim: oauth.principal_claim,
      clockSkewMs: oauth.clock_skew,
      refreshMs: oauth.refresh,
    },
  };
}
