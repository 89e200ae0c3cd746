import type { Generator } from "../generator.ts";
import { timeAt } from "../step.ts";

export const listOffsets: Generator<"listOffsets"> = (draw) => ({
  api: "listOffsets",
  version: draw.version("listOffsets"),
  connection: "main",
  body: {
    replicaId: draw.mostly(-1, [-2], 0.05),
    isolationLevel: draw.mostly(draw.of([0, 1]), [2], 0.03),
    topics: draw.distinct(
      2,
      () => ({
        name: draw.ownTopic(),
        partitions: draw.distinct(
          2,
          () => ({
            partitionIndex: draw.partition(),
            currentLeaderEpoch: draw.mostly(-1, [0, 1, 99, -2], 0.2),
            timestamp: draw.of([
              -1,
              -2,
              -3,
              -4,
              -5,
              -6,
              -7,
              0,
              timeAt(-3_600_000 * 3),
              timeAt(-3_600_000 * 5),
              timeAt(3_600_000 * 24),
            ]),
          }),
          ({ partitionIndex }) => partitionIndex,
          1,
        ),
      }),
      (each) => each.name,
    ),
    timeoutMs: 1000,
  },
});
