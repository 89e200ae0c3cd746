/** OffsetForLeaderEpoch (KIP-320): where an epoch ended, so that a client sees whether what it read still stands. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, epochError, type Handler, isPartition, lookupErrors, partitionOf, topicOf } from "../handler.ts";

type Request = RequestOf<"offsetForLeaderEpoch">;
type Response = ResponseInputOf<"offsetForLeaderEpoch">;
type PartitionRequest = Request["topics"][number]["partitions"][number];

export interface OffsetForLeaderEpochOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
}

export function offsetForLeaderEpochHandler(options: OffsetForLeaderEpochOptions): Handler<Request, Response> {
  return async (request) => ({
    topics: request.topics.map((topic) => ({
      topic: topic.topic,
      partitions: topic.partitions.map((asked) => {
        const end = endOf(options, topic.topic, asked);
        if (typeof end === "string") return { partition: asked.partition, errorCode: code(end) };
        // No such epoch here: -1 and -1, the defaults, without an error.
        return { partition: asked.partition, errorCode: 0, leaderEpoch: end?.epoch, endOffset: end?.endOffset };
      }),
    })),
  });
}

function endOf(
  options: OffsetForLeaderEpochOptions,
  name: string,
  asked: PartitionRequest,
): { readonly epoch: number; readonly endOffset: number } | undefined | ErrorName {
  const topic = topicOf(options.metadata.image, { name, topicId: uuidZero });
  if (typeof topic === "string") return "UNKNOWN_TOPIC_OR_PARTITION";
  const partition = partitionOf(options.log, topic, asked.partition);
  if (!isPartition(partition)) return lookupErrors[partition.kind];
  return epochError(asked.currentLeaderEpoch, partition) ?? partition.endOfEpoch(asked.leaderEpoch);
}
