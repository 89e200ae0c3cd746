/** What the simulation's records look like: the value says the key, and so a tombstone has a header that says who it is. */
import type { NewRecord, RecordCursor } from "../../src/protocol/records.ts";

const tombstone = /^k\d+\.gone\./;

/** undefined for values that belong to no key. */
export function keyOf(value: string): string | undefined {
  return /^k\d+(?=\.)/.exec(value)?.[0];
}

export function isTombstone(value: string): boolean {
  return tombstone.test(value);
}

export function recordOf(value: string, timestamp: number): NewRecord {
  const key = keyOf(value);
  return {
    timestamp,
    key: key === undefined ? null : Buffer.from(key),
    value: isTombstone(value) ? null : Buffer.from(value),
    headers: isTombstone(value) ? [{ key: Buffer.from("value"), value: Buffer.from(value) }] : [],
  };
}

export function valueOf(record: RecordCursor): string {
  return Buffer.from(record.value ?? record.headers()[0]?.value ?? []).toString();
}
