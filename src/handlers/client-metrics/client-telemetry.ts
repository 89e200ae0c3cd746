/** GetTelemetrySubscriptions and PushTelemetry (KIP-714): clients send their own metrics, and the broker shows the last of them. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { CorruptData } from "../../base/errors.ts";
import { type Uuid, uuidRandom, uuidZero } from "../../base/ids.ts";
import type { Clock, Random, Runtime } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { inflateFairly } from "../../protocol/compression.ts";
import type { Handlers, RequestContext } from "../../protocol/dispatch.ts";
import type { Compression } from "../../protocol/record-batch.ts";
import { code } from "../handler.ts";
import type { ClientTraits } from "./client-match.ts";
import { type ClientMetricPoint, readClientMetrics } from "./otlp-metrics.ts";
import { type ClientSubscription, TelemetrySubscriptions } from "./telemetry-subscriptions.ts";

export interface ClientTelemetryLimits {
  /** Past it the client that has been silent longest is forgotten. */
  readonly clientsMax: number;
  readonly pushBytesMax: number;
  readonly inflatedBytesMax: number;
  /** Of one client. */
  readonly pointsMax: number;
}

/** A metric of a client, as it was pushed last. */
export interface ClientSample extends Omit<ClientMetricPoint, "isDelta"> {
  readonly clientInstanceId: Uuid;
  readonly clientId: string;
}

interface Instance {
  readonly id: Uuid;
  readonly clientId: string;
  subscription: ClientSubscription;
  lastGetMs: number;
  lastPushMs: number;
  isTerminating: boolean;
  lastError: ErrorName;
  readonly points: Map<string, ClientMetricPoint>;
}

/** Index is the number on the wire. */
const compressions: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];
/** The order is the broker's preference: Kafka's. */
const accepted = (["zstd", "lz4", "gzip", "snappy"] as const).map((name) => compressions.indexOf(name));
/** After so many intervals without a push a client is taken for gone. */
const intervalsSilentMax = 3;
const never = Number.NEGATIVE_INFINITY;

export class ClientTelemetry implements Disposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: ClientTelemetryLimits;
  readonly #subscriptions: TelemetrySubscriptions;
  /** The one that was heard of last stands last. */
  readonly #instances = new Map<Uuid, Instance>();

  constructor(options: {
    readonly metadata: Pick<MetadataClient, "image" | "onChange">;
    readonly runtime: Runtime;
    readonly limits: ClientTelemetryLimits;
  }) {
    this.#clock = options.runtime.clock;
    this.#random = options.runtime.random;
    this.#limits = options.limits;
    this.#subscriptions = new TelemetrySubscriptions(options.metadata);
  }

  handlers() {
    return {
      getTelemetrySubscriptions: async (request, context) => this.#subscribe(request, context),
      pushTelemetry: (request, context) => this.#push(request, context),
    } satisfies Handlers;
  }

  /** Of the clients that are not taken for gone. */
  *samples(): Iterable<ClientSample> {
    const now = this.#clock.monotonic();
    for (const [id, instance] of this.#instances) {
      const heardMs = Math.max(instance.lastGetMs, instance.lastPushMs);
      if (now - heardMs > intervalsSilentMax * instance.subscription.intervalMs) {
        this.#instances.delete(id);
        continue;
      }
      const { clientId } = instance;
      for (const { isDelta: _, ...point } of instance.points.values()) {
        yield { clientInstanceId: id, clientId, ...point };
      }
    }
  }

  [Symbol.dispose](): void {
    this.#subscriptions[Symbol.dispose]();
  }

  #subscribe(
    { clientInstanceId }: RequestOf<"getTelemetrySubscriptions">,
    context: RequestContext,
  ): ResponseInputOf<"getTelemetrySubscriptions"> {
    const now = this.#clock.monotonic();
    const id = clientInstanceId === uuidZero ? uuidRandom(this.#random) : clientInstanceId;
    const instance = this.#instance(id, context);
    const error = subscribeError(instance, now);
    if (error !== undefined) return { ...nothing, errorCode: code(error) };
    instance.lastGetMs = now;
    instance.lastError = "NONE";
    instance.subscription = this.#subscriptions.of(traits(id, context));
    const { subscription } = instance;
    return {
      errorCode: 0,
      clientInstanceId: id,
      subscriptionId: subscription.id,
      acceptedCompressionTypes: accepted,
      pushIntervalMs: subscription.intervalMs,
      telemetryMaxBytes: this.#limits.pushBytesMax,
      deltaTemporality: false, // A lost push then loses nothing: the next one tells the whole sum again.
      requestedMetrics: subscription.metrics,
    };
  }

  async #push(request: RequestOf<"pushTelemetry">, context: RequestContext): Promise<ResponseInputOf<"pushTelemetry">> {
    const { clientInstanceId: id } = request;
    if (id === uuidZero) return { errorCode: code("INVALID_REQUEST") };
    const instance = this.#instance(id, context);
    const current = this.#subscriptions.of(traits(id, context));
    const error = pushError(instance, request, { current, now: this.#clock.monotonic(), limits: this.#limits });
    instance.lastError = error ?? "NONE";
    instance.isTerminating = request.terminating; // As Kafka: what the last push said, refused or not.
    if (error !== undefined) return { errorCode: code(error) };
    const points = await this.#read(request);
    if (points === undefined) return { errorCode: code("INVALID_RECORD") };
    keep(instance, points, this.#limits.pointsMax);
    return { errorCode: 0 };
  }

  /** Undefined: they are not what they say. */
  async #read(request: RequestOf<"pushTelemetry">): Promise<readonly ClientMetricPoint[] | undefined> {
    const compression = compressions[request.compressionType] ?? "none";
    const { inflatedBytesMax: bytesMax, pointsMax } = this.#limits;
    try {
      return readClientMetrics(await inflateFairly(compression, request.metrics, { bytesMax }), { pointsMax });
    } catch (cause) {
      if (cause instanceof CorruptData) return undefined;
      throw cause;
    }
  }

  #instance(id: Uuid, context: RequestContext): Instance {
    const known = this.#instances.get(id);
    const instance = known ?? {
      id,
      clientId: context.clientId ?? "",
      subscription: this.#subscriptions.of(traits(id, context)),
      lastGetMs: never,
      lastPushMs: never,
      isTerminating: false,
      lastError: "NONE" as const,
      points: new Map(),
    };
    this.#instances.delete(id); // So that it becomes the newest.
    this.#instances.set(id, instance);
    if (this.#instances.size > this.#limits.clientsMax) {
      this.#instances.delete(this.#instances.keys().next().value as Uuid);
    }
    return instance;
  }
}

/** As Kafka: with an error a client is told nothing. */
const nothing = {
  clientInstanceId: uuidZero,
  subscriptionId: 0,
  acceptedCompressionTypes: [],
  pushIntervalMs: 0,
  telemetryMaxBytes: 0,
  deltaTemporality: false,
  requestedMetrics: [],
} as const;

function traits(id: Uuid, { clientId, clientHost, client }: RequestContext): ClientTraits {
  return {
    client_instance_id: id,
    client_id: clientId ?? "",
    client_software_name: client?.softwareName ?? "",
    client_software_version: client?.softwareVersion ?? "",
    client_source_address: clientHost,
    client_source_port: String(client?.port ?? ""),
  };
}

/** A client asks again at once when its push told it to. */
function subscribeError(instance: Instance, now: number): ErrorName | undefined {
  const mayAskAgain =
    instance.lastError === "UNKNOWN_SUBSCRIPTION_ID" || instance.lastError === "UNSUPPORTED_COMPRESSION_TYPE";
  const since = now - Math.max(instance.lastGetMs, instance.lastPushMs);
  return mayAskAgain || since >= instance.subscription.intervalMs ? undefined : "THROTTLING_QUOTA_EXCEEDED";
}

/** In Kafka's order. Counts the push, which may come early after a subscription, and as a client's last. */
function pushError(
  instance: Instance,
  { terminating, subscriptionId, compressionType, metrics }: RequestOf<"pushTelemetry">,
  at: { readonly current: ClientSubscription; readonly now: number; readonly limits: ClientTelemetryLimits },
): ErrorName | undefined {
  if (instance.isTerminating) return "INVALID_REQUEST";
  const isDue =
    instance.lastGetMs > instance.lastPushMs || at.now - instance.lastPushMs >= instance.subscription.intervalMs;
  if (isDue) instance.lastPushMs = at.now;
  else if (!terminating) return "THROTTLING_QUOTA_EXCEEDED";
  if (subscriptionId !== at.current.id) return "UNKNOWN_SUBSCRIPTION_ID";
  if (compressions[compressionType] === undefined) return "UNSUPPORTED_COMPRESSION_TYPE";
  return metrics.length > at.limits.pushBytesMax ? "TELEMETRY_TOO_LARGE" : undefined;
}

/** What is no longer pushed goes; a sum that was pushed as its growth grows by it. */
function keep(instance: Instance, points: readonly ClientMetricPoint[], pointsMax: number): void {
  const before = new Map(instance.points);
  instance.points.clear();
  for (const point of points) {
    const key = [point.metric, point.part, point.at, point.attributes].join(" ");
    const value = point.isDelta ? (before.get(key)?.value ?? 0) + point.value : point.value;
    if (instance.points.size < pointsMax) instance.points.set(key, { ...point, value });
  }
  // A sum that did not grow may have been left out of the push.
  for (const [key, point] of before) {
    if (point.isDelta && !instance.points.has(key) && instance.points.size < pointsMax) instance.points.set(key, point);
  }
}
