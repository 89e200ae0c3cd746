/** Bytes that are text into a column; a bad record when they are not UTF-8. */
import type { BytesLeaf, Leaf } from "../translate/leaf.ts";
import { BadRecord } from "./bad-record.ts";
import { compileCast } from "./cast.ts";
import { isValidUtf8, putUtf8 } from "./put-text.ts";

export function putText(leaf: BytesLeaf, bytes: Uint8Array): void {
  putUtf8(leaf, 0, bytes, 0, bytes.length);
}

/** Into a column of a type that a person gave. */
export function compileTextCast(leaf: Leaf): (bytes: Uint8Array) => void {
  const put = compileCast(leaf);
  return (bytes) => {
    if (!isValidUtf8(bytes, 0, bytes.length))
      throw new BadRecord("invalid-utf8", `in column ${leaf.shape.path.join(".")}`);
    put({ text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8"), isText: true }, 0);
  };
}
