/**
 * Strings packed as UTF-8 in large chunks, each with its length before it:
 *
 *   | uvarint length | bytes | up to 7 unused |     at a multiple of 8, which is its place
 *
 * The place of a string that was freed goes to the next one that needs as many bytes; until then it holds the place freed before it.
 */
const unit = 8;
const chunkShift = 17;
/** A string of more has a chunk of its own. */
const chunkBytes = 2 ** chunkShift;

export class TextArena {
  readonly #chunks: Buffer[] = [];
  /** Of the last chunk. */
  #used = chunkBytes;
  /** By size in units: the place freed last, plus one; 0 when none is. */
  readonly #free: number[] = [];

  put(text: string): number {
    const bytes = Buffer.byteLength(text);
    const place = this.#take(unitsFor(bytes));
    const chunk = this.#chunkOf(place);
    let at = offsetOf(place);
    let length = bytes;
    for (; length >= 0x80; length = Math.floor(length / 0x80)) {
      chunk[at] = (length & 0x7f) | 0x80;
      at += 1;
    }
    chunk[at] = length;
    chunk.write(text, at + 1);
    return place;
  }

  get(place: number): string {
    const { start, end } = this.#bounds(place);
    return this.#chunkOf(place).toString("utf8", start, end);
  }

  free(place: number): void {
    const { start, end } = this.#bounds(place);
    const units = unitsFor(end - start);
    this.#chunkOf(place).writeUInt32LE(this.#free[units] ?? 0, offsetOf(place));
    this.#free[units] = place + 1;
  }

  #bounds(place: number): { readonly start: number; readonly end: number } {
    const chunk = this.#chunkOf(place);
    let at = offsetOf(place);
    let length = 0;
    let scale = 1;
    for (;;) {
      const byte = chunk[at] as number;
      at += 1;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) return { start: at, end: at + length };
      scale *= 0x80;
    }
  }

  #take(units: number): number {
    const freed = this.#free[units] ?? 0;
    if (freed > 0) {
      const place = freed - 1;
      this.#free[units] = this.#chunkOf(place).readUInt32LE(offsetOf(place));
      return place;
    }
    const bytes = units * unit;
    if (this.#used + bytes > chunkBytes) {
      this.#chunks.push(Buffer.alloc(Math.max(bytes, chunkBytes)));
      this.#used = 0;
    }
    const place = ((this.#chunks.length - 1) * chunkBytes + this.#used) / unit;
    this.#used += bytes;
    return place;
  }

  #chunkOf(place: number): Buffer {
    return this.#chunks[Math.floor((place * unit) / chunkBytes)] as Buffer;
  }
}

function offsetOf(place: number): number {
  return (place % (chunkBytes / unit)) * unit;
}

function unitsFor(bytes: number): number {
  let head = 1;
  for (let length = bytes; length >= 0x80; length = Math.floor(length / 0x80)) head += 1;
  return Math.ceil((head + bytes) / unit);
}
