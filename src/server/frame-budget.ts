/**
 * Memory for the frames of all connections: charged as bytes arrive (an announced length takes nothing), released when the
 * request is answered. While it is used up, connections stop reading. When only half frames hold it, none of them would ever
 * be answered: then the connection that has been in its frame for longest reads on and overdraws, by one frame at most.
 *
 *   used   |== answered soon ==|== half frames ==|·····|  bytesMax
 *   line   first · second · third ...                     connections with half a frame, oldest first
 */
import { Disposal } from "../base/disposal.ts";
import { assert } from "../base/errors.ts";

/** A connection, as the budget sees it. */
export interface FrameReader {
  /** Called when reading may go on. */
  resume(): void;
}

/** What one read of a socket brings at most, in Node. */
const readBytesMax = 65_536;

export class FrameBudget {
  readonly #bytesMax: number;
  #used = 0;
  /** Complete and not answered. */
  #framesHeld = 0;
  /** A Set keeps the order of insertion. */
  readonly #line = new Set<FrameReader>();
  readonly #paused = new Set<FrameReader>();

  constructor(bytesMax: number) {
    assert(bytesMax > 0, "a budget of nothing");
    this.#bytesMax = bytesMax;
  }

  get used(): number {
    return this.#used;
  }

  /** Bytes of a frame that is not complete. */
  charge(bytes: number): void {
    this.#used += bytes;
  }

  /** Half a frame is given up. */
  refund(bytes: number): void {
    this.#used -= bytes;
    assert(this.#used >= 0, "refunded more than was charged");
    this.#wake();
  }

  /** A complete frame. Disposed of when its request is answered. */
  hold(bytes: number): Disposable {
    this.#used += bytes;
    this.#framesHeld += 1;
    let isHeld = true;
    return new Disposal(() => {
      if (!isHeld) return;
      isHeld = false;
      this.#framesHeld -= 1;
      this.refund(bytes);
    });
  }

  /** Asked after each read. If the answer is no, `resume` will be called. */
  mayRead(reader: FrameReader, isInsideFrame: boolean): boolean {
    if (isInsideFrame) this.#line.add(reader);
    else this.#line.delete(reader);
    const mayRead = this.#used < this.#bytesMax || this.#mayOverdraw(reader);
    if (mayRead) this.#paused.delete(reader);
    else this.#paused.add(reader);
    return mayRead;
  }

  /** The connection is gone, or reads for another budget now. */
  leave(reader: FrameReader): void {
    this.#paused.delete(reader);
    if (this.#line.delete(reader)) this.#wake();
  }

  /** Lets as many go on as there is room for one read each. */
  #wake(): void {
    let room = this.#bytesMax - this.#used;
    for (const reader of this.#paused) {
      if (room <= 0 && !this.#mayOverdraw(reader)) continue;
      room -= readBytesMax;
      this.#paused.delete(reader);
      reader.resume();
    }
  }

  #mayOverdraw(reader: FrameReader): boolean {
    return this.#framesHeld === 0 && this.#line.values().next().value === reader;
  }
}
