/**
 * Cuts the bytes of a connection into frames: | int32 length | that many bytes |. Chunks are borrowed: what a frame needs of
 * them is copied into memory of its own, of which little is taken for a length that is only announced.
 */
import { copyInto } from "../base/bytes.ts";
import { CorruptData } from "../base/errors.ts";
import { KiB, MiB } from "../base/settings.ts";

const lengthBytes = 4;
/** Key, version and correlation id: no request is shorter. */
const requestBytesMin = 8;
/** A longer frame gets this much memory once enough of it has come, and twice as much whenever that is full. */
const takenAtOnceBytesMax = 1 * MiB;
/** What any frame may begin with. */
const takenAtOnceBytesMin = 64 * KiB;
/** Memory for each byte that has come: a few bytes on each of thousands of connections take little, and half a read of a large frame all. */
const takenPerByte = 64;

/** Where frames live. */
export interface FrameMemory {
  /** For a frame of this length that begins with these bytes, at least one. */
  take(length: number, beginning: Uint8Array): Uint8Array;
  /** Called once for each frame, when nobody looks at it any more. */
  release(frame: Uint8Array): void;
}

export class FrameAssembler {
  #frameBytesMin: number = requestBytesMin;
  #frameBytesMax: number;
  readonly #memory: FrameMemory;
  readonly #prefix = new Uint8Array(lengthBytes);
  #rest: Uint8Array = nothing;
  /** Whether the rest is a view of a chunk, and so not ours to keep. */
  #isBorrowed = false;
  /** undefined until its four bytes are there. */
  #length: number | undefined;
  /** Bytes that have come of the prefix, then of the frame behind it. */
  #arrived = 0;
  /** Room for the incomplete frame, or for its beginning. */
  #frame: Uint8Array | undefined;

  constructor(options: { readonly frameBytesMax: number; readonly memory: FrameMemory }) {
    this.#frameBytesMax = options.frameBytesMax;
    this.#memory = options.memory;
  }

  /** Counts for the frames that announce their length from now on. What is not a request may be short. */
  expect(next: { readonly isRequest: boolean; readonly frameBytesMax: number }): void {
    this.#frameBytesMin = next.isRequest ? requestBytesMin : 1;
    this.#frameBytesMax = next.frameBytesMax;
  }

  /** Bytes that have come of the frame that is not complete, its length included. */
  get arrived(): number {
    return this.#arrived + (this.#length === undefined ? 0 : lengthBytes);
  }

  /** The length that the incomplete frame has announced; 0 until it has. */
  get announced(): number {
    return this.#length ?? 0;
  }

  /** Bytes that no call of `next` has looked at yet. */
  get unread(): number {
    return this.#rest.length;
  }

  /** The chunk is borrowed until `settle`. */
  push(chunk: Uint8Array): void {
    this.settle();
    this.#isBorrowed = this.#rest.length === 0;
    this.#rest = this.#isBorrowed ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** Copies what `next` has left of the chunk. */
  settle(): void {
    if (this.#isBorrowed && this.#rest.length > 0) this.#rest = Uint8Array.from(this.#rest);
    this.#isBorrowed = false;
  }

  /** The next frame that is there in full; the caller releases it. Throws CorruptData for a length that no request has. */
  next(): Uint8Array | undefined {
    if (this.#length === undefined) {
      this.#fill(this.#prefix, lengthBytes);
      if (this.#arrived < lengthBytes) return undefined;
      this.#length = this.#checked();
      this.#arrived = 0;
    }
    const length = this.#length;
    while (this.#arrived < length) {
      if (this.#rest.length === 0) return undefined;
      this.#fill(this.#room(length), length);
    }
    const whole = this.#frame as Uint8Array;
    this.#forget();
    return whole;
  }

  /** Releases what has come of the incomplete frame: no more will come. */
  drop(): void {
    const frame = this.#frame;
    this.#forget();
    if (frame !== undefined) this.#memory.release(frame);
  }

  #forget(): void {
    this.#length = undefined;
    this.#arrived = 0;
    this.#frame = undefined;
  }

  /** Takes from the rest until `wanted` bytes have arrived, or as many as there is room for. */
  #fill(into: Uint8Array, wanted: number): void {
    const count = Math.min(Math.min(into.length, wanted) - this.#arrived, this.#rest.length);
    copyInto(into, this.#arrived, this.#rest.subarray(0, count));
    this.#arrived += count;
    this.#rest = this.#rest.subarray(count);
  }

  /** Memory of the frame with room for more. */
  #room(length: number): Uint8Array {
    const present = this.#frame;
    if (present === undefined) {
      this.#frame = this.#memory.take(Math.min(length, this.#takenAtOnce()), this.#rest);
    } else if (this.#arrived === present.length) {
      this.#frame = this.#memory.take(Math.min(length, Math.max(2 * present.length, this.#takenAtOnce())), present);
      copyInto(this.#frame, 0, present);
      this.#memory.release(present);
    }
    return this.#frame as Uint8Array;
  }

  #takenAtOnce(): number {
    const earned = takenPerByte * (this.#arrived + this.#rest.length);
    return Math.min(takenAtOnceBytesMax, Math.max(takenAtOnceBytesMin, earned));
  }

  #checked(): number {
    const length = new DataView(this.#prefix.buffer).getInt32(0);
    if (length >= this.#frameBytesMin && length <= this.#frameBytesMax) return length;
    throw new CorruptData({
      source: "frame",
      position: 0,
      expected: `a length of ${this.#frameBytesMin} to ${this.#frameBytesMax}`,
      found: `${length}`,
    });
  }
}

const nothing = new Uint8Array(0);
