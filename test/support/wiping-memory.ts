/** Memory for blocks that is overwritten as soon as nobody may look at it any more, so that who still does sees it. */
import { BlockMemory } from "../../src/stream/block-memory.ts";

export function wipingMemory(bytes: number): BlockMemory {
  return new BlockMemory(bytes, { make: (size) => new Uint8Array(size), freed: (room) => room.fill(0xdb) });
}
