/** What Kafka says of a record, as columns: partition, offset, timestamp and its type, headers. */

import { BadRecord } from "../decode/bad-record.ts";
import { isValidUtf8 } from "../decode/put-text.ts";
import {
  type ColumnNode,
  type Columns,
  type ListNode,
  putAbsent,
  putEmpty,
  type StructNode,
} from "../parquet/columns.ts";
import type { OwnColumns } from "../schema/schema-map.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf } from "./leaf.ts";

export interface RecordHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Where a record stands, the same object for all records of a batch but for offset and timestamp. */
export interface RecordPlace {
  readonly partition: number;
  offset: number;
  /** Milliseconds; -1 is none. */
  timestamp: number;
  readonly timestampType: "create" | "append";
}

/** 0001-01-01 and the last millisecond of 9999: what every engine can show. */
const timestampMin = -62_135_596_800_000;
const timestampMax = 253_402_300_799_999;

/** Absent for -1, which is Kafka's none, and for what no calendar of the engines holds. */
export function putTimestamp(node: ColumnNode, timestampMs: number): void {
  const leaf = node.leaves[0] as Int64Leaf;
  const micros = timestampMs * 1000;
  if (timestampMs === -1 || !isTimestampInRange(timestampMs)) putAbsent(node, 0);
  else if (Number.isSafeInteger(micros)) leaf.putNumber(0, micros);
  else leaf.putBigInt(0, BigInt(timestampMs) * 1000n); // From the year 2255 on a double has not all of them.
}

export function isTimestampInRange(timestampMs: number): boolean {
  return timestampMs >= timestampMin && timestampMs <= timestampMax;
}

/** Spelled as Kafka's topic config message.timestamp.type does. */
const typeTexts = {
  create: new TextEncoder().encode("CreateTime"),
  append: new TextEncoder().encode("LogAppendTime"),
};

export interface MetadataPut {
  /** Everything but headers and key. */
  place(place: RecordPlace): void;
  /** True when the table has a headers column. */
  readonly wantsHeaders: boolean;
  headers(headers: readonly RecordHeader[]): void;
}

export function compileMetadata(columns: Columns, own: OwnColumns): MetadataPut {
  const nodes = new Map(columns.root.fields.map((field) => [field.node.id, field.node]));
  const nodeOf = (id: number | undefined): ColumnNode | undefined => (id === undefined ? undefined : nodes.get(id));
  const partition = nodeOf(own.partition)?.leaves[0] as Int32Leaf | undefined;
  const offset = nodeOf(own.offset)?.leaves[0] as Int64Leaf | undefined;
  const timestamp = nodeOf(own.timestamp);
  const type = nodeOf(own.timestamp_type)?.leaves[0] as BytesLeaf | undefined;
  const headersNode = nodeOf(own.headers) as ListNode | undefined;
  return {
    place(place) {
      partition?.put(0, place.partition);
      offset?.putNumber(0, place.offset);
      if (timestamp !== undefined) putTimestamp(timestamp, place.timestamp);
      const text = typeTexts[place.timestampType];
      type?.put(0, text, 0, text.length);
    },
    wantsHeaders: headersNode !== undefined,
    headers(headers) {
      if (headersNode === undefined) return;
      if (headers.length === 0) putEmpty(headersNode, 0);
      else putHeaders(headersNode, headers);
    },
  };
}

/** One or more headers, in order; a key that is no text makes the record bad. */
export function putHeaders(node: ListNode, headers: readonly RecordHeader[]): void {
  const element = node.element as StructNode;
  const [key, value] = element.fields.map((field) => field.node) as [ColumnNode, ColumnNode];
  headers.forEach((header, at) => {
    const rep = at === 0 ? 0 : node.rep;
    if (!isValidUtf8(header.key, 0, header.key.length)) throw new BadRecord("invalid-utf8", "in a header's key");
    (key.leaves[0] as BytesLeaf).put(rep, header.key, 0, header.key.length);
    if (header.value === null) putAbsent(value, rep);
    else (value.leaves[0] as BytesLeaf).put(rep, header.value, 0, header.value.length);
  });
}
