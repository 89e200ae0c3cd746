/** What the registry's routes share: answers and errors in Confluent's words, and what a version looks like. */
import {
  type HttpErrorWords,
  type HttpRequest,
  type HttpResponse,
  type HttpRoute,
  jsonResponse,
} from "../base/http.ts";
import { contextOf, withinContext } from "./context.ts";
import { guidOf } from "./guid.ts";
import { RegistryRefused } from "./refused.ts";
import { wholeOf } from "./route-input.ts";
import type { Reference, SchemaContent, SubjectVersion } from "./schema-content.ts";
import type { SchemaRegistry } from "./schema-registry.ts";

export const contentType = "application/vnd.schemaregistry.v1+json";

/** The registry's error body, for what the server itself refuses. */
export const registryErrorWords: HttpErrorWords = (status, message) =>
  jsonResponse(status, { error_code: status, message }, contentType);

/** Turns values into answers and refusals into the registry's error body; nothing at all is 204. */
export function route(method: HttpRoute["method"], path: string, answer: (request: HttpRequest) => unknown): HttpRoute {
  return {
    method,
    path,
    async handle(request): Promise<HttpResponse> {
      try {
        const value = await answer(request);
        return value === undefined ? { status: 204 } : jsonResponse(200, value, contentType);
      } catch (cause) {
        if (cause instanceof RegistryRefused)
          return jsonResponse(cause.status, { error_code: cause.code, message: cause.message }, contentType);
        throw cause;
      }
    },
  };
}

/** The schema itself as the body. An Avro schema such as "string" is JSON too. */
export function rawSchema(path: string, find: (request: HttpRequest) => SubjectVersion): HttpRoute {
  const inner = route("GET", path, (request) => find(request));
  return {
    ...inner,
    async handle(request) {
      const answer = await inner.handle(request);
      return answer.status === 200 ? { ...answer, body: find(request).schema } : answer;
    },
  };
}

export function shown(version: SubjectVersion) {
  return {
    subject: version.subject,
    version: version.version,
    id: version.id,
    guid: guidOf(version),
    ...contentOf(version),
    ...stateOf(version),
  };
}

/** In Confluent's names. */
export function stateOf({ timestampMs, isDeleted }: SubjectVersion) {
  return { ts: timestampMs, deleted: isDeleted };
}

/** Confluent's clients take a missing type for AVRO, and old ones know no other way. */
export function contentOf({ schemaType, references, metadata, ruleSet, schema }: SchemaContent) {
  return {
    ...(schemaType === "AVRO" ? {} : { schemaType }),
    ...(references.length === 0 ? {} : { references }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(ruleSet === undefined ? {} : { ruleSet }),
    schema,
  };
}

export function inFormat(registry: SchemaRegistry, request: HttpRequest, version: SubjectVersion): SubjectVersion {
  const isSerialized = request.query.get("format") === "serialized" && version.schemaType === "PROTOBUF";
  const isQualified = request.query.get("referenceFormat") === "qualified";
  return {
    ...version,
    ...(isSerialized ? { schema: registry.serialized(version) } : {}),
    ...(isQualified ? { references: qualifiedReferences(version) } : {}),
  };
}

/** With their contexts. */
function qualifiedReferences({ subject, references }: SubjectVersion): readonly Reference[] {
  const context = contextOf(subject);
  return references.map((each) => ({ ...each, subject: withinContext(context, each.subject) }));
}

export function paged<T>(request: HttpRequest, list: readonly T[]): readonly T[] {
  const offset = wholeOf(request.query.get("offset") ?? "0");
  const limit = request.query.get("limit");
  return list.slice(offset, limit === null || limit === "-1" ? undefined : offset + wholeOf(limit));
}

export function param(request: HttpRequest, name: string): string {
  return request.params[name] as string;
}

export function isTrue(request: HttpRequest, name: string): boolean {
  return request.query.get(name)?.toLowerCase() === "true";
}
