/** Offsets of one group that count only when their transactions commit. */
import type { CommittedOffset, TopicPartition } from "./group-offsets.ts";

interface Pending extends TopicPartition {
  /** Grows with each; the newest of several transactions wins, whichever ends last. */
  readonly order: number;
  /** Null: something newer was said of the partition since; the transaction changes nothing there any more. */
  readonly value: CommittedOffset | null;
}

export class PendingOffsets {
  readonly #byProducer = new Map<number, Map<string, Pending>>();
  #orderNext = 0;

  get isEmpty(): boolean {
    return this.#byProducer.size === 0;
  }

  add(producerId: number, at: TopicPartition, value: CommittedOffset): void {
    const known = this.#byProducer.get(producerId) ?? new Map<string, Pending>();
    known.set(nameOf(at), { topic: at.topic, partition: at.partition, value, order: this.#orderNext++ });
    this.#byProducer.set(producerId, known);
  }

  /** The partition's offset is forgotten, and with it what transactions were about to make of it. */
  forget(at: TopicPartition): void {
    const name = nameOf(at);
    for (const [producerId, pending] of this.#byProducer) {
      if (pending.delete(name) && pending.size === 0) this.#byProducer.delete(producerId);
    }
  }

  /** The partition's offset was set outside of any transaction: of what is pending, nothing is newer. */
  supersede(at: TopicPartition, before = Number.POSITIVE_INFINITY): void {
    const name = nameOf(at);
    for (const pending of this.#byProducer.values()) {
      const known = pending.get(name);
      if (known !== undefined && known.order < before) pending.set(name, { ...known, value: null });
    }
  }

  /** Whether an open transaction may still move the partition's offset. */
  has(at: TopicPartition): boolean {
    const name = nameOf(at);
    for (const pending of this.#byProducer.values()) if (pending.has(name)) return true;
    return false;
  }

  /** Every partition that is waiting, some perhaps twice. A null value changes nothing any more. */
  *all(): Iterable<TopicPartition & { readonly value: CommittedOffset | null }> {
    for (const pending of this.#byProducer.values()) yield* pending.values();
  }

  /** Forgets the producer's. A commit gives what becomes of it, and nothing older of other transactions counts any more. */
  end(producerId: number, outcome: "commit" | "abort"): readonly CommittedAt[] {
    const pending = [...(this.#byProducer.get(producerId)?.values() ?? [])];
    this.#byProducer.delete(producerId);
    if (outcome === "abort") return [];
    return pending.flatMap(({ topic, partition, value, order }) => {
      if (value === null) return [];
      this.supersede({ topic, partition }, order);
      return [{ topic, partition, value }];
    });
  }
}

type CommittedAt = TopicPartition & { readonly value: CommittedOffset };

function nameOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`;
}
