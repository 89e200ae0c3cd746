// Proves: clients push what subscriptions ask of them, no more often, and what they push is read within bounds (KIP-714).
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorName } from "../../../schemas/kafka/errors.ts";
import { CorruptData } from "../../../src/base/errors.ts";
import { type Uuid, uuidZero } from "../../../src/base/ids.ts";
import { ClientTelemetry } from "../../../src/handlers/client-metrics/client-telemetry.ts";
import { readClientMetrics } from "../../../src/handlers/client-metrics/otlp-metrics.ts";
import { configFactsEvent } from "../../../src/handlers/configs/config-facts.ts";
import { compress } from "../../../src/protocol/compression.ts";
import { anonymous, type RequestContext } from "../../../src/protocol/dispatch.ts";
import { SimClock } from "../../sim/clock.ts";
import { SimRandom } from "../../sim/random.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";

// MetricsData, field by field.
const field = (number: number, content: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(content);
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
};
const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = (4 << 3) | 1;
  bytes.writeDoubleLE(value, 1);
  return bytes;
};
const attribute = (key: string, value: string): Buffer =>
  field(7, Buffer.concat([field(1, key), field(2, field(1, value))]));
const point = (value: number, ...attributes: Buffer[]): Buffer =>
  field(1, Buffer.concat([...attributes, double(value)]));
const gauge = (name: string, ...points: Buffer[]): Buffer =>
  field(2, Buffer.concat([field(1, name), field(5, Buffer.concat(points))]));
const sum = (name: string, temporality: number, value: number): Buffer =>
  field(
    2,
    Buffer.concat([field(1, name), field(7, Buffer.concat([point(value), Buffer.from([2 << 3, temporality])]))]),
  );
/** Field 9 is an OpenTelemetry histogram, 10 an exponential one, 11 a summary. */
const metric = (kind: 9 | 10 | 11, temporality: number, ...fields: Buffer[]): Buffer => {
  const data = Buffer.concat([field(1, Buffer.concat(fields)), Buffer.from([2 << 3, temporality])]);
  return field(2, Buffer.concat([field(1, "m"), field(kind, data)]));
};
const fixed = (number: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([(number << 3) | 1]), bytes]);
const counted = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const real = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};
const countAndSum = (count: number, total: number): Buffer[] => [fixed(4, counted(count)), fixed(5, real(total))];
const buckets = (...counts: number[]): Buffer => field(6, Buffer.concat(counts.map(counted)));
const histogram = (temporality: number, attributes: Buffer[] = []): Buffer =>
  metric(
    9,
    temporality,
    ...countAndSum(6, 4.5),
    buckets(1, 2, 3),
    fixed(7, real(0.5)),
    fixed(7, real(2)),
    ...attributes,
  );
const metricsData = (...metrics: Buffer[]): Buffer => field(1, field(2, Buffer.concat(metrics)));

class TelemetryWorld implements Disposable {
  readonly clock = new SimClock();
  readonly metadata = new MemoryMetadata();
  readonly telemetry: ClientTelemetry;

  constructor(limits: Partial<ConstructorParameters<typeof ClientTelemetry>[0]["limits"]> = {}) {
    const runtime = { clock: this.clock, random: new SimRandom("telemetry") };
    const defaults = { clientsMax: 10, pushBytesMax: 1000, inflatedBytesMax: 5000, pointsMax: 5 };
    this.telemetry = new ClientTelemetry({ metadata: this.metadata, runtime, limits: { ...defaults, ...limits } });
  }

  subscription(name: string, configs: Record<string, string>): void {
    this.metadata.apply([configFactsEvent("client-metrics", name, new Map(), new Map(Object.entries(configs)))]);
  }

  async subscribe(clientInstanceId: Uuid = uuidZero, clientId = "app-1") {
    const { getTelemetrySubscriptions } = this.telemetry.handlers();
    const answer = await getTelemetrySubscriptions({ clientInstanceId }, context(clientId));
    return { ...answer, error: errorName(answer.errorCode) };
  }

  async push(
    to: { clientInstanceId: Uuid; subscriptionId: number },
    metrics: Uint8Array,
    extra: { terminating?: boolean; compressionType?: number } = {},
  ) {
    const request = { ...to, terminating: false, compressionType: 0, ...extra, metrics };
    return errorName((await this.telemetry.handlers().pushTelemetry(request, context("app-1"))).errorCode);
  }

  async passes(ms: number): Promise<void> {
    await this.clock.run(ms);
  }

  get values(): readonly (readonly [string, number])[] {
    return Array.from(this.telemetry.samples(), ({ metric, part, at, attributes, value }) => {
      const suffix = part === "value" ? "" : ` ${part}${at === "" ? "" : ` ${at}`}`;
      return [`${metric}{${attributes}}${suffix}`, value];
    });
  }

  [Symbol.dispose](): void {
    this.telemetry[Symbol.dispose]();
  }
}

function context(clientId: string): RequestContext {
  return {
    apiVersion: 0,
    correlationId: 1,
    clientId,
    clientHost: "10.0.0.1",
    client: { port: 5000, softwareName: "java", softwareVersion: "4.3.1" },
    listener: "PLAINTEXT",
    principal: anonymous,
    signal: new AbortController().signal,
  };
}

describe("what a client is asked for", () => {
  test("is nothing without a subscription, the union of those that match it else, and all for *", async () => {
    using world = new TelemetryWorld();
    expect(await world.subscribe()).toMatchObject({ error: "NONE", requestedMetrics: [], pushIntervalMs: 300_000 });
    world.subscription("a", { metrics: "x.,y.", "interval.ms": "1000" });
    world.subscription("b", {
      metrics: "y.,z.",
      "interval.ms": "2000",
      match: "client_id=app-.*,client_software_name=java",
    });
    world.subscription("c", { metrics: "*", match: "client_id=app" });
    expect(await world.subscribe()).toMatchObject({ requestedMetrics: ["x.", "y.", "z."], pushIntervalMs: 1000 });
    expect(await world.subscribe(uuidZero, "app")).toMatchObject({ requestedMetrics: [""], pushIntervalMs: 1000 });
    expect(await world.subscribe(uuidZero, "other")).toMatchObject({ requestedMetrics: ["x.", "y."] });
  });

  test("comes with an id of the client's own, that it brings again", async () => {
    using world = new TelemetryWorld();
    const first = await world.subscribe();
    expect(first.clientInstanceId).not.toBe(uuidZero);
    expect(first).toMatchObject({ acceptedCompressionTypes: [4, 3, 1, 2], telemetryMaxBytes: 1000 });
    expect(await world.subscribe(first.clientInstanceId)).toMatchObject({
      error: "THROTTLING_QUOTA_EXCEEDED",
      clientInstanceId: uuidZero,
      acceptedCompressionTypes: [],
      pushIntervalMs: 0,
    });
    await world.passes(300_000);
    expect(await world.subscribe(first.clientInstanceId)).toMatchObject({
      error: "NONE",
      clientInstanceId: first.clientInstanceId,
    });
  });
});

describe("a push", () => {
  const data = metricsData(gauge("g", point(1.5, attribute("topic", "t"), attribute("node", "1"))), sum("s", 2, 7));

  test.each([
    ["none", 0],
    ["gzip", 1],
    ["snappy", 2],
    ["lz4", 3],
    ["zstd", 4],
  ] as const)("is read under %s", async (compression, compressionType) => {
    using world = new TelemetryWorld();
    const to = await world.subscribe();
    expect(await world.push(to, compress(compression, data), { compressionType })).toBe("NONE");
    expect(world.values).toEqual([
      ["g{node=1,topic=t}", 1.5],
      ["s{}", 7],
    ]);
  });

  test("may come early once after a subscription, then once an interval, and early to say goodbye", async () => {
    using world = new TelemetryWorld();
    const to = await world.subscribe();
    expect(await world.push(to, data)).toBe("NONE");
    expect(await world.push(to, data)).toBe("THROTTLING_QUOTA_EXCEEDED");
    expect(await world.push(to, data, { terminating: true })).toBe("NONE");
    expect(await world.push(to, data, { terminating: true })).toBe("INVALID_REQUEST");
    expect(await world.push(to, data)).toBe("INVALID_REQUEST");
    expect(await world.push(to, data)).toBe("THROTTLING_QUOTA_EXCEEDED"); // It took its goodbye back.
  });

  test("under a subscription that changed sends the client to ask again, at once", async () => {
    using world = new TelemetryWorld();
    const to = await world.subscribe();
    world.subscription("a", { metrics: "x." });
    expect(await world.push(to, data)).toBe("UNKNOWN_SUBSCRIPTION_ID");
    const again = await world.subscribe(to.clientInstanceId);
    expect(again).toMatchObject({ error: "NONE", requestedMetrics: ["x."] });
    await world.passes(300_000);
    expect(await world.push(again, data)).toBe("NONE");
  });

  test("is refused for what it is", async () => {
    using world = new TelemetryWorld();
    const fresh = () => world.subscribe();
    expect(await world.push({ ...(await fresh()), clientInstanceId: uuidZero }, data)).toBe("INVALID_REQUEST");
    expect(await world.push(await fresh(), new Uint8Array(1001))).toBe("TELEMETRY_TOO_LARGE");
    expect(await world.push(await fresh(), data, { compressionType: 5 })).toBe("UNSUPPORTED_COMPRESSION_TYPE");
    expect(await world.push(await fresh(), data, { compressionType: 4 })).toBe("INVALID_RECORD");
    const bomb = compress("gzip", new Uint8Array(6000));
    expect(await world.push(await fresh(), bomb, { compressionType: 1 })).toBe("INVALID_RECORD");
  });

  test("adds up sums that were pushed as their growth", async () => {
    using world = new TelemetryWorld();
    const to = await world.subscribe();
    for (const growth of [3, 4]) {
      expect(await world.push(to, metricsData(sum("s", 1, growth)))).toBe("NONE");
      await world.passes(300_000);
    }
    expect(world.values).toEqual([["s{}", 7]]);
  });
});

describe("a histogram", () => {
  test("has as many values at most a bound as Prometheus counts", async () => {
    using world = new TelemetryWorld({ pointsMax: 10 });
    const named = field(9, Buffer.concat([field(1, "topic"), field(2, field(1, "t"))]));
    expect(await world.push(await world.subscribe(), metricsData(histogram(2, [named])))).toBe("NONE");
    expect(world.values).toEqual([
      ["m{topic=t} count", 6],
      ["m{topic=t} sum", 4.5],
      ["m{topic=t} bucket 0.5", 1],
      ["m{topic=t} bucket 2", 3],
      ["m{topic=t} bucket +Inf", 6],
    ]);
  });

  test("that is pushed as its growth adds up in all its parts", async () => {
    using world = new TelemetryWorld({ pointsMax: 10 });
    const to = await world.subscribe();
    for (let push = 0; push < 2; push += 1) {
      expect(await world.push(to, metricsData(histogram(1)))).toBe("NONE");
      await world.passes(300_000);
    }
    expect(world.values.map(([, value]) => value)).toEqual([12, 9, 2, 6, 12]);
  });

  test("has buckets that count as metrics, and one more than bounds", async () => {
    using world = new TelemetryWorld({ pointsMax: 3 });
    expect(await world.push(await world.subscribe(), metricsData(histogram(2)))).toBe("NONE");
    expect(world.values).toHaveLength(3);
    const unequal = metric(9, 2, ...countAndSum(1, 1), buckets(1), fixed(7, real(0.5)));
    expect(await world.push(await world.subscribe(), metricsData(unequal))).toBe("INVALID_RECORD");
  });

  test("that is exponential has its count and sum", async () => {
    using world = new TelemetryWorld();
    expect(await world.push(await world.subscribe(), metricsData(metric(10, 2, ...countAndSum(2, 3))))).toBe("NONE");
    expect(world.values).toEqual([
      ["m{} count", 2],
      ["m{} sum", 3],
    ]);
  });
});

test("a summary has its quantiles as they were pushed", async () => {
  using world = new TelemetryWorld();
  const quantile = field(6, Buffer.concat([fixed(1, real(0.99)), fixed(2, real(12))]));
  const summary = metric(11, 0, ...countAndSum(2, 13), quantile, attribute("node", "1"));
  expect(await world.push(await world.subscribe(), metricsData(summary))).toBe("NONE");
  expect(world.values).toEqual([
    ["m{node=1} count", 2],
    ["m{node=1} sum", 13],
    ["m{node=1} quantile 0.99", 12],
  ]);
});

test("clients that are silent for three intervals, or one too many, are forgotten, and a client has so many metrics", async () => {
  using world = new TelemetryWorld({ clientsMax: 2, pointsMax: 1 });
  const data = metricsData(gauge("a", point(1)), gauge("b", point(2)));
  for (let client = 0; client < 3; client += 1) expect(await world.push(await world.subscribe(), data)).toBe("NONE");
  expect(world.values).toEqual([
    ["a{}", 1],
    ["a{}", 1],
  ]);
  await world.passes(3 * 300_000 + 1);
  expect(world.values).toEqual([]);
});

test("bytes that are no metrics give metrics or CorruptData, nothing else", () => {
  const data = metricsData(gauge("g", point(1.5, attribute("topic", "t"))), sum("s", 2, 7), histogram(2));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(data.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.nat(data.length),
      (edits, length) => {
        const bytes = Uint8Array.from(data);
        for (const [at, byte] of edits) bytes[at] = byte;
        try {
          readClientMetrics(bytes.subarray(0, length), { pointsMax: 5 });
        } catch (cause) {
          expect(cause).toBeInstanceOf(CorruptData);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("millions of fields that say nothing are refused before they are in memory", () => {
  const nothings = Buffer.alloc(8 * 1024 * 1024 - 64, Buffer.from([15 << 3, 1]));
  const around = (content: Buffer, number: number): Buffer => {
    const length: number[] = [];
    for (let rest = content.length; rest > 0; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
    length.push((length.pop() as number) & 0x7f);
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
  };
  const bytes = around(around(around(nothings, 2), 2), 1);
  const before = performance.now();
  expect(() => readClientMetrics(bytes, { pointsMax: 1000 })).toThrow("fewer fields");
  expect(performance.now() - before).toBeLessThan(5_000);
});
