/** Proves: transactional producers of every generation are answered as Kafka answers them (kafka.md 5.3), and readers see whole
 *  transactions or none, also when the coordinators start anew in the middle. */
import { describe, expect, test } from "vitest";
import { errorCode, errorName } from "../../../schemas/kafka/errors.ts";
import { coordinatorPartition } from "../../../src/coordinator/seats.ts";
import type { TransactionCoordinator } from "../../../src/coordinator/transaction-coordinator.ts";
import { listTransactionsHandler } from "../../../src/handlers/transactions/transaction-admin.ts";
import { endOf } from "../../support/end-of.ts";
import { answered, context } from "../../support/log-world.ts";
import { TransactionWorld } from "./transaction-world.ts";

describe("transactions of version 2", () => {
  test("a batch brings its partition in, and every end gives the next epoch", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    expect(first.producerEpoch).toBe(0);
    expect(await world.produce(first)).toBe("NONE");
    expect(await world.state()).toBe("Ongoing");
    expect(await world.committed()).toBe(0);
    const ended = await world.end(first, true);
    expect(ended).toEqual({ error: "NONE", producer: { ...first, producerEpoch: 1 } });
    expect(await world.settled()).toBe("CompleteCommit");
    expect(await world.committed()).toBe(1);
    expect(await world.produce(ended.producer)).toBe("NONE");
    expect((await world.end(ended.producer, false)).producer.producerEpoch).toBe(2);
    expect(await world.settled()).toBe("CompleteAbort");
    expect(await world.committed()).toBe(1);
  });

  test("the retry table of an end", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    expect((await world.end(first, true)).error).toBe("INVALID_TXN_STATE"); // Empty, commit.
    await world.produce(first);
    const { producer: second } = await world.end(first, true);
    await world.settled();
    expect(await world.end(first, true)).toEqual({ error: "NONE", producer: second }); // CompleteCommit, retry.
    expect((await world.end(first, false)).error).toBe("INVALID_TXN_STATE");
    expect((await world.end(second, true)).error).toBe("INVALID_TXN_STATE");
    const { producer: third } = await world.end(second, false); // An abort of nothing bumps all the same.
    expect(third).toEqual({ ...second, producerEpoch: 2 });
    await world.settled();
    expect(await world.end(second, false)).toEqual({ error: "NONE", producer: third }); // CompleteAbort, retry.
    expect((await world.end(second, true)).error).toBe("INVALID_TXN_STATE");
    expect((await world.end(first, true)).error).toBe("PRODUCER_FENCED");
  });

  test("a delayed end never decides the next transaction (KAFKA-17754)", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    await world.produce(first);
    const { producer: second } = await world.end(first, true);
    await world.settled();
    expect(await world.produce(second)).toBe("NONE");
    // Copies of the first end that come late: the transaction of the second epoch goes on.
    expect((await world.end(first, true)).error).toBe("PRODUCER_FENCED");
    expect((await world.end(first, false)).error).toBe("PRODUCER_FENCED");
    expect(await world.state()).toBe("Ongoing");
    expect(await world.committed()).toBe(1);
  });

  test("a late batch of an ended transaction is refused, so that no transaction hangs", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    await world.produce(first);
    await world.end(first, false);
    expect(await world.produce(first, { baseSequence: 1 })).toBe("INVALID_PRODUCER_EPOCH");
    await world.settled();
    const partition = world.world.partition(world.topicId("orders"));
    expect(partition.lastStable).toBe(partition.highWatermark);
  });

  test("a producer that the partition does not know begins with sequence 0: an earlier batch was refused, and comes again", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    expect(await world.produce(first, { baseSequence: 1 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(await world.produce(first)).toBe("NONE");
    expect(await world.produce(first, { baseSequence: 1 })).toBe("NONE");
  });
});

describe("transactions of version 1", () => {
  const add = async (world: TransactionWorld, by: object, partition = 0, version = 3) => {
    const topics = [{ name: "orders", partitions: [partition] }];
    const asked = { transactionalId: "tx", producerId: -1, producerEpoch: -1, ...by, topics };
    const answer = await world.call("addPartitionsToTxn", asked, version);
    return errorName(answer.resultsByTopic[0]?.resultsByPartition[0]?.partitionErrorCode ?? 0);
  };

  test("a batch needs its partition in the transaction, and the epoch stays", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    expect(await world.produce(by, { version: 11 })).toBe("TRANSACTION_ABORTABLE");
    expect(await world.produce(by, { version: 7 })).toBe("INVALID_TXN_STATE");
    expect(await add(world, by)).toBe("NONE");
    expect(await world.produce(by, { version: 11 })).toBe("NONE");
    expect((await world.end(by, true, 4)).error).toBe("NONE");
    expect(await world.settled()).toBe("CompleteCommit");
    expect((await world.end(by, true, 4)).error).toBe("NONE"); // The same again is a repetition.
    expect((await world.end(by, false, 4)).error).toBe("INVALID_TXN_STATE");
    expect(await add(world, by)).toBe("NONE");
    expect(await world.produce(by, { version: 11, baseSequence: 1 })).toBe("NONE");
    expect((await world.end(by, true, 4)).error).toBe("NONE");
    await world.settled();
    expect(await world.committed()).toBe(2);
  });

  test("a producer that the partition does not know any more goes on where it was: its epoch may be years old", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    expect(await add(world, by)).toBe("NONE");
    expect(await world.produce(by, { version: 11, baseSequence: 7 })).toBe("NONE");
  });

  test("strangers, older epochs and unknown partitions", async () => {
    await using world = await TransactionWorld.open();
    const older = await world.init();
    const by = await world.init();
    expect(by).toEqual({ ...older, producerEpoch: 1 });
    expect(await add(world, older)).toBe("PRODUCER_FENCED");
    expect(await add(world, older, 0, 1)).toBe("INVALID_PRODUCER_EPOCH");
    expect(await add(world, { ...by, producerId: 999_999 })).toBe("INVALID_PRODUCER_ID_MAPPING");
    const topics = [{ name: "orders", partitions: [0, 7] }];
    const answer = await world.call("addPartitionsToTxn", { transactionalId: "tx", ...by, topics }, 3);
    const errors = answer.resultsByTopic[0]?.resultsByPartition.map((each) => errorName(each.partitionErrorCode));
    expect(errors).toEqual(["OPERATION_NOT_ATTEMPTED", "UNKNOWN_TOPIC_OR_PARTITION"]);
    expect((await world.end(older, true, 1)).error).toBe("INVALID_PRODUCER_EPOCH");
    expect((await world.end(older, true, 3)).error).toBe("PRODUCER_FENCED");
  });

  test("brokers verify several transactions at a time", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await add(world, by, 1);
    const topics = [{ name: "orders", partitions: [0, 1] }];
    const transactions = [{ transactionalId: "tx", ...by, verifyOnly: true, topics }];
    const answer = await world.call("addPartitionsToTxn", { transactions }, 5);
    const [result] = answer.resultsByTransaction;
    const errors = result?.topicResults[0]?.resultsByPartition.map((each) => errorName(each.partitionErrorCode));
    expect(errors).toEqual(["TRANSACTION_ABORTABLE", "NONE"]);
  });
});

describe("instances of a producer", () => {
  test("a new one aborts what the old one left open, and fences it", async () => {
    await using world = await TransactionWorld.open();
    const old = await world.init();
    await world.produce(old);
    await expect(world.init()).rejects.toThrow("CONCURRENT_TRANSACTIONS");
    await world.settled();
    expect(await world.init()).toEqual({ ...old, producerEpoch: 2 });
    expect(await world.produce(old, { baseSequence: 1 })).toBe("INVALID_PRODUCER_EPOCH");
    expect(await world.committed()).toBe(0);
  });

  test("one that names its epoch goes on, and repeats itself without harm (KIP-360)", async () => {
    await using world = await TransactionWorld.open();
    const first = await world.init();
    const second = await world.init("tx", first);
    expect(second).toEqual({ ...first, producerEpoch: 1 });
    expect(await world.init("tx", first)).toEqual(second);
    await world.init();
    await expect(world.init("tx", second)).rejects.toThrow("PRODUCER_FENCED");
    const asked = { transactionalId: "tx", transactionTimeoutMs: 60_000, ...second };
    expect(errorName((await world.call("initProducerId", asked, 3)).errorCode)).toBe("INVALID_PRODUCER_EPOCH");
  });

  test("a transaction that takes too long is aborted, and its producer fenced until it asks for the abort", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await world.produce(by);
    for (let step = 0; step < 80; step += 1) {
      world.world.clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await world.settled()).toBe("CompleteAbort");
    expect(await world.produce(by, { baseSequence: 1 })).toBe("INVALID_PRODUCER_EPOCH");
    expect((await world.end(by, true, 4)).error).toBe("PRODUCER_FENCED");
    expect((await world.end(by, true)).error).toBe("INVALID_TXN_STATE");
    expect((await world.end(by, false)).error).toBe("NONE");
    expect(await world.committed()).toBe(0);
  });

  test("an id that nobody uses is forgotten", async () => {
    await using world = await TransactionWorld.open();
    await world.init();
    world.world.clock.advance(8 * 86_400_000);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(await world.state()).toBe("TRANSACTIONAL_ID_NOT_FOUND");
    await world.restart();
    expect(await world.state()).toBe("TRANSACTIONAL_ID_NOT_FOUND");
  });
});

describe("offsets in a transaction", () => {
  test("count when it commits, and are unstable until then", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    expect(await world.commitOffset(by, 5)).toBe("NONE");
    expect(await world.fetchOffset()).toBe(-1);
    expect(await world.fetchOffset(true)).toBe("UNSTABLE_OFFSET_COMMIT");
    const { producer } = await world.end(by, true);
    await world.settled();
    expect(await world.fetchOffset(true)).toBe(5);
    expect(await world.commitOffset(producer, 9)).toBe("NONE");
    await world.end(producer, false);
    await world.settled();
    expect(await world.fetchOffset(true)).toBe(5);
  });

  test("older producers bring the group in first", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    expect(await world.commitOffset(by, 5, {}, 4)).toBe("TRANSACTION_ABORTABLE");
    expect(await world.commitOffset(by, 5, {}, 3)).toBe("INVALID_TXN_STATE");
    const answer = await world.call("addOffsetsToTxn", { transactionalId: "tx", ...by, groupId: "g" }, 3);
    expect(answer.errorCode).toBe(0);
    expect(await world.commitOffset(by, 5, {}, 3)).toBe("NONE");
    expect(await world.commitOffset(by, 5, { generationId: 3, memberId: "m" }, 3)).toBe("UNKNOWN_MEMBER_ID");
    expect((await world.end(by, true, 3)).error).toBe("NONE");
    await world.settled();
    expect(await world.fetchOffset()).toBe(5);
  });

  test("a note that is too long is told of last, after what is wrong with the producer", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: "x".repeat(4097) }];
    const topics = [{ name: "orders", partitions }];
    expect(await world.commitOffset({ ...by, producerId: 12_345 }, 5, { topics })).toBe("INVALID_PRODUCER_ID_MAPPING");
    expect(await world.commitOffset(by, 5, { topics })).toBe("OFFSET_METADATA_TOO_LARGE");
  });

  test("a commit outside of it wins over what was pending before", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await world.commitOffset(by, 5);
    const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: null }];
    const topics = [{ name: "orders", partitions }];
    await world.call("offsetCommit", { groupId: "g", generationIdOrMemberEpoch: -1, memberId: "", topics }, 8);
    await world.end(by, true);
    await world.settled();
    expect(await world.fetchOffset(true)).toBe(7);
    await world.restart();
    expect(await world.fetchOffset(true)).toBe(7);
  });
});

describe("coordinators that start anew", () => {
  test("go on with an open transaction, its pending offsets, and a decision whose markers are missing", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await world.produce(by);
    await world.commitOffset(by, 5);
    await world.restart();
    expect(await world.state()).toBe("Ongoing");
    expect(await world.fetchOffset(true)).toBe("UNSTABLE_OFFSET_COMMIT");
    expect(await world.produce(by, { partition: 1 })).toBe("NONE");
    const ended = await world.end(by, true);
    await world.restart(); // Perhaps before the markers, perhaps after.
    expect(await world.settled()).toBe("CompleteCommit");
    expect(await world.end(by, true)).toEqual(ended);
    expect(await world.fetchOffset(true)).toBe(5);
    expect([await world.committed(0), await world.committed(1)]).toEqual([1, 1]);
  });
});

describe("coordinators that stop while nothing becomes durable", () => {
  test("do not wait for an abort that is due", async () => {
    const world = await TransactionWorld.open();
    expect(await world.produce(await world.init())).toBe("NONE");
    world.world.streams.isDurableAtOnce = false;
    world.world.clock.advance(120_000);
    await new Promise((resolve) => setImmediate(resolve));
    const stopping = world[Symbol.asyncDispose]();
    await new Promise((resolve) => setImmediate(resolve));
    world.world.clock.advance(10_000);
    expect(await endOf(stopping)).toBe("ended");
  });

  test("wait for markers that are on their way, but not for long", async () => {
    const world = await TransactionWorld.open();
    const producer = await world.init();
    expect(await world.produce(producer)).toBe("NONE");
    world.world.streams.isDurableAtOnce = false;
    void world.end(producer, true);
    await new Promise((resolve) => setImmediate(resolve));
    const stopping = world[Symbol.asyncDispose]();
    expect(await endOf(stopping)).toBe("waits");
    world.world.clock.advance(10_000);
    expect(await endOf(stopping)).toBe("ended");
  });
});

describe("administrators", () => {
  test("see transactions and producers, and end one that hangs", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await world.produce(by);
    const listed = await world.call("listTransactions", { stateFilters: ["Ongoing", "Odd"], producerIdFilters: [] });
    expect(listed.unknownStateFilters).toEqual(["Odd"]);
    expect(listed.transactionStates).toEqual([
      { transactionalId: "tx", producerId: by.producerId, transactionState: "Ongoing" },
    ]);
    const quick = { stateFilters: [], producerIdFilters: [by.producerId], durationFilter: 1000 };
    expect((await world.call("listTransactions", quick)).transactionStates).toEqual([]);
    const named = async (transactionalIdPattern: string) => {
      const filters = { stateFilters: [], producerIdFilters: [], transactionalIdPattern };
      const { errorCode, transactionStates } = await world.call("listTransactions", filters);
      return errorCode === 0 ? transactionStates.map((each) => each.transactionalId) : errorName(errorCode);
    };
    expect([await named("t.*"), await named("t"), await named("(")]).toEqual([
      ["tx"],
      [],
      "INVALID_REGULAR_EXPRESSION",
    ]);
    const { topics } = await world.call("describeProducers", { topics: [{ name: "orders", partitionIndexes: [0] }] });
    const [producer] = topics[0]?.partitions[0]?.activeProducers ?? [];
    expect(producer).toMatchObject({ ...by, lastSequence: 0, currentTxnStartOffset: 0 });
    const marker = { ...by, transactionResult: false, coordinatorEpoch: 0 };
    const written = await world.call("writeTxnMarkers", {
      markers: [{ ...marker, topics: [{ name: "orders", partitionIndexes: [0, 9] }] }],
    });
    const errors = written.markers[0]?.topics[0]?.partitions.map((each) => errorName(each.errorCode));
    expect(errors).toEqual(["NONE", "UNKNOWN_TOPIC_OR_PARTITION"]);
    const partition = world.world.partition(world.topicId("orders"));
    expect(partition.lastStable).toBe(partition.highWatermark);
  });

  test("a marker of version 2 has an epoch that the transaction's records do not have, else it is another's and late", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    await world.produce(by);
    await world.commitOffset(by, 7);
    const mark = async (
      fields: { readonly producerEpoch: number; readonly transactionVersion?: number },
      version = 2,
    ) => {
      const topics = [
        { name: "orders", partitionIndexes: [0] },
        { name: "__consumer_offsets", partitionIndexes: [coordinatorPartition("g", 2)] },
      ];
      const marker = { producerId: by.producerId, coordinatorEpoch: 1, transactionResult: true, ...fields, topics };
      const answer = await world.call("writeTxnMarkers", { markers: [marker] }, version);
      const partitions = answer.markers[0]?.topics.flatMap((topic) => topic.partitions);
      return partitions?.map((each) => errorName(each.errorCode));
    };
    const refused = ["INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_EPOCH"];
    expect(await mark({ producerEpoch: 0, transactionVersion: 2 })).toEqual(refused);
    expect([await world.committed(), await world.fetchOffset()]).toEqual([0, -1]);
    const done = ["NONE", "NONE"];
    expect(await mark({ producerEpoch: 1, transactionVersion: 2 })).toEqual(done);
    expect([await world.committed(), await world.fetchOffset()]).toEqual([1, 7]);
    expect(await mark({ producerEpoch: 1, transactionVersion: 2 })).toEqual(done); // Its answer may have been lost.
    expect(await mark({ producerEpoch: 0, transactionVersion: 2 })).toEqual(refused);
    expect(await mark({ producerEpoch: 1 }, 1)).toEqual(done);
  });

  test("who writes a marker of an epoch that is over is told so, and ends nobody's offsets", async () => {
    await using world = await TransactionWorld.open();
    const by = await world.init();
    const mark = async (producerEpoch: number, coordinatorEpoch: number) => {
      const topics = [{ name: "__consumer_offsets", partitionIndexes: [0, 1] }];
      const marker = { producerId: by.producerId, producerEpoch, coordinatorEpoch, transactionResult: true, topics };
      const { markers } = await world.call("writeTxnMarkers", { markers: [marker] });
      return markers[0]?.topics[0]?.partitions.map((each) => errorName(each.errorCode));
    };
    expect(await mark(5, 7)).toEqual(["NONE", "NONE"]);
    const shards = await world.groups.allShards();
    expect(await mark(4, 7)).toEqual(["INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_EPOCH"]);
    expect(await mark(5, 6)).toEqual(["TRANSACTION_COORDINATOR_FENCED", "TRANSACTION_COORDINATOR_FENCED"]);
    // The coordinator of transactions does not know of the marker, and lets the producer's offsets in.
    expect(await world.commitOffset(by, 1)).toBe("INVALID_PRODUCER_EPOCH");
    expect((await world.groups.allShards()).shards).toEqual(shards.shards); // None had to be read anew.
  });
});

test("others have their turns while many transactions are listed, and an expression that is too large is none", async () => {
  let now = 0;
  let turns = 0;
  const after = (_: number, callback: () => void): Disposable => {
    turns += 1;
    queueMicrotask(callback);
    return { [Symbol.dispose]: () => undefined };
  };
  const clock = { now: () => now, monotonic: () => (now += 1), after };
  const transaction = { state: "ongoing", producerId: 1, startedAt: 0 };
  const all = () => Array.from({ length: 1000 }, (_, index) => [`tx-${index}`, transaction] as const);
  const transactions = {
    runtime: { clock },
    allShards: () => Promise.resolve({ shards: [{ all }], isComplete: true }),
  } as unknown as TransactionCoordinator;
  const list = async (transactionalIdPattern: string) =>
    answered(
      await listTransactionsHandler(transactions)(
        { stateFilters: [], producerIdFilters: [], durationFilter: -1, transactionalIdPattern },
        context(),
      ),
    );
  expect((await list("tx-.*")).transactionStates).toHaveLength(1000);
  expect(turns).toBeGreaterThan(100);
  expect((await list("a?".repeat(5000))).errorCode).toBe(errorCode.INVALID_REGULAR_EXPRESSION);
});
