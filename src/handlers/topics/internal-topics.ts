/** Topics that the broker keeps its own state in: made when first needed, and forgotten offsets when any topic goes. */
import { SingleFlight } from "../../base/async.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { MetadataEvent } from "../../metadata/events.ts";
import type { Topic } from "../../metadata/image.ts";
import { untilLed } from "../data/leader-wait.ts";
import { createTopic, planTopic, type TopicCreationOptions } from "./topic-creation.ts";

export interface InternalTopic {
  readonly name: string;
  readonly partitions: number;
  readonly configs: ReadonlyMap<string, string>;
}

/** As Kafka makes it: compacted, batches as they come. */
export function offsetsTopic(partitions: number): InternalTopic {
  return {
    name: "__consumer_offsets",
    partitions,
    configs: new Map([
      ["cleanup.policy", "compact"],
      ["compression.type", "producer"],
      ["segment.bytes", "104857600"],
    ]),
  };
}

/** As Kafka makes it: compacted, never compressed. */
export function transactionsTopic(partitions: number): InternalTopic {
  return {
    name: "__transaction_state",
    partitions,
    configs: new Map([
      ["cleanup.policy", "compact"],
      ["compression.type", "uncompressed"],
      ["segment.bytes", "104857600"],
    ]),
  };
}

export class InternalTopics {
  readonly #options: TopicCreationOptions;
  readonly #flights = new SingleFlight<string, Topic | undefined>();

  constructor(options: TopicCreationOptions) {
    this.#options = options;
  }

  /** Undefined when it could not be made; ask again. */
  ensure(wanted: InternalTopic): Promise<Topic | undefined> {
    const { image } = this.#options.metadata;
    const known = image.topicByName(wanted.name);
    if (known !== undefined) return Promise.resolve(known);
    return this.#flights.run(wanted.name, async () => {
      const plan = planTopic(this.#options, { ...wanted, replicationFactor: -1, assignments: [] });
      if (plan.kind === "planned") await createTopic(this.#options, plan);
      const made = this.#options.metadata.image.topicByName(wanted.name);
      if (made !== undefined) await untilLed(this.#options, [made.id], this.#options.limits.leaderWaitMs);
      return made;
    });
  }
}

const topicEvents: ReadonlySet<MetadataEvent["kind"]> = new Set(["create-topic", "delete-topic", "create-partitions"]);

/** ACLs, too: what a member may not see is no topic to its regular expression. */
function changesTopics(event: MetadataEvent): boolean {
  if (event.kind === "set-facts") return event.facts.some(({ table }) => table === "acls");
  return topicEvents.has(event.kind);
}

/** Has the coordinator look at topics that changed, and forget offsets as soon as one is deleted, by whichever node. */
export function followTopics(
  metadata: Pick<MetadataClient, "onChange">,
  coordinator: GroupCoordinator,
  failed: (cause: unknown) => void,
): Disposable {
  return metadata.onChange((events) => {
    // Without events the image came from a checkpoint: anything may have happened.
    const isAnything = events.length === 0;
    if (isAnything || events.some(changesTopics)) coordinator.topicsChanged();
    if (isAnything || events.some(({ kind }) => kind === "delete-topic"))
      coordinator.forgetDeletedTopics().catch(failed);
  });
}
