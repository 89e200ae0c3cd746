/**
 * Memory for slabs, used again once nobody can see it. Who says so is the garbage collector:
 *
 *   memory ── clone ──▶ SharedArrayBuffer ◀── views: of answers, of the WAL, of writes on their way to the kernel
 *     ▲                         │
 *     └────────── free ◀────────┘ collected after the last view
 *
 * The bytes of an ArrayBuffer go when it does. Those of a SharedArrayBuffer are shared by its clones: all views are of a clone,
 * and its end says that its bytes may be written again. New memory would cost a fault of the kernel for each page, 0.6 s a GiB.
 */
export class SlabMemory {
  readonly #bytes: number;
  readonly #free: SharedArrayBuffer[] = [];
  /** Since the last trim: pieces taken, and how many were free at the least. */
  #taken = 0;
  #freeAtLeast = 0;
  readonly #unseen = new FinalizationRegistry<SharedArrayBuffer>((memory) => this.#free.push(memory));
  /** V8 does not count shared memory, and would collect too late: as much that nobody touches, and so takes no page, stands for it. */
  readonly #counted = new WeakMap<SharedArrayBuffer, ArrayBuffer>();

  /** Pieces of so many bytes. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Holds what was there before. Nobody else writes it while a view of it is held. */
  take(): SharedArrayBuffer {
    const memory = this.#free.pop() ?? new SharedArrayBuffer(this.#bytes);
    this.#trim();
    const clone = structuredClone(memory);
    this.#unseen.register(clone, memory);
    this.#counted.set(clone, new ArrayBuffer(this.#bytes));
    return clone;
  }

  /** What stayed free while that many were taken goes back to the system. */
  #trim(): void {
    this.#taken += 1;
    this.#freeAtLeast = Math.min(this.#freeAtLeast, this.#free.length);
    if (this.#taken < takenBetweenTrims) return;
    this.#free.splice(0, this.#freeAtLeast);
    this.#taken = 0;
    this.#freeAtLeast = this.#free.length;
  }
}

/** More than one collection frees under load, so that what the next one needs is not given away. */
const takenBetweenTrims = 128;
