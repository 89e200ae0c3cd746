import type { Generator } from "../generator.ts";

export const describeConfigs: Generator<"describeConfigs"> = (draw) => ({
  api: "describeConfigs",
  version: draw.version("describeConfigs"),
  connection: "main",
  body: {
    resources: draw.some(
      2,
      () => {
        const resourceType = draw.mostly(2, [4, 8, 0, 3, 99], 0.25);
        const name = resourceType === 4 ? draw.of(["1", "", "2", "x", "-1"]) : draw.topic();
        return {
          resourceType,
          resourceName: name,
          // The broker's whole table is a matter of its own.
          configurationKeys:
            resourceType === 4
              ? [draw.of(["num.partitions", "no.such", "log.retention.ms", "message.max.bytes"])]
              : draw.mostly(
                  null,
                  [[], ["cleanup.policy"], ["no.such"], ["retention.ms", "retention.ms", "segment.bytes"]],
                  0.6,
                ),
        };
      },
      1,
    ),
    includeSynonyms: draw.chance(0.4),
    includeDocumentation: draw.chance(0.2),
  },
});
