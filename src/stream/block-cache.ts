/**
 * Blocks read from objects. A block is on its way at most once. What was fetched ahead and nobody has asked for yet is kept
 * apart, in half of the room at most, so that one who reads on does not push out what others read:
 *
 *   ahead   | fetched, not asked for |  ── asked for ──▶  used   | newest ··· least recently used |  ──▶ out
 */
import type { StreamId } from "../base/ids.ts";
import type { IndexedBlock } from "./object-format.ts";
import type { ObjectIo, ObjectRef } from "./object-io.ts";
import type { Batch } from "./storage.ts";

interface CachedBlock {
  readonly stream: StreamId;
  readonly batches: readonly Batch[];
  readonly bytes: number;
}

interface Flight {
  readonly stream: StreamId;
  readonly answer: Promise<readonly Batch[]>;
  readonly bytes: number;
  /** Nobody has asked for it yet. */
  isAhead: boolean;
}

export class BlockCache {
  readonly #io: ObjectIo;
  readonly #bytesMax: number;
  readonly #requestBytesMax: number;
  /** In order of last use. */
  readonly #used = new Map<string, CachedBlock>();
  /** In order of arrival. */
  readonly #ahead = new Map<string, CachedBlock>();
  readonly #flights = new Map<string, Flight>();
  #bytes = 0;
  /** Of blocks that nobody has asked for, those on their way included. */
  #bytesAhead = 0;
  /** The same by stream: who reads many streams side by side is ahead in all of them. */
  readonly #aheadOf = new Map<StreamId, number>();

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
   * The batches of each wanted block, in order. What is missing is asked for at once, neighbours in one request. Blocks `ahead`
   * of need come with them if there is room for such; their failures come back when they are asked for.
   */
  blocks(
    object: ObjectRef,
    stream: StreamId,
    wanted: readonly IndexedBlock[],
    ahead: readonly IndexedBlock[] = [],
  ): readonly Promise<readonly Batch[]>[] {
    let request: { readonly block: IndexedBlock; readonly isAhead: boolean }[] = [];
    let requestBytes = 0;
    const send = (): void => {
      if (request.length > 0) this.#request(object, stream, request);
      request = [];
      requestBytes = 0;
    };
    const ask = (block: IndexedBlock, isAhead: boolean): void => {
      const last = request.at(-1)?.block;
      const isNeighbour = last === undefined || last.position + last.bytes === block.position;
      if (!isNeighbour || requestBytes + block.bytes > this.#requestBytesMax) send();
      if (this.#isPresent(keyOf(object, block))) return;
      if (isAhead && !this.#takeRoomAhead(stream, block.bytes)) return;
      request.push({ block, isAhead });
      requestBytes += block.bytes;
    };
    // What is here is taken before anything makes way for blocks ahead.
    const here = wanted.map((block) => {
      const key = keyOf(object, block);
      if (this.#isPresent(key)) return this.#answer(key);
      ask(block, false);
      return undefined;
    });
    for (const block of ahead) ask(block, true);
    send();
    return wanted.map((block, i) => here[i] ?? this.#answer(keyOf(object, block)));
  }

  #isPresent(key: string): boolean {
    return this.#used.has(key) || this.#ahead.has(key) || this.#flights.has(key);
  }

  #answer(key: string): Promise<readonly Batch[]> {
    const cached = this.#used.get(key) ?? this.#ahead.get(key);
    if (cached !== undefined) {
      this.#used.delete(key);
      if (this.#ahead.delete(key)) this.#leaveRoomAhead(cached);
      this.#used.set(key, cached);
      return Promise.resolve(cached.batches);
    }
    const flight = this.#flights.get(key) as Flight;
    if (flight.isAhead) this.#leaveRoomAhead(flight);
    flight.isAhead = false;
    return flight.answer;
  }

  #request(
    object: ObjectRef,
    stream: StreamId,
    asked: readonly { readonly block: IndexedBlock; readonly isAhead: boolean }[],
  ): void {
    const read = this.#io.blocks(
      object,
      stream,
      asked.map(({ block }) => block),
    );
    asked.forEach(({ block: { position, bytes }, isAhead }, i) => {
      const key = keyOf(object, { position });
      const answer = read
        .then((all) => (all[i] as (typeof all)[number]).decode())
        .then(
          (batches) => {
            this.#flights.delete(key);
            this.#keep(key, { stream, batches, bytes }, flight.isAhead);
            return batches;
          },
          (cause: unknown) => {
            this.#flights.delete(key);
            if (flight.isAhead) this.#leaveRoomAhead(flight);
            throw cause;
          },
        );
      const flight: Flight = { stream, answer, bytes, isAhead };
      answer.catch(() => undefined); // A block that was read ahead may have nobody waiting for it yet.
      this.#flights.set(key, flight);
    });
  }

  #keep(key: string, block: CachedBlock, isAhead: boolean): void {
    (isAhead ? this.#ahead : this.#used).set(key, block);
    this.#bytes += block.bytes;
    this.#evict(this.#used);
    this.#evict(this.#ahead); // Only when a single block is larger than its share.
  }

  #evict(blocks: Map<string, CachedBlock>): void {
    for (const [oldest, block] of blocks) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#drop(blocks, oldest, block);
    }
  }

  #drop(blocks: Map<string, CachedBlock>, key: string, block: CachedBlock): void {
    blocks.delete(key);
    this.#bytes -= block.bytes;
    if (blocks === this.#ahead) this.#leaveRoomAhead(block);
  }

  /**
   * Each stream may be ahead by an equal part of the room. What has waited longest gives way: whoever it was read for has most
   * likely gone, as one who reads on takes it soon.
   */
  #takeRoomAhead(stream: StreamId, bytes: number): boolean {
    const room = this.#bytesMax / 2;
    const held = this.#aheadOf.get(stream);
    const streams = this.#aheadOf.size + (held === undefined ? 1 : 0);
    if ((held ?? 0) + bytes > room / streams) return false;
    for (const [oldest, block] of this.#ahead) {
      if (this.#bytesAhead + bytes <= room) break;
      this.#drop(this.#ahead, oldest, block);
    }
    if (this.#bytesAhead + bytes > room) return false; // The rest is on its way.
    this.#bytesAhead += bytes;
    this.#aheadOf.set(stream, (this.#aheadOf.get(stream) ?? 0) + bytes);
    return true;
  }

  #leaveRoomAhead({ stream, bytes }: Pick<CachedBlock, "stream" | "bytes">): void {
    this.#bytesAhead -= bytes;
    const left = (this.#aheadOf.get(stream) ?? 0) - bytes;
    if (left > 0) this.#aheadOf.set(stream, left);
    else this.#aheadOf.delete(stream);
  }
}

function keyOf(object: ObjectRef, block: Pick<IndexedBlock, "position">): string {
  return `${object.key}@${block.position}`;
}
