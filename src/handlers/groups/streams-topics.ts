/** Makes the repartition and changelog topics of streams applications, with the rights of the member that needs them. */
import { SingleFlight } from "../../base/async.ts";
import type { InternalTopic } from "../../coordinator/streams/topology.ts";
import { untilLed } from "../data/leader-wait.ts";
import { createTopic, planTopic, type TopicCreationOptions } from "../topics/topic-creation.ts";

const namedMax = 3;

export class StreamsTopics {
  readonly #options: TopicCreationOptions;
  /** By name: members of one application need the same topics at the same time. */
  readonly #flights = new SingleFlight<string, string | undefined>();

  constructor(options: TopicCreationOptions) {
    this.#options = options;
  }

  /** What is to be added to the status that names the missing topics; empty when they were made. All of them or none. */
  async make(wanted: readonly InternalTopic[], mayCreate: (name: string) => boolean): Promise<string> {
    const denied = wanted.filter(({ name }) => !mayCreate(name)).map(({ name }) => name);
    if (denied.length > 0) return `; Unauthorized to CREATE on topics ${denied.join(", ")}.`;
    const made = wanted.map((topic) => this.#flights.run(topic.name, () => this.#make(topic)));
    const failures = (await Promise.all(made)).filter((failure) => failure !== undefined);
    if (failures.length === 0) return "";
    const more = failures.length - namedMax;
    const rest = more > 0 ? ` and ${more} more` : "";
    return `; Creation failed: ${failures.slice(0, namedMax).join(", ")}${rest}.`;
  }

  /** Undefined when the topic is there, whoever made it. */
  async #make({ name, partitions, replicationFactor, topicConfigs }: InternalTopic): Promise<string | undefined> {
    const plan = planTopic(this.#options, {
      name,
      partitions,
      replicationFactor: replicationFactor === 0 ? -1 : replicationFactor,
      assignments: [],
      configs: new Map(topicConfigs.map(({ key, value }) => [key, value])),
    });
    const outcome = plan.kind === "planned" ? await createTopic(this.#options, plan) : plan;
    const made = this.#options.metadata.image.topicByName(name);
    if (made === undefined) return outcome.kind === "refused" ? `${name} (${outcome.message})` : undefined;
    await untilLed(this.#options, [made.id], this.#options.limits.leaderWaitMs);
    return undefined;
  }
}
