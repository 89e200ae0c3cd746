/** What each client is to push: the union of all subscriptions to client metrics that match it (KIP-714). */
import { crc32c } from "@node-rs/crc32";
import { clientMetricsConfigs } from "../../../schemas/kafka-group-configs.ts";
import { listItems } from "../../log/config-check.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { factConfigs, factResources } from "../configs/config-facts.ts";
import { type ClientMatch, type ClientTraits, parseClientMatch } from "./client-match.ts";

export interface ClientSubscription {
  /** Another one when what is to be pushed changes. */
  readonly id: number;
  /** Prefixes; empty: nothing; one empty prefix: everything. */
  readonly metrics: readonly string[];
  readonly intervalMs: number;
}

interface Subscription {
  readonly metrics: readonly string[];
  readonly intervalMs: number;
  readonly match: ClientMatch;
}

const intervalMsByDefault = Number(clientMetricsConfigs["interval.ms"].default);
const everyMetric = "*";

export class TelemetrySubscriptions implements Disposable {
  readonly #metadata: Pick<MetadataClient, "image" | "onChange">;
  readonly #watch: Disposable;
  /** Undefined until they are asked for after a change. */
  #subscriptions: readonly Subscription[] | undefined;

  constructor(metadata: Pick<MetadataClient, "image" | "onChange">) {
    this.#metadata = metadata;
    this.#watch = metadata.onChange((events) => {
      // Without events a checkpoint was read: anything may be new.
      const isChanged = events.length === 0 || events.some(({ kind }) => kind === "set-facts");
      if (isChanged) this.#subscriptions = undefined;
    });
  }

  of(client: ClientTraits): ClientSubscription {
    this.#subscriptions ??= readSubscriptions(this.#metadata.image);
    const matching = this.#subscriptions.filter(({ match }) => match.matches(client));
    const all = [...new Set(matching.flatMap(({ metrics }) => metrics))].sort();
    const metrics = all.includes(everyMetric) ? [""] : all;
    const intervalMs = matching.reduce((least, each) => Math.min(least, each.intervalMs), Number.POSITIVE_INFINITY);
    const pushEvery = Number.isFinite(intervalMs) ? intervalMs : intervalMsByDefault;
    const id = crc32c(Buffer.from(JSON.stringify([metrics, pushEvery, client.client_instance_id]))) | 0;
    return { id, metrics, intervalMs: pushEvery };
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}

function readSubscriptions(image: MetadataClient["image"]): readonly Subscription[] {
  return factResources(image, "client-metrics").flatMap((name) => {
    const configs = factConfigs(image, "client-metrics", name);
    const match = parseClientMatch(configs.get("match") ?? "");
    if ("problem" in match) return []; // Another release took it for a pattern; this one cannot say whom it means.
    const intervalMs = Number(configs.get("interval.ms") ?? intervalMsByDefault);
    return [{ metrics: listItems(configs.get("metrics") ?? ""), intervalMs, match }];
  });
}
