/** What a quota is set for, under which keys, and how it is kept as a fact. Pure. */
import { isIP } from "node:net";
import { CorruptData } from "../base/errors.ts";

export const entityTypes = ["user", "client-id", "ip"] as const;
export type EntityType = (typeof entityTypes)[number];

/** By type, null for the default of it. Without a type: whatever that is. */
export type QuotaEntity = Readonly<Partial<Record<EntityType, string | null>>>;

/** Keys of users and of client ids, and what Kafka keeps their numbers as. */
const clientKeys = {
  /** Bytes a second. */
  producer_byte_rate: "Long",
  consumer_byte_rate: "Long",
  /** Of one thread's time. */
  request_percentage: "Double",
  /** Partitions created or deleted a second. */
  controller_mutation_rate: "Double",
} as const;
const addressKeys = { connection_creation_rate: "Integer" } as const;
const greatest = { Long: 2 ** 63, Integer: 2 ** 31 - 1, Double: Number.MAX_VALUE } as const;

export type ClientQuotaKey = keyof typeof clientKeys;
export type QuotaKey = ClientQuotaKey | keyof typeof addressKeys;

export const quotaKeys = [...Object.keys(clientKeys), ...Object.keys(addressKeys)] as readonly QuotaKey[];

/** Kafka allows a difference of this much between what is sent as a float and a whole number. */
const epsilon = 1e-6;

/** The entity, or why there cannot be one. */
export function entityOf(
  named: readonly { readonly entityType: string; readonly entityName: string | null }[],
): QuotaEntity | string {
  const entity: Partial<Record<EntityType, string | null>> = {};
  for (const { entityType, entityName } of named) {
    const type = entityTypes.find((known) => known === entityType);
    if (type === undefined) return `Unhandled client quota entity type: ${entityType}`;
    if (entityName === "") return `Empty ${type} not supported`;
    entity[type] = entityName; // As Kafka: of a type that is named twice the last counts.
  }
  if (named.length === 0) return "Invalid empty client quota entity";
  if ("ip" in entity && Object.keys(entity).length > 1)
    return "Invalid quota entity combination: an address is not combined with a user or a client id";
  if (typeof entity.ip === "string" && isIP(entity.ip) === 0) return `${entity.ip} is not a valid IP.`;
  return entity;
}

/** Why this cannot be set for the entity; undefined when it can. */
export function quotaProblem(entity: QuotaEntity, key: string, value: number): string | undefined {
  const keys: Readonly<Record<string, keyof typeof greatest>> = "ip" in entity ? addressKeys : clientKeys;
  const kind = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (kind === undefined) return `Invalid configuration key ${key}`;
  if (!Number.isFinite(value) || value <= 0) return `Quota ${key} must be greater than 0`;
  if (value > greatest[kind]) return `Quota ${key} is too large for ${kind}`;
  if (kind !== "Double" && Math.abs(Math.round(value) - value) > epsilon)
    return `Configuration ${key} must be a ${kind} value`;
  return undefined;
}

export function entityKey(entity: QuotaEntity): string {
  return JSON.stringify(entityTypes.filter((type) => type in entity).map((type) => [type, entity[type] ?? null]));
}

/** One fact a key of an entity, so that two administrators who set different keys both succeed. */
export function quotaFactKey(entity: QuotaEntity, key: string): string {
  return JSON.stringify([entityKey(entity), key]);
}

export interface Quota {
  readonly entity: QuotaEntity;
  readonly key: QuotaKey;
  readonly value: number;
}

export function quotaOf([factKey, text]: readonly [factKey: string, value: string]): Quota {
  const [entityText, key] = JSON.parse(factKey) as readonly [string, string];
  const named = JSON.parse(entityText) as readonly (readonly [string, string | null])[];
  const entity = entityOf(named.map(([entityType, entityName]) => ({ entityType, entityName })));
  const value = Number(text);
  // A quota of 0 is refused today, and may be kept from before.
  if (typeof entity === "string" || quotaProblem(entity, key, value === 0 ? 1 : value) !== undefined) {
    throw new CorruptData({
      source: "the fact of a quota",
      position: 0,
      expected: "an entity and a key",
      found: factKey,
    });
  }
  return { entity, key: key as QuotaKey, value };
}
