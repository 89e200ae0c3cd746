/**
 * Signed tokens (RFC 7519, RFC 7515): three parts in base64url, joined by dots.
 *
 *   { "alg": "RS256", "kid": "…" } . { "sub": …, "exp": …, "iss": …, "aud": … } . signature
 *
 * Only asymmetric algorithms of this table are known: with "none" or an HMAC of the public key anybody could sign.
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";

const algorithms = {
  RS256: { hash: "sha256", type: "rsa", curve: undefined },
  RS384: { hash: "sha384", type: "rsa", curve: undefined },
  RS512: { hash: "sha512", type: "rsa", curve: undefined },
  ES256: { hash: "sha256", type: "ec", curve: "prime256v1" },
  ES384: { hash: "sha384", type: "ec", curve: "secp384r1" },
} as const;

type Algorithm = keyof typeof algorithms;

export interface VerificationKey {
  readonly id: string | undefined;
  /** When the set says it, the only one that the key is for. */
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

export interface TokenRules {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** How far our clock and the issuer's may be apart. */
  readonly clockSkewMs: number;
  /** The claim that names the principal. */
  readonly principalClaim: string;
}

export interface SignedToken {
  readonly algorithm: Algorithm;
  readonly keyId: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the signature is of, and the signature. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

export type Verified =
  | { readonly kind: "valid"; readonly principal: string; readonly expiresAtMs: number }
  | { readonly kind: "invalid"; readonly because: string };

/** Below it an RSA key can be broken (NIST SP 800-57). */
const rsaBitsMin = 2048;
const tokenBytesMax = 16_384;

/** undefined: not a token whose signature could be checked. */
export function parseToken(text: string): SignedToken | undefined {
  const parts = text.length > tokenBytesMax ? [] : text.split(".");
  const [head, body, signature] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || !signature) return undefined;
  if (!parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return undefined;
  const header = jsonObject(head);
  const claims = jsonObject(body);
  if (header === undefined || claims === undefined) return undefined;
  const { alg, kid, crit } = header;
  if (typeof alg !== "string" || !Object.hasOwn(algorithms, alg) || crit !== undefined) return undefined;
  return {
    algorithm: alg as Algorithm,
    keyId: typeof kid === "string" ? kid : undefined,
    claims,
    signed: Buffer.from(`${head}.${body}`),
    signature: Buffer.from(signature, "base64url"),
  };
}

/** Keys of a JSON Web Key Set that can check a signature; others are passed over. undefined: no such set. */
export function parseKeySet(text: string): readonly VerificationKey[] | undefined {
  const keys = jsonValue(text)?.["keys"];
  if (!Array.isArray(keys)) return undefined;
  return keys.flatMap((jwk: unknown) => verificationKey(jwk) ?? []);
}

/** Whether one of the keys signed it, and what it says holds now. */
export function verifyToken(
  token: SignedToken,
  keys: readonly VerificationKey[],
  rules: TokenRules,
  nowMs: number,
): Verified {
  const candidates = keys.filter((key) => isFor(key, token));
  if (!candidates.some((key) => isSignedBy(token, key.key))) return invalid("no known key has signed the token");
  return checkClaims(token.claims, rules, nowMs);
}

/** Whether the key is the one that the token names; a token without a name may be any's. */
export function isFor(key: VerificationKey, token: SignedToken): boolean {
  const { type, curve } = algorithms[token.algorithm];
  if (token.keyId !== undefined && key.id !== token.keyId) return false;
  if (key.algorithm !== undefined && key.algorithm !== token.algorithm) return false;
  if (key.key.asymmetricKeyType !== type) return false;
  return curve === undefined || key.key.asymmetricKeyDetails?.namedCurve === curve;
}

function isSignedBy(token: SignedToken, key: KeyObject): boolean {
  const { hash } = algorithms[token.algorithm];
  return verify(hash, token.signed, { key, dsaEncoding: "ieee-p1363" }, token.signature);
}

function checkClaims(claims: SignedToken["claims"], rules: TokenRules, nowMs: number): Verified {
  const { iss, aud, exp, nbf } = claims;
  const principal = Object.hasOwn(claims, rules.principalClaim) ? claims[rules.principalClaim] : undefined;
  if (iss !== rules.issuer) return invalid("another issuer");
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audience.some((each) => typeof each === "string" && rules.audience.includes(each))) {
    return invalid("another audience");
  }
  if (typeof exp !== "number" || !Number.isFinite(exp)) return invalid("no time of expiry");
  if (exp * 1000 + rules.clockSkewMs <= nowMs) return invalid("expired");
  if (nbf !== undefined && (typeof nbf !== "number" || nbf * 1000 - rules.clockSkewMs > nowMs)) {
    return invalid("not valid yet");
  }
  if (typeof principal !== "string" || principal === "") return invalid(`no claim ${rules.principalClaim}`);
  return { kind: "valid", principal, expiresAtMs: Math.min(exp * 1000, Number.MAX_SAFE_INTEGER) };
}

function verificationKey(jwk: unknown): VerificationKey | undefined {
  if (typeof jwk !== "object" || jwk === null) return undefined;
  const { kid, alg, use, kty } = jwk as Readonly<Record<string, unknown>>;
  if ((kty !== "RSA" && kty !== "EC") || (use !== undefined && use !== "sig")) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
  } catch (cause) {
    // A key that Node cannot read checks nothing, and must not keep the others of its set from doing so.
    if (cause instanceof Error) return undefined;
    throw cause;
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < rsaBitsMin) return undefined;
  return { id: typeof kid === "string" ? kid : undefined, algorithm: typeof alg === "string" ? alg : undefined, key };
}

function jsonObject(part: string): Readonly<Record<string, unknown>> | undefined {
  return jsonValue(Buffer.from(part, "base64url").toString("utf8"));
}

function jsonValue(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function invalid(because: string): Verified {
  return { kind: "invalid", because };
}
