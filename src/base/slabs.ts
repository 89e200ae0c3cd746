/**
 * Where batches live after they have left the socket: copied once, with the requests that brought them, into slabs.
 *
 *   slab (4 MiB)   | request: batch batch | request: batch | batch |  free →      what is larger gets memory of its own
 *
 * A slab is never written twice, so a view stays true for as long as anybody holds it (a fetch response on a slow socket
 * does). Releasing is therefore accounting only: the memory is used again when the collector has seen the last view go.
 */
import { copyInto } from "./bytes.ts";
import { assert } from "./errors.ts";
import type { Owned } from "./ids.ts";
import { MiB } from "./settings.ts";
import { SlabMemory } from "./slab-memory.ts";

const slabBytesByDefault = 4 * MiB;

export class Slabs {
  readonly #slabBytes: number;
  readonly #memory: SlabMemory;
  readonly #slabs = new WeakMap<ArrayBufferLike, Slab>();
  #current: Slab;
  #bytesHeld = 0;

  constructor(options: { readonly slabBytes?: number } = {}) {
    this.#slabBytes = options.slabBytes ?? slabBytesByDefault;
    assert(this.#slabBytes > 0, "a slab needs room");
    this.#memory = new SlabMemory(this.#slabBytes);
    this.#current = this.#newSlab(0); // The first real one comes with the first copy.
  }

  /** Memory of slabs in which something is not released yet, the one being filled included. What budgets charge. */
  get bytesHeld(): number {
    return this.#bytesHeld;
  }

  /** Copies the view to where nobody else writes. The caller may still patch the copy until it shows it to others. */
  copy(view: Uint8Array): Owned {
    const owned = this.take(view.length);
    copyInto(owned, 0, view);
    return owned;
  }

  /** The view itself when it lies in these slabs, else a copy; to be released like one. Nobody else may write it any more. */
  adopt(view: Uint8Array): Owned {
    const slab = this.#slabs.get(view.buffer);
    if (slab === undefined) return this.copy(view);
    if (slab.isDropped) this.#take(slab); // The request was answered before its batch was appended: time was up.
    slab.live += 1;
    return view as Owned;
  }

  /** Whether the view lies in these slabs. */
  hold(view: Uint8Array): boolean {
    return this.#slabs.has(view.buffer);
  }

  /** Room for bytes that the caller fills before it shows them to others. */
  take(length: number): Owned {
    const slab = this.#slabFor(length);
    const at = slab.used;
    slab.used += length;
    slab.live += 1;
    return slab.bytes.subarray(at, at + length) as Owned;
  }

  /** Says once for each copy that its owner has let it go. */
  release(owned: Owned): void {
    const slab = this.#slabs.get(owned.buffer);
    assert(slab !== undefined, "released bytes that are not of these slabs");
    assert(slab.live > 0, "released more often than copied");
    slab.live -= 1;
    if (slab.live === 0 && slab !== this.#current) this.#drop(slab);
  }

  #slabFor(length: number): Slab {
    if (length > this.#slabBytes / 2) return this.#newSlab(length); // Would waste up to half of the current one.
    if (this.#current.used + length > this.#current.bytes.length) {
      const full = this.#current;
      this.#current = this.#newSlab(this.#slabBytes);
      if (full.live === 0) this.#drop(full);
    }
    return this.#current;
  }

  #newSlab(length: number): Slab {
    // Not zeroed: every byte handed out is written by its taker before anybody reads it.
    const isOwn = length !== this.#slabBytes; // The first, which is empty, and what is too large to share a slab.
    const bytes = new Uint8Array(isOwn ? Buffer.allocUnsafeSlow(length).buffer : this.#memory.take());
    const slab: Slab = { bytes, used: 0, live: 0, isDropped: true };
    this.#slabs.set(bytes.buffer, slab);
    this.#take(slab);
    return slab;
  }

  #take(slab: Slab): void {
    slab.isDropped = false;
    this.#bytesHeld += slab.bytes.length;
  }

  #drop(slab: Slab): void {
    slab.isDropped = true;
    this.#bytesHeld -= slab.bytes.length;
  }
}

interface Slab {
  readonly bytes: Uint8Array;
  used: number;
  /** Copies not released. */
  live: number;
  /** Not counted any more. */
  isDropped: boolean;
}
