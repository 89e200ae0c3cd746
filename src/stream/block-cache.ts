/** Blocks read from objects, least recently used out first. A block is on its way at most once. */
import type { StreamId } from "../base/ids.ts";
import type { IndexedBlock } from "./object-format.ts";
import type { ObjectIo, ObjectRef } from "./object-io.ts";
import type { Batch } from "./storage.ts";

interface CachedBlock {
  readonly batches: readonly Batch[];
  readonly bytes: number;
}

export class BlockCache {
  readonly #io: ObjectIo;
  readonly #bytesMax: number;
  readonly #requestBytesMax: number;
  /** In order of last use. */
  readonly #blocks = new Map<string, CachedBlock>();
  readonly #flights = new Map<string, Promise<readonly Batch[]>>();
  #bytes = 0;

  constructor(options: {
    readonly io: ObjectIo;
    readonly blockCacheBytesMax: number;
    readonly readRequestBytesMax: number;
  }) {
    this.#io = options.io;
    this.#bytesMax = options.blockCacheBytesMax;
    this.#requestBytesMax = options.readRequestBytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the block is here or on its way. */
  has(object: ObjectRef, block: IndexedBlock): boolean {
    return this.#isPresent(keyOf(object, block));
  }

  /**
   * The batches of each block, in order. What is missing is asked for at once, neighbours in one request. Blocks may be
   * requested ahead of need by not awaiting their promises; their failures come back when they are asked for again.
   */
  blocks(object: ObjectRef, stream: StreamId, blocks: readonly IndexedBlock[]): readonly Promise<readonly Batch[]>[] {
    const answers: Promise<readonly Batch[]>[] = [];
    let request: IndexedBlock[] = [];
    let requestBytes = 0;
    const send = (): void => {
      if (request.length > 0) this.#request(object, stream, request);
      request = [];
      requestBytes = 0;
    };
    for (const block of blocks) {
      const last = request.at(-1);
      const isNeighbour = last === undefined || last.position + last.bytes === block.position;
      if (!isNeighbour || requestBytes + block.bytes > this.#requestBytesMax) send();
      if (this.#isPresent(keyOf(object, block))) continue;
      request.push(block);
      requestBytes += block.bytes;
    }
    send();
    for (const block of blocks) answers.push(this.#answer(keyOf(object, block)));
    return answers;
  }

  #isPresent(key: string): boolean {
    return this.#blocks.has(key) || this.#flights.has(key);
  }

  #answer(key: string): Promise<readonly Batch[]> {
    const cached = this.#blocks.get(key);
    if (cached === undefined) return this.#flights.get(key) as Promise<readonly Batch[]>;
    this.#blocks.delete(key);
    this.#blocks.set(key, cached);
    return Promise.resolve(cached.batches);
  }

  #request(object: ObjectRef, stream: StreamId, blocks: readonly IndexedBlock[]): void {
    const read = this.#io.blocks(object, stream, blocks);
    blocks.forEach((block, i) => {
      const key = keyOf(object, block);
      const flight = read.then(
        (all) => {
          this.#flights.delete(key);
          const batches = (all[i] as (typeof all)[number]).decode();
          this.#keep(key, { batches, bytes: block.bytes });
          return batches;
        },
        (cause: unknown) => {
          this.#flights.delete(key);
          throw cause;
        },
      );
      flight.catch(() => undefined); // A block that was read ahead may have nobody waiting for it yet.
      this.#flights.set(key, flight);
    });
  }

  #keep(key: string, block: CachedBlock): void {
    this.#blocks.set(key, block);
    this.#bytes += block.bytes;
    for (const [oldest, { bytes }] of this.#blocks) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#blocks.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}

function keyOf(object: ObjectRef, block: IndexedBlock): string {
  return `${object.key}@${block.position}`;
}
