/** Counts, times and prices every request that really goes out: it stands under the retries. */
import type { Clock } from "../base/runtime.ts";
import type { Counter, Histogram } from "../base/telemetry.ts";
import { bodyBytes } from "./body.ts";
import { ObjectMissing, type ObjectStore } from "./object-store.ts";
import { dollarsOf, pagesOf, type RequestName, requestClass, type StorePrices } from "./prices.ts";

export interface ObjectStoreMetrics {
  /** Labels: operation, outcome ("ok", "missing", "failed"). */
  readonly requests: Counter;
  /** Label: direction ("in" to the store, "out" of it). */
  readonly bytes: Counter;
  /** Milliseconds. Label: operation. */
  readonly latencyMs: Histogram;
  /** Label: class ("write", "read", "delete", "in", "out"). */
  readonly dollars: Counter;
  readonly prices: StorePrices;
}

export function measured(store: ObjectStore, clock: Clock, metrics: ObjectStoreMetrics): ObjectStore {
  const { prices } = metrics;
  /** A request costs whatever comes of it. */
  const charge = (operation: RequestName, outcome: string, count: number): void => {
    metrics.requests.add(count, { operation, outcome });
    const priced = requestClass[operation];
    metrics.dollars.add(dollarsOf(count * prices[priced].perRequestNanodollars), { class: priced });
  };
  const moved = (direction: "in" | "out", bytes: number): void => {
    metrics.bytes.add(bytes, { direction });
    metrics.dollars.add(dollarsOf((bytes / 2 ** 30) * prices[direction].perGibNanodollars), { class: direction });
  };
  const timed = async <T>(operation: RequestName, work: () => Promise<T>, count = 1): Promise<T> => {
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
      charge(operation, outcome, count);
      metrics.latencyMs.observe(clock.monotonic() - startedMs, { operation });
    }
  };
  return {
    url: store.url,
    put: async (key, body) => {
      const result = await timed("put", () => store.put(key, body));
      moved("in", bodyBytes(body));
      return result;
    },
    putIfAbsent: async (key, body) => {
      const result = await timed("put-if-absent", () => store.putIfAbsent(key, body));
      moved("in", bodyBytes(body));
      return result;
    },
    putIfMatch: async (key, body, etag) => {
      const result = await timed("put-if-match", () => store.putIfMatch(key, body, etag));
      moved("in", bodyBytes(body));
      return result;
    },
    get: async (key, range, room) => {
      const bytes = await timed("get", () => store.get(key, range, room));
      moved("out", bytes.length);
      return bytes;
    },
    head: (key) => timed("head", () => store.head(key)),
    list: async function* (prefix) {
      let found = 0;
      let outcome = "failed";
      try {
        for await (const info of store.list(prefix)) {
          found += 1;
          yield info;
        }
        outcome = "ok";
      } finally {
        charge("list", outcome, pagesOf(found));
      }
    },
    delete: (keys) => timed("delete", () => store.delete(keys), pagesOf(keys.length)),
    multipart: async (key) => {
      const upload = await timed("multipart-create", () => store.multipart(key));
      return {
        part: async (body, number) => {
          await timed("multipart-part", () => upload.part(body, number));
          moved("in", bodyBytes(body));
        },
        complete: () => timed("multipart-complete", () => upload.complete()),
        abort: () => timed("multipart-abort", () => upload.abort()),
      };
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
