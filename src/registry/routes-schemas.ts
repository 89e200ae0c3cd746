/** Schemas by id and by guid, and all of them. */
import type { HttpRequest, HttpRoute } from "../base/http.ts";
import { contextOf, contextPrefix, qualified } from "./context.ts";
import { guidOf } from "./guid.ts";
import { refusals } from "./refused.ts";
import { contentOf, inFormat, isTrue, paged, param, rawSchema, route, shown, stateOf } from "./route-answer.ts";
import { contextOfIds } from "./route-context.ts";
import { wholeOf } from "./route-input.ts";
import type { SubjectVersion } from "./schema-content.ts";
import { schemaTypes } from "./schema-format.ts";
import type { SchemaRegistry } from "./schema-registry.ts";

export function schemaRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  return [
    route("GET", "/schemas/types", () => schemaTypes),
    route("GET", "/schemas", (request) => {
      const aliases = isTrue(request, "aliases")
        ? aliasesAsked(registry, request)
        : new Map<string, readonly string[]>();
      const subjects = new Set([...subjectsAsked(registry, request, ""), ...aliases.keys()]);
      const ruleType = request.query.get("ruleType") ?? "";
      const versions = [...subjects].sort().flatMap((subject) =>
        registry.subjects
          .versions(subject, { withDeleted: isTrue(request, "deleted") })
          .slice(isTrue(request, "latestOnly") ? -1 : 0)
          .filter((version) => ruleType === "" || hasRuleOfType(version, ruleType)),
      );
      return paged(request, versions).map((version) => {
        const of = aliases.get(version.subject);
        return { ...shown(version), ...(of === undefined ? {} : { aliases: of }) };
      });
    }),
    ...idRoutes(registry),
    ...guidRoutes(registry),
  ];
}

function idRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const usersOf = (request: HttpRequest): readonly SubjectVersion[] => {
    const id = wholeOf(param(request, "id"));
    const users = registry.subjects.ids(contextOfIds(registry, request, id)).byId(id);
    if (users.length === 0) throw refusals.schemaNotFound(param(request, "id"));
    return users;
  };
  const one = (request: HttpRequest): SubjectVersion => {
    const users = usersOf(request);
    const { name } = qualified(request.query.get("subject") ?? "");
    return users.find(({ subject }) => qualified(subject).name === name) ?? firstOf(users);
  };
  const shownUsers = (request: HttpRequest): readonly SubjectVersion[] =>
    usersOf(request).filter(({ isDeleted }) => !isDeleted || isTrue(request, "deleted"));
  return [
    route("GET", "/schemas/ids/:id", (request) => {
      const version = one(request);
      const { idMax } = registry.subjects.ids(contextOf(version.subject));
      const place = request.query.get("subject") === null ? {} : { subject: version.subject, version: version.version };
      return {
        ...place,
        ...contentOf(inFormat(registry, request, version)),
        guid: guidOf(version),
        ...stateOf(version),
        ...(isTrue(request, "fetchMaxId") ? { maxId: idMax } : {}),
      };
    }),
    rawSchema("/schemas/ids/:id/schema", (request) => inFormat(registry, request, one(request))),
    route("GET", "/schemas/ids/:id/subjects", (request) => [
      ...new Set(paged(request, shownUsers(request)).map(({ subject }) => subject)),
    ]),
    route("GET", "/schemas/ids/:id/versions", (request) =>
      paged(request, shownUsers(request)).map(({ subject, version }) => ({ subject, version })),
    ),
  ];
}

function guidRoutes(registry: SchemaRegistry): readonly HttpRoute[] {
  const holders = (request: HttpRequest): readonly { readonly context: string; readonly id: number }[] => {
    const guid = param(request, "guid");
    const found = registry.subjects.contexts().flatMap((context) => {
      const id = registry.subjects.ids(context).idOfGuid(guid.toLowerCase());
      return id === undefined ? [] : [{ context, id }];
    });
    if (found.length === 0) throw refusals.schemaNotFound(guid);
    return found;
  };
  return [
    route("GET", "/schemas/guids/:guid", (request) => {
      const [{ context, id }] = holders(request) as [{ context: string; id: number }];
      const version = firstOf(registry.subjects.ids(context).byId(id));
      return { ...contentOf(inFormat(registry, request, version)), guid: guidOf(version), ...stateOf(version) };
    }),
    route("GET", "/schemas/guids/:guid/ids", holders),
  ];
}

/** A schema is not deleted as long as one of its versions is not. */
function firstOf(users: readonly SubjectVersion[]): SubjectVersion {
  const [first] = users as readonly [SubjectVersion];
  return users.find(({ isDeleted }) => !isDeleted) ?? first;
}

/** Of aliases with the prefix, by the subject that they stand for. */
function aliasesAsked(registry: SchemaRegistry, request: HttpRequest): ReadonlyMap<string, readonly string[]> {
  const prefix = request.query.get("subjectPrefix") ?? "";
  const asked = [...registry.subjects.aliases()].map(
    ([subject, aliases]) => [subject, aliases.filter((alias) => begins(alias, prefix))] as const,
  );
  return new Map(asked.filter(([, aliases]) => aliases.length > 0));
}

function hasRuleOfType({ ruleSet }: SubjectVersion, type: string): boolean {
  const { migrationRules = [], domainRules = [], encodingRules = [] } = ruleSet ?? {};
  return [...migrationRules, ...domainRules, ...encodingRules].some((rule) => rule.type === type);
}

/** By prefix, of which ":*:" is all contexts. */
export function subjectsAsked(registry: SchemaRegistry, request: HttpRequest, byDefault: string): readonly string[] {
  const prefix = request.query.get("subjectPrefix") ?? byDefault;
  const isOnlyDeleted = isTrue(request, "deletedOnly");
  return registry.subjects.subjects().filter((subject) => {
    if (!begins(subject, prefix)) return false;
    const isLive = registry.subjects.versions(subject, { withDeleted: false }).length > 0;
    return isOnlyDeleted ? !isLive : isLive || isTrue(request, "deleted");
  });
}

function begins(subject: string, prefix: string): boolean {
  if (prefix.startsWith(":*:")) return qualified(subject).name.startsWith(prefix.slice(3));
  const { context, name } = qualified(prefix);
  return contextOf(subject) === context && subject.startsWith(contextPrefix(context) + name);
}
