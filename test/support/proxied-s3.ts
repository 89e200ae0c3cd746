/** A bucket behind a proxy that makes trouble, for the grid of all troubles and operations. */
import type { Clock } from "../../src/base/runtime.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { openS3ObjectStore } from "../../src/object-store/s3.ts";
import { parseStoreUrl, type S3Place } from "../../src/object-store/store-url.ts";
import type { FaultWorld } from "../object-store/fault-grid.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { storeDeps } from "./store-deps.ts";

export interface ProxiedS3 extends AsyncDisposable {
  world(): Promise<FaultWorld>;
}

/** `url` is the whole bucket's own, without the proxy. */
export async function proxiedS3(url: string): Promise<ProxiedS3> {
  const place = parseStoreUrl(url);
  if (place.kind !== "s3" || place.endpoint === undefined) throw new Error("an S3 URL with an endpoint is wanted");
  const { endpoint } = place;
  const { runtime, limits } = storeDeps();
  const truth = await openS3ObjectStore(place, { clock: runtime.clock, limits });
  return {
    world: () => proxied({ ...place, endpoint }, truth),
    [Symbol.asyncDispose]: async () => await truth[Symbol.asyncDispose](),
  };
}

async function proxied(place: S3Place & { readonly endpoint: string }, truth: ObjectStore): Promise<FaultWorld> {
  const { runtime, limits } = storeDeps();
  const remove = (keys: readonly string[]): Promise<void> => truth.delete(keys);
  const patience = new Patience();
  const giveUp = (): void => patience.end();
  const proxy = await FaultProxy.start({ upstream: place.endpoint, giveUp, remove });
  const options = { clock: patience, limits, pageKeysMax: 10 };
  const behind = await openS3ObjectStore({ ...place, endpoint: proxy.endpoint }, options);
  const retry = (attemptsMax: number): RetryingObjectStore =>
    new RetryingObjectStore(behind, { runtime, limits: { attemptsMax, delayMsMin: 10, delayMsMax: 100 } });
  return {
    truth,
    once: retry(1),
    repeating: retry(20),
    strike: (kind, operation) => proxy.strike(kind, operation),
    get struck() {
      return proxy.struck;
    },
    run: (work) => work,
    settle: () => proxy.settle(),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await behind[Symbol.asyncDispose]();
    },
  };
}

/** The clock of requests' deadlines: they end when the proxy says so, however fast or slow the machine is. */
class Patience implements Clock {
  readonly #deadlines = new Set<() => void>();

  now(): number {
    return 0;
  }

  monotonic(): number {
    return 0;
  }

  after(_: number, callback: () => void): Disposable {
    this.#deadlines.add(callback);
    return { [Symbol.dispose]: () => void this.#deadlines.delete(callback) };
  }

  end(): void {
    for (const deadline of this.#deadlines) deadline();
  }
}
