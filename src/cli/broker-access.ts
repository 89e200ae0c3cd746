/** How commands get into a listener that wants TLS or a user: options, read and checked before anything is tried. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, getCACertificates } from "node:tls";
import { type Command, Option } from "commander";
import type { KafkaConfig, SASLOptions } from "kafkajs";
import { CommandFailed, exitCodes } from "./output.ts";

export interface AccessOptions {
  readonly tls?: true;
  /** Paths of PEM files. */
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly user?: string;
  readonly password?: string;
  readonly passwordFile?: string;
  readonly saslMechanism?: SaslMechanism;
  readonly oauthTokenFile?: string;
}

const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const;
type SaslMechanism = (typeof saslMechanisms)[number];
const saslMechanismByDefault = "SCRAM-SHA-512";

export function addAccessOptions(program: Command): void {
  program
    .option("--tls", "TLS to the brokers, trusting whom this machine trusts")
    .option("--tls-ca <file>", "TLS, trusting the certificates in this file alone")
    .option("--tls-cert <file>", "TLS, showing this certificate (mutual TLS)")
    .option("--tls-key <file>", "the certificate's key")
    .addOption(new Option("--user <name>", "user of the brokers (SASL)").env(variables.user))
    .addOption(
      new Option("--password <password>", "the user's password; it shows in lists of processes").env(
        variables.password,
      ),
    )
    .option("--password-file <file>", "the user's password, in a file")
    .addOption(
      new Option(
        "--sasl-mechanism <name>",
        `how the user authenticates (${saslMechanismByDefault} if not said)`,
      ).choices(saslMechanisms),
    )
    .option("--oauth-token-file <file>", "a token for OAUTHBEARER, in place of a user");
}

const variables = { user: "INLET_USER", password: "INLET_PASSWORD" } as const;

/** A variable may be set for another listener: alone it asks for nothing, and what is said beats it. */
export function accessOptionsOf(program: Command): AccessOptions {
  const { user, password, ...said } = program.opts<AccessOptions>();
  const isSaid = (name: keyof AccessOptions): boolean => program.getOptionValueSource(name) !== "env";
  const hasUser = user !== undefined && user !== "" && (isSaid("user") || said.oauthTokenFile === undefined);
  const hasPassword =
    password !== undefined && password !== "" && (isSaid("password") || (hasUser && said.passwordFile === undefined));
  return { ...said, ...(hasUser ? { user } : {}), ...(hasPassword ? { password } : {}) };
}

/** What kafkajs wants to be told. Throws what is wrong with the options, and no secret with it. */
export function accessOf(options: AccessOptions): Pick<KafkaConfig, "ssl" | "sasl"> {
  const ssl = tlsOf(options);
  const sasl = saslOf(options);
  return { ...(ssl === undefined ? {} : { ssl }), ...(sasl === undefined ? {} : { sasl }) };
}

function tlsOf({ tls, tlsCa, tlsCert, tlsKey }: AccessOptions): KafkaConfig["ssl"] {
  if (tls === undefined && tlsCa === undefined && tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined && tlsKey !== undefined) throw wrong("--tls-key is for a certificate: say --tls-cert, too");
  if (tlsCert !== undefined && tlsKey === undefined) throw wrong("--tls-cert has a key of its own: say --tls-key, too");
  const ca =
    tlsCa === undefined
      ? [...getCACertificates("default"), ...getCACertificates("system")]
      : certificateOf("--tls-ca", tlsCa);
  if (tlsCert === undefined || tlsKey === undefined) return { secureContext: createSecureContext({ ca }) };
  const cert = certificateOf("--tls-cert", tlsCert);
  const key = textOf("--tls-key", tlsKey);
  try {
    return { secureContext: createSecureContext({ ca, cert, key }) };
  } catch (cause) {
    throw wrong("--tls-key is not the key of --tls-cert, or has a password: a PEM file without one is wanted", cause);
  }
}

/** Node takes a file without certificates, and then trusts nobody. */
function certificateOf(option: string, path: string): string {
  const text = textOf(option, path);
  try {
    new X509Certificate(text);
  } catch (cause) {
    throw wrong(`${option} ${path} holds no certificate: a PEM file is wanted`, cause);
  }
  return text;
}

function saslOf(options: AccessOptions): SASLOptions | undefined {
  const { user, password, passwordFile, saslMechanism, oauthTokenFile } = options;
  if (oauthTokenFile !== undefined || saslMechanism === "OAUTHBEARER") return bearerOf(options);
  if (user === undefined) {
    const alone =
      (password !== undefined && "--password") ||
      (passwordFile !== undefined && "--password-file") ||
      (saslMechanism !== undefined && "--sasl-mechanism");
    if (alone === false) return undefined;
    throw wrong(`${alone} is for a user: say --user, or set ${variables.user}`);
  }
  if (password !== undefined && passwordFile !== undefined)
    throw wrong("--password and --password-file are two passwords: say one");
  const secret = passwordFile === undefined ? password : secretOf("--password-file", passwordFile);
  if (secret === undefined)
    throw wrong(`user "${user}" has no password: set ${variables.password}, or say --password-file`);
  const mechanism = (saslMechanism ?? saslMechanismByDefault).toLowerCase() as "plain" | "scram-sha-256";
  return { mechanism, username: user, password: secret };
}

function bearerOf({ user, password, passwordFile, saslMechanism, oauthTokenFile }: AccessOptions): SASLOptions {
  if (oauthTokenFile === undefined) throw wrong("OAUTHBEARER has no token: say --oauth-token-file");
  if (saslMechanism !== undefined && saslMechanism !== "OAUTHBEARER")
    throw wrong(`--oauth-token-file is for OAUTHBEARER, and not for ${saslMechanism}`);
  if (user !== undefined || password !== undefined || passwordFile !== undefined)
    throw wrong("--oauth-token-file says who it is: leave the user and the password out");
  secretOf("--oauth-token-file", oauthTokenFile);
  // Read each time: a session that goes on wants a token that has not expired.
  const oauthBearerProvider = async () => ({ value: secretOf("--oauth-token-file", oauthTokenFile) });
  return { mechanism: "oauthbearer", oauthBearerProvider };
}

/** Editors and `kubectl create secret` end files with a line break. */
function secretOf(option: string, path: string): string {
  const secret = textOf(option, path, "the file").replace(/\r?\n$/, "");
  if (secret === "") throw wrong(`${option}: the file is empty`);
  return secret;
}

/** `shown` in place of a path that may be the secret itself, said for the file by mistake. */
function textOf(option: string, path: string, shown = path): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw wrong(`${option}: ${shown} cannot be read${code === undefined ? "" : ` (${code})`}`, cause);
  }
}

function wrong(message: string, cause?: unknown): CommandFailed {
  return new CommandFailed(message, exitCodes.usage, { cause });
}
