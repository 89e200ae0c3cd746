import type { Generator } from "../generator.ts";

export const offsetDelete: Generator<"offsetDelete"> = (draw) => ({
  api: "offsetDelete",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.group(),
    topics: draw.some(2, () => ({
      name: draw.topic(),
      partitions: draw.some(2, () => ({ partitionIndex: draw.partition() })),
    })),
  },
});
