/** Proves: frames come out as they went in, however the stream is cut, and a length alone takes little memory. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { FrameAssembler, type FrameMemory } from "../../src/server/frame-assembler.ts";

const framed = (body: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setInt32(0, body.length);
  frame.set(body, 4);
  return frame;
};

/** An assembler, and the sizes of the frame memory that it holds. */
function assembling(frameBytesMax = 1000): { readonly assembler: FrameAssembler; readonly held: Set<Uint8Array> } {
  const held = new Set<Uint8Array>();
  const memory: FrameMemory = {
    take(length) {
      const bytes = new Uint8Array(length);
      held.add(bytes);
      return bytes;
    },
    release: (frame) => expect(held.delete(frame)).toBe(true),
  };
  return { assembler: new FrameAssembler({ frameBytesMax, memory }), held };
}

/** All frames that are there once the chunk has come, whose memory is then overwritten. */
function after(assembler: FrameAssembler, bytes: Uint8Array): readonly Uint8Array[] {
  const chunk = Uint8Array.from(bytes);
  assembler.push(chunk);
  const frames: Uint8Array[] = [];
  for (let frame = assembler.next(); frame !== undefined; frame = assembler.next()) frames.push(frame);
  assembler.settle();
  chunk.fill(0xee);
  return frames;
}

test("any cutting of the stream gives the same frames", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 8, maxLength: 200 })),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (bodies, cuts) => {
        const stream = joined(bodies.map(framed));
        const assembler = assembling().assembler;
        const frames: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = cuts[turn % cuts.length] as number;
          frames.push(...after(assembler, stream.subarray(at, at + size)));
          at += size;
        }
        expect(frames.map((frame) => Uint8Array.from(frame))).toEqual(bodies);
        expect(assembler.arrived).toBe(0);
      },
    ),
  );
});

test("half a frame says how much of it is there", () => {
  const assembler = assembling().assembler;
  const frame = framed(new Uint8Array(100));
  expect(after(assembler, frame.subarray(0, 3))).toEqual([]);
  expect([assembler.arrived, assembler.announced]).toEqual([3, 0]);
  expect(after(assembler, frame.subarray(3, 20))).toEqual([]);
  expect([assembler.arrived, assembler.announced]).toEqual([20, 100]);
});

test("frames that nobody has asked for are not cut", () => {
  const assembler = assembling().assembler;
  const [first, second] = [framed(new Uint8Array(20)), framed(new Uint8Array(30))];
  assembler.push(joined([first, second]));
  expect(assembler.next()).toEqual(first.subarray(4));
  expect([assembler.unread, assembler.arrived]).toEqual([second.length, 0]);
  assembler.push(first);
  expect([assembler.next(), assembler.next()]).toEqual([second.subarray(4), first.subarray(4)]);
  expect(assembler.unread).toBe(0);
});

test("a length alone takes little memory; a frame that keeps coming gets all that it needs", () => {
  const MiB = 2 ** 20;
  const { assembler, held } = assembling(100 * MiB);
  const body = new Uint8Array(5 * MiB).map((_, i) => i % 251);
  const frame = framed(body);
  expect(after(assembler, frame.subarray(0, 20))).toEqual([]);
  expect([...held].map((memory) => memory.length)).toEqual([MiB / 16]);
  expect(after(assembler, frame.subarray(20, 3 * MiB))).toEqual([]);
  expect([...held].map((memory) => memory.length)).toEqual([4 * MiB]);
  const [whole] = after(assembler, frame.subarray(3 * MiB));
  expect(Buffer.compare(whole as Uint8Array, body)).toBe(0);
  expect([...held]).toEqual([whole]);
});

test("a frame that will not become complete gives its memory back", () => {
  const { assembler, held } = assembling();
  after(assembler, framed(new Uint8Array(100)).subarray(0, 50));
  expect(held.size).toBe(1);
  assembler.drop();
  expect([held.size, assembler.arrived]).toEqual([0, 0]);
});

test("what is left of a chunk when it settles survives the chunk", () => {
  const { assembler } = assembling();
  const [first, second] = [framed(new Uint8Array(20).fill(1)), framed(new Uint8Array(30).fill(2))];
  const chunk = joined([first, second]);
  assembler.push(chunk);
  assembler.settle();
  chunk.fill(0xee);
  expect([assembler.next(), assembler.next()]).toEqual([first.subarray(4), second.subarray(4)]);
});

test.each([-1, 0, 7, 1001, 0x7fff_ffff, -0x8000_0000])("a length of %i is refused", (length) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, length);
  expect(() => after(assembling().assembler, bytes)).toThrow(CorruptData);
});
