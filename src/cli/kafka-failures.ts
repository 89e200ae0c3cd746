/** What kafkajs throws, in one line that says what to do. Other failures are handed back as they are. */
import type { AccessOptions } from "./broker-access.ts";
import { certificateTrouble, isOfStranger } from "./certificate-trouble.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes } from "./output.ts";

export function worded(cause: unknown, { brokers, access }: Pick<Context, "brokers" | "access">): unknown {
  if (!(cause instanceof Error) || !cause.name.startsWith("KafkaJS")) return cause;
  const error: KafkaFailure = deepest(cause);
  const { name, type, broker = brokers } = error;
  if (name.startsWith("KafkaJSConnection")) return unconnected(error, broker, access);
  if (name === "KafkaJSBrokerNotFound")
    return new CommandFailed(`no broker answers at ${brokers}: ${error.message}`, exitCodes.unreachable, { cause });
  if (name === "KafkaJSSASLAuthenticationError") {
    const said = error.message.replace(/^SASL .*? failed: /, "");
    return new CommandFailed(`SASL_AUTHENTICATION_FAILED: ${said}`, exitCodes.failed, { cause });
  }
  const isMissing = type === "UNKNOWN_TOPIC_OR_PARTITION" || type === "GROUP_ID_NOT_FOUND";
  const code = isMissing ? exitCodes.missing : exitCodes.failed;
  const hint = type === undefined ? undefined : hints.get(type);
  const message = hint === undefined ? error.message : `${error.message}; ${hint}`;
  return new CommandFailed(type === undefined ? message : `${type}: ${message}`, code, { cause });
}

interface KafkaFailure extends Error {
  /** Of the protocol. */
  readonly type?: string;
  /** Of the system, or of OpenSSL. */
  readonly code?: string;
  /** Whom it was called for, as host:port. */
  readonly broker?: string;
}

/** What is meant by errors that do not say it. */
const hints: ReadonlyMap<string, string> = new Map([
  ["UNSUPPORTED_SASL_MECHANISM", "say another one with --sasl-mechanism"],
  ["ILLEGAL_SASL_STATE", "the listener may ask for no user: leave --user and INLET_USER out, or name another listener"],
]);

/** The retrier and the admin client wrap what the broker said. */
function deepest(error: Error): Error {
  const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: readonly unknown[] };
  const inner = cause ?? errors?.[0];
  return inner instanceof Error && inner !== error ? deepest(inner) : error;
}

/** Exit 1 where the other side was understood and the two do not fit, 3 where it may be no broker at all. */
function unconnected(error: KafkaFailure, broker: string, access: AccessOptions): CommandFailed {
  const { code, message } = error;
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
  return unreachable(`no broker answers at ${broker}: ${message}`);
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
