/** DescribeAcls, CreateAcls and DeleteAcls. That the asker may do so is checked before (guard-rules.ts). */
import { type Acl, type AclFilter, aclKey, aclOf, aclProblem, isFilter, matches } from "../../access/acl.ts";
import type { AuditLog } from "../../access/audit-log.ts";
import { askerOf } from "../../access/authorizer.ts";
import { Lane } from "../../base/async.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { RequestContext } from "../../protocol/dispatch.ts";
import { code, type Handler } from "../handler.ts";

export interface AclsOptions {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  /** "off": nobody enforces ACLs, so none can be set. */
  readonly audit: AuditLog | "off";
  readonly limits: { readonly aclsMax: number };
}

export interface AclHandlers {
  readonly describeAcls: Handler<RequestOf<"describeAcls">, ResponseInputOf<"describeAcls">>;
  readonly createAcls: Handler<RequestOf<"createAcls">, ResponseInputOf<"createAcls">>;
  readonly deleteAcls: Handler<RequestOf<"deleteAcls">, ResponseInputOf<"deleteAcls">>;
}

export function aclHandlers(options: AclsOptions): AclHandlers {
  const lane = new Lane(); // What a change removes, and how many there are, is read in the turn that proposes it.
  return {
    describeAcls: async (request) => describe(options, request),
    createAcls: (request, context) => lane.run(() => create(options, request, context)),
    deleteAcls: (request, context) => lane.run(() => remove(options, request, context)),
  };
}

const disabled = { errorCode: code("SECURITY_DISABLED"), errorMessage: "No Authorizer is configured." } as const;
const done = { errorCode: 0, errorMessage: null } as const;

function describe({ metadata, audit }: AclsOptions, filter: AclFilter): ResponseInputOf<"describeAcls"> | "close" {
  if (audit === "off") {
    return { ...disabled, errorMessage: "No Authorizer is configured on the broker", resources: [] };
  }
  if (!isFilter(filter)) return "close";
  const patterns = new Map<string, { resourceType: number; resourceName: string; patternType: number; acls: Acl[] }>();
  for (const acl of found(metadata, filter)) {
    const { resourceType, resourceName, patternType } = acl;
    const key = JSON.stringify([resourceType, resourceName, patternType]);
    const pattern = patterns.get(key) ?? { resourceType, resourceName, patternType, acls: [] };
    pattern.acls.push(acl);
    patterns.set(key, pattern);
  }
  return { errorCode: 0, resources: [...patterns.values()] };
}

async function create(
  { metadata, audit, limits }: AclsOptions,
  request: RequestOf<"createAcls">,
  context: RequestContext,
): Promise<ResponseInputOf<"createAcls">> {
  if (audit === "off") return { results: request.creations.map(() => disabled) };
  const kept = metadata.image.facts("acls");
  const added = new Map<string, Acl>();
  const results = request.creations.map(({ resourcePatternType, ...creation }) => {
    const acl: Acl = { ...creation, patternType: resourcePatternType };
    const problem = aclProblem(acl);
    if (problem !== undefined) return invalid(problem);
    const key = aclKey(acl);
    if (kept.has(key) || added.has(key)) return done;
    if (kept.size + added.size >= limits.aclsMax)
      return invalid(`There are ${limits.aclsMax} ACLs, as many as may be.`);
    added.set(key, acl);
    return done;
  });
  const problem = await change(metadata, added.keys(), "");
  if (problem !== undefined) return { results: results.map((result) => (result === done ? problem : result)) };
  const { principal, host } = askerOf(context);
  audit.aclsChanged(principal, host, { added: [...added.values()], removed: [] });
  return { results };
}

async function remove(
  { metadata, audit }: AclsOptions,
  request: RequestOf<"deleteAcls">,
  context: RequestContext,
): Promise<ResponseInputOf<"deleteAcls"> | "close"> {
  if (audit === "off") return { filterResults: request.filters.map(() => ({ ...disabled, matchingAcls: [] })) };
  if (!request.filters.every(isFilter)) return "close";
  const matching = request.filters.map((filter) => [...found(metadata, filter)]);
  const removed = new Map(matching.flat().map((acl) => [aclKey(acl), acl]));
  const problem = await change(metadata, removed.keys(), null);
  if (problem !== undefined) return { filterResults: matching.map(() => ({ ...problem, matchingAcls: [] })) };
  const { principal, host } = askerOf(context);
  audit.aclsChanged(principal, host, { added: [], removed: [...removed.values()] });
  return {
    filterResults: matching.map((acls) => ({ ...done, matchingAcls: acls.map((acl) => ({ ...done, ...acl })) })),
  };
}

function* found({ image }: Pick<MetadataClient, "image">, filter: AclFilter): Generator<Acl> {
  for (const key of image.facts("acls").keys()) {
    const acl = aclOf(key);
    if (matches(acl, filter)) yield acl;
  }
}

async function change(
  metadata: AclsOptions["metadata"],
  keys: Iterable<string>,
  value: string | null,
): Promise<{ readonly errorCode: number; readonly errorMessage: string } | undefined> {
  const facts = Array.from(keys, (key) => ({ table: "acls" as const, key, value }));
  if (facts.length === 0) return undefined;
  const proposal = await metadata.propose([{ kind: "set-facts", facts }]);
  if (proposal.kind === "accepted") return undefined;
  return { errorCode: code("UNKNOWN_SERVER_ERROR"), errorMessage: "The metadata log refused the change." };
}

function invalid(errorMessage: string): { readonly errorCode: number; readonly errorMessage: string } {
  return { errorCode: code("INVALID_REQUEST"), errorMessage };
}
