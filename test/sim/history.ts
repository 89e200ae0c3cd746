/**
 * What clients of a simulated broker did and saw. Every record's value is unique. `begun` and `ended` are ticks of one
 * counter: of two operations the first was over before the second began exactly when its `ended` is smaller.
 */

/** "topic-index". */
export type PartitionName = string;

export interface Span {
  readonly begun: number;
  ended: number;
}

/** One batch of an idempotent producer, in the order in which it gave them to the partition. */
export interface Send extends Span {
  readonly producer: string;
  readonly partition: PartitionName;
  readonly values: readonly string[];
  /** "refused": the broker said that it did not append it; "unknown": nobody was told. */
  outcome: "acked" | "refused" | "unknown";
  /** Of the first record; -1 unless acked. */
  offset: number;
}

export interface SeenRecord {
  readonly offset: number;
  readonly value: string;
}

/** An answer for one partition of a fetch from offset `from`. */
export interface Poll extends Span {
  readonly consumer: string;
  readonly partition: PartitionName;
  readonly from: number;
  readonly records: readonly SeenRecord[];
  readonly logStart: number;
  readonly lastStable: number;
  readonly highWatermark: number;
}

/** A group's offset committed ("acked" or "unknown"), or asked for ("read"; -1 when there is none). */
export interface GroupOffset extends Span {
  readonly group: string;
  readonly partition: PartitionName;
  readonly offset: number;
  outcome: "acked" | "unknown" | "read";
}

export interface RecordsDeleted extends Span {
  readonly partition: PartitionName;
  readonly before: number;
  outcome: "acked" | "unknown";
}

export interface TopicCreated extends Span {
  readonly topic: string;
  outcome: "acked" | "unknown";
}

/** A flush of the table that was answered. */
export interface Flush extends Span {
  readonly committedTo: ReadonlyMap<PartitionName, number>;
}

export interface TableRow {
  readonly partition: PartitionName;
  readonly offset: number;
  readonly value: string;
}

/** Read when everything is healed and nothing is under way. */
export interface FinalState {
  readonly logs: ReadonlyMap<
    PartitionName,
    { readonly logStart: number; readonly highWatermark: number; readonly records: readonly SeenRecord[] }
  >;
  readonly topics: ReadonlySet<string>;
  /** Partitions whose log start moves without anybody asking. */
  readonly retained: ReadonlySet<PartitionName>;
  /** Partitions that keep the newest record of each key, and may lose the others. */
  readonly compacted: ReadonlySet<PartitionName>;
  /** What the metadata says of objects and what the store holds, where they do not agree. */
  readonly objects: { readonly missing: readonly string[]; readonly unknown: readonly string[] };
  readonly table: {
    readonly partitions: readonly PartitionName[];
    readonly committedTo: ReadonlyMap<PartitionName, number>;
    readonly rows: readonly TableRow[];
  };
}

export class History {
  readonly sends: Send[] = [];
  readonly polls: Poll[] = [];
  readonly groupOffsets: GroupOffset[] = [];
  readonly deletions: RecordsDeleted[] = [];
  readonly topics: TopicCreated[] = [];
  readonly flushes: Flush[] = [];
  final: FinalState | undefined;
  #tick = 0;

  tick(): number {
    this.#tick += 1;
    return this.#tick;
  }
}
