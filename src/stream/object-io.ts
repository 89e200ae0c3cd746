/** Reads parts of objects: index, blocks, sidecars. Everything is checked before it is believed. */
import { Gate, SingleFlight } from "../base/async.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import { KiB } from "../base/settings.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import {
  checkSidecar,
  decodeBlock,
  decodeFooter,
  footerBytes,
  type IndexedBlock,
  type IndexedStream,
  ObjectIndex,
} from "./object-format.ts";
import type { Pace } from "./pace.ts";
import type { Batch } from "./storage.ts";

/** An object by name and length, as the metadata knows it. */
export interface ObjectRef {
  readonly key: string;
  readonly bytes: number;
}

export class ObjectIo {
  readonly #store: ObjectStore;
  readonly #gate: Gate;
  readonly #pace: Pace | undefined;
  readonly #indexBytesMax: number;
  /** In order of last use. */
  readonly #indexes = new Map<string, ObjectIndex>();
  readonly #flights = new SingleFlight<string, ObjectIndex>();
  #indexBytes = 0;

  constructor(options: {
    readonly store: ObjectStore;
    /** Of reading blocks; undefined for who sets one of its own. */
    readonly pace?: Pace;
    readonly indexCacheBytesMax: number;
    readonly readsInFlightMax: number;
  }) {
    this.#store = options.store;
    this.#pace = options.pace;
    this.#gate = new Gate(options.readsInFlightMax);
    this.#indexBytesMax = options.indexCacheBytesMax;
  }

  async index(object: ObjectRef): Promise<ObjectIndex> {
    const cached = this.#indexes.get(object.key);
    if (cached === undefined) return await this.#flights.run(object.key, () => this.#readIndex(object));
    this.#indexes.delete(object.key);
    this.#indexes.set(object.key, cached);
    return cached;
  }

  /**
   * Each of these neighbouring blocks, in one request, at the pace of those who catch up. Checked when it is decoded. They may
   * come to lie in the `room`.
   */
  async blocks(
    object: ObjectRef,
    stream: StreamId,
    blocks: readonly IndexedBlock[],
    room?: Uint8Array,
  ): Promise<readonly { decode(): Promise<readonly Batch[]> }[]> {
    const [first, last] = [blocks[0], blocks.at(-1)];
    if (first === undefined || last === undefined) return [];
    const start = first.position;
    const end = last.position + last.bytes;
    await this.#pace?.bytes(end - start);
    const bytes = await this.#get(object.key, start, end, room);
    return blocks.map(({ position, bytes: length }) => {
      const block = bytes.subarray(position - start, position - start + length);
      const decoded = (): readonly Batch[] => decodeBlock(block, { stream, position }, object.key);
      return { decode: async () => (this.#pace === undefined ? decoded() : await this.#pace.run(decoded)) };
    });
  }

  async sidecar(object: ObjectRef, stream: StreamId): Promise<{ upTo: Offset; bytes: Uint8Array } | undefined> {
    const found: IndexedStream | undefined = (await this.index(object)).stream(stream);
    if (found?.sidecar === undefined) return undefined;
    const { position, bytes: length } = found.sidecar;
    const bytes = length === 0 ? new Uint8Array() : await this.#get(object.key, position, position + length);
    checkSidecar(bytes, found.sidecar, object.key);
    return { upTo: found.to, bytes };
  }

  async #readIndex(object: ObjectRef): Promise<ObjectIndex> {
    const tailStart = Math.max(0, object.bytes - tailBytesGuess);
    const tail = await this.#get(object.key, tailStart, object.bytes);
    const footer = decodeFooter(tail, object.bytes, object.key);
    const end = object.bytes - footerBytes;
    const isInTail = footer.indexPosition >= tailStart;
    const bytes = isInTail
      ? tail.slice(footer.indexPosition - tailStart, end - tailStart) // Copied: the index stays, the rest need not.
      : await this.#get(object.key, footer.indexPosition, end);
    const index = new ObjectIndex(bytes, footer, object.key);
    this.#keep(object.key, index);
    return index;
  }

  #keep(key: string, index: ObjectIndex): void {
    this.#indexes.set(key, index);
    this.#indexBytes += index.byteLength;
    for (const [oldest, { byteLength }] of this.#indexes) {
      if (this.#indexBytes <= this.#indexBytesMax || oldest === key) return;
      this.#indexes.delete(oldest);
      this.#indexBytes -= byteLength;
    }
  }

  #get(key: string, start: number, end: number, room?: Uint8Array): Promise<Uint8Array> {
    return this.#gate.run(() => this.#store.get(key, { start, end }, room));
  }
}

/** Most indexes fit, so most objects take one request to open. */
const tailBytesGuess = 64 * KiB;
