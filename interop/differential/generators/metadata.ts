import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { topicIdOf } from "../step.ts";

export const metadata: Generator<"metadata"> = (draw) => {
  const version = draw.version("metadata");
  const byId = version >= 12 && draw.chance(0.3);
  const topic = () => {
    const name = draw.topic();
    return byId ? { name: null, topicId: topicIdOf(name) } : { name, topicId: uuidZero };
  };
  return {
    api: "metadata",
    version,
    connection: "main",
    body: {
      topics: version > 0 && draw.chance(0.2) ? null : draw.some(3, topic),
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: draw.chance(0.3),
      includeClusterAuthorizedOperations: draw.chance(0.3),
    },
  };
};
