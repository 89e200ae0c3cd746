/** The image as the fold keeps it: maps of small records that are replaced, and packed columns where there are many rows. */
import { assert } from "../base/errors.ts";
import { type NodeEpoch, type NodeId, type Offset, type Seq, type StreamId, type Uuid, uuidZero } from "../base/ids.ts";
import { genesisHash } from "./entry-format.ts";
import type { Configs, FactTable, Refusal } from "./events.ts";
import type { CommittedRange, Image, NodeInfo, ObjectEntry, StreamInfo, TableInfo, Topic, WalInfo } from "./image.ts";
import type { RangeColumns } from "./range-columns.ts";
import { ShardedMap, shardOfNumber, shardOfString } from "./sharded-map.ts";

export interface NodeState extends NodeInfo {
  readonly incarnation: Uuid;
  readonly wals: readonly WalInfo[];
}

/** Changed in place, by the fold alone. */
export interface StreamState {
  readonly id: StreamId;
  readonly topicId: Uuid;
  readonly partition: number;
  epoch: number;
  node: NodeId | undefined;
  start: Offset;
  end: Offset;
  readonly ranges: RangeColumns;
}

export interface ObjectState extends ObjectEntry {
  /** Stands for the key in range columns; given out in order, never reused. */
  readonly number: number;
  /** Ranges that streams still hold in it. At 0 it is unreferenced. */
  live: number;
}

export type TableState = TableInfo;

/** What the fold decided about an entry: null for an accepted group. */
export interface Decision {
  readonly seq: Seq;
  readonly refusals: readonly (Refusal | null)[];
}

export const noConfigs: Configs = new Map();
const noFacts: ReadonlyMap<string, string> = new Map();
const noOffsets: ReadonlyMap<number, Offset> = new Map();

export class ImageState implements Image {
  /** The opId of the first entry: as unique as a cluster id must be, and in the log from the start. */
  clusterId: Uuid = uuidZero;
  seq = 0 as Seq;
  /** Of the last entry applied. */
  hash: Uint8Array = genesisHash;
  nextProducerId = 0;
  /** Seq of the entry that last gave out producer ids. */
  producerIdsAt = 0 as Seq;
  nextStreamId = 1;
  nextObjectNumber = 1;
  partitionCount = 0;

  readonly nodeStates = new Map<NodeId, NodeState>();
  readonly configsOfBrokers = new Map<NodeId | null, Configs>();
  /** Operations of each node, newest last, a bounded number of them: a repeat is answered, not applied. */
  readonly decisions = new Map<NodeId, Map<Uuid, Decision>>();
  readonly topicsById = new Map<Uuid, Topic>();
  readonly topicIds = new Map<string, Uuid>();
  /** Names of deleted topics too. */
  readonly topicGenerations = new Map<string, number>();
  readonly streamStates = new ShardedMap<StreamId, StreamState>(shardOfNumber);
  readonly objectsByKey = new ShardedMap<string, ObjectState>(shardOfString);
  readonly objectsByNumber = new ShardedMap<number, ObjectState>(shardOfNumber);
  readonly unreferencedSince = new Map<string, Seq>();
  readonly tableStates = new Map<Uuid, TableState>();
  readonly factTables = new Map<FactTable, Map<string, string>>();
  readonly namespaceProperties = new Map<string, Configs>();
  readonly pointers = new Map<string, Map<string, string>>();

  node(id: NodeId): NodeInfo | undefined {
    return this.nodeStates.get(id);
  }

  nodes(): Iterable<NodeInfo> {
    return this.nodeStates.values();
  }

  wals(id: NodeId): readonly WalInfo[] {
    return this.nodeStates.get(id)?.wals ?? [];
  }

  brokerConfigs(id: NodeId | null): Configs {
    return this.configsOfBrokers.get(id) ?? noConfigs;
  }

  topic(id: Uuid): Topic | undefined {
    return this.topicsById.get(id);
  }

  topicByName(name: string): Topic | undefined {
    const id = this.topicIds.get(name);
    return id === undefined ? undefined : this.topicsById.get(id);
  }

  topics(): Iterable<Topic> {
    return this.topicsById.values();
  }

  stream(id: StreamId): StreamInfo | undefined {
    return this.streamStates.get(id);
  }

  streams(): Iterable<StreamInfo> {
    return this.streamStates.values();
  }

  ranges(id: StreamId, after: Offset): readonly CommittedRange[] {
    const ranges = this.streamStates.get(id)?.ranges;
    if (ranges === undefined) return [];
    const found: CommittedRange[] = [];
    for (let index = ranges.firstEndingAfter(after); index < ranges.length; index++) {
      const { from, to, bytes, maxTimestamp, epoch, object } = ranges.at(index); // Named one by one: this is a hot path.
      found.push({ stream: id, from, to, bytes, maxTimestamp, epoch, object: this.objectByNumber(object).key });
    }
    return found;
  }

  object(key: string): ObjectEntry | undefined {
    return this.objectsByKey.get(key);
  }

  objects(): Iterable<ObjectEntry> {
    return this.objectsByNumber.values();
  }

  *unreferenced(): Iterable<{ readonly object: string; readonly since: Seq }> {
    for (const [object, since] of this.unreferencedSince) yield { object, since };
  }

  table(id: Uuid): TableInfo | undefined {
    return this.tableStates.get(id);
  }

  tables(): Iterable<TableInfo> {
    return this.tableStates.values();
  }

  fact(table: FactTable, key: string): string | undefined {
    return this.factTables.get(table)?.get(key);
  }

  facts(table: FactTable): ReadonlyMap<string, string> {
    return this.factTables.get(table) ?? noFacts;
  }

  namespace(name: string): Configs | undefined {
    return this.namespaceProperties.get(name);
  }

  namespaces(): Iterable<readonly [name: string, properties: Configs]> {
    return this.namespaceProperties;
  }

  tablePointer(namespace: string, table: string): string | undefined {
    return this.pointers.get(namespace)?.get(table);
  }

  tablePointers(namespace: string): Iterable<readonly [table: string, location: string]> {
    return this.pointers.get(namespace) ?? [];
  }

  /** Every number in a range column has an object: both change in one group. */
  objectByNumber(number: number): ObjectState {
    const object = this.objectsByNumber.get(number);
    assert(object !== undefined, `no object has number ${number}`);
    return object;
  }

  decision(node: NodeId, opId: Uuid): Decision | undefined {
    return this.decisions.get(node)?.get(opId);
  }

  isCurrent(node: NodeId, epoch: NodeEpoch): boolean {
    return this.nodeStates.get(node)?.epoch === epoch;
  }
}

/** The table with its per-lane offsets, of which those of the lane "live" are what others see. */
export function tableWith(table: TableState, change: Partial<TableState>): TableState {
  const changed = { ...table, ...change };
  return {
    ...changed,
    translatedTo: changed.lanes.get(liveLane) ?? noOffsets,
    committedTo: changed.committedLanes.get(liveLane) ?? noOffsets,
  };
}

const liveLane = "live";
