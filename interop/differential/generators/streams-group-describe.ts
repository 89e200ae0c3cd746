import type { Generator } from "../generator.ts";
import { fresh } from "../step.ts";

export const streamsGroupDescribe: Generator<"streamsGroupDescribe"> = (draw) => ({
  api: "streamsGroupDescribe",
  version: 0,
  connection: "main",
  body: {
    groupIds: draw.distinct(
      2,
      () => draw.mostly(`${fresh}s`, [`${fresh}g`, `${fresh}unknown`, ""], 0.3),
      (id) => id,
      1,
    ),
    includeAuthorizedOperations: draw.chance(0.3),
  },
});
