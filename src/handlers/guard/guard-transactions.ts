/** Who may take part in a transaction, and look at it. */
import { clusterName } from "../../access/acl.ts";
import { code } from "../handler.ts";
import { isAnswer, once, type Rules, split } from "./guard.ts";

const idDenied = code("TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
const groupDenied = code("GROUP_AUTHORIZATION_FAILED");
const topicDenied = code("TOPIC_AUTHORIZATION_FAILED");
/** From this version on AddPartitionsToTxn comes from brokers. */
const batchedSince = 4;

export const guardTransactions = {
  addPartitionsToTxn: async ({ request, context, access, next }) => {
    if (context.apiVersion >= batchedSince) {
      return access.mayOnCluster("clusterAction")
        ? await next(request)
        : { errorCode: code("CLUSTER_AUTHORIZATION_FAILED") };
    }
    const results = (errorOf: (name: string) => number) => ({
      resultsByTopic: request.topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: errorOf(name) })),
      })),
    });
    if (!access.may("write", "transactionalId", request.transactionalId)) return results(() => idDenied);
    const mayWrite = once((name) => access.may("write", "topic", name));
    const { denied } = split(request.topics, ({ name }) => mayWrite(name));
    if (denied.length === 0) return await next(request);
    // All partitions join, or none.
    return results((name) => (mayWrite(name) ? code("OPERATION_NOT_ATTEMPTED") : topicDenied));
  },

  addOffsetsToTxn: async ({ request, access, next }) => {
    if (!access.may("write", "transactionalId", request.transactionalId)) return { errorCode: idDenied };
    return access.may("read", "group", request.groupId) ? await next(request) : { errorCode: groupDenied };
  },

  endTxn: async ({ request, access, next }) =>
    access.may("write", "transactionalId", request.transactionalId) ? await next(request) : { errorCode: idDenied },

  txnOffsetCommit: async ({ request, access, next }) => {
    const refusal = !access.may("write", "transactionalId", request.transactionalId)
      ? idDenied
      : access.may("read", "group", request.groupId)
        ? undefined
        : groupDenied;
    const { allowed, denied } = split(
      request.topics,
      ({ name }) => refusal === undefined && access.may("read", "topic", name),
    );
    if (refusal === undefined && denied.length === 0) return await next(request);
    const answer = allowed.length === 0 ? { topics: [] } : await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const errorCode = refusal ?? topicDenied;
    const refusals = denied.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  // Brokers, and administrators who end a transaction that hangs.
  writeTxnMarkers: async ({ request, access, next }) => {
    if (access.could("alter", "cluster", clusterName) || access.mayOnCluster("clusterAction"))
      return await next(request);
    const errorCode = code("CLUSTER_AUTHORIZATION_FAILED");
    const markers = request.markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })),
      })),
    }));
    return { markers };
  },

  describeProducers: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.topics, ({ name }) => access.may("read", "topic", name));
    if (denied.length === 0) return await next(request);
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        errorCode: topicDenied,
        activeProducers: [],
      })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  describeTransactions: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.transactionalIds, (id) => access.may("describe", "transactionalId", id));
    const answer = await next({ ...request, transactionalIds: allowed });
    if (!isAnswer(answer)) return answer;
    const seen = answer.transactionStates.map((state) => ({
      ...state,
      topics: state.topics?.filter(({ topic }) => access.could("describe", "topic", topic)),
    }));
    const refusals = denied.map((transactionalId) => ({ transactionalId, errorCode: idDenied }));
    return { ...answer, transactionStates: [...seen, ...refusals] };
  },

  listTransactions: async ({ request, access, next }) => {
    const answer = await next(request);
    if (!isAnswer(answer)) return answer;
    const isSeen = ({ transactionalId }: { readonly transactionalId: string }): boolean =>
      access.could("describe", "transactionalId", transactionalId);
    return { ...answer, transactionStates: answer.transactionStates.filter(isSeen) };
  },
} satisfies Rules;
