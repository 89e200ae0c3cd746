/** Proves: a quota holds whom Kafka says it holds, and who uses a quota up is slowed down to it, not below it. */
import { describe, expect, test } from "vitest";
import { ClientQuotas } from "../../src/access/client-quotas.ts";
import { entityOf, type QuotaEntity, quotaFactKey, quotaOf, quotaProblem } from "../../src/access/quota-entity.ts";
import { QuotaTable } from "../../src/access/quota-table.ts";
import { OwedTokens, RateWindow } from "../../src/access/rate-window.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryMetadata } from "../support/memory-metadata.ts";
import { noMetrics } from "../support/no-metrics.ts";

const shape = { samples: 11, sampleMs: 1000 };

describe("precedence", () => {
  /** From the weakest to the strongest. */
  const levels: readonly QuotaEntity[] = [
    { "client-id": null },
    { "client-id": "app" },
    { user: null },
    { user: null, "client-id": null },
    { user: null, "client-id": "app" },
    { user: "alice" },
    { user: "alice", "client-id": null },
    { user: "alice", "client-id": "app" },
  ];

  test("each level yields to the next", () => {
    for (let count = 1; count <= levels.length; count += 1) {
      const quotas = levels
        .slice(0, count)
        .map((entity, at) => ({ entity, key: "producer_byte_rate" as const, value: at }));
      expect(new QuotaTable(quotas).ofClient("producer_byte_rate", "alice", "app")?.limit).toBe(count - 1);
    }
  });

  test("who shares a limit shares a meter", () => {
    const meterOf = (entity: QuotaEntity, user: string, clientId: string): string | undefined =>
      new QuotaTable([{ entity, key: "producer_byte_rate", value: 1 }]).ofClient("producer_byte_rate", user, clientId)
        ?.meter;
    expect(meterOf({ user: null }, "a", "x")).toBe(meterOf({ user: null }, "a", "y"));
    expect(meterOf({ user: null }, "a", "x")).not.toBe(meterOf({ user: null }, "b", "x"));
    expect(meterOf({ "client-id": null }, "a", "x")).toBe(meterOf({ "client-id": null }, "b", "x"));
    expect(meterOf({ user: "a", "client-id": null }, "a", "x")).not.toBe(
      meterOf({ user: "a", "client-id": null }, "a", "y"),
    );
  });
});

describe("what can be set", () => {
  test("names of entities and keys are checked", () => {
    const one = (entityType: string, entityName: string | null) => ({ entityType, entityName });
    expect(entityOf([one("user", "a"), one("client-id", null)])).toEqual({ user: "a", "client-id": null });
    for (const bad of [
      [],
      [one("group", "g")],
      [one("user", "")],
      [one("user", "a"), one("ip", null)],
      [one("ip", "nowhere")],
    ]) {
      expect(entityOf(bad)).toBeTypeOf("string");
    }
    expect(entityOf([one("user", "a"), one("ip", "10.0.0.1")])).toMatch(/combination/);
    expect(quotaProblem({ user: "a" }, "producer_byte_rate", 1.5)).toMatch(/Long/);
    expect(quotaProblem({ user: "a" }, "request_percentage", 1.5)).toBeUndefined();
    expect(quotaProblem({ ip: null }, "producer_byte_rate", 1)).toMatch(/Invalid configuration key/);
    expect(quotaProblem({ user: "a" }, "constructor", 1)).toMatch(/Invalid configuration key/);
    expect(quotaProblem({ user: "a" }, "request_percentage", Number.NaN)).toBeTypeOf("string");
    expect(quotaProblem({ user: "a" }, "request_percentage", 0)).toMatch(/greater than 0/);
    expect(quotaProblem({ user: "a" }, "request_percentage", 1e30)).toBeUndefined();
    expect(quotaProblem({ user: "a" }, "producer_byte_rate", 9e18)).toBeUndefined();
    expect(quotaProblem({ user: "a" }, "producer_byte_rate", 1e19)).toMatch(/too large/);
    expect(quotaProblem({ ip: null }, "connection_creation_rate", 2 ** 31 - 1)).toBeUndefined();
    expect(quotaProblem({ ip: null }, "connection_creation_rate", 2 ** 31)).toMatch(/too large/);
  });

  test("a quota survives being a fact", () => {
    const quota = { entity: { user: 'a"b', "client-id": null }, key: "request_percentage", value: 0.1 } as const;
    expect(quotaOf([quotaFactKey(quota.entity, quota.key), String(quota.value)])).toEqual(quota);
  });
});

describe("a rate", () => {
  test("of a client that pauses as it is told is the limit, within a tenth", () => {
    for (const bytes of [1_000, 50_000, 2_000_000]) {
      const window = new RateWindow(shape);
      const limit = 100_000;
      let [nowMs, sent] = [0, 0];
      while (nowMs < 300_000) {
        window.record(bytes, nowMs);
        sent += bytes;
        nowMs += 1 + window.throttleMs(limit, nowMs);
      }
      expect(sent / (nowMs / 1000) / limit).toBeGreaterThan(0.9);
      expect(sent / (nowMs / 1000) / limit).toBeLessThan(1.1);
    }
  });

  test("below the limit is never slowed down, and a limit of nothing ends a pause all the same", () => {
    const window = new RateWindow(shape);
    for (let nowMs = 0; nowMs < 60_000; nowMs += 100) {
      window.record(99, nowMs);
      expect(window.throttleMs(1_000, nowMs)).toBe(0);
    }
    expect(window.throttleMs(0, 60_000)).toBe(11_000);
  });

  test("of partitions: a window's worth at once, then what is owed is waited for", () => {
    const tokens = new OwedTokens(shape);
    tokens.use(11, 1, 0);
    expect(tokens.throttleMs(1, 0)).toBe(0);
    tokens.use(5, 1, 0);
    expect(tokens.throttleMs(1, 0)).toBe(5_000);
    expect(tokens.throttleMs(1, 5_000)).toBe(0);
  });
});

describe("meters", () => {
  const client = (name: string, clientId: string) => ({
    principal: { type: "User", name, isTokenAuthenticated: false } as const,
    clientId,
  });

  function world(...quotas: readonly (readonly [entity: QuotaEntity, key: string, value: number])[]) {
    const metadata = new MemoryMetadata();
    const clock = new ManualClock();
    const set = (facts: typeof quotas): void => {
      metadata.apply([
        {
          kind: "set-facts",
          facts: facts.map(([entity, key, value]) => ({
            table: "quotas",
            key: quotaFactKey(entity, key),
            value: String(value),
          })),
        },
      ]);
    };
    const clients = new ClientQuotas({
      metadata,
      clock,
      window: shape,
      mutationWindow: shape,
      limits: { metersMax: 3 },
      metrics: noMetrics,
    });
    set(quotas);
    return { clients, clock, set };
  }

  test("are idle without quotas, and see a change at once", () => {
    const { clients, set } = world();
    expect(clients.isIdle).toBe(true);
    expect(clients.use("producer_byte_rate", client("a", "x"), 1e9)).toBe(0);
    set([[{ user: "a" }, "producer_byte_rate", 1_000]]);
    expect(clients.isIdle).toBe(false);
    expect(clients.use("producer_byte_rate", client("a", "x"), 20_000)).toBe(10_000); // 2,000 a second over ten.
    expect(clients.use("producer_byte_rate", client("b", "x"), 20_000)).toBe(0);
  });

  test("ask for no longer pause than an answer can tell and a timer wait", () => {
    const longest = 2 ** 31 - 1;
    const { clients } = world(
      [{ user: "a" }, "producer_byte_rate", 1],
      [{ user: "a" }, "controller_mutation_rate", 1e-6],
    );
    expect(clients.use("producer_byte_rate", client("a", "x"), 1e8)).toBe(longest);
    expect(clients.mutate(client("a", "x"), 1e6, "lenient").throttleMs).toBe(longest);
    expect(clients.mutate(client("a", "x"), 1, "strict")).toEqual({ isRefused: true, throttleMs: longest });
  });

  test("are as many as may be, whatever client ids are invented", () => {
    const { clients } = world([{ "client-id": null }, "producer_byte_rate", 1]);
    for (let id = 0; id < 1_000; id += 1) clients.use("producer_byte_rate", client("a", `${id}`), 1);
    expect(clients.meters).toBe(3);
  });

  test("refuse partitions to strict clients, and connections to addresses, that are over their rate", () => {
    const { clients, clock } = world(
      [{ user: "a" }, "controller_mutation_rate", 1],
      [{ ip: "10.0.0.1" }, "connection_creation_rate", 1],
    );
    expect(clients.mutate(client("a", "x"), 20, "strict")).toEqual({ isRefused: false, throttleMs: 0 });
    expect(clients.mutate(client("a", "x"), 1, "strict")).toEqual({ isRefused: true, throttleMs: 9_000 });
    expect(clients.mutate(client("a", "x"), 1, "lenient")).toEqual({ isRefused: false, throttleMs: 10_000 });
    const admitted = Array.from({ length: 30 }, () => clients.admits("::ffff:10.0.0.1")).filter(Boolean);
    expect(admitted).toHaveLength(10);
    expect(clients.admits("10.0.0.2")).toBe(true);
    clock.advance(12_000);
    expect(clients.admits("10.0.0.1")).toBe(true);
  });
});
