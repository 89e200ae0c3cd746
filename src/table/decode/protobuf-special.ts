/** Well-known messages that are one value of a column: timestamps, dates, times of day, wrapped scalars. */
import { assert } from "../../base/errors.ts";
import type { ProtobufSpecial } from "../schema/schema-map-protobuf.ts";
import type { Leaf } from "../translate/leaf.ts";
import { decimalText, unscaledAt } from "./avro-scalar.ts";
import { BadRecord } from "./bad-record.ts";
import { compileCast } from "./cast.ts";
import { type ProtobufReader, wire } from "./protobuf-reader.ts";
import { compileProtobufScalar, type ScalarPut } from "./protobuf-scalar.ts";
import { daysFromCivil } from "./time-text.ts";

/** Writes a message's content, [start, end) of the reader's bytes. */
export interface ContentPut {
  put(reader: ProtobufReader, start: number, end: number, rep: number): void;
}

export function compileSpecial(special: Exclude<ProtobufSpecial, { readonly kind: "json" }>, leaf: Leaf): ContentPut {
  if (special.kind === "wrapper") return compileWrapper(compileProtobufScalar(special.scalar, leaf));
  switch (special.type) {
    case "timestamptz":
      return compileTimestamp(leaf);
    case "date":
      return compileDate(leaf);
    case "time":
      return compileTime(leaf);
  }
}

/** Of a message that wraps the scalar. */
export function compileWrapper(scalarPut: ScalarPut): ContentPut {
  return {
    put(reader, start, end, rep) {
      let found = -1;
      eachField(reader, start, end, (number, kind) => {
        if (number === 1 && kind === scalarPut.wire) found = reader.at;
      });
      if (found < 0) scalarPut.zero(rep);
      else {
        reader.at = found;
        scalarPut.put(reader, rep);
      }
    },
  };
}

/** 2^63 microseconds, in whole seconds. */
const timestampSecondsMax = 9_223_372_036_854;

/** seconds = 1, nanos = 2; nanoseconds floor to microseconds. */
function compileTimestamp(leaf: Leaf): ContentPut {
  assert(leaf.kind === "int64", "a timestamp column holds 64 bits");
  return {
    put(reader, start, end, rep) {
      const [seconds = 0, nanos = 0] = wholeNumbers(reader, start, end, 2);
      if (Math.abs(seconds) >= timestampSecondsMax) throw new BadRecord("out-of-range", `timestamp of ${seconds} s`);
      const micros = Math.floor((nanos | 0) / 1000);
      const total = seconds * 1_000_000 + micros;
      if (Number.isSafeInteger(total)) leaf.putNumber(rep, total);
      else leaf.putBigInt(rep, BigInt(seconds) * 1_000_000n + BigInt(micros));
    },
  };
}

/** year = 1, month = 2, day = 3. One without any is not set; one with parts missing is no day. */
function compileDate(leaf: Leaf): ContentPut {
  assert(leaf.kind === "int32", "a date column holds 32 bits");
  return {
    put(reader, start, end, rep) {
      const [year = 0, month = 0, day = 0] = wholeNumbers(reader, start, end, 3);
      const days = year < 1 || year > 9999 ? undefined : daysFromCivil(year, month, day);
      if (days === undefined) throw new BadRecord("out-of-range", `${year}-${month}-${day} is no day of the calendar`);
      leaf.put(rep, days);
    },
  };
}

/** hours = 1, minutes = 2, seconds = 3, nanos = 4. */
function compileTime(leaf: Leaf): ContentPut {
  assert(leaf.kind === "int64", "a time column holds 64 bits");
  return {
    put(reader, start, end, rep) {
      const [hours = 0, minutes = 0, seconds = 0, nanos = 0] = wholeNumbers(reader, start, end, 4);
      const isTime = within(hours, 23) && within(minutes, 59) && within(seconds, 59) && within(nanos, 999_999_999);
      if (!isTime) throw new BadRecord("out-of-range", `${hours}:${minutes}:${seconds} is no time of a day`);
      leaf.putNumber(rep, ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + Math.floor(nanos / 1000));
    },
  };
}

/** value = 1, an integer in two's complement; precision = 2; scale = 3, which need not be the column's. */
export function compileDecimal(leaf: Leaf): ContentPut {
  const put = compileCast(leaf);
  return {
    put(reader, start, end, rep) {
      let unscaled = 0n;
      eachField(reader, start, end, (number, kind) => {
        if (number !== 1 || kind !== wire.length) return;
        const at = reader.at;
        const from = reader.takeLength();
        unscaled = unscaledAt(reader.bytes, from, reader.at - from);
        reader.at = at;
      });
      const [, , scale = 0] = wholeNumbers(reader, start, end, 3);
      const isPlain = scale >= 0 && scale <= plainScaleMax;
      put({ text: isPlain ? decimalText(unscaled, scale) : `${unscaled}e${-scale}`, isText: false }, rep);
    },
  };
}

/** Beyond it zeros are left to the exponent: the scale is any number of 32 bits. */
const plainScaleMax = 1000;

function within(value: number, max: number): boolean {
  return value >= 0 && value <= max;
}

/** Fields 1 to `count`, varints all; 0 where there is none. Beyond 2^53 they are near enough to be seen as out of range. */
function wholeNumbers(reader: ProtobufReader, start: number, end: number, count: number): readonly number[] {
  const values = Array.from({ length: count }, () => 0);
  eachField(reader, start, end, (number, kind) => {
    if (number > count || kind !== wire.varint) return;
    const at = reader.at;
    reader.readVarint();
    values[number - 1] = reader.high * 4_294_967_296 + (reader.low >>> 0);
    reader.at = at;
  });
  return values;
}

/** Calls back with the reader at each value; it may move the reader only if it moves it back. */
function eachField(
  reader: ProtobufReader,
  start: number,
  end: number,
  visit: (number: number, kind: number) => void,
): void {
  const outer = reader.end;
  reader.at = start;
  reader.end = end;
  while (reader.at < end) {
    const tag = reader.readTag();
    visit(tag >>> 3, tag & 7);
    reader.skip(tag & 7, tag >>> 3);
  }
  reader.end = outer;
}
