/** The canonical form of a row and the checksum of a table. canonical.py says what it is, and both must agree. */
import { createHash } from "node:crypto";

/** What a column can hold: integers as bigint, floats as number, timestamps as {micros}, dates as {days}, decimals as text, uuids as bytes, maps as entries in their keys' order. */
export type Cell =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | { readonly micros: bigint }
  | { readonly days: number }
  /** Of a day, in microseconds. */
  | { readonly time: bigint }
  /** Without trailing zeros behind the point. */
  | { readonly decimal: string }
  | readonly Cell[]
  | { readonly struct: readonly Cell[] };

export function canonical(value: Cell): string {
  if (value === null) return "~";
  if (typeof value === "boolean") return value ? "t" : "f";
  if (typeof value === "bigint") return `i${value}`;
  if (Number.isNaN(value)) return "d7ff8000000000000";
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return `d${bytes.toString("hex")}`;
  }
  if (typeof value === "string") return `s${Buffer.byteLength(value)}:${value}`;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("hex")}`;
  if ("micros" in value) return `T${value.micros}`;
  if ("days" in value) return `D${value.days}`;
  if ("time" in value) return `H${value.time}`;
  if ("decimal" in value) return `n${value.decimal}`;
  if ("struct" in value) return `{${value.struct.map(canonical).join(",")}}`;
  return `[${value.map(canonical).join(",")}]`;
}

/** Adds rows one by one, in any order. */
export class TableChecksum {
  #rows = 0;
  #sum = 0n;

  add(row: readonly Cell[]): void {
    const digest = createHash("sha256").update(row.map(canonical).join("\u001f")).digest();
    this.#sum = (this.#sum + digest.readBigUInt64BE(0)) & 0xffffffffffffffffn;
    this.#rows += 1;
  }

  result(): { readonly rows: number; readonly checksum: string } {
    return { rows: this.#rows, checksum: this.#sum.toString(16).padStart(16, "0") };
  }
}
