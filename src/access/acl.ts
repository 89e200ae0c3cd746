/** An access control entry: its words with their numbers on the wire, which filters find it, how it is kept as a fact. Pure. */
import { CorruptData } from "../base/errors.ts";

/** Kafka's numbers of AclOperation. */
export const operations = {
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
  twoPhaseCommit: 15,
} as const;
export const resourceTypes = {
  topic: 2,
  group: 3,
  cluster: 4,
  transactionalId: 5,
  delegationToken: 6,
  user: 7,
} as const;
export const patternTypes = { literal: 3, prefixed: 4 } as const;
export const permissions = { deny: 2, allow: 3 } as const;
/** What filters may say beside the above. */
export const any = 1;
/** Of pattern types only: whatever a resource of this name meets. */
export const matchPattern = 2;

export type OperationName = keyof typeof operations;
export type ResourceKind = keyof typeof resourceTypes;

/** The only resource of type cluster. */
export const clusterName = "kafka-cluster";
export const everyUser = "User:*";
/** As a literal resource name, and as a host: any. */
export const wildcard = "*";

export interface Acl {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  /** `User:alice` */
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

/** Null and `any` match everything. */
export interface AclFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

export function matches(acl: Acl, filter: AclFilter): boolean {
  return (
    matchesNumber(filter.resourceTypeFilter, acl.resourceType) &&
    matchesName(acl, filter) &&
    (filter.principalFilter === null || filter.principalFilter === acl.principal) &&
    (filter.hostFilter === null || filter.hostFilter === acl.host) &&
    matchesNumber(filter.operation, acl.operation) &&
    matchesNumber(filter.permissionType, acl.permissionType)
  );
}

function matchesNumber(asked: number, actual: number): boolean {
  return asked === any || asked === actual;
}

function matchesName(acl: Acl, { resourceNameFilter: name, patternTypeFilter: type }: AclFilter): boolean {
  if (type !== any && type !== matchPattern && type !== acl.patternType) return false;
  if (name === null) return true;
  if (type !== matchPattern) return name === acl.resourceName;
  return acl.patternType === patternTypes.literal
    ? acl.resourceName === name || acl.resourceName === wildcard
    : name.startsWith(acl.resourceName);
}

const known = {
  resourceType: new Set<number>(Object.values(resourceTypes)),
  patternType: new Set<number>(Object.values(patternTypes)),
  operation: new Set<number>(Object.values(operations)),
  permissionType: new Set<number>(Object.values(permissions)),
};

/** Numbers that nobody knows make no filter: Kafka's clients cannot send them, and its broker hangs up. */
export function isFilter(filter: AclFilter): boolean {
  const { resourceTypeFilter, patternTypeFilter, operation, permissionType } = filter;
  return (
    (resourceTypeFilter === any || known.resourceType.has(resourceTypeFilter)) &&
    (patternTypeFilter === any || patternTypeFilter === matchPattern || known.patternType.has(patternTypeFilter)) &&
    (operation === any || known.operation.has(operation)) &&
    (permissionType === any || known.permissionType.has(permissionType))
  );
}

/** Why the entry cannot be kept; undefined when it can. */
export function aclProblem(acl: Acl): string | undefined {
  if (!known.resourceType.has(acl.resourceType)) return `Invalid resourceType ${acl.resourceType}`;
  if (!known.patternType.has(acl.patternType)) return `Invalid patternType ${acl.patternType}`;
  if (!known.operation.has(acl.operation)) return `Invalid operation ${acl.operation}`;
  if (!known.permissionType.has(acl.permissionType)) return `Invalid permissionType ${acl.permissionType}`;
  if (acl.resourceName === "") return "Resource name should not be empty";
  if (acl.resourceType === resourceTypes.cluster && acl.resourceName !== clusterName) {
    return `The only valid name for the CLUSTER resource is ${clusterName}`;
  }
  if (!acl.principal.includes(":")) return `The principal '${acl.principal}' is not of the form type:name`;
  return undefined;
}

/** The whole entry is the key of its fact, so that two administrators who set the same one set one. The value is empty. */
export function aclKey(acl: Acl): string {
  return JSON.stringify([
    acl.resourceType,
    acl.resourceName,
    acl.patternType,
    acl.principal,
    acl.host,
    acl.operation,
    acl.permissionType,
  ]);
}

export function aclOf(key: string): Acl {
  const fields: unknown = JSON.parse(key);
  if (Array.isArray(fields) && fields.length === 7) {
    const [resourceType, resourceName, patternType, principal, host, operation, permissionType] = fields as unknown[];
    const acl = { resourceType, resourceName, patternType, principal, host, operation, permissionType } as Acl;
    if (aclProblem(acl) === undefined) return acl;
  }
  throw new CorruptData({ source: "the fact of an ACL", position: 0, expected: "its seven fields", found: key });
}

/** "topic", 2: for messages. */
export function wordFor(table: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(table).find(([, number]) => number === value)?.[0] ?? String(value);
}
