import type { Generator } from "../generator.ts";

export const createPartitions: Generator<"createPartitions"> = (draw) => ({
  api: "createPartitions",
  version: draw.version("createPartitions"),
  connection: "main",
  body: {
    topics: draw
      .some(2, () => {
        const count = draw.mostly(2 + draw.int(3), [0, -1, 1], 0.3);
        return {
          name: draw.topic(),
          count,
          assignments: draw.mostly(
            null,
            [
              [],
              [{ brokerIds: [1] }],
              [{ brokerIds: [2] }],
              [{ brokerIds: [] }],
              [{ brokerIds: [1, 1] }],
              [{ brokerIds: [1] }, { brokerIds: [1] }],
            ],
            0.3,
          ),
        };
      })
      .filter(({ name }) => !name.startsWith("__")),
    timeoutMs: 10_000,
    validateOnly: draw.chance(0.3),
  },
});
