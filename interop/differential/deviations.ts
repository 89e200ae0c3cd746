/** Where Inlet answers otherwise than Kafka on purpose, and why. Rendered into docs/compatibility.md. */
import type { ApiName } from "../../src/protocol/api-table.ts";
import type { Difference } from "./compare.ts";
import type { Step } from "./step.ts";

export interface Deviation {
  readonly apis: readonly ApiName[];
  /** What differs, for the reader of the page. */
  readonly what: string;
  readonly why: string;
  readonly matches: (difference: Difference, step: Step) => boolean;
}

export const deviations: readonly Deviation[] = [
  {
    apis: ["createTopics", "describeConfigs"],
    what: "Topic configs `inlet.table.*`, and a few that Kafka has after 4.3, are listed too.",
    why: "They turn a topic into a table; the later ones are accepted so that newer tools can set them.",
    matches: ({ path, kafka }) =>
      kafka === undefined && /configs\[(inlet\.table|remote\.copy|errors\.dead)[^\]]*\]$/.test(path),
  },
  {
    apis: ["createTopics", "describeConfigs"],
    what: "The default of `min.insync.replicas` is `DEFAULT_CONFIG`, not `DYNAMIC_DEFAULT_BROKER_CONFIG`.",
    why: "Kafka writes it into the cluster's configs for eligible leader replicas, which shared storage has no use for.",
    matches: ({ path }) => path.includes("configs[min.insync.replicas]") && path.endsWith(".configSource"),
  },
  {
    apis: ["describeConfigs"],
    what: "The documentation of a config is in other words.",
    why: "It says what the config does here; of some that is: nothing.",
    matches: ({ path }) => path.endsWith(".documentation"),
  },
  {
    apis: ["apiVersions"],
    what: "APIs and features of Kafka that are not served are not spoken of.",
    why: "Nothing is advertised before it answers rightly.",
    matches: ({ path, inlet }) => inlet === undefined && /^(apiKeys|supportedFeatures|finalizedFeatures)\[/.test(path),
  },
  {
    apis: ["incrementalAlterConfigs"],
    what: "An unknown operation is `INVALID_REQUEST` for its resource.",
    why: "Kafka fails on it, and answers all resources of the request with `UNKNOWN_SERVER_ERROR`.",
    matches: ({ kafka, path }, { body }) =>
      (kafka === "UNKNOWN_SERVER_ERROR" || /Message$|Name$/.test(path)) &&
      JSON.stringify(body).search(/"configOperation":(-|[4-9])/) >= 0,
  },
];
