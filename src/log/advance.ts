/** Who waits for a partition to move: fetches for any advance, repeated batches for the durability of the first. */
import type { Offset } from "../base/ids.ts";

export class Advance {
  readonly #listeners = new Set<() => void>();
  #repeats: Repeat[] = [];

  /** Each listener is called once; whoever wants more listens again. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  notify(): void {
    if (this.#listeners.size === 0) return;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  /** Resolves when the high watermark is at or above `end`; rejects when nothing becomes durable any more. */
  reached(end: Offset): Promise<void> {
    return new Promise((resolve, reject) => this.#repeats.push({ end, resolve, reject }));
  }

  to(highWatermark: Offset): void {
    if (this.#repeats.length > 0) {
      const repeats = this.#repeats;
      this.#repeats = repeats.filter((repeat) => repeat.end > highWatermark);
      for (const repeat of repeats) if (repeat.end <= highWatermark) repeat.resolve();
    }
    this.notify();
  }

  fail(cause: Error): void {
    for (const repeat of this.#repeats.splice(0)) repeat.reject(cause);
    this.notify();
  }
}

interface Repeat {
  readonly end: Offset;
  readonly resolve: () => void;
  readonly reject: (cause: Error) => void;
}
