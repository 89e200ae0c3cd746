/**
 * One connection's way from a stranger to a principal (KIP-43, KIP-152), and back to it when its session ends (KIP-368).
 *
 *   stranger ──SaslHandshake──▶ exchanging ──SaslAuthenticate × n──▶ known
 *                                    ▲                                 │
 *                                    └─────────SaslHandshake───────────┘ same mechanism, same principal
 *
 * Whatever does not fit its state closes the connection. After a handshake of version 0 tokens come as bare frames.
 */
import { type ErrorName, errorCode } from "../../schemas/kafka/errors.ts";
import type { Exchange, Identity, Mechanism, Step } from "../auth/mechanism.ts";
import { sleep } from "../base/async.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { ApiName, ResponseInputOf } from "../protocol/api-table.ts";
import { anonymous, type Principal } from "../protocol/dispatch.ts";

export interface AuthenticatorLimits {
  /** How long the answer to a failed attempt takes, so that passwords cannot be guessed quickly. */
  readonly failedAuthenticationDelayMs: number;
  /** Longest session before the client must authenticate again; 0 for no limit of ours. */
  readonly sessionMsMax: number;
}

export interface AuthenticatorOptions {
  readonly mechanisms: ReadonlyMap<string, Mechanism>;
  readonly limits: AuthenticatorLimits;
  readonly clock: Clock;
  /** One line for each attempt that ended. */
  readonly audit: Logger;
  readonly clientHost: string;
  readonly listener: string;
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal;
}

/** An answer, and whether the connection ends with it; "close" ends it without one. */
export type SaslAnswer<Body> = { readonly body: Body; readonly closes: boolean } | "close";

/** All that a stranger may ask. */
export const strangerApis: ReadonlySet<ApiName> = new Set<ApiName>([
  "apiVersions",
  "saslHandshake",
  "saslAuthenticate",
]);

/** Kafka's own: a client that re-authenticates more often is told that it may not. */
const reauthenticationMsMin = 1_000;

type State =
  | { readonly kind: "stranger" }
  | { readonly kind: "exchanging"; readonly mechanism: string; readonly exchange: Exchange; readonly isBare: boolean }
  | { readonly kind: "known" };

interface Session {
  readonly principal: Principal;
  readonly mechanism: string;
  readonly sinceMs: number;
  /** On the monotonic clock; undefined when it does not end. */
  readonly endsMs: number | undefined;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  #state: State = { kind: "stranger" };
  #session: Session | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  get principal(): Principal {
    return this.#session?.principal ?? anonymous;
  }

  /** Whether it has ever authenticated: only then more than the stranger's APIs are decoded. */
  get isKnown(): boolean {
    return this.#session !== undefined;
  }

  /** Whether the next frame is a token without a request around it. */
  get takesBareTokens(): boolean {
    return this.#state.kind === "exchanging" && this.#state.isBare;
  }

  /** Whether a request may be answered now. A handshake always may: it says itself what is wrong. */
  mayAsk(api: ApiName): boolean {
    if (api === "saslHandshake" || api === "saslAuthenticate") return true;
    if (this.#state.kind === "exchanging") return false;
    return this.#session === undefined ? strangerApis.has(api) : !this.#isOver(this.#session);
  }

  handshake(mechanism: string, apiVersion: number): SaslAnswer<ResponseInputOf<"saslHandshake">> {
    const { mechanisms, clock } = this.#options;
    const answer = (error: ErrorName, closes: boolean) => ({
      body: { errorCode: errorCode[error], mechanisms: [...mechanisms.keys()] },
      closes,
    });
    if (this.#state.kind === "exchanging") return answer("ILLEGAL_SASL_STATE", true);
    const session = this.#session;
    if (session !== undefined && clock.monotonic() - session.sinceMs < reauthenticationMsMin) {
      return answer("ILLEGAL_SASL_STATE", false);
    }
    const found = mechanisms.get(mechanism);
    const isOther = session !== undefined && session.mechanism !== mechanism;
    if (found === undefined || isOther) return answer("UNSUPPORTED_SASL_MECHANISM", true);
    this.#state = { kind: "exchanging", mechanism, exchange: found.begin(), isBare: apiVersion === 0 };
    return answer("NONE", false);
  }

  async authenticate(token: Uint8Array): Promise<SaslAnswer<ResponseInputOf<"saslAuthenticate">>> {
    const state = this.#state;
    const failed = (error: ErrorName, errorMessage: string, closes: boolean) => ({
      body: { errorCode: errorCode[error], errorMessage, authBytes: nothing },
      closes,
    });
    switch (state.kind) {
      case "stranger":
        return "close";
      case "known":
        return failed("ILLEGAL_SASL_STATE", "SaslAuthenticate request received after successful authentication", false);
      case "exchanging": {
        const outcome = await this.#step(state, token);
        if (outcome.kind === "refused") return failed("SASL_AUTHENTICATION_FAILED", outcome.message, true);
        const { token: authBytes, sessionLifetimeMs } = outcome;
        return { body: { errorCode: 0, errorMessage: null, authBytes, sessionLifetimeMs }, closes: false };
      }
    }
  }

  /** The token of a bare frame. A failure has no words here: the connection ends. */
  async authenticateBare(token: Uint8Array): Promise<SaslAnswer<Uint8Array>> {
    if (this.#state.kind !== "exchanging") return "close";
    const outcome = await this.#step(this.#state, token);
    return outcome.kind === "refused" ? "close" : { body: outcome.token, closes: false };
  }

  async #step(state: Extract<State, { kind: "exchanging" }>, token: Uint8Array): Promise<Outcome> {
    const step = await state.exchange.step(token);
    switch (step.kind) {
      case "challenge":
        return { kind: "going-on", token: step.token, sessionLifetimeMs: 0 };
      case "authenticated": {
        const principal: Principal = { type: "User", ...pick(step.identity) };
        const before = this.#session?.principal;
        if (before !== undefined && !isSame(before, principal))
          return await this.#refuse(state, changed(before, principal));
        const sessionLifetimeMs = this.#admit(state.mechanism, principal, step.identity.expiresAtMs);
        return { kind: "going-on", token: step.token, sessionLifetimeMs };
      }
      case "refused":
        return await this.#refuse(state, step);
    }
  }

  /** Returns how long the session lasts, as the client is told; 0 for ever. */
  #admit(mechanism: string, principal: Principal, expiresAtMs: number | undefined): number {
    const { clock, limits, audit, clientHost, listener } = this.#options;
    const bounds = [
      ...(expiresAtMs === undefined ? [] : [Math.max(0, expiresAtMs - clock.now())]),
      ...(limits.sessionMsMax === 0 ? [] : [limits.sessionMsMax]),
    ];
    const sinceMs = clock.monotonic();
    const lifetimeMs = bounds.length === 0 ? undefined : Math.floor(Math.min(...bounds));
    const isAgain = this.#session !== undefined;
    this.#session = {
      principal,
      mechanism,
      sinceMs,
      endsMs: lifetimeMs === undefined ? undefined : sinceMs + lifetimeMs,
    };
    this.#state = { kind: "known" };
    const fields = { principal: `User:${principal.name}`, mechanism, clientHost, listener };
    audit.info("authentication succeeded", { ...fields, isToken: principal.isTokenAuthenticated, isAgain });
    return lifetimeMs ?? 0;
  }

  async #refuse(
    { mechanism }: { readonly mechanism: string },
    step: Extract<Step, { kind: "refused" }>,
  ): Promise<Outcome> {
    const { audit, clock, clientHost, listener, limits, signal } = this.#options;
    const { message, because, name } = step;
    audit.warn("authentication failed", { name, mechanism, clientHost, listener, because });
    await sleep(clock, limits.failedAuthenticationDelayMs, signal).catch(() => undefined); // Aborted: nobody is there to wait.
    return { kind: "refused", message };
  }

  #isOver({ endsMs }: Session): boolean {
    return endsMs !== undefined && this.#options.clock.monotonic() >= endsMs;
  }
}

type Outcome =
  | { readonly kind: "going-on"; readonly token: Uint8Array; readonly sessionLifetimeMs: number }
  | { readonly kind: "refused"; readonly message: string };

const nothing = new Uint8Array(0);

function pick({ name, isTokenAuthenticated }: Identity): Pick<Principal, "name" | "isTokenAuthenticated"> {
  return { name, isTokenAuthenticated };
}

function isSame(a: Principal, b: Principal): boolean {
  return a.name === b.name && a.isTokenAuthenticated === b.isTokenAuthenticated;
}

function changed(before: Principal, now: Principal): Extract<Step, { kind: "refused" }> {
  const message = `Cannot change principals during re-authentication from User:${before.name} to User:${now.name}`;
  return { kind: "refused", message, because: "another principal than before", name: now.name };
}
