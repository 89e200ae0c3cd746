/**
 * Cuts the bytes of a connection into frames: | int32 length | that many bytes |. Nothing is allocated for a length that is
 * only announced: chunks are kept as they come, and joined when the last one is there.
 */
import { joined } from "../base/bytes.ts";
import { CorruptData } from "../base/errors.ts";

const lengthBytes = 4;
/** Key, version and correlation id: no request is shorter. */
const frameBytesMin = 8;

export class FrameAssembler {
  readonly #frameBytesMax: number;
  #chunks: Uint8Array[] = [];
  #arrived = 0;
  #rest: Uint8Array = new Uint8Array(0);
  /** undefined until its four bytes are there. */
  #length: number | undefined;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
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

  push(chunk: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? chunk : joined([this.#rest, chunk]);
  }

  /**
   * The next frame that is there in full. A frame within one chunk is a view of it. Throws CorruptData for a length that no
   * request has.
   */
  next(): Uint8Array | undefined {
    while (this.#rest.length > 0) {
      const wanted = (this.#length ?? lengthBytes) - this.#arrived;
      const part = this.#rest.length > wanted ? this.#rest.subarray(0, wanted) : this.#rest;
      this.#chunks.push(part);
      this.#arrived += part.length;
      this.#rest = this.#rest.subarray(part.length);
      if (part.length < wanted) return undefined;
      const whole = this.#take();
      if (this.#length === undefined) this.#length = this.#checked(whole);
      else {
        this.#length = undefined;
        return whole;
      }
    }
    return undefined;
  }

  #take(): Uint8Array {
    const whole = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : joined(this.#chunks, this.#arrived);
    this.#chunks = [];
    this.#arrived = 0;
    return whole;
  }

  #checked(bytes: Uint8Array): number {
    const length = new DataView(bytes.buffer, bytes.byteOffset, lengthBytes).getInt32(0);
    if (length >= frameBytesMin && length <= this.#frameBytesMax) return length;
    throw new CorruptData({
      source: "frame",
      position: 0,
      expected: `a length of ${frameBytesMin} to ${this.#frameBytesMax}`,
      found: `${length}`,
    });
  }
}
