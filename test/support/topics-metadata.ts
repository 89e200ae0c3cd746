/** The metadata as far as the log and its handlers see it: topics, streams and their writers, producer ids. */
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import type { Image, NodeInfo, StreamInfo, Topic } from "../../src/metadata/image.ts";

type Listener = Parameters<MetadataClient["onChange"]>[0];

export class TopicsMetadata implements MetadataClient {
  readonly nodeId: NodeId;
  readonly nodeEpoch = 1 as NodeEpoch;
  readonly image: Image;
  readonly nodes: NodeInfo[] = [];
  /** Asked before a proposal is applied: a text refuses it. */
  refusal: (events: readonly MetadataEvent[]) => string | undefined = () => undefined;
  proposals = 0;
  readonly #topics = new Map<Uuid, Topic>();
  readonly #streams = new Map<StreamId, StreamInfo>();
  readonly #listeners = new Set<Listener>();
  #nextProducerId = 0;
  #nextStream = 1;
  #seq = 0;

  constructor(nodeId = 1) {
    this.nodeId = nodeId as NodeId;
    this.image = this.#makeImage();
  }

  /** Applies the events as if any node had proposed them. */
  apply(events: readonly MetadataEvent[], node: NodeId = this.nodeId): Seq {
    this.#seq += 1;
    for (const event of events) this.#applyOne(event, node);
    for (const listener of this.#listeners) listener(events, this.#seq as Seq);
    return this.#seq as Seq;
  }

  createTopic(name: string, partitions: number, configs: Readonly<Record<string, string>> = {}): Uuid {
    const topicId = `00000000-0000-4000-8000-${String(this.#seq + 1).padStart(12, "0")}` as Uuid;
    this.apply([{ kind: "create-topic", topicId, name, partitions, configs: new Map(Object.entries(configs)) }]);
    return topicId;
  }

  async propose(events: readonly MetadataEvent[]): Promise<Proposal> {
    this.proposals += 1;
    await Promise.resolve();
    const detail = this.refusal(events);
    if (detail !== undefined) return { kind: "refused", refusal: { reason: "missing", detail } };
    return { kind: "accepted", seq: this.apply(events) };
  }

  onChange(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #applyOne(event: MetadataEvent, node: NodeId): void {
    if (event.kind === "create-topic") {
      const partitions = Array.from({ length: event.partitions }, (_, index) => this.#newStream(event.topicId, index));
      const { topicId: id, name, configs } = event;
      this.#topics.set(id, { id, name, configs, partitions, predecessors: 0 });
    } else if (event.kind === "create-partitions") {
      const topic = this.#topics.get(event.topicId) as Topic;
      const partitions = [...topic.partitions];
      while (partitions.length < event.partitions) partitions.push(this.#newStream(topic.id, partitions.length));
      this.#topics.set(topic.id, { ...topic, partitions });
    } else if (event.kind === "delete-topic") {
      for (const stream of this.#topics.get(event.topicId)?.partitions ?? []) this.#streams.delete(stream);
      this.#topics.delete(event.topicId);
    } else if (event.kind === "set-topic-configs") {
      this.#topics.set(event.topicId, { ...(this.#topics.get(event.topicId) as Topic), configs: event.configs });
    } else if (event.kind === "open-streams") {
      for (const id of event.streams) {
        const stream = this.#streams.get(id) as StreamInfo;
        this.#streams.set(id, { ...stream, node, epoch: stream.epoch + 1 });
      }
    } else if (event.kind === "allocate-producer-ids") this.#nextProducerId += event.count;
  }

  #newStream(topicId: Uuid, partition: number): StreamId {
    const id = this.#nextStream as StreamId;
    this.#nextStream += 1;
    const zero = 0 as Offset;
    this.#streams.set(id, { id, topicId, partition, epoch: 0, node: undefined, start: zero, end: zero });
    return id;
  }

  /** Only what the log and the handlers above it ask for. */
  #makeImage(): Image {
    const image: Partial<Image> = {
      nodes: () => this.nodes,
      node: (id) => this.nodes.find((node) => node.id === id),
      topic: (id) => this.#topics.get(id),
      topicByName: (name) => [...this.#topics.values()].find((topic) => topic.name === name),
      topics: () => this.#topics.values(),
      stream: (id) => this.#streams.get(id),
    };
    Object.defineProperty(image, "nextProducerId", { get: () => this.#nextProducerId });
    return image as Image;
  }
}
