/** Where sequential readers will go on, and how far ahead of them to read then. Forgets who has not been there for longest. */
import type { Offset, StreamId } from "../base/ids.ts";

export class ReadCursors {
  readonly #countMax: number;
  /** Bytes, in order of last use. */
  readonly #ahead = new Map<string, number>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  set(stream: StreamId, next: Offset, aheadBytes: number): void {
    this.#ahead.set(keyOf(stream, next), aheadBytes);
    if (this.#ahead.size <= this.#countMax) return;
    for (const oldest of this.#ahead.keys()) {
      this.#ahead.delete(oldest);
      return;
    }
  }

  /** 0 for one who comes from elsewhere. */
  take(stream: StreamId, from: Offset): number {
    const key = keyOf(stream, from);
    const bytes = this.#ahead.get(key) ?? 0;
    this.#ahead.delete(key);
    return bytes;
  }
}

function keyOf(stream: StreamId, offset: Offset): string {
  return `${stream}:${offset}`;
}
