/** Counts and times every request that really goes out: it stands under the retries. */

import type { Clock } from "../base/runtime.ts";
import type { Counter, Histogram } from "../base/telemetry.ts";
import { bodyBytes } from "./body.ts";
import { ObjectMissing, type ObjectStore } from "./object-store.ts";

export interface ObjectStoreMetrics {
  /** Labels: operation, outcome ("ok", "missing", "failed"). */
  readonly requests: Counter;
  /** Label: direction ("in" to the store, "out" of it). */
  readonly bytes: Counter;
  /** Milliseconds. Label: operation. */
  readonly latencyMs: Histogram;
}

export function measured(store: ObjectStore, clock: Clock, metrics: ObjectStoreMetrics): ObjectStore {
  const timed = async <T>(operation: string, work: () => Promise<T>): Promise<T> => {
    const startedMs = clock.monotonic();
    let outcome = "failed";
    try {
      const result = await work();
      outcome = "ok";
      return result;
    } catch (cause) {
      if (cause instanceof ObjectMissing) outcome = "missing";
      throw cause;
    } finally {
      metrics.requests.add(1, { operation, outcome });
      metrics.latencyMs.observe(clock.monotonic() - startedMs, { operation });
    }
  };
  const sent = (bytes: number): void => metrics.bytes.add(bytes, { direction: "in" });
  return {
    url: store.url,
    put: async (key, body) => {
      const result = await timed("put", () => store.put(key, body));
      sent(bodyBytes(body));
      return result;
    },
    putIfAbsent: async (key, body) => {
      const result = await timed("put-if-absent", () => store.putIfAbsent(key, body));
      sent(bodyBytes(body));
      return result;
    },
    putIfMatch: async (key, body, etag) => {
      const result = await timed("put-if-match", () => store.putIfMatch(key, body, etag));
      sent(bodyBytes(body));
      return result;
    },
    get: async (key, range) => {
      const bytes = await timed("get", () => store.get(key, range));
      metrics.bytes.add(bytes.length, { direction: "out" });
      return bytes;
    },
    head: (key) => timed("head", () => store.head(key)),
    list: async function* (prefix) {
      metrics.requests.add(1, { operation: "list", outcome: "ok" });
      yield* store.list(prefix);
    },
    delete: (keys) => timed("delete", () => store.delete(keys)),
    multipart: async (key) => {
      const upload = await timed("multipart-create", () => store.multipart(key));
      return {
        part: async (body, number) => {
          await timed("multipart-part", () => upload.part(body, number));
          sent(bodyBytes(body));
        },
        complete: () => timed("multipart-complete", () => upload.complete()),
        abort: () => timed("multipart-abort", () => upload.abort()),
      };
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
