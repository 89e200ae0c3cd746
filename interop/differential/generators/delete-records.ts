import type { Generator } from "../generator.ts";

export const deleteRecords: Generator<"deleteRecords"> = (draw) => ({
  api: "deleteRecords",
  version: draw.version("deleteRecords"),
  connection: "main",
  body: {
    topics: draw
      .distinct(
        2,
        () => ({
          name: draw.topic(),
          partitions: draw.distinct(
            2,
            () => ({ partitionIndex: draw.partition(), offset: draw.of([0, 1, 1, 2, -1, -2, 100]) }),
            (each) => each.partitionIndex,
            1,
          ),
        }),
        (each) => each.name,
      )
      .filter(({ name }) => !name.startsWith("__")),
    timeoutMs: 10_000,
  },
});
