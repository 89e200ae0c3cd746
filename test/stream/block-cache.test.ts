/** Proves: streams that are read side by side share the room ahead, and what nobody came for makes way. */
import { describe, expect, test } from "vitest";
import type { Offset, StreamId } from "../../src/base/ids.ts";
import { BlockCache } from "../../src/stream/block-cache.ts";
import type { IndexedBlock } from "../../src/stream/object-format.ts";
import type { ObjectIo } from "../../src/stream/object-io.ts";
import { wipingMemory } from "../support/wiping-memory.ts";

const object = { key: "object", bytes: 1_000_000 };
const blockBytes = 100;

/** Blocks of a stream lie one after another in the object, and hold nothing. */
function blocksOf(stream: number, count: number): readonly IndexedBlock[] {
  return Array.from({ length: count }, (_, i) => ({
    position: stream * 10_000 + i * blockBytes,
    bytes: blockBytes,
    from: i as Offset,
    to: (i + 1) as Offset,
    maxTimestamp: 0,
    count: 1,
  }));
}

function cache(blockCacheBytesMax: number): BlockCache {
  const io: Pick<ObjectIo, "blocks"> = {
    blocks: (_object, _stream, blocks) => Promise.resolve(blocks.map(() => ({ decode: () => Promise.resolve([]) }))),
  };
  const memory = wipingMemory(100_000);
  return new BlockCache({ io: io as ObjectIo, memory, blockCacheBytesMax, readRequestBytesMax: 1000 });
}

const borrow = new DisposableStack();

/** Reads the first of the blocks, and ahead for the others. */
async function readOn(blocks: BlockCache, stream: number, count: number): Promise<void> {
  const [wanted, ...ahead] = blocksOf(stream, count);
  await Promise.all(blocks.blocks(object, stream as StreamId, wanted === undefined ? [] : [wanted], borrow, ahead));
  await Promise.resolve();
}

const here = (blocks: BlockCache, stream: number): number =>
  blocksOf(stream, 20).filter((block) => blocks.has(object, block)).length;

describe("block cache", () => {
  test("streams that are read side by side are ahead by an equal part of the room", async () => {
    const blocks = cache(4000); // 20 blocks ahead.
    for (let round = 0; round < 3; round += 1) for (const stream of [1, 2, 3, 4]) await readOn(blocks, stream, 20);
    for (const stream of [2, 3, 4]) expect(here(blocks, stream) - 1, `stream ${stream}`).toBeGreaterThanOrEqual(4);
  });

  test("what nobody came for makes way for who reads now", async () => {
    const blocks = cache(4000);
    for (const gone of [1, 2, 3, 4, 5, 6, 7, 8]) await readOn(blocks, gone, 20);
    let ahead = 0;
    for (let at = 0; at < 60; at += 1) {
      for (const stream of [20, 21]) {
        const [wanted, ...next] = blocksOf(stream, 80).slice(at, at + 9) as [IndexedBlock, ...IndexedBlock[]];
        if (at >= 40) ahead += Number(blocks.has(object, wanted));
        await Promise.all(blocks.blocks(object, stream as StreamId, [wanted], borrow, next));
        await Promise.resolve();
      }
    }
    expect(ahead).toBe(2 * 20);
    expect(here(blocks, 1)).toBeLessThan(20);
  });

  test("what is read now does not make way for what is read ahead", async () => {
    const blocks = cache(2400); // 12 blocks ahead.
    await readOn(blocks, 1, 5);
    await readOn(blocks, 2, 7);
    await readOn(blocks, 3, 5);
    const oldest = blocksOf(1, 5).find((block) => block.position > 10_000 && blocks.has(object, block)) as IndexedBlock;
    const answers = blocks.blocks(object, 1 as StreamId, [oldest], borrow, blocksOf(1, 20).slice(5));
    expect(await Promise.all(answers)).toEqual([[]]);
  });

  test("what nobody came for makes way for who reads the same stream again", async () => {
    const blocks = cache(4000);
    // Read ahead of the last reader, who found the rest elsewhere.
    for (const stream of [1, 2]) await readOn(blocks, stream, 20);
    const again = blocksOf(1, 200).slice(50);
    let ahead = 0;
    for (let i = 0; i < 100; i += 1) {
      const [wanted, ...next] = again.slice(i, i + 6);
      if (wanted === undefined) break;
      ahead += Number(blocks.has(object, wanted));
      await Promise.all(blocks.blocks(object, 1 as StreamId, [wanted], borrow, next));
      await Promise.resolve();
    }
    expect(ahead).toBeGreaterThan(50);
  });
});
