/** Proves: quotas are set and found as Kafka's clients ask, and answers tell who is over one to pause. */
import { describe, expect, test } from "vitest";
import { ClientQuotas } from "../../../src/access/client-quotas.ts";
import { quotaFactKey } from "../../../src/access/quota-entity.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { clientQuotasHandlers } from "../../../src/handlers/quotas/client-quotas.ts";
import { metered } from "../../../src/handlers/quotas/metered.ts";
import { mutationLimited } from "../../../src/handlers/quotas/mutation-quota.ts";
import type { RequestOf, ResponseInputOf } from "../../../src/protocol/api-table.ts";
import { answered, context, named } from "../../support/log-world.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";
import { noMetrics } from "../../support/no-metrics.ts";
import { AdminWorld } from "../admin-world.ts";

const shape = { samples: 11, sampleMs: 1000 };

function quotasOf(metadata: MemoryMetadata, key: string, value: number): ClientQuotas {
  const fact = { table: "quotas", key: quotaFactKey({ user: null }, key), value: String(value) } as const;
  metadata.apply([{ kind: "set-facts", facts: [fact] }]);
  const clock = new ManualClock();
  return new ClientQuotas({
    metadata,
    clock,
    window: shape,
    mutationWindow: shape,
    limits: { metersMax: 10 },
    metrics: noMetrics,
  });
}

describe("quotas as administrators see them", () => {
  const user = (entityName: string | null) => ({ entityType: "user", entityName });
  const id = (entityName: string | null) => ({ entityType: "client-id", entityName });
  const rate = (value: number, remove = false) => ({ key: "producer_byte_rate", value, remove });

  async function world() {
    const handlers = clientQuotasHandlers({ metadata: new MemoryMetadata(), limits: { quotasMax: 4 } });
    const alter = async (entries: RequestOf<"alterClientQuotas">["entries"], validateOnly = false) =>
      answered(await handlers.alterClientQuotas({ entries, validateOnly }, context())).entries.map((entry) =>
        named(entry.errorCode),
      );
    const describeAll = async (components: RequestOf<"describeClientQuotas">["components"] = [], strict = false) => {
      const answer = answered(await handlers.describeClientQuotas({ components, strict }, context()));
      return (
        answer.entries?.map(({ entity, values }) => [
          entity.map(({ entityName }) => entityName).join("/"),
          ...values.map(({ value }) => value),
        ]) ?? named(answer.errorCode)
      );
    };
    const entries = [
      { entity: [user("a")], ops: [rate(1)] },
      { entity: [user("a"), id(null)], ops: [rate(2)] },
      { entity: [user(null)], ops: [rate(3)] },
    ];
    expect(await alter(entries, true)).toEqual(["NONE", "NONE", "NONE"]);
    expect(await describeAll()).toEqual([]);
    expect(await alter(entries)).toEqual(["NONE", "NONE", "NONE"]);
    return { alter, describeAll };
  }

  test("are found by exact names, defaults and types, strictly or not", async () => {
    const { describeAll } = await world();
    const match = (matchType: number, name: string | null = null) => ({ entityType: "user", matchType, match: name });
    expect(await describeAll()).toEqual([
      ["a", 1],
      ["a/", 2],
      ["", 3],
    ]);
    expect(await describeAll([match(0, "a")])).toEqual([
      ["a", 1],
      ["a/", 2],
    ]);
    expect(await describeAll([match(0, "a")], true)).toEqual([["a", 1]]);
    expect(await describeAll([match(1)])).toEqual([["", 3]]);
    expect(await describeAll([match(2)], true)).toEqual([
      ["a", 1],
      ["", 3],
    ]);
    expect(await describeAll([match(0)])).toBe("INVALID_REQUEST");
    expect(await describeAll([match(2), match(2)])).toBe("INVALID_REQUEST");
    expect(await describeAll([{ entityType: "group", matchType: 2, match: null }])).toBe("UNSUPPORTED_VERSION");
  });

  test("are changed and removed key by key, and what is wrong changes nothing", async () => {
    const { alter, describeAll } = await world();
    const wrong = [
      { entity: [], ops: [rate(1)] },
      { entity: [user("b")], ops: [rate(1), rate(2)] },
      { entity: [user("d")], ops: [{ key: "nonsense", value: 1, remove: false }] },
      { entity: [user("a")], ops: [rate(0, true)] },
    ];
    expect(await alter(wrong)).toEqual(["INVALID_REQUEST", "INVALID_REQUEST", "INVALID_REQUEST", "NONE"]);
    expect(await describeAll()).toEqual([
      ["a/", 2],
      ["", 3],
    ]);
    const again = { entity: [user("c")], ops: [rate(1)] };
    expect(await alter([again, { entity: [user("")], ops: [] }, again], true)).toEqual([
      "INVALID_REQUEST",
      "INVALID_REQUEST",
    ]);
    const many = ["x", "y", "z"].map((name) => ({ entity: [user(name)], ops: [rate(1)] }));
    expect(new Set(await alter(many))).toEqual(new Set(["POLICY_VIOLATION"]));
  });
});

describe("whoever is over a quota", () => {
  const topicData = [{ name: "t", topicId: "", partitionData: [{ index: 0, records: new Uint8Array(30_000) }] }];
  const request = { transactionalId: null, acks: -1, timeoutMs: 1, topicData } as unknown as RequestOf<"produce">;

  test("producing is answered at once, told to pause, and made to", async () => {
    const metadata = new MemoryMetadata();
    const quotas = quotasOf(metadata, "producer_byte_rate", 1_000);
    const { produce } = metered(
      { produce: async () => ({ responses: [], throttleTimeMs: 5 }) },
      quotas,
      new ManualClock(),
    );
    const pauses: number[] = [];
    const answer = await produce?.(request, context({ pause: (ms) => pauses.push(ms) }));
    expect(answer).toMatchObject({ throttleTimeMs: 20_000 });
    expect(pauses).toEqual([20_000]);
    const silent = metered({ produce: async () => "no-response" }, quotas, new ManualClock());
    expect(await silent.produce?.(request, context({ pause: (ms) => pauses.push(ms) }))).toBe("no-response");
    expect(pauses).toHaveLength(2);
  });

  test("consuming gets records until it is over its rate, then none, and never more than a window's worth", async () => {
    const quotas = quotasOf(new MemoryMetadata(), "consumer_byte_rate", 1_000);
    const asked: number[] = [];
    const responses = [
      {
        topicId: undefined,
        partitions: [{ partitionIndex: 0, errorCode: 0, highWatermark: 7, records: [new Uint8Array(20_000)] }],
      },
    ];
    const fetch = async ({ maxBytes }: RequestOf<"fetch">): Promise<ResponseInputOf<"fetch">> => {
      asked.push(maxBytes);
      return { responses } as unknown as ResponseInputOf<"fetch">;
    };
    const handlers = metered({ fetch }, quotas, new ManualClock());
    const ask = async () =>
      answered((await handlers.fetch?.({ maxBytes: 1 << 30 } as RequestOf<"fetch">, context())) ?? "close");
    expect(await ask()).toMatchObject({ throttleTimeMs: 10_000, responses });
    const second = await ask();
    expect(second.throttleTimeMs).toBe(10_000);
    expect(second.responses[0]?.partitions).toMatchObject([{ highWatermark: 7, records: [] }]);
    expect(asked).toEqual([10_000, 10_000]);
  });

  test("making topics is refused topic by topic where the version knows how", async () => {
    await using world = new AdminWorld();
    const { metadata } = world;
    const quotas = quotasOf(metadata, "controller_mutation_rate", 1);
    const handlers = mutationLimited(
      { createTopics: world.handlers.createTopics },
      { quotas, metadata, partitionsByDefault: 1 },
    );
    const create = async (name: string, apiVersion: number) => {
      const topic = { name, numPartitions: 20, replicationFactor: -1, assignments: [], configs: [] };
      const pending = handlers.createTopics?.(
        { topics: [topic], timeoutMs: 1_000, validateOnly: false },
        context({ apiVersion }),
      );
      const answer = answered(await world.clock.until(pending ?? Promise.reject(new Error("no handler"))));
      return [named(answer.topics[0]?.errorCode), answer.throttleTimeMs];
    };
    expect(await create("a", 7)).toEqual(["NONE", undefined]);
    expect(await create("b", 7)).toEqual(["THROTTLING_QUOTA_EXCEEDED", 9_000]);
    expect(metadata.image.topicByName("b")).toBeUndefined();
    expect(await create("c", 5)).toEqual(["NONE", 29_000]);
  });

  test("what comes to nothing costs nothing: a topic that is there, a bad name, partitions that cannot be added", async () => {
    await using world = new AdminWorld();
    const { metadata } = world;
    const quotas = quotasOf(metadata, "controller_mutation_rate", 1);
    const { createTopics, createPartitions } = world.handlers;
    const handlers = mutationLimited({ createTopics, createPartitions }, { quotas, metadata, partitionsByDefault: 1 });
    const rest = { replicationFactor: -1, assignments: [], configs: [] };
    const create = async (names: readonly string[], apiVersion: number, numPartitions = 20) => {
      const topics = names.map((name) => ({ ...rest, name, numPartitions }));
      const pending = handlers.createTopics?.(
        { topics, timeoutMs: 1_000, validateOnly: false },
        context({ apiVersion }),
      );
      const answer = answered(await world.clock.until(pending ?? Promise.reject(new Error("no handler"))));
      return [...answer.topics.map(({ errorCode }) => named(errorCode)), answer.throttleTimeMs];
    };
    const grow = async () => {
      const topics = [{ name: "a", count: 2, assignments: [{ brokerIds: [1] }, { brokerIds: [1] }] }];
      const pending = handlers.createPartitions?.(
        { topics, timeoutMs: 1_000, validateOnly: false },
        context({ apiVersion: 3 }),
      );
      const answer = answered(await world.clock.until(pending ?? Promise.reject(new Error("no handler"))));
      return [...answer.results.map(({ errorCode }) => named(errorCode)), answer.throttleTimeMs];
    };
    expect(await create(["a"], 7, 1)).toEqual(["NONE", undefined]);
    for (let turn = 0; turn < 20; turn += 1) expect(await grow()).toEqual(["INVALID_REPLICA_ASSIGNMENT", undefined]);
    for (const version of [5, 7]) {
      expect(await create(["a", "b!"], version)).toEqual([
        "TOPIC_ALREADY_EXISTS",
        "INVALID_TOPIC_EXCEPTION",
        undefined,
      ]);
      expect(await create(["d", "d"], version)).toEqual(["INVALID_REQUEST", undefined]);
    }
    expect(await create(["b"], 7)).toEqual(["NONE", undefined]);
    expect(await create(["a"], 7)).toEqual(["TOPIC_ALREADY_EXISTS", undefined]); // Also of who owes.
  });

  test("what is named twice is deleted by nobody, also when the quota is used up between the two", async () => {
    await using world = new AdminWorld();
    const { metadata } = world;
    await world.topic("a", 20);
    const quotas = quotasOf(metadata, "controller_mutation_rate", 1);
    const { deleteTopics } = world.handlers;
    const handlers = mutationLimited({ deleteTopics }, { quotas, metadata, partitionsByDefault: 1 });
    const topics = [
      { name: "a", topicId: uuidZero },
      { name: null, topicId: metadata.image.topicByName("a")?.id ?? uuidZero },
    ];
    const answer = await handlers.deleteTopics?.({ topics, topicNames: [], timeoutMs: 1 }, context({ apiVersion: 6 }));
    expect(answered(answer ?? "close").responses.map(({ errorCode }) => named(errorCode))).toEqual(["INVALID_REQUEST"]);
    expect(metadata.image.topicByName("a")).toBeDefined();
  });
});
