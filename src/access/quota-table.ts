/**
 * Which quota is in force for whom: of all that fit the first in this order, and who shares its meter. Pure.
 *
 *   user          client-id         metered together
 *   its own       its own           this user with this client id
 *   its own       default           this user with this client id
 *   its own       (not named)       this user
 *   default       its own           this user with this client id
 *   default       default           this user with this client id
 *   default       (not named)       this user
 *   (not named)   its own           this client id
 *   (not named)   default           this client id
 */
import { type ClientQuotaKey, entityKey, type Quota, type QuotaEntity, type QuotaKey } from "./quota-entity.ts";

export interface LimitInForce {
  readonly limit: number;
  /** Whoever has the same meter shares the limit. */
  readonly meter: string;
}

export class QuotaTable {
  readonly #byKey = new Map<QuotaKey, Map<string, number>>();

  constructor(quotas: Iterable<Quota>) {
    for (const { entity, key, value } of quotas) {
      const limits = this.#byKey.get(key) ?? new Map<string, number>();
      limits.set(entityKey(entity), value);
      this.#byKey.set(key, limits);
    }
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  ofClient(key: ClientQuotaKey, user: string, clientId: string): LimitInForce | undefined {
    const limits = this.#byKey.get(key);
    if (limits === undefined) return undefined;
    for (const name of [user, null]) {
      for (const id of [clientId, null]) {
        const limit = limits.get(entityKey({ user: name, "client-id": id }));
        if (limit !== undefined) return { limit, meter: meter(key, { user, "client-id": clientId }) };
      }
      const limit = limits.get(entityKey({ user: name }));
      if (limit !== undefined) return { limit, meter: meter(key, { user }) };
    }
    for (const id of [clientId, null]) {
      const limit = limits.get(entityKey({ "client-id": id }));
      if (limit !== undefined) return { limit, meter: meter(key, { "client-id": clientId }) };
    }
    return undefined;
  }

  ofAddress(ip: string): LimitInForce | undefined {
    const limits = this.#byKey.get("connection_creation_rate");
    const limit = limits?.get(entityKey({ ip })) ?? limits?.get(entityKey({ ip: null }));
    return limit === undefined ? undefined : { limit, meter: meter("connection_creation_rate", { ip }) };
  }
}

function meter(key: QuotaKey, entity: QuotaEntity): string {
  return `${key} ${entityKey(entity)}`;
}
