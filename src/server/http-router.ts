/** Finds the route of a method and a path. Pure. */
import type { HttpRoute } from "../base/http.ts";

export interface Match {
  readonly route: HttpRoute;
  readonly params: Readonly<Record<string, string>>;
}

export type RouteAnswer =
  | (Match & { readonly kind: "match" })
  | { readonly kind: "no-path" | "no-method" | "bad-encoding" };

export class Router {
  readonly #routes: readonly { readonly route: HttpRoute; readonly segments: readonly string[] }[];

  constructor(routes: readonly HttpRoute[]) {
    this.#routes = routes.map((route) => ({ route, segments: segmentsOf(route.path) }));
  }

  /** The first route that fits, in the order given; a GET route answers HEAD too. */
  match(method: string, path: string): RouteAnswer {
    const segments = segmentsOf(path);
    const onPath = this.#routes.filter((each) => fits(each.segments, segments));
    const wanted = onPath.find(({ route }) => route.method === method);
    const found = wanted ?? (method === "HEAD" ? onPath.find(({ route }) => route.method === "GET") : undefined);
    if (found === undefined) return { kind: onPath.length === 0 ? "no-path" : "no-method" };
    const params = paramsOf(found.segments, found.route.isFormEncoded === true ? spaced(segments) : segments);
    return params === undefined ? { kind: "bad-encoding" } : { kind: "match", route: found.route, params };
  }
}

/** A slash at the end does not count. */
function segmentsOf(path: string): readonly string[] {
  return path.replace(/^\//, "").replace(/\/$/, "").split("/");
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((word, index) => (word.startsWith(":") ? segments[index] !== "" : word === segments[index]))
  );
}

/** Decoded only after splitting: a value may hold "%2F". undefined when it is not valid UTF-8. */
function paramsOf(
  pattern: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = {};
  for (const [index, word] of pattern.entries()) {
    if (!word.startsWith(":")) continue;
    const value = decoded(segments[index] as string);
    if (value === undefined) return undefined;
    params[word.slice(1)] = value;
  }
  return params;
}

function spaced(segments: readonly string[]): readonly string[] {
  return segments.map((segment) => segment.replaceAll("+", "%20"));
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    if (cause instanceof URIError) return undefined;
    throw cause;
  }
}
