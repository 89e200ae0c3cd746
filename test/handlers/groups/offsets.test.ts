/** Proves: ListOffsets, OffsetForLeaderEpoch and DeleteRecords answer as Kafka does (kafka.md 5.5, 5.4, 5.8). */
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../../src/base/errors.ts";
import type { Offset, StreamId } from "../../../src/base/ids.ts";
import { deleteRecordsHandler } from "../../../src/handlers/data/delete-records.ts";
import { listOffsetsHandler } from "../../../src/handlers/data/list-offsets.ts";
import { offsetForLeaderEpochHandler } from "../../../src/handlers/data/offset-for-leader-epoch.ts";
import { apis } from "../../../src/protocol/api-table.ts";
import { answered, context, LogWorld, named } from "../../support/log-world.ts";

/** Topic "a" with 4 records a millisecond apart, of which the first was deleted. */
async function filled(): Promise<LogWorld> {
  const world = new LogWorld();
  const id = await world.reopenedTopic("a");
  for (let count = 0; count < 4; count += 1) {
    await world.fill(id, 0, 1);
    world.clock.advance(1);
  }
  await world.partition(id).deleteRecords(1 as Offset);
  return world;
}

interface Asked {
  readonly timestamp: number;
  readonly topic?: string;
  readonly currentLeaderEpoch?: number;
  readonly isTwice?: boolean;
}

async function list(world: LogWorld, asked: Asked, apiVersion = 11): Promise<unknown> {
  const handler = listOffsetsHandler({ log: world.log, metadata: world.metadata, clock: world.clock });
  const { timestamp, currentLeaderEpoch = -1 } = asked;
  const partition = { partitionIndex: 0, currentLeaderEpoch, timestamp };
  const partitions = asked.isTwice === true ? [partition, partition] : [partition];
  const body = { replicaId: -1, isolationLevel: 0, topics: [{ name: asked.topic ?? "a", partitions }], timeoutMs: 0 };
  const response = answered(await handler(body, context({ apiVersion })));
  apis.listOffsets.response.encode(response, apiVersion);
  const answer = response.topics[0]?.partitions[0];
  return answer?.errorCode === 0 ? [answer.offset, answer.timestamp] : named(answer?.errorCode);
}

describe("list offsets", () => {
  const start = 1_700_000_000_000;

  test.each<[string, number, number, unknown]>([
    ["latest", -1, 1, [4, -1]],
    ["earliest", -2, 1, [1, -1]],
    ["greatest timestamp", -3, 7, [3, start + 3]],
    ["greatest timestamp, too old a version", -3, 6, "UNSUPPORTED_VERSION"],
    ["earliest local", -4, 8, [1, -1]],
    ["earliest local, too old a version", -4, 7, "UNSUPPORTED_VERSION"],
    ["latest tiered", -5, 9, [-1, -1]],
    ["earliest pending upload", -6, 11, [-1, -1]],
    ["earliest pending upload, too old a version", -6, 10, "UNSUPPORTED_VERSION"],
    ["another negative", -7, 11, "UNSUPPORTED_VERSION"],
    ["a time", start + 2, 1, [2, start + 2]],
    ["a time before all", 0, 1, [1, start + 1]],
    ["a time after all", start + 9, 1, [-1, -1]],
  ])("%s", async (_name, timestamp, apiVersion, answer) => {
    expect(await list(await filled(), { timestamp }, apiVersion)).toEqual(answer);
  });

  test("a search that cannot read the log is a retriable error", async () => {
    const world = await filled();
    const stream = world.streams.stream(1 as StreamId);
    stream.isCold = true;
    stream.read = () => Promise.reject(new OperationFailed("the object is gone", { happened: "no" }));
    expect(await list(world, { timestamp: start })).toBe("KAFKA_STORAGE_ERROR");
    expect(await list(world, { timestamp: -1 })).toEqual([4, -1]);
  });

  test("unknown topics, epochs and duplicates have their errors", async () => {
    const world = await filled();
    expect(await list(world, { timestamp: -1, topic: "b" })).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(await list(world, { timestamp: -99, topic: "b" })).toBe("UNSUPPORTED_VERSION");
    expect(await list(world, { timestamp: -1, currentLeaderEpoch: 0 })).toBe("FENCED_LEADER_EPOCH");
    expect(await list(world, { timestamp: -1, currentLeaderEpoch: -2 })).toBe("FENCED_LEADER_EPOCH");
    expect(await list(world, { timestamp: -1, currentLeaderEpoch: 5 })).toBe("UNKNOWN_LEADER_EPOCH");
    expect(await list(world, { timestamp: -1, isTwice: true })).toBe("INVALID_REQUEST");
  });
});

test("the end of an epoch: of the current one the end, of an unknown one none", async () => {
  const world = await filled();
  const handler = offsetForLeaderEpochHandler({ log: world.log, metadata: world.metadata });
  const ask = async (topic: string, leaderEpoch: number, currentLeaderEpoch = -1): Promise<unknown> => {
    const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }];
    const body = { replicaId: -2, topics: [{ topic, partitions }] };
    const response = answered(await handler(body, context({ apiVersion: 4 })));
    const encoded = apis.offsetForLeaderEpoch.response.encode(response, 4);
    const answer = apis.offsetForLeaderEpoch.response.decode(encoded, 4).topics[0]?.partitions[0];
    return answer?.errorCode === 0 ? [answer.leaderEpoch, answer.endOffset] : named(answer?.errorCode);
  };
  expect(await ask("a", 1)).toEqual([1, 4]);
  expect(await ask("a", 2)).toEqual([-1, -1]);
  expect(await ask("a", 1, 0)).toBe("FENCED_LEADER_EPOCH");
  expect(await ask("b", 1)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
});

test("deleting records: the new start, or why not", async () => {
  const world = await filled();
  await world.topic("__consumer_offsets");
  await world.topic("compacted", 1, { "cleanup.policy": "compact" });
  const handler = deleteRecordsHandler({ log: world.log, metadata: world.metadata });
  const ask = async (name: string, offset: number): Promise<unknown> => {
    const body = { topics: [{ name, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 1000 };
    const response = answered(await handler(body, context({ apiVersion: 2 })));
    apis.deleteRecords.response.encode(response, 2);
    const answer = response.topics[0]?.partitions[0];
    return answer?.errorCode === 0 ? answer.lowWatermark : named(answer?.errorCode);
  };
  expect(await ask("a", 2)).toBe(2);
  expect(await ask("a", 5)).toBe("OFFSET_OUT_OF_RANGE");
  expect(await ask("a", -2)).toBe("OFFSET_OUT_OF_RANGE");
  expect(await ask("a", -1)).toBe(4);
  expect(await ask("b", 1)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await ask("__consumer_offsets", 0)).toBe("INVALID_TOPIC_EXCEPTION");
  expect(await ask("compacted", 0)).toBe("POLICY_VIOLATION");
});
