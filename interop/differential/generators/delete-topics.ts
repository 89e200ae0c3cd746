import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { topicIdOf } from "../step.ts";

export const deleteTopics: Generator<"deleteTopics"> = (draw) => {
  // Of the internal ones there is only one set.
  const topic = () => {
    const name = draw.ownTopic();
    return draw.of([
      { name, topicId: uuidZero },
      { name: null, topicId: topicIdOf(name) },
      { name, topicId: draw.mostly(uuidZero, [topicIdOf(name)]) },
      { name: null, topicId: draw.mostly(topicIdOf(name), [uuidZero]) },
    ]);
  };
  const version = draw.version("deleteTopics");
  return {
    api: "deleteTopics",
    version,
    connection: "main",
    body: {
      topics: version < 6 ? [] : draw.some(2, topic),
      topicNames: version < 6 ? draw.some(2, () => draw.ownTopic()) : [],
      timeoutMs: 10_000,
    },
  };
};
