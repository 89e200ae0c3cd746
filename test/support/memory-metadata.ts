/** A metadata client without a log: folds table and catalog events into an image, one process's or several's. */
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import type { MetadataClient, Proposal } from "../../src/metadata/client.ts";
import type { Configs, MetadataEvent, Refusal } from "../../src/metadata/events.ts";
import type { Image, PendingRound, TableInfo, Topic } from "../../src/metadata/image.ts";

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

class Refused extends Error {
  readonly refusal: Refusal;
  constructor(reason: Exclude<Refusal["reason"], "fenced">, detail: string) {
    super(detail);
    this.refusal = { reason, detail };
  }
}

/** What survives a crash. Clients opened one after another over one log see the same image. */
export class MemoryMetadataLog {
  seq = 0;
  readonly topics = new Map<string, Mutable<Topic>>();
  readonly tables = new Map<Uuid, Mutable<TableInfo>>();
  readonly namespaces = new Map<string, Configs>();
  readonly pointers = new Map<string, Map<string, string>>();
  readonly listeners = new Set<(events: readonly MetadataEvent[], seq: Seq) => void>();

  apply(events: readonly MetadataEvent[]): Proposal {
    this.seq += 1;
    try {
      for (const event of events) this.#check(event);
    } catch (cause) {
      if (cause instanceof Refused) return { kind: "refused", refusal: cause.refusal };
      throw cause;
    }
    for (const event of events) this.#fold(event);
    for (const listener of this.listeners) listener(events, this.seq as Seq);
    return { kind: "accepted", seq: this.seq as Seq };
  }

  #table(id: Uuid): Mutable<TableInfo> {
    const table = this.tables.get(id);
    if (table === undefined) throw new Refused("missing", `no table ${id}`);
    return table;
  }

  #check(event: MetadataEvent): void {
    switch (event.kind) {
      case "create-table":
        if (this.tables.has(event.table)) throw new Refused("exists", event.table);
        for (const known of this.tables.values()) {
          if (known.topicId === event.topicId && known.generation >= event.generation)
            throw new Refused("exists", event.name);
        }
        return;
      case "add-table-round": {
        const table = this.#table(event.table);
        if (table.generation !== event.generation) throw new Refused("stale-epoch", "generation");
        if (event.mappingVersion > table.schemaVersion) throw new Refused("stale-version", "mapping");
        for (const range of event.ranges) {
          const end = table.translatedTo.get(range.partition);
          if (end !== undefined && end !== range.from) throw new Refused("gap", `partition ${range.partition}`);
        }
        return;
      }
      case "table-rounds-committed":
        this.#table(event.table);
        return;
      case "table-schema":
        if (this.#table(event.table).schemaVersion !== event.expectedVersion)
          throw new Refused("stale-version", "schema");
        return;
      case "table-state":
        this.#table(event.table);
        return;
      case "put-namespace":
        if (event.mustBeNew && this.namespaces.has(event.namespace)) throw new Refused("exists", event.namespace);
        if (!event.mustBeNew && !this.namespaces.has(event.namespace)) throw new Refused("missing", event.namespace);
        return;
      case "drop-namespace":
        if (!this.namespaces.has(event.namespace)) throw new Refused("missing", event.namespace);
        if ((this.pointers.get(event.namespace)?.size ?? 0) > 0) throw new Refused("invalid", "not empty");
        return;
      case "move-table-pointers":
        for (const pointer of event.pointers) {
          if (!this.namespaces.has(pointer.namespace)) throw new Refused("missing", pointer.namespace);
          const now = this.pointers.get(pointer.namespace)?.get(pointer.table) ?? null;
          if (now !== pointer.expected) throw new Refused("stale-version", pointer.table);
        }
        return;
      default:
        throw new Error(`the table side proposes no ${event.kind}`);
    }
  }

  #fold(event: MetadataEvent): void {
    switch (event.kind) {
      case "create-table": {
        const { table: id, topicId, generation, catalog, name } = event;
        this.tables.set(id, {
          ...{ id, topicId, generation, catalog, name, state: "running", reason: "", schemaVersion: 0 },
          ...{ schema: new Uint8Array(), pending: [], translatedTo: new Map(), committedTo: new Map() },
          committedSeq: 0 as Seq,
        });
        return;
      }
      case "add-table-round": {
        const table = this.#table(event.table);
        const { kind: _kind, table: _table, generation: _generation, ...rest } = event;
        const round: PendingRound = { ...rest, seq: this.seq as Seq, nodeEpoch: 1 as NodeEpoch };
        table.pending = [...table.pending, round];
        table.translatedTo = ends(table.translatedTo, [round]);
        return;
      }
      case "table-rounds-committed": {
        const table = this.#table(event.table);
        const done = table.pending.filter((round) => round.seq <= event.upTo);
        table.pending = table.pending.filter((round) => round.seq > event.upTo);
        table.committedTo = ends(table.committedTo, done);
        table.committedSeq = Math.max(table.committedSeq, event.upTo) as Seq;
        return;
      }
      case "table-schema": {
        const table = this.#table(event.table);
        table.schemaVersion += 1;
        table.schema = event.schema;
        return;
      }
      case "table-state": {
        const table = this.#table(event.table);
        table.state = event.state;
        table.reason = event.reason;
        return;
      }
      case "put-namespace":
        this.namespaces.set(event.namespace, event.properties);
        return;
      case "drop-namespace":
        this.namespaces.delete(event.namespace);
        return;
      case "move-table-pointers":
        for (const { namespace, table, location } of event.pointers) {
          const tables = this.pointers.get(namespace) ?? new Map<string, string>();
          if (location === null) tables.delete(table);
          else tables.set(table, location);
          this.pointers.set(namespace, tables);
        }
        return;
      default:
        throw new Error(`the table side proposes no ${event.kind}`);
    }
  }
}

function ends(before: ReadonlyMap<number, Offset>, rounds: readonly PendingRound[]): ReadonlyMap<number, Offset> {
  return new Map([
    ...before,
    ...rounds.flatMap((round) => round.ranges).map((range) => [range.partition, range.to] as const),
  ]);
}

export interface MemoryMetadata extends MetadataClient {
  /** Called before each proposal: a test throws here to crash between two steps. */
  onPropose: (events: readonly MetadataEvent[]) => void;
}

export function memoryMetadata(log: MemoryMetadataLog = new MemoryMetadataLog()): MemoryMetadata {
  return {
    nodeId: 1 as NodeId,
    nodeEpoch: 1 as NodeEpoch,
    image: memoryImage(log),
    onPropose: () => undefined,
    async propose(events) {
      this.onPropose(events);
      await Promise.resolve();
      return log.apply(events);
    },
    onChange(listener) {
      log.listeners.add(listener);
      return {
        [Symbol.dispose]: () => {
          log.listeners.delete(listener);
        },
      };
    },
    async [Symbol.asyncDispose]() {},
  };
}

function memoryImage(log: MemoryMetadataLog): Image {
  return {
    clusterId: "5f3a3c1e-0000-4000-8000-00000000c1c1" as Uuid,
    get seq() {
      return log.seq as Seq;
    },
    node: () => undefined,
    nodes: () => [],
    brokerConfigs: () => new Map(),
    topic: (id) => [...log.topics.values()].find((topic) => topic.id === id),
    topicByName: (name) => log.topics.get(name),
    topics: () => log.topics.values(),
    get partitionCount() {
      return [...log.topics.values()].reduce((sum, topic) => sum + topic.partitions.length, 0);
    },
    stream: () => undefined,
    streams: () => [],
    ranges: () => [],
    object: () => undefined,
    objects: () => [],
    unreferenced: () => [],
    nextProducerId: 0,
    table: (id) => log.tables.get(id),
    tables: () => log.tables.values(),
    namespace: (name) => log.namespaces.get(name),
    namespaces: () => log.namespaces.entries(),
    tablePointer: (namespace, table) => log.pointers.get(namespace)?.get(table),
    tablePointers: (namespace) => (log.pointers.get(namespace) ?? new Map<string, string>()).entries(),
  };
}

export function addTopic(log: MemoryMetadataLog, name: string, id: Uuid, partitions: number): void {
  const predecessors = (log.topics.get(name)?.predecessors ?? -1) + 1;
  const streams = Array.from({ length: partitions }, (_, index) => (index + 1) as StreamId);
  log.topics.set(name, { id, name, partitions: streams, configs: new Map(), predecessors });
}
