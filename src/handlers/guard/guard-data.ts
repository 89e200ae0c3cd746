/** Who may write and read records. */
import { clusterName } from "../../access/acl.ts";
import { type Uuid, uuidZero } from "../../base/ids.ts";
import { code } from "../handler.ts";
import { isAnswer, once, type Rules, split } from "./guard.ts";

const topicDenied = code("TOPIC_AUTHORIZATION_FAILED");

export const guardData = {
  produce: async ({ request, access, image, next }) => {
    const { transactionalId } = request;
    // Without an id the handler itself refuses transactional batches.
    const mayTransact = transactionalId === null || access.may("write", "transactionalId", transactionalId);
    const mayWrite = once((name) => access.may("write", "topic", name));
    const { allowed, denied } = split(request.topicData, (topic) => {
      if (!mayTransact) return false;
      const named = nameOf(image, topic);
      return named === undefined || mayWrite(named); // An id that nobody knows: the handler says so.
    });
    if (denied.length === 0) return await next(request);
    const answer = allowed.length === 0 ? { responses: [] } : await next({ ...request, topicData: allowed });
    if (request.acks === 0 || !isAnswer(answer)) return "close";
    const errorCode = mayTransact ? topicDenied : code("TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    const refusals = denied.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: -1 })),
    }));
    return { ...answer, responses: [...answer.responses, ...refusals] };
  },

  // A session remembers what a request does not name: the handler asks for each partition that it is about to read.
  fetch: ({ request, next }) => next(request),

  listOffsets: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.topics, ({ name }) => access.may("describe", "topic", name));
    if (denied.length === 0) return await next(request);
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: topicDenied })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  offsetForLeaderEpoch: async ({ request, access, next }) => {
    // Brokers ask for it by another right.
    const mayAll = access.could("clusterAction", "cluster", clusterName);
    const { allowed, denied } = split(request.topics, ({ topic }) => mayAll || access.may("describe", "topic", topic));
    if (denied.length === 0) return await next(request);
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, errorCode: topicDenied })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  deleteRecords: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.topics, ({ name }) => access.may("delete", "topic", name));
    if (denied.length === 0) return await next(request);
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        lowWatermark: -1,
        errorCode: topicDenied,
      })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  initProducerId: async ({ request, access, next }) => {
    const refusal = (errorCode: number) => ({ errorCode, producerEpoch: -1 });
    const { transactionalId } = request;
    if (transactionalId !== null) {
      const isAllowed = access.may("write", "transactionalId", transactionalId);
      return isAllowed ? await next(request) : refusal(code("TRANSACTIONAL_ID_AUTHORIZATION_FAILED"));
    }
    // Whoever may write somewhere may do so idempotently (KIP-679).
    const isAllowed = access.couldOnSome("write", "topic") || access.mayOnCluster("idempotentWrite");
    return isAllowed ? await next(request) : refusal(code("CLUSTER_AUTHORIZATION_FAILED"));
  },
} satisfies Rules;

/** The name behind a topic as a request names it; undefined for an id that nobody knows. */
export function nameOf(
  image: { readonly topic: (id: Uuid) => { readonly name: string } | undefined },
  { name, topicId }: { readonly name: string; readonly topicId: Uuid },
): string | undefined {
  return topicId === uuidZero ? name : image.topic(topicId)?.name;
}
