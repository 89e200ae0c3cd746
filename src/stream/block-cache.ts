/**
 * Blocks read from objects. A block is on its way at most once. What was fetched ahead and nobody has asked for yet is kept
 * apart, in half of the room at most, so that one who reads on does not push out what others read:
 *
 *   ahead   | fetched, not asked for |  ── asked for ──▶  used   | newest ··· least recently used |  ──▶ out
 *
 * Blocks lie in memory that is used again, so whoever gets one borrows it. When nothing there can make way, as much is borrowed by
 * answers that nobody takes, a block gets memory of its own.
 */
import type { StreamId } from "../base/ids.ts";
import type { BlockMemory, BlockPlace } from "./block-memory.ts";
import type { IndexedBlock } from "./object-format.ts";
import type { ObjectIo, ObjectRef } from "./object-io.ts";
import type { Batch } from "./storage.ts";

interface CachedBlock {
  readonly stream: StreamId;
  readonly batches: readonly Batch[];
  readonly bytes: number;
  /** Held for as long as it is cached; undefined for one with memory of its own. */
  readonly place: BlockPlace | undefined;
}

interface Flight {
  readonly stream: StreamId;
  readonly answer: Promise<readonly Batch[]>;
  readonly bytes: number;
  /** Nobody has asked for it yet. */
  isAhead: boolean;
  /** Of those who have asked. */
  readonly borrowers: DisposableStack[];
}

export class BlockCache {
  readonly #io: ObjectIo;
  readonly #memory: BlockMemory;
  readonly #bytesMax: number;
  readonly #requestBytesMax: number;
  /** In order of last use. */
  readonly #used = new Map<string, CachedBlock>();
  /** In order of arrival, with how much had been asked for by then. */
  readonly #ahead = new Map<string, CachedBlock & { readonly arrivedAt: number }>();
  readonly #flights = new Map<string, Flight>();
  #bytes = 0;
  /** Asked for so far, bytes; what was here already because of another does not count. */
  #asked = 0;
  /** Of blocks that nobody has asked for, those on their way included. */
  #bytesAhead = 0;
  /** The same by stream: who reads many streams side by side is ahead in all of them. */
  readonly #aheadOf = new Map<StreamId, number>();

  constructor(options: {
    readonly io: ObjectIo;
    readonly memory: BlockMemory;
    readonly blockCacheBytesMax: number;
    readonly readRequestBytesMax: number;
  }) {
    this.#io = options.io;
    this.#memory = options.memory;
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
   * of need come with them if there is room for such; their failures come back when they are asked for. The batches are true until
   * `borrow` is disposed of.
   */
  blocks(
    object: ObjectRef,
    stream: StreamId,
    wanted: readonly IndexedBlock[],
    borrow: DisposableStack,
    ahead: readonly IndexedBlock[] = [],
  ): readonly Promise<readonly Batch[]>[] {
    let request: { readonly block: IndexedBlock; readonly isAhead: boolean }[] = [];
    let requestBytes = 0;
    const send = (): void => {
      if (request.length > 0) this.#request(object, stream, request);
      request = [];
      requestBytes = 0;
    };
    const ask = (block: IndexedBlock, isAhead: boolean): boolean => {
      const last = request.at(-1)?.block;
      const isNeighbour = last === undefined || last.position + last.bytes === block.position;
      if (!isNeighbour || requestBytes + block.bytes > this.#requestBytesMax) send();
      if (this.#isPresent(keyOf(object, block))) return true;
      if (isAhead && !this.#takeRoomAhead(stream, block.bytes)) return false;
      request.push({ block, isAhead });
      requestBytes += block.bytes;
      return true;
    };
    // What is here is taken before anything makes way for blocks ahead.
    const here = wanted.map((block) => {
      const key = keyOf(object, block);
      if (this.#isPresent(key)) return this.#answer(key, borrow);
      ask(block, false);
      return undefined;
    });
    for (const block of ahead) if (!ask(block, true)) break; // A smaller one further on would only wait for longer.
    send();
    return wanted.map((block, i) => here[i] ?? this.#answer(keyOf(object, block), borrow));
  }

  /** As far as there is room. */
  fetchAhead(object: ObjectRef, stream: StreamId, ahead: readonly IndexedBlock[]): void {
    using nothing = new DisposableStack();
    void this.blocks(object, stream, [], nothing, ahead);
  }

  #isPresent(key: string): boolean {
    return this.#used.has(key) || this.#ahead.has(key) || this.#flights.has(key);
  }

  #answer(key: string, borrow: DisposableStack): Promise<readonly Batch[]> {
    const cached = this.#used.get(key) ?? this.#ahead.get(key);
    if (cached !== undefined) {
      lend(cached.place, borrow);
      this.#used.delete(key);
      if (this.#ahead.delete(key)) {
        this.#asked += cached.bytes;
        this.#leaveRoomAhead(cached);
      }
      this.#used.set(key, cached);
      return Promise.resolve(cached.batches);
    }
    const flight = this.#flights.get(key) as Flight;
    this.#asked += flight.bytes;
    if (flight.isAhead) this.#leaveRoomAhead(flight);
    flight.isAhead = false;
    flight.borrowers.push(borrow);
    return flight.answer;
  }

  #request(
    object: ObjectRef,
    stream: StreamId,
    asked: readonly { readonly block: IndexedBlock; readonly isAhead: boolean }[],
  ): void {
    const place = this.#place(asked.reduce((sum, { block }) => sum + block.bytes, 0));
    const blocks = asked.map(({ block }) => block);
    const read = this.#io.blocks(object, stream, blocks, place?.room);
    const landed = asked.map(({ block: { position, bytes }, isAhead }, i) => {
      const key = keyOf(object, { position });
      const answer = read
        .then((all) => (all[i] as (typeof all)[number]).decode())
        .then(
          (batches) => {
            this.#flights.delete(key);
            const isThere = batches.some((batch) => batch.bytes.buffer === place?.room.buffer);
            const block = { stream, batches, bytes, place: isThere ? place : undefined };
            for (const borrower of flight.borrowers) lend(block.place, borrower);
            this.#keep(key, block, flight.isAhead);
            return batches;
          },
          (cause: unknown) => {
            this.#flights.delete(key);
            if (flight.isAhead) this.#leaveRoomAhead(flight);
            throw cause;
          },
        );
      const flight: Flight = { stream, answer, bytes, isAhead, borrowers: [] };
      this.#flights.set(key, flight);
      return answer.catch(() => undefined); // A block that was read ahead may have nobody waiting for it yet.
    });
    void Promise.all(landed).then(() => place?.release());
  }

  /** Whoever has waited longest makes way. */
  #place(bytes: number): BlockPlace | undefined {
    for (;;) {
      const place = this.#memory.take(bytes);
      if (place !== undefined) return place;
      const [oldest] = this.#used;
      if (oldest === undefined) return undefined;
      this.#drop(this.#used, ...oldest);
    }
  }

  #keep(key: string, block: CachedBlock, isAhead: boolean): void {
    block.place?.hold();
    if (isAhead) this.#ahead.set(key, { ...block, arrivedAt: this.#asked });
    else this.#used.set(key, block);
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

  #drop(blocks: Pick<Map<string, CachedBlock>, "delete">, key: string, block: CachedBlock): void {
    blocks.delete(key);
    block.place?.release();
    this.#bytes -= block.bytes;
    if (blocks === this.#ahead) this.#leaveRoomAhead(block);
  }

  /**
   * Each stream may be ahead by an equal part of the room. What has waited while others took as much as fits here gives way: whoever
   * it was read for has most likely gone, as one who reads on takes it soon. So does what a stream has furthest ahead while it has
   * more than its part.
   */
  #takeRoomAhead(stream: StreamId, bytes: number): boolean {
    const room = this.#bytesMax / 2;
    for (const [oldest, block] of this.#ahead) {
      if (this.#asked - block.arrivedAt <= this.#bytesMax) break;
      this.#drop(this.#ahead, oldest, block);
    }
    const held = this.#aheadOf.get(stream);
    const streams = this.#aheadOf.size + (held === undefined ? 1 : 0);
    if ((held ?? 0) + bytes > room / streams) return false;
    while (this.#bytesAhead + bytes > room) {
      const isMore = (of: StreamId): boolean => (this.#aheadOf.get(of) ?? 0) > room / streams;
      const furthest = [...this.#ahead].findLast(([, block]) => isMore(block.stream));
      if (furthest === undefined) return false; // The rest is on its way.
      this.#drop(this.#ahead, ...furthest);
    }
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

/** One who has gone meanwhile borrows nothing any more. */
function lend(place: BlockPlace | undefined, borrow: DisposableStack): void {
  if (place === undefined || borrow.disposed) return;
  place.hold();
  borrow.defer(() => place.release());
}

function keyOf(object: ObjectRef, block: Pick<IndexedBlock, "position">): string {
  return `${object.key}@${block.position}`;
}
