/** Proves: Fetch gives whole batches in request order within its limits, and answers every position as Kafka does (kafka.md 5.4). */
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../../src/base/errors.ts";
import type { NodeId, Offset, StreamId, Uuid } from "../../../src/base/ids.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { fetchHandler } from "../../../src/handlers/data/fetch.ts";
import { FetchSessions } from "../../../src/handlers/data/fetch-session.ts";
import { FetchWait } from "../../../src/log/fetch-wait.ts";
import { apis, type RequestOf, type ResponseInputOf } from "../../../src/protocol/api-table.ts";
import { BatchView } from "../../../src/protocol/record-batch.ts";
import { buildMarker } from "../../../src/protocol/records.ts";
import { answered, context, LogWorld, named } from "../../support/log-world.ts";

type Request = RequestOf<"fetch">;
type Response = ResponseInputOf<"fetch">;
type Wanted = Partial<Request["topics"][number]["partitions"][number]> & {
  readonly topic?: string;
  readonly topicId?: Uuid;
};

const position = {
  partition: 0,
  currentLeaderEpoch: -1,
  fetchOffset: 0,
  lastFetchedEpoch: -1,
  logStartOffset: -1,
  partitionMaxBytes: 1_000_000,
  replicaDirectoryId: uuidZero,
  highWatermark: -1,
};
const request: Request = {
  clusterId: null,
  replicaId: -1,
  replicaState: { replicaId: -1, replicaEpoch: -1 },
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  sessionId: 0,
  sessionEpoch: -1,
  topics: [],
  forgottenTopicsData: [],
  rackId: "",
};

class FetchWorld extends LogWorld {
  /** Whose right to read was taken away. */
  readonly unreadable = new Set<string>();
  readonly #handler = fetchHandler({
    log: this.log,
    metadata: this.metadata,
    sessions: new FetchSessions({
      clock: this.clock,
      random: this.random,
      limits: { sessionsMax: 10, sessionPartitionsMax: 100, sessionIdleMsMin: 1000 },
    }),
    wait: new FetchWait({ clock: this.clock, limits: { fetchesWaitingMax: 10 } }),
    limits: { fetchBytesMax: 1_000_000 },
    mayRead: (topic) => !this.unreadable.has(topic),
  });

  async fetch(wanted: readonly Wanted[], fields: Partial<Request> = {}, apiVersion = 12): Promise<Response> {
    const topics = wanted.map(({ topic = "a", topicId = uuidZero, ...partition }) => ({
      topic: topicId === uuidZero ? topic : "",
      topicId,
      partitions: [{ ...position, ...partition }],
    }));
    const response = answered(await this.#handler({ ...request, topics, ...fields }, context({ apiVersion })));
    apis.fetch.response.encode(response, apiVersion); // What is answered can be written.
    return response;
  }
}

/** Base offsets of the batches of each partition answered, in order of the answer; or the error. */
function summary(response: Response): readonly unknown[] {
  return response.responses.flatMap((topic) =>
    topic.partitions.map((each) =>
      each.errorCode === 0
        ? (each.records ?? []).map((batch) => new BatchView(batch).baseOffset as number)
        : named(each.errorCode),
    ),
  );
}

function indexes(response: Response): readonly number[] {
  return response.responses.flatMap((topic) => topic.partitions.map((each) => each.partitionIndex));
}

function first(response: Response): Response["responses"][number]["partitions"][number] | undefined {
  return response.responses[0]?.partitions[0];
}

describe("reading", () => {
  test("an offset inside a batch gives the batch, with the ends of the log", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a");
    await world.partition(id).append(world.batch(10), { origin: "client", apiVersion: 13 });
    const response = await world.fetch([{ fetchOffset: 7 }]);
    expect(summary(response)).toEqual([[0]]);
    expect(first(response)).toMatchObject({ highWatermark: 10, lastStableOffset: 10, logStartOffset: 0 });
  });

  test("partitions are served in request order until the response is full; the rest is told its offsets", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a", 3);
    for (const index of [0, 1, 2]) await world.fill(id, index, 5);
    const maxBytes = 7 * world.batch().length;
    const response = await world.fetch(
      [2, 0, 1].map((partition) => ({ partition })),
      { maxBytes },
    );
    expect(summary(response)).toEqual([[0, 1, 2, 3, 4], [0, 1], []]);
    expect(indexes(response)).toEqual([2, 0, 1]);
    expect(response.responses.at(-1)?.partitions.at(-1)).toMatchObject({ highWatermark: 5, errorCode: 0 });
  });

  test("a partition that cannot be read is a retriable error, and its neighbours are served", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a", 2);
    for (const index of [0, 1]) await world.fill(id, index, 1);
    const broken = world.streams.stream(1 as StreamId);
    broken.isCold = true;
    broken.read = () => Promise.reject(new OperationFailed("the object is gone", { happened: "no" }));
    const response = await world.fetch([0, 1].map((partition) => ({ partition })));
    expect(summary(response)).toEqual(["KAFKA_STORAGE_ERROR", [0]]);
  });

  test("the first batch found is given even when it exceeds every limit, no second one", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a", 3);
    await world.fill(id, 1, 2);
    await world.fill(id, 2, 2);
    const wanted = [0, 1, 2].map((partition) => ({ partition, partitionMaxBytes: 1 }));
    expect(summary(await world.fetch(wanted, { maxBytes: 1 }))).toEqual([[], [0], []]);
    expect(summary(await world.fetch(wanted))).toEqual([[], [0], []]);
    expect(summary(await world.fetch(wanted, { maxBytes: 0 }))).toEqual([[], [0], []]);
  });

  test("a read-committed fetch stops at the last stable offset and names what was aborted", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a");
    const transactional = { isTransactional: true, producerId: 7, producerEpoch: 0, baseSequence: 0 };
    await world.fill(id, 0, 1);
    await world.fill(id, 0, 1, transactional);
    expect(summary(await world.fetch([{}], { isolationLevel: 1 }))).toEqual([[0]]);
    const marker = buildMarker({
      outcome: "abort",
      producerId: 7,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      timestamp: 1,
    });
    await world.partition(id).append(marker, { origin: "coordinator", apiVersion: 0 });
    const committed = await world.fetch([{}], { isolationLevel: 1 });
    expect(summary(committed)).toEqual([[0, 1, 2]]);
    expect(first(committed)?.abortedTransactions).toMatchObject([{ producerId: 7, firstOffset: 1 }]);
    expect(first(await world.fetch([{}]))?.abortedTransactions).toBeNull();
  });

  // Kafka 4 gives it to all: rskafka reads zstd and speaks version 4.
  test("zstd is given to clients of every version", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a");
    await world.fill(id, 0, 1);
    await world.fill(id, 0, 1, { compression: "zstd" });
    for (const version of [4, 9, 10]) expect(summary(await world.fetch([{}], {}, version))).toEqual([[0, 1]]);
  });
});

describe("a position", () => {
  test.each<[string, Wanted, unknown, Partial<Request>?]>([
    ["below the start", { fetchOffset: 1 }, "OFFSET_OUT_OF_RANGE"],
    ["at the end", { fetchOffset: 4 }, []],
    ["beyond the end", { fetchOffset: 5 }, "OFFSET_OUT_OF_RANGE"],
    ["of no topic", { topic: "b" }, "UNKNOWN_TOPIC_OR_PARTITION"],
    ["of no partition", { partition: 7 }, "UNKNOWN_TOPIC_OR_PARTITION"],
    ["of an older leader epoch", { fetchOffset: 2, currentLeaderEpoch: 0 }, "FENCED_LEADER_EPOCH"],
    ["of a newer leader epoch", { fetchOffset: 2, currentLeaderEpoch: 2 }, "UNKNOWN_LEADER_EPOCH"],
    ["of the right leader epoch", { fetchOffset: 2, currentLeaderEpoch: 1 }, [2, 3]],
    ["read under the right last epoch", { fetchOffset: 2, lastFetchedEpoch: 1 }, [2, 3]],
    ["read under an unknown last epoch", { fetchOffset: 2, lastFetchedEpoch: 5 }, "OFFSET_OUT_OF_RANGE"],
    ["asked for by a replica", { fetchOffset: 2 }, "TOPIC_AUTHORIZATION_FAILED", { replicaId: 3 }],
  ])("%s", async (_name, wanted, answer, fields = {}) => {
    const world = new FetchWorld();
    const id = await world.reopenedTopic("a");
    await world.fill(id, 0, 4);
    await world.partition(id).deleteRecords(2 as Offset);
    const response = await world.fetch([wanted], fields);
    expect(summary(response)).toEqual([answer]);
    if (typeof answer === "string") {
      expect(first(response)).toMatchObject({ highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 });
    }
  });

  test("that diverges from the log is told where (KIP-595), and gets no records", async () => {
    const world = new FetchWorld();
    const id = await world.reopenedTopic("a");
    await world.fill(id, 0, 4);
    const response = await world.fetch([{ fetchOffset: 2, lastFetchedEpoch: 0 }]);
    expect(first(response)).toMatchObject({ errorCode: 0, records: [], divergingEpoch: { epoch: 0, endOffset: 0 } });
  });

  test("from version 13 on goes by topic id; a recreated topic has another", async () => {
    const world = new FetchWorld();
    const old = await world.topic("a");
    world.metadata.apply([{ kind: "delete-topic", topicId: old }]);
    const id = await world.topic("a");
    await world.fill(id, 0, 1);
    expect(summary(await world.fetch([{ topicId: old }, { topicId: id }], {}, 13))).toEqual(["UNKNOWN_TOPIC_ID", [0]]);
    expect(summary(await world.fetch([{ topic: "" }], {}, 13))).toEqual(["UNKNOWN_TOPIC_ID"]);
  });

  test("whose leader is elsewhere names it from version 16 on (KIP-951)", async () => {
    const world = new FetchWorld();
    const topicId = await world.topic("a");
    world.metadata.log.register(9 as NodeId, { host: "far", port: 9092, rack: null });
    const fence = { kind: "fence-node", nodeId: world.metadata.nodeId, epoch: world.metadata.nodeEpoch } as const;
    world.metadata.apply([fence, { kind: "open-streams", streams: [1 as StreamId] }], 9 as NodeId);
    const response = await world.fetch([{ topicId }], {}, 16);
    expect(summary(response)).toEqual(["NOT_LEADER_OR_FOLLOWER"]);
    expect(first(response)?.currentLeader).toEqual({ leaderId: 9, leaderEpoch: 1 });
    expect(response.nodeEndpoints).toHaveLength(1);
    expect((await world.fetch([{ topicId }], {}, 15)).nodeEndpoints).toEqual([]);
  });
});

describe("waiting", () => {
  test("ends with the bytes that were waited for", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a");
    const fetched = world.fetch([{}], { maxWaitMs: 500 });
    await world.fill(id, 0, 1);
    expect(summary(await fetched)).toEqual([[0]]);
  });

  test("ends with time, empty", async () => {
    const world = new FetchWorld();
    await world.topic("a");
    const fetched = world.fetch([{}], { maxWaitMs: 500 });
    world.clock.advance(500);
    expect(summary(await fetched)).toEqual([[]]);
  });

  test("is for the others when a topic or a partition is unknown or hidden: who asks for it again would not pause", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a");
    await world.topic("hidden");
    world.unreadable.add("hidden");
    const asked = [{}, { topic: "b" }, { partition: 7 }, { topic: "hidden" }];
    const fetched = world.fetch(asked, { maxWaitMs: 500 });
    await world.fill(id, 0, 1);
    const errors = ["UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PARTITION", "TOPIC_AUTHORIZATION_FAILED"];
    expect(summary(await fetched)).toEqual([[0], ...errors]);
    expect(summary(await world.fetch(asked.slice(1), { maxWaitMs: 500 }))).toEqual(errors);
  });

  test("does not begin with an old epoch among the positions, or an offset beyond the end", async () => {
    const world = new FetchWorld();
    await world.topic("a", 2);
    const ahead = await world.fetch([{}, { partition: 1, currentLeaderEpoch: 99 }], { maxWaitMs: 500 });
    expect(summary(ahead)).toEqual([[], "UNKNOWN_LEADER_EPOCH"]);
    const beyond = await world.fetch([{ fetchOffset: 9 }], { maxWaitMs: 500 });
    expect(summary(beyond)).toEqual(["OFFSET_OUT_OF_RANGE"]);
  });

  test("ends with the topic, which then is unknown", async () => {
    const world = new FetchWorld();
    const topicId = await world.topic("a");
    const fetched = world.fetch([{}], { maxWaitMs: 500 });
    world.metadata.apply([{ kind: "delete-topic", topicId }]);
    expect(summary(await fetched)).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
  });
});

describe("sessions", () => {
  test("an incremental answer holds what moved and nothing else", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a", 3);
    await world.fill(id, 0, 1);
    const full = await world.fetch([{ partition: 0 }, { partition: 1 }, { partition: 2 }], { sessionEpoch: 0 });
    expect(summary(full)).toEqual([[0], [], []]);
    const sessionId = full.sessionId ?? 0;
    expect(sessionId).toBeGreaterThan(0);
    const next = await world.fetch([{ partition: 0, fetchOffset: 1 }], { sessionId, sessionEpoch: 1 });
    expect([next.sessionId, next.responses]).toEqual([sessionId, []]);
    await world.fill(id, 2, 1);
    expect(indexes(await world.fetch([], { sessionId, sessionEpoch: 2 }))).toEqual([2]);
    const forgottenTopicsData = [{ topic: "a", topicId: uuidZero, partitions: [2] }];
    await world.fill(id, 0, 1);
    expect(indexes(await world.fetch([], { sessionId, sessionEpoch: 3, forgottenTopicsData }))).toEqual([0]);
  });

  test("a session goes on without what its user may not read any more", async () => {
    const world = new FetchWorld();
    const [a, b] = [await world.topic("a"), await world.topic("b")];
    for (const id of [a, b]) await world.fill(id, 0, 1);
    const { sessionId = 0 } = await world.fetch([{ topic: "a" }, { topic: "b" }], { sessionEpoch: 0 });
    for (const id of [a, b]) await world.fill(id, 0, 1);
    world.unreadable.add("a");
    const next = await world.fetch([], { sessionId, sessionEpoch: 1 });
    expect(summary(next)).toEqual(["TOPIC_AUTHORIZATION_FAILED", [0, 1]]);
  });

  test("a full partition does not starve those behind it", async () => {
    const world = new FetchWorld();
    const id = await world.topic("a", 2);
    await world.fill(id, 0, 9);
    await world.fill(id, 1, 9);
    const { sessionId = 0 } = await world.fetch([{ partition: 0 }, { partition: 1 }], { sessionEpoch: 0, maxBytes: 1 });
    const order: number[] = [];
    for (let sessionEpoch = 1; sessionEpoch <= 4; sessionEpoch += 1) {
      order.push(...indexes(await world.fetch([], { sessionId, sessionEpoch, maxBytes: 1 })));
    }
    expect(order).toEqual([0, 1, 0, 1]);
  });

  test("an error is told again until it is gone", async () => {
    const world = new FetchWorld();
    await world.topic("a");
    const { sessionId = 0 } = await world.fetch([{ topic: "late" }], { sessionEpoch: 0 });
    const again = await world.fetch([], { sessionId, sessionEpoch: 1 });
    expect(summary(again)).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
    await world.topic("late");
    expect(summary(await world.fetch([], { sessionId, sessionEpoch: 2 }))).toEqual([[]]);
    expect(summary(await world.fetch([], { sessionId, sessionEpoch: 3 }))).toEqual([]);
  });

  test("a lost session, a wrong epoch and a mix of names and ids have their errors", async () => {
    const world = new FetchWorld();
    await world.topic("a");
    const { sessionId = 0 } = await world.fetch([{}], { sessionEpoch: 0 });
    const error = async (fields: Partial<Request>, apiVersion = 12): Promise<unknown> =>
      named((await world.fetch([], fields, apiVersion)).errorCode);
    expect(await error({ sessionId: sessionId + 1, sessionEpoch: 1 })).toBe("FETCH_SESSION_ID_NOT_FOUND");
    expect(await error({ sessionId, sessionEpoch: 5 })).toBe("INVALID_FETCH_SESSION_EPOCH");
    expect(await error({ sessionId, sessionEpoch: 1 }, 13)).toBe("FETCH_SESSION_TOPIC_ID_ERROR");
    expect(await error({ sessionId, sessionEpoch: -1 })).toBe("NONE"); // Closed.
    expect(await error({ sessionId, sessionEpoch: 1 })).toBe("FETCH_SESSION_ID_NOT_FOUND");
  });
});
