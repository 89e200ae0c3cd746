/**
 * Who changed what, a line of the audit log a request: topics, configurations, quotas, credentials, groups. Names are said, and
 * never values: those may be secrets. Changes of ACLs have lines of their own (access/audit-log.ts), and what was denied never comes here.
 */
import { askerOf } from "../../access/authorizer.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { ApiName, RequestOf } from "../../protocol/api-table.ts";
import type { Handlers, RequestContext } from "../../protocol/dispatch.ts";
import { clipped } from "../error-text.ts";

/** What a request would change. Every API that administers the cluster has a row. */
const subjects: { readonly [Name in ApiName]?: (request: RequestOf<Name>) => readonly string[] } = {
  createTopics: ({ topics }) => topics.map(({ name }) => name),
  deleteTopics: ({ topics, topicNames }) => [...topics.map(({ name, topicId }) => name ?? topicId), ...topicNames],
  createPartitions: ({ topics }) => topics.map(({ name, count }) => `${name} to ${count}`),
  deleteRecords: ({ topics }) => topics.map(({ name }) => name),
  alterConfigs: ({ resources }) =>
    resources.flatMap(({ resourceName, configs }) => configs.map(({ name }) => `${resourceName} ${name}`)),
  incrementalAlterConfigs: ({ resources }) =>
    resources.flatMap(({ resourceName, configs }) => configs.map(({ name }) => `${resourceName} ${name}`)),
  alterClientQuotas: ({ entries }) =>
    entries.flatMap(({ entity, ops }) => {
      const who = entity.map(({ entityType, entityName }) => `${entityType} ${entityName ?? "<default>"}`).join(", ");
      return ops.map(({ key, value, remove }) => `${who}: ${key} ${remove ? "removed" : value}`);
    }),
  alterUserScramCredentials: ({ deletions, upsertions }) => [
    ...deletions.map(({ name }) => `${name} removed`),
    ...upsertions.map(({ name }) => name),
  ],
  createDelegationToken: ({ ownerPrincipalName }) => [ownerPrincipalName ?? "for itself"],
  renewDelegationToken: () => [],
  expireDelegationToken: () => [],
  deleteGroups: ({ groupsNames }) => groupsNames,
  offsetDelete: ({ groupId }) => [groupId],
  updateFeatures: ({ featureUpdates }) => featureUpdates.map(({ feature }) => feature),
};

/** Names beyond these are counted. */
const namesMax = 20;

/** The same handlers, of which those that administer leave a line when they have answered. */
export function audited(handlers: Handlers, audit: Logger): Handlers {
  const wrapped = Object.entries(subjects).map(([name, subjectsOf]) => {
    const handler = handlers[name as ApiName] as Handle | undefined;
    return [name, handler === undefined ? undefined : withLine(name, handler, subjectsOf as SubjectsOf, audit)];
  });
  return { ...handlers, ...(Object.fromEntries(wrapped.filter(([, handle]) => handle !== undefined)) as Handlers) };
}

type Handle = (request: unknown, context: RequestContext) => Promise<unknown>;
type SubjectsOf = (request: unknown) => readonly string[];

function withLine(api: string, handler: Handle, subjectsOf: SubjectsOf, audit: Logger): Handle {
  return async (request, context) => {
    const names = subjectsOf(request);
    const answer = await handler(request, context);
    const { principal, host } = askerOf(context);
    const more = names.length > namesMax ? { more: names.length - namesMax } : {};
    const isTrial = (request as { readonly validateOnly?: boolean }).validateOnly === true ? { isTrial: true } : {};
    const refused = refusals(answer);
    const outcome = refused.size === 0 ? {} : { refused: [...refused] };
    const what = names.slice(0, namesMax).map(clipped);
    audit.info("administered", { principal, host, api, what, ...more, ...isTrial, ...outcome });
    return answer;
  };
}

/** Every error code but 0, wherever in the answer. */
function refusals(answer: unknown, found = new Set<number>()): ReadonlySet<number> {
  if (Array.isArray(answer)) for (const each of answer) refusals(each, found);
  else if (typeof answer === "object" && answer !== null && !ArrayBuffer.isView(answer)) {
    for (const [key, value] of Object.entries(answer)) {
      if (key === "errorCode" && typeof value === "number" && value !== 0) found.add(value);
      else refusals(value, found);
    }
  }
  return found;
}
