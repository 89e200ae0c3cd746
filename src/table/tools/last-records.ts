/**
 * The last record of each of some keys in each topic partition, as a log says it. Pure. A record of a key may become a row
 * after the fact only while it is still its key's last:
 *
 *   offsets of K    3    5    8          told of the log     a record of K at 8: last   at 5: superseded   at 9: gone
 *
 * "gone": the log does not hold the record any more, so that nobody knows what else of its key is gone with it.
 */
import type { Touch } from "./touches.ts";

export type Standing = "last" | "superseded" | "gone";

interface LastRecord {
  readonly offset: number;
  readonly timestamp: number;
}

export class LastRecords {
  /** By key, by partition. */
  readonly #keys = new Map<string, Map<number, LastRecord>>();

  get keys(): number {
    return this.#keys.size;
  }

  /** Only keys that are watched are noted. */
  watch(touches: Iterable<Touch>): void {
    for (const { key } of touches) if (!this.#keys.has(key)) this.#keys.set(key, new Map());
  }

  note(touches: Iterable<Touch>): void {
    for (const { key, partition, offset, timestamp } of touches) {
      const known = this.#keys.get(key);
      if (known === undefined || offset < (known.get(partition)?.offset ?? 0)) continue;
      known.set(partition, { offset, timestamp });
    }
  }

  /** Between partitions the greater timestamp decides, then the greater partition, as within a round. */
  standingOf({ key, partition, offset, timestamp }: Touch): Standing {
    const known = this.#keys.get(key) ?? new Map<number, LastRecord>();
    const own = known.get(partition)?.offset ?? -1;
    if (own > offset) return "superseded";
    for (const [other, last] of known) {
      if (other === partition || last.timestamp < timestamp) continue;
      if (last.timestamp > timestamp || other > partition) return "superseded";
    }
    return own === offset ? "last" : "gone";
  }
}
