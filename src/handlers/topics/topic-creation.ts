/** Makes one topic: checks what was asked, and proposes it. Behind CreateTopics, auto-creation and internal topics. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Clock, Random } from "../../base/runtime.ts";
import { checkTopicConfigs } from "../../log/topic-config.ts";
import type { Image } from "../../metadata/image.ts";
import { type ClusterView, registeredNodes, replicationFactorMax } from "../cluster/cluster-view.ts";
import type { LeaderWait } from "../data/leader-wait.ts";
import { clipped } from "../error-text.ts";
import { quorumTopic } from "../handler.ts";
import { repeated } from "../repeated.ts";
import { collidingTopic, type TopicsByFoldedName, topicNameProblem, topicsByFoldedName } from "./topic-names.ts";

export interface TopicCreationOptions extends ClusterView {
  readonly metadata: ClusterView["metadata"] & LeaderWait["metadata"];
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: {
    readonly partitionsByDefault: number;
    readonly partitionsPerTopicMax: number;
    /** In the cluster; internal topics count, too. */
    readonly partitionsMax: number;
    readonly leaderWaitMs: number;
  };
}

export interface TopicWish {
  readonly name: string;
  /** -1: the default, or as many as there are assignments. */
  readonly partitions: number;
  /** -1: the default. */
  readonly replicationFactor: number;
  readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[];
  readonly configs: ReadonlyMap<string, string | null>;
}

export function defaultWish(name: string): TopicWish {
  return { name, partitions: -1, replicationFactor: -1, assignments: [], configs: new Map() };
}

export interface Refused {
  readonly kind: "refused";
  readonly error: ErrorName;
  readonly message: string;
}

export interface TopicPlan {
  readonly kind: "planned";
  readonly name: string;
  readonly partitions: number;
  readonly configs: ReadonlyMap<string, string>;
}

export type CreatedTopic = TopicPlan & { readonly topicId: Uuid };

/** Everything that can be said without proposing it; the same answer for `validateOnly`. */
export function planTopic(options: TopicCreationOptions, wish: TopicWish): TopicPlan | Refused {
  const { image } = options.metadata;
  const badName = topicNameProblem(wish.name);
  if (badName !== undefined) return refused("INVALID_TOPIC_EXCEPTION", badName);
  if (wish.name === quorumTopic) {
    return refused("INVALID_REQUEST", `Creation of internal topic ${quorumTopic} is prohibited.`);
  }
  if (image.topicByName(wish.name) !== undefined) {
    return refused("TOPIC_ALREADY_EXISTS", `Topic '${wish.name}' already exists.`);
  }
  const rival = collidingTopic(wish.name, allTopics(image).byFoldedName);
  if (rival !== undefined) {
    return refused("INVALID_TOPIC_EXCEPTION", `Topic '${wish.name}' collides with existing topic: ${rival}`);
  }
  const configs = checkTopicConfigs(wish.configs);
  if (configs.kind === "bad") return refused("INVALID_CONFIG", configs.problem);
  const partitions = wish.assignments.length > 0 ? assignedPartitions(options, wish) : countedPartitions(options, wish);
  if (typeof partitions !== "number") return partitions;
  if (partitions > options.limits.partitionsPerTopicMax) {
    return refused("POLICY_VIOLATION", "Excessively large number of partitions per request.");
  }
  const excess = clusterExcess(options, partitions);
  if (excess !== undefined) return excess;
  return { kind: "planned", name: wish.name, partitions, configs: configs.configs };
}

interface AllTopics {
  readonly seq: Image["seq"];
  readonly byFoldedName: TopicsByFoldedName;
  readonly partitions: number;
}

/** A request may name many topics, each of which is held against all that there are. */
const known = new WeakMap<Image, AllTopics>();

function allTopics(image: Image): AllTopics {
  const before = known.get(image);
  if (before?.seq === image.seq) return before;
  const topics = [...image.topics()];
  const all = {
    seq: image.seq,
    byFoldedName: topicsByFoldedName(topics.map(({ name }) => name)),
    partitions: topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
  };
  known.set(image, all);
  return all;
}

/** So many more partitions would be more than the cluster may have. Requests that are decided at the same moment may go a little beyond. */
export function clusterExcess(
  { metadata, limits }: Pick<TopicCreationOptions, "metadata" | "limits">,
  more: number,
): Refused | undefined {
  if (allTopics(metadata.image).partitions + more <= limits.partitionsMax) return undefined;
  return refused("POLICY_VIOLATION", `There may be ${limits.partitionsMax} partitions in this cluster.`);
}

/** Does not wait for leaders: who makes many topics does so once, with `untilLed`. */
export async function createTopic(options: TopicCreationOptions, plan: TopicPlan): Promise<CreatedTopic | Refused> {
  const { name, partitions, configs } = plan;
  const topicId = uuidRandom(options.random);
  const proposal = await options.metadata.propose([{ kind: "create-topic", topicId, name, partitions, configs }]);
  if (proposal.kind === "accepted") return { ...plan, topicId };
  const { refusal } = proposal;
  if (refusal.reason === "exists") return refused("TOPIC_ALREADY_EXISTS", `Topic '${name}' already exists.`);
  const detail = refusal.reason === "fenced" ? "this broker was replaced" : refusal.detail;
  return refused(refusal.reason === "invalid" ? "INVALID_REQUEST" : "UNKNOWN_SERVER_ERROR", detail);
}

export function refused(error: ErrorName, message: string): Refused {
  return { kind: "refused", error, message: clipped(message) };
}

function countedPartitions(options: TopicCreationOptions, wish: TopicWish): number | Refused {
  const { partitions, replicationFactor } = wish;
  if (replicationFactor === 0 || replicationFactor < -1) {
    return refused("INVALID_REPLICATION_FACTOR", "Replication factor was set to an invalid non-positive value.");
  }
  if (partitions === 0 || partitions < -1) {
    return refused("INVALID_PARTITIONS", "Number of partitions was set to an invalid non-positive value.");
  }
  const registered = replicationFactorMax(options);
  if (replicationFactor > registered) {
    return refused(
      "INVALID_REPLICATION_FACTOR",
      `Unable to replicate the partition ${replicationFactor} time(s): The target replication factor of ` +
        `${replicationFactor} cannot be reached because only ${registered} broker(s) are registered.`,
    );
  }
  return partitions === -1 ? options.limits.partitionsByDefault : partitions;
}

function assignedPartitions(options: TopicCreationOptions, wish: TopicWish): number | Refused {
  for (const [field, value] of [
    ["numPartitions", wish.partitions],
    ["replicationFactor", wish.replicationFactor],
  ] as const) {
    if (value === -1) continue;
    return refused("INVALID_REQUEST", `A manual partition assignment was specified, but ${field} was not set to -1.`);
  }
  const indexes = wish.assignments.map(({ partitionIndex }) => partitionIndex);
  const [twice] = repeated(indexes);
  if (twice !== undefined) {
    return refused("INVALID_REPLICA_ASSIGNMENT", `Found multiple manual partition assignments for partition ${twice}`);
  }
  const problem = assignmentProblem(
    options,
    wish.assignments.map(({ brokerIds }) => brokerIds),
  );
  if (problem !== undefined) return problem;
  if (indexes.some((index) => index < 0 || index >= indexes.length)) {
    return refused("INVALID_REPLICA_ASSIGNMENT", "partitions should be a consecutive 0-based integer sequence");
  }
  return indexes.length;
}

/** Any registered broker may be named; which one leads is placement's to decide, since all of them reach the objects. */
export function assignmentProblem(view: ClusterView, assignments: readonly (readonly number[])[]): Refused | undefined {
  const { image, nodeId: own } = view.metadata;
  const known = new Set<number>([own, ...registeredNodes(image).map(({ id }) => id)]);
  const factor = assignments[0]?.length ?? 0;
  for (const replicas of assignments) {
    const stranger = replicas.find((id) => !known.has(id));
    const problem =
      replicas.length === 0
        ? "an empty replica list."
        : new Set(replicas).size !== replicas.length
          ? "a broker more than once."
          : stranger !== undefined
            ? `broker ${stranger}, but no such broker is registered.`
            : replicas.length !== factor
              ? `a partition with ${replicas.length} replica(s), but this is not consistent with previous partitions, which have ${factor} replica(s).`
              : undefined;
    if (problem !== undefined) {
      return refused("INVALID_REPLICA_ASSIGNMENT", `The manual partition assignment includes ${problem}`);
    }
  }
  return undefined;
}
