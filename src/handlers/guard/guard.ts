/**
 * Authorization, before and after each handler: what may not be asked for is taken out of the request and answered here, what
 * may not be seen is taken out of the answer. Where no ACLs are enforced handlers are called as they are, without a cost.
 *
 *   request ─▶ rule: may it? ─▶ what is allowed ─▶ handler ─▶ answer + the errors of the rest
 *
 * One rule an API (guard-rules.ts). An API without a rule is not served at all while ACLs are enforced.
 */
import type { Access, Authorizer } from "../../access/authorizer.ts";
import { assert } from "../../base/errors.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Image } from "../../metadata/image.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { Answer, Handlers, RequestContext } from "../../protocol/dispatch.ts";

export interface Guarded<Name extends ApiName> {
  readonly request: RequestOf<Name>;
  readonly context: RequestContext;
  readonly access: Access;
  /** As it is now: a topic id may mean nothing after an await. */
  readonly image: Image;
  /** Whether Metadata makes topics that it is asked for. */
  readonly createsTopics: boolean;
  /** Calls the handler. */
  readonly next: (request: RequestOf<Name>) => Promise<Answer<ResponseInputOf<Name>>>;
}

export type Rule<Name extends ApiName> = (guarded: Guarded<Name>) => Promise<Answer<ResponseInputOf<Name>>>;
export type Rules = { readonly [Name in ApiName]?: Rule<Name> };

export interface GuardOptions {
  readonly authorizer: Authorizer;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly createsTopics: boolean;
  readonly rules: Rules;
}

export function guarded(handlers: Handlers, options: GuardOptions): Handlers {
  const { authorizer, metadata, createsTopics, rules } = options;
  const guard = ([name, handler]: [string, unknown]): [string, AnyHandler] => {
    const api = name as ApiName;
    const rule = rules[api] as AnyRule | undefined;
    assert(rule !== undefined, `${name} is served, but no rule says who may ask for it`);
    const next = handler as AnyHandler;
    return [
      api,
      (request, context) =>
        rule({
          request,
          context,
          access: authorizer.access(api, context),
          image: metadata.image,
          createsTopics,
          next: (allowed) => next(allowed, context),
        }),
    ];
  };
  return Object.fromEntries(Object.entries(handlers).map(guard)) as Handlers;
}

/** The types pair each rule with its own request; a lookup by a variable name loses that. */
type AnyHandler = (request: unknown, context: RequestContext) => Promise<Answer<unknown>>;
type AnyRule = (
  guarded: Omit<Guarded<"apiVersions">, "request" | "next"> & {
    readonly request: unknown;
    readonly next: (request: unknown) => Promise<Answer<unknown>>;
  },
) => Promise<Answer<unknown>>;

export function isAnswer<Response>(answer: Answer<Response>): answer is Response {
  return answer !== "no-response" && answer !== "close";
}

/** What the rule lets through, and what not, in the order of the request. */
export function split<T>(
  items: readonly T[],
  isAllowed: (item: T) => boolean,
): { readonly allowed: T[]; readonly denied: T[] } {
  const allowed: T[] = [];
  const denied: T[] = [];
  for (const item of items) (isAllowed(item) ? allowed : denied).push(item);
  return { allowed, denied };
}

/** Asks once for each name, however often the request repeats it: an audit log is no place for repetitions. */
export function once(ask: (name: string) => boolean): (name: string) => boolean {
  const answers = new Map<string, boolean>();
  return (name) => {
    const known = answers.get(name);
    if (known !== undefined) return known;
    const answer = ask(name);
    answers.set(name, answer);
    return answer;
  };
}
