/** Metadata clients over one log in memory and its real fold, without timers: a proposal is decided when it is made. */
import { type NodeEpoch, type NodeId, type Seq, type Uuid, uuidRandom } from "../../src/base/ids.ts";
import type { Random } from "../../src/base/runtime.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import { chained } from "../../src/metadata/entry-format.ts";
import { encodeGroups } from "../../src/metadata/event-codec.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import { fold } from "../../src/metadata/fold.ts";
import { ImageState } from "../../src/metadata/image-state.ts";
import { seededRandom } from "./seeded.ts";

const nodeId = 1 as NodeId;

/** What survives a crash. Clients opened one after another over one log see the same image. */
export class MemoryMetadataLog {
  readonly image = new ImageState();
  readonly #random: Random = seededRandom(4711);
  readonly #listeners = new Set<(events: readonly MetadataEvent[], seq: Seq) => void>();
  #nodeEpoch = 0 as NodeEpoch;

  constructor() {
    const incarnation = uuidRandom(this.#random);
    this.apply([{ kind: "register-node", nodeId, incarnation, host: "127.0.0.1", port: 9092, rack: null }]);
    this.#nodeEpoch = this.image.seq as number as NodeEpoch;
  }

  get nodeEpoch(): NodeEpoch {
    return this.#nodeEpoch;
  }

  apply(events: readonly MetadataEvent[]): Proposal {
    const { image } = this;
    const entry = {
      nodeId,
      nodeEpoch: this.#nodeEpoch,
      opId: uuidRandom(this.#random),
      events: encodeGroups([events]),
    };
    const seq = (image.seq + 1) as Seq;
    const refusal = fold(image, chained(entry, seq, image.hash))?.decision.refusals[0] ?? null;
    if (refusal !== null) return { kind: "refused", refusal };
    for (const listener of this.#listeners) listener(events, seq);
    return { kind: "accepted", seq };
  }

  onChange(listener: (events: readonly MetadataEvent[], seq: Seq) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

export interface MemoryMetadata extends MetadataClient {
  /** Called before each proposal: a test throws here to crash between two steps. */
  onPropose: (events: readonly MetadataEvent[]) => void;
}

export function memoryMetadata(log: MemoryMetadataLog = new MemoryMetadataLog()): MemoryMetadata {
  return {
    nodeId,
    nodeEpoch: log.nodeEpoch,
    image: log.image,
    onPropose: () => undefined,
    async propose(events) {
      this.onPropose(events);
      await Promise.resolve();
      return log.apply(events);
    },
    onChange: (listener) => log.onChange(listener),
    async [Symbol.asyncDispose]() {},
  };
}

/** A topic of that name that is there is deleted first. */
export function addTopic(log: MemoryMetadataLog, name: string, topicId: Uuid, partitions: number): void {
  const before = log.image.topicByName(name);
  if (before !== undefined) log.apply([{ kind: "delete-topic", topicId: before.id }]);
  log.apply([{ kind: "create-topic", topicId, name, partitions, configs: new Map() }]);
}
