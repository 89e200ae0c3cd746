/** What every store of the metadata log does: order, remember, recognise, chain. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeEpoch, NodeId, Seq, Uuid } from "../../src/base/ids.ts";
import { type CasLog, EntriesForgotten, type LogEntry, type StoredEntry } from "../../src/metadata/cas-log.ts";
import { genesisHash, requireChain } from "../../src/metadata/entry-format.ts";
import { SimRandom } from "../sim/random.ts";

export interface LogUnderTest {
  /** Another handle on the same log, as another process would have; a store for one process gives the same one. */
  open(): Promise<CasLog>;
  /** Lets the work go on; a simulation turns its clock here. */
  run<T>(work: Promise<T>): Promise<T>;
  dispose(): PromiseLike<void>;
}

export function uuidOf(number: number): Uuid {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}` as Uuid;
}

export function entryOf(number: number, bytes = 20): LogEntry {
  const events = new SimRandom(number).fill(new Uint8Array(bytes));
  return { nodeId: (number % 3) as NodeId, nodeEpoch: 1 as NodeEpoch, opId: uuidOf(number), events };
}

/** Repeats until the log has answered, as its contract asks. */
export async function appendSurely(log: CasLog, entry: LogEntry): Promise<Seq> {
  for (;;) {
    const outcome = await log.append(entry);
    if (outcome.kind === "ok") return outcome.seq;
  }
}

/** Everything the log holds from `from` on, in small reads, checked for its chain. */
export async function readAll(log: CasLog, from = 1, hash?: Uint8Array): Promise<readonly StoredEntry[]> {
  const all: StoredEntry[] = [];
  let previous = { seq: (from - 1) as Seq, hash: hash ?? genesisHash };
  let hasEnded = false;
  for (;;) {
    const entries = await log.read((previous.seq + 1) as Seq, 7);
    if (entries.length === 0) return all;
    expect(hasEnded, "a short read is the end of the log").toBe(false);
    expect(entries.length).toBeLessThanOrEqual(7);
    hasEnded = entries.length < 7;
    for (const entry of entries) {
      if (from === 1 || hash !== undefined || all.length > 0) requireChain(previous, entry);
      all.push(entry);
      previous = entry;
    }
  }
}

export function casLogContract(name: string, setUp: () => Promise<LogUnderTest>): void {
  describe(`metadata log contract: ${name}`, () => {
    let world: LogUnderTest;
    beforeEach(async () => {
      world = await setUp();
    });
    afterEach(async () => await world.dispose());
    const inWorld = (work: (log: CasLog) => Promise<void>) => (): Promise<void> => world.run(world.open().then(work));

    test(
      "an empty log has no entries and no checkpoint",
      inWorld(async (log) => {
        expect(await log.read(1 as Seq, 10)).toEqual([]);
        expect(await log.readCheckpoint()).toBeUndefined();
      }),
    );

    test(
      "entries are numbered from 1 without a gap, read back as they were, and chained",
      inWorld(async (log) => {
        const sent = Array.from({ length: 30 }, (_, i) => entryOf(i, i * 100));
        for (const [index, entry] of sent.entries()) expect(await appendSurely(log, entry)).toBe(index + 1);
        const found = await readAll(log);
        expect(found.map(({ seq }) => seq)).toEqual(sent.map((_, index) => index + 1));
        for (const [index, entry] of found.entries()) {
          const { nodeId, nodeEpoch, opId, events } = entry;
          expect({ nodeId, nodeEpoch, opId, events: [...events] }).toEqual({
            ...sent[index],
            events: [...(sent[index] as LogEntry).events],
          });
        }
        expect(await log.read(31 as Seq, 5)).toEqual([]);
        expect((await log.read(30 as Seq, 5)).map(({ seq }) => seq)).toEqual([30]);
      }),
    );

    test(
      "the caller's bytes may be reused after the append",
      inWorld(async (log) => {
        const entry = entryOf(1);
        await appendSurely(log, entry);
        const before = [...entry.events];
        entry.events.fill(0);
        expect([...((await log.read(1 as Seq, 1))[0] as StoredEntry).events]).toEqual(before);
      }),
    );

    test(
      "a repeated opId is answered with its seq and adds nothing",
      inWorld(async (log) => {
        for (let i = 1; i <= 10; i++) await appendSurely(log, entryOf(i));
        for (const i of [10, 1, 5, 5]) expect(await appendSurely(log, entryOf(i))).toBe(i);
        expect(await readAll(log)).toHaveLength(10);
      }),
    );

    test(
      "of many writers at once every entry gets one place, in the order of each writer, and later handles agree",
      inWorld(async (log) => {
        const writers = [log, await world.open(), await world.open(), await world.open()];
        const seqs = await Promise.all(
          writers.map(async (writer, w) => {
            const own: Seq[] = [];
            for (let i = 0; i < 12; i++) own.push(await appendSurely(writer, entryOf(w * 100 + i)));
            return own;
          }),
        );
        for (const own of seqs) expect(own).toEqual(own.toSorted((a, b) => a - b));
        expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
        const found = await readAll(await world.open());
        for (const [w, own] of seqs.entries())
          for (const [i, seq] of own.entries()) expect(found[seq - 1]?.opId).toBe(uuidOf(w * 100 + i));
      }),
    );

    test(
      "a checkpoint is read back, the newest wins, and what follows it stays",
      inWorld(async (log) => {
        let hash = new Uint8Array(0);
        for (let i = 1; i <= 20; i++) {
          await appendSurely(log, entryOf(i));
          if (i % 5 > 0) continue;
          const last = (await log.read(i as Seq, 1))[0] as StoredEntry;
          hash = Uint8Array.from(last.hash);
          await log.writeCheckpoint({ seq: i as Seq, hash, image: new Uint8Array(3000).fill(i) });
        }
        await appendSurely(log, entryOf(21));
        const other = await world.open();
        const checkpoint = await other.readCheckpoint();
        expect(checkpoint?.seq).toBe(20);
        expect([...(checkpoint?.hash ?? [])]).toEqual([...hash]);
        expect(checkpoint?.image.every((byte) => byte === 20)).toBe(true);
        expect((await readAll(other, 21, hash)).map(({ seq }) => seq)).toEqual([21]);
        expect(await appendSurely(other, entryOf(21))).toBe(21);
      }),
    );

    test(
      "what is behind old checkpoints is forgotten as such, never as an empty or shifted log",
      inWorld(async (log) => {
        for (let i = 1; i <= 40; i++) {
          await appendSurely(log, entryOf(i));
          if (i % 10 > 0) continue;
          const { hash } = (await log.read(i as Seq, 1))[0] as StoredEntry;
          await log.writeCheckpoint({ seq: i as Seq, hash, image: new Uint8Array(1) });
        }
        for (let from = 1; from <= 40; from++) {
          const outcome = await log.read(from as Seq, 1).catch((cause: unknown) => cause);
          if (outcome instanceof EntriesForgotten) expect(from).toBeLessThanOrEqual(40);
          else expect((outcome as StoredEntry[])[0]?.seq).toBe(from);
        }
      }),
    );

    test(
      "an older checkpoint does not replace a newer one",
      inWorld(async (log) => {
        for (let i = 1; i <= 4; i++) await appendSurely(log, entryOf(i));
        const [third, fourth] = (await log.read(3 as Seq, 2)) as [StoredEntry, StoredEntry];
        await log.writeCheckpoint({ seq: 4 as Seq, hash: fourth.hash, image: new Uint8Array(4) });
        await log.writeCheckpoint({ seq: 3 as Seq, hash: third.hash, image: new Uint8Array(3) });
        expect((await log.readCheckpoint())?.seq).toBe(4);
      }),
    );
  });
}
