/** DescribeLogDirs and AlterReplicaLogDirs, of a broker with one log directory: there is nowhere to move a partition to. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { Log, Partition } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";

export interface LogDirsOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
  /** Absolute. What stands for the WAL in it and for the bucket behind it. */
  readonly dataDirectory: string;
}

/** Of a volume whose size is not known, as Kafka says it: a bucket has none. */
const volumeBytesUnknown = -1;

export function describeLogDirsHandler(
  options: LogDirsOptions,
): Handler<RequestOf<"describeLogDirs">, ResponseInputOf<"describeLogDirs">> {
  return async ({ topics }) => {
    const partitions = topics === null ? [...options.log.partitions()] : asked(options, topics);
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
    const result = {
      errorCode: 0,
      logDir: options.dataDirectory,
      topics: Array.from(byTopic, ([name, ofTopic]) => ({
        name,
        partitions: ofTopic.map(({ index, bytes }) => ({
          partitionIndex: index,
          partitionSize: bytes,
          offsetLag: 0, // Of a follower; nothing follows here.
          isFutureKey: false,
        })),
      })),
      totalBytes: volumeBytesUnknown,
      usableBytes: volumeBytesUnknown,
    };
    return { errorCode: 0, results: [result] };
  };
}

/** Those that this broker has: of the others another one tells. */
function asked(
  { log, metadata }: LogDirsOptions,
  topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
): readonly Partition[] {
  return topics.flatMap(({ topic: name, partitions }) => {
    const topic = metadata.image.topicByName(name);
    if (topic === undefined) return [];
    return [...new Set(partitions)].flatMap((index) => {
      const lookup = log.partition(topic.id, index);
      return lookup.kind === "here" ? [lookup.partition] : [];
    });
  });
}

export function alterReplicaLogDirsHandler(
  options: LogDirsOptions,
): Handler<RequestOf<"alterReplicaLogDirs">, ResponseInputOf<"alterReplicaLogDirs">> {
  return async ({ dirs }) => {
    const moves = dirs.flatMap(({ path, topics }) =>
      topics.flatMap(({ name, partitions }) => partitions.map((index) => ({ path, name, index }))),
    );
    const byTopic = Map.groupBy(moves, ({ name }) => name);
    return {
      results: Array.from(byTopic, ([topicName, ofTopic]) => ({
        topicName,
        partitions: ofTopic.map(({ path, index }) => ({
          partitionIndex: index,
          errorCode: code(moveError(options, path, topicName, index)),
        })),
      })),
    };
  };
}

/** Kafka's directory of a partition that moves is named `<topic>-<partition>.<32 digits>-future`, in 255 characters at most. */
const movedNameCharsMax = 255 - 1 - 32 - "-future".length;

/** Undefined: the partition is where it was to go. */
function moveError(
  { log, metadata, dataDirectory }: LogDirsOptions,
  path: string,
  name: string,
  index: number,
): ErrorName | undefined {
  if (`${name}-${index}`.length > movedNameCharsMax) return "INVALID_TOPIC_EXCEPTION";
  if (path !== dataDirectory) return "LOG_DIR_NOT_FOUND";
  const topic = metadata.image.topicByName(name);
  const lookup = topic === undefined ? undefined : log.partition(topic.id, index);
  switch (lookup?.kind) {
    case "here":
      return undefined;
    case "elsewhere":
    case "opening":
      return "REPLICA_NOT_AVAILABLE";
    case "unknown":
    case undefined:
      return "UNKNOWN_TOPIC_OR_PARTITION";
  }
}
