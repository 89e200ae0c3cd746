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
  readonly #freeMax: number;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #unseen = new FinalizationRegistry<SharedArrayBuffer>((memory) => {
    if (this.#free.length < this.#freeMax) this.#free.push(memory);
  });
  /** V8 does not count shared memory, and would collect too late: as much that nobody touches, and so takes no page, stands for it. */
  readonly #counted = new WeakMap<SharedArrayBuffer, ArrayBuffer>();

  /** Pieces of so many bytes. What is free beyond `freeMax` pieces goes back to the system. */
  constructor(options: { readonly bytes: number; readonly freeMax: number }) {
    this.#bytes = options.bytes;
    this.#freeMax = options.freeMax;
  }

  /** Holds what was there before. Nobody else writes it while a view of it is held. */
  take(): SharedArrayBuffer {
    const memory = this.#free.pop() ?? new SharedArrayBuffer(this.#bytes);
    const clone = structuredClone(memory);
    this.#unseen.register(clone, memory);
    this.#counted.set(clone, new ArrayBuffer(this.#bytes));
    return clone;
  }
}
