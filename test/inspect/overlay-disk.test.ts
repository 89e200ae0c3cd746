/** Proves: a metadata log opened over an overlay reads like the real one, tidies up, and leaves the disk below as it was. */
import { expect, test } from "vitest";
import type { NodeEpoch, NodeId, Seq } from "../../src/base/ids.ts";
import { uuidRandom } from "../../src/base/ids.ts";
import { type EntrySeen, eachEntry, eachEntryInFiles } from "../../src/inspect/metadata.ts";
import { overlayDisk } from "../../src/inspect/overlay-disk.ts";
import { encodeGroups } from "../../src/metadata/event-codec.ts";
import { openFileLog } from "../../src/metadata/file-log.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { seededRandom } from "../support/seeded.ts";

const random = seededRandom(1);
const events = encodeGroups([[{ kind: "allocate-producer-ids", count: 1 }]]);

async function written(count: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await using log = await openFileLog({ directory: "metadata", disk, segmentBytesMax: 300 });
  for (let i = 0; i < count; i += 1) {
    await log.append({ nodeId: 1 as NodeId, nodeEpoch: 0 as NodeEpoch, opId: uuidRandom(random), events });
  }
  return disk;
}

test("a torn tail is left out above, and stays below", async () => {
  const disk = await written(9);
  const files = disk.files();
  const last = [...files.keys()].toSorted().at(-1) as string;
  files.set(last, Buffer.concat([files.get(last) as Uint8Array, Buffer.from("torn")]));
  const torn = MemoryDisk.of(files);
  const overlay = overlayDisk(torn);
  await using log = await openFileLog({ directory: "metadata", disk: overlay, segmentBytesMax: 300 });
  expect((await log.read(1 as Seq, 100)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const opId = uuidRandom(random);
  expect(await log.append({ nodeId: 1 as NodeId, nodeEpoch: 0 as NodeEpoch, opId, events })).toMatchObject({ seq: 10 });
  expect((await log.read(10 as Seq, 1))[0]?.opId).toBe(opId);
  expect(torn.files()).toEqual(files);
});

test("entries are the same through the log and from its files, and from any of them on", async () => {
  const disk = await written(9);
  for (const from of [1, 4, 9, 10]) {
    const [fromFiles, fromLog]: [EntrySeen[], EntrySeen[]] = [[], []];
    await eachEntryInFiles(disk, "metadata", from, (entry) => fromFiles.push(entry));
    await using log = await openFileLog({ directory: "metadata", disk: overlayDisk(disk), segmentBytesMax: 300 });
    await eachEntry(log, from, (entry) => fromLog.push(entry));
    expect(fromFiles.map(({ entry }) => entry.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].slice(from - 1));
    expect(fromFiles.map(({ entry }) => entry.opId)).toEqual(fromLog.map(({ entry }) => entry.opId));
  }
});
