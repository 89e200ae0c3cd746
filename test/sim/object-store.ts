/**
 * An object store that fails as real ones do: at random, with the probability of each fate, or when a test says so. What
 * the kinds of trouble are, and what becomes of a request that one strikes, stands in test/support/store-faults.ts.
 */
import { sleep } from "../../src/base/async.ts";
import type { Happened } from "../../src/base/errors.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { copyOf } from "../../src/object-store/body.ts";
import {
  type ByteRange,
  type MultipartUpload,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  StoreFailed,
} from "../../src/object-store/object-store.ts";
import { type FaultKind, fateOf, type StoreOperation } from "../support/store-faults.ts";
import type { SimClock } from "./clock.ts";
import type { SimRandom } from "./random.ts";

export interface StoreFaults {
  /** Probabilities for each request. */
  readonly refused: number;
  readonly lost: number;
  readonly unheard: number;
  readonly ghost: number;
  /** Delivered twice; the second answer is heard. */
  readonly twice: number;
  /** No answer, ever: the caller gives up after `stallMs`. Whether it happened is open. */
  readonly stalled: number;
  /** Of a delete: some keys are gone, and the answer names the others. */
  readonly partial: number;
  /** Of a read: an answer that the store's client sees to be wrong. */
  readonly garbled: number;
  /** A request that takes `slowMs` instead of up to `delayMsMax`. */
  readonly slow: number;
  readonly delayMsMax: number;
  readonly slowMs: number;
  readonly stallMs: number;
  /** A ghost lands within this time. */
  readonly ghostMsMax: number;
}

export const calmStore: StoreFaults = {
  refused: 0,
  lost: 0,
  unheard: 0,
  ghost: 0,
  twice: 0,
  stalled: 0,
  partial: 0,
  garbled: 0,
  slow: 0,
  delayMsMax: 20,
  slowMs: 5_000,
  stallMs: 30_000,
  ghostMsMax: 30_000,
};

export const stormyStore: StoreFaults = {
  ...calmStore,
  refused: 0.05,
  lost: 0.05,
  unheard: 0.08,
  ghost: 0.05,
  twice: 0.03,
  stalled: 0.01,
  partial: 0.1,
  garbled: 0.03,
  slow: 0.03,
};

type RandomFate = "refused" | "lost" | "unheard" | "ghost" | "twice" | "stalled" | "partial" | "garbled";
type Fate = RandomFate | "slow" | "lie" | "none";

interface Request {
  readonly operation: StoreOperation;
  readonly what: string;
}

export class FaultyStore implements ObjectStore {
  faults: StoreFaults | (() => StoreFaults);
  readonly url: string;
  readonly #inner: ObjectStore;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #node: Clock;
  /** How often each fate struck. */
  readonly struck = new Map<string, number>();
  #next: { readonly kind: FaultKind; readonly operation: StoreOperation } | undefined;

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

  /** The next request of the operation meets this trouble, and no other request does. */
  strike(kind: FaultKind, operation: StoreOperation): void {
    this.#next = { kind, operation };
  }

  put(key: string, body: Parameters<ObjectStore["put"]>[1]): ReturnType<ObjectStore["put"]> {
    const bytes = copyOf(body); // A ghost lands when the caller's buffer has long been reused.
    return this.#write({ operation: "put", what: `put ${key}` }, () => this.#inner.put(key, bytes));
  }

  putIfAbsent(key: string, body: Parameters<ObjectStore["putIfAbsent"]>[1]): ReturnType<ObjectStore["putIfAbsent"]> {
    const bytes = copyOf(body);
    const request = { operation: "put-if-absent", what: `create ${key}` } as const;
    return this.#write(request, () => this.#inner.putIfAbsent(key, bytes));
  }

  putIfMatch(
    key: string,
    body: Parameters<ObjectStore["putIfMatch"]>[1],
    etag: string,
  ): ReturnType<ObjectStore["putIfMatch"]> {
    const bytes = copyOf(body);
    const request = { operation: "put-if-match", what: `replace ${key}` } as const;
    return this.#write(request, () => this.#inner.putIfMatch(key, bytes, etag));
  }

  get(key: string, range?: ByteRange, room?: Uint8Array): ReturnType<ObjectStore["get"]> {
    const operation = range === undefined ? "get" : "get-range";
    return this.#read({ operation, what: `get ${key}` }, () => this.#inner.get(key, range, room), {
      "bit-flipped": (bytes) => flipped(bytes),
      "fresh-key-missing": () => {
        throw new ObjectMissing(key);
      },
    });
  }

  head(key: string): ReturnType<ObjectStore["head"]> {
    return this.#read({ operation: "head", what: `head ${key}` }, () => this.#inner.head(key), {
      "fresh-key-missing": () => undefined,
    });
  }

  async *list(prefix: string): ReturnType<ObjectStore["list"]> {
    const all: ObjectInfo[] = [];
    for await (const info of this.#inner.list(prefix)) all.push(info);
    let hidden = 0;
    for (let at = 0; at < Math.max(1, all.length); at += pageKeys) {
      await this.#read({ operation: "list", what: `list ${prefix}` }, async () => undefined, {
        "fresh-key-missing": () => {
          hidden = 1;
        },
      });
      yield* all.slice(at, Math.min(at + pageKeys, all.length - hidden));
    }
  }

  delete(keys: readonly string[]): Promise<void> {
    const all = [...keys];
    return this.#write(
      { operation: "delete", what: `delete ${all.length}` },
      () => this.#inner.delete(all),
      () => this.#inner.delete(all.slice(0, Math.ceil(all.length / 2))),
    );
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const begin = { operation: "multipart-create", what: `start ${key}` } as const;
    const upload = await this.#write(begin, () => this.#inner.multipart(key));
    let called = 0;
    return {
      part: (body, number = called + 1) => {
        called += 1;
        const bytes = copyOf(body);
        const request = { operation: "multipart-part", what: `part ${number} of ${key}` } as const;
        return this.#write(request, () => upload.part(bytes, number));
      },
      complete: () =>
        this.#write({ operation: "multipart-complete", what: `complete ${key}` }, () => upload.complete()),
      abort: () => this.#write({ operation: "multipart-abort", what: `abort ${key}` }, () => upload.abort()),
    };
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }

  async #read<T>(
    request: Request,
    work: () => Promise<T>,
    lies: Partial<Readonly<Record<FaultKind, (truth: T) => T>>> = {},
  ): Promise<T> {
    const { kind, fate } = this.#fateOf(request, ["refused", "lost", "stalled", "garbled", "unheard"]);
    await this.#delay(this.#node, fate);
    if (fate === "stalled" || fate === "ghost") await sleep(this.#node, this.#now.stallMs);
    if (["refused", "lost", "stalled", "ghost", "garbled"].includes(fate)) throw failed(request.what, "no");
    const result = await work();
    if (fate === "unheard") throw failed(request.what, "no");
    const lie = kind === undefined ? undefined : lies[kind];
    return lie === undefined ? result : lie(result);
  }

  async #write<T>(request: Request, work: () => Promise<T>, partly?: () => Promise<void>): Promise<T> {
    const fates = ["refused", "lost", "ghost", "stalled", "twice", "unheard"] as const;
    const { fate } = this.#fateOf(request, partly === undefined ? fates : [...fates, "partial"]);
    const { what } = request;
    await this.#delay(this.#clock, fate);
    if (fate === "refused") throw await this.#heard(failed(what, "no"));
    if (fate === "lost") throw await this.#heard(failed(what, "maybe"));
    if (fate === "stalled") {
      await sleep(this.#node, this.#now.stallMs);
      throw failed(what, "maybe");
    }
    if (fate === "ghost") {
      this.#clock.after(this.#random.between(0, this.#now.ghostMsMax), () => {
        this.#clock.trace(`ghost lands: ${what}`);
        work().catch((cause: unknown) => this.#clock.trace(`ghost failed: ${String(cause)}`));
      });
      throw await this.#heard(failed(what, "maybe"));
    }
    if (fate === "partial") {
      await partly?.();
      throw await this.#heard(failed(what, "maybe"));
    }
    if (fate === "twice") await work();
    const result = await work();
    this.#clock.trace(what);
    await this.#delay(this.#node, "none");
    if (fate === "unheard") throw failed(what, "maybe");
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

  #delay(clock: Clock, fate: Fate): Promise<void> {
    const { slow, slowMs, delayMsMax } = this.#now;
    return sleep(clock, fate === "slow" || this.#random.chance(slow) ? slowMs : this.#random.unit() * delayMsMax);
  }

  #fateOf(
    { operation, what }: Request,
    possible: readonly RandomFate[],
  ): { readonly fate: Fate; readonly kind?: FaultKind } {
    const planned = this.#next?.operation === operation ? this.#next.kind : undefined;
    if (planned !== undefined) {
      this.#next = undefined;
      this.#note(planned, what);
      return { kind: planned, fate: planned === "stall" ? "stalled" : fateOf(planned) };
    }
    const fate = possible.find((each) => this.#random.chance(this.#now[each]));
    if (fate !== undefined) this.#note(fate, what);
    return { fate: fate ?? "none" };
  }

  #note(trouble: string, what: string): void {
    this.struck.set(trouble, (this.struck.get(trouble) ?? 0) + 1);
    this.#clock.trace(`${trouble}: ${what}`);
  }
}

/** Few, so that small listings have several. */
const pageKeys = 10;

function flipped(bytes: Uint8Array): Uint8Array {
  const middle = Math.floor(bytes.length / 2);
  return bytes.map((byte, at) => (at === middle ? byte ^ 1 : byte));
}

function failed(what: string, happened: Happened): StoreFailed {
  return new StoreFailed(`simulated: ${what}`, { happened, retriable: true });
}
