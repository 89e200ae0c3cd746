/** The SASL mechanisms, as settings and metadata have their users. */
import { readFile } from "node:fs/promises";
import type { Settings } from "../schemas/config.ts";
import { decodeDelegationToken, tokenCredential } from "./auth/delegation-token.ts";
import { KeySet } from "./auth/key-set.ts";
import type { Mechanism } from "./auth/mechanism.ts";
import { oauthBearer } from "./auth/oauth-bearer.ts";
import { PasswordFile } from "./auth/password-file.ts";
import { type PlainSecret, plain } from "./auth/plain.ts";
import { type ScramLookup, scram } from "./auth/scram.ts";
import {
  decodeScramCredential,
  parseScramKey,
  type ScramMechanism,
  scramIterations,
  scramKey,
} from "./auth/scram-credential.ts";
import { Gate } from "./base/async.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Logger } from "./base/telemetry.ts";
import type { SaslMechanism, SaslSettings } from "./config/security.ts";
import { isUrl } from "./config/security-checks.ts";
import type { MetadataClient } from "./metadata/client.ts";

export interface AuthenticationOptions {
  readonly settings: Settings;
  readonly sasl: SaslSettings;
  /** Those that any listener offers. */
  readonly wanted: ReadonlySet<SaslMechanism>;
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  readonly runtime: Runtime;
  readonly logger: Logger;
}

export interface Authentication extends AsyncDisposable {
  readonly mechanisms: ReadonlyMap<SaslMechanism, Mechanism>;
}

/** Rejects when a file that it needs cannot be read. */
export async function openAuthentication(options: AuthenticationOptions): Promise<Authentication> {
  const { wanted } = options;
  await using opened = new AsyncDisposableStack();
  const mechanisms = new Map<SaslMechanism, Mechanism>();
  if (wanted.has("PLAIN")) mechanisms.set("PLAIN", await openPlain(options, opened));
  const scrams = (["SCRAM-SHA-256", "SCRAM-SHA-512"] as const).filter((name) => wanted.has(name));
  if (scrams.length > 0) await ensureStrangerSecret(options);
  for (const name of scrams) mechanisms.set(name, openScram(name, options));
  if (wanted.has("OAUTHBEARER")) mechanisms.set("OAUTHBEARER", openOauth(options));
  const parts = opened.move();
  return { mechanisms, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function openPlain(options: AuthenticationOptions, opened: AsyncDisposableStack): Promise<Mechanism> {
  const { sasl, settings, runtime, logger } = options;
  const file =
    sasl.usersFile === null
      ? undefined
      : opened.use(
          await PasswordFile.open({
            path: sasl.usersFile,
            reloadMs: settings.tlsReloadMs,
            clock: runtime.clock,
            logger,
          }),
        );
  const lookup = (name: string): PlainSecret | undefined => {
    const user = sasl.users.get(name);
    if (user !== undefined && user.password !== null) return { kind: "clear", password: Buffer.from(user.password) };
    const hash = user?.hash ?? file?.hashOf(name);
    return hash === undefined ? undefined : { kind: "hash", hash };
  };
  return plain({ lookup, gate: new Gate(settings.passwordChecksMax) });
}

function openScram(mechanism: ScramMechanism, { metadata, runtime, settings }: AuthenticationOptions): Mechanism {
  const userLookup = (name: string): ScramLookup | undefined => {
    const text = metadata.image.fact("scram-credentials", scramKey(mechanism, name));
    if (text === undefined) return undefined;
    const identity = { name, isTokenAuthenticated: false, expiresAtMs: undefined };
    return { credential: decodeScramCredential(text), identity };
  };
  const tokenLookup = async (id: string): Promise<ScramLookup | undefined> => {
    const text = metadata.image.fact("delegation-tokens", id);
    if (text === undefined || settings.delegationTokenSecret === "") return undefined;
    const { owner, expiresMs } = decodeDelegationToken(id, text);
    if (expiresMs <= runtime.clock.now()) return undefined;
    const credential = await tokenCredential(mechanism, settings.delegationTokenSecret, id);
    return { credential, identity: { name: owner, isTokenAuthenticated: true, expiresAtMs: expiresMs } };
  };
  return scram({
    mechanism,
    random: runtime.random,
    lookup: async (name, isToken) => (isToken ? await tokenLookup(name) : userLookup(name)),
    strangerSecret: () => Buffer.from(metadata.image.fact("scram-credentials", strangerSecretKey) ?? "", "base64"),
    strangerIterations: () => iterationsOfSomebody(metadata, mechanism),
  });
}

/** Where all users have as many, a stranger's cannot be told from theirs. */
function iterationsOfSomebody({ image }: AuthenticationOptions["metadata"], mechanism: ScramMechanism): number {
  for (const [key, text] of image.facts("scram-credentials")) {
    if (parseScramKey(key)?.mechanism === mechanism) return decodeScramCredential(text).iterations;
  }
  return scramIterations.min;
}

/** No credential has this key: the names of mechanisms begin those. */
const strangerSecretKey = "stranger-secret";
const strangerSecretBytes = 32;

/** In the metadata, so that a stranger is shown the same salt by every broker and after every start. */
async function ensureStrangerSecret({ metadata, runtime }: AuthenticationOptions): Promise<void> {
  if (metadata.image.fact("scram-credentials", strangerSecretKey) !== undefined) return;
  const value = Buffer.from(runtime.random.fill(new Uint8Array(strangerSecretBytes))).toString("base64");
  await metadata.propose([
    { kind: "set-facts", facts: [{ table: "scram-credentials", key: strangerSecretKey, value }] },
  ]);
}

function openOauth({ sasl, runtime, logger }: AuthenticationOptions): Mechanism {
  const { jwks, issuer, audience, principalClaim, clockSkewMs, refreshMs } = sasl.oauth;
  const keys = new KeySet({
    read: () => (isUrl(jwks) ? fetchKeys(jwks) : readFile(jwks, "utf8")),
    clock: runtime.clock,
    logger,
    ageMsMax: refreshMs,
    readIntervalMsMin: keyReadIntervalMsMin,
  });
  return oauthBearer({ keys, rules: { issuer, audience, clockSkewMs, principalClaim }, clock: runtime.clock });
}

const keyReadIntervalMsMin = 10_000;
const keysMsMax = 5_000;
/** Hundreds of keys; a bound on what a broken server makes us hold. */
const keysBytesMax = 1024 * 1024;

/** Redirects are not followed: they would lead where nobody has said that keys come from. */
export async function fetchKeys(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(keysMsMax) });
  if (!response.ok || response.body === null) throw new Error(`${new URL(url).host} answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > keysBytesMax) throw new Error(`${new URL(url).host} sent more than ${keysBytesMax} bytes of keys`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
