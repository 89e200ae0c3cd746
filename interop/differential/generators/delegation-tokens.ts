/** Delegation tokens: asked for by users who have authenticated, and by who has not. */
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { tokenOf, userPrefix, users } from "../step.ts";

const principal = (principalName: string, principalType = "User") => ({ principalType, principalName });
const connectionOf = (draw: Draw): string => draw.mostly(`${userPrefix}${draw.of(users)}`, ["main"], 0.08);
const labelOf = (draw: Draw): string => draw.of(["token a", "token b"]);
const hmacOf = (draw: Draw): Uint8Array =>
  draw.mostly(tokenOf(labelOf(draw)), [Uint8Array.of(1), new Uint8Array(0)], 0.1);
/** Whole hours and days: what is a moment away is over for one of the two brokers first. */
const [hourMs, dayMs] = [3_600_000, 86_400_000];

export const createDelegationToken: Generator<"createDelegationToken"> = (draw) => ({
  api: "createDelegationToken",
  version: draw.version("createDelegationToken"),
  connection: connectionOf(draw),
  label: labelOf(draw),
  body: {
    renewers: draw.mostly(draw.of([[], [principal("bob")]]), [[principal("bob", "Group")], [principal("")]], 0.15),
    maxLifetimeMs: draw.mostly(-1, [hourMs, 3 * dayMs, 0, 30 * dayMs], 0.4),
  },
});

export const renewDelegationToken: Generator<"renewDelegationToken"> = (draw) => ({
  api: "renewDelegationToken",
  version: draw.version("renewDelegationToken"),
  connection: connectionOf(draw),
  body: {
    hmac: hmacOf(draw),
    renewPeriodMs: draw.mostly(-1, [hourMs, 2 * dayMs, 30 * dayMs], 0.5),
  },
});

export const expireDelegationToken: Generator<"expireDelegationToken"> = (draw) => ({
  api: "expireDelegationToken",
  version: draw.version("expireDelegationToken"),
  connection: connectionOf(draw),
  body: {
    hmac: hmacOf(draw),
    expiryTimePeriodMs: draw.mostly(-1, [hourMs, 2 * dayMs, 30 * dayMs], 0.5),
  },
});

export const describeDelegationToken: Generator<"describeDelegationToken"> = (draw) => ({
  api: "describeDelegationToken",
  version: draw.version("describeDelegationToken"),
  connection: connectionOf(draw),
  body: { owners: draw.mostly(null, [[], [principal("alice")], [principal("bob")], [principal("nobody")]], 0.5) },
});
