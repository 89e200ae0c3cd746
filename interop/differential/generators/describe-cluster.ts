import type { Generator } from "../generator.ts";

export const describeCluster: Generator<"describeCluster"> = (draw) => ({
  api: "describeCluster",
  version: draw.version("describeCluster"),
  connection: "main",
  body: {
    includeClusterAuthorizedOperations: draw.chance(0.5),
    endpointType: draw.mostly(1, [0, 2, 3, -1], 0.3),
    includeFencedBrokers: draw.chance(0.3),
  },
});
