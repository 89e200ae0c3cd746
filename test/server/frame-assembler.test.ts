/** Proves: frames come out as they went in, however the stream is cut, and a length alone takes no memory. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { FrameAssembler } from "../../src/server/frame-assembler.ts";

const framed = (body: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setInt32(0, body.length);
  frame.set(body, 4);
  return frame;
};

/** All frames that are there once the chunk has come. */
function after(assembler: FrameAssembler, chunk: Uint8Array): readonly Uint8Array[] {
  assembler.push(chunk);
  const frames: Uint8Array[] = [];
  for (let frame = assembler.next(); frame !== undefined; frame = assembler.next()) frames.push(frame);
  return frames;
}

test("any cutting of the stream gives the same frames", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 8, maxLength: 200 })),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (bodies, cuts) => {
        const stream = joined(bodies.map(framed));
        const assembler = new FrameAssembler(1000);
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
  const assembler = new FrameAssembler(1000);
  const frame = framed(new Uint8Array(100));
  expect(after(assembler, frame.subarray(0, 3))).toEqual([]);
  expect([assembler.arrived, assembler.announced]).toEqual([3, 0]);
  expect(after(assembler, frame.subarray(3, 20))).toEqual([]);
  expect([assembler.arrived, assembler.announced]).toEqual([20, 100]);
});

test("frames that nobody has asked for are not cut", () => {
  const assembler = new FrameAssembler(1000);
  const [first, second] = [framed(new Uint8Array(20)), framed(new Uint8Array(30))];
  assembler.push(joined([first, second]));
  expect(assembler.next()).toEqual(first.subarray(4));
  expect([assembler.unread, assembler.arrived]).toEqual([second.length, 0]);
  assembler.push(first);
  expect([assembler.next(), assembler.next()]).toEqual([second.subarray(4), first.subarray(4)]);
  expect(assembler.unread).toBe(0);
});

test("a frame inside one chunk is a view of it", () => {
  const chunk = framed(new Uint8Array(50));
  const [frame] = after(new FrameAssembler(1000), chunk);
  expect(frame?.buffer).toBe(chunk.buffer);
});

test.each([-1, 0, 7, 1001, 0x7fff_ffff, -0x8000_0000])("a length of %i is refused", (length) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, length);
  expect(() => after(new FrameAssembler(1000), bytes)).toThrow(CorruptData);
});
