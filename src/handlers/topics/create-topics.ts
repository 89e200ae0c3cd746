/** CreateTopics: each topic stands or falls by itself. */

import { type Uuid, uuidZero } from "../../base/ids.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { type ConfigView, type ShownConfigs, topicConfigsShown } from "../configs/config-layers.ts";
import { untilLed } from "../data/leader-wait.ts";
import { code, type Handler } from "../handler.ts";
import { repeated } from "../repeated.ts";
import {
  createTopic,
  planTopic,
  type Refused,
  refused,
  type TopicCreationOptions,
  type TopicPlan,
} from "./topic-creation.ts";

type Request = RequestOf<"createTopics">;
type Response = ResponseInputOf<"createTopics">;
type TopicRequest = Request["topics"][number];
type TopicResponse = Response["topics"][number];

export interface CreateTopicsOptions extends TopicCreationOptions, ConfigView {
  readonly metadata: TopicCreationOptions["metadata"];
}

export function createTopicsHandler(options: CreateTopicsOptions): Handler<Request, Response> {
  return async (request) => {
    const configsOf = topicConfigsShown(options, "as-given");
    const answer = (name: string, outcome: Outcome): TopicResponse => answered(name, outcome, configsOf);
    const twice = repeated(request.topics.map(({ name }) => name));
    const topics: TopicResponse[] = [...twice].map((name) =>
      answer(name, refused("INVALID_REQUEST", "Duplicate topic name.")),
    );
    const made: Uuid[] = [];
    const once = request.topics.filter(({ name }) => !twice.has(name));
    const excessive = excess(options, once);
    if (excessive !== undefined) return { topics: request.topics.map(({ name }) => answer(name, excessive)) };
    for (const topic of once) {
      const plan = plannedTopic(options, topic);
      const isDone = plan.kind === "refused" || request.validateOnly;
      const outcome: Outcome = isDone ? plan : await createTopic(options, plan);
      if (outcome.kind === "planned" && outcome.topicId !== undefined) made.push(outcome.topicId);
      topics.push(answer(topic.name, outcome));
    }
    await untilLed(options, made, Math.min(options.limits.leaderWaitMs, request.timeoutMs));
    return { topics };
  };
}

/** As in Kafka all of a request are refused when together they are too many, before anything else is said of them. */
function excess({ limits }: CreateTopicsOptions, topics: readonly TopicRequest[]): Refused | undefined {
  const counts = topics.map(({ assignments, numPartitions }) => {
    if (assignments.length > 0) return assignments.length;
    return numPartitions === -1 ? limits.partitionsByDefault : Math.max(0, numPartitions);
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= limits.partitionsPerTopicMax) return undefined;
  return refused("POLICY_VIOLATION", "Excessively large number of partitions per request.");
}

function plannedTopic(options: CreateTopicsOptions, topic: TopicRequest): TopicPlan | Refused {
  return planTopic(options, {
    name: topic.name,
    partitions: topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignments: topic.assignments,
    // Of a config that is given twice the last one counts.
    configs: new Map(topic.configs.map(({ name, value }) => [name, value])),
  });
}

/** Without an id it was only checked. */
type Outcome = Refused | (TopicPlan & { readonly topicId?: Uuid });

function answered(name: string, outcome: Outcome, configsOf: ShownConfigs<TopicPlan["configs"]>): TopicResponse {
  if (outcome.kind === "refused") {
    return { name, errorCode: code(outcome.error), errorMessage: outcome.message, configs: [] };
  }
  return {
    name,
    topicId: outcome.topicId ?? uuidZero,
    errorCode: 0,
    errorMessage: null,
    numPartitions: outcome.partitions,
    replicationFactor: 1,
    configs: configsOf(outcome.configs),
  };
}
