import type { Generator } from "../generator.ts";

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
            currentLeaderEpoch: draw.mostly(-1, [0, 1, 99, -2], 0.3),
            leaderEpoch: draw.of([0, 0, 1, -1, 99]),
          }),
          ({ partition }) => partition,
          1,
        ),
      }),
      (each) => each.topic,
    ),
  },
});
