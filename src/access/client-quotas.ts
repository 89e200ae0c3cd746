/** The meters of users, client ids and addresses, against the quotas in the metadata. Each broker measures what it serves itself. */
import type { Clock } from "../base/runtime.ts";
import type { Counter } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { RequestContext } from "../protocol/dispatch.ts";
import { askerOf } from "./authorizer.ts";
import { type ClientQuotaKey, type QuotaKey, quotaOf } from "./quota-entity.ts";
import { type LimitInForce, QuotaTable } from "./quota-table.ts";
import { OwedTokens, RateWindow, type WindowShape } from "./rate-window.ts";

export interface ClientQuotasOptions {
  readonly metadata: Pick<MetadataClient, "image" | "onChange">;
  readonly clock: Clock;
  readonly window: WindowShape;
  /** Of controller_mutation_rate. */
  readonly mutationWindow: WindowShape;
  readonly limits: {
    /** Client ids are the clients' to invent: the meter that was not used for the longest time is forgotten. */
    readonly metersMax: number;
  };
  readonly metrics: QuotaMetrics;
}

export interface QuotaMetrics {
  readonly throttledRequests: Counter;
  readonly throttledSeconds: Counter;
}

type Client = Pick<RequestContext, "principal" | "clientId">;

/** An int32 on the wire, and what a timer of Node waits at most: a longer one would end at once. */
const throttleMsMax = 2 ** 31 - 1;

export class ClientQuotas implements Disposable {
  readonly #options: ClientQuotasOptions;
  readonly #watch: Disposable;
  /** Made again when it is next asked after quotas have changed. */
  #table: QuotaTable | undefined;
  /** Least recently used first. */
  readonly #windows = new Map<string, RateWindow>();
  readonly #tokens = new Map<string, OwedTokens>();

  constructor(options: ClientQuotasOptions) {
    this.#options = options;
    this.#watch = options.metadata.onChange((events) => {
      const mayDiffer = events.length === 0 || events.some((event) => event.kind === "set-facts");
      if (mayDiffer) this.#table = undefined;
    });
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  /** Nothing is limited, so nothing need be measured. */
  get isIdle(): boolean {
    return this.#quotas().isEmpty;
  }

  get meters(): number {
    return this.#windows.size + this.#tokens.size;
  }

  limitOf(key: ClientQuotaKey, { principal, clientId }: Client): LimitInForce | undefined {
    return this.#quotas().ofClient(key, principal.name, clientId ?? "");
  }

  /** Most that a client may be given at once and still be within its rate over the window. */
  burstOf(key: ClientQuotaKey, client: Client): number {
    const { samples, sampleMs } = this.#options.window;
    const inForce = this.limitOf(key, client);
    return inForce === undefined ? Number.POSITIVE_INFINITY : (inForce.limit * (samples - 1) * sampleMs) / 1000;
  }

  /** Records it, and says for how long the client must pause. */
  use(key: Exclude<ClientQuotaKey, "controller_mutation_rate">, client: Client, amount: number): number {
    const inForce = this.limitOf(key, client);
    if (inForce === undefined) return 0;
    const nowMs = this.#options.clock.monotonic();
    const window = this.#window(inForce.meter);
    window.record(amount, nowMs);
    const throttleMs = Math.min(throttleMsMax, window.throttleMs(inForce.limit, nowMs));
    // A request cannot be made undone, so its client waits for one sample at most, as in Kafka.
    return key === "request_percentage" ? Math.min(throttleMs, this.#options.window.sampleMs) : throttleMs;
  }

  /** Partitions made or deleted. "strict": nothing is used by whoever still owes. */
  mutate(
    client: Client,
    partitions: number,
    mode: "strict" | "lenient",
  ): { readonly isRefused: boolean; readonly throttleMs: number } {
    const inForce = this.limitOf("controller_mutation_rate", client);
    if (inForce === undefined) return { isRefused: false, throttleMs: 0 };
    const nowMs = this.#options.clock.monotonic();
    const { limit, meter } = inForce;
    const tokens = this.#recall(this.#tokens, meter, () => new OwedTokens(this.#options.mutationWindow));
    const owedMs = Math.min(throttleMsMax, tokens.throttleMs(limit, nowMs));
    if (mode === "strict" && owedMs > 0) return { isRefused: true, throttleMs: owedMs };
    tokens.use(partitions, limit, nowMs);
    const throttleMs = mode === "strict" ? 0 : Math.min(throttleMsMax, tokens.throttleMs(limit, nowMs));
    return { isRefused: false, throttleMs };
  }

  /** Whether another connection may come from there. */
  admits(clientHost: string): boolean {
    const host = askerOf({ principal: { type: "User", name: "", isTokenAuthenticated: false }, clientHost }).host;
    const inForce = this.#quotas().ofAddress(host);
    if (inForce === undefined) return true;
    const nowMs = this.#options.clock.monotonic();
    const window = this.#window(inForce.meter);
    window.record(1, nowMs);
    if (window.throttleMs(inForce.limit, nowMs) === 0) return true;
    window.record(-1, nowMs);
    this.#options.metrics.throttledRequests.add(1, { quota: "connection_creation_rate" });
    return false;
  }

  throttled(quota: QuotaKey, throttleMs: number): void {
    this.#options.metrics.throttledRequests.add(1, { quota });
    this.#options.metrics.throttledSeconds.add(throttleMs / 1000, { quota });
  }

  #quotas(): QuotaTable {
    this.#table ??= new QuotaTable(Array.from(this.#options.metadata.image.facts("quotas"), quotaOf));
    return this.#table;
  }

  #window(meter: string): RateWindow {
    return this.#recall(this.#windows, meter, () => new RateWindow(this.#options.window));
  }

  #recall<T>(meters: Map<string, T>, name: string, make: () => T): T {
    const found = meters.get(name) ?? make();
    meters.delete(name); // To the end: most recently used.
    meters.set(name, found);
    if (meters.size > this.#options.limits.metersMax) {
      const [oldest] = meters.keys();
      if (oldest !== undefined) meters.delete(oldest);
    }
    return found;
  }
}
