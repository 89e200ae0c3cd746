/**
 * Memory for blocks that were read, used over and over: what is allocated anew for each block makes the garbage collector run
 * for bytes in which it finds nothing, and the system clear pages that are written at once.
 *
 *   area  | place | free | place | place |      free      |      places are whole pages, the first gap that fits is taken
 *
 * A place has users: each cached block in it, and each answer that borrowed one and is not sent yet. It is free again when the
 * last has let go.
 */
import { assert } from "../base/errors.ts";
import { pageAligned, pageBytes } from "../base/page-memory.ts";

export class BlockMemory {
  readonly #bytes: number;
  readonly #make: (bytes: number) => Uint8Array;
  readonly #freed: (room: Uint8Array) => void;
  /** Made when first needed. */
  #area: Uint8Array | undefined;
  /** By position; neighbours are one. */
  readonly #gaps: { start: number; end: number }[];

  constructor(
    bytes: number,
    options: {
      readonly make?: (bytes: number) => Uint8Array;
      /** Called when nobody may look at the room any more. */
      readonly freed?: (room: Uint8Array) => void;
    } = {},
  ) {
    this.#bytes = wholePages(bytes);
    this.#make = options.make ?? pageAligned;
    this.#freed = options.freed ?? (() => undefined);
    this.#gaps = [{ start: 0, end: this.#bytes }];
  }

  get bytesFree(): number {
    return this.#gaps.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Room for so many bytes that begin anywhere in a page, with one user; undefined when no gap is large enough. */
  take(bytes: number): BlockPlace | undefined {
    const size = wholePages(bytes) + pageBytes;
    const index = this.#gaps.findIndex(({ start, end }) => end - start >= size);
    const gap = this.#gaps[index];
    if (gap === undefined) return undefined;
    this.#area ??= this.#make(this.#bytes);
    const { start } = gap;
    gap.start += size;
    if (gap.start === gap.end) this.#gaps.splice(index, 1);
    const room = this.#area.subarray(start, start + size);
    return new BlockPlace(room, () => {
      this.#freed(room);
      this.#give(start, start + size);
    });
  }

  #give(start: number, end: number): void {
    let at = this.#gaps.findIndex((gap) => gap.start >= end);
    if (at < 0) at = this.#gaps.length;
    const [before, after] = [this.#gaps[at - 1], this.#gaps[at]];
    const joinsBefore = before?.end === start;
    const joinsAfter = after?.start === end;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#gaps.splice(at, 1);
    } else if (joinsBefore) before.end = end;
    else if (joinsAfter) after.start = start;
    else this.#gaps.splice(at, 0, { start, end });
  }
}

export class BlockPlace {
  readonly room: Uint8Array;
  readonly #free: () => void;
  #users = 1;

  constructor(room: Uint8Array, free: () => void) {
    this.room = room;
    this.#free = free;
  }

  hold(): void {
    assert(this.#users > 0, "a place that is free has no new users");
    this.#users += 1;
  }

  release(): void {
    assert(this.#users > 0, "a place is let go by those who hold it");
    this.#users -= 1;
    if (this.#users === 0) this.#free();
  }
}

function wholePages(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}
