/** An object store whose calls take time and fail before or after their effect, as a seed decides. */
import { sleep } from "../../src/base/async.ts";
import type { Clock, Random } from "../../src/base/runtime.ts";
import { type Body, type ObjectInfo, type ObjectStore, StoreFailed } from "../../src/object-store/object-store.ts";

export class TroubledStore implements ObjectStore {
  readonly url = "memory://";
  readonly #inner: ObjectStore;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Probability that a call fails, half of them after the effect. */
  failing: number;
  gets = 0;

  constructor(
    inner: ObjectStore,
    options: { readonly clock: Clock; readonly random: Random; readonly failing?: number },
  ) {
    this.#inner = inner;
    this.#clock = options.clock;
    this.#random = options.random;
    this.failing = options.failing ?? 0;
  }

  put(key: string, body: Body): ReturnType<ObjectStore["put"]> {
    return this.#call("maybe", () => this.#inner.put(key, body));
  }

  putIfAbsent(key: string, body: Body): ReturnType<ObjectStore["putIfAbsent"]> {
    return this.#call("maybe", () => this.#inner.putIfAbsent(key, body));
  }

  putIfMatch(key: string, body: Body, etag: string): ReturnType<ObjectStore["putIfMatch"]> {
    return this.#call("maybe", () => this.#inner.putIfMatch(key, body, etag));
  }

  get(key: string, range?: { readonly start: number; readonly end: number }, room?: Uint8Array): Promise<Uint8Array> {
    this.gets += 1;
    return this.#call("no", () => this.#inner.get(key, range, room), 0);
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#call("no", () => this.#inner.head(key));
  }

  list(prefix: string): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix);
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#call("maybe", () => this.#inner.delete(keys));
  }

  async multipart(key: string): ReturnType<ObjectStore["multipart"]> {
    const upload = await this.#call("maybe", () => this.#inner.multipart(key));
    return {
      // At once, as the order of calls is the order of parts.
      part: (body, number) => {
        const sent = upload.part(body, number);
        return this.#call("maybe", () => sent);
      },
      complete: () => this.#call("maybe", () => upload.complete()),
      abort: () => upload.abort(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #call<T>(happened: "no" | "maybe", work: () => Promise<T>, failing = this.failing): Promise<T> {
    await sleep(this.#clock, this.#random.unit() * 5);
    const fate = this.#random.unit();
    if (fate < failing / 2) throw new StoreFailed("503", { happened: "no", retriable: true });
    const result = await work();
    await sleep(this.#clock, this.#random.unit() * 5);
    if (fate < failing) throw new StoreFailed("the answer got lost", { happened, retriable: true });
    return result;
  }
}
