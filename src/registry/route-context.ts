/** Where requests name subjects: the one name of each, aliases, and the paths that stand inside a context. */
import type { HttpRequest, HttpRoute } from "../base/http.ts";
import { canonicalSubject, contextOf, contextPrefix, defaultContext, qualified, withinContext } from "./context.ts";
import { param } from "./route-answer.ts";
import type { SchemaRegistry } from "./schema-registry.ts";

/** The subject of the path, by its own name when it is an alias. */
export function subjectOf(registry: SchemaRegistry, request: HttpRequest): string {
  return unaliased(registry, param(request, "subject"));
}

function unaliased(registry: SchemaRegistry, asked: string): string {
  const subject = canonicalSubject(asked);
  const alias = registry.subjects.config(subject)?.alias ?? "";
  return alias === "" ? subject : withinContext(contextOf(subject), alias);
}

/** Whose mode or config is meant; null is the default context. */
export function scopeOf(request: HttpRequest): string | null {
  const subject = canonicalSubject(request.params["subject"] ?? "");
  return subject === "" ? null : subject;
}

/** The subject, or where it has no version and names no context, the one of that name in another context. */
export function subjectAnywhere(registry: SchemaRegistry, subject: string): string {
  const { subjects } = registry;
  const options = { withDeleted: true };
  if (contextOf(subject) !== defaultContext || subjects.versions(subject, options).length > 0) return subject;
  const others = subjects.contexts().map((context) => contextPrefix(context) + subject);
  return others.find((other) => subjects.versions(other, options).length > 0) ?? subject;
}

/** The context whose ids a request means: that of its subject, or of where the subject uses the id. */
export function contextOfIds(registry: SchemaRegistry, request: HttpRequest, id: number): string {
  const subject = unaliased(registry, request.query.get("subject") ?? "");
  const { context, name } = qualified(subject);
  if (name === "" || context !== defaultContext) return context;
  const uses = (where: string): boolean =>
    registry.subjects
      .ids(where)
      .byId(id)
      .some((each) => each.subject === contextPrefix(where) + name);
  return [defaultContext, ...registry.subjects.contexts()].find(uses) ?? context;
}

/** The same route behind "/contexts/.team", where names without a context are names of that one. */
export function insideContext(inner: HttpRoute): HttpRoute {
  const isSetting = /^\/(config|mode)\b/.test(inner.path);
  return {
    method: inner.method,
    path: `/contexts/:context${inner.path}`,
    handle(request) {
      const context = qualified(`:${param(request, "context").replace(/^:|:$/g, "")}:`).context;
      const { subject } = request.params;
      const params =
        subject === undefined && !isSetting
          ? request.params
          : { ...request.params, subject: withinContext(context, subject ?? "") };
      const query = new URLSearchParams(request.query);
      for (const name of queryNames(inner.path)) query.set(name, insideOf(context, query.get(name) ?? ""));
      return inner.handle({ ...request, params, query });
    },
  };
}

function insideOf(context: string, text: string): string {
  return text.startsWith(":.") || text.startsWith(":*:") ? text : contextPrefix(context) + text;
}

function queryNames(path: string): readonly string[] {
  if (path.startsWith("/schemas/ids")) return ["subject"];
  return path === "/schemas" || path === "/subjects" ? ["subjectPrefix"] : [];
}
