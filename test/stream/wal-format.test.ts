/** Proves: a WAL group is the bytes that were agreed on, gives back its records, and no other bytes pass for it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import type { Offset, StreamId } from "../../src/base/ids.ts";
import type { WalPlace, WalPosition, WalRecord } from "../../src/stream/wal.ts";
import {
  decodeHeader,
  encodeGroup,
  type GroupHeader,
  headerBytes,
  isBodyIntact,
  placeRecords,
  visitRecords,
} from "../../src/stream/wal-format.ts";

const link = { walId: 77, epoch: 5, seq: 9, position: 8192, durable: 4096, trimmed: 100, previousCrc: 0xfedcba98 };

function record(i: number, bytes: Uint8Array): WalRecord {
  const ids = { stream: (100 + i) as StreamId, epoch: 3, maxTimestamp: i === 0 ? -1 : 1_700_000_000_000 };
  return { ...ids, after: i as Offset, from: (i + 1) as Offset, to: (2 ** 40 + i) as Offset, bytes };
}

function decode(bytes: Uint8Array): { records: WalRecord[]; ends: WalPosition[]; places: WalPlace[] } | undefined {
  const header = decodeHeader(bytes, 0, link.position);
  if (header === undefined || !isBodyIntact(bytes, 0, header)) return undefined;
  const records: WalRecord[] = [];
  const ends: WalPosition[] = [];
  const places: WalPlace[] = [];
  visitRecords(bytes, 0, header, (found, end, place) => {
    records.push({ ...found, bytes: found.bytes.slice() });
    ends.push(end);
    places.push(place);
  });
  return { records, ends, places };
}

const sample = [
  record(0, Uint8Array.from(Buffer.from("hello"))),
  record(1, new Uint8Array()),
  record(2, new Uint8Array(9)),
];

function golden(version: number): Uint8Array {
  return Uint8Array.from(readFileSync(join(import.meta.dirname, `golden/wal-group-v${version}.bin`)));
}

test("golden file", () => {
  const { views, bytes } = encodeGroup(link, sample);
  expect(joined(views)).toEqual(golden(2));
  expect(bytes).toBe(golden(2).length);
  expect(decode(golden(2))?.records).toEqual(sample);
});

test("a group of the version before is read, and its checksum tried", () => {
  const before = golden(1);
  expect(decode(before)?.records).toEqual(sample);
  before[headerBytes + 3] = 1;
  expect(decodeHeader(before, 0, link.position)?.version).toBe(1);
  expect(decode(before)).toBeUndefined();
});

test("records come back, with the ends that the writer was told", () => {
  const memory = new Uint8Array(20_000).map((_, i) => i);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3000), fc.nat(9)), { maxLength: 20 }), (lengths) => {
      let at = 0;
      const records = lengths.map(([length, skip], i) => {
        const bytes = memory.subarray(at, at + length); // Often back to back, as in a slab.
        at = Math.min(memory.length, at + length + (skip === 0 ? 1 : 0));
        return record(i, bytes);
      });
      const { views, bytes } = encodeGroup(link, records);
      expect(bytes % 4096).toBe(0);
      const found = decode(joined(views));
      expect(found?.records).toEqual(records.map((one) => ({ ...one, bytes: one.bytes.slice() })));
      const told: [WalPosition, WalPlace][] = [];
      const group = { position: link.position as WalPosition, bytes };
      placeRecords(group, records, (_, end, place) => told.push([end, place]));
      expect(found?.ends).toEqual(told.map(([end]) => end));
      expect(found?.places).toEqual(told.map(([, place]) => place));
      const whole = joined(views);
      for (const [i, [, { at: from }]] of told.entries()) {
        const { bytes: expected } = records[i] as WalRecord;
        expect(whole.slice(from, from + expected.length)).toEqual(expected.slice());
      }
    }),
  );
});

test("a flip of any bit that is read makes it no group, and so does another position", () => {
  const good = joined(encodeGroup(link, sample).views);
  const header = decodeHeader(good, 0, link.position) as GroupHeader;
  const read = headerBytes + header.bodyBytes; // The header and the body; the rest is padding.
  for (let bit = 0; bit < read * 8; bit += 1) {
    const flipped = good.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(decode(flipped), `bit ${bit}`).toBeUndefined();
  }
  expect(decodeHeader(good, 0, 4096)).toBeUndefined();
  expect(decodeHeader(good.subarray(0, headerBytes - 1), 0, link.position)).toBeUndefined();
});
