/**
 * An object store that fails as real ones do.
 *
 *   refused   nothing happened, and the store says so (429, connection refused)
 *   lost      nothing happened, and nobody knows (a 503 before the effect)
 *   unheard   it happened, the answer was lost
 *   ghost     the caller is told nothing, and long after it has given up the write lands
 */
import { sleep } from "../../src/base/async.ts";
import type { Happened } from "../../src/base/errors.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { copyOf } from "../../src/object-store/body.ts";
import { type MultipartUpload, type ObjectStore, StoreFailed } from "../../src/object-store/object-store.ts";
import type { SimClock } from "./clock.ts";
import type { SimRandom } from "./random.ts";

export interface StoreFaults {
  /** Probabilities for each request. */
  readonly refused: number;
  readonly lost: number;
  readonly unheard: number;
  readonly ghost: number;
  /** A request that takes `slowMs` instead of up to `delayMsMax`. */
  readonly slow: number;
  readonly delayMsMax: number;
  readonly slowMs: number;
  /** A ghost lands within this time. */
  readonly ghostMsMax: number;
}

export const calmStore: StoreFaults = {
  refused: 0,
  lost: 0,
  unheard: 0,
  ghost: 0,
  slow: 0,
  delayMsMax: 20,
  slowMs: 5_000,
  ghostMsMax: 30_000,
};

export const stormyStore: StoreFaults = {
  ...calmStore,
  refused: 0.05,
  lost: 0.05,
  unheard: 0.08,
  ghost: 0.05,
  slow: 0.03,
};

export class FaultyStore implements ObjectStore {
  faults: StoreFaults | (() => StoreFaults);
  readonly url: string;
  readonly #inner: ObjectStore;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #node: Clock;
  /** How often each fault struck. */
  readonly struck = new Map<string, number>();

  constructor(
    inner: ObjectStore,
    options: {
      readonly clock: SimClock;
      readonly random: SimRandom;
      /** A function is asked at each request. */
      readonly faults?: StoreFaults | (() => StoreFaults);
      /** Of the node that asks: what was sent still takes effect after its death, and it hears no answer. */
      readonly node?: Clock;
    },
  ) {
    this.url = inner.url;
    this.#inner = inner;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#node = options.node ?? options.clock;
    this.faults = options.faults ?? calmStore;
  }

  put(key: string, body: Parameters<ObjectStore["put"]>[1]): ReturnType<ObjectStore["put"]> {
    const bytes = copyOf(body); // A ghost lands when the caller's buffer has long been reused.
    return this.#write(`put ${key}`, () => this.#inner.put(key, bytes));
  }

  putIfAbsent(key: string, body: Parameters<ObjectStore["putIfAbsent"]>[1]): ReturnType<ObjectStore["putIfAbsent"]> {
    const bytes = copyOf(body);
    return this.#write(`create ${key}`, () => this.#inner.putIfAbsent(key, bytes));
  }

  putIfMatch(
    key: string,
    body: Parameters<ObjectStore["putIfMatch"]>[1],
    etag: string,
  ): ReturnType<ObjectStore["putIfMatch"]> {
    const bytes = copyOf(body);
    return this.#write(`replace ${key}`, () => this.#inner.putIfMatch(key, bytes, etag));
  }

  get(key: string, range?: Parameters<ObjectStore["get"]>[1]): ReturnType<ObjectStore["get"]> {
    return this.#read(`get ${key}`, () => this.#inner.get(key, range));
  }

  head(key: string): ReturnType<ObjectStore["head"]> {
    return this.#read(`head ${key}`, () => this.#inner.head(key));
  }

  async *list(prefix: string): ReturnType<ObjectStore["list"]> {
    let given = 0;
    for await (const info of this.#inner.list(prefix)) {
      if (given % 10 === 0) await this.#read(`list ${prefix}`, async () => {}); // A page.
      given += 1;
      yield info;
    }
  }

  delete(keys: readonly string[]): Promise<void> {
    const all = [...keys];
    return this.#write(`delete ${all.length}`, () => this.#inner.delete(all));
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const upload = await this.#write(`start ${key}`, () => this.#inner.multipart(key));
    let called = 0;
    return {
      part: (body, number = called + 1) => {
        called += 1;
        const bytes = copyOf(body);
        return this.#write(`part ${number} of ${key}`, () => upload.part(bytes, number));
      },
      complete: () => this.#write(`complete ${key}`, () => upload.complete()),
      abort: () => this.#write(`abort ${key}`, () => upload.abort()),
    };
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }

  async #read<T>(what: string, work: () => Promise<T>): Promise<T> {
    await this.#delay(this.#node);
    if (this.#strikes("refused", what) || this.#strikes("lost", what)) throw failed(what, "no");
    const result = await work();
    if (this.#strikes("unheard", what)) throw failed(what, "no");
    return result;
  }

  async #write<T>(what: string, work: () => Promise<T>): Promise<T> {
    await this.#delay(this.#clock);
    if (this.#strikes("refused", what)) throw await this.#heard(failed(what, "no"));
    if (this.#strikes("lost", what)) throw await this.#heard(failed(what, "maybe"));
    if (this.#strikes("ghost", what)) {
      this.#clock.after(this.#random.between(0, this.#now.ghostMsMax), () => {
        this.#clock.trace(`ghost lands: ${what}`);
        work().catch((cause: unknown) => this.#clock.trace(`ghost failed: ${String(cause)}`));
      });
      throw await this.#heard(failed(what, "maybe"));
    }
    const result = await work();
    this.#clock.trace(what);
    await this.#delay(this.#node);
    if (this.#strikes("unheard", what)) throw failed(what, "maybe");
    return result;
  }

  get #now(): StoreFaults {
    return typeof this.faults === "function" ? this.faults() : this.faults;
  }

  /** Nothing is heard by a node that died meanwhile. */
  async #heard<T>(answer: T): Promise<T> {
    if (this.#node !== this.#clock) await sleep(this.#node, 0);
    return answer;
  }

  #delay(clock: Clock): Promise<void> {
    const { slow, slowMs, delayMsMax } = this.#now;
    return sleep(clock, this.#random.chance(slow) ? slowMs : this.#random.unit() * delayMsMax);
  }

  #strikes(fault: "refused" | "lost" | "unheard" | "ghost", what: string): boolean {
    if (!this.#random.chance(this.#now[fault])) return false;
    this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
    this.#clock.trace(`${fault}: ${what}`);
    return true;
  }
}

function failed(what: string, happened: Happened): StoreFailed {
  return new StoreFailed(`simulated: ${what}`, { happened, retriable: true });
}
