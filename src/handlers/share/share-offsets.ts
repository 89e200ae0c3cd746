/** DescribeShareGroupOffsets, AlterShareGroupOffsets and DeleteShareGroupOffsets: where share groups are, and moving them. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Uuid, uuidZero } from "../../base/ids.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { OffsetTarget, ShareGroups } from "../../coordinator/share/share-groups.ts";
import type { ShareStates } from "../../coordinator/share/share-states.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";

export interface ShareOffsetsOptions {
  readonly coordinator: GroupCoordinator;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly states: ShareStates;
  readonly log: Log;
}

type DescribeRequest = RequestOf<"describeShareGroupOffsets">;
type DescribeResponse = ResponseInputOf<"describeShareGroupOffsets">;
type DescribedGroup = DescribeResponse["groups"][number];
type DescribedTopic = DescribedGroup["topics"][number];
type DescribedPartition = DescribedTopic["partitions"][number];

interface Failure {
  readonly error: ErrorName;
  readonly message: string | null;
}

export function describeShareGroupOffsetsHandler(
  options: ShareOffsetsOptions,
): Handler<DescribeRequest, DescribeResponse> {
  return async ({ groups }) => {
    const told = new Set(fewOfEach(groups, ({ groupId }) => groupId));
    return {
      groups: await Promise.all(
        groups.map(async (group): Promise<DescribedGroup> => {
          const { groupId, topics } = group;
          const failed = (error: ErrorName, errorMessage: string | null) =>
            ({ groupId, topics: [], errorCode: code(error), errorMessage }) as const;
          if (!told.has(group)) return failed("INVALID_REQUEST", "The group is named too often.");
          // As Kafka: the states of topics that are named are looked up whether there is such a group or not.
          const wanted = topics ?? (await topicsOf(options.coordinator, groupId));
          if ("error" in wanted) return failed(wanted.error, wanted.message);
          const isKnown = ({ topicName }: WantedTopic) => options.metadata.image.topicByName(topicName) !== undefined;
          if (groupId === "" && wanted.some(isKnown)) return failed("INVALID_GROUP_ID", "A group has a name.");
          return { groupId, topics: await Promise.all(wanted.map((each) => describedTopic(options, groupId, each))) };
        }),
      ),
    };
  };
}

interface WantedTopic {
  readonly topicName: string;
  readonly partitions: readonly number[];
}

/** What the group reads; of one that there is not: nothing. */
async function topicsOf(coordinator: GroupCoordinator, groupId: string): Promise<readonly WantedTopic[] | Failure> {
  if (groupId === "") return [];
  const shares = await sharesOf(coordinator, groupId);
  if ("error" in shares) return shares.error === "GROUP_ID_NOT_FOUND" ? [] : shares;
  const topics = shares.get(groupId)?.topics.values() ?? [];
  return Array.from(topics, ({ name, partitions }) => ({ topicName: name, partitions }));
}

async function describedTopic(
  options: ShareOffsetsOptions,
  groupId: string,
  { topicName, partitions }: WantedTopic,
): Promise<DescribedTopic> {
  const topic = options.metadata.image.topicByName(topicName);
  const topicId = topic?.id ?? uuidZero;
  const isKnown = (partition: number) => partition >= 0 && partition < (topic?.partitions.length ?? 0);
  return {
    topicName,
    topicId,
    partitions: await Promise.all(
      partitions.map(async (partition) =>
        isKnown(partition)
          ? await describedPartition(options, { groupId, topicId, partition })
          : { partitionIndex: partition, startOffset: -1, leaderEpoch: 0 },
      ),
    ),
  };
}

async function describedPartition(
  { states, log }: ShareOffsetsOptions,
  key: { readonly groupId: string; readonly topicId: Uuid; readonly partition: number },
): Promise<DescribedPartition> {
  const partitionIndex = key.partition;
  const shard = await states.shard(key);
  if (typeof shard === "string") return { partitionIndex, startOffset: -1, leaderEpoch: 0, errorCode: code(shard) };
  const state = shard.get(key);
  const startOffset = state?.startOffset ?? -1;
  const leaderEpoch = Math.max(0, state?.leaderEpoch ?? 0);
  const lookup = log.partition(key.topicId, key.partition);
  const complete = state?.deliveryCompleteCount ?? -1;
  if (startOffset < 0 || complete < 0 || lookup.kind !== "here") return { partitionIndex, startOffset, leaderEpoch };
  // As Kafka: of a group that was moved past the end it is below 0.
  return { partitionIndex, startOffset, leaderEpoch, lag: lookup.partition.highWatermark - startOffset - complete };
}

const noSuchPartition = "There is no such topic or partition.";

type AlterRequest = RequestOf<"alterShareGroupOffsets">;
type AlterResponse = ResponseInputOf<"alterShareGroupOffsets">;

export function alterShareGroupOffsetsHandler(options: ShareOffsetsOptions): Handler<AlterRequest, AlterResponse> {
  return async ({ groupId, topics }) => {
    const shares = await sharesOf(options.coordinator, groupId);
    if ("error" in shares) return { errorCode: code(shares.error), errorMessage: shares.message, responses: [] };
    const { image } = options.metadata;
    const targets: OffsetTarget[] = [];
    const responses = topics.map(({ topicName, partitions }) => {
      const topic = image.topicByName(topicName);
      const { known = [], unknown = [] } = Object.groupBy(partitions, ({ partitionIndex: index }) =>
        topic !== undefined && index >= 0 && index < topic.partitions.length ? "known" : "unknown",
      );
      const moved = known.map(({ partitionIndex: partition, startOffset }) => ({ partition, startOffset }));
      if (topic !== undefined) targets.push({ topicId: topic.id, name: topicName, partitions: moved });
      const errorCode = code("UNKNOWN_TOPIC_OR_PARTITION");
      return {
        topicName,
        topicId: topic?.id ?? uuidZero,
        partitions: [
          ...known.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0 })),
          ...unknown.map(({ partitionIndex }) => ({ partitionIndex, errorCode, errorMessage: noSuchPartition })),
        ],
      };
    });
    const error = await shares.alterOffsets(groupId, targets);
    if (error === "NONE") return { errorCode: 0, responses };
    return { errorCode: code(error), errorMessage: problems[error] ?? null, responses: [] };
  };
}

type DeleteRequest = RequestOf<"deleteShareGroupOffsets">;
type DeleteResponse = ResponseInputOf<"deleteShareGroupOffsets">;

export function deleteShareGroupOffsetsHandler(options: ShareOffsetsOptions): Handler<DeleteRequest, DeleteResponse> {
  return async ({ groupId, topics }) => {
    const shares = await sharesOf(options.coordinator, groupId);
    if ("error" in shares) return { errorCode: code(shares.error), errorMessage: shares.message, responses: [] };
    const group = shares.get(groupId);
    const found = topics.map(({ topicName }) => {
      const topic = options.metadata.image.topicByName(topicName);
      const isRead = topic !== undefined && group?.topics.has(topic.id) === true;
      return { topicName, topicId: topic?.id ?? uuidZero, isMissing: topic === undefined, isRead };
    });
    const error = await shares.deleteOffsets(
      groupId,
      found.filter(({ isRead }) => isRead).map(({ topicId }) => topicId),
    );
    if (error !== "NONE") return { errorCode: code(error), errorMessage: problems[error] ?? null, responses: [] };
    return {
      errorCode: 0,
      responses: found.map(({ topicName, topicId, isMissing, isRead }) => ({
        topicName,
        topicId: isRead ? topicId : uuidZero,
        errorCode: code(isRead ? "NONE" : "UNKNOWN_TOPIC_OR_PARTITION"),
        errorMessage: isRead ? null : isMissing ? noSuchPartition : "There is no offset information to delete.",
      })),
    };
  };
}

const problems: { readonly [Error in ErrorName]?: string } = {
  GROUP_ID_NOT_FOUND: "There is no such share group.",
  NON_EMPTY_GROUP: "The group has members.",
};

async function sharesOf(coordinator: GroupCoordinator, groupId: string): Promise<ShareGroups | Failure> {
  if (groupId === "") return { error: "INVALID_GROUP_ID", message: "A group has a name." };
  const shard = await coordinator.shard(groupId);
  if (!(shard instanceof GroupShard)) return { error: shard, message: null };
  return shard.shares === undefined || shard.group(groupId) !== undefined ? notFound(groupId) : shard.shares;
}

function notFound(groupId: string): Failure {
  return { error: "GROUP_ID_NOT_FOUND", message: clipped(`Share group ${groupId} not found.`) };
}
