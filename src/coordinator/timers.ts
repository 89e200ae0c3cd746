/** Named timers that are moved far more often than they fire: a heartbeat only moves its due time, the clock is left alone. */
import type { Clock } from "../base/runtime.ts";

interface Entry {
  dueAt: number;
  armedFor: number;
  armed: Disposable;
}

export class Timers implements Disposable {
  readonly #clock: Clock;
  readonly #fired: (name: string) => void;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, fired: (name: string) => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  /** Replaces the timer of the same name. */
  set(name: string, afterMs: number): void {
    const dueAt = this.#clock.monotonic() + afterMs;
    const entry = this.#entries.get(name);
    if (entry !== undefined && entry.armedFor <= dueAt) {
      entry.dueAt = dueAt; // Wakes too early, sees that, and goes to sleep again.
      return;
    }
    entry?.armed[Symbol.dispose]();
    this.#entries.set(name, { dueAt, armedFor: dueAt, armed: this.#arm(name, afterMs) });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  cancel(name: string): void {
    this.#entries.get(name)?.armed[Symbol.dispose]();
    this.#entries.delete(name);
  }

  [Symbol.dispose](): void {
    for (const { armed } of this.#entries.values()) armed[Symbol.dispose]();
    this.#entries.clear();
  }

  #arm(name: string, afterMs: number): Disposable {
    return this.#clock.after(afterMs, () => {
      const entry = this.#entries.get(name);
      if (entry === undefined) return;
      const remainingMs = entry.dueAt - this.#clock.monotonic();
      if (remainingMs > 0) {
        entry.armedFor = entry.dueAt;
        entry.armed = this.#arm(name, remainingMs);
        return;
      }
      this.#entries.delete(name);
      this.#fired(name);
    });
  }
}
