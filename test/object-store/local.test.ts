/** Proves: a directory obeys the object store contract, keeps what it acknowledged over a crash, and stays in its root. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { SimClock } from "../sim/clock.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { objectStoreContract } from "./contract.ts";

objectStoreContract("local", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inlet-objects-"));
  const store = await openLocalObjectStore({ directory, disk: systemDisk, runtime: systemRuntime() });
  return {
    store,
    run: (work) => work,
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
});

function simulated(seed: number): { clock: SimClock; disk: SimDisk; open: () => Promise<ObjectStore> } {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const disk = new SimDisk({ clock, random: random.fork("disk") });
  const open = (): Promise<ObjectStore> =>
    openLocalObjectStore({ directory: "/objects", disk, runtime: { clock, random: random.fork("store") } });
  return { clock, disk, open };
}

objectStoreContract("local, simulated disk", async () => {
  const { clock, open } = simulated(1);
  const store = await clock.until(open());
  return { store, run: (work) => clock.until(work), dispose: async () => {} };
});

describe("local", () => {
  test("acknowledged objects are whole after a crash, others whole or absent, and nothing half written is left", async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { clock, disk, open } = simulated(seed);
      const acked = new Map<string, number>();
      const store = await clock.until(open());
      const writer = async (name: string): Promise<void> => {
        for (let version = 1; version < 20; version++) {
          await store.put(`dir-${name}/replaced`, new Uint8Array(1500).fill(version));
          acked.set(`dir-${name}/replaced`, version);
          if (
            (await store.putIfAbsent(`dir-${name}/${version}`, new Uint8Array(1500).fill(version))).kind === "created"
          )
            acked.set(`dir-${name}/${version}`, version);
        }
      };
      for (const name of ["a", "b"]) writer(name).catch(() => {}); // Cut off by the crash.
      await clock.run(new SimRandom(seed).between(0, 150));
      disk.crash();
      const look = async (): Promise<void> => {
        const reopened = await open();
        for (const [key, version] of acked) {
          const found = await reopened.get(key);
          expect(found[0], `seed ${seed}, ${key}`).toBeGreaterThanOrEqual(version);
        }
        for await (const { key, size } of reopened.list("")) {
          expect(size, `seed ${seed}, ${key}`).toBe(1500);
          expect(new Set(await reopened.get(key)).size, `seed ${seed}, ${key}`).toBe(1);
        }
        expect(await disk.list("/objects/.inlet-tmp")).toEqual([]);
      };
      await clock.until(look());
    }
  });

  test("keys that would leave the root, or that no file can have, are refused", async () => {
    const { clock, open } = simulated(1);
    const store = await clock.until(open());
    const keys = ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a\0b", ".inlet-tmp/x", "x".repeat(256)];
    for (const key of keys) {
      const refused = expect(store.put(key, new Uint8Array(1)), JSON.stringify(key)).rejects;
      await clock.until(refused.toMatchObject({ happened: "no", retriable: false, name: "StoreFailed" }));
    }
  });

  test("what a full disk did not take leaves nothing behind that would keep it full", async () => {
    const disk = new MemoryDisk();
    const store = await openLocalObjectStore({ directory: "/objects", disk, runtime: systemRuntime() });
    const { etag } = await store.put("there", new Uint8Array(100));
    for (const [index, full] of ["write", "datasync", "link", "rename"].entries()) {
      const body = new Uint8Array(10 * (index + 1));
      disk.fault = (operation) => {
        if (operation === full) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      };
      const writes = [
        store.put("there", body),
        store.putIfAbsent("new", body),
        store.putIfMatch("there", body.subarray(1), etag),
      ];
      const settled = await Promise.allSettled(writes);
      expect(settled.some(({ status }) => status === "rejected")).toBe(true);
      disk.fault = () => undefined;
      expect(await disk.list("/objects/.inlet-tmp"), full).toEqual([]);
    }
  });

  test("a part sent again may have another size", async () => {
    const { clock, open } = simulated(1);
    const store = await clock.until(open());
    const upload = await clock.until(store.multipart("m"));
    for (const [text, number] of [
      ["first ", 1],
      ["wrong", 2],
      ["second", 2],
    ] as const)
      await clock.until(upload.part(Buffer.from(text), number));
    await clock.until(upload.complete());
    expect(Buffer.from(await clock.until(store.get("m"))).toString()).toBe("first second");
  });

  test("an upload with a part that could not be synced cannot be completed, and the next one can", async () => {
    const { clock, disk, open } = simulated(1);
    const store = await clock.until(open());
    const upload = await clock.until(store.multipart("m"));
    await clock.until(upload.part(Buffer.from("kept? ")));
    disk.faults = { ...disk.faults, datasyncFails: 1 };
    await expect(clock.until(upload.part(Buffer.from("lost")))).rejects.toMatchObject({ retriable: false });
    disk.faults = { ...disk.faults, datasyncFails: 0 };
    await expect(clock.until(upload.part(Buffer.from("lost"), 2))).rejects.toMatchObject({ retriable: false });
    await expect(clock.until(upload.complete())).rejects.toMatchObject({ happened: "no", retriable: false });
    await clock.until(upload.abort());
    expect(await clock.until(disk.list("/objects/.inlet-tmp"))).toEqual([]);
    const again = await clock.until(store.multipart("m"));
    await clock.until(again.part(Buffer.from("whole")));
    await clock.until(again.complete());
    expect(Buffer.from(await clock.until(store.get("m"))).toString()).toBe("whole");
  });

  test("an object is a plain file under its own name", async () => {
    const directory = await mkdtemp(join(tmpdir(), "inlet-objects-"));
    await using store = await openLocalObjectStore({ directory, disk: systemDisk, runtime: systemRuntime() });
    await store.put("warehouse/day=2026-01-01/x%2Fy.parquet", new TextEncoder().encode("PAR1"));
    expect(await readFile(join(directory, "warehouse/day=2026-01-01/x%2Fy.parquet"), "utf8")).toBe("PAR1");
    expect(store.url).toBe(`file://${directory}`);
    await rm(directory, { recursive: true });
  });
});
