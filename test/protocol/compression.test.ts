/** Proves: what is compressed comes back, whoever compressed it; bombs, cuts and noise throw CorruptData and cost little. */
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
