/** A `fetch` that calls HTTP routes without sockets, and loses requests and answers as a seed decides. */
import { sleep } from "../../src/base/async.ts";
import type { HttpErrorWords, HttpRequest, HttpResponse, HttpRoute } from "../../src/base/http.ts";
import type { Clock, Random } from "../../src/base/runtime.ts";
import { Router } from "../../src/server/http-router.ts";

export interface RouteFaults {
  /** Probabilities for each request: it never arrives; it is carried out and its answer never arrives. */
  readonly lost: number;
  readonly unheard: number;
}

export const calmRoutes: RouteFaults = { lost: 0, unheard: 0 };

export function routesFetch(
  routes: readonly HttpRoute[],
  errorWords: HttpErrorWords,
  world: { readonly clock: Clock; readonly random: Random; readonly faults: () => RouteFaults },
): typeof globalThis.fetch {
  const router = new Router(routes);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    await sleep(world.clock, world.random.unit());
    if (world.random.unit() < world.faults().lost) throw new Error("simulated: the connection was refused");
    const match = router.match(method, url.pathname);
    if (match.kind !== "match") return answerOf(errorWords(404, "no such path"));
    const request: HttpRequest = {
      method,
      params: match.params,
      query: url.searchParams,
      headers: new Map(),
      body: Buffer.from(typeof init?.body === "string" ? init.body : ""),
      signal: init?.signal ?? new AbortController().signal,
    };
    const answer = await match.route.handle(request);
    if (world.random.unit() < world.faults().unheard) throw new Error("simulated: the connection was reset");
    return answerOf(answer);
  };
}

function answerOf(answer: HttpResponse): Response {
  const hasBody = answer.status !== 204 && answer.status !== 304;
  return new Response(hasBody ? (answer.body as string) : null, { status: answer.status });
}
