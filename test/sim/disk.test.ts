/** Proves: the simulated disk obeys the contract, keeps what was synced over every crash, and does lose what was not. */
import { describe, expect, test } from "vitest";
import { diskContract } from "../base/disk-contract.ts";
import { SimClock } from "./clock.ts";
import { SimDisk } from "./disk.ts";
import { SimRandom } from "./random.ts";

function world(seed: number): { clock: SimClock; disk: SimDisk } {
  const clock = new SimClock();
  return { clock, disk: new SimDisk({ clock, random: new SimRandom(seed) }) };
}

diskContract("simulated", async () => {
  const { clock, disk } = world(1);
  await clock.until(disk.makeDirectory("/data"));
  return { disk, directory: "/data", run: (work) => clock.until(work), dispose: async () => {} };
});

const block = (value: number): Uint8Array => new Uint8Array(2048).fill(value);

async function survivors(seed: number): Promise<{ synced: number[]; unsynced: number[]; names: string[] }> {
  const { clock, disk } = world(seed);
  const build = async (): Promise<void> => {
    await disk.makeDirectory("/d");
    const file = await disk.open("/d/a", "create");
    await file.write([block(1)], 0);
    await file.datasync();
    await disk.syncDirectory("/d");
    await file.write([block(2)], 2048);
    const other = await disk.open("/d/b", "create");
    await other.write([block(3)], 0);
    await other.datasync(); // The bytes are durable, the name is not.
  };
  await clock.until(build());
  disk.crash();
  const look = async (): Promise<{ synced: number[]; unsynced: number[]; names: string[] }> => {
    const file = await disk.open("/d/a", "read");
    const bytes = new Uint8Array(await file.size());
    await file.read(bytes, 0);
    const names = (await disk.list("/d")).map((entry) => entry.name);
    return { synced: [...bytes.subarray(0, 2048)], unsynced: [...bytes.subarray(2048)], names };
  };
  return clock.until(look());
}

describe("crash", () => {
  test("synced bytes and names stay, unsynced ones stay in some worlds and not in others", async () => {
    const unsynced = new Set<string>();
    const names = new Set<string>();
    for (let seed = 0; seed < 64; seed++) {
      const found = await survivors(seed);
      expect(found.synced, `seed ${seed}`).toEqual([...block(1)]);
      expect(
        found.unsynced.every((byte) => byte === 0 || byte === 2),
        `seed ${seed}`,
      ).toBe(true);
      unsynced.add(found.unsynced.join());
      names.add(found.names.join());
    }
    expect(unsynced.size).toBeGreaterThan(10);
    expect([...names].sort()).toEqual(["a", "a,b"]);
  });

  test("after a failed datasync the bytes are shown, and gone after the crash even though a later one succeeds", async () => {
    const { clock, disk } = world(7);
    const build = async (): Promise<void> => {
      const file = await disk.open("/a", "create");
      await disk.syncDirectory("/");
      await file.write([block(1)], 0);
      disk.faults = { delayMsMax: 1, datasyncFails: 1, writeFails: 0 };
      await expect(file.datasync()).rejects.toThrow("EIO");
      disk.faults = { delayMsMax: 1, datasyncFails: 0, writeFails: 0 };
      expect(await file.size()).toBe(2048);
      await file.datasync();
    };
    await clock.until(build());
    disk.crash();
    const size = async (): Promise<number> => await (await disk.open("/a", "read")).size();
    expect(await clock.until(size())).toBe(0);
  });
});
