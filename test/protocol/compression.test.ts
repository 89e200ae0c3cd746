/** Proves: what is compressed comes back, whoever compressed it; bombs, cuts and noise throw CorruptData and cost little. */
import * as zlib from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import { compress, compressAside, inflate, inflateAside, inflateFairly } from "../../src/protocol/compression.ts";
import { type Compression, compressions } from "../../src/protocol/record-batch.ts";

const MiB = 1024 * 1024;
const compressed = compressions.filter((name) => name !== "none");
const plain = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

describe.each(compressions)("%s", (name) => {
  test("comes back, at once and aside", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 400 }), async (unit, times) => {
        const bytes = new Uint8Array(unit.length * times);
        for (let i = 0; i < times; i += 1) bytes.set(unit, i * unit.length);
        const limits = { bytesMax: Math.max(1, bytes.length) };
        expect(plain(inflate(name, compress(name, bytes), limits))).toEqual(bytes);
        expect(plain(await inflateAside(name, await compressAside(name, bytes), limits))).toEqual(bytes);
      }),
      { numRuns: 25 },
    );
  });
});

describe.each(compressed)("%s from strangers", (name) => {
  test("a bomb is refused and costs little", async () => {
    const bomb = compress(name, new Uint8Array(64 * MiB));
    const limits = { bytesMax: 8 * MiB };
    const before = process.memoryUsage.rss();
    const cpu = process.cpuUsage();
    expect(() => inflate(name, bomb, limits)).toThrow(CorruptData);
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1000).toBeLessThan(100); // A few milliseconds on a quiet machine.
    expect(process.memoryUsage.rss() - before).toBeLessThan(40 * MiB);
    await expect(inflateAside(name, bomb, limits)).rejects.toThrow(CorruptData);
  });

  test("one byte over the cap is refused, the cap is not", () => {
    const bytes = new Uint8Array(100_000).map((_, i) => i * i);
    expect(inflate(name, compress(name, bytes), { bytesMax: 100_000 })).toHaveLength(100_000);
    expect(() => inflate(name, compress(name, bytes), { bytesMax: 99_999 })).toThrow(CorruptData);
  });

  test("cut or mutated, it gives bytes within the cap or CorruptData", () => {
    const whole = compress(name, Buffer.from("the quick brown fox jumps over the lazy dog ".repeat(50)));
    for (let cut = 1; cut < whole.length; cut += 1) expect(shorterOrCorrupt(name, whole.subarray(0, -cut))).toBe(true);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), (edits) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        try {
          expect(inflate(name, bytes, { bytesMax: 4000 }).length).toBeLessThanOrEqual(4000);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptData);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("noise is CorruptData", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          inflate(name, bytes, { bytesMax: 4000 });
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptData);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("snappy is read raw, as librdkafka writes it", () => {
  const raw = Buffer.from("0b28 68656c6c6f20776f726c64".replaceAll(" ", ""), "hex"); // "hello world" as one literal.
  expect(Buffer.from(inflate("snappy", raw, { bytesMax: 100 })).toString()).toBe("hello world");
});

test("eight bytes that announce 3.6 GiB of snappy take nothing (CVE-2023-34455)", () => {
  const liar = Buffer.from("ffffffff0d000000", "hex");
  // Before the library, which would take the memory, is asked.
  expect(() => inflate("snappy", liar, { bytesMax: 2 ** 32 })).toThrow(/at most \d+ bytes/);
  expect(() => inflate("snappy", liar, { bytesMax: 1000 })).toThrow("at most 1000 more bytes inflated");
});

/** Between two of snappy's blocks a cut cannot be seen; the record count will not match then. */
function shorterOrCorrupt(name: Compression, bytes: Uint8Array): boolean {
  try {
    return inflate(name, bytes, { bytesMax: 4000 }).length < 2200;
  } catch (error) {
    return error instanceof CorruptData;
  }
}

test("snappy in a hundred thousand blocks of one byte holds up nobody", async () => {
  const head = Buffer.from("82534e41505059000000000100000001", "hex");
  const block = Buffer.from("00000003010061", "hex");
  for (const blocks of [9_000, 100_000]) {
    const before = performance.now();
    const inflating = inflateFairly("snappy", Buffer.concat([head, Buffer.alloc(blocks * block.length, block)]), {
      bytesMax: 2 ** 20,
    });
    expect(inflating).toBeInstanceOf(Promise);
    expect(performance.now() - before).toBeLessThan(1_000);
    expect((await inflating).length).toBe(blocks);
  }
});

const aBit = Buffer.from("the quick brown fox ".repeat(20));
const more = Buffer.from("jumps over the lazy dog ".repeat(9_000));

/** At once, aside and fairly. */
async function inflatedAll(name: Compression, bytes: Uint8Array, bytesMax: number): Promise<readonly Buffer[]> {
  const limits = { bytesMax };
  const all = [
    inflate(name, bytes, limits),
    await inflateAside(name, bytes, limits),
    await inflateFairly(name, bytes, limits),
  ];
  return all.map((found) => Buffer.from(found));
}

async function expectInflated(name: Compression, bytes: Uint8Array, expected: Buffer): Promise<void> {
  for (const found of await inflatedAll(name, bytes, expected.length)) expect(found.equals(expected)).toBe(true);
  expect(() => inflate(name, bytes, { bytesMax: expected.length - 1 })).toThrow(CorruptData);
  await expect(inflateAside(name, bytes, { bytesMax: expected.length - 1 })).rejects.toThrow(CorruptData);
}

describe("what other writers put into one payload", () => {
  const skippable = Buffer.from("532a4d18" + "05000000" + "0102030405", "hex");
  const emptySkippable = Buffer.from("5f2a4d18" + "00000000", "hex");

  test("several frames of zstd, and some to skip, are read one after another", async () => {
    const frames = [aBit, Buffer.alloc(0), more].map((bytes) => compress("zstd", bytes));
    await expectInflated("zstd", Buffer.concat(frames), Buffer.concat([aBit, more]));
    await expectInflated("zstd", Buffer.concat([skippable, ...frames, emptySkippable]), Buffer.concat([aBit, more]));
    expect((await inflatedAll("zstd", Buffer.concat([skippable, emptySkippable]), 10)).join()).toBe(",,");
  });

  test("a frame of zstd may have a check, announce its size or not, and hold stored and repeated blocks", async () => {
    const { ZSTD_c_checksumFlag: check, ZSTD_c_contentSizeFlag: size } = zlib.constants;
    const noise = Buffer.from(Array.from({ length: 300_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24));
    for (const flags of [{ [check]: 1 }, { [size]: 0 }, { [check]: 1, [size]: 0 }, {}]) {
      for (const bytes of [Buffer.alloc(0), aBit, Buffer.alloc(70_000), more, noise]) {
        const frame = zlib.zstdCompressSync(bytes, { params: flags, pledgedSrcSize: bytes.length });
        await expectInflated("zstd", Buffer.concat([frame, compress("zstd", aBit)]), Buffer.concat([bytes, aBit]));
      }
    }
  });

  test("what follows a frame of zstd is another one or an error", () => {
    const whole = Buffer.concat([compress("zstd", aBit), compress("zstd", more)]);
    const first = compress("zstd", aBit).length;
    for (let to = first + 1; to < whole.length; to += 1) {
      expect(() => inflate("zstd", whole.subarray(0, to), { bytesMax: 1_000_000 })).toThrow(CorruptData);
    }
  });

  test("thousands of tiny frames of zstd are refused and hold up nobody", async () => {
    const frame = compress("zstd", Buffer.from("x"));
    const frames = (count: number): Buffer => Buffer.alloc(count * frame.length, frame);
    const inflating = inflateFairly("zstd", frames(1_000), { bytesMax: 1_000 });
    expect(inflating).toBeInstanceOf(Promise);
    expect(await inflating).toHaveLength(1_000);
    expect(() => inflate("zstd", frames(100_000), { bytesMax: 2 ** 20 })).toThrow("at most 1024 frames");
  });

  test("several members of gzip are read one after another", async () => {
    for (const length of [0, 1, 16_383, 16_384, 16_385, 32_768, 65_536]) {
      const first = Buffer.alloc(length, "ab");
      const members = [first, aBit, Buffer.alloc(0), more].map((bytes) => compress("gzip", bytes));
      await expectInflated("gzip", Buffer.concat(members), Buffer.concat([first, aBit, more]));
    }
  });

  test("several streams of snappy-java, of several blocks each, are read one after another", async () => {
    const streams = [aBit, more].map((bytes) => compress("snappy", bytes));
    await expectInflated("snappy", Buffer.concat(streams), Buffer.concat([aBit, more]));
  });

  test.each([
    ["independent blocks", 0x60],
    ["a check of each block", 0x70],
    ["a check of the whole", 0x64],
    ["its size", 0x68],
    ["all of these", 0x7c],
    ["blocks that refer to the one before", 0x40],
    ["these, checks and its size", 0x5c],
  ])("a frame of lz4 has %s", async (_name, flags) => {
    const isLinked = (flags & 0x20) === 0;
    const first = Buffer.from("0123456789abcdef");
    // Twelve of the block before, where it may be referred to; then five literals, as the format wants at the end.
    const copied = Buffer.concat([Buffer.from("08" + "1000" + "50", "hex"), Buffer.from("vwxyz")]);
    const own = Buffer.concat([Buffer.from("f002", "hex"), Buffer.from("0123456789abvwxyz")]);
    const whole = Buffer.from("0123456789abcdef0123456789abvwxyz");
    await expectInflated("lz4", lz4Frame(flags, whole, first, isLinked ? copied : own), whole);
  });
});

/** Of a stored and a compressed block, with what the flags say. */
function lz4Frame(flags: number, whole: Uint8Array, stored: Uint8Array, compressed: Uint8Array): Buffer {
  const size = (flags & 8) === 0 ? [] : [uint32(whole.length), uint32(0)];
  const header = Buffer.concat([Uint8Array.of(flags, 0x40), ...size]);
  const check = (flag: number, of: Uint8Array): readonly Buffer[] =>
    (flags & flag) === 0 ? [] : [uint32(xxHash32(of))];
  return Buffer.concat([
    uint32(0x184d2204),
    header,
    Uint8Array.of((xxHash32(header) >>> 8) & 0xff),
    uint32(stored.length + 0x8000_0000),
    stored,
    ...check(0x10, stored),
    uint32(compressed.length),
    compressed,
    ...check(0x10, compressed),
    uint32(0),
    ...check(0x04, whole),
  ]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** With seed 0. */
function xxHash32(bytes: Uint8Array): number {
  const [p1, p2, p3, p4, p5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by));
  const lanes = [p1 + p2, p2, 0, -p1];
  let at = 0;
  for (; at + 16 <= bytes.length; at += 16) {
    for (const [lane, word] of lanes.entries()) {
      const sum = (word + Math.imul(view.getUint32(at + 4 * lane, true), p2)) | 0;
      lanes[lane] = Math.imul(rotated(sum, 13), p1);
    }
  }
  const [a, b, c, d] = lanes as [number, number, number, number];
  let hash = at === 0 ? p5 : (rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)) | 0;
  hash = (hash + bytes.length) | 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotated((hash + Math.imul(view.getUint32(at, true), p3)) | 0, 17), p4);
  }
  for (; at < bytes.length; at += 1) hash = Math.imul(rotated((hash + Math.imul(view.getUint8(at), p5)) | 0, 11), p1);
  hash = Math.imul(hash ^ (hash >>> 15), p2);
  hash = Math.imul(hash ^ (hash >>> 13), p3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
