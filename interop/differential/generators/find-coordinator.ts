import type { Generator } from "../generator.ts";

export const findCoordinator: Generator<"findCoordinator"> = (draw) => {
  const version = draw.version("findCoordinator");
  return {
    api: "findCoordinator",
    version,
    connection: "main",
    body: {
      key: version < 4 ? draw.group() : "",
      keyType: draw.mostly(0, [3, -1], 0.1),
      coordinatorKeys: version >= 4 ? draw.some(3, () => draw.group()) : [],
    },
  };
};
