/** The contract's third part: checkpoints, and the entries that are forgotten behind them. */
import { expect } from "vitest";
import type { Seq } from "../../../src/base/ids.ts";
import { type CasLog, type Checkpoint, EntriesForgotten, type StoredEntry } from "../../../src/metadata/cas-log.ts";
import {
  appendAll,
  appendSurely,
  checkpointAt,
  type Declare,
  entryAt,
  entryOf,
  opIds,
  readAll,
  upTo,
  uuidOf,
} from "./world.ts";

/** Forty entries, with a checkpoint at each tenth: whatever may be forgotten is. */
async function fortyEntries(log: CasLog): Promise<void> {
  for (const tens of [10, 20, 30, 40]) {
    await appendAll(log, tens - 9, tens);
    await checkpointAt(log, tens);
  }
}

export function checkpoints(it: Declare): void {
  it("a checkpoint is read back by everybody, and what follows it stays", async (log, world) => {
    await appendAll(log, 1, 20);
    const { hash } = await entryAt(log, 20);
    await log.writeCheckpoint({ seq: 20 as Seq, hash, image: new Uint8Array(3000).fill(20) });
    await appendSurely(log, entryOf(21));
    const other = await world.open();
    const checkpoint = (await other.readCheckpoint()) as Checkpoint;
    expect(checkpoint.seq).toBe(20);
    expect([...checkpoint.hash]).toEqual([...hash]);
    expect([...new Set(checkpoint.image)]).toEqual([20]);
    expect((await readAll(other, 21, hash)).map(({ seq }) => seq)).toEqual([21]);
    expect(await appendSurely(other, entryOf(21))).toBe(21);
  });

  it("the newest of many checkpoints is the one that is read", async (log, world) => {
    await fortyEntries(log);
    expect((await log.readCheckpoint())?.seq).toBe(40);
    expect((await (await world.open()).readCheckpoint())?.seq).toBe(40);
  });

  it("an older checkpoint does not replace a newer one", async (log) => {
    await appendAll(log, 1, 4);
    const [third, fourth] = (await log.read(3 as Seq, 2)) as [StoredEntry, StoredEntry];
    await log.writeCheckpoint({ seq: 4 as Seq, hash: fourth.hash, image: new Uint8Array(4) });
    await log.writeCheckpoint({ seq: 3 as Seq, hash: third.hash, image: new Uint8Array(3) });
    expect((await log.readCheckpoint())?.seq).toBe(4);
  });

  it("two nodes may write the same checkpoint", async (log, world) => {
    await appendAll(log, 1, 5);
    const other = await world.open();
    await Promise.all([checkpointAt(log, 5), checkpointAt(other, 5)]);
    await checkpointAt(other, 5);
    expect((await log.readCheckpoint())?.seq).toBe(5);
    expect(await appendSurely(log, entryOf(6))).toBe(6);
  });

  it("a checkpoint of four megabytes is read back, and one of nothing", async (log, world) => {
    await appendAll(log, 1, 2);
    await checkpointAt(log, 1, 0);
    expect((await log.readCheckpoint())?.image).toHaveLength(0);
    await checkpointAt(log, 2, 4 * 1024 * 1024);
    const image = (await (await world.open()).readCheckpoint())?.image;
    expect(image?.length).toBe(4 * 1024 * 1024);
    expect(image?.every((byte) => byte === 2)).toBe(true);
  });

  it("the caller's image may be reused after a checkpoint is written", async (log) => {
    await appendAll(log, 1, 1);
    const { hash } = await entryAt(log, 1);
    const image = new Uint8Array(10).fill(7);
    await log.writeCheckpoint({ seq: 1 as Seq, hash, image });
    image.fill(0);
    expect([...((await log.readCheckpoint())?.image ?? [])]).toEqual(Array.from({ length: 10 }, () => 7));
  });

  it("a checkpoint survives a restart, and the log goes on after it", async (log, world) => {
    await appendAll(log, 1, 10);
    await checkpointAt(log, 10);
    const next = await world.restart(log);
    expect((await next.readCheckpoint())?.seq).toBe(10);
    expect(await appendSurely(next, entryOf(11))).toBe(11);
    expect(opIds(await readAll(next, 11))).toEqual([uuidOf(11)]);
  });

  it("an append needs nobody to have read the checkpoint first", async (log, world) => {
    await fortyEntries(log);
    expect(await appendSurely(await world.open(), entryOf(41))).toBe(41);
  });
}

export function truncation(it: Declare): void {
  it("what is behind old checkpoints is forgotten as such, never as an empty or shifted log", async (log, world) => {
    await fortyEntries(log);
    for (const handle of [log, await world.open()]) {
      for (const from of upTo(40)) {
        const outcome = await handle.read(from as Seq, 1).catch((cause: unknown) => cause);
        if (outcome instanceof EntriesForgotten) expect(from).toBeLessThanOrEqual(30);
        else expect((outcome as StoredEntry[])[0]?.seq).toBe(from);
      }
    }
  });

  it("all entries after the checkpoint before the newest stay", async (log, world) => {
    await fortyEntries(log);
    expect((await readAll(await world.open(), 31)).map(({ seq }) => seq)).toEqual(upTo(40).slice(30));
  });

  it("a reader that fell behind goes on from the checkpoint and misses nothing", async (log, world) => {
    const reader = await world.open();
    await appendAll(log, 1, 3);
    expect(await readAll(reader)).toHaveLength(3);
    for (const tens of [10, 20, 30]) {
      await appendAll(log, tens === 10 ? 4 : tens - 9, tens);
      await checkpointAt(log, tens);
    }
    await appendAll(log, 31, 33);
    const missed = await reader.read(4 as Seq, 100).catch((cause: unknown) => cause);
    if (!(missed instanceof EntriesForgotten)) expect((missed as StoredEntry[])[0]?.seq).toBe(4);
    const checkpoint = (await reader.readCheckpoint()) as Checkpoint;
    expect(checkpoint.seq).toBe(30);
    expect((await readAll(reader, 31, checkpoint.hash)).map(({ seq }) => seq)).toEqual([31, 32, 33]);
  });

  it("a writer that slept through a truncation does not write into the past", async (log, world) => {
    const sleeper = await world.open();
    await appendSurely(sleeper, entryOf(1));
    await appendAll(log, 2, 10);
    await checkpointAt(log, 10);
    await appendAll(log, 11, 20);
    await checkpointAt(log, 20);
    await appendAll(log, 21, 30);
    await checkpointAt(log, 30);
    expect(await appendSurely(sleeper, entryOf(77))).toBe(31);
    expect((await entryAt(log, 31)).opId).toBe(uuidOf(77));
    const outcome = await log.read(2 as Seq, 1).catch((cause: unknown) => cause);
    if (!(outcome instanceof EntriesForgotten)) expect((outcome as StoredEntry[])[0]?.opId).toBe(uuidOf(2));
  });

  it("two writers that slept through a truncation agree with those who did not", async (log, world) => {
    const sleepers = [await world.open(), await world.open()];
    for (const sleeper of sleepers) await sleeper.read(1 as Seq, 1);
    await fortyEntries(log);
    const seqs = await Promise.all(sleepers.map((sleeper, index) => appendSurely(sleeper, entryOf(70 + index))));
    expect(seqs.toSorted((a, b) => a - b)).toEqual([41, 42]);
    expect(opIds(await readAll(log, 41)).toSorted()).toEqual([70, 71].map(uuidOf));
  });

  it("numbering goes on after a truncation and a restart", async (log, world) => {
    await fortyEntries(log);
    const next = await world.restart(log);
    expect(await appendSurely(next, entryOf(41))).toBe(41);
    expect((await next.readCheckpoint())?.seq).toBe(40);
  });

  it("a log is checkpointed and truncated many times over", async (log, world) => {
    for (const round of upTo(12)) {
      await appendAll(log, round * 6 - 5, round * 6);
      await checkpointAt(log, round * 6);
    }
    const other = await world.open();
    const checkpoint = (await other.readCheckpoint()) as Checkpoint;
    expect(checkpoint.seq).toBe(72);
    expect(await appendSurely(other, entryOf(73))).toBe(73);
    expect(opIds(await readAll(log, 73, checkpoint.hash))).toEqual([uuidOf(73)]);
  });
}
