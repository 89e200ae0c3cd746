/** The Schema Registry's REST API (Confluent's, version 7) as routes over SchemaRegistry. */
import {
  type HttpErrorWords,
  type HttpRequest,
  type HttpResponse,
  type HttpRoute,
  jsonResponse,
} from "../base/http.ts";
import { compatibilityLevels } from "./compatibility.ts";
import { guidOf } from "./guid.ts";
import { RegistryRefused, refusals } from "./refused.ts";
import { fieldsOf, proposedOf, versionOf, wholeOf } from "./route-input.ts";
import { schemaTypes } from "./schema-format.ts";
import type { SchemaRegistry } from "./schema-registry.ts";
import { modes, type SubjectVersion } from "./subjects.ts";

const contentType = "application/vnd.schemaregistry.v1+json";

export interface RegistryRoutesOptions {
  readonly registry: SchemaRegistry;
  readonly clusterId: string;
  readonly version: string;
}

export function registryRoutes(options: RegistryRoutesOptions): readonly HttpRoute[] {
  return [
    ...serverRoutes(options),
    ...schemaRoutes(options.registry),
    ...subjectRoutes(options.registry),
    ...versionRoutes(options.registry),
    ...compatibilityRoutes(options.registry),
    ...configRoutes(options.registry),
    ...modeRoutes(options.registry),
  ];
}

/** The registry's error body, for what the server itself refuses. */
export const registryErrorWords: HttpErrorWords = (status, message) =>
  jsonResponse(status, { error_code: status, message }, contentType);

type Answer = (request: HttpRequest) => unknown;

/** Turns values into answers and refusals into the registry's error body. */
function route(method: HttpRoute["method"], path: string, answer: Answer): HttpRoute {
  return {
    method,
    path,
    async handle(request): Promise<HttpResponse> {
      try {
        return jsonResponse(200, await answer(request), contentType);
      } catch (cause) {
        if (cause instanceof RegistryRefused)
          return jsonResponse(cause.status, { error_code: cause.code, message: cause.message }, contentType);
        throw cause;
      }
    },
  };
}

function serverRoutes({ clusterId, version }: RegistryRoutesOptions): readonly HttpRoute[] {
  const scope = { path: [], clusters: { "kafka-cluster": clusterId, "schema-registry-cluster": "schema-registry" } };
  return [
    route("GET", "/", () => ({})),
    route("POST", "/", () => ({})),
    route("GET", "/status/ready", () => ({})),
    route("GET", "/contexts", () => ["."]),
    route("GET", "/v1/metadata/id", () => ({ id: "", scope })),
    route("GET", "/v1/metadata/version", () => ({ version, commitId: "" })),
  ];
}

function schemaRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const usersOf = (request: HttpRequest): readonly SubjectVersion[] => {
    const users = registry.subjects.byId(wholeOf(param(request, "id")));
    if (users.length === 0) throw refusals.schemaNotFound(param(request, "id"));
    return users;
  };
  const shownUsers = (request: HttpRequest): readonly SubjectVersion[] =>
    usersOf(request).filter(({ isDeleted }) => !isDeleted || isTrue(request, "deleted"));
  const byGuid = (guid: string): SubjectVersion => {
    const id = registry.subjects.idOfGuid(guid.toLowerCase());
    const found = id === undefined ? undefined : registry.subjects.byId(id)[0];
    if (found === undefined) throw refusals.schemaNotFound(guid);
    return found;
  };
  return [
    route("GET", "/schemas/types", () => schemaTypes),
    route("GET", "/schemas", (request) => {
      const versions = subjectsOf(registry, request).flatMap((subject) =>
        registry.subjects
          .versions(subject, { withDeleted: isTrue(request, "deleted") })
          .slice(isTrue(request, "latestOnly") ? -1 : 0),
      );
      return paged(request, versions).map(shown);
    }),
    route("GET", "/schemas/ids/:id", (request) => {
      const first = usersOf(request)[0] as SubjectVersion;
      const maxId = isTrue(request, "fetchMaxId") ? { maxId: registry.subjects.idMax } : {};
      return { ...contentOf(inFormat(registry, request, first)), guid: guidOf(first), ...maxId };
    }),
    rawSchema("/schemas/ids/:id/schema", (request) =>
      inFormat(registry, request, usersOf(request)[0] as SubjectVersion),
    ),
    route("GET", "/schemas/ids/:id/subjects", (request) => [
      ...new Set(shownUsers(request).map(({ subject }) => subject)),
    ]),
    route("GET", "/schemas/ids/:id/versions", (request) =>
      shownUsers(request).map(({ subject, version }) => ({ subject, version })),
    ),
    route("GET", "/schemas/guids/:guid", (request) => {
      const found = byGuid(param(request, "guid"));
      return { ...contentOf(found), guid: guidOf(found) };
    }),
    route("GET", "/schemas/guids/:guid/ids", (request) => [{ context: ".", id: byGuid(param(request, "guid")).id }]),
  ];
}

function subjectRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  return [
    route("GET", "/subjects", (request) => paged(request, subjectsOf(registry, request))),
    route("POST", "/subjects/:subject", (request) =>
      shown(
        registry.lookup(param(request, "subject"), proposedOf(request), { withDeleted: isTrue(request, "deleted") }),
      ),
    ),
    route("DELETE", "/subjects/:subject", (request) =>
      registry.deleteSubject(param(request, "subject"), { isPermanent: isTrue(request, "permanent") }),
    ),
  ];
}

function versionRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const found = (request: HttpRequest): SubjectVersion => {
    const subject = param(request, "subject");
    const version = versionOf(param(request, "version"));
    const options = { withDeleted: isTrue(request, "deleted") };
    if (registry.subjects.versions(subject, options).length === 0) throw refusals.subjectNotFound(subject);
    const one = registry.subjects.version(subject, version, options);
    if (one === undefined) throw refusals.versionNotFound(version);
    return one;
  };
  return [
    route("GET", "/subjects/:subject/versions", (request) => {
      const subject = param(request, "subject");
      const isOnlyDeleted = isTrue(request, "deletedOnly");
      const versions = registry.subjects
        .versions(subject, { withDeleted: isOnlyDeleted || isTrue(request, "deleted") })
        .filter(({ isDeleted }) => isDeleted || !isOnlyDeleted);
      if (versions.length === 0) throw refusals.subjectNotFound(subject);
      return paged(
        request,
        versions.map(({ version }) => version),
      );
    }),
    route("POST", "/subjects/:subject/versions", async (request) => {
      const { id, version } = fieldsOf(request);
      const as =
        typeof id === "number" && id > 0
          ? { id, ...(typeof version === "number" && version > 0 ? { version } : {}) }
          : undefined;
      const registered = await registry.register(param(request, "subject"), proposedOf(request), as);
      return { id: registered.id };
    }),
    route("GET", "/subjects/:subject/versions/:version", (request) => ({
      ...shown(found(request)),
      ...contentOf(inFormat(registry, request, found(request))),
    })),
    rawSchema("/subjects/:subject/versions/:version/schema", (request) => inFormat(registry, request, found(request))),
    route("GET", "/subjects/:subject/versions/:version/referencedby", (request) => {
      const { subject, version } = found(request);
      return registry.subjects.referrers(subject, version).map(({ id }) => id);
    }),
    route("DELETE", "/subjects/:subject/versions/:version", (request) =>
      registry.deleteVersion(param(request, "subject"), versionOf(param(request, "version")), {
        isPermanent: isTrue(request, "permanent"),
      }),
    ),
  ];
}

function compatibilityRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const check = (request: HttpRequest): unknown => {
    const version = request.params["version"];
    const against = version === undefined ? undefined : versionOf(version);
    const { isCompatible, messages } = registry.check(param(request, "subject"), proposedOf(request), against);
    return { is_compatible: isCompatible, ...(isTrue(request, "verbose") ? { messages } : {}) };
  };
  return [
    route("POST", "/compatibility/subjects/:subject/versions", check),
    route("POST", "/compatibility/subjects/:subject/versions/:version", check),
  ];
}

function configRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const put = async (request: HttpRequest): Promise<unknown> => {
    const asked = String(fieldsOf(request)["compatibility"]).toUpperCase();
    const level = compatibilityLevels.find((each) => each === asked);
    if (level === undefined) throw refusals.invalidCompatibility();
    await registry.setLevel(request.params["subject"] ?? null, level);
    return { compatibility: level };
  };
  const remove = async (request: HttpRequest): Promise<unknown> => {
    const subject = request.params["subject"] ?? null;
    const before = registry.level(subject);
    await registry.setLevel(subject, null);
    return { compatibilityLevel: before };
  };
  const get = (request: HttpRequest): unknown => {
    const subject = request.params["subject"] ?? null;
    if (subject !== null && registry.subjects.level(subject) === undefined && !isTrue(request, "defaultToGlobal"))
      throw refusals.noSubjectConfig(subject);
    return { compatibilityLevel: registry.level(subject) };
  };
  return ["/config", "/config/:subject"].flatMap((path) => [
    route("GET", path, get),
    route("PUT", path, put),
    route("DELETE", path, remove),
  ]);
}

function modeRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const put = async (request: HttpRequest): Promise<unknown> => {
    const asked = String(fieldsOf(request)["mode"]).toUpperCase();
    const mode = modes.find((each) => each === asked);
    if (mode === undefined) throw refusals.invalidMode();
    await registry.setMode(request.params["subject"] ?? null, mode, { isForced: isTrue(request, "force") });
    return { mode };
  };
  const remove = async (request: HttpRequest): Promise<unknown> => {
    const subject = request.params["subject"] ?? null;
    const before = registry.mode(subject);
    await registry.setMode(subject, null, { isForced: false });
    return { mode: before };
  };
  const get = (request: HttpRequest): unknown => {
    const subject = request.params["subject"] ?? null;
    if (subject !== null && registry.subjects.mode(subject) === undefined && !isTrue(request, "defaultToGlobal"))
      throw refusals.noSubjectMode(subject);
    return { mode: registry.mode(subject) };
  };
  return ["/mode", "/mode/:subject"].flatMap((path) => [
    route("GET", path, get),
    route("PUT", path, put),
    route("DELETE", path, remove),
  ]);
}

/** The schema itself as the body. An Avro schema such as "string" is JSON too. */
function rawSchema(path: string, find: (request: HttpRequest) => SubjectVersion): HttpRoute {
  const inner = route("GET", path, (request) => find(request));
  return {
    ...inner,
    async handle(request) {
      const answer = await inner.handle(request);
      return answer.status === 200 ? { ...answer, body: find(request).schema } : answer;
    },
  };
}

function subjectsOf(registry: SchemaRegistry, request: HttpRequest): readonly string[] {
  // ":*:" asks for all contexts; there is the one.
  const prefix = (request.query.get("subjectPrefix") ?? "").replace(/^:\*:/, "");
  const isOnlyDeleted = isTrue(request, "deletedOnly");
  return registry.subjects.subjects().filter((subject) => {
    if (!subject.startsWith(prefix)) return false;
    const isLive = registry.subjects.versions(subject, { withDeleted: false }).length > 0;
    return isOnlyDeleted ? !isLive : isLive || isTrue(request, "deleted");
  });
}

function shown(version: SubjectVersion): object {
  return {
    subject: version.subject,
    version: version.version,
    id: version.id,
    guid: guidOf(version),
    ...contentOf(version),
  };
}

function inFormat(registry: SchemaRegistry, request: HttpRequest, version: SubjectVersion): SubjectVersion {
  const isSerialized = request.query.get("format") === "serialized" && version.schemaType === "PROTOBUF";
  return isSerialized ? { ...version, schema: registry.serialized(version) } : version;
}

/** Confluent's clients take a missing type for AVRO, and old ones know no other way. */
function contentOf({ schemaType, references, schema }: SubjectVersion): object {
  return {
    ...(schemaType === "AVRO" ? {} : { schemaType }),
    ...(references.length === 0 ? {} : { references }),
    schema,
  };
}

function paged<T>(request: HttpRequest, list: readonly T[]): readonly T[] {
  const offset = wholeOf(request.query.get("offset") ?? "0");
  const limit = request.query.get("limit");
  return list.slice(offset, limit === null || limit === "-1" ? undefined : offset + wholeOf(limit));
}

function param(request: HttpRequest, name: string): string {
  return request.params[name] as string;
}

function isTrue(request: HttpRequest, name: string): boolean {
  return request.query.get(name)?.toLowerCase() === "true";
}
