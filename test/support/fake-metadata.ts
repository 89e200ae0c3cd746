/** The metadata log and its fold, as far as streams see them: small, strict, in memory. It outlives its clients. */
import { sleep } from "../../src/base/async.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import type { Clock } from "../../src/base/runtime.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { MetadataEvent, ObjectRange } from "../../src/metadata/events.ts";
import type { CommittedRange, Image, ObjectEntry, StreamInfo } from "../../src/metadata/image.ts";
import { objectRowsOf, rangeRowsOf } from "./rows.ts";

type Refused = Extract<Proposal, { kind: "refused" }>;
type Reason = "missing" | "gap" | "stale-epoch" | "exists";

export class FakeMetadata {
  seq = 0;
  /** Proposals are neither accepted nor refused. */
  isStuck = false;
  readonly streams = new Map<StreamId, StreamInfo>();
  readonly ranges = new Map<StreamId, CommittedRange[]>();
  readonly objects = new Map<string, ObjectEntry>();
  readonly unreferenced = new Map<string, Seq>();
  readonly nodes = new Map<NodeId, NodeEpoch>();
  readonly #listeners = new Set<(events: readonly MetadataEvent[], seq: Seq) => void>();

  addStream(id: StreamId, topicId: Uuid, node: NodeId): void {
    const fresh = { id, topicId, partition: 0, epoch: 1, node, start: 0 as Offset, end: 0 as Offset };
    this.streams.set(id, fresh);
    this.ranges.set(id, []);
  }

  /** A node starts: all clients before it are fenced. */
  register(node: NodeId, options: { readonly clock: Clock; readonly delayMs: () => number }): MetadataClient {
    this.seq += 1;
    const epoch = this.seq as NodeEpoch;
    this.nodes.set(node, epoch);
    this.#listeners.clear();
    for (const stream of this.streams.values()) {
      this.streams.set(stream.id, { ...stream, epoch: stream.epoch + 1 });
    }
    return {
      nodeId: node,
      nodeEpoch: epoch,
      image: this.#image(),
      propose: async (events) => {
        await sleep(options.clock, options.delayMs());
        if (this.isStuck) await new Promise<never>(() => undefined);
        if (this.nodes.get(node) !== epoch) throw new Error("fenced");
        const proposal = this.apply(events, node);
        await sleep(options.clock, options.delayMs());
        return proposal;
      },
      onChange: (listener) => {
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  apply(events: readonly MetadataEvent[], node: NodeId): Proposal {
    this.seq += 1;
    for (const event of events) {
      const refusal = this.#refusal(event);
      if (refusal !== undefined) return refusal;
    }
    for (const event of events) this.#applyOne(event, node);
    for (const listener of this.#listeners) listener(events, this.seq as Seq);
    return { kind: "accepted", seq: this.seq as Seq };
  }

  #refusal(event: MetadataEvent): Refused | undefined {
    if (event.kind !== "commit-object") return undefined;
    if (this.objects.has(event.object)) return refused("exists", event.object);
    for (const range of event.ranges) {
      const stream = this.streams.get(range.stream);
      if (stream === undefined) return refused("missing", `stream ${range.stream}`);
      if (stream.epoch !== range.epoch) return refused("stale-epoch", `stream ${range.stream}`);
      if (stream.end !== range.from) return refused("gap", `stream ${range.stream}: ${stream.end} ${range.from}`);
    }
    return undefined;
  }

  #applyOne(event: MetadataEvent, node: NodeId): void {
    if (event.kind === "commit-object") {
      const entry = { key: event.object, bytes: event.bytes, kind: event.objectKind, node };
      this.objects.set(event.object, { ...entry, committedAt: this.seq as Seq });
      for (const range of event.ranges) this.#commit(event.object, range);
    } else if (event.kind === "trim-streams") {
      for (const { stream, start } of event.streams) this.#trim(stream, start);
    } else if (event.kind === "delete-topic") {
      for (const { id, topicId } of this.streams.values()) if (topicId === event.topicId) this.#drop(id);
    } else if (event.kind === "objects-deleted") {
      for (const object of event.objects) {
        this.unreferenced.delete(object);
        this.objects.delete(object);
      }
    }
  }

  #commit(object: string, range: ObjectRange): void {
    this.ranges.get(range.stream)?.push({ ...range, object });
    const stream = this.streams.get(range.stream) as StreamInfo;
    this.streams.set(range.stream, { ...stream, end: range.to });
  }

  #trim(id: StreamId, start: Offset): void {
    const stream = this.streams.get(id) as StreamInfo;
    this.streams.set(id, { ...stream, start });
    this.ranges.set(
      id,
      (this.ranges.get(id) ?? []).filter((range) => range.to > start),
    );
    this.#findUnreferenced();
  }

  #drop(id: StreamId): void {
    this.streams.delete(id);
    this.ranges.delete(id);
    this.#findUnreferenced();
  }

  #findUnreferenced(): void {
    const named = new Set([...this.ranges.values()].flat().map((range) => range.object));
    for (const key of this.objects.keys()) {
      if (named.has(key) || this.unreferenced.has(key)) continue;
      this.unreferenced.set(key, this.seq as Seq);
    }
  }

  #image(): Image {
    const nothing = (): never => {
      throw new Error("streams do not ask for this");
    };
    const seq = (): Seq => this.seq as Seq;
    return {
      clusterId: "0a0b0c0d-0000-4000-8000-000000000001" as Uuid,
      get seq() {
        return seq();
      },
      node: nothing,
      nodes: () => [...this.nodes].map(([id, epoch]) => ({ id, epoch, host: "", port: 0, rack: null })),
      wals: () => [],
      brokerConfigs: nothing,
      topic: nothing,
      topicByName: nothing,
      topics: nothing,
      partitionCount: 0,
      stream: (id) => this.streams.get(id),
      streams: () => this.streams.values(),
      ranges: (id, from) => (this.ranges.get(id) ?? []).filter((range) => range.to > from),
      rangeAfter: (id, from) => this.ranges.get(id)?.find((range) => range.to > from),
      rangeRows: (id) => rangeRowsOf(this.ranges.get(id) ?? [], this.objects),
      objectRows: objectRowsOf(this.objects),
      object: (key) => this.objects.get(key),
      objects: () => this.objects.values(),
      unreferenced: () => [...this.unreferenced].map(([object, since]) => ({ object, since })),
      nextProducerId: 0,
      table: nothing,
      tables: nothing,
      fact: nothing,
      facts: () => new Map(),
      namespace: nothing,
      namespaces: nothing,
      tablePointer: nothing,
      tablePointers: nothing,
    };
  }
}

function refused(reason: Reason, detail: string): Refused {
  return { kind: "refused", refusal: { reason, detail } };
}
