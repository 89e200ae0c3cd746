/** Reads and writes the fixed layouts of schemas/stream-format.ts. */
import type { Fields, FieldType } from "../../schemas/stream-format.ts";
import { assert, CorruptData } from "../base/errors.ts";
import { type Uuid, uuidFromBytes, writeUuid } from "../base/ids.ts";

export interface Layout<F extends Fields> {
  readonly bytes: number;
  write(into: Uint8Array, at: number, values: Values<F>): void;
  /** Throws CorruptData when the bytes end before the layout does, or hold an integer beyond 2^53. */
  read(from: Uint8Array, at: number, source: string): Values<F>;
}

export type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends "uuid" ? Uuid : number;
};

export function layout<F extends Fields>(fields: F): Layout<F> {
  const { bytes, write, read } = compile<F>(fields);
  return {
    bytes,
    write(into, at, values) {
      write(viewOf(into), at, values);
    },
    read(from, at, source) {
      if (at < 0 || at + bytes > from.length) {
        const found = `${Math.max(0, from.length - at)}`;
        throw new CorruptData({ source, position: at, expected: `${bytes} bytes`, found });
      }
      return read(viewOf(from), at, source);
    },
  };
}

interface Compiled<F extends Fields> {
  readonly bytes: number;
  readonly write: (view: DataView, at: number, values: Values<F>) => void;
  readonly read: (view: DataView, at: number, source: string) => Values<F>;
}

/** Plain code, a line a field: a WAL group is written for nearly every request, and a walk over the fields cost as much as its checksum. */
function compile<F extends Fields>(fields: F): Compiled<F> {
  const writes: string[] = [];
  const reads: string[] = [];
  let bytes = 0;
  for (const [name, type] of Object.entries(fields)) {
    writes.push(`write.${type}(view, at + ${bytes}, values.${name});`);
    reads.push(`${name}: read.${type}(view, at + ${bytes}, source)`);
    bytes += bytesOf[type];
  }
  const write = `function (view, at, values) { ${writes.join(" ")} }`;
  const read = `function (view, at, source) { return { ${reads.join(", ")} }; }`;
  // oxlint-disable-next-line typescript/no-implied-eval -- The source is made from layouts of our own alone.
  const make = new Function("write", "read", `"use strict"; return { write: ${write}, read: ${read} };`);
  return { bytes, ...(make(writeField, readField) as Omit<Compiled<F>, "bytes">) };
}

const bytesOf: Readonly<Record<FieldType, number>> = { u32: 4, i64: 8, uuid: 16 };
const twoTo32 = 2 ** 32;

const writeField = {
  u32(view: DataView, at: number, value: number): void {
    assert(value >>> 0 === value, "not a uint32");
    view.setUint32(at, value);
  },
  i64(view: DataView, at: number, value: number): void {
    assert(Number.isSafeInteger(value), "not a safe integer");
    view.setInt32(at, Math.floor(value / twoTo32));
    view.setUint32(at + 4, value >>> 0); // ToUint32 takes the low 32 bits of any safe integer, negative ones too.
  },
  uuid(view: DataView, at: number, value: Uuid): void {
    writeUuid(value, new Uint8Array(view.buffer, view.byteOffset, view.byteLength), at);
  },
} as const satisfies Record<FieldType, unknown>;

const readField = {
  u32: (view: DataView, at: number): number => view.getUint32(at),
  i64(view: DataView, at: number, source: string): number {
    const value = view.getInt32(at) * twoTo32 + view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) {
      throw new CorruptData({ source, position: at, expected: "an integer below 2^53", found: "a larger one" });
    }
    return value;
  },
  uuid: (view: DataView, at: number): Uuid => uuidFromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 16)),
} as const satisfies Record<FieldType, unknown>;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
