import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh, memberOf, type StepOf } from "../step.ts";
import { syncOf } from "./sync-group.ts";

/** Often the whole way into a stable group, which most other states begin from. */
export const joinGroup: Generator<"joinGroup"> = (draw) => {
  if (draw.chance(0.4)) return join(draw, draw.member(), draw.version("joinGroup"));
  const member = draw.member();
  const version = draw.version("joinGroup");
  const group = `${fresh}g`;
  const usual = (memberId: string): StepOf<"joinGroup"> => ({
    api: "joinGroup",
    version,
    connection: member,
    label: member,
    body: {
      groupId: group,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: version === 0 ? -1 : 30_000,
      memberId,
      groupInstanceId: null,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: subscription }],
    },
  });
  const steps = [usual(""), ...(version >= 4 ? [usual(memberOf(member))] : [])];
  return draw.chance(0.75) ? [...steps, syncOf(draw, member, { isUsual: true })] : steps;
};

function join(draw: Draw, member: string, version: number): StepOf<"joinGroup"> {
  const protocol = () => ({
    name: draw.of(["range", "range", "roundrobin", "sticky"]),
    metadata: draw.mostly(subscription, [new Uint8Array(0), Uint8Array.of(1)], 0.2),
  });
  return {
    api: "joinGroup",
    version,
    connection: member,
    label: member,
    body: {
      groupId: draw.group(),
      sessionTimeoutMs: draw.mostly(30_000, [0, -1, 5_999, 6_000, 1_800_000, 1_800_001], 0.12),
      // In version 0 nobody says one, which is read as -1.
      rebalanceTimeoutMs: version === 0 ? -1 : draw.mostly(30_000, [60_000], 0.05),
      memberId: draw.mostly(memberOf(member), ["", "stranger"], 0.4),
      groupInstanceId: version >= 5 ? draw.mostly(null, [`i-${member}`, "i-shared"], 0.35) : null,
      protocolType: draw.mostly("consumer", ["connect"], 0.1),
      // Kafka never answers one that names a protocol twice.
      protocols: draw.distinct(2, protocol, ({ name }) => name, draw.chance(0.95) ? 1 : 0),
      reason: draw.mostly(null, ["because"]),
    },
  };
}

/** ConsumerProtocolSubscription version 0 of one topic that nobody has, and no user data. */
const subscription = Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 1, 116, 0xff, 0xff, 0xff, 0xff);
