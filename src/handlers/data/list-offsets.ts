/** ListOffsets: the ends of a partition, and the first record at or after a time. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { Slices } from "../../base/async.ts";
import { OperationFailed } from "../../base/errors.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Isolation, Log, OffsetAnswer, OffsetQuery, Partition } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, epochError, type Handler, isPartition, lookupErrors, partitionOf, topicOf } from "../handler.ts";
import { repeated } from "../repeated.ts";

type Request = RequestOf<"listOffsets">;
type Response = ResponseInputOf<"listOffsets">;
type TopicRequest = Request["topics"][number];
type PartitionRequest = TopicRequest["partitions"][number];
type PartitionResponse = Response["topics"][number]["partitions"][number];

export interface ListOffsetsOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly clock: Clock;
}

/** Of one turn of the event loop. */
const sliceMsMax = 5;
/** Far less than a slice. */
const stepPartitions = 100;

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
    const twice = askedTwice(request.topics);
    const slices = new Slices({ clock: options.clock, sliceMsMax });
    const searches: (() => Promise<void>)[] = [];
    const topics: { readonly name: string; readonly partitions: PartitionResponse[] }[] = [];
    let stepped = 0;
    for (const { name, partitions } of request.topics) {
      const answers: PartitionResponse[] = [];
      const again = twice.get(name);
      for (const asked of partitions) {
        stepped += 1;
        if (stepped % stepPartitions === 0) await slices.pause();
        const isTwice = again?.has(asked.partitionIndex) === true;
        const found = isTwice ? "INVALID_REQUEST" : find(options, name, asked, context.apiVersion);
        if (typeof found === "string" || "offset" in found) {
          answers.push(told(asked, found));
          continue;
        }
        const { partition, query } = found;
        if (query.kind === "latest" || query.kind === "earliest") {
          answers.push(told(asked, await partition.offsetFor(query, isolation).catch(storageError)));
          continue;
        }
        const at = answers.push(told(asked, nothing)) - 1;
        searches.push(async () => {
          answers[at] = told(asked, await partition.offsetFor(query, isolation).catch(storageError));
        });
      }
      topics.push({ name, partitions: answers });
    }
    await Promise.all(searches.map((search) => search()));
    return { topics };
  };
}

function told({ partitionIndex }: PartitionRequest, found: OffsetAnswer | ErrorName): PartitionResponse {
  return typeof found === "string"
    ? { partitionIndex, errorCode: code(found) }
    : { partitionIndex, errorCode: 0, ...found };
}

/** Where to ask what, or the answer itself. */
function find(
  { log, metadata }: ListOffsetsOptions,
  name: string,
  asked: PartitionRequest,
  version: number,
): { readonly partition: Partition; readonly query: OffsetQuery } | OffsetAnswer | ErrorName {
  // Before the partition is looked for, as in Kafka: whether a place can be asked for is a matter of versions.
  const place = places.get(asked.timestamp);
  const isKnown = asked.timestamp >= 0 || (place !== undefined && version >= place.versionMin);
  if (!isKnown) return "UNSUPPORTED_VERSION";
  const topic = topicOf(metadata.image, { name, topicId: uuidZero });
  if (typeof topic === "string") return "UNKNOWN_TOPIC_OR_PARTITION";
  const partition = partitionOf(log, topic, asked.partitionIndex);
  if (!isPartition(partition)) return lookupErrors[partition.kind];
  const fenced = epochError(asked.currentLeaderEpoch, partition);
  if (fenced !== undefined) return fenced;
  const query = place === undefined ? ({ kind: "at-or-after", timestamp: asked.timestamp } as const) : place.query;
  return query === "nowhere" ? nothing : { partition, query };
}

/** The storage has reported it; the client asks again. */
function storageError(cause: unknown): ErrorName {
  if (!(cause instanceof OperationFailed)) throw cause;
  return "KAFKA_STORAGE_ERROR";
}

/** Of each topic the partitions that are asked for more than once. */
function askedTwice(topics: readonly TopicRequest[]): ReadonlyMap<string, ReadonlySet<number>> {
  const byName = Map.groupBy(topics, ({ name }) => name);
  const indexesOf = (same: readonly TopicRequest[]): readonly number[] =>
    same.flatMap(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex));
  return new Map(Array.from(byName, ([name, same]) => [name, repeated(indexesOf(same))]));
}
