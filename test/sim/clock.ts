/**
 * Time of a simulated world: a queue of (time, order of arrival) that the world turns by hand. Between two events all
 * promises that can go on do, so one seed gives one order of everything.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../src/base/runtime.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

export class SimClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #startMs: number;
  /** A binary heap, earliest first. */
  readonly #events: Event[] = [];
  readonly #trace = createHash("sha256");
  readonly #recent: string[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + Math.floor(this.#nowMs);
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Disposable {
    const event: Event = { at: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#push(event);
    return {
      [Symbol.dispose]: () => {
        event.callback = undefined;
      },
    };
  }

  /** Adds a line to the trace; equal worlds have equal traces. The last lines are kept for whoever reads a failure. */
  trace(line: string): void {
    const stamped = `${this.#nowMs.toFixed(3)} ${line}`;
    this.#trace.update(`${stamped}\n`);
    this.#recent.push(stamped);
    if (this.#recent.length > 200) this.#recent.shift();
  }

  traceHash(): string {
    return this.#trace.copy().digest("hex");
  }

  recentTrace(): readonly string[] {
    return this.#recent;
  }

  /** Runs what is due within the next `forMs` of simulated time; without it, until nothing is left. */
  async run(forMs = Number.POSITIVE_INFINITY): Promise<void> {
    const until = this.#nowMs + forMs;
    await settle();
    while ((this.#events[0]?.at ?? Number.POSITIVE_INFINITY) <= until && this.#events.length > 0) await this.#step();
    if (Number.isFinite(until)) this.#nowMs = until;
  }

  /** Runs until the promise settles. Throws when nothing is left that could settle it, or after `withinMs` simulated. */
  async until<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    const deadline = this.#nowMs + withinMs;
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await settle();
    while (!settled) {
      const next = this.#events[0];
      if (next === undefined) throw new Error(`the world stands still\n${this.#recent.slice(-20).join("\n")}`);
      if (next.at > deadline) throw new Error(`not done in ${withinMs} ms\n${this.#recent.slice(-20).join("\n")}`);
      await this.#step();
    }
    return promise;
  }

  async #step(): Promise<void> {
    const event = this.#pop();
    if (event.callback === undefined) return; // Disposed of: time does not pass for it.
    this.#nowMs = Math.max(this.#nowMs, event.at);
    event.callback();
    await settle();
  }

  #push(event: Event): void {
    const heap = this.#events;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Event {
    const heap = this.#events;
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A node's own view of the world's clock: its wall clock may be wrong, and when the node dies its timers die with it. */
export class NodeClock implements Clock {
  readonly #world: SimClock;
  #alive = true;
  /** Added to the wall clock, and only to it. */
  skewMs = 0;

  constructor(world: SimClock) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now() + this.skewMs;
  }

  monotonic(): number {
    return this.#world.monotonic();
  }

  after(delayMs: number, callback: () => void): Disposable {
    return this.#world.after(delayMs, () => {
      if (this.#alive) callback();
    });
  }

  kill(): void {
    this.#alive = false;
  }
}

/** One turn of the real event loop: every promise and nextTick that can run has run before it returns. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
