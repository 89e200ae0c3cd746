import type { Generator } from "../generator.ts";

export const describeGroups: Generator<"describeGroups"> = (draw) => ({
  api: "describeGroups",
  version: draw.version("describeGroups"),
  connection: "main",
  body: { groups: draw.some(3, () => draw.group()), includeAuthorizedOperations: draw.chance(0.4) },
});
