/** Proves: a broker whose kind of WAL is changed loses nothing that the WAL of the other kind holds. */
import { expect, test } from "vitest";
import type { Settings } from "../schemas/config.ts";
import type { NodeId, Offset, StreamId } from "../src/base/ids.ts";
import { makeWal } from "../src/make-wal.ts";
import { MemoryObjectStore } from "../src/object-store/memory.ts";
import { append, recover } from "./stream/wal-contract.ts";
import { configOf } from "./support/config.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { MemoryMetadata, MemoryMetadataLog } from "./support/memory-metadata.ts";
import { noMetrics } from "./support/no-metrics.ts";
import { seededRuntime, silent } from "./support/seeded.ts";

const node = 1 as NodeId;
const stream = 1 as StreamId;

class World {
  readonly log = new MemoryMetadataLog();
  readonly disk = new MemoryDisk();
  readonly store = new MemoryObjectStore(seededRuntime(1));

  constructor() {
    new MemoryMetadata(this.log).createTopic("t", 1);
    new MemoryMetadata(this.log).apply([{ kind: "open-streams", streams: [stream] }]);
  }

  /** A life of the broker: recovers, appends that many records, or else commits what it found, and ends. */
  async live(walKind: "file" | "object", records: number): Promise<readonly number[]> {
    this.log.register(node, { host: "h", port: 1, rack: null });
    const settings: Settings = {
      ...configOf("").settings,
      dataDirectory: "data",
      walSegmentBytes: 64 * 1024,
      walGroupBytesMax: 16 * 1024,
      walKind,
    };
    const metadata = new MemoryMetadata(this.log);
    const runtime = seededRuntime(this.log.image.seq);
    const { disk, store } = this;
    await using wal = await makeWal({ settings, runtime, disk, store, logger: silent, metadata, metrics: noMetrics });
    const found = (await recover(wal)).records.map(({ number }) => number);
    for (let i = 0; i < records; i += 1) await append(wal, i, 10, stream);
    if (records > 0) return found;
    const range = { stream, epoch: 1, from: 0 as Offset, to: found.length as Offset, bytes: 1, maxTimestamp: -1 };
    const object = {
      object: `objects/${this.log.image.seq}`,
      bytes: 1,
      objectKind: "stream",
      ranges: [range],
    } as const;
    if (found.length > 0) metadata.apply([{ kind: "commit-object", ...object }]);
    await wal.trim(wal.durable);
    return found;
  }
}

test.each([
  ["file", "object"],
  ["object", "file"],
] as const)("from %s to %s: refused while records are there, then nothing is left behind", async (before, after) => {
  const world = new World();
  await world.live(before, 3);
  await expect(world.live(after, 0)).rejects.toThrow(`the WAL of kind ${before} holds 3 records`);
  await expect(world.live(after, 0)).rejects.toThrow(`start once with wal.kind ${before}`);
  expect(await world.live(before, 0)).toEqual([0, 1, 2]);
  expect(await world.live(after, 4)).toEqual([]);
  expect(world.log.image.wals(node).length).toBe(after === "object" ? 1 : 0);
  expect([...world.disk.files().keys()].length > 0).toBe(after === "file");
  expect(await world.live(after, 1)).toEqual([0, 1, 2, 3]);
});
