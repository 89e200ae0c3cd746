/** How requests to a REST catalog are authorized. Tokens and secrets leave this file only inside an Authorization header. */
import { SingleFlight } from "../src/base/async.ts";
import { OperationFailed } from "../src/base/errors.ts";
import type { Clock } from "../src/base/runtime.ts";
import { isJsonObject, type Json, parseJson } from "../src/table/iceberg/json.ts";
import { understood } from "./rest-answers.ts";
import { RequestSigner, type SigV4Settings, type Unsigned } from "./rest-sigv4.ts";

export type RestAuth =
  | { readonly kind: "none" }
  | ({ readonly kind: "sigv4" } & SigV4Settings)
  | { readonly kind: "bearer"; readonly token: string }
  | {
      readonly kind: "oauth2";
      /** The authorization server's own endpoint; the catalog's /v1/oauth/tokens is deprecated. */
      readonly tokenUri: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope: string;
    };

export type HeaderValues = Readonly<Record<string, string>>;

export interface Authorizer {
  /** All headers to send: those of the request, and who we are. */
  headers(request: Unsigned): Promise<HeaderValues>;
  /** Learns from a request that the catalog refused. False when asking again can bring nothing else. */
  renew(refused: HeaderValues, answer: Refusal): boolean;
}

/** Of which nothing happened. */
export interface Refusal {
  readonly status: number;
  /** When the catalog said so, by its own clock; NaN: it does not say. */
  readonly dateMs: number;
}

/** Sends a form and returns the status and the body; bounded in time and size by whoever gives it. */
export type PostForm = (
  uri: string,
  form: URLSearchParams,
) => Promise<{ readonly status: number; readonly body: string }>;

export function authorizer(auth: RestAuth, clock: Clock, post: PostForm): Authorizer {
  switch (auth.kind) {
    case "none":
      return { headers: async ({ headers }) => headers, renew: () => false };
    case "bearer": {
      const authorization = `Bearer ${auth.token}`;
      return { headers: async ({ headers }) => ({ ...headers, authorization }), renew: () => false };
    }
    case "sigv4": {
      const signer = new RequestSigner(auth, clock);
      return {
        headers: async (request) => await signer.sign(request),
        renew: (_, { status, dateMs }) => status === 403 && signer.learnTime(dateMs),
      };
    }
    case "oauth2":
      return new ClientCredentials(auth, clock, post);
  }
}

/** RFC 6749, section 4.4. */
class ClientCredentials implements Authorizer {
  readonly #auth: Extract<RestAuth, { readonly kind: "oauth2" }>;
  readonly #clock: Clock;
  readonly #post: PostForm;
  readonly #asking = new SingleFlight<"token", string>();
  #token: { readonly header: string; readonly staleAt: number } | undefined;

  constructor(auth: Extract<RestAuth, { readonly kind: "oauth2" }>, clock: Clock, post: PostForm) {
    this.#auth = auth;
    this.#clock = clock;
    this.#post = post;
  }

  async headers({ headers }: Unsigned): Promise<HeaderValues> {
    return { ...headers, authorization: await this.#header() };
  }

  renew(refused: HeaderValues, { status }: Refusal): boolean {
    if (status !== 401 && status !== 419) return false;
    if (this.#token?.header === refused["authorization"]) this.#token = undefined;
    return true;
  }

  async #header(): Promise<string> {
    if (this.#token !== undefined && this.#clock.monotonic() < this.#token.staleAt) return this.#token.header;
    return await this.#asking.run("token", () => this.#ask().catch(unsent));
  }

  async #ask(): Promise<string> {
    const { tokenUri, clientId, clientSecret, scope } = this.#auth;
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      scope,
      client_id: clientId,
      client_secret: clientSecret,
    });
    const answer = await this.#post(tokenUri, form);
    const read = (): Json => parseJson(answer.body, "token answer");
    const json = answer.status === 200 ? understood(`no token from ${tokenUri}`, read) : null;
    const token = isJsonObject(json) ? json["access_token"] : undefined;
    if (typeof token !== "string") {
      throw new OperationFailed(`no token from ${tokenUri}: HTTP ${answer.status}`, { happened: "no" });
    }
    const seconds = isJsonObject(json) ? Number(json["expires_in"] ?? 3600) : 3600;
    // Renewed after four fifths of its life: requests under way outlive the last fifth.
    this.#token = { header: `Bearer ${token}`, staleAt: this.#clock.monotonic() + seconds * 800 };
    return this.#token.header;
  }
}

/** Whatever became of asking for a token: the request that wants it was not sent. */
function unsent(cause: unknown): never {
  if (!(cause instanceof OperationFailed)) throw cause;
  throw new OperationFailed(cause.message, { happened: "no", cause });
}
