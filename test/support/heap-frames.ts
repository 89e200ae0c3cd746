import type { FrameMemory } from "../../src/server/frame-assembler.ts";

/** Each frame in memory of its own, which nobody has to release. */
export const heapFrames: FrameMemory = { take: (length) => new Uint8Array(length), release: () => undefined };
