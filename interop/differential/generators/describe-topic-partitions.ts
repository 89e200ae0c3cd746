import type { Generator } from "../generator.ts";
import { fresh } from "../step.ts";

export const describeTopicPartitions: Generator<"describeTopicPartitions"> = (draw) => ({
  api: "describeTopicPartitions",
  version: 0,
  connection: "main",
  body: {
    // The empty name is an unexpected error to Kafka; none asks for all, which are others' too.
    topics: draw.some(3, () => ({ name: draw.topic() || `${fresh}a` }), 1),
    responsePartitionLimit: draw.mostly(2000, [1, 2, 0, -1], 0.3),
    cursor: draw.mostly(null, [{ topicName: draw.topic(), partitionIndex: draw.of([0, 1, 2, -1]) }], 0.25),
  },
});
