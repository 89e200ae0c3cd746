/**
 * What may become of a record in a share group.
 *
 *   available ──acquire──▶ acquired ──accept──▶ acknowledged
 *       ▲                   │   │ └──reject, gap──▶ archived ◀──── vanish (from every state: the log has it no more)
 *       └──release, expire──┘   └──renew──▶ acquired                an available record at its delivery limit is archived too
 */

export type DeliveryState = "available" | "acquired" | "acknowledged" | "archived";
export type DeliveryEvent = "acquire" | "accept" | "release" | "reject" | "gap" | "renew" | "expire" | "vanish";

/** As Kafka keeps them in __share_group_state; "acquired" is of a moment and never written. */
export const deliveryStateCodes = { available: 0, acquired: 1, acknowledged: 2, archived: 4 } as const;

/** Numbers of ShareFetch and ShareAcknowledge. */
export const acknowledgeTypes = ["gap", "accept", "release", "reject", "renew"] as const;
export type AcknowledgeType = (typeof acknowledgeTypes)[number];

/** "again": available, or archived when it was delivered as often as the group allows. */
export type DeliveryOutcome = DeliveryState | "again" | "refused";

export const deliveries: Readonly<Record<DeliveryState, Readonly<Record<DeliveryEvent, DeliveryOutcome>>>> = {
  available: {
    acquire: "acquired",
    accept: "refused",
    release: "refused",
    reject: "refused",
    gap: "refused",
    renew: "refused",
    expire: "refused",
    vanish: "archived",
  },
  acquired: {
    acquire: "refused",
    accept: "acknowledged",
    release: "again",
    reject: "archived",
    gap: "archived",
    renew: "acquired",
    expire: "again",
    vanish: "archived",
  },
  acknowledged: terminal("acknowledged"),
  archived: terminal("archived"),
};

export function isTerminal(state: DeliveryState): boolean {
  return state === "acknowledged" || state === "archived";
}

/** Undefined when the event does not fit the state. */
export function delivered(
  record: { readonly state: DeliveryState; readonly deliveryCount: number },
  event: DeliveryEvent,
  deliveryCountLimit: number,
): DeliveryState | undefined {
  const outcome = deliveries[record.state][event];
  if (outcome === "refused") return undefined;
  if (outcome !== "again") return outcome;
  return record.deliveryCount >= deliveryCountLimit ? "archived" : "available";
}

function terminal(state: DeliveryState): Readonly<Record<DeliveryEvent, DeliveryOutcome>> {
  return {
    acquire: "refused",
    accept: "refused",
    release: "refused",
    reject: "refused",
    gap: "refused",
    renew: "refused",
    expire: "refused",
    vanish: state,
  };
}
