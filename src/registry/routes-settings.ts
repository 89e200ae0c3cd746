/** Levels and what else is set for subjects and contexts, modes, and contexts themselves. */
import type { HttpRequest, HttpRoute } from "../base/http.ts";
import { contextOf, contextPrefix, defaultContext, withinContext } from "./context.ts";
import { refusals } from "./refused.ts";
import { modes } from "./registry-record.ts";
import { isTrue, paged, param, route } from "./route-answer.ts";
import { scopeOf } from "./route-context.ts";
import { fieldsOf } from "./route-input.ts";
import type { SchemaRegistry } from "./schema-registry.ts";
import { configUpdateOf, type SubjectConfig } from "./subject-config.ts";

export function configRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const put = async (request: HttpRequest): Promise<unknown> => {
    const set = await registry.setConfig(scopeOf(request), configUpdateOf(fieldsOf(request)));
    const { compatibilityLevel, ...rest } = set;
    return { ...rest, ...(compatibilityLevel === undefined ? {} : { compatibility: compatibilityLevel }) };
  };
  const remove = async (request: HttpRequest): Promise<SubjectConfig> => {
    const scope = scopeOf(request);
    const { compatibilityLevel } = registry.config(scope);
    return { compatibilityLevel, ...(await registry.setConfig(scope, null)) };
  };
  const get = (request: HttpRequest): unknown => {
    const scope = scopeOf(request);
    const own = registry.subjects.config(scope);
    if (scope === null || isTrue(request, "defaultToGlobal")) return registry.config(scope);
    if (own === undefined) throw refusals.noSubjectConfig(scope);
    return { compatibilityLevel: registry.config(scope).compatibilityLevel, ...own };
  };
  return ["/config", "/config/:subject"].flatMap((path) => [
    route("GET", path, get),
    route("PUT", path, put),
    route("DELETE", path, remove),
  ]);
}

export function modeRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const put = async (request: HttpRequest): Promise<unknown> => {
    const { mode: asked = null } = fieldsOf(request);
    const name = typeof asked === "string" ? asked.toUpperCase() : "";
    const mode = asked === null ? null : modes.find((each) => each === name);
    if (mode === undefined) throw refusals.invalidMode();
    await registry.setMode(scopeOf(request), mode, { isForced: isTrue(request, "force") });
    return { mode };
  };
  const remove = async (request: HttpRequest): Promise<unknown> => {
    const before = registry.mode(scopeOf(request));
    const own = await registry.deleteMode(scopeOf(request), { isRecursive: isTrue(request, "recursive") });
    return { mode: own ?? (scopeOf(request) === null ? before : null) };
  };
  const get = (request: HttpRequest): unknown => {
    const scope = scopeOf(request);
    if (scope === null || isTrue(request, "defaultToGlobal")) return { mode: registry.mode(scope) };
    const own = registry.subjects.mode(scope);
    if (own === undefined) throw refusals.noSubjectMode(scope);
    return { mode: own };
  };
  return ["/mode", "/mode/:subject"].flatMap((path) => [
    route("GET", path, get),
    route("PUT", path, put),
    route("DELETE", path, remove),
  ]);
}

/** A client whose URL is that of a context asks for them there. */
export function contextListRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  return [
    route("GET", "/contexts", (request) => {
      const contexts = new Set([defaultContext, ...registry.subjects.contexts()]);
      const prefix = request.query.get("contextPrefix") ?? "";
      return paged(
        request,
        [...contexts].filter((context) => context.startsWith(prefix)),
      );
    }),
  ];
}

export function contextRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  return [
    // A context is there as long as it has subjects: what is empty is gone already.
    route("DELETE", "/contexts/:context", (request) => {
      const context = contextOf(withinContext(defaultContext, `:${param(request, "context").replace(/^:|:$/g, "")}:`));
      if (registry.subjects.contexts().includes(context))
        throw refusals.contextNotEmpty(contextPrefix(context) || context);
      return undefined;
    }),
  ];
}
