/**
 * PLAIN (RFC 4616): the password itself, which only TLS keeps from others.
 *
 *   | authorize as | 0 | name | 0 | password |
 */
import type { Gate } from "../base/async.ts";
import { type Mechanism, refusal, type Step } from "./mechanism.ts";
import { isPassword, isSameSecret, type PasswordHash, passwordBytesMax, strangerHash } from "./password-hash.ts";

/** As settings say it, or a hash of it. */
export type PlainSecret =
  | { readonly kind: "clear"; readonly password: Uint8Array }
  | { readonly kind: "hash"; readonly hash: PasswordHash };

export interface PlainOptions {
  readonly lookup: (name: string) => PlainSecret | undefined;
  /** Bounds how many passwords are hashed at once: each takes a thread, and tens of MiB. */
  readonly gate: Gate;
}

const name = "PLAIN";

export function plain(options: PlainOptions): Mechanism {
  return { name, begin: () => ({ step: (token) => check(options, token) }) };
}

async function check({ lookup, gate }: PlainOptions, token: Uint8Array): Promise<Step> {
  const parts = split(token);
  const [authorizeAs, user, password] = parts;
  const isWhole = parts.length === 3 && authorizeAs !== undefined && user !== undefined && password !== undefined;
  if (!isWhole || user.length === 0 || password.length === 0 || password.length > passwordBytesMax) {
    return refusal(name, "the message is malformed");
  }
  const who = Buffer.from(user).toString("utf8");
  if (authorizeAs.length > 0 && Buffer.compare(authorizeAs, user) !== 0) {
    return refusal(name, "it wants to act as somebody else", who);
  }
  const secret = lookup(who);
  const isRight = await isPasswordOf(secret, password, gate);
  if (secret === undefined) return refusal(name, "there is no such user", who);
  if (!isRight) return refusal(name, "the password is wrong", who);
  const identity = { name: who, isTokenAuthenticated: false, expiresAtMs: undefined };
  return { kind: "authenticated", token: new Uint8Array(0), identity };
}

/** A hash is computed whoever it is, so that the time does not tell which names there are. */
async function isPasswordOf(secret: PlainSecret | undefined, password: Uint8Array, gate: Gate): Promise<boolean> {
  const expected = secret?.kind === "hash" ? secret.hash : strangerHash;
  using _ = await gate.enter();
  const isHashed = await isPassword(password, expected);
  return secret?.kind === "clear" ? isSameSecret(password, secret.password) : isHashed;
}

/** No copy: the token is borrowed, and the password in it is not kept. */
function split(token: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = token.indexOf(0); at >= 0 && parts.length < 3; at = token.indexOf(0, from)) {
    parts.push(token.subarray(from, at));
    from = at + 1;
  }
  parts.push(token.subarray(from));
  return parts;
}
