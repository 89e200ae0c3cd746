/**
 * OAUTHBEARER (RFC 7628): a signed token instead of a password.
 *
 *   client  n,[a=authzid],^Aauth=Bearer <token>^A[key=value^A]*^A
 *   server  nothing, or when it refuses { "status": "invalid_token" }, which the client answers with ^A
 */
import type { Clock } from "../base/runtime.ts";
import { parseToken, type TokenRules, type Verified, verifyToken } from "./jwt.ts";
import type { KeySet } from "./key-set.ts";
import { type Exchange, type Mechanism, refusal, type Step } from "./mechanism.ts";

export interface OauthBearerOptions {
  readonly keys: Pick<KeySet, "keysFor">;
  readonly rules: TokenRules;
  readonly clock: Clock;
}

const name = "OAUTHBEARER";
const pattern = /^n,(?:a=([^,]*))?,\x01((?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)+)\x01$/; // eslint-disable-line no-control-regex -- ^A is what parts the message.
const messageBytesMax = 32_768;

export function oauthBearer(options: OauthBearerOptions): Mechanism {
  return { name, begin: () => new OauthBearerExchange(options) };
}

class OauthBearerExchange implements Exchange {
  readonly #options: OauthBearerOptions;
  /** Why the token was refused, once the client has been told so. */
  #refused: Extract<Step, { kind: "refused" }> | undefined;

  constructor(options: OauthBearerOptions) {
    this.#options = options;
  }

  async step(token: Uint8Array): Promise<Step> {
    if (this.#refused !== undefined) return this.#refused;
    const message = token.length > messageBytesMax ? "" : Buffer.from(token).toString("latin1");
    const [, authorizeAs, fields] = pattern.exec(message) ?? [];
    const bearer = fields
      ?.split("\x01")
      .find((field) => field.startsWith("auth="))
      ?.slice("auth=".length);
    const [, text] = /^bearer +([A-Za-z0-9._-]+) *$/i.exec(bearer ?? "") ?? [];
    if (text === undefined) return refusal(name, "the message is malformed");
    const verified = await this.#verify(text);
    if (verified.kind === "invalid") return this.#challenge(verified.because);
    const { principal, expiresAtMs } = verified;
    if (authorizeAs && authorizeAs !== principal) return refusal(name, "it wants to act as somebody else", principal);
    const identity = { name: principal, isTokenAuthenticated: false, expiresAtMs };
    return { kind: "authenticated", token: new Uint8Array(0), identity };
  }

  async #verify(text: string): Promise<Verified> {
    const { keys, rules, clock } = this.#options;
    const token = parseToken(text);
    if (token === undefined) return { kind: "invalid", because: "no token that could be checked" };
    return verifyToken(token, await keys.keysFor(token), rules, clock.now());
  }

  /** The refusal itself follows the client's answer to this. */
  #challenge(because: string): Step {
    this.#refused = refusal(name, because);
    return { kind: "challenge", token: Buffer.from(JSON.stringify({ status: "invalid_token" })) };
  }
}
