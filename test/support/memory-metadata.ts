/** Metadata clients over one log in memory and its real fold, without timers: a proposal is decided when it is made. */
import { assert } from "../../src/base/errors.ts";
import { type NodeEpoch, type NodeId, type Seq, type Uuid, uuidRandom } from "../../src/base/ids.ts";
import type { Random } from "../../src/base/runtime.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import { chained } from "../../src/metadata/entry-format.ts";
import { encodeGroups } from "../../src/metadata/event-codec.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import { fold } from "../../src/metadata/fold.ts";
import { ImageState } from "../../src/metadata/image-state.ts";
import { seededRandom } from "./seeded.ts";

type Listener = Parameters<MetadataClient["onChange"]>[0];

const ownNode = 1 as NodeId;

/** What survives a crash. Clients opened one after another over one log see the same image. */
export class MemoryMetadataLog {
  readonly image = new ImageState();
  readonly #random: Random = seededRandom(4711);
  readonly #epochs = new Map<NodeId, NodeEpoch>();
  readonly #listeners = new Set<Listener>();

  constructor() {
    this.register(ownNode, { host: "127.0.0.1", port: 9092, rack: null });
  }

  epochOf(node: NodeId): NodeEpoch {
    return this.#epochs.get(node) ?? (0 as NodeEpoch);
  }

  /** A node starts, or starts again. */
  register(node: NodeId, at: { readonly host: string; readonly port: number; readonly rack: string | null }): void {
    this.apply([{ kind: "register-node", nodeId: node, incarnation: uuidRandom(this.#random), ...at }], node);
    this.#epochs.set(node, this.image.seq as number as NodeEpoch);
  }

  /** Decides over the events as if the node had proposed them. */
  apply(events: readonly MetadataEvent[], node: NodeId = ownNode): Proposal {
    const proposal = this.#fold(events, node);
    if (proposal.kind === "accepted") for (const listener of this.#listeners) listener(events, proposal.seq);
    return proposal;
  }

  /** As a client that was away: the image jumps over the events to a checkpoint, and nobody is told what they were. */
  jump(events: readonly MetadataEvent[] = []): void {
    if (events.length > 0) assert(this.#fold(events, ownNode).kind === "accepted", "the events are accepted");
    for (const listener of this.#listeners) listener([], this.image.seq);
  }

  onChange(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #fold(events: readonly MetadataEvent[], nodeId: NodeId): Proposal {
    const { image } = this;
    const opId = uuidRandom(this.#random);
    const entry = { nodeId, nodeEpoch: this.epochOf(nodeId), opId, events: encodeGroups([events]) };
    const seq = (image.seq + 1) as Seq;
    const refusal = fold(image, chained(entry, seq, image.hash))?.decision.refusals[0] ?? null;
    return refusal === null ? { kind: "accepted", seq } : { kind: "refused", refusal };
  }
}

export class MemoryMetadata implements MetadataClient {
  readonly nodeId = ownNode;
  readonly nodeEpoch: NodeEpoch;
  readonly log: MemoryMetadataLog;
  /** Called before each proposal: a test throws here to crash between two steps. */
  onPropose: (events: readonly MetadataEvent[]) => void = () => undefined;
  /** Asked before a proposal is decided: a text refuses it. */
  refusal: (events: readonly MetadataEvent[]) => string | undefined = () => undefined;
  proposals = 0;

  constructor(log = new MemoryMetadataLog()) {
    this.log = log;
    this.nodeEpoch = log.epochOf(ownNode);
  }

  get image(): ImageState {
    return this.log.image;
  }

  async propose(events: readonly MetadataEvent[]): Promise<Proposal> {
    this.proposals += 1;
    this.onPropose(events);
    await Promise.resolve();
    const detail = this.refusal(events);
    if (detail !== undefined) return { kind: "refused", refusal: { reason: "missing", detail } };
    return this.log.apply(events);
  }

  onChange(listener: Listener): Disposable {
    return this.log.onChange(listener);
  }

  /** Applies what must be accepted, as if the node had proposed it. */
  apply(events: readonly MetadataEvent[], node: NodeId = ownNode): void {
    const proposal = this.log.apply(events, node);
    assert(proposal.kind === "accepted", `accepted: ${JSON.stringify(proposal)}`);
  }

  createTopic(name: string, partitions: number, configs: Readonly<Record<string, string>> = {}): Uuid {
    const topicId = `00000000-0000-4000-8000-${String(this.image.seq + 1).padStart(12, "0")}` as Uuid;
    this.apply([{ kind: "create-topic", topicId, name, partitions, configs: new Map(Object.entries(configs)) }]);
    return topicId;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A topic of that name that is there is deleted first. */
export function addTopic(log: MemoryMetadataLog, name: string, topicId: Uuid, partitions: number): void {
  const before = log.image.topicByName(name);
  if (before !== undefined) log.apply([{ kind: "delete-topic", topicId: before.id }]);
  log.apply([{ kind: "create-topic", topicId, name, partitions, configs: new Map() }]);
}
