/**
 * What can happen to the cluster. A group of these is one entry of the metadata log and is accepted or refused as a
 * whole. Their bytes are declared in schemas/storage.ts; what each does to the image is in apply-*.ts.
 */
import type { factTables } from "../../schemas/storage.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../base/ids.ts";

export type MetadataEvent =
  | NodeEvent
  | TopicEvent
  | StreamEvent
  | TableEvent
  | CatalogEvent
  | FactEvent
  /** Gives the node the producer ids [first, first + count), `first` being what the image then says. */
  | { readonly kind: "allocate-producer-ids"; readonly count: number };

export type NodeEvent =
  | {
      readonly kind: "register-node";
      readonly nodeId: NodeId;
      /** Differs at each start of a process, so that its own repeated registration is not a rival's. */
      readonly incarnation: Uuid;
      readonly host: string;
      readonly port: number;
      readonly rack: string | null;
    }
  | { readonly kind: "set-broker-configs"; readonly nodeId: NodeId | null; readonly configs: Configs }
  /**
   * Nothing that the node's process of this epoch says counts any more. Refused unless that is the node's epoch still; the
   * event's seq becomes the next, which nobody speaks for. Whoever fenced a node can ask for it again, in the group that
   * acts on it, to be refused if another has fenced it since.
   */
  | { readonly kind: "fence-node"; readonly nodeId: NodeId; readonly epoch: NodeEpoch }
  /**
   * The node of this epoch is gone for good: it is fenced, and clients hear of it no more. Refused while it writes streams, or
   * has a WAL that nobody took over. Its epoch stays, for what it left in the object store, and until it is registered again.
   */
  | { readonly kind: "unregister-node"; readonly nodeId: NodeId; readonly epoch: NodeEpoch }
  /** The proposing process has a WAL in the object store from now on: see image.ts. Before this it may ack nothing. */
  | { readonly kind: "open-wal"; readonly slotsInFlightMax: number }
  /** Of the WALs of the node, nothing before this slot is needed any more. Never moves backward. */
  | { readonly kind: "advance-wal"; readonly nodeId: NodeId; readonly epoch: NodeEpoch; readonly slot: number };

/** Sorted by key when encoded. */
export type Configs = ReadonlyMap<string, string>;

export type TopicEvent =
  | {
      readonly kind: "create-topic";
      readonly topicId: Uuid;
      readonly name: string;
      readonly partitions: number;
      readonly configs: Configs;
    }
  | { readonly kind: "delete-topic"; readonly topicId: Uuid }
  | { readonly kind: "create-partitions"; readonly topicId: Uuid; readonly partitions: number }
  | { readonly kind: "set-topic-configs"; readonly topicId: Uuid; readonly configs: Configs };

export type StreamEvent =
  /** The node becomes the writer; the stream's epoch, and with it the partition's leader epoch, grows by one. */
  | { readonly kind: "open-streams"; readonly streams: readonly StreamId[] }
  | {
      readonly kind: "commit-object";
      /** Key in the object store, relative to the cluster's prefix; never reused. */
      readonly object: string;
      readonly bytes: number;
      readonly objectKind: "stream-set" | "stream";
      /** Sorted by stream; each `from` is the end of what the image holds of that stream, or leaves a gap only upward. */
      readonly ranges: readonly ObjectRange[];
    }
  /**
   * A new object takes over what other objects hold of streams that this node writes: merged, or cleaned and so perhaps with
   * less in it. Where a stream's ranges are not what the event says it replaces, all of it is refused as stale.
   */
  | {
      readonly kind: "replace-ranges";
      readonly object: string;
      readonly bytes: number;
      readonly objectKind: "stream-set" | "stream";
      readonly ranges: readonly ReplacingRange[];
    }
  /** Records below `start` are gone for readers. */
  | {
      readonly kind: "trim-streams";
      readonly streams: readonly { readonly stream: StreamId; readonly start: Offset }[];
    }
  /** The objects, which no stream names any more, were deleted from the store. */
  | { readonly kind: "objects-deleted"; readonly objects: readonly string[] };

export interface ObjectRange {
  readonly stream: StreamId;
  readonly epoch: number;
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
  readonly maxTimestamp: number;
}

/** Covers the same offsets as what it replaces, and gets the epoch of the newest of it. `bytes` are those of the batches that remain. */
export interface ReplacingRange extends Omit<ObjectRange, "epoch"> {
  /** The objects of the stream's ranges in [from, to), in offset order; one that holds two of them stands here twice. */
  readonly replaces: readonly string[];
}

/** See ARCHITECTURE.md, one table commit: rounds of translated files, waiting for the table's committer. */
export type TableEvent =
  | {
      readonly kind: "create-table";
      readonly table: Uuid;
      readonly topicId: Uuid;
      /** 1 for the first table of a topic name; a recreated topic starts the next. */
      readonly generation: number;
      readonly catalog: string;
      readonly name: string;
    }
  | {
      readonly kind: "add-table-round";
      readonly table: Uuid;
      readonly generation: number;
      readonly lane: string;
      readonly schemaId: number;
      readonly specId: number;
      readonly mappingVersion: number;
      readonly ranges: readonly TableRange[];
      /** Location of the manifest that lists the round's files, its length and its row count; null when there were no rows. */
      readonly main: RoundManifest | null;
      readonly deadLetters: RoundManifest | null;
      /** Lists files of deletes, which apply to what earlier rounds wrote and not to this one's rows; null when it has none. */
      readonly deletes: RoundManifest | null;
    }
  /**
   * The pending round `seq` was translated again, since its files were lost: the same ranges, under the same seq, so that
   * what the table holds up to a seq never changes its meaning.
   */
  | {
      readonly kind: "replace-table-round";
      readonly table: Uuid;
      readonly seq: Seq;
      readonly schemaId: number;
      readonly specId: number;
      readonly mappingVersion: number;
      readonly ranges: readonly TableRange[];
      readonly main: RoundManifest | null;
      readonly deadLetters: RoundManifest | null;
      /** Lists files of deletes, which apply to what earlier rounds wrote and not to this one's rows; null when it has none. */
      readonly deletes: RoundManifest | null;
    }
  | {
      readonly kind: "table-rounds-committed";
      readonly table: Uuid;
      readonly upTo: Seq;
      readonly snapshotId: bigint | null;
    }
  /** Replaces the bytes that the table side keeps about schema and mapping; the expected version guards the change. */
  | {
      readonly kind: "table-schema";
      readonly table: Uuid;
      readonly expectedVersion: number;
      readonly schema: Uint8Array;
    }
  | {
      readonly kind: "table-state";
      readonly table: Uuid;
      readonly state: "running" | "paused" | "diverged";
      readonly reason: string;
    };

export interface TableRange {
  readonly partition: number;
  readonly from: Offset;
  readonly to: Offset;
  /** Records in the range that became no row of either table: control batches, aborted records, compacted offsets. */
  readonly skips: number;
}

export interface RoundManifest {
  readonly location: string;
  readonly bytes: number;
  readonly rows: number;
}

/** The embedded Iceberg REST catalog: a pointer a table, moved by compare-and-set. */
export type CatalogEvent =
  | {
      readonly kind: "put-namespace";
      readonly namespace: string;
      readonly properties: Configs;
      readonly mustBeNew: boolean;
    }
  | { readonly kind: "drop-namespace"; readonly namespace: string }
  | {
      /** All pointers move, or none does. `expected` null: the table must not exist. `location` null: drop it. */
      readonly kind: "move-table-pointers";
      readonly pointers: readonly {
        readonly namespace: string;
        readonly table: string;
        readonly expected: string | null;
        readonly location: string | null;
      }[];
    };

/**
 * What administrators have set that belongs to no topic and no node: a table, a key, a text in the words of its owner. The fold
 * does not look into it, so a key is as small as what may change alone: two administrators at once both succeed.
 */
export interface FactEvent {
  readonly kind: "set-facts";
  /** `value` null: the key is removed. */
  readonly facts: readonly { readonly table: FactTable; readonly key: string; readonly value: string | null }[];
}

export type FactTable = (typeof factTables)[number];

/** Why the fold left an entry without effect. */
export type Refusal =
  | { readonly reason: "fenced"; readonly by: NodeEpoch }
  | {
      readonly reason: "exists" | "missing" | "gap" | "stale-epoch" | "stale-version" | "invalid";
      readonly detail: string;
    };
