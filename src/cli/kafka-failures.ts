/** What kafkajs throws, in one line that says what to do. Other failures are handed back as they are. */
import type { AccessOptions } from "./broker-access.ts";
import { certificateTrouble, isOfStranger } from "./certificate-trouble.ts";
import type { Context } from "./context.ts";
import { CommandFailed, type ExitCode, exitCodes } from "./output.ts";

export function worded(cause: unknown, { brokers, access }: Pick<Context, "brokers" | "access">): unknown {
  if (!isOfClient(cause)) return cause;
  const error = deepest(cause);
  if (error.name.startsWith("KafkaJSConnection")) return unconnected(error, brokers, access);
  if (error.name === "KafkaJSBrokerNotFound")
    return new CommandFailed(`no broker answers at ${brokers}: ${error.message}`, exitCodes.unreachable, { cause });
  if (error.name === "KafkaJSSASLAuthenticationError") {
    const said = error.message.replace(/^SASL .*? failed: /, "");
    return new CommandFailed(`SASL_AUTHENTICATION_FAILED: ${said}`, exitCodes.failed, { cause });
  }
  const { type, message } = error;
  if (type === undefined) return new CommandFailed(message, exitCodes.failed, { cause });
  const hint = hints.get(type);
  const said = hint === undefined ? message : `${message}; ${hint}`;
  return new CommandFailed(`${type}: ${said}`, codeOf(type), { cause });
}

/** An error of Kafka's protocol, and what it means. */
export interface Refusal {
  readonly type: string;
  readonly message: string;
}

/** Undefined when the broker has not answered, or the failure is none of Kafka's. */
export function refusalOf(cause: unknown): Refusal | undefined {
  if (!isOfClient(cause)) return undefined;
  const { type, message } = deepest(cause);
  return type === undefined ? undefined : { type, message };
}

export function codeOf(type: string): ExitCode {
  const isMissing = type === "UNKNOWN_TOPIC_OR_PARTITION" || type === "GROUP_ID_NOT_FOUND";
  return isMissing ? exitCodes.missing : exitCodes.failed;
}

interface KafkaFailure extends Error {
  /** Of the protocol. */
  readonly type?: string;
  /** Of the system, or of OpenSSL. */
  readonly code?: string;
  /** Whom it was called for, as host:port. */
  readonly broker?: string;
  /** Of several topics, or groups. */
  readonly errors?: readonly unknown[];
  readonly groups?: readonly { readonly error?: unknown }[];
}

/** What is meant by errors that do not say it. */
const hints: ReadonlyMap<string, string> = new Map([
  ["UNSUPPORTED_SASL_MECHANISM", "say another one with --sasl-mechanism"],
  ["ILLEGAL_SASL_STATE", "the listener may ask for no user: leave --user and INLET_USER out, or name another listener"],
]);

function isOfClient(cause: unknown): cause is Error {
  return cause instanceof Error && cause.name.startsWith("KafkaJS");
}

/** The retrier and the admin client wrap what the broker said. */
function deepest(error: KafkaFailure): KafkaFailure {
  const inner = error.cause ?? error.errors?.[0] ?? error.groups?.[0]?.error;
  return inner instanceof Error && inner !== error ? deepest(inner) : error;
}

/** Exit 1 where the other side was understood and the two do not fit, 3 where it may be no broker at all. */
function unconnected(error: KafkaFailure, brokers: string, access: AccessOptions): CommandFailed {
  const { code, message, broker = brokers } = error;
  const failed = (said: string) => new CommandFailed(said, exitCodes.failed, { cause: error });
  const unreachable = (said: string) => new CommandFailed(said, exitCodes.unreachable, { cause: error });
  const trouble = certificateTrouble(code);
  if (trouble !== undefined) {
    const fix = isOfStranger(code) ? ": say --tls-ca, with the certificate of whoever signed it" : "";
    return failed(`the certificate of ${broker} ${trouble}${fix}`);
  }
  if (code === "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")
    return failed(`${broker} wants a certificate: say --tls-cert and --tls-key`);
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || message.includes("before secure TLS connection"))
    return unreachable(`${broker} does not speak TLS: leave --tls out, or name another listener`);
  if (code?.startsWith("ERR_SSL_") === true) {
    // "…:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:…"
    const [, reason = code] = /SSL routines:[^:]*:([^:]+)/.exec(message) ?? [];
    return failed(`no TLS with ${broker}: ${reason}`);
  }
  if (error.name === "KafkaJSConnectionClosedError" || code === "ECONNRESET" || code === "EPIPE")
    return unreachable(`${broker} closes the connection: it may want ${wanted(access)}`);
  const isNamed = brokers.split(",").some((each) => each.trim() === broker);
  const where = isNamed || broker === brokers ? brokers : `${broker}, which ${brokers} says is its address`;
  return unreachable(`no broker answers at ${where}: ${message}`);
}

function wanted({ tls, tlsCa, tlsCert, user, oauthTokenFile }: AccessOptions): string {
  const hasTls = tls !== undefined || tlsCa !== undefined || tlsCert !== undefined;
  const certificate = tlsCert === undefined ? "a certificate (--tls-cert)" : "another certificate than --tls-cert";
  return [
    ...(hasTls ? [] : ["TLS (--tls or --tls-ca)"]),
    ...(user === undefined && oauthTokenFile === undefined ? ["a user (--user)"] : []),
    ...(hasTls ? [certificate] : []),
  ].join(", or ");
}
