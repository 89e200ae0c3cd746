/** Reads and writes the fixed layouts of schemas/stream-format.ts. */
import type { Fields, FieldType } from "../../schemas/stream-format.ts";
import { assert, CorruptData } from "../base/errors.ts";
import { type Uuid, uuidFromBytes, uuidToBytes } from "../base/ids.ts";

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
  const names = Object.keys(fields);
  const types = names.map((name) => fields[name] as FieldType);
  const bytes = types.reduce((sum, type) => sum + bytesOf[type], 0);
  return {
    bytes,
    write(into, at, values) {
      const view = viewOf(into);
      let position = at;
      for (let i = 0; i < names.length; i += 1) {
        const type = types[i] as FieldType;
        writeField(view, position, type, values[names[i] as string] as number | Uuid);
        position += bytesOf[type];
      }
    },
    read(from, at, source) {
      if (at < 0 || at + bytes > from.length) {
        const found = `${Math.max(0, from.length - at)}`;
        throw new CorruptData({ source, position: at, expected: `${bytes} bytes`, found });
      }
      const view = viewOf(from);
      const values: Record<string, number | Uuid> = {};
      let position = at;
      for (let i = 0; i < names.length; i += 1) {
        const type = types[i] as FieldType;
        values[names[i] as string] = readField(view, position, type, source);
        position += bytesOf[type];
      }
      return values as Values<F>;
    },
  };
}

const bytesOf: Readonly<Record<FieldType, number>> = { u32: 4, i64: 8, uuid: 16 };
const twoTo32 = 2 ** 32;

function writeField(view: DataView, at: number, type: FieldType, value: number | Uuid): void {
  if (type === "uuid") {
    new Uint8Array(view.buffer, view.byteOffset + at, 16).set(uuidToBytes(value as Uuid));
    return;
  }
  const number = value as number;
  if (type === "u32") {
    assert(number >>> 0 === number, "not a uint32");
    view.setUint32(at, number);
  } else {
    assert(Number.isSafeInteger(number), "not a safe integer");
    view.setInt32(at, Math.floor(number / twoTo32));
    view.setUint32(at + 4, number >>> 0); // ToUint32 takes the low 32 bits of any safe integer, negative ones too.
  }
}

function readField(view: DataView, at: number, type: FieldType, source: string): number | Uuid {
  if (type === "uuid") return uuidFromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 16));
  if (type === "u32") return view.getUint32(at);
  const value = view.getInt32(at) * twoTo32 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) {
    throw new CorruptData({ source, position: at, expected: "an integer below 2^53", found: "a larger one" });
  }
  return value;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
