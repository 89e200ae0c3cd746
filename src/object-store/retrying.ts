/**
 * Repeats what failed and may succeed, and settles what may have happened by repeating it (never by looking and finding
 * nothing: a write that was given up may still land).
 *
 *   put-if-absent  attempt 1: timeout, "maybe"  ──▶ attempt 2: "exists" ──▶ are these our bytes? created : exists
 *
 * The question is asked after a first "exists" too: what stands between us and the store may have sent the request twice
 * and given us the second answer. So two writers who put the same bytes under the same key may both be told "created": whoever needs to know which one
 * it was puts a unique id into the bytes.
 */
import { type BackoffLimits, backoffDelayMs, sleep } from "../base/async.ts";
import { Closed } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import { bodyBytes, sameBytes } from "./body.ts";
import { ListOrder } from "./list-order.ts";
import {
  type Body,
  type ByteRange,
  type Created,
  type MultipartUpload,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Replaced,
  StoreFailed,
} from "./object-store.ts";

export interface RetryingOptions {
  readonly runtime: Runtime;
  readonly limits: BackoffLimits;
}

export class RetryingObjectStore implements ObjectStore {
  readonly url: string;
  readonly #inner: ObjectStore;
  readonly #options: RetryingOptions;
  readonly #closed = new AbortController();

  constructor(inner: ObjectStore, options: RetryingOptions) {
    this.url = inner.url;
    this.#inner = inner;
    this.#options = options;
  }

  put(key: string, body: Body): Promise<{ readonly etag: string }> {
    return this.#repeat(() => this.#inner.put(key, body));
  }

  putIfAbsent(key: string, body: Body): Promise<Created> {
    return this.#repeat(async () => {
      const outcome = await this.#inner.putIfAbsent(key, body);
      if (outcome.kind === "created") return outcome;
      const present = await this.#compare(key, body);
      if (present.kind === "ours") return { kind: "created", etag: present.etag };
      if (present.kind === "theirs") return outcome;
      throw new StoreFailed(`created or not: ${key}, which is gone`, { happened: "maybe", retriable: false });
    });
  }

  putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    return this.#repeat(async (isUnsettled) => {
      const outcome = await this.#inner.putIfMatch(key, body, etag);
      if (outcome.kind === "replaced") return outcome;
      const present = await this.#compare(key, body);
      if (present.kind === "ours") return { kind: "replaced", etag: present.etag };
      if (!isUnsettled) return outcome;
      // Either an earlier attempt landed and was replaced in turn, or a rival was first. Nobody can tell any more.
      throw new StoreFailed(`replaced or not: ${key}`, { happened: "maybe", retriable: false });
    });
  }

  get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array> {
    return this.#repeat(() => this.#inner.get(key, range, room));
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#repeat(() => this.#inner.head(key));
  }

  /** After a failure the listing starts again and skips what was given out, which the store's order tells. */
  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const given = new ListOrder();
    for (let attempt = 1; ; attempt++) {
      const resumeAfter = given.last;
      try {
        for await (const info of this.#inner.list(prefix)) {
          if (resumeAfter !== undefined && !given.isAfter(resumeAfter, info.key)) continue;
          given.note(info.key);
          attempt = 1;
          yield info;
        }
        return;
      } catch (cause) {
        if (!given.isKnown) throw cause; // What was given out cannot be told from what was not.
        await this.#pause(cause, attempt);
      }
    }
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#repeat(() => this.#inner.delete(keys));
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const upload = await this.#repeat(() => this.#inner.multipart(key));
    const sizes: number[] = [];
    let called = 0;
    return {
      part: (body, number = called + 1) => {
        called += 1;
        sizes[number - 1] = bodyBytes(body);
        return this.#repeat(() => upload.part(body, number));
      },
      complete: () =>
        this.#repeat(async (isUnsettled) => {
          try {
            return await upload.complete();
          } catch (cause) {
            if (!(cause instanceof ObjectMissing)) throw cause;
            // The upload is gone: an earlier attempt, or a request that was sent twice on the way, may have completed it.
            const info = await this.#inner.head(key);
            if (info?.size === sizes.reduce((sum, size) => sum + size, 0)) return { etag: info.etag };
            if (!isUnsettled) throw cause;
            throw new StoreFailed(`completed or not: ${key}`, { happened: "maybe", retriable: false, cause });
          }
        }),
      abort: () => this.#repeat(() => upload.abort()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Closed("object store"));
    await this.#inner[Symbol.asyncDispose]();
  }

  /** `isUnsettled`: an earlier attempt may have taken effect. What is thrown at the end says "maybe" if any attempt did. */
  async #repeat<T>(work: (isUnsettled: boolean) => Promise<T>): Promise<T> {
    let isUnsettled = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(isUnsettled);
      } catch (cause) {
        isUnsettled ||= cause instanceof StoreFailed && cause.happened === "maybe";
        await this.#pause(cause, attempt, isUnsettled);
      }
    }
  }

  /** Waits before the next attempt, or throws what the caller shall see. */
  async #pause(cause: unknown, attempt: number, isUnsettled = false): Promise<void> {
    const isRepeatable = cause instanceof StoreFailed && cause.retriable;
    if (!isRepeatable || attempt >= this.#options.limits.attemptsMax || this.#closed.signal.aborted) {
      if (!(cause instanceof StoreFailed) || !isUnsettled || cause.happened === "maybe") throw cause;
      throw new StoreFailed(cause.message, { happened: "maybe", retriable: cause.retriable, cause });
    }
    const delayMs = backoffDelayMs(this.#options.limits, attempt, this.#options.runtime.random);
    await sleep(this.#options.runtime.clock, delayMs, this.#closed.signal);
  }

  /** Whose bytes stand there now. While that is not known, neither is whether ours were written. */
  async #compare(
    key: string,
    body: Body,
  ): Promise<{ readonly kind: "ours"; readonly etag: string } | { readonly kind: "theirs" | "gone" }> {
    try {
      const info = await this.#inner.head(key);
      if (info === undefined) return { kind: "gone" };
      if (info.size !== bodyBytes(body)) return { kind: "theirs" };
      return sameBytes(body, await this.#inner.get(key)) ? { kind: "ours", etag: info.etag } : { kind: "theirs" };
    } catch (cause) {
      if (cause instanceof ObjectMissing) return { kind: "gone" };
      if (!(cause instanceof StoreFailed)) throw cause;
      throw new StoreFailed(cause.message, { happened: "maybe", retriable: cause.retriable, cause });
    }
  }
}
