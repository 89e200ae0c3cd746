/** Groups of the consumer protocol (KIP-848). */
import type { RequestInputOf } from "../../../src/protocol/api-table.ts";
import type { Generator } from "../generator.ts";
import { fresh, generationOf, type StepOf, topicIdOf } from "../step.ts";

type Body = RequestInputOf<"consumerGroupHeartbeat">;

export const consumerGroupHeartbeat: Generator<"consumerGroupHeartbeat"> = (draw) => {
  const member = draw.member();
  const version = draw.version("consumerGroupHeartbeat");
  const step = (body: Body): StepOf<"consumerGroupHeartbeat"> => ({
    api: "consumerGroupHeartbeat",
    version,
    connection: "main",
    label: `c-${member}`,
    body,
  });
  const usual: Body = {
    groupId: `${fresh}c`,
    memberId: member,
    memberEpoch: 0,
    rebalanceTimeoutMs: 30_000,
    subscribedTopicNames: [`${fresh}a`],
    topicPartitions: [],
  };
  const next: Body = { groupId: `${fresh}c`, memberId: member, memberEpoch: generationOf(`c-${member}`) };
  if (draw.chance(0.4)) return [step(usual), step(next)];
  if (draw.chance(0.4)) {
    const owned = [{ topicId: topicIdOf(`${fresh}a`), partitions: draw.of([[0], [0, 1], [7], []]) }];
    return step({
      ...usual,
      groupId: draw.mostly(usual.groupId, ["", `${fresh}g`], 0.1),
      // Version 0 lets the broker name the member.
      memberId: draw.mostly(member, version === 0 ? [] : [""], version === 0 ? 0 : 0.05),
      instanceId: draw.mostly(null, ["i", `i-${member}`, ""], 0.15),
      rackId: draw.mostly(null, ["r", ""], 0.1),
      rebalanceTimeoutMs: draw.mostly(30_000, [-1, 0], 0.08),
      subscribedTopicNames: draw.mostly(
        [`${fresh}a`, `${fresh}b`],
        [[], [`${fresh}unknown`], null, [`${fresh}a`, `${fresh}a`]],
        0.3,
      ),
      ...(version >= 1 ? { subscribedTopicRegex: draw.mostly(null, [`${fresh}[ab]`, "(", ""], 0.2) } : {}),
      serverAssignor: draw.mostly(null, ["uniform", "range", "no-such", ""], 0.25),
      topicPartitions: draw.mostly([], [null, owned], 0.15),
    });
  }
  return step({
    ...next,
    groupId: draw.mostly(next.groupId, [`${fresh}unknown`, `${fresh}g`], 0.06),
    memberId: draw.mostly(member, ["stranger"], 0.06),
    memberEpoch: draw.mostly(next.memberEpoch, [-1, -2, -3, 99, generationOf(`c-${member}`, -1)], 0.3),
    topicPartitions: draw.mostly(null, [[], [{ topicId: topicIdOf(`${fresh}a`), partitions: [0, 1] }]], 0.4),
    subscribedTopicNames: draw.mostly(null, [[`${fresh}b`], []], 0.15),
  });
};

export const consumerGroupDescribe: Generator<"consumerGroupDescribe"> = (draw) => ({
  api: "consumerGroupDescribe",
  version: draw.version("consumerGroupDescribe"),
  connection: "main",
  body: {
    groupIds: draw.distinct(2, () => draw.mostly(`${fresh}c`, [`${fresh}g`, `${fresh}unknown`, ""], 0.3), String, 1),
    includeAuthorizedOperations: draw.chance(0.3),
  },
});
