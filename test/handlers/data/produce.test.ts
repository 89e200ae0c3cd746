/** Proves: Produce answers each partition as Kafka does (kafka.md 5.1), and nothing at all for acks=0. */
import { describe, expect, test } from "vitest";
import type { NodeId, StreamId, Uuid } from "../../../src/base/ids.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { produceHandler, throttleMs } from "../../../src/handlers/data/produce.ts";
import { appendErrors } from "../../../src/handlers/handler.ts";
import type { TransactionGate } from "../../../src/handlers/transactions/transaction-gate.ts";
import { apis, type RequestOf } from "../../../src/protocol/api-table.ts";
import type { RequestContext } from "../../../src/protocol/dispatch.ts";
import { answered, context, LogWorld, named } from "../../support/log-world.ts";

type Data = Readonly<Record<string, Readonly<Record<number, Uint8Array | null>>>>;

function request(data: Data, fields: Partial<RequestOf<"produce">> = {}): RequestOf<"produce"> {
  const topicData = Object.entries(data).map(([name, partitions]) => ({
    name,
    topicId: uuidZero,
    partitionData: Object.entries(partitions).map(([index, records]) => ({ index: Number(index), records })),
  }));
  return { transactionalId: null, acks: -1, timeoutMs: 1000, topicData, ...fields };
}

const openToAll: TransactionGate = { admit: () => Promise.resolve({ kind: "open", isOpen: () => true }) };

function handlerOf(world: LogWorld, throttle = 0, transactions = openToAll): ReturnType<typeof produceHandler> {
  const { log, metadata, clock } = world;
  return produceHandler({ log, metadata, clock, throttleMs: () => throttle, transactions });
}

/** Error names by "topic-partition", and base offsets where there is none. */
async function produce(
  world: LogWorld,
  body: RequestOf<"produce">,
  fields: Partial<RequestContext> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const handler = handlerOf(world);
  const response = answered(await handler(body, context({ apiVersion: 12, ...fields })));
  return Object.fromEntries(
    response.responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map((each) => [
        `${name}-${each.index}`,
        each.errorCode === 0 ? each.baseOffset : named(each.errorCode),
      ]),
    ),
  );
}

describe("produce", () => {
  test("answers every partition on its own", async () => {
    const world = new LogWorld();
    await world.topic("a", 2);
    await world.topic("__consumer_offsets");
    const batch = world.batch(3);
    const body = request({
      a: { 0: batch, 1: batch.subarray(0, 70), 2: batch },
      b: { 0: batch },
      __consumer_offsets: { 0: batch },
    });
    const expected = {
      "a-0": 0,
      "a-1": "INVALID_RECORD",
      "a-2": "UNKNOWN_TOPIC_OR_PARTITION",
      "b-0": "UNKNOWN_TOPIC_OR_PARTITION",
      "__consumer_offsets-0": "INVALID_TOPIC_EXCEPTION",
    };
    expect(await produce(world, body)).toEqual(expected);
    expect(await produce(world, request({ a: { 0: batch, 1: null } }))).toEqual({ "a-0": 3, "a-1": "INVALID_RECORD" });
    const admin = await produce(world, request({ __consumer_offsets: { 0: batch } }), { clientId: "__admin_client" });
    expect(admin).toEqual({ "__consumer_offsets-0": 0 });
  });

  test("acks other than -1, 0 and 1 are refused, unknown topics first", async () => {
    const world = new LogWorld();
    await world.topic("a");
    const body = request({ a: { 0: world.batch(), 7: world.batch() }, b: { 0: world.batch() } }, { acks: 2 });
    const expected = {
      "a-0": "INVALID_REQUIRED_ACKS",
      "a-7": "UNKNOWN_TOPIC_OR_PARTITION",
      "b-0": "UNKNOWN_TOPIC_OR_PARTITION",
    };
    expect(await produce(world, body)).toEqual(expected);
  });

  test("transactional records without a transactional id refuse the whole request", async () => {
    const world = new LogWorld();
    await world.topic("a", 2);
    const transactional = world.batch(1, { isTransactional: true, producerId: 1, producerEpoch: 0, baseSequence: 0 });
    const body = request({ a: { 0: world.batch(), 1: transactional } });
    const error = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    expect(await produce(world, body)).toEqual({ "a-0": error, "a-1": error });
  });

  test("a partition that the transaction does not have is refused, and told why", async () => {
    const world = new LogWorld();
    await world.topic("a");
    const batch = world.batch(1, { isTransactional: true, producerId: 1, producerEpoch: 0, baseSequence: 0 });
    const admit = () => Promise.resolve({ kind: "refused", error: "INVALID_TXN_STATE" } as const);
    const handler = handlerOf(world, 0, { admit });
    const body = request({ a: { 0: batch } }, { transactionalId: "x" });
    const response = answered(await handler(body, context({ apiVersion: 12 })));
    const { errorCode, errorMessage } = response.responses[0]?.partitionResponses[0] ?? {};
    expect(named(errorCode)).toBe("INVALID_TXN_STATE");
    expect(errorMessage).toMatch(/transaction/);
  });

  test("from version 13 on topics go by id", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("a");
    const handler = handlerOf(world);
    const strange = "99999999-0000-4000-8000-000000000000" as Uuid;
    const topicData = [topicId, strange, uuidZero].map((id) => ({
      name: "",
      topicId: id,
      partitionData: [{ index: 0, records: world.batch() }],
    }));
    const response = answered(await handler(request({}, { topicData }), context({ apiVersion: 13 })));
    const codes = response.responses.map((each) => named(each.partitionResponses[0]?.errorCode));
    expect(codes).toEqual(["NONE", "UNKNOWN_TOPIC_ID", "UNKNOWN_TOPIC_ID"]);
    expect(response.responses[0]?.topicId).toBe(topicId);
  });

  test("acks=0 is answered with nothing, and with a closed connection after an error", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("a");
    const handler = handlerOf(world);
    expect(await handler(request({ a: { 0: world.batch() } }, { acks: 0 }), context({ apiVersion: 12 }))).toBe(
      "no-response",
    );
    expect(world.partition(topicId).highWatermark).toBe(1);
    expect(await handler(request({ b: { 0: world.batch() } }, { acks: 0 }), context({ apiVersion: 12 }))).toBe("close");
  });

  test("acks=1 waits for durability too", async () => {
    const world = new LogWorld();
    await world.topic("a");
    world.streams.isDurableAtOnce = false;
    let isAnswered = false;
    const done = produce(world, request({ a: { 0: world.batch() } }, { acks: 1 })).then(() => {
      isAnswered = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    world.streams.stream(1 as StreamId).persist();
    await done;
  });

  test("a leader elsewhere is named from version 10 on (KIP-951)", async () => {
    const world = new LogWorld();
    await world.topic("a");
    world.metadata.log.register(9 as NodeId, { host: "far", port: 9092, rack: null });
    const fence = { kind: "fence-node", nodeId: world.metadata.nodeId, epoch: world.metadata.nodeEpoch } as const;
    world.metadata.apply([fence, { kind: "open-streams", streams: [1 as StreamId] }], 9 as NodeId);
    const handler = handlerOf(world);
    const body = request({ a: { 0: world.batch() } });
    const response = answered(await handler(body, context({ apiVersion: 10 })));
    expect(named(response.responses[0]?.partitionResponses[0]?.errorCode)).toBe("NOT_LEADER_OR_FOLLOWER");
    expect(response.responses[0]?.partitionResponses[0]?.currentLeader).toEqual({ leaderId: 9, leaderEpoch: 1 });
    expect(response.nodeEndpoints).toEqual([{ nodeId: 9, host: "far", port: 9092, rack: null }]);
    const old = answered(await handler(body, context({ apiVersion: 9 })));
    expect(old.nodeEndpoints).toEqual([]);
  });

  test("the storage's failure is a retriable error", async () => {
    const world = new LogWorld();
    await world.topic("a");
    world.streams.isDurableAtOnce = false;
    const done = produce(world, request({ a: { 0: world.batch() } }));
    world.streams.stream(1 as StreamId).fail();
    expect(await done).toEqual({ "a-0": "KAFKA_STORAGE_ERROR" });
  });

  test("an ack that does not come in time is a retriable error, and the record may be there after all", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("a", 2);
    world.streams.isDurableAtOnce = false;
    const done = produce(world, request({ a: { 0: world.batch(), 1: world.batch() } }, { timeoutMs: 200 }));
    world.streams.stream(2 as StreamId).persist();
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(200);
    expect(await done).toEqual({ "a-0": "REQUEST_TIMED_OUT", "a-1": 0 });
    world.streams.stream(1 as StreamId).persist();
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.partition(topicId).highWatermark).toBe(1);
  });

  test("while the storage backs off a batch waits, then is refused and was appended nowhere", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("a");
    world.streams.stream(1 as StreamId).backOff();
    const done = produce(world, request({ a: { 0: world.batch() } }, { timeoutMs: 30_000 }));
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(5000);
    expect(await done).toEqual({ "a-0": "NOT_ENOUGH_REPLICAS" });
    world.streams.stream(1 as StreamId).admit();
    expect(await produce(world, request({ a: { 0: world.batch() } }))).toEqual({ "a-0": 0 });
    expect(world.partition(topicId).highWatermark).toBe(1);
  });

  test("producers are asked to pause from eight tenths of what is admitted on", async () => {
    expect([0, 0.8, 0.9, 1, 1.2].map((fullness) => throttleMs(fullness, 1000))).toEqual([0, 0, 500, 1000, 1000]);
    const world = new LogWorld();
    await world.topic("a");
    const handler = handlerOf(world, 70);
    const response = answered(await handler(request({ a: { 0: world.batch() } }), context({ apiVersion: 12 })));
    expect(response.throttleTimeMs).toBe(70);
  });

  test("records without a key name themselves in a compacted topic", async () => {
    const world = new LogWorld();
    await world.topic("a", 1, { "cleanup.policy": "compact" });
    const handler = handlerOf(world);
    const keyless = world.batch(1, { records: [{ timestamp: world.clock.now(), key: null, value: null }] });
    const response = answered(await handler(request({ a: { 0: keyless } }), context({ apiVersion: 8 })));
    const answer = response.responses[0]?.partitionResponses[0];
    expect([named(answer?.errorCode), answer?.baseOffset]).toEqual(["INVALID_RECORD", -1]);
    expect(answer?.recordErrors?.map((each) => each.batchIndex)).toEqual([0]);
    // What the handler answers can be written in every version.
    const [min, max] = apis.produce.response.versions;
    for (let version = min; version <= max; version += 1) apis.produce.response.encode(response, version);
  });
});

test("a repeat gets the first answer (5.2), a gap and an old epoch their errors", async () => {
  const world = new LogWorld();
  await world.topic("a");
  const send = (baseSequence: number, producerEpoch = 1): Promise<Readonly<Record<string, unknown>>> =>
    produce(world, request({ a: { 0: world.batch(2, { producerId: 4, producerEpoch, baseSequence }) } }));
  expect(await send(0)).toEqual({ "a-0": 0 });
  expect(await send(2)).toEqual({ "a-0": 2 });
  expect(await send(0)).toEqual({ "a-0": 0 });
  expect(await send(8)).toEqual({ "a-0": "OUT_OF_ORDER_SEQUENCE_NUMBER" });
  expect(await send(4, 0)).toEqual({ "a-0": "INVALID_PRODUCER_EPOCH" });
  expect(await send(3, 2)).toEqual({ "a-0": "OUT_OF_ORDER_SEQUENCE_NUMBER" });
  expect(await send(0, 2)).toEqual({ "a-0": 4 });
});

test("every refusal of the log has a Kafka error of its own meaning", () => {
  expect(new Set(Object.values(appendErrors)).size).toBe(Object.keys(appendErrors).length);
});
