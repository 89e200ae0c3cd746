/** DeleteRecords: moves a partition's log start. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Offset, uuidZero } from "../../base/ids.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler, internalTopics, isPartition, lookupErrors, partitionOf, topicOf } from "../handler.ts";

type Request = RequestOf<"deleteRecords">;
type Response = ResponseInputOf<"deleteRecords">;

export interface DeleteRecordsOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
}

export function deleteRecordsHandler(options: DeleteRecordsOptions): Handler<Request, Response> {
  return async (request) => ({
    topics: await Promise.all(
      request.topics.map(async (topic) => ({
        name: topic.name,
        partitions: await Promise.all(
          topic.partitions.map(async ({ partitionIndex, offset }) => {
            const moved = await deleteBefore(options, topic.name, partitionIndex, offset);
            return typeof moved === "string"
              ? { partitionIndex, lowWatermark: -1, errorCode: code(moved) }
              : { partitionIndex, lowWatermark: moved, errorCode: 0 };
          }),
        ),
      })),
    ),
  });
}

async function deleteBefore(
  options: DeleteRecordsOptions,
  name: string,
  index: number,
  offset: number,
): Promise<Offset | ErrorName> {
  const topic = topicOf(options.metadata.image, { name, topicId: uuidZero });
  if (typeof topic === "string") return "UNKNOWN_TOPIC_OR_PARTITION";
  if (internalTopics.has(name)) return "INVALID_TOPIC_EXCEPTION";
  const partition = partitionOf(options.log, topic, index);
  if (!isPartition(partition)) return lookupErrors[partition.kind];
  const outcome = await partition.deleteRecords(offset === -1 ? "high-watermark" : (offset as Offset));
  switch (outcome.kind) {
    case "moved":
      return outcome.logStart;
    case "out-of-range":
      return "OFFSET_OUT_OF_RANGE";
    case "compacted-only":
      return "POLICY_VIOLATION";
    case "closed":
      return "NOT_LEADER_OR_FOLLOWER";
  }
}
