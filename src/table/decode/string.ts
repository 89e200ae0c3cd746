/** Bytes that are text into a string column; a bad record when they are not UTF-8. */
import type { BytesLeaf } from "../translate/leaf.ts";
import { putUtf8 } from "./put-text.ts";

export function putText(leaf: BytesLeaf, bytes: Uint8Array): void {
  putUtf8(leaf, 0, bytes, 0, bytes.length);
}
