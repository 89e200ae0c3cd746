/** Proves: a file that is read in parts is opened once, few stay open, and each is closed when nobody reads it any more. */
import { describe, expect, test } from "vitest";
import type { Disk, DiskFile } from "../../src/base/disk.ts";
import { OpenFiles } from "../../src/object-store/open-files.ts";

/** A disk that only opens: which files are open, and how often one was opened. */
function counting(): { disk: Disk; open: Map<string, number>; opened: string[] } {
  const open = new Map<string, number>();
  const opened: string[] = [];
  const disk = {
    open: async (path: string) => {
      opened.push(path);
      if (path.startsWith("/none")) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      open.set(path, (open.get(path) ?? 0) + 1);
      return {
        [Symbol.asyncDispose]: async () => {
          open.set(path, (open.get(path) ?? 0) - 1);
        },
      } as unknown as DiskFile;
    },
  };
  return { disk: disk as unknown as Disk, open, opened };
}

const stillOpen = (open: ReadonlyMap<string, number>): string[] =>
  [...open].filter(([, count]) => count > 0).map(([path]) => path);

describe("open files", () => {
  test("one opening serves many reads, and the least recently used is closed", async () => {
    const { disk, open, opened } = counting();
    await using files = new OpenFiles({ disk, filesMax: 2 });
    for (const path of ["/a", "/b", "/a", "/c", "/a"]) await files.read(path, async () => {});
    await Promise.resolve();
    expect(opened).toEqual(["/a", "/b", "/c"]);
    expect(stillOpen(open)).toEqual(["/a", "/c"]);
  });

  test("a file that is dropped while somebody reads it is closed after that, and opened anew for the next", async () => {
    const { disk, open, opened } = counting();
    await using files = new OpenFiles({ disk, filesMax: 2 });
    let finish: () => void = () => {};
    const reading = files.read("/a", () => new Promise<void>((resolve) => (finish = resolve)));
    await Promise.resolve();
    await files.drop("/a");
    expect(stillOpen(open)).toEqual(["/a"]);
    finish();
    await reading;
    expect(stillOpen(open)).toEqual([]);
    await files.read("/a", async () => {});
    expect(opened).toEqual(["/a", "/a"]);
  });

  test("a file that cannot be opened is tried again, and leaves nothing behind", async () => {
    const { disk, open, opened } = counting();
    await using files = new OpenFiles({ disk, filesMax: 2 });
    for (let i = 0; i < 2; i += 1) await expect(files.read("/none", async () => {})).rejects.toThrow("no such file");
    expect(opened.length).toBe(2);
    expect(stillOpen(open)).toEqual([]);
  });

  test("all are closed at the end", async () => {
    const { disk, open } = counting();
    {
      await using files = new OpenFiles({ disk, filesMax: 9 });
      for (const path of ["/a", "/b"]) await files.read(path, async () => {});
      expect(stillOpen(open)).toEqual(["/a", "/b"]);
    }
    expect(stillOpen(open)).toEqual([]);
  });
});
