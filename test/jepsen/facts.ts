/**
 * What a history says for certain, in the forms that the checks need.
 *
 *   a key's offsets   0    1    2    4    5        control records and what was aborted leave holes
 *   version order     0    1    2    3    4        so versions are counted without them
 */
import type { History, Operation, Poll, Send } from "./history.ts";

export interface Version {
  readonly index: number;
  readonly offset: number;
  /** More than one only if the broker broke its word. */
  readonly values: ReadonlySet<string>;
}

export class Facts {
  readonly history: History;
  readonly writers = new Map<string, Operation>();
  /** Read by anybody, whatever became of the reader's own operation. */
  readonly read = new Set<string>();
  readonly polls: readonly { readonly poll: Poll; readonly by: Operation }[];
  readonly sends: readonly { readonly send: Send; readonly by: Operation }[];
  readonly #orders = new Map<number, readonly Version[]>();
  /** By key and value, every version that holds it. */
  readonly #versions = new Map<string, Version[]>();

  constructor(history: History) {
    this.history = history;
    const steps = history.flatMap((by) => by.steps.map((step) => ({ step, by })));
    this.polls = steps.flatMap(({ step, by }) => (step.kind === "poll" ? [{ poll: step, by }] : []));
    this.sends = steps.flatMap(({ step, by }) => (step.kind === "send" ? [{ send: step, by }] : []));
    for (const { send, by } of this.sends) for (const value of send.values) this.writers.set(value, by);
    for (const { poll } of this.polls) for (const { value } of poll.reads) this.read.add(value);
    this.#order();
  }

  get keys(): Iterable<number> {
    return this.#orders.keys();
  }

  /** Whether its writes must stand: it was told so, or one of them was seen. */
  hasCommitted({ outcome, steps }: Operation): boolean {
    if (outcome !== "info") return outcome === "ok";
    return steps.some((step) => step.kind === "send" && step.values.some((value) => this.read.has(value)));
  }

  order(key: number): readonly Version[] {
    return this.#orders.get(key) ?? [];
  }

  versions(key: number, value: string): readonly Version[] {
    return this.#versions.get(`${key} ${value}`) ?? [];
  }

  /** Where it stands in its key; undefined when nobody knows. */
  indexOf(key: number, value: string): number | undefined {
    return this.versions(key, value)[0]?.index;
  }

  /** All polls count, those of aborted transactions too: the reader saw what it saw. */
  #order(): void {
    const places = new Map<number, Map<number, Set<string>>>();
    const put = (key: number, offset: number, value: string): void => {
      const ofKey = entry(places, key, () => new Map<number, Set<string>>());
      entry(ofKey, offset, () => new Set<string>()).add(value);
    };
    for (const { poll } of this.polls) for (const { offset, value } of poll.reads) put(poll.key, offset, value);
    for (const { send, by } of this.sends) {
      if (send.offset === undefined || !this.hasCommitted(by)) continue;
      for (const [at, value] of send.values.entries()) put(send.key, send.offset + at, value);
    }
    for (const [key, ofKey] of places) {
      const sorted = [...ofKey].toSorted(([a], [b]) => a - b);
      const order = sorted.map(([offset, values], index): Version => ({ index, offset, values }));
      this.#orders.set(key, order);
      for (const version of order) {
        for (const value of version.values) {
          entry(this.#versions, `${key} ${value}`, () => []).push(version);
        }
      }
    }
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
