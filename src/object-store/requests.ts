/** One request to a store over the network, never repeated here: with a deadline, and a failure that says what it means. */
import { CorruptData, type Happened } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import { StoreFailed } from "./object-store.ts";

/** What an answer, or the lack of one, says about the request. */
export type Trouble =
  /** The condition did not hold. */
  | { readonly kind: "condition" }
  /** There is no such object, or upload. */
  | { readonly kind: "missing" }
  /** The object is shorter than the range. */
  | { readonly kind: "range" }
  | { readonly kind: "failed"; readonly happened: Happened; readonly retriable: boolean; readonly code: string };

export interface RequestsOptions {
  readonly clock: Clock;
  readonly requestMsMax: number;
  readonly troubleOf: (cause: unknown) => Trouble;
  /** Before each request, within its deadline. */
  readonly prepare?: () => Promise<void>;
  readonly failed?: (code: string) => void;
}

export class Requests {
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** A read has no effect, so its failure never leaves a doubt. */
  read<T>(what: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#request(what, "no", work);
  }

  write<T>(what: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#request(what, "maybe", work);
  }

  async #request<T>(what: string, happenedAtMost: Happened, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, requestMsMax, troubleOf, prepare } = this.#options;
    const deadline = new AbortController();
    let expire: (cause: Error) => void = () => {};
    const expired = new Promise<never>((_, reject) => {
      expire = reject;
    });
    using _timer = clock.after(requestMsMax, () => {
      deadline.abort();
      expire(new StoreFailed(`${what}: no answer in time`, { happened: happenedAtMost, retriable: true }));
    });
    const sent = prepare === undefined ? work(deadline.signal) : prepare().then(() => work(deadline.signal));
    try {
      return await Promise.race([sent, expired]); // An SDK may overlook an abort while a body comes in.
    } catch (cause) {
      if (cause instanceof StoreFailed || cause instanceof CorruptData) throw cause;
      const trouble = troubleOf(cause);
      if (trouble.kind !== "failed") throw new StoreAnswer(what, trouble.kind, cause);
      this.#options.failed?.(trouble.code);
      const happened = trouble.happened === "maybe" ? happenedAtMost : "no";
      throw new StoreFailed(`${what}: ${trouble.code}`, { happened, retriable: trouble.retriable, cause });
    }
  }
}

/** An answer that some callers expect; whoever does not sees a failure that repeating would not help. */
class StoreAnswer extends StoreFailed {
  readonly answer: Exclude<Trouble["kind"], "failed">;
  constructor(what: string, answer: StoreAnswer["answer"], cause: unknown) {
    super(`${what}: ${answer}`, { happened: "no", retriable: false, cause });
    this.answer = answer;
  }
}

export function answerOf(cause: unknown): StoreAnswer["answer"] | undefined {
  return cause instanceof StoreAnswer ? cause.answer : undefined;
}

/** The connection never stood, so no request was sent. Codes of Node. */
export const neverSent: readonly string[] = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
