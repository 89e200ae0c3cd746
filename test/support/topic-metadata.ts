/** Topics, their configs and their leaders in memory, for what stands on the metadata and is not the metadata. */
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { Configs, MetadataEvent } from "../../src/metadata/events.ts";
import type { Image, NodeInfo, StreamInfo, Topic } from "../../src/metadata/image.ts";

const none = <T>(): readonly T[] => [];

export class TopicMetadata implements MetadataClient {
  readonly nodeId = 1 as NodeId;
  readonly nodeEpoch = 1 as NodeEpoch;
  readonly known = new Map<NodeId, NodeInfo>();
  readonly #topics = new Map<Uuid, Topic>();
  readonly #streams = new Map<StreamId, StreamInfo>();
  readonly #brokers = new Map<NodeId | null, Configs>();
  readonly #listeners = new Set<(events: readonly MetadataEvent[], seq: Seq) => void>();
  #seq = 7;
  /** Whether partitions get a leader as soon as they are made. */
  opens = true;
  /** Called with a topic that was made or has grown. */
  made: (topic: Topic) => void = () => undefined;
  readonly image: Image;

  constructor() {
    this.known.set(this.nodeId, { id: this.nodeId, epoch: this.nodeEpoch, host: "bound", port: 1, rack: "a" });
    const nothing = (): undefined => undefined;
    this.image = {
      clusterId: "00000000-0000-0000-0000-0000000000ff" as Uuid,
      seq: this.#seq as Seq,
      node: (id) => this.known.get(id),
      nodes: () => this.known.values(),
      brokerConfigs: (id) => this.#brokers.get(id) ?? new Map(),
      topic: (id) => this.#topics.get(id),
      topicByName: (name) => Array.from(this.#topics.values()).find((topic) => topic.name === name),
      topics: () => this.#topics.values(),
      partitionCount: 0,
      stream: (id) => this.#streams.get(id),
      streams: () => this.#streams.values(),
      ranges: none,
      object: nothing,
      objects: none,
      unreferenced: none,
      nextProducerId: 0,
      table: nothing,
      tables: none,
      namespace: nothing,
      namespaces: none,
      tablePointer: nothing,
      tablePointers: none,
    };
  }

  async propose(events: readonly MetadataEvent[]): Promise<Proposal> {
    this.#seq += 1;
    for (const event of events) {
      const refusal = this.#apply(event);
      if (refusal !== undefined) return { kind: "refused", refusal: { reason: refusal, detail: event.kind } };
    }
    for (const listener of this.#listeners) listener(events, this.#seq as Seq);
    return { kind: "accepted", seq: this.#seq as Seq };
  }

  onChange(listener: (events: readonly MetadataEvent[], seq: Seq) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** As after a checkpoint was loaded: the topic is gone, and no event says so. */
  forgetSilently(name: string): void {
    const topic = this.image.topicByName(name);
    if (topic !== undefined) this.#topics.delete(topic.id);
    for (const listener of this.#listeners) listener([], this.#seq as Seq);
  }

  #apply(event: MetadataEvent): "exists" | "missing" | "invalid" | undefined {
    if (event.kind === "create-topic") {
      if (this.image.topicByName(event.name) !== undefined) return "exists";
      const { topicId: id, name, configs } = event;
      this.#keep({ id, name, configs, partitions: [], predecessors: 0 }, event.partitions);
      return undefined;
    }
    if (event.kind === "create-partitions") {
      return this.#change(event.topicId, (topic) => this.#keep(topic, event.partitions));
    }
    if (event.kind === "delete-topic") return this.#topics.delete(event.topicId) ? undefined : "missing";
    if (event.kind === "set-topic-configs") {
      return this.#change(event.topicId, (topic) => this.#topics.set(topic.id, { ...topic, configs: event.configs }));
    }
    if (event.kind !== "set-broker-configs") return "invalid";
    this.#brokers.set(event.nodeId, event.configs);
    return undefined;
  }

  #change(id: Uuid, change: (topic: Topic) => unknown): "missing" | undefined {
    const topic = this.#topics.get(id);
    if (topic === undefined) return "missing";
    change(topic);
    return undefined;
  }

  #keep(topic: Topic, partitions: number): void {
    const streams = [...topic.partitions];
    while (streams.length < partitions) {
      const id = (this.#streams.size + 1) as StreamId;
      this.#streams.set(id, {
        id,
        topicId: topic.id,
        partition: streams.length,
        epoch: this.opens ? 4 : 0,
        node: this.opens ? this.nodeId : undefined,
        start: 0 as Offset,
        end: 0 as Offset,
      });
      streams.push(id);
    }
    const grown = { ...topic, partitions: streams };
    this.#topics.set(topic.id, grown);
    this.made(grown);
  }
}
