/**
 * Delegation tokens (KIP-48). The metadata keep what a token may do; the token itself can be made by whoever has the
 * cluster's secret, and by nobody else:
 *
 *   token = HMAC-SHA-512(secret, id)        its base64 is the password that SCRAM proves
 */
import { createHmac, pbkdf2, timingSafeEqual } from "node:crypto";
import { CorruptData } from "../base/errors.ts";
import {
  type ScramCredential,
  type ScramMechanism,
  scramCredential,
  scramHashName,
  scramIterations,
} from "./scram-credential.ts";

export interface DelegationToken {
  readonly id: string;
  readonly owner: string;
  /** Who asked for it: the owner, or somebody who may act for the owner. */
  readonly requester: string;
  readonly renewers: readonly string[];
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** No renewal reaches beyond it. */
  readonly maxMs: number;
}

export function tokenHmac(secret: string, id: string): Uint8Array {
  return createHmac("sha512", secret).update(id).digest();
}

/** The token whose HMAC it is. Looks at all of them, so that the time tells nothing. */
export function tokenOf(
  tokens: Iterable<DelegationToken>,
  secret: string,
  hmac: Uint8Array,
): DelegationToken | undefined {
  let found: DelegationToken | undefined;
  for (const token of tokens) {
    const expected = tokenHmac(secret, token.id);
    if (hmac.length === expected.length && timingSafeEqual(hmac, expected)) found = token;
  }
  return found;
}

/** As if the token's owner had set it for a password. The salt is the same at each call: it is nothing secret. */
export async function tokenCredential(mechanism: ScramMechanism, secret: string, id: string): Promise<ScramCredential> {
  const hash = scramHashName(mechanism);
  const password = Buffer.from(tokenHmac(secret, id)).toString("base64");
  const salt = createHmac(hash, secret).update(`salt\0${id}`).digest().subarray(0, saltBytes);
  const iterations = scramIterations.min;
  const bytes = hash === "sha256" ? 32 : 64;
  const saltedPassword = await new Promise<Uint8Array>((resolve, reject) => {
    pbkdf2(password, salt, iterations, bytes, hash, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
  return scramCredential(mechanism, { salt, iterations, saltedPassword });
}

const saltBytes = 26;

/** As the fact keeps it, whose key is the id. */
export function encodeDelegationToken(token: DelegationToken): string {
  const { owner, requester, renewers, issuedMs, expiresMs, maxMs } = token;
  return JSON.stringify({ owner, requester, renewers, issuedMs, expiresMs, maxMs });
}

/** Throws CorruptData. */
export function decodeDelegationToken(id: string, text: string): DelegationToken {
  try {
    const { owner, requester, renewers, issuedMs, expiresMs, maxMs } = JSON.parse(text) as DelegationToken;
    const isWhole =
      [owner, requester, ...renewers].every((each) => typeof each === "string") &&
      [issuedMs, expiresMs, maxMs].every((each) => Number.isSafeInteger(each));
    if (isWhole) return { id, owner, requester, renewers, issuedMs, expiresMs, maxMs };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
  }
  throw new CorruptData({
    source: "delegation token",
    position: 0,
    expected: "its owner, renewers and times",
    found: "something else",
  });
}
