/** Bytes as they came into a binary column. */
import type { BytesLeaf } from "../translate/leaf.ts";

export function putRaw(leaf: BytesLeaf, bytes: Uint8Array): void {
  leaf.put(0, bytes, 0, bytes.length);
}
