import type { Generator } from "../generator.ts";

export const deleteGroups: Generator<"deleteGroups"> = (draw) => ({
  api: "deleteGroups",
  version: draw.version("deleteGroups"),
  connection: "main",
  body: { groupsNames: draw.some(2, () => draw.group()) },
});
