/** The contract's first part: entries are ordered, remembered as they were, and chained. */
import { expect } from "vitest";
import type { Seq } from "../../../src/base/ids.ts";
import type { LogEntry, StoredEntry } from "../../../src/metadata/cas-log.ts";
import { appendAll, appendSurely, type Declare, entryAt, entryOf, opIds, readAll, upTo, uuidOf } from "./world.ts";

export function emptyAndOrder(it: Declare): void {
  it("an empty log has no entries and no checkpoint", async (log) => {
    expect(await log.read(1 as Seq, 10)).toEqual([]);
    expect(await log.read(100 as Seq, 10)).toEqual([]);
    expect(await log.readCheckpoint()).toBeUndefined();
  });

  it("an empty log is still empty after a restart", async (log, world) => {
    const next = await world.restart(log);
    expect(await next.read(1 as Seq, 10)).toEqual([]);
    expect(await next.readCheckpoint()).toBeUndefined();
    expect(await appendSurely(next, entryOf(1))).toBe(1);
  });

  it("entries are numbered from 1 without a gap, read back as they were, and chained", async (log) => {
    const sent = Array.from({ length: 30 }, (_, i) => entryOf(i, i * 100));
    for (const [index, entry] of sent.entries()) expect(await appendSurely(log, entry)).toBe(index + 1);
    const found = await readAll(log);
    expect(found.map(({ seq }) => seq)).toEqual(upTo(30));
    for (const [index, { nodeId, nodeEpoch, opId, events }] of found.entries()) {
      const expected = sent[index] as LogEntry;
      expect({ nodeId, nodeEpoch, opId, events: [...events] }).toEqual({ ...expected, events: [...expected.events] });
    }
    expect(await log.read(31 as Seq, 5)).toEqual([]);
    expect((await log.read(30 as Seq, 5)).map(({ seq }) => seq)).toEqual([30]);
  });

  it("the caller's bytes may be reused after the append", async (log) => {
    const entry = entryOf(1);
    await appendSurely(log, entry);
    const before = [...entry.events];
    entry.events.fill(0);
    expect([...(await entryAt(log, 1)).events]).toEqual(before);
  });

  it("equal events under different opIds are different entries", async (log) => {
    await appendSurely(log, entryOf(1));
    expect(await appendSurely(log, { ...entryOf(1), opId: uuidOf(2) })).toBe(2);
    const [first, second] = (await log.read(1 as Seq, 2)) as [StoredEntry, StoredEntry];
    expect([...first.hash]).not.toEqual([...second.hash]);
  });

  it("an entry may be without events", async (log) => {
    expect(await appendSurely(log, entryOf(1, 0))).toBe(1);
    expect((await entryAt(log, 1)).events).toHaveLength(0);
  });

  it("an entry of three megabytes is read back, and the next one follows it", async (log, world) => {
    const large = entryOf(1, 3 * 1024 * 1024);
    await appendSurely(log, large);
    await appendSurely(log, entryOf(2));
    const found = await readAll(await world.open());
    expect(Buffer.compare((found[0] as StoredEntry).events, large.events)).toBe(0);
    expect(opIds(found)).toEqual([uuidOf(1), uuidOf(2)]);
  });

  it("large and small entries in turn keep their places", async (log) => {
    for (const i of upTo(12)) await appendSurely(log, entryOf(i, i % 3 === 0 ? 200_000 : 10));
    expect((await readAll(log)).map(({ events }) => events.length)).toEqual(
      upTo(12).map((i) => (i % 3 === 0 ? 200_000 : 10)),
    );
  });

  it("ids of nodes, epochs and offsets up to their bounds come back", async (log) => {
    const entry = { ...entryOf(1), nodeId: 2_147_483_647, nodeEpoch: Number.MAX_SAFE_INTEGER } as LogEntry;
    await appendSurely(log, entry);
    expect(await entryAt(log, 1)).toMatchObject({ nodeId: 2_147_483_647, nodeEpoch: Number.MAX_SAFE_INTEGER });
  });
}

export function reading(it: Declare): void {
  it("a reader far behind gets everything in reads of one", async (log, world) => {
    await appendAll(log, 1, 60);
    const reader = await world.open();
    const found: StoredEntry[] = [];
    for (const seq of upTo(60)) found.push(await entryAt(reader, seq));
    expect(opIds(found)).toEqual(upTo(60).map(uuidOf));
  });

  it("a reader far behind gets everything in one read, and never more than it asked for", async (log, world) => {
    await appendAll(log, 1, 75);
    const reader = await world.open();
    expect(await reader.read(1 as Seq, 74)).toHaveLength(74);
    expect(await reader.read(1 as Seq, 75)).toHaveLength(75);
    expect(await reader.read(1 as Seq, 1000)).toHaveLength(75);
  });

  it("a reader may begin anywhere, and beyond the end it finds nothing", async (log, world) => {
    await appendAll(log, 1, 20);
    const reader = await world.open();
    for (const from of [20, 3, 11, 1, 19])
      expect((await reader.read(from as Seq, 100)).map(({ seq }) => seq)).toEqual(upTo(20).slice(from - 1));
    for (const from of [21, 22, 1000]) expect(await reader.read(from as Seq, 5)).toEqual([]);
  });

  it("reading twice gives the same, and what is appended between the reads", async (log) => {
    await appendAll(log, 1, 3);
    const first = await log.read(1 as Seq, 10);
    await appendAll(log, 4, 5);
    const second = await log.read(1 as Seq, 10);
    expect(opIds(second.slice(0, 3))).toEqual(opIds(first));
    expect(second.slice(0, 3).map(({ hash }) => [...hash])).toEqual(first.map(({ hash }) => [...hash]));
    expect(second).toHaveLength(5);
  });

  it("what one handle was told is seen by every other at once", async (log, world) => {
    const others = [await world.open(), await world.open()];
    for (const i of upTo(10)) {
      await appendSurely(log, entryOf(i));
      for (const other of others) expect((await entryAt(other, i)).opId).toBe(uuidOf(i));
    }
  });

  it("readers during a stream of appends see prefixes that only grow", async (log, world) => {
    const reader = await world.open();
    let isDone = false;
    const writing = appendAll(log, 1, 40).finally(() => {
      isDone = true;
    });
    const seen: StoredEntry[] = [];
    while (!isDone) {
      const next = await reader.read(1 as Seq, 7 + seen.length);
      expect(opIds(next.slice(0, seen.length))).toEqual(opIds(seen));
      seen.push(...next.slice(seen.length));
    }
    await writing;
    expect(await readAll(reader)).toHaveLength(40);
  });
}

export function realTime(it: Declare): void {
  it("what was answered before another append was sent stands before it, on whichever handle", async (log, world) => {
    const handles = [log, await world.open(), await world.open()];
    let before = 0;
    for (const i of upTo(24)) {
      const seq = await appendSurely(handles[i % 3] as typeof log, entryOf(i));
      expect(seq).toBeGreaterThan(before);
      before = seq;
    }
  });

  it("a handle that slept while others wrote goes on behind them", async (log, world) => {
    const sleeper = await world.open();
    expect(await appendSurely(sleeper, entryOf(1))).toBe(1);
    await appendAll(log, 2, 30);
    expect(await appendSurely(sleeper, entryOf(31))).toBe(31);
    expect(opIds(await readAll(log))).toEqual(upTo(31).map(uuidOf));
  });

  it("a handle that only read goes on at the end", async (log, world) => {
    await appendAll(log, 1, 10);
    const reader = await world.open();
    expect(await readAll(reader)).toHaveLength(10);
    expect(await appendSurely(reader, entryOf(11))).toBe(11);
  });

  it("appends that are sent at once on one handle all get a place, in an order that stays", async (log) => {
    const seqs = await Promise.all(upTo(20).map((i) => appendSurely(log, entryOf(i))));
    expect(seqs.toSorted((a, b) => a - b)).toEqual(upTo(20));
    const found = await readAll(log);
    for (const [index, seq] of seqs.entries()) expect(found[seq - 1]?.opId).toBe(uuidOf(index + 1));
  });
}
