import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { generationOf, memberOf, topicIdOf } from "../step.ts";

export const offsetFetch: Generator<"offsetFetch"> = (draw) => {
  const version = draw.version("offsetFetch");
  const partitionIndexes = () => draw.some(3, () => draw.partition());
  const topics = () => draw.some(2, () => ({ name: draw.topic(), partitionIndexes: partitionIndexes() }));
  const group = () => ({
    groupId: draw.group(),
    memberId: version >= 9 ? draw.mostly(null, ["", "stranger", memberOf("m0")]) : null,
    memberEpoch: version >= 9 ? draw.mostly(-1, [0, generationOf("m0")]) : -1,
    topics: draw.chance(0.3)
      ? null
      : draw.some(2, () => {
          const name = draw.topic();
          return {
            name: version >= 10 ? "" : name,
            topicId: version >= 10 ? draw.mostly(topicIdOf(name), [uuidZero], 0.1) : uuidZero,
            partitionIndexes: partitionIndexes(),
          };
        }),
  });
  return {
    api: "offsetFetch",
    version,
    connection: "main",
    body: {
      groupId: version < 8 ? draw.group() : "",
      topics: version < 8 ? (version >= 2 && draw.chance(0.3) ? null : topics()) : [],
      groups: version >= 8 ? draw.some(2, group) : [],
      requireStable: draw.chance(0.3),
    },
  };
};
