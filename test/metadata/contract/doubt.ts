/** The contract's second part: lost answers, writes that land late, processes that end, and many writers at once. */
import { expect } from "vitest";
import type { Seq } from "../../../src/base/ids.ts";
import type { CasLog, LogEntry } from "../../../src/metadata/cas-log.ts";
import { SimRandom } from "../../sim/random.ts";
import {
  appendAll,
  appendSurely,
  checkpointAt,
  type Declare,
  entryOf,
  type LogUnderTest,
  opIds,
  readAll,
  upTo,
  uuidOf,
} from "./world.ts";

/** The log must hold these operations, each once, and nothing else. */
async function requireOnly(log: CasLog, numbers: readonly number[]): Promise<void> {
  expect(opIds(await readAll(log)).toSorted()).toEqual(numbers.map(uuidOf).toSorted());
}

export function repeats(it: Declare): void {
  it("a repeated opId is answered with its seq and adds nothing", async (log) => {
    await appendAll(log, 1, 10);
    for (const i of [10, 1, 5, 5]) expect(await appendSurely(log, entryOf(i))).toBe(i);
    expect(await readAll(log)).toHaveLength(10);
  });

  it("a repeat on another handle is the same operation", async (log, world) => {
    await appendAll(log, 1, 5);
    const other = await world.open();
    for (const i of [5, 2]) expect(await appendSurely(other, entryOf(i))).toBe(i);
    expect(await appendSurely(other, entryOf(6))).toBe(6);
    await requireOnly(log, upTo(6));
  });

  it("a repeat after a restart is the same operation", async (log, world) => {
    await appendAll(log, 1, 5);
    const next = await world.restart(log);
    for (const i of [1, 5, 3]) expect(await appendSurely(next, entryOf(i))).toBe(i);
    await requireOnly(next, upTo(5));
  });

  it("a repeat after a checkpoint at the operation's own seq is the same operation", async (log) => {
    await appendAll(log, 1, 5);
    await checkpointAt(log, 5);
    expect(await appendSurely(log, entryOf(5))).toBe(5);
    expect(await appendSurely(log, entryOf(6))).toBe(6);
  });

  it("of two contents under one opId the first counts", async (log) => {
    await appendSurely(log, entryOf(1));
    expect(await appendSurely(log, { ...entryOf(2), opId: uuidOf(1) })).toBe(1);
    const [found] = await readAll(log);
    expect([...(found?.events ?? [])]).toEqual([...entryOf(1).events]);
  });

  it("one operation that is sent many times at once gets one place", async (log, world) => {
    const handles = [log, await world.open(), await world.open()];
    const seqs = await Promise.all(upTo(12).map((i) => appendSurely(handles[i % 3] as CasLog, entryOf(1))));
    expect(new Set(seqs)).toEqual(new Set([1]));
    await requireOnly(log, [1]);
  });
}

/** The answer to the k-th of twelve appends reaches nobody, and its process goes on, or dies with the question. */
export function lostAnswers(it: Declare): void {
  for (const k of upTo(12)) {
    it(`the answer to append ${k} is lost; it is repeated, by its process or by another`, async (log, world) => {
      const other = await world.open();
      for (const i of upTo(12)) {
        if (i === k) await log.append(entryOf(i)); // Whatever it says, nobody hears it.
        const by = i === k && k % 2 === 0 ? other : log;
        expect(await appendSurely(by, entryOf(i))).toBe(i);
      }
      await requireOnly(log, upTo(12));
    });
  }

  it("an append that is given up for good stands once or not at all", async (log, world) => {
    await log.append(entryOf(1));
    const other = await world.open();
    await appendAll(other, 2, 4);
    const found = opIds(await readAll(other));
    expect(found.filter((opId) => opId !== uuidOf(1))).toEqual([2, 3, 4].map(uuidOf));
    expect(new Set(found).size).toBe(found.length);
  });
}

/** A ghost: its client gave it up, and it arrives when others have written. */
export function ghosts(it: Declare): void {
  for (const late of [0, 1, 3, 9]) {
    it(`a write that lands ${late} appends late, and is repeated meanwhile, stands once`, async (log, world) => {
      const ghost = await world.open();
      await ghost.read(1 as Seq, 1); // It has seen the log as it was then.
      expect(await appendSurely(log, entryOf(100))).toBe(1);
      await appendAll(log, 1, late);
      expect(await appendSurely(ghost, entryOf(100))).toBe(1);
      await requireOnly(log, [100, ...upTo(late)]);
    });
  }

  it("a write of a process that is gone lands behind its successor's first one, or before it, once", async (log, world) => {
    const ghost = await world.open();
    await appendAll(log, 1, 3);
    const landing = ghost.append(entryOf(50));
    const seq = await appendSurely(log, entryOf(4));
    await landing;
    expect([4, 5]).toContain(seq);
    const found = opIds(await readAll(log));
    expect(found.filter((opId) => opId === uuidOf(4))).toHaveLength(1);
    expect(found.filter((opId) => opId === uuidOf(50)).length).toBeLessThanOrEqual(1);
  });

  it("two ghosts of one operation, and its repeat, stand once", async (log, world) => {
    const [one, two] = [await world.open(), await world.open()];
    await appendAll(log, 1, 2);
    await Promise.all([one.append(entryOf(9)), appendSurely(log, entryOf(9)), two.append(entryOf(9))]);
    await appendAll(log, 3, 4);
    await Promise.all([one.append(entryOf(9)), two.append(entryOf(9))]);
    await requireOnly(log, [1, 2, 3, 4, 9]);
  });

  it("a ghost from before two checkpoints does not come between what is there", async (log, world) => {
    const ghost = await world.open();
    await appendSurely(ghost, entryOf(1));
    await appendAll(log, 2, 10);
    await checkpointAt(log, 10);
    await appendAll(log, 11, 20);
    await checkpointAt(log, 20);
    await appendAll(log, 21, 25);
    expect(await appendSurely(ghost, entryOf(99))).toBe(26);
    const { hash } = (await log.readCheckpoint()) as { hash: Uint8Array };
    expect(opIds(await readAll(await world.open(), 21, hash))).toEqual([21, 22, 23, 24, 25, 99].map(uuidOf));
  });
}

const stormClients = 16;

export function storms(it: Declare): void {
  it("of 16 clients at once every entry gets one place, in the order of each client", async (log, world) => {
    const seqs = await storm(world, 5, (handle, number) => appendSurely(handle, entryOf(number)));
    for (const own of seqs) expect(own).toEqual(own.toSorted((a, b) => a - b));
    expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(upTo(5 * stormClients));
    const found = await readAll(log);
    for (const [client, own] of seqs.entries())
      for (const [i, seq] of own.entries()) expect(found[seq - 1]?.opId).toBe(uuidOf(client * 100 + i + 1));
  });

  it("of 16 clients that never believe the first answer nobody stands twice", async (log, world) => {
    await storm(world, 3, async (handle, number) => {
      await handle.append(entryOf(number));
      return await appendSurely(handle, entryOf(number));
    });
    expect(await readAll(log)).toHaveLength(3 * stormClients);
    expect(new Set(opIds(await readAll(log))).size).toBe(3 * stormClients);
  });

  it("16 clients with one operation share its place", async (log, world) => {
    const seqs = await storm(world, 1, (handle) => appendSurely(handle, entryOf(7)));
    expect(new Set(seqs.flat())).toEqual(new Set([1]));
    await requireOnly(log, [7]);
  });

  it("in a storm an append that began after another's answer stands behind it", async (log, world) => {
    let answered = 0;
    await storm(world, 4, async (handle, number) => {
      const before = answered;
      const seq = await appendSurely(handle, entryOf(number));
      expect(seq).toBeGreaterThan(before);
      answered = Math.max(answered, seq);
      return seq;
    });
    expect(await readAll(log)).toHaveLength(4 * stormClients);
  });

  it("checkpoints in the middle of a storm take nothing away", async (log, world) => {
    const seqs = await storm(world, 4, async (handle, number) => {
      const seq = await appendSurely(handle, entryOf(number));
      if (seq % 16 === 0) await checkpointAt(handle, seq);
      return seq;
    });
    // An operation that took longer than from one checkpoint to the next but one may stand twice: the fold knows it.
    expect(new Set(seqs.flat()).size).toBe(4 * stormClients);
    const other = await world.open();
    const checkpoint = await other.readCheckpoint();
    const from = (checkpoint?.seq ?? 0) + 1;
    expect(checkpoint?.seq).toBeGreaterThanOrEqual(48);
    const found = (await readAll(other, from, checkpoint?.hash)).map(({ seq }) => seq);
    for (const seq of seqs.flat().filter((seq) => seq >= from)) expect(found).toContain(seq);
    expect(await appendSurely(log, entryOf(9999))).toBe((found.at(-1) ?? from - 1) + 1);
  });

  it("readers in a storm agree about every seq", async (log, world) => {
    const readers = [await world.open(), await world.open()];
    const seen = new Map<number, string>();
    await storm(world, 3, async (handle, number) => {
      const seq = await appendSurely(handle, entryOf(number));
      for (const entry of await (readers[number % 2] as CasLog).read(1 as Seq, 1000)) {
        expect(seen.get(entry.seq) ?? entry.opId).toBe(entry.opId);
        seen.set(entry.seq, entry.opId);
      }
      return seq;
    });
    expect(await readAll(log)).toHaveLength(3 * stormClients);
  });
}

/** Each of 16 handles does its operations one after another, all handles at once. Returns what each was answered. */
async function storm(
  world: LogUnderTest,
  operations: number,
  operation: (handle: CasLog, number: number) => Promise<Seq>,
): Promise<readonly (readonly Seq[])[]> {
  const handles: CasLog[] = [];
  while (handles.length < stormClients) handles.push(await world.open());
  return await Promise.all(
    handles.map(async (handle, client) => {
      const own: Seq[] = [];
      for (const i of upTo(operations)) own.push(await operation(handle, client * 100 + i));
      return own;
    }),
  );
}

/** A script of ten steps, and a restart between two of them. */
export function restarts(it: Declare): void {
  for (const position of upTo(9)) {
    it(`a restart after step ${position} of ten changes nothing`, async (first, world) => {
      const random = new SimRandom(position);
      let log = first;
      let next = 1;
      const sent: LogEntry[] = [];
      for (const step of upTo(10)) {
        const count = 1 + random.below(4);
        for (const entry of upTo(count).map(() => entryOf(next++, random.below(400)))) {
          if (random.chance(0.3)) await log.append(entry); // Nobody listens.
          expect(await appendSurely(log, entry)).toBe(sent.push(entry));
        }
        if (step % 3 === 0) await checkpointAt(log, sent.length);
        if (step === position) log = await world.restart(log);
      }
      const checkpoint = await log.readCheckpoint();
      const from = (checkpoint?.seq ?? 0) + 1;
      expect(opIds(await readAll(log, from, checkpoint?.hash))).toEqual(sent.slice(from - 1).map(({ opId }) => opId));
    });
  }
}
