import type { Generator } from "../generator.ts";

export const describeTopicPartitions: Generator<"describeTopicPartitions"> = (draw) => ({
  api: "describeTopicPartitions",
  version: 0,
  connection: "main",
  body: {
    // None asks for all, which are others' too.
    topics: draw.some(3, () => ({ name: draw.topic() }), 1),
    responsePartitionLimit: draw.mostly(2000, [1, 2, 0, -1], 0.3),
    cursor: draw.mostly(null, [{ topicName: draw.topic(), partitionIndex: draw.partition() }], 0.25),
  },
});
