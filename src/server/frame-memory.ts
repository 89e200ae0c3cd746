/**
 * Memory for request frames. A produce request lies in a slab, so that its batches stay where they were first copied to;
 * any other frame has memory of its own, for a view of it may be kept for long (the metadata of a group's member).
 */
import type { Owned } from "../base/ids.ts";
import type { Slabs } from "../base/slabs.ts";
import type { FrameMemory } from "./frame-assembler.ts";

export function frameMemory(slabs: Slabs): FrameMemory {
  return {
    take: (length, beginning) =>
      isProduce(beginning) ? slabs.take(length) : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer),
    release: (frame) => {
      if (slabs.hold(frame)) slabs.release(frame as Owned);
    },
  };
}

/** The API key comes first, and Produce has key 0. */
function isProduce(beginning: Uint8Array): boolean {
  return beginning.length >= 2 && beginning[0] === 0 && beginning[1] === 0;
}
