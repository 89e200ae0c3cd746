/** Objects in memory: for tests, simulations and a broker that may forget. */
import { assert } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import { copyOf } from "./body.ts";
import {
  type Body,
  type ByteRange,
  type Created,
  type MultipartUpload,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Replaced,
  requireRange,
} from "./object-store.ts";

interface Stored {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly modifiedMs: number;
}

export class MemoryObjectStore implements ObjectStore {
  readonly url = "memory://";
  readonly #clock: Clock;
  readonly #objects = new Map<string, Stored>();
  #writes = 0;

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
  }

  async put(key: string, body: Body): Promise<{ readonly etag: string }> {
    return this.#store(key, copyOf(body));
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    if (this.#objects.has(key)) return { kind: "exists" };
    return { kind: "created", ...this.#store(key, copyOf(body)) };
  }

  async putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    if (this.#objects.get(key)?.etag !== etag) return { kind: "mismatch" };
    return { kind: "replaced", ...this.#store(key, copyOf(body)) };
  }

  async get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array> {
    const stored = this.#objects.get(key);
    if (stored === undefined) throw new ObjectMissing(key);
    const { start, end } = range ?? { start: 0, end: stored.bytes.length };
    requireRange(key, { start, end }, Math.max(0, Math.min(end, stored.bytes.length) - start));
    const found = stored.bytes.subarray(start, end);
    if (room === undefined) return found.slice();
    room.set(found);
    return room.subarray(0, found.length);
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const stored = this.#objects.get(key);
    return stored === undefined ? undefined : infoOf(key, stored);
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix));
    keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const key of keys) {
      const stored = this.#objects.get(key);
      if (stored !== undefined) yield infoOf(key, stored);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#objects.delete(key);
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const parts: Uint8Array[] = [];
    let called = 0;
    return {
      part: async (body, number = called + 1) => {
        called += 1;
        parts[number - 1] = copyOf(body);
      },
      complete: async () => {
        assert(parts.length > 0, "an upload has at least one part");
        return this.#store(key, copyOf(parts));
      },
      abort: async () => {},
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #store(key: string, bytes: Uint8Array): { readonly etag: string } {
    this.#writes += 1;
    const etag = `"${this.#writes}"`;
    this.#objects.set(key, { bytes, etag, modifiedMs: this.#clock.now() });
    return { etag };
  }
}

function infoOf(key: string, stored: Stored): ObjectInfo {
  return { key, size: stored.bytes.length, etag: stored.etag, modifiedMs: stored.modifiedMs };
}
