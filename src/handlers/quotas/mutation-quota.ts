/**
 * controller_mutation_rate (KIP-599), around the handlers that make and delete partitions. Versions that know the error are
 * refused topic by topic once the client owes; older ones are served and pause. What comes to nothing is given back.
 */
import type { ClientQuotas } from "../../access/client-quotas.ts";
import { uuidZero } from "../../base/ids.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Topic } from "../../metadata/image.ts";
import type { Answer, Handlers, RequestContext } from "../../protocol/dispatch.ts";
import { isAnswer, split } from "../guard/guard.ts";
import { code } from "../handler.ts";
import { repeated } from "../repeated.ts";

export interface MutationQuotaOptions {
  readonly quotas: ClientQuotas;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly partitionsByDefault: number;
}

const strictSince = { createTopics: 6, createPartitions: 3, deleteTopics: 5 } as const;
const exceeded = {
  errorCode: code("THROTTLING_QUOTA_EXCEEDED"),
  errorMessage: "The throttling quota has been exceeded.",
} as const;

export function mutationLimited(handlers: Handlers, options: MutationQuotaOptions): Handlers {
  const { createTopics, createPartitions, deleteTopics } = handlers;
  return {
    ...handlers,
    ...(createTopics === undefined ? {} : { createTopics: limitCreation(createTopics, options) }),
    ...(createPartitions === undefined ? {} : { createPartitions: limitGrowth(createPartitions, options) }),
    ...(deleteTopics === undefined ? {} : { deleteTopics: limitDeletion(deleteTopics, options) }),
  };
}

function limitCreation(next: NonNullable<Handlers["createTopics"]>, options: MutationQuotaOptions): typeof next {
  return async (request, context) => {
    if (options.quotas.isIdle || request.validateOnly) return await next(request, context);
    const { image } = options.metadata;
    const spend = spender("createTopics", context, options.quotas);
    const twice = repeated(request.topics.map(({ name }) => name)); // Of these nothing is done.
    const { allowed, denied } = split(request.topics, ({ name, numPartitions, assignments }) => {
      const count = numPartitions >= 0 ? numPartitions : assignments.length || options.partitionsByDefault;
      return twice.has(name) || image.topicByName(name) !== undefined || spend.on(count, name);
    });
    const answer = await next({ ...request, topics: allowed }, context);
    if (!isAnswer(answer)) return answer;
    spend.giveBack(answer.topics);
    const refusals = denied.map(({ name }) => ({ name, ...exceeded, configs: null }));
    return spend.told({ ...answer, topics: [...answer.topics, ...refusals] });
  };
}

function limitGrowth(next: NonNullable<Handlers["createPartitions"]>, options: MutationQuotaOptions): typeof next {
  return async (request, context) => {
    if (options.quotas.isIdle || request.validateOnly) return await next(request, context);
    const { image } = options.metadata;
    const spend = spender("createPartitions", context, options.quotas);
    const twice = repeated(request.topics.map(({ name }) => name));
    const { allowed, denied } = split(request.topics, ({ name, count }) => {
      const now = image.topicByName(name)?.partitions.length;
      return twice.has(name) || now === undefined || count <= now || spend.on(count - now, name);
    });
    const answer = await next({ ...request, topics: allowed }, context);
    if (!isAnswer(answer)) return answer;
    spend.giveBack(answer.results);
    return spend.told({
      ...answer,
      results: [...answer.results, ...denied.map(({ name }) => ({ name, ...exceeded }))],
    });
  };
}

function limitDeletion(next: NonNullable<Handlers["deleteTopics"]>, options: MutationQuotaOptions): typeof next {
  return async (request, context) => {
    if (options.quotas.isIdle) return await next(request, context);
    const { image } = options.metadata;
    const spend = spender("deleteTopics", context, options.quotas);
    const named = (name: string | null, topicId = uuidZero): Topic | undefined => {
      if (name === null) return image.topic(topicId);
      return topicId === uuidZero ? image.topicByName(name) : undefined; // Both are too much.
    };
    const topics = request.topics.map(({ name, topicId }) => named(name, topicId));
    const twice = repeated([...topics, ...request.topicNames.map((name) => named(name))]);
    const pays = (topic: Topic | undefined): boolean =>
      topic === undefined || twice.has(topic) || spend.on(topic.partitions.length, topic.name);
    const byName = split(request.topicNames, (name) => pays(named(name)));
    const { allowed, denied } = split(request.topics, ({ name, topicId }) => pays(named(name, topicId)));
    const answer = await next({ ...request, topics: allowed, topicNames: byName.allowed }, context);
    if (!isAnswer(answer)) return answer;
    const refused = [...denied, ...byName.denied.map((name) => ({ name, topicId: uuidZero }))];
    const refusals = refused.map(({ name, topicId }) => ({ name, topicId, ...exceeded }));
    return spend.told({ ...answer, responses: [...answer.responses, ...refusals] });
  };
}

interface Spender {
  /** Whether these partitions of the topic may be made or deleted now. */
  readonly on: (partitions: number, topic: string) => boolean;
  /** What the topics cost that were refused after all. */
  readonly giveBack: (topics: readonly { readonly name: string; readonly errorCode?: number | undefined }[]) => void;
  readonly told: <T extends object>(answer: T) => Answer<T>;
}

function spender(api: keyof typeof strictSince, context: RequestContext, quotas: ClientQuotas): Spender {
  const mode = context.apiVersion >= strictSince[api] ? "strict" : "lenient";
  const paid = new Map<string, number>();
  let throttleMs = 0;
  return {
    on: (partitions, topic) => {
      const outcome = quotas.mutate(context, partitions, mode);
      throttleMs = Math.max(throttleMs, outcome.throttleMs);
      if (!outcome.isRefused) paid.set(topic, partitions);
      return !outcome.isRefused;
    },
    giveBack: (topics) => {
      for (const { name, errorCode } of topics) {
        const partitions = paid.get(name);
        if (partitions === undefined || (errorCode ?? 0) === 0) continue;
        paid.delete(name);
        const owed = quotas.mutate(context, -partitions, "lenient");
        if (mode === "lenient") throttleMs = owed.throttleMs;
      }
    },
    told: (answer) => {
      if (throttleMs === 0) return answer;
      quotas.throttled("controller_mutation_rate", throttleMs);
      context.pause?.(throttleMs);
      return { ...answer, throttleTimeMs: throttleMs };
    },
  };
}
