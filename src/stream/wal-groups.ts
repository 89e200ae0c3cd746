/**
 * Reads groups of the WAL again, for batches whose bytes memory has let go of. Readers of one group share one read, and the
 * newest groups are kept: a group holds batches of many streams, whose readers come one after another.
 */
import { SingleFlight } from "../base/async.ts";
import { assert } from "../base/errors.ts";
import type { Owned } from "../base/ids.ts";
import { MiB } from "../base/settings.ts";
import type { CachedBatch, SpilledBatch, SpilledRun } from "./spilled-run.ts";
import type { Wal, WalGroup, WalPosition } from "./wal.ts";

export class WalGroups {
  readonly #wal: Wal;
  /** In order of last use. */
  readonly #held = new Map<WalPosition, Uint8Array>();
  readonly #flights = new SingleFlight<WalPosition, Uint8Array>();
  #bytesHeld = 0;

  constructor(wal: Wal) {
    this.#wal = wal;
  }

  async read(batch: SpilledBatch): Promise<CachedBatch> {
    const { group } = batch.place;
    return cut(batch, this.#held.get(group.position) ?? (await this.#shared(group)));
  }

  /** All batches of the runs of one generation, each group read once: they lie in one piece of the WAL. */
  async readRuns(runs: readonly SpilledRun[]): Promise<readonly CachedBatch[][]> {
    const members = new Map<WalPosition, { readonly group: WalGroup; readonly of: [run: number, batch: number][] }>();
    for (const [at, run] of runs.entries()) {
      for (let i = 0; i < run.length; i += 1) {
        const { group } = run.batch(i).place;
        const found = members.get(group.position);
        if (found === undefined) members.set(group.position, { group, of: [[at, i]] });
        else found.of.push([at, i]);
      }
    }
    const found = runs.map(() => [] as CachedBatch[]);
    const inOrder = [...members.values()].sort((a, b) => a.group.position - b.group.position);
    for (const { group, of } of inOrder) {
      const bytes = await this.#readGroup(group);
      // A run's batches are in the order of the WAL.
      for (const [at, i] of of) (found[at] as CachedBatch[]).push(cut((runs[at] as SpilledRun).batch(i), bytes));
    }
    return found;
  }

  #shared(group: WalGroup): Promise<Uint8Array> {
    return this.#flights.run(group.position, async () => {
      const bytes = await this.#readGroup(group);
      this.#held.set(group.position, bytes);
      this.#bytesHeld += bytes.length;
      for (const [oldest, { length }] of this.#held) {
        if (this.#bytesHeld <= heldBytesMax || oldest === group.position) break;
        this.#held.delete(oldest);
        this.#bytesHeld -= length;
      }
      return bytes;
    });
  }

  #readGroup(group: WalGroup): Promise<Uint8Array> {
    assert(this.#wal.readGroup !== undefined, "only a WAL that can be read has places");
    return this.#wal.readGroup(group);
  }
}

/** The group's memory is written once, by the read that brought it. */
function cut({ from, to, maxTimestamp, length, place }: SpilledBatch, group: Uint8Array): CachedBatch {
  const bytes = group.subarray(place.at, place.at + length) as Owned;
  return { from, to, maxTimestamp, bytes, place };
}

/** Two of the largest groups. */
const heldBytesMax = 16 * MiB;
