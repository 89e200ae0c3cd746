/** DescribeAcls, CreateAcls and DeleteAcls. That the asker may do so is checked before (guard-rules.ts). */
import { type Acl, type AclFilter, aclKey, aclOf, aclProblem, isFilter, matches } from "../../access/acl.ts";
import type { AuditLog } from "../../access/audit-log.ts";
import { askerOf } from "../../access/authorizer.ts";
import { Lane, Slices } from "../../base/async.ts";
import type { Clock } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { RequestContext } from "../../protocol/dispatch.ts";
import { code, type Handler } from "../handler.ts";

export interface AclsOptions {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  /** "off": nobody enforces ACLs, so none can be set. */
  readonly audit: AuditLog | "off";
  readonly limits: { readonly aclsMax: number };
  readonly clock: Clock;
}

export interface AclHandlers {
  readonly describeAcls: Handler<RequestOf<"describeAcls">, ResponseInputOf<"describeAcls">>;
  readonly createAcls: Handler<RequestOf<"createAcls">, ResponseInputOf<"createAcls">>;
  readonly deleteAcls: Handler<RequestOf<"deleteAcls">, ResponseInputOf<"deleteAcls">>;
}

export function aclHandlers(options: AclsOptions): AclHandlers {
  const lane = new Lane(); // How many there are is read in the turn that proposes more; what goes may go twice.
  return {
    describeAcls: (request) => describe(options, request),
    createAcls: (request, context) => lane.run(() => create(options, request, context)),
    deleteAcls: (request, context) => lane.run(() => remove(options, request, context)),
  };
}

/** Of one turn of the event loop. */
const sliceMsMax = 5;
/** Far less than a slice. */
const stepAclsMax = 100;

const disabled = { errorCode: code("SECURITY_DISABLED"), errorMessage: "No Authorizer is configured." } as const;
const done = { errorCode: 0, errorMessage: null } as const;

async function describe(
  { metadata, audit, clock }: AclsOptions,
  filter: AclFilter,
): Promise<ResponseInputOf<"describeAcls"> | "close"> {
  if (audit === "off") {
    return { ...disabled, errorMessage: "No Authorizer is configured on the broker", resources: [] };
  }
  if (!isFilter(filter)) return "close";
  const patterns = new Map<string, { resourceType: number; resourceName: string; patternType: number; acls: Acl[] }>();
  const slices = new Slices({ clock, sliceMsMax });
  for (const [, acl] of await slices.run(found(await slices.run(allKept(metadata)), filter))) {
    await slices.pause();
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
  { metadata, audit, clock, limits }: AclsOptions,
  request: RequestOf<"deleteAcls">,
  context: RequestContext,
): Promise<ResponseInputOf<"deleteAcls"> | "close"> {
  if (audit === "off") return { filterResults: request.filters.map(() => ({ ...disabled, matchingAcls: [] })) };
  if (!request.filters.every(isFilter)) return "close";
  const slices = new Slices({ clock, sliceMsMax });
  const all = await slices.run(allKept(metadata));
  const toldMax = Math.max(limits.aclsMax, all.length);
  const removed = new Map<string, Acl>();
  const results: (readonly Kept[] | "too-many")[] = [];
  let told = 0;
  for (const filter of request.filters) {
    await slices.pause();
    const matching = await slices.run(found(all, filter));
    const isTooMany = told + matching.length > toldMax;
    results.push(isTooMany ? "too-many" : matching);
    if (isTooMany) continue;
    told += matching.length;
    for (const [key, acl] of matching) removed.set(key, acl);
  }
  const problem = await change(metadata, removed.keys(), null);
  if (problem !== undefined) return { filterResults: results.map(() => ({ ...problem, matchingAcls: [] })) };
  const { principal, host } = askerOf(context);
  audit.aclsChanged(principal, host, { added: [], removed: [...removed.values()] });
  return {
    filterResults: results.map((matching) =>
      matching === "too-many"
        ? { ...invalid(`The filters match more than ${toldMax} times.`), matchingAcls: [] }
        : { ...done, matchingAcls: matching.map(([, acl]) => ({ ...done, ...acl })) },
    ),
  };
}

type Kept = readonly [key: string, acl: Acl];

/** As they are now, though they may change while they are read. */
function* allKept({ image }: Pick<MetadataClient, "image">): Generator<void, readonly Kept[], void> {
  const all: Kept[] = [];
  const keys = Array.from(image.facts("acls").keys());
  for (const key of keys) {
    all.push([key, aclOf(key)]);
    if (all.length % stepAclsMax === 0) yield;
  }
  return all;
}

function* found(all: readonly Kept[], filter: AclFilter): Generator<void, readonly Kept[], void> {
  const matching: Kept[] = [];
  for (let from = 0; from < all.length; from += stepAclsMax) {
    for (const each of all.slice(from, from + stepAclsMax)) if (matches(each[1], filter)) matching.push(each);
    yield;
  }
  return matching;
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
