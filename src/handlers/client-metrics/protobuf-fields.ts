/** Protobuf's wire format, as far as OpenTelemetry's messages need it. Throws CorruptData. Pure. */
import { ByteReader } from "../../base/bytes.ts";

export interface ProtobufField {
  readonly number: number;
  /** Of a varint; else 0. */
  readonly integer: bigint;
  /** Of everything else; else none. */
  readonly bytes: Uint8Array;
}

const source = "pushed client metrics";
/** Longer texts are cut: they become labels. */
export const textCharactersMax = 200;
const none = new Uint8Array();

/** How many more fields may be read: each takes many times its bytes. */
export interface FieldBudget {
  left: number;
}

export function* messages(bytes: Uint8Array, wanted: number, budget: FieldBudget): Iterable<Uint8Array> {
  for (const { number, bytes: content } of fieldsOf(bytes, budget)) if (number === wanted) yield content;
}

export function* fieldsOf(bytes: Uint8Array, budget: FieldBudget): Iterable<ProtobufField> {
  const reader = new ByteReader(bytes, { source });
  while (reader.remaining > 0) {
    spend(budget, 1);
    const tag = reader.uvarint();
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) yield { number, integer: varint(reader), bytes: none };
    else if (wire === 1) yield { number, integer: 0n, bytes: reader.view(8) };
    else if (wire === 2) yield { number, integer: 0n, bytes: reader.view(reader.uvarint()) };
    else if (wire === 5) yield { number, integer: 0n, bytes: reader.view(4) };
    else reader.corrupt("a wire type of protobuf", String(wire));
  }
}

/** Ten bytes at most hold 64 bits. */
function varint(reader: ByteReader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.uint8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  return reader.corrupt("a varint of at most 10 bytes", "more");
}

export function double(bytes: Uint8Array): number {
  return view(bytes, 8).getFloat64(0, true);
}

export function view(bytes: Uint8Array, length: number): DataView {
  if (bytes.length !== length) new ByteReader(bytes, { source }).corrupt(`${length} bytes`, String(bytes.length));
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

export function text(bytes: Uint8Array): string {
  const read = Math.min(bytes.length, textCharactersMax * 4); // No character of UTF-8 has more bytes.
  return Buffer.from(bytes.buffer, bytes.byteOffset, read).toString().slice(0, textCharactersMax);
}

/** A field of 8 bytes: one, or many that are packed. */
export function* eights(bytes: Uint8Array, budget: FieldBudget): Iterable<DataView> {
  spend(budget, bytes.length / 8);
  for (let at = 0; at < bytes.length; at += 8) yield view(bytes.subarray(at, at + 8), 8);
}

/** How many of something there are. */
export function fixed64(bytes: Uint8Array): number {
  return Number(view(bytes, 8).getBigUint64(0, true));
}

function spend(budget: FieldBudget, fields: number): void {
  budget.left -= fields;
  if (budget.left < 0) corrupt("fewer fields", "more than any client has");
}

export function corrupt(expected: string, found: string): never {
  return new ByteReader(none, { source }).corrupt(expected, found);
}
