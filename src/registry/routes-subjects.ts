/** Subjects, their versions, and checks against them. */
import type { HttpRequest, HttpRoute } from "../base/http.ts";
import type { CompatibilityAnswer } from "./compatibility-check.ts";
import { guidOf } from "./guid.ts";
import { invalidSchemaCode, RegistryRefused, refusals } from "./refused.ts";
import { contentOf, inFormat, isTrue, paged, param, rawSchema, route, shown } from "./route-answer.ts";
import { subjectAnywhere, subjectOf } from "./route-context.ts";
import { proposedOf, registerAsOf, versionOf } from "./route-input.ts";
import { subjectsAsked } from "./routes-schemas.ts";
import type { SubjectVersion } from "./schema-content.ts";
import type { SchemaRegistry } from "./schema-registry.ts";

export function subjectRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  return [
    route("GET", "/subjects", (request) => paged(request, subjectsAsked(registry, request, ":*:"))),
    route("POST", "/subjects/:subject", (request) => {
      const subject = subjectAnywhere(registry, subjectOf(registry, request));
      const found = registry.lookup(subject, proposedOf(request), { withDeleted: isTrue(request, "deleted") });
      return { ...shown(found), ...contentOf(inFormat(registry, request, found)) };
    }),
    route("DELETE", "/subjects/:subject", (request) =>
      registry.deleteSubject(subjectOf(registry, request), { isPermanent: isTrue(request, "permanent") }),
    ),
    route("GET", "/subjects/:subject/metadata", (request) => {
      const subject = subjectAnywhere(registry, subjectOf(registry, request));
      const versions = registry.subjects.versions(subject, { withDeleted: isTrue(request, "deleted") });
      if (versions.length === 0) throw refusals.subjectNotFound(subject);
      const values = request.query.getAll("value");
      const wanted = request.query.getAll("key").map((key, index) => [key, values[index]] as const);
      const found = versions.findLast(({ metadata }) =>
        wanted.every(([key, value]) => value !== undefined && metadata?.properties?.[key] === value),
      );
      if (found === undefined || wanted.length === 0) throw refusals.schemaNotFound();
      return shown(found);
    }),
  ];
}

export function versionRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const found = (request: HttpRequest): SubjectVersion => {
    const subject = subjectAnywhere(registry, subjectOf(registry, request));
    const version = versionOf(param(request, "version"));
    const options = { withDeleted: isTrue(request, "deleted") };
    if (registry.subjects.versions(subject, options).length === 0) throw refusals.subjectNotFound(subject);
    const one = registry.subjects.version(subject, version, options);
    if (one === undefined) throw refusals.versionNotFound(version);
    return one;
  };
  return [
    route("GET", "/subjects/:subject/versions", (request) => {
      const subject = subjectAnywhere(registry, subjectOf(registry, request));
      const isOnlyDeleted = isTrue(request, "deletedOnly");
      const isNegative = isTrue(request, "deletedAsNegative");
      const versions = registry.subjects
        .versions(subject, { withDeleted: isNegative || isOnlyDeleted || isTrue(request, "deleted") })
        .filter(({ isDeleted }) => isDeleted || !isOnlyDeleted);
      if (versions.length === 0) throw refusals.subjectNotFound(subject);
      return paged(
        request,
        versions.map(({ version, isDeleted }) => (isNegative && isDeleted ? -version : version)),
      );
    }),
    route("POST", "/subjects/:subject/versions", async (request) => {
      const subject = subjectOf(registry, request);
      const registered = await registry.register(subject, proposedOf(request), registerAsOf(request));
      // Without the text, which a client that has sent a serialized descriptor would read as one.
      const { schema: _schema, ...content } = contentOf(registered);
      return { version: registered.version, id: registered.id, guid: guidOf(registered), ...content };
    }),
    route("GET", "/subjects/:subject/versions/:version", (request) => ({
      ...shown(found(request)),
      ...contentOf(inFormat(registry, request, found(request))),
    })),
    rawSchema("/subjects/:subject/versions/:version/schema", (request) => inFormat(registry, request, found(request))),
    route("GET", "/subjects/:subject/versions/:version/referencedby", (request) => {
      const { subject, version } = found(request);
      const options = { withDeleted: isTrue(request, "deleted") };
      return paged(request, registry.subjects.referrers(subject, version, options)).map(({ id }) => id);
    }),
    route("DELETE", "/subjects/:subject/versions/:version", (request) =>
      registry.deleteVersion(subjectOf(registry, request), versionOf(param(request, "version")), {
        isPermanent: isTrue(request, "permanent"),
      }),
    ),
  ];
}

export function compatibilityRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const check = (request: HttpRequest): unknown => {
    const version = request.params["version"];
    const against = version === undefined ? undefined : versionOf(version);
    const subject = subjectOf(registry, request);
    if (!isTrue(request, "verbose")) {
      return { is_compatible: registry.check(subject, proposedOf(request), against).isCompatible };
    }
    const { isCompatible, messages } = checkedOrInvalid(() => registry.check(subject, proposedOf(request), against));
    return { is_compatible: isCompatible, messages };
  };
  return [
    route("POST", "/compatibility/subjects/:subject/versions", check),
    route("POST", "/compatibility/subjects/:subject/versions/:version", check),
  ];
}

/** Who asks why wants no error for what is no schema. */
function checkedOrInvalid(check: () => CompatibilityAnswer): CompatibilityAnswer {
  try {
    return check();
  } catch (cause) {
    if (cause instanceof RegistryRefused && cause.code === invalidSchemaCode)
      return { isCompatible: false, messages: [cause.message] };
    throw cause;
  }
}
