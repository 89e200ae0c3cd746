/** The fold of the metadata log: what the cluster looks like. This file is its reading surface. */
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../base/ids.ts";
import type { Configs, FactTable, ObjectRange, RoundManifest, TableRange } from "./events.ts";
import type { RangeRow } from "./packed-range.ts";

export interface Image {
  readonly clusterId: Uuid;
  /** Of the last entry applied. */
  readonly seq: Seq;
  node(id: NodeId): NodeInfo | undefined;
  nodes(): Iterable<NodeInfo>;
  /** WALs of the node in the object store that a recovery has to look at, oldest first. */
  wals(id: NodeId): readonly WalInfo[];
  /** Dynamic configs: of one broker, or with null the cluster-wide defaults. */
  brokerConfigs(id: NodeId | null): Configs;

  topic(id: Uuid): Topic | undefined;
  topicByName(name: string): Topic | undefined;
  topics(): Iterable<Topic>;
  readonly partitionCount: number;

  stream(id: StreamId): StreamInfo | undefined;
  streams(): Iterable<StreamInfo>;
  /** Committed ranges of the stream that end after `from`, in offset order. */
  ranges(stream: StreamId, from: Offset): readonly CommittedRange[];
  /** The first of these. */
  rangeAfter(stream: StreamId, from: Offset): CommittedRange | undefined;
  /** All ranges of the stream, for who looks at those of many streams. Not to be used after the image has changed. */
  rangeRows(stream: StreamId): RangeRows;
  object(key: string): ObjectEntry | undefined;
  objects(): Iterable<ObjectEntry>;
  readonly objectRows: ObjectRows;
  /** Objects that no stream names any more, with the seq at which that became so. */
  unreferenced(): Iterable<{ readonly object: string; readonly since: Seq }>;

  /** The next id that allocate-producer-ids gives out. */
  readonly nextProducerId: number;

  table(id: Uuid): TableInfo | undefined;
  tables(): Iterable<TableInfo>;
  /** What administrators have set under this key; undefined when nothing. */
  fact(table: FactTable, key: string): string | undefined;
  facts(table: FactTable): ReadonlyMap<string, string>;

  namespace(name: string): Configs | undefined;
  namespaces(): Iterable<readonly [name: string, properties: Configs]>;
  tablePointer(namespace: string, table: string): string | undefined;
  tablePointers(namespace: string): Iterable<readonly [table: string, location: string]>;
}

export interface NodeInfo {
  readonly id: NodeId;
  readonly epoch: NodeEpoch;
  readonly host: string;
  /** 0: there is no such node any more, or not yet again. */
  readonly port: number;
  readonly rack: string | null;
}

/** The WAL of one process, in slots that are objects (src/stream/slot-format.ts). */
export interface WalInfo {
  /** Of the process that writes it. */
  readonly epoch: NodeEpoch;
  /** The first that is needed; what lies before it is in committed objects, or of streams that are gone. */
  readonly slot: number;
  /** The writer begins no slot before the one this many below it is durable. */
  readonly slotsInFlightMax: number;
}

export interface Topic {
  readonly id: Uuid;
  readonly name: string;
  /** Index is the partition number. */
  readonly partitions: readonly StreamId[];
  readonly configs: Configs;
  /** How many topics of this name there were before. */
  readonly predecessors: number;
}

export interface StreamInfo {
  readonly id: StreamId;
  readonly topicId: Uuid;
  readonly partition: number;
  /** Grows by one at each open; 0 before the first. */
  readonly epoch: number;
  /** The writer; undefined before the first open. */
  readonly node: NodeId | undefined;
  readonly start: Offset;
  /** The end of what objects hold. */
  readonly end: Offset;
}

/** Of the partition: Kafka's first leader has epoch 0, a stream's first writer 1. */
export function leaderEpochOf({ epoch }: Pick<StreamInfo, "epoch">): number {
  return Math.max(0, epoch - 1);
}

export interface CommittedRange extends ObjectRange {
  readonly object: string;
}

export interface ObjectEntry {
  readonly key: string;
  readonly bytes: number;
  readonly kind: "stream-set" | "stream";
  readonly node: NodeId;
  readonly committedAt: Seq;
}

/** Stands before the first range, and goes on to the next. */
export interface RangeRows {
  /** Holds the range that it stands on, until it goes on. */
  readonly row: RangeRow;
  /** Whether there was a next one. */
  next(): boolean;
}

/** Facts of objects by the row that `RangeRows` names them by. Later the row may be another object's: committed at another time. */
export interface ObjectRows {
  key(row: number): string;
  bytes(row: number): number;
  kind(row: number): ObjectEntry["kind"];
  /** 0 of a row that is free. */
  committedAt(row: number): Seq;
}

export interface TableInfo {
  readonly id: Uuid;
  readonly topicId: Uuid;
  readonly generation: number;
  readonly catalog: string;
  readonly name: string;
  readonly state: "running" | "paused" | "diverged";
  readonly reason: string;
  readonly schemaVersion: number;
  readonly schema: Uint8Array;
  /** Not yet known to be in the table, oldest first. */
  readonly pending: readonly PendingRound[];
  /** Per partition of the lane "live": the end of what is pending or committed. */
  readonly translatedTo: ReadonlyMap<number, Offset>;
  /** Per partition: the end of what is committed. */
  readonly committedTo: ReadonlyMap<number, Offset>;
  /** The same of every lane. */
  readonly lanes: ReadonlyMap<string, ReadonlyMap<number, Offset>>;
  readonly committedLanes: ReadonlyMap<string, ReadonlyMap<number, Offset>>;
  /** Seq of the newest round that is known to be in the table; 0 before the first. */
  readonly committedSeq: Seq;
}

export interface PendingRound {
  readonly seq: Seq;
  readonly nodeEpoch: NodeEpoch;
  readonly lane: string;
  readonly schemaId: number;
  readonly specId: number;
  readonly mappingVersion: number;
  readonly ranges: readonly TableRange[];
  readonly main: RoundManifest | null;
  readonly deadLetters: RoundManifest | null;
  readonly deletes: RoundManifest | null;
}
