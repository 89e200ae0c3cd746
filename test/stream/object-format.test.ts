/** Proves: an object says what was written, in the bytes that were agreed on, and no damage to it goes unnoticed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import type { NodeEpoch, NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import {
  checkSidecar,
  decodeBlock,
  decodeFooter,
  decodeHeader,
  encodeObject,
  footerBytes,
  ObjectIndex,
  type StreamPart,
} from "../../src/stream/object-format.ts";

const origin = {
  cluster: "00112233-4455-6677-8899-aabbccddeeff" as Uuid,
  node: 3 as NodeId,
  nodeEpoch: 41 as NodeEpoch,
};

function encode(parts: readonly StreamPart[], blockBytesMax = 64): Uint8Array {
  return joined([...encodeObject(origin, parts, blockBytesMax)].flat());
}

/** Everything an object holds, read the way a broker reads it. */
function decode(bytes: Uint8Array): StreamPart[] {
  expect(decodeHeader(bytes, "object")).toEqual(origin);
  const footer = decodeFooter(bytes.subarray(-footerBytes), bytes.length, "object");
  const index = new ObjectIndex(bytes.slice(footer.indexPosition, -footerBytes), footer, "object");
  return [...index.streams()].map(({ stream, epoch, from, to, label, sidecar }) => {
    const batches = [...index.blocks(stream, 0 as Offset)].flatMap((block) => {
      const found = decodeBlock(
        bytes.subarray(block.position, block.position + block.bytes),
        { ...block, stream },
        "object",
      );
      expect(found[0]?.from).toBe(block.from);
      expect(found.at(-1)?.to).toBe(block.to);
      expect(Math.max(...found.map((batch) => batch.maxTimestamp))).toBe(block.maxTimestamp);
      return found;
    });
    const sidecarBytes = sidecar && bytes.subarray(sidecar.position, sidecar.position + sidecar.bytes);
    if (sidecar !== undefined) checkSidecar(sidecarBytes as Uint8Array, sidecar, "object");
    return { stream, epoch, from, to, label, sidecar: sidecarBytes, batches };
  });
}

function part(
  stream: number,
  batches: readonly (readonly [from: number, to: number, bytes: Uint8Array])[],
): StreamPart {
  return {
    stream: stream as StreamId,
    epoch: 2,
    from: 0 as Offset,
    to: (batches.at(-1)?.[1] ?? 9) as Offset,
    label: Uint8Array.of(stream, 1),
    sidecar: stream % 2 === 0 ? undefined : Uint8Array.of(stream, 2, 3),
    batches: batches.map(([from, to, bytes], i) => ({
      from: from as Offset,
      to: to as Offset,
      bytes: bytes as Owned,
      maxTimestamp: i === 0 ? -1 : 1_700_000_000_000 + i,
    })),
  };
}

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
const sample = [
  part(1, [
    [0, 5, text("first batch")],
    [5, 6, text("second")],
    [2 ** 40, 2 ** 40 + 7, text("after a gap that 32 bits cannot hold")],
  ]),
  part(2, []),
  part(700, [[3, 4, new Uint8Array(5000).fill(9)]]),
];

const plain = (parts: readonly StreamPart[]): unknown =>
  parts.map((one) => ({
    ...one,
    label: [...one.label],
    sidecar: one.sidecar && [...one.sidecar],
    batches: one.batches.map((batch) => ({ ...batch, bytes: [...batch.bytes] })),
  }));

describe("object format", () => {
  test("golden file: these bytes stay readable, and stay what we write", () => {
    const golden = Uint8Array.from(readFileSync(join(import.meta.dirname, "golden/object-v2.bin")));
    expect(encode(sample)).toEqual(golden);
    expect(plain(decode(golden))).toEqual(plain(sample));
  });

  test("what is written is read, whatever it is", () => {
    const batch = fc.record({
      skip: fc.nat(3),
      count: fc.integer({ min: 1, max: 9 }),
      bytes: fc.uint8Array({ maxLength: 90 }),
    });
    const streams = fc.uniqueArray(fc.record({ id: fc.integer({ min: 0, max: 2 ** 52 }), batches: fc.array(batch) }), {
      selector: ({ id }) => id,
      maxLength: 6,
    });
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 300 }), (found, blockBytesMax) => {
        const parts = found
          .sort((a, b) => a.id - b.id)
          .map(({ id, batches }) => {
            let end = 0;
            const placed = batches.map(({ skip, count, bytes }) => {
              const from = end + skip;
              end = from + count;
              return [from, end, bytes] as const;
            });
            return { ...part(0, placed), stream: id as StreamId };
          });
        expect(plain(decode(encode(parts, blockBytesMax)))).toEqual(plain(parts));
      }),
    );
  });

  test("the index finds the block from which to read", () => {
    const bytes = encode([
      part(
        1,
        Array.from({ length: 50 }, (_, i) => [i * 2, i * 2 + 2, text("x".repeat(30))] as const),
      ),
    ]);
    const footer = decodeFooter(bytes.subarray(-footerBytes), bytes.length, "object");
    const index = new ObjectIndex(bytes.slice(footer.indexPosition, -footerBytes), footer, "object");
    for (const from of [0, 1, 37, 98, 99, 100]) {
      const blocks = [...index.blocks(1 as StreamId, from as Offset)];
      expect(blocks.length > 0).toBe(from < 100);
      if (blocks[0] !== undefined) expect(blocks[0].from <= from && blocks[0].to > from).toBe(true);
    }
    expect(index.stream(2 as StreamId)).toBeUndefined();
  });

  test("a flip at any byte is found before anything wrong is given out", () => {
    const bytes = encode([part(1, [[0, 5, text("abc")]]), part(2, [[0, 1, new Uint8Array(4200)]])]);
    const good = plain(decode(bytes));
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      let found: unknown;
      try {
        found = plain(decode(flipped));
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(CorruptData);
        continue;
      }
      expect(found, `byte ${at}`).toEqual(good); // Nothing reads it.
    }
  });

  test("any bytes whatever throw nothing but CorruptData", () => {
    const bytes = encode(sample);
    const mutations = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    const cut = fc.nat(bytes.length);
    fc.assert(
      fc.property(mutations, cut, (changes, length) => {
        const mutated = bytes.slice(0, changes.length % 2 === 0 ? length : undefined);
        for (const [at, value] of changes) if (at < mutated.length) mutated[at] = value;
        try {
          decode(mutated);
        } catch (error) {
          if (!(error instanceof CorruptData)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
