/** Proves: the operating system's files do what the Disk contract says. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dropBytes, systemDisk } from "../../src/base/system-disk.ts";
import { diskContract } from "./disk-contract.ts";

diskContract("system", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inlet-disk-"));
  return {
    disk: systemDisk,
    directory,
    run: (work) => work,
    dispose: () => rm(directory, { recursive: true }),
  };
});

describe("short writes", () => {
  test("what is left begins at the first byte not written", () => {
    const views = [Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)];
    const left = Array.from({ length: 7 }, (_, count) => Array.from(Buffer.concat(dropBytes(views, count))));
    expect(left).toEqual([[1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6], [3, 4, 5, 6], [4, 5, 6], [5, 6], [6], []]);
  });
});
