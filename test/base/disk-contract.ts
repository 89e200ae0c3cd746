/** What every Disk does while nothing crashes. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Disk, diskErrorCode } from "../../src/base/disk.ts";

export interface DiskUnderTest {
  readonly disk: Disk;
  /** An existing, empty directory. */
  readonly directory: string;
  /** Lets the work go on; a simulation turns its clock here. */
  run<T>(work: Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function diskContract(name: string, setUp: () => Promise<DiskUnderTest>): void {
  describe(`disk contract: ${name}`, () => {
    let world: DiskUnderTest;
    beforeEach(async () => {
      world = await setUp();
    });
    afterEach(() => world.dispose());
    const inWorld = (work: (disk: Disk, at: (name: string) => string) => Promise<void>) => (): Promise<void> =>
      world.run(work(world.disk, (name) => `${world.directory}/${name}`));

    async function write(disk: Disk, path: string, value: string): Promise<void> {
      await using file = await disk.open(path, "create");
      await file.write([text(value)], 0);
      await file.datasync();
    }

    async function read(disk: Disk, path: string): Promise<string> {
      await using file = await disk.open(path, "read");
      const into = new Uint8Array(await file.size());
      expect(await file.read(into, 0)).toBe(into.length);
      return new TextDecoder().decode(into);
    }

    async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
      return await work.then(() => undefined, diskErrorCode);
    }

    test(
      "views are written one after another, and a read stops at the end",
      inWorld(async (disk, at) => {
        await using file = await disk.open(at("a"), "create");
        await file.write([text("ab"), text(""), text("cd")], 1);
        await file.datasync();
        const into = new Uint8Array(9);
        expect(await file.read(into, 2)).toBe(3);
        expect([...into.subarray(0, 3)]).toEqual([...text("bcd")]);
        expect(await file.size()).toBe(5);
        await file.truncate(2);
        await file.truncate(4);
        expect(await read(disk, at("a"))).toBe("\0a\0\0");
      }),
    );

    test.each(["durable", "create"] as const)(
      "writes to a file opened as %s, of any length, at any position and many at once, are read back as they were written",
      (mode) =>
        inWorld(async (disk, at) => {
          const page = 4096;
          const lengths = [
            page,
            3 * page,
            256 * page,
            300 * page,
            513 * page,
            100,
            page + 1,
            page,
            7 * page,
            2 * page,
            700 * page + 17,
          ];
          const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));
          const whole = Uint8Array.from(
            { length: lengths.reduce((sum, each) => sum + each, 0) },
            (_, i) => (i * 7 + i / page) & 255,
          );
          if (mode === "durable") await write(disk, at("a"), "");
          await using file = await disk.open(at("a"), mode);
          await file.truncate(whole.length);
          await Promise.all(
            lengths.map((length, i) => {
              const bytes = whole.slice(starts[i], (starts[i] as number) + length);
              return file.write([bytes.subarray(0, 1000), new Uint8Array(), bytes.subarray(1000)], starts[i] as number);
            }),
          );
          const found = new Uint8Array(whole.length);
          expect(await file.read(found, 0)).toBe(whole.length);
          expect(Buffer.compare(found, whole)).toBe(0);
          await file.write([whole.slice(page, 2 * page)], 0); // Over what was read before.
          expect(await file.read(found.subarray(0, page), 0)).toBe(page);
          expect(Buffer.compare(found.subarray(0, page), whole.subarray(page, 2 * page))).toBe(0);
        })(),
    );

    test(
      "reads of any length, at any position and many at once, stop where the file does, and go on when it loses its name",
      inWorld(async (disk, at) => {
        const whole = Uint8Array.from({ length: 3_000_017 }, (_, i) => (i * 7 + i / 4096) & 255);
        {
          await using file = await disk.open(at("a"), "create");
          await file.write([whole], 0);
          await file.datasync();
        }
        await using file = await disk.open(at("a"), "read");
        await write(disk, at("b"), "another");
        await disk.rename(at("b"), at("a"));
        const starts = [0, 1, 4095, 4096, 999_999, 1_048_576, 2_500_000, 2_995_921, 2_999_999, 3_000_017, 3_000_018];
        const lengths = [1, 4096, 262_144, 262_145, 1_048_575, 1_048_577, 3_000_017, 4_000_000];
        await Promise.all(
          starts.flatMap((start) =>
            lengths.map(async (length) => {
              const into = new Uint8Array(length);
              const expected = whole.subarray(start, start + length);
              expect(await file.read(into, start)).toBe(expected.length);
              expect(Buffer.compare(into.subarray(0, expected.length), expected)).toBe(0);
            }),
          ),
        );
      }),
    );

    test(
      "create refuses what exists, read and write what does not",
      inWorld(async (disk, at) => {
        await write(disk, at("a"), "x");
        expect(await codeOf(disk.open(at("a"), "create"))).toBe("EEXIST");
        expect(await codeOf(disk.open(at("b"), "read"))).toBe("ENOENT");
        expect(await codeOf(disk.open(at("b"), "write"))).toBe("ENOENT");
        expect(await codeOf(disk.open(at("none/b"), "create"))).toBe("ENOENT");
      }),
    );

    test(
      "rename replaces, link does not",
      inWorld(async (disk, at) => {
        await write(disk, at("a"), "a");
        await write(disk, at("b"), "b");
        expect(await codeOf(disk.link(at("a"), at("b")))).toBe("EEXIST");
        await disk.link(at("a"), at("c"));
        await disk.rename(at("a"), at("b"));
        expect(await read(disk, at("b"))).toBe("a");
        expect(await read(disk, at("c"))).toBe("a");
        expect(await codeOf(disk.open(at("a"), "read"))).toBe("ENOENT");
      }),
    );

    test(
      "list is sorted and says which are directories; what is missing is empty",
      inWorld(async (disk, at) => {
        await disk.makeDirectory(at("d/e"));
        await disk.makeDirectory(at("d/e"));
        await write(disk, at("d/b"), "");
        await write(disk, at("d/Z"), "");
        expect(await disk.list(at("d"))).toEqual([
          { name: "Z", isDirectory: false },
          { name: "b", isDirectory: false },
          { name: "e", isDirectory: true },
        ]);
        expect(await disk.list(at("nowhere"))).toEqual([]);
        await disk.syncDirectory(at("d"));
      }),
    );

    test(
      "remove forgives what is not there",
      inWorld(async (disk, at) => {
        await write(disk, at("a"), "a");
        await disk.remove(at("a"));
        await disk.remove(at("a"));
        expect(await disk.list(world.directory)).toEqual([]);
      }),
    );
  });
}
