import type { Generator } from "../generator.ts";
import { epochAt } from "../step.ts";

export const offsetForLeaderEpoch: Generator<"offsetForLeaderEpoch"> = (draw) => ({
  api: "offsetForLeaderEpoch",
  version: draw.version("offsetForLeaderEpoch"),
  connection: "main",
  body: {
    replicaId: draw.mostly(-1, [-2], 0.1),
    topics: draw.distinct(
      2,
      () => ({
        topic: draw.ownTopic(),
        partitions: draw.distinct(
          2,
          () => ({
            partition: draw.partition(),
            currentLeaderEpoch: draw.mostly(-1, [epochAt(0), epochAt(1), epochAt(99), -2], 0.3),
            leaderEpoch: draw.of([epochAt(0), epochAt(0), epochAt(1), -1, epochAt(99)]),
          }),
          ({ partition }) => partition,
          1,
        ),
      }),
      (each) => each.topic,
    ),
  },
});
