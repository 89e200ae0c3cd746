/** ListOffsets: the ends of a partition, and the first record at or after a time. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { OperationFailed } from "../../base/errors.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Isolation, Log, OffsetAnswer, OffsetQuery } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, epochError, type Handler, isPartition, lookupErrors, partitionOf, topicOf } from "../handler.ts";
import { repeated } from "../repeated.ts";

type Request = RequestOf<"listOffsets">;
type Response = ResponseInputOf<"listOffsets">;
type PartitionRequest = Request["topics"][number]["partitions"][number];
type PartitionResponse = Response["topics"][number]["partitions"][number];

export interface ListOffsetsOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
}

/** Timestamps below 0 name a place. "nowhere": a place that this broker, which has no tiers, does not have. */
const places: ReadonlyMap<number, { readonly query: OffsetQuery | "nowhere"; readonly versionMin: number }> = new Map([
  [-1, { query: { kind: "latest" }, versionMin: 1 }],
  [-2, { query: { kind: "earliest" }, versionMin: 1 }],
  [-3, { query: { kind: "max-timestamp" }, versionMin: 7 }],
  [-4, { query: { kind: "earliest" }, versionMin: 8 }], // Earliest local: all is local, or nothing is.
  [-5, { query: "nowhere", versionMin: 9 }], // Latest tiered.
  [-6, { query: "nowhere", versionMin: 11 }], // Earliest pending upload to a tier.
]);

const nothing: OffsetAnswer = { offset: -1, timestamp: -1, leaderEpoch: -1 };

export function listOffsetsHandler(options: ListOffsetsOptions): Handler<Request, Response> {
  return async (request, context) => {
    const isolation: Isolation = request.isolationLevel === 1 ? "read-committed" : "read-uncommitted";
    const twice = repeated(
      request.topics.flatMap(({ name, partitions }) => partitions.map((asked) => keyOf(name, asked))),
    );
    const topics = await Promise.all(
      request.topics.map(async (topic) => ({
        name: topic.name,
        partitions: await Promise.all(
          topic.partitions.map(async (asked): Promise<PartitionResponse> => {
            const found = twice.has(keyOf(topic.name, asked))
              ? "INVALID_REQUEST"
              : await find(options, topic.name, asked, isolation, context.apiVersion).catch(storageError);
            const partitionIndex = asked.partitionIndex;
            return typeof found === "string"
              ? { partitionIndex, errorCode: code(found) }
              : { partitionIndex, errorCode: 0, ...found };
          }),
        ),
      })),
    );
    return { topics };
  };
}

async function find(
  options: ListOffsetsOptions,
  name: string,
  asked: PartitionRequest,
  isolation: Isolation,
  version: number,
): Promise<OffsetAnswer | ErrorName> {
  // Before the partition is looked for, as in Kafka: whether a place can be asked for is a matter of versions.
  const place = places.get(asked.timestamp);
  const isKnown = asked.timestamp >= 0 || (place !== undefined && version >= place.versionMin);
  if (!isKnown) return "UNSUPPORTED_VERSION";
  const topic = topicOf(options.metadata.image, { name, topicId: uuidZero });
  if (typeof topic === "string") return "UNKNOWN_TOPIC_OR_PARTITION";
  const partition = partitionOf(options.log, topic, asked.partitionIndex);
  if (!isPartition(partition)) return lookupErrors[partition.kind];
  const fenced = epochError(asked.currentLeaderEpoch, partition);
  if (fenced !== undefined) return fenced;
  if (place === undefined) {
    return await partition.offsetFor({ kind: "at-or-after", timestamp: asked.timestamp }, isolation);
  }
  return place.query === "nowhere" ? nothing : await partition.offsetFor(place.query, isolation);
}

/** The storage has reported it; the client asks again. */
function storageError(cause: unknown): ErrorName {
  if (!(cause instanceof OperationFailed)) throw cause;
  return "KAFKA_STORAGE_ERROR";
}

function keyOf(topic: string, { partitionIndex }: PartitionRequest): string {
  return `${topic} ${partitionIndex}`;
}
