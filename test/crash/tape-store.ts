/**
 * A bucket on the tape of a disk (tape-disk.ts), and the bucket that a restart may find: what was answered is there; what was on
 * its way is there, or is not, or comes later, while somebody else already looks at the bucket. An object is there whole
 * or not at all, as in every store.
 */
import { copyOf } from "../../src/object-store/body.ts";
import {
  type Body,
  type ByteRange,
  type Created,
  ObjectMissing,
  type ObjectStore,
  requireRange,
  StoreFailed,
} from "../../src/object-store/object-store.ts";
import type { SimRandom } from "../sim/random.ts";
import type { Lasting, TapeDisk } from "./tape-disk.ts";

/** `bytes` are put if nothing is there; undefined is a removal. */
interface Write {
  readonly key: string;
  readonly bytes: Uint8Array | undefined;
}
type Objects = Map<string, Uint8Array>;

/** What a bucket holds, and what may still come over it. */
export interface BucketState {
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly onTheirWay: readonly Write[];
}

export const emptyBucket: BucketState = { objects: new Map(), onTheirWay: [] };

/** What a WAL asks of a store. */
type Asked = Pick<ObjectStore, "get" | "putIfAbsent" | "delete">;

/** Some answers get lost, before or after the effect: then nobody knows, and the same may come to pass later. */
const unheardShare = 0.05;

export class TapeStore implements Asked {
  readonly #tape: TapeDisk;
  readonly #before: BucketState;
  readonly #objects: Objects;
  readonly #writes: (Lasting & Write)[] = [];
  readonly #random: SimRandom;

  constructor(tape: TapeDisk, before: BucketState, random: SimRandom) {
    this.#tape = tape;
    this.#before = before;
    this.#objects = new Map(before.objects);
    this.#random = random;
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    await this.#tape.ended();
    return piece(this.#objects, key, range);
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    const bytes = copyOf(body);
    let isCreated = false;
    await this.#write([{ key, bytes }], () => {
      isCreated = !this.#objects.has(key);
    });
    return isCreated ? { kind: "created", etag: "" } : { kind: "exists" };
  }

  async delete(keys: readonly string[]): Promise<void> {
    await this.#write(keys.map((key) => ({ key, bytes: undefined })));
  }

  /** The bucket as it may be found at the moment, and what says which. */
  image(moment: number): { readonly state: BucketState; readonly name: string } {
    const objects = new Map(this.#before.objects);
    const begun = this.#writes.filter(({ begunAt }) => begunAt <= moment);
    for (const write of begun) if (write.durableAt <= moment) apply(objects, write);
    const pending = begun.filter(({ durableAt }) => durableAt > moment);
    const fates = pending.map(() => this.#random.pick(["there", "later", "never"]));
    for (const [at, write] of pending.entries()) if (fates[at] === "there") apply(objects, write);
    const onTheirWay = pending.filter((_, at) => fates[at] === "later");
    return { state: { objects, onTheirWay }, name: fates.join() };
  }

  async #write(writes: readonly Write[], decide: () => void = () => undefined): Promise<void> {
    const changes = writes.map((write) => ({ ...write, ...this.#tape.begun() }));
    this.#writes.push(...changes);
    await this.#tape.ended();
    if (this.#random.chance(unheardShare)) throw unheard(writes);
    decide();
    for (const write of writes) apply(this.#objects, write);
    this.#tape.madeDurable(changes);
    await this.#tape.ended();
    if (this.#random.chance(unheardShare)) throw unheard(writes);
  }
}

/** Found by a restart. Copies: what one process does to it, another that finds the same does not see. */
export class FoundStore implements Asked {
  readonly #objects: Objects;
  readonly #onTheirWay: Write[];
  readonly #random: SimRandom;

  constructor(state: BucketState, random: SimRandom) {
    this.#objects = new Map(state.objects);
    this.#onTheirWay = [...state.onTheirWay];
    this.#random = random;
  }

  get state(): BucketState {
    return { objects: this.#objects, onTheirWay: this.#onTheirWay };
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    this.#latecomers();
    return piece(this.#objects, key, range);
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    this.#latecomers();
    const isCreated = !this.#objects.has(key);
    apply(this.#objects, { key, bytes: copyOf(body) });
    return isCreated ? { kind: "created", etag: "" } : { kind: "exists" };
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#latecomers();
    for (const key of keys) this.#objects.delete(key);
  }

  /** What a dead process sent comes in between. */
  #latecomers(): void {
    while (this.#onTheirWay.length > 0 && this.#random.chance(0.3)) {
      const [late] = this.#onTheirWay.splice(this.#random.below(this.#onTheirWay.length), 1);
      apply(this.#objects, late as Write);
    }
  }
}

function apply(objects: Objects, { key, bytes }: Write): void {
  if (bytes === undefined) objects.delete(key);
  else if (!objects.has(key)) objects.set(key, bytes);
}

function piece(objects: Objects, key: string, range?: ByteRange): Uint8Array {
  const bytes = objects.get(key);
  if (bytes === undefined) throw new ObjectMissing(key);
  const { start, end } = range ?? { start: 0, end: bytes.length };
  requireRange(key, { start, end }, Math.max(0, Math.min(end, bytes.length) - start));
  return bytes.slice(start, end);
}

function unheard(writes: readonly Write[]): StoreFailed {
  return new StoreFailed(`no answer for ${writes.map(({ key }) => key).join()}`, {
    happened: "maybe",
    retriable: true,
  });
}
