/** ShareAcknowledge, and the acknowledgements that ride on a ShareFetch. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { Uuid } from "../../base/ids.ts";
import type { Acknowledgement } from "../../coordinator/share/acknowledge.ts";
import { acknowledgeTypes } from "../../coordinator/share/delivery.ts";
import type { AcknowledgeAnswer } from "../../coordinator/share/live-partition.ts";
import type { ShareConfigOf } from "../../coordinator/share/share-config.ts";
import type { SharePartitions } from "../../coordinator/share/share-partitions.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";
import { finalEpoch, type ShareSessions } from "./share-session.ts";

export interface ShareOptions {
  readonly metadata: Pick<MetadataClient, "image">;
  readonly partitions: SharePartitions;
  readonly sessions: ShareSessions;
  readonly configOf: ShareConfigOf;
}

type Topics = RequestOf<"shareAcknowledge">["topics"];
type Batches = Topics[number]["partitions"][number]["acknowledgementBatches"];

export interface Acknowledged {
  readonly topicId: Uuid;
  readonly partition: number;
  readonly error: ErrorName;
}

/** From here on locks may be renewed. */
export const renewVersionMin = 2;
const memberIdCharactersMax = 36;

export function isMemberId(memberId: string | null): memberId is string {
  return memberId !== null && memberId !== "" && memberId.length <= memberIdCharactersMax;
}

export function shareAcknowledgeHandler(
  options: ShareOptions,
): Handler<RequestOf<"shareAcknowledge">, ResponseInputOf<"shareAcknowledge">> {
  return async (request, { apiVersion }) => {
    const { groupId, memberId, shareSessionEpoch: epoch } = request;
    if (groupId === null || !isMemberId(memberId)) return { errorCode: code("INVALID_REQUEST"), responses: [] };
    const refusal = options.sessions.acknowledging({ groupId, memberId, epoch });
    if (refusal !== undefined) return { errorCode: code(refusal), responses: [] };
    const answers = await acknowledgeAll(
      options,
      { groupId, memberId, topics: request.topics },
      {
        mayRenew: apiVersion >= renewVersionMin && request.isRenewAck,
      },
    );
    if (epoch === finalEpoch) options.sessions.end({ groupId, memberId });
    return {
      errorCode: 0,
      acquisitionLockTimeoutMs: options.configOf(groupId).lockDurationMs,
      responses: byTopic(answers, ({ partition, error }) => ({
        partitionIndex: partition,
        errorCode: code(error),
        errorMessage: acknowledgeText(error),
      })),
    };
  };
}

/** One answer a partition; each of them holds as a whole or not at all. */
export async function acknowledgeAll(
  options: ShareOptions,
  from: { readonly groupId: string; readonly memberId: string; readonly topics: Topics },
  rules: { readonly mayRenew: boolean },
): Promise<readonly Acknowledged[]> {
  const asked = from.topics.flatMap(({ topicId, partitions }) =>
    partitions.map(({ partitionIndex, acknowledgementBatches }) => ({
      topicId,
      partition: partitionIndex,
      batches: acknowledgementBatches,
    })),
  );
  return await Promise.all(
    asked.map(async ({ topicId, partition, batches }) => {
      const error = await acknowledgeOne(options, { ...from, topicId, partition, batches }, rules);
      return { topicId, partition, error };
    }),
  );
}

async function acknowledgeOne(
  { metadata, partitions }: ShareOptions,
  at: {
    readonly groupId: string;
    readonly memberId: string;
    readonly topicId: Uuid;
    readonly partition: number;
    readonly batches: Batches;
  },
  rules: { readonly mayRenew: boolean },
): Promise<ErrorName> {
  const batches = checked(at.batches, rules.mayRenew);
  if (batches === undefined) return "INVALID_REQUEST";
  const topic = metadata.image.topic(at.topicId);
  if (topic === undefined) return "UNKNOWN_TOPIC_ID";
  if (at.partition < 0 || at.partition >= topic.partitions.length) return "UNKNOWN_TOPIC_OR_PARTITION";
  if (batches.length === 0) return "NONE";
  const live = partitions.at(at);
  return live === undefined ? "UNKNOWN_TOPIC_OR_PARTITION" : answerErrors[await live.acknowledge(at.memberId, batches)];
}

/** Undefined when the batches contradict themselves or each other. */
function checked(batches: Batches, mayRenew: boolean): readonly Acknowledgement[] | undefined {
  const result: Acknowledgement[] = [];
  let next = -1;
  for (const { firstOffset: first, lastOffset: last, acknowledgeTypes: numbers } of batches) {
    if (first > last || first < 0 || first < next || numbers.length === 0) return undefined;
    if (numbers.length > 1 && last - first !== numbers.length - 1) return undefined;
    const types = numbers.map((number) => acknowledgeTypes[number]);
    if (types.some((type) => type === undefined || (type === "renew" && !mayRenew))) return undefined;
    result.push({ first, last, types: types.filter((type) => type !== undefined) });
    next = last;
  }
  return result;
}

const answerErrors: Readonly<Record<AcknowledgeAnswer, ErrorName>> = {
  NONE: "NONE",
  "not-given-out": "INVALID_REQUEST",
  "not-held": "INVALID_RECORD_STATE",
  // Another node has it by now, or this one reads it anew: in both cases the records will come again.
  closed: "NOT_LEADER_OR_FOLLOWER",
  FENCED_STATE_EPOCH: "NOT_LEADER_OR_FOLLOWER",
  FENCED_LEADER_EPOCH: "NOT_LEADER_OR_FOLLOWER",
  NOT_COORDINATOR: "NOT_LEADER_OR_FOLLOWER",
  INVALID_REQUEST: "INVALID_REQUEST",
};

/** What a person is told beside the error. */
export function acknowledgeText(error: ErrorName): string | null {
  return texts[error] ?? null;
}

const texts: Partial<Record<ErrorName, string>> = {
  INVALID_REQUEST: "The offsets are not among those that were given out, or contradict each other.",
  INVALID_RECORD_STATE: "The member does not hold these records, or not any more.",
};

/** Partitions under their topics, in order of appearance. */
export function byTopic<T extends { readonly topicId: Uuid }, P>(
  items: readonly T[],
  partitionOf: (item: T) => P,
): readonly { readonly topicId: Uuid; readonly partitions: readonly P[] }[] {
  const topics = new Map<Uuid, P[]>();
  for (const item of items) {
    const partitions = topics.get(item.topicId);
    if (partitions === undefined) topics.set(item.topicId, [partitionOf(item)]);
    else partitions.push(partitionOf(item));
  }
  return Array.from(topics, ([topicId, partitions]) => ({ topicId, partitions }));
}
