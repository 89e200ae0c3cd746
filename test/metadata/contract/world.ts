/** What the contract of the metadata log asks of a store under test, and the small tools that its suites share. */
import { expect, test } from "vitest";
import type { NodeEpoch, NodeId, Seq, Uuid } from "../../../src/base/ids.ts";
import type { Runtime } from "../../../src/base/runtime.ts";
import type { CasLog, LogEntry, StoredEntry } from "../../../src/metadata/cas-log.ts";
import { genesisHash, requireChain } from "../../../src/metadata/entry-format.ts";
import { SimRandom } from "../../sim/random.ts";

export interface LogUnderTest {
  /** Another handle on the same log, as another process would have; a store for one process gives the same one. */
  open(): Promise<CasLog>;
  /** The process ends, in order or not, and another begins. */
  restart(log: CasLog): Promise<CasLog>;
  /** Takes a copy of the store; what it returns puts the store back to that. undefined: this world cannot. */
  readonly backUp?: () => Promise<() => Promise<void>>;
  /** Of the clients that are put on top. */
  readonly runtime: Runtime;
  /** Lets the work go on; a simulation turns its clock here. */
  run<T>(work: Promise<T>): Promise<T>;
  dispose(): PromiseLike<void>;
}

/** Declares a test that is given the world and a first handle. */
export type Declare = (name: string, work: (log: CasLog, world: LogUnderTest) => Promise<void>) => void;

export function declarer(world: () => LogUnderTest): Declare {
  return (name, work) =>
    test(name, () => {
      const it = world();
      return it.run(it.open().then((log) => work(log, it)));
    });
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

/** Entries `from` to `to`, one after another. */
export async function appendAll(log: CasLog, from: number, to: number): Promise<void> {
  for (let i = from; i <= to; i++) await appendSurely(log, entryOf(i));
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

export async function entryAt(log: CasLog, seq: number): Promise<StoredEntry> {
  const [entry] = await log.read(seq as Seq, 1);
  expect(entry?.seq).toBe(seq);
  return entry as StoredEntry;
}

/** A checkpoint at the seq, whose image is so many bytes of its number. */
export async function checkpointAt(log: CasLog, seq: number, bytes = 100): Promise<void> {
  const { hash } = await entryAt(log, seq);
  await log.writeCheckpoint({ seq: seq as Seq, hash, image: new Uint8Array(bytes).fill(seq) });
}

export function opIds(entries: readonly StoredEntry[]): readonly Uuid[] {
  return entries.map(({ opId }) => opId);
}

/** Numbers from 1 to `count`. */
export function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
