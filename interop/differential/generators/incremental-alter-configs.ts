import type { Generator } from "../generator.ts";
import { topicConfig } from "./create-topics.ts";

export const incrementalAlterConfigs: Generator<"incrementalAlterConfigs"> = (draw) => ({
  api: "incrementalAlterConfigs",
  version: draw.version("incrementalAlterConfigs"),
  connection: "main",
  body: {
    resources: draw
      .distinct(
        2,
        () => ({
          resourceType: draw.mostly(2, [0, 3, 99], 0.1),
          resourceName: draw.topic(),
          configs: draw.some(2, () => ({
            ...topicConfig(draw),
            // Of an operation that it does not know Kafka's controller dies, and another has to be elected.
            configOperation: draw.mostly(draw.of([0, 0, 1]), [2, 3], 0.3),
          })),
        }),
        // Kafka does not answer a resource that comes twice; all types that it does not know are one to it.
        ({ resourceType, resourceName }) => `${resourceType === 2 ? 2 : "unknown"} ${resourceName}`,
        1,
      )
      .filter(({ resourceName }) => !resourceName.startsWith("__")),
    validateOnly: draw.chance(0.3),
  },
});
