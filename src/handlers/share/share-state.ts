/**
 * Initialize-, Read-, Write-, DeleteShareGroupState and ReadShareGroupStateSummary: what Kafka's brokers ask the coordinator of a
 * share-partition's state. Here those that read a share-partition ask in the process; on the wire the answers are Kafka's.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { Uuid } from "../../base/ids.ts";
import { type DeliveryState, deliveryStateCodes } from "../../coordinator/share/delivery.ts";
import type { ShareStates } from "../../coordinator/share/share-states.ts";
import type { StateBatch } from "../../coordinator/share/state-batches.ts";
import type { SharePartitionKey, ShareState } from "../../coordinator/share/state-records.ts";
import type { ShareStateShard } from "../../coordinator/share/state-shard.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf } from "../../protocol/api-table.ts";
import type { Handlers } from "../../protocol/dispatch.ts";
import { code } from "../handler.ts";

export interface ShareStateOptions {
  readonly metadata: Pick<MetadataClient, "image">;
  readonly states: Pick<ShareStates, "shard">;
  readonly limits: {
    /** No share-partition has more records in flight, so none has more batches. */
    readonly shareLocksMax: number;
  };
}

interface Failure {
  readonly errorCode: number;
  readonly errorMessage: string;
}

interface Asked<Partition> {
  readonly shard: ShareStateShard;
  readonly key: SharePartitionKey;
  readonly asked: Partition;
}

type WrittenPartition = RequestOf<"writeShareGroupState">["topics"][number]["partitions"][number];

const done = {};

export function shareStateHandlers({ metadata, states, limits }: ShareStateOptions) {
  const isKnown = ({ topicId, partition }: SharePartitionKey): boolean =>
    partition < (metadata.image.topic(topicId)?.partitions.length ?? 0);
  // With its topic a state is gone, though it may not be removed yet.
  const stateOf = (shard: ShareStateShard, key: SharePartitionKey): ShareState | undefined =>
    isKnown(key) ? shard.get(key) : undefined;
  const outcome = (error: ErrorName) => (error === "NONE" ? done : failure(error, "The state could not be kept."));
  return {
    initializeShareGroupState: (request) =>
      forEach(states, request, async ({ shard, key, asked }) => {
        const { stateEpoch, startOffset } = asked;
        if (stateEpoch < 0) return negativeEpoch;
        const before = stateOf(shard, key);
        if (before !== undefined && before.stateEpoch > stateEpoch) return fencedState;
        if (!isKnown(key)) return unknownPartition;
        // As Kafka: the same words again are the same request again.
        if (before?.stateEpoch === stateEpoch && before.startOffset === startOffset) return done;
        return outcome(await shard.initialize(key, { stateEpoch, startOffset }));
      }),
    readShareGroupState: (request) =>
      forEach(states, request, async ({ shard, key, asked: { leaderEpoch } }) => {
        if (leaderEpoch < 0) return negativeEpoch;
        const state = stateOf(shard, key);
        if (state === undefined) return uninitialized;
        if (state.leaderEpoch > leaderEpoch) return fencedLeader;
        const { stateEpoch, startOffset, deliveryCompleteCount } = state;
        if (leaderEpoch > state.leaderEpoch) {
          const update = { leaderEpoch, startOffset, deliveryCompleteCount, batches: [] };
          const error = await shard.write(key, { stateEpoch }, update);
          if (error !== "NONE") return outcome(error);
        }
        return { stateEpoch, startOffset, stateBatches: state.batches.map(encodedBatch) };
      }),
    writeShareGroupState: (request) =>
      forEach(states, request, async ({ shard, key, asked }) => {
        if (asked.leaderEpoch < 0 || asked.stateEpoch < 0) return negativeEpoch;
        const state = stateOf(shard, key);
        if (state === undefined) return uninitialized;
        if (state.leaderEpoch > asked.leaderEpoch) return fencedLeader;
        if (state.stateEpoch > asked.stateEpoch) return fencedState;
        const batches = asked.stateBatches.length > limits.shareLocksMax ? undefined : batchesOf(asked);
        if (batches === undefined) return failure("INVALID_REQUEST", "These are no batches of a share-partition.");
        const { startOffset, deliveryCompleteCount } = asked;
        const update = { leaderEpoch: state.leaderEpoch, startOffset, deliveryCompleteCount, batches };
        return outcome(await shard.write(key, { stateEpoch: state.stateEpoch }, update));
      }),
    deleteShareGroupState: (request) =>
      forEach(states, request, async ({ shard, key }) =>
        isKnown(key) ? outcome(await shard.remove(key)) : unknownPartition,
      ),
    readShareGroupStateSummary: (request) =>
      forEach(states, request, async ({ shard, key }) => {
        if (!isKnown(key)) return unknownPartition;
        const state = shard.get(key);
        if (state === undefined) return { startOffset: -1 };
        const { stateEpoch, startOffset, deliveryCompleteCount } = state;
        return { stateEpoch, leaderEpoch: Math.max(0, state.leaderEpoch), startOffset, deliveryCompleteCount };
      }),
  } satisfies Handlers;
}

/** Kafka answers nothing at all where a group, its topics or the partitions of one of them are missing. */
async function forEach<Partition extends { readonly partition: number }, Answer extends object>(
  states: ShareStateOptions["states"],
  request: {
    readonly groupId: string;
    readonly topics: readonly { readonly topicId: Uuid; readonly partitions: readonly Partition[] }[];
  },
  answer: (asked: Asked<Partition>) => Promise<Answer>,
) {
  const { groupId, topics } = request;
  const isWhole = groupId !== "" && topics.every(({ partitions }) => partitions.length > 0);
  if (!isWhole) return { results: [] };
  const one = async (topicId: Uuid, asked: Partition) => {
    const { partition } = asked;
    const key = { groupId, topicId, partition };
    const shard = await states.shard(key);
    if (typeof shard === "string") return { partition, ...failure(shard, "The state is not kept here.") };
    if (partition < 0) return { partition, ...failure("INVALID_REQUEST", "The partition is negative.") };
    return { partition, ...(await answer({ shard, key, asked })) };
  };
  const results = topics.map(async ({ topicId, partitions }) => ({
    topicId,
    partitions: await Promise.all(partitions.map((asked) => one(topicId, asked))),
  }));
  return { results: await Promise.all(results) };
}

const keptStates: ReadonlyMap<number, DeliveryState> = new Map(
  (["available", "acknowledged", "archived"] as const).map((state) => [deliveryStateCodes[state], state]),
);

/** Undefined: one of them could not be read again. */
function batchesOf({ stateBatches }: WrittenPartition): readonly StateBatch[] | undefined {
  const batches = stateBatches.flatMap(({ firstOffset: first, lastOffset: last, deliveryState, deliveryCount }) => {
    const state = keptStates.get(deliveryState);
    return state === undefined || first < 0 || last < first ? [] : [{ first, last, state, deliveryCount }];
  });
  return batches.length === stateBatches.length ? batches : undefined;
}

function encodedBatch({ first, last, state, deliveryCount }: StateBatch) {
  return { firstOffset: first, lastOffset: last, deliveryState: deliveryStateCodes[state], deliveryCount };
}

function failure(error: ErrorName, errorMessage: string): Failure {
  return { errorCode: code(error), errorMessage };
}

const fencedState = failure("FENCED_STATE_EPOCH", "The state was made anew since.");
const fencedLeader = failure("FENCED_LEADER_EPOCH", "The share-partition has another leader since.");
const negativeEpoch = failure("INVALID_REQUEST", "An epoch is 0 or more.");
const unknownPartition = failure("UNKNOWN_TOPIC_OR_PARTITION", "There is no such topic or partition.");
const uninitialized = failure("INVALID_REQUEST", "The share-partition has no state.");
