/** Puts strings into columns: every byte that came, if it is UTF-8, and a bad record otherwise (rule A6). */
import { isUtf8 } from "node:buffer";
import type { BytesLeaf, FixedLeaf } from "../translate/leaf.ts";
import { BadRecord } from "./bad-record.ts";

/** Below this a loop is faster than a call into the runtime. */
const scanLoopBytesMax = 64;

export function putUtf8(leaf: BytesLeaf, rep: number, bytes: Uint8Array, start: number, end: number): void {
  if (leaf.putText(rep, bytes, start, end)) return;
  throw new BadRecord("invalid-utf8", `in column ${leaf.shape.path.join(".")}`);
}

export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start <= scanLoopBytesMax) {
    let seen = 0;
    for (let at = start; at < end; at += 1) seen |= bytes[at] as number;
    if (seen < 128) return true;
  }
  return isUtf8(bytes.subarray(start, end));
}

const uuidText = new Uint8Array(16);

/** A UUID in its text form, with dashes or without. */
export function putUuidText(leaf: FixedLeaf, rep: number, bytes: Uint8Array, start: number, end: number): void {
  let digits = 0;
  for (let at = start; at < end; at += 1) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === dash) continue;
    if (digit < 0 || digits === 32) throw notUuid();
    const into = digits >>> 1;
    uuidText[into] = ((digits & 1) === 0 ? 0 : (uuidText[into] as number) << 4) | digit;
    digits += 1;
  }
  if (digits !== 32) throw notUuid();
  leaf.put(rep, uuidText, 0);
}

/** Whether putUuidText takes it. */
export function isUuidText(text: string): boolean {
  return /^[\da-f]{32}$/i.test(text.replaceAll("-", ""));
}

const dash = -2;

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  if (lower >= 97 && lower <= 102) return lower - 87;
  return byte === 45 ? dash : -1;
}

function notUuid(): BadRecord {
  return new BadRecord("malformed", "a UUID is 32 hexadecimal digits");
}
