/** The image as the fold keeps it: maps of small records that are replaced, and packed columns where there are many rows. */
import { type NodeEpoch, type NodeId, type Offset, type Seq, type StreamId, type Uuid, uuidZero } from "../base/ids.ts";
import { genesisHash } from "./entry-format.ts";
import type { Configs, FactTable, Refusal } from "./events.ts";
import type {
  CommittedRange,
  Image,
  NodeInfo,
  ObjectEntry,
  ObjectRows,
  RangeRows,
  StreamInfo,
  TableInfo,
  Topic,
  WalInfo,
} from "./image.ts";
import { ObjectTable } from "./object-table.ts";
import { RangeCells } from "./range-cells.ts";
import { type RangeCursor, RangeList } from "./range-list.ts";
import { ShardedMap, shardOfNumber } from "./sharded-map.ts";

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
  readonly ranges: RangeList;
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
  /** Of all streams. What a range says of its object is the row in the table below. */
  readonly rangeCells = new RangeCells();
  readonly objectTable = new ObjectTable();
  /** By row in the table of objects. */
  readonly unreferencedSince = new ShardedMap<number, Seq>(shardOfNumber);
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
    const cursor = this.streamStates.get(id)?.ranges.cursor();
    const found: CommittedRange[] = [];
    for (let has = cursor?.seekEndAfter(after); cursor !== undefined && has; has = cursor.next())
      found.push(this.#committedRange(id, cursor));
    return found;
  }

  rangeAfter(id: StreamId, after: Offset): CommittedRange | undefined {
    const cursor = this.streamStates.get(id)?.ranges.cursor();
    return cursor?.seekEndAfter(after) ? this.#committedRange(id, cursor) : undefined;
  }

  rangeRows(id: StreamId): RangeRows {
    return this.streamStates.get(id)?.ranges.cursor() ?? new RangeList(this.rangeCells).cursor();
  }

  get objectRows(): ObjectRows {
    return this.objectTable;
  }

  object(key: string): ObjectEntry | undefined {
    const row = this.objectTable.find(key);
    return row === 0 ? undefined : this.objectTable.entry(row);
  }

  *objects(): Iterable<ObjectEntry> {
    for (const row of this.objectTable.rows()) yield this.objectTable.entry(row);
  }

  *unreferenced(): Iterable<{ readonly object: string; readonly since: Seq }> {
    for (const [row, since] of this.unreferencedSince) yield { object: this.objectTable.key(row), since };
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

  decision(node: NodeId, opId: Uuid): Decision | undefined {
    return this.decisions.get(node)?.get(opId);
  }

  isCurrent(node: NodeId, epoch: NodeEpoch): boolean {
    return this.nodeStates.get(node)?.epoch === epoch;
  }

  #committedRange(stream: StreamId, { row }: RangeCursor): CommittedRange {
    const { from, to, bytes, maxTimestamp, epoch } = row;
    return { stream, from, to, bytes, maxTimestamp, epoch, object: this.objectTable.key(row.object) };
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
