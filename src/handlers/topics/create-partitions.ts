/** CreatePartitions: topics grow, never shrink. */
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { untilLed } from "../data/leader-wait.ts";
import { code, type Handler } from "../handler.ts";
import { repeated } from "../repeated.ts";
import {
  assignmentProblem,
  clusterExcess,
  type Refused,
  refused,
  type TopicCreationOptions,
} from "./topic-creation.ts";

type Request = RequestOf<"createPartitions">;
type Response = ResponseInputOf<"createPartitions">;
type TopicRequest = Request["topics"][number];

export type CreatePartitionsOptions = Pick<TopicCreationOptions, "metadata" | "advertised" | "clock" | "limits">;

export function createPartitionsHandler(options: CreatePartitionsOptions): Handler<Request, Response> {
  return async (request) => {
    const names = request.topics.map(({ name }) => name);
    const results: Response["results"][number][] = [];
    const twice = repeated(names);
    for (const topic of new Map(request.topics.map((each) => [each.name, each])).values()) {
      const problem = twice.has(topic.name)
        ? refused("INVALID_REQUEST", "Duplicate topic in request.")
        : await grow(options, topic, request.validateOnly);
      results.push({ name: topic.name, errorCode: code(problem?.error), errorMessage: problem?.message ?? null });
    }
    const { image } = options.metadata;
    const grown = names.map((name) => image.topicByName(name)?.id).filter((id) => id !== undefined);
    await untilLed(options, grown, Math.min(options.limits.leaderWaitMs, request.timeoutMs));
    return { results };
  };
}

async function grow(
  options: CreatePartitionsOptions,
  asked: TopicRequest,
  validateOnly: boolean,
): Promise<Refused | undefined> {
  const topic = options.metadata.image.topicByName(asked.name);
  if (topic === undefined) return refused("UNKNOWN_TOPIC_OR_PARTITION", `The topic '${asked.name}' does not exist.`);
  const now = topic.partitions.length;
  if (asked.count === now) return refused("INVALID_PARTITIONS", `Topic already has ${now} partition(s).`);
  if (asked.count < now) {
    const message = `The topic ${asked.name} currently has ${now} partition(s); ${asked.count} would not be an increase.`;
    return refused("INVALID_PARTITIONS", message);
  }
  // Kafka takes only null for "none", but an empty list can mean nothing else, and @platformatic/kafka sends it.
  const assignments = (asked.assignments ?? []).map(({ brokerIds }) => brokerIds);
  if (assignments.length > 0) {
    const added = asked.count - now;
    if (assignments.length !== added) {
      const message = `Attempted to add ${added} additional partition(s), but only ${assignments.length} assignment(s) were specified.`;
      return refused("INVALID_REPLICA_ASSIGNMENT", message);
    }
    const problem = assignmentProblem(options, assignments);
    if (problem !== undefined) return problem;
  }
  if (asked.count > options.limits.partitionsPerTopicMax) {
    return refused("POLICY_VIOLATION", "Excessively large number of partitions per request.");
  }
  const excess = clusterExcess(options, asked.count - now);
  if (excess !== undefined) return excess;
  if (validateOnly) return undefined;
  const proposal = await options.metadata.propose([
    { kind: "create-partitions", topicId: topic.id, partitions: asked.count },
  ]);
  if (proposal.kind === "accepted") return undefined;
  const { refusal } = proposal;
  if (refusal.reason === "missing") return refused("UNKNOWN_TOPIC_OR_PARTITION", "The topic is gone.");
  if (refusal.reason === "fenced") return refused("UNKNOWN_SERVER_ERROR", "this broker was replaced");
  return refused("INVALID_PARTITIONS", refusal.detail); // Someone else was faster and went further.
}
