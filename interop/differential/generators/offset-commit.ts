import { inspect } from "node:util";
import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { fresh, generationOf, memberOf, topicIdOf } from "../step.ts";

export const offsetCommit: Generator<"offsetCommit"> = (draw) => {
  const version = draw.version("offsetCommit");
  const isSimple = draw.chance(0.4);
  const member = draw.member();
  return {
    api: "offsetCommit",
    version,
    connection: "main",
    body: {
      groupId: draw.group() || `${fresh}g`, // The group without a name would be shared by all sequences.
      generationIdOrMemberEpoch: isSimple ? -1 : draw.mostly(generationOf(member), [-1, 0, generationOf(member, 1)]),
      memberId: isSimple ? draw.mostly("", ["stranger"], 0.1) : memberOf(member),
      groupInstanceId: version >= 7 ? draw.mostly(null, [`i-${member}`, "i-shared"]) : null,
      retentionTimeMs: -1,
      topics: draw.distinct(
        2,
        () => {
          const name = draw.topic();
          return {
            name: version >= 10 ? "" : name,
            topicId: version >= 10 ? draw.mostly(topicIdOf(name), [uuidZero], 0.1) : uuidZero,
            partitions: draw.distinct(
              2,
              () => ({
                partitionIndex: draw.partition(),
                committedOffset: draw.mostly(draw.int(10), [-1, -2], 0.1),
                committedLeaderEpoch: draw.mostly(-1, [0, 5, -2]),
                committedMetadata: draw.mostly(draw.of(["", "meta"]), [null, "x".repeat(4096), "x".repeat(4097)], 0.2),
              }),
              (each) => each.partitionIndex,
            ),
          };
        },
        ({ name, topicId }) => `${name} ${inspect(topicId)}`,
        draw.chance(0.95) ? 1 : 0,
      ),
    },
  };
};
