/** A run of the fuzzer: one broker after the other, each for so many frames. Throws at the first failure, with the frame. */
import { setTimeout } from "node:timers/promises";
import { MiB } from "../../src/base/settings.ts";
import { collectGarbage } from "../support/garbage.ts";
import { seededRandom } from "../support/seeded.ts";
import { type FrameKind, frames } from "./frames.ts";
import { type Slowest, type Survived, Target } from "./target.ts";

export interface FuzzReport {
  readonly seed: number;
  readonly frames: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly slowest: Slowest;
  /** Of the heap after the last broker, beyond what it was after the first. */
  readonly grownBytes: number;
  readonly seconds: number;
}

/** What one broker takes before the next begins: what it holds of groups, producers and topics is bounded with it. */
const framesPerBroker = 50_000;
/** More than caches and compiled code grow after the first broker, less than one broker holds at its end. */
const grownBytesMax = 32 * MiB;
/** Of processor time, for one frame. What takes longest is what happens for the first time, and collecting garbage. */
const heldMsMax = 150;

export async function fuzz(options: {
  readonly frames: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}): Promise<FuzzReport> {
  const { seed, log = () => undefined } = options;
  const startedMs = performance.now();
  const kinds: Partial<Record<FrameKind, number>> = {};
  const outcomes: Partial<Record<Survived, number>> = {};
  const slowest: Slowest = { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" };
  let firstHeapBytes: number | undefined;
  let done = 0;
  for (let broker = 0; done < options.frames; broker += 1) {
    const count = Math.min(framesPerBroker, options.frames - done);
    await feed({ seed: seed + broker, count, slowest }, (kind, outcome) => {
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    });
    done += count;
    const heapBytes = await heapAfterGarbage();
    firstHeapBytes ??= heapBytes;
    if (heapBytes - firstHeapBytes > grownBytesMax)
      throw new Error(`seed ${seed}: the heap grew to ${heapBytes} bytes`);
    if (slowest.dispatchMs > heldMsMax || slowest.decodeMs > heldMsMax) {
      throw new Error(`seed ${seed}: the event loop was held for too long: ${JSON.stringify(slowest)}`);
    }
    log(`${done} frames, ${Math.round(heapBytes / MiB)} MiB, ${JSON.stringify(outcomes)}`);
  }
  return {
    seed,
    frames: done,
    kinds,
    outcomes,
    slowest,
    grownBytes: (await heapAfterGarbage()) - (firstHeapBytes ?? 0),
    seconds: Math.round(performance.now() - startedMs) / 1000,
  };
}

/** One broker from its start to its end: what it held is gone with it. */
async function feed(
  { seed, count, slowest }: { readonly seed: number; readonly count: number; readonly slowest: Slowest },
  took: (kind: FrameKind, outcome: Survived) => void,
): Promise<void> {
  await using target = await Target.open(seed, slowest);
  let at = 0;
  for (const { kind, bytes } of frames(seededRandom(seed), target.words)) {
    if (at === count) return;
    try {
      took(kind, (await target.take(bytes)).outcome);
    } catch (cause) {
      const hex = Buffer.from(bytes).toString("hex");
      throw new Error(`seed ${seed}, frame ${at} (${kind}) ${hex.slice(0, 2_000)}`, { cause });
    }
    at += 1;
  }
}

/**
 * What is left when nothing runs. The last broker is held by the turn of the event loop in which it ended, and its buffers are
 * given back by a thread of the collector's own, so one collection alone sees as much of it as chance has it.
 */
export async function heapAfterGarbage(): Promise<number> {
  for (let turn = 0; turn < 3; turn += 1) {
    await setTimeout(10);
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
