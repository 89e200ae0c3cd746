/** Tells partitions how transactions ended. Those of __consumer_offsets have a group coordinator in front of them. */
import { OperationFailed } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import type { Log, MarkerRefusal, TransactionEnd } from "../log/log.ts";
import { buildMarker } from "../protocol/records.ts";
import type { GroupCoordinator } from "./group-coordinator.ts";
import type { TopicPartition } from "./group-offsets.ts";

export type MarkerOutcome =
  | "written"
  /** A newer coordinator or a newer epoch of the producer was there before. */
  | "fenced-coordinator"
  | "fenced-producer"
  | "missing"
  | "elsewhere"
  /** Not now; nothing is known against a later attempt. */
  | "busy";

/** Resolves when the marker is durable, or with why it was not written. Writing it twice does no harm. */
export type WriteMarker = (at: TopicPartition, marker: TransactionEnd) => Promise<MarkerOutcome>;

const outcomes = {
  written: "written",
  busy: "busy",
  "coordinator-fenced": "fenced-coordinator",
  "stale-producer-epoch": "fenced-producer",
} as const satisfies Readonly<Record<MarkerRefusal | "written" | "busy", MarkerOutcome>>;

/** Version of Produce that allows everything. */
const newestProduce = 13;

export function markerWriter(options: {
  readonly log: Log;
  /** Undefined when there is no topic of that name. */
  readonly topicId: (name: string) => Uuid | undefined;
  readonly groups: GroupCoordinator;
  readonly offsetsTopic: string;
}): WriteMarker {
  const { log, topicId, groups, offsetsTopic } = options;
  return async ({ topic, partition }, marker) => {
    const id = topicId(topic);
    const lookup = id === undefined ? undefined : log.partition(id, partition);
    if (lookup === undefined || lookup.kind === "unknown") return "missing";
    if (lookup.kind === "elsewhere") return "elsewhere";
    if (lookup.kind === "opening") return "busy";
    if (topic === offsetsTopic) return outcomes[await groups.endTransaction(partition, marker)];
    try {
      const outcome = await lookup.partition.append(buildMarker(marker), {
        origin: "coordinator",
        apiVersion: newestProduce,
        transactionVersion: marker.transactionVersion,
      });
      if (outcome.kind === "appended") return "written";
      const { reason } = outcome;
      return reason === "coordinator-fenced" || reason === "stale-producer-epoch" ? outcomes[reason] : "busy";
    } catch (cause) {
      if (cause instanceof OperationFailed) return "busy"; // The node is stopping; whoever comes next writes it again.
      throw cause;
    }
  };
}
