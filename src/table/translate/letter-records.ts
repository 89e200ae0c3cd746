/**
 * A dead letter as a record of a topic: key, value and headers as its producer sent them, and behind the headers where it
 * stood and why it became no row, as text.
 */
import type { Seq, Uuid } from "../../base/ids.ts";
import type { NewRecord } from "../../protocol/records.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { RecordHeader } from "./translate-metadata.ts";

/** Which letter it is. Letters of a table go to its topic in the order of these. */
export interface LetterPlace {
  readonly table: Uuid;
  /** Of the round that it belongs to. */
  readonly seq: Seq;
  readonly partition: number;
  readonly offset: number;
}

const names = {
  topic: "inlet.dlq.topic",
  partition: "inlet.dlq.partition",
  offset: "inlet.dlq.offset",
  timestamp: "inlet.dlq.timestamp",
  schemaId: "inlet.dlq.schema.id",
  reason: "inlet.dlq.reason",
  detail: "inlet.dlq.detail",
  table: "inlet.dlq.table",
  round: "inlet.dlq.round",
} as const;

/** `timestamp`: when it is written. The letter's own is among the headers. */
export function letterRecord(letter: DeadLetter, of: Pick<LetterPlace, "table" | "seq">, timestamp: number): NewRecord {
  const said = {
    topic: letter.topic,
    partition: letter.partition,
    offset: letter.offset,
    timestamp: letter.timestamp === -1 ? undefined : letter.timestamp,
    schemaId: letter.schemaId,
    reason: letter.reason,
    detail: letter.detail,
    table: of.table,
    round: of.seq,
  };
  const own = Object.entries(names).flatMap(([field, name]) => {
    const value = said[field as keyof typeof said];
    return value === undefined ? [] : [{ key: Buffer.from(name), value: Buffer.from(String(value)) }];
  });
  return { timestamp, key: letter.key, value: letter.value, headers: [...letter.headers, ...own] };
}

/** undefined: the record is no dead letter of ours. */
export function placeOfRecord(headers: readonly RecordHeader[]): LetterPlace | undefined {
  const texts = new Map<string, string>();
  // The last of a name is ours: a letter may have been one before.
  for (const { key, value } of headers) {
    if (value !== null) texts.set(Buffer.from(key).toString("utf8"), Buffer.from(value).toString("utf8"));
  }
  const number = (name: string): number => Number(texts.get(name) ?? Number.NaN);
  const table = texts.get(names.table);
  const [seq, partition, offset] = [number(names.round), number(names.partition), number(names.offset)];
  if (table === undefined || ![seq, partition, offset].every(Number.isSafeInteger)) return undefined;
  return { table: table as Uuid, seq: seq as Seq, partition, offset };
}

export function comparePlaces(one: Omit<LetterPlace, "table">, other: Omit<LetterPlace, "table">): number {
  return one.seq - other.seq || one.partition - other.partition || one.offset - other.offset;
}
