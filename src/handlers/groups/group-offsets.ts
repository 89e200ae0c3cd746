/** OffsetCommit, OffsetFetch and OffsetDelete. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Uuid, uuidZero } from "../../base/ids.ts";
import { consumerFetchProblem } from "../../coordinator/consumer-group.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import type { CommittedOffset } from "../../coordinator/group-offsets.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { LiveGroup } from "../../coordinator/live-group.ts";
import { streamsFetchProblem } from "../../coordinator/streams/streams-group.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler, topicOf } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";

export interface OffsetsOptions {
  readonly coordinator: GroupCoordinator;
  readonly metadata: Pick<MetadataClient, "image">;
}

const missingGroupIsNamedSince = 9;
const topicIdsSince = 10;
const groupsSince = 8;
const groupErrorSince = 2;

export function offsetCommitHandler(
  options: OffsetsOptions,
): Handler<RequestOf<"offsetCommit">, ResponseInputOf<"offsetCommit">> {
  return async (request, { apiVersion }) => {
    const { coordinator, metadata } = options;
    const shard = await coordinator.shard(request.groupId); // First: which topic a name means is asked in the turn that commits.
    const now = coordinator.runtime.clock.now();
    // What a client may say for "never" lies beyond what can be kept.
    const expiresAt =
      request.retentionTimeMs < 0 ? null : Math.min(now + request.retentionTimeMs, Number.MAX_SAFE_INTEGER);
    // First the partitions that are not there, then the group's word for all the others, then notes that are too long.
    const asked = request.topics.map(({ name, topicId, partitions }) => {
      const topic = topicOf(metadata.image, { name, topicId }, apiVersion >= topicIdsSince);
      return {
        name,
        topicId,
        topic: typeof topic === "string" ? undefined : topic,
        partitions: partitions.map((partition) => ({
          ...partition,
          problem: typeof topic === "string" ? topic : partitionProblem(topic, partition.partitionIndex),
          noteError: noteProblem(options, partition.committedMetadata),
        })),
      };
    });
    const offsets = asked.flatMap(({ topic, partitions }) =>
      topic === undefined
        ? []
        : partitions
            .filter(({ problem, noteError }) => problem === undefined && noteError === undefined)
            .map((partition) => ({
              topic: topic.name,
              partition: partition.partitionIndex,
              value: {
                offset: partition.committedOffset,
                leaderEpoch: partition.committedLeaderEpoch,
                metadata: partition.committedMetadata ?? "",
                topicId: topic.id,
                committedAt: now,
                expiresAt,
              },
            })),
    );
    const answer: ErrorName =
      shard instanceof GroupShard
        ? await shard.commit({
            groupId: request.groupId,
            memberId: request.memberId,
            instanceId: request.groupInstanceId,
            generation: request.generationIdOrMemberEpoch,
            knowsMissingGroup: apiVersion >= missingGroupIsNamedSince,
            offsets,
          })
        : shard;
    return {
      topics: asked.map(({ name, topicId, partitions }) => ({
        name,
        topicId,
        partitions: partitions.map(({ partitionIndex, problem, noteError }) => {
          const verdict = answer === "NONE" ? noteError : answer;
          return { partitionIndex, errorCode: code(problem ?? verdict) };
        }),
      })),
    };
  };
}

function partitionProblem(topic: Topic, partition: number): ErrorName | undefined {
  return topic.partitions[partition] === undefined ? "UNKNOWN_TOPIC_OR_PARTITION" : undefined;
}

export function noteProblem(
  { coordinator }: Pick<OffsetsOptions, "coordinator">,
  note: string | null,
): ErrorName | undefined {
  return (note ?? "").length > coordinator.limits.offsetMetadataBytesMax ? "OFFSET_METADATA_TOO_LARGE" : undefined;
}

type FetchRequest = RequestOf<"offsetFetch">;
type FetchResponse = ResponseInputOf<"offsetFetch">;

/** A group as every version of the request can name it. */
interface AskedGroup {
  readonly groupId: string;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** What an open transaction may still move is an error instead of a value that will be old in a moment. */
  readonly requireStable: boolean;
  /** Null: all that the group has. */
  readonly topics:
    | readonly { readonly name: string; readonly topicId: Uuid; readonly partitionIndexes: readonly number[] }[]
    | null;
}

interface FoundPartition {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedLeaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: number;
}

interface FoundGroup {
  readonly groupId: string;
  readonly error: ErrorName;
  readonly topics: readonly {
    readonly name: string;
    readonly topicId: Uuid;
    readonly partitions: readonly FoundPartition[];
  }[];
}

export function offsetFetchHandler(options: OffsetsOptions): Handler<FetchRequest, FetchResponse> {
  return async (request, { apiVersion }) => {
    const all = askedGroups(request, apiVersion);
    const told = new Set(fewOfEach(all, ({ groupId }) => groupId));
    const groups = await Promise.all(
      all.map(async (asked): Promise<FoundGroup> => {
        if (told.has(asked)) return await fetchGroup(options, asked, apiVersion);
        return { groupId: asked.groupId, error: "INVALID_REQUEST", topics: [] };
      }),
    );
    if (apiVersion >= groupsSince) {
      return { groups: groups.map(({ groupId, error, topics }) => ({ groupId, topics, errorCode: code(error) })) };
    }
    const [only] = groups;
    if (only === undefined) return {};
    if (apiVersion >= groupErrorSince) return { topics: only.topics, errorCode: code(only.error) };
    return { topics: only.error === "NONE" ? only.topics : failedTopics(request, only.error) };
  };
}

function askedGroups(request: FetchRequest, apiVersion: number): readonly AskedGroup[] {
  const { requireStable } = request;
  if (apiVersion >= groupsSince) return request.groups.map((group) => ({ ...group, requireStable }));
  const topics = request.topics?.map((topic) => ({ ...topic, topicId: uuidZero })) ?? null;
  return [{ groupId: request.groupId, memberId: null, memberEpoch: -1, requireStable, topics }];
}

async function fetchGroup(
  { coordinator, metadata }: OffsetsOptions,
  asked: AskedGroup,
  apiVersion: number,
): Promise<FoundGroup> {
  const { groupId } = asked;
  const shard = await coordinator.shard(groupId);
  if (!(shard instanceof GroupShard)) return { groupId, error: shard, topics: [] };
  const group = shard.group(groupId);
  if (group?.classic.state === "dead") return { groupId, error: "GROUP_ID_NOT_FOUND", topics: [] };
  const consumer = group?.consumer ?? null;
  const streams = group?.streams ?? null;
  const problem =
    streams !== null
      ? streamsFetchProblem(streams, asked)
      : consumer === null
        ? "NONE"
        : consumerFetchProblem(consumer, asked);
  if (problem !== "NONE") return { groupId, error: problem, topics: [] };
  const { image } = metadata;
  const offsetAt = (topic: string, index: number): FoundPartition => {
    const at = { topic, partition: index };
    const isUnstable = asked.requireStable && group?.pending.has(at) === true;
    return isUnstable ? found(index, undefined, "UNSTABLE_OFFSET_COMMIT") : found(index, group?.offsets.get(at));
  };
  const topics =
    asked.topics === null
      ? allTopics(group, offsetAt, (name) => (apiVersion >= topicIdsSince ? image.topicByName(name)?.id : uuidZero))
      : fewOfEach(asked.topics, ({ name, topicId: id }) => `${id} ${name}`).map(
          ({ name, topicId, partitionIndexes }) => {
            const topic = apiVersion >= topicIdsSince ? topicOf(image, { name, topicId }) : { name };
            return {
              name,
              topicId,
              partitions: fewOfEach(partitionIndexes, (index) => index).map((index) =>
                typeof topic === "string" ? found(index, undefined, topic) : offsetAt(topic.name, index),
              ),
            };
          },
        );
  // What was read may still be on its way to the log: the answer waits until it cannot be taken back.
  const error = group === undefined ? "NONE" : await group.written;
  return error === "NONE" ? { groupId, error, topics } : { groupId, error, topics: [] };
}

/** Topics without an id are gone, so their offsets cannot be named by one. */
function allTopics(
  group: LiveGroup | undefined,
  offsetAt: (topic: string, index: number) => FoundPartition,
  idOf: (name: string) => Uuid | undefined,
): FoundGroup["topics"] {
  const indexes = new Map<string, Set<number>>();
  for (const { topic, partition } of [...(group?.offsets.all() ?? []), ...(group?.pending.all() ?? [])]) {
    indexes.set(topic, (indexes.get(topic) ?? new Set()).add(partition));
  }
  return [...indexes].flatMap(([name, partitions]) => {
    const topicId = idOf(name);
    if (topicId === undefined) return [];
    // What only an aborted transaction would have brought is not spoken of: -1 stands for nothing.
    const known = Array.from(partitions, (index) => offsetAt(name, index));
    const told = known.filter(({ errorCode, committedOffset }) => errorCode !== 0 || committedOffset >= 0);
    return told.length === 0 ? [] : [{ name, topicId, partitions: told }];
  });
}

function found(partitionIndex: number, offset: CommittedOffset | undefined, error: ErrorName = "NONE"): FoundPartition {
  return {
    partitionIndex,
    committedOffset: offset?.offset ?? -1,
    committedLeaderEpoch: offset?.leaderEpoch ?? -1,
    metadata: offset?.metadata ?? "",
    errorCode: code(error),
  };
}

/** Version 1 has no room for an error of the group. */
function failedTopics(request: FetchRequest, error: ErrorName): FoundGroup["topics"] {
  return (request.topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    topicId: uuidZero,
    partitions: partitionIndexes.map((index) => found(index, undefined, error)),
  }));
}

export function offsetDeleteHandler(
  options: OffsetsOptions,
): Handler<RequestOf<"offsetDelete">, ResponseInputOf<"offsetDelete">> {
  return async (request) => {
    const { coordinator, metadata } = options;
    const isKnown = (name: string, partition: number): boolean =>
      metadata.image.topicByName(name)?.partitions[partition] !== undefined;
    const wanted = request.topics.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ partitionIndex }) => isKnown(name, partitionIndex))
        .map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
    );
    const shard = request.groupId === "" ? "INVALID_GROUP_ID" : await coordinator.shard(request.groupId);
    if (!(shard instanceof GroupShard)) return { errorCode: code(shard), topics: [] };
    const { error, subscribed } = await shard.deleteOffsets(request.groupId, wanted);
    if (error !== "NONE") return { errorCode: code(error), topics: [] };
    return {
      errorCode: 0,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => {
          const held: ErrorName = subscribed.has(name) ? "GROUP_SUBSCRIBED_TO_TOPIC" : "NONE";
          const verdict = isKnown(name, partitionIndex) ? held : "UNKNOWN_TOPIC_OR_PARTITION";
          return { partitionIndex, errorCode: code(verdict) };
        }),
      })),
    };
  };
}
