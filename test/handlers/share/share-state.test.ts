/** Proves: the coordinator of share-partitions' states answers brokers on the wire as Kafka's does. */
import { expect, test } from "vitest";
import { type Uuid, uuidZero } from "../../../src/base/ids.ts";
import type { RequestInputOf } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

type Written = RequestInputOf<"writeShareGroupState">["topics"][number]["partitions"][number];

const groupId = "q";
const batch = { firstOffset: 10, lastOffset: 12, deliveryState: 2, deliveryCount: 1 };

class StateWorld extends AdminWorld {
  topicId: Uuid = uuidZero;

  static async open(limits: ConstructorParameters<typeof AdminWorld>[0] = {}): Promise<StateWorld> {
    const world = new StateWorld({ shareStatePartitions: 1, ...limits });
    await world.topic("t", 2);
    world.topicId = world.metadata.image.topicByName("t")?.id ?? uuidZero;
    await world.call("findCoordinator", { keyType: 2, coordinatorKeys: [`${groupId}:AAAAAAAAAAAAAAAAAAAAAQ:0`] });
    return world;
  }

  async initialize(stateEpoch: number, startOffset: number, partition = 0, topicId = this.topicId) {
    const topics = [{ topicId, partitions: [{ partition, stateEpoch, startOffset }] }];
    return error((await this.call("initializeShareGroupState", { groupId, topics })).results[0]?.partitions[0]);
  }

  async write(asked: Partial<Written>, partition = 0) {
    const usual = { stateEpoch: 0, leaderEpoch: 0, startOffset: 10, deliveryCompleteCount: 0, stateBatches: [] };
    const topics = [{ topicId: this.topicId, partitions: [{ partition, ...usual, ...asked }] }];
    return error((await this.call("writeShareGroupState", { groupId, topics })).results[0]?.partitions[0]);
  }

  async read(leaderEpoch: number, partition = 0) {
    const topics = [{ topicId: this.topicId, partitions: [{ partition, leaderEpoch }] }];
    return (await this.call("readShareGroupState", { groupId, topics })).results[0]?.partitions[0];
  }

  async summary(partition = 0) {
    const topics = [{ topicId: this.topicId, partitions: [{ partition, leaderEpoch: 0 }] }];
    return (await this.call("readShareGroupStateSummary", { groupId, topics })).results[0]?.partitions[0];
  }

  async remove(partition = 0) {
    const topics = [{ topicId: this.topicId, partitions: [{ partition }] }];
    return error((await this.call("deleteShareGroupState", { groupId, topics })).results[0]?.partitions[0]);
  }
}

test("a state is made, written, read and removed", async () => {
  await using world = await StateWorld.open();
  expect(await world.summary()).toMatchObject({ errorCode: 0, startOffset: -1, deliveryCompleteCount: -1 });
  expect(await world.initialize(3, -1)).toBe("NONE");
  expect(await world.write({ stateEpoch: 3, deliveryCompleteCount: 3, stateBatches: [batch] })).toBe("NONE");
  expect(await world.read(7)).toMatchObject({ errorCode: 0, stateEpoch: 3, startOffset: 10, stateBatches: [batch] });
  expect(await world.summary()).toMatchObject({
    stateEpoch: 3,
    leaderEpoch: 7,
    startOffset: 10,
    deliveryCompleteCount: 3,
  });
  expect(await world.remove()).toBe("NONE");
  expect(await world.remove()).toBe("NONE");
  expect(error(await world.read(7))).toBe("INVALID_REQUEST");
});

test("an older state or leader is fenced, and an offset moves where it is written to, unless it is not written", async () => {
  await using world = await StateWorld.open();
  expect(await world.initialize(3, 10)).toBe("NONE");
  expect(await world.initialize(2, 10)).toBe("FENCED_STATE_EPOCH");
  expect(await world.write({ stateEpoch: 2 })).toBe("FENCED_STATE_EPOCH");
  expect(error(await world.read(5))).toBe("NONE");
  expect(await world.write({ stateEpoch: 3, leaderEpoch: 4 })).toBe("FENCED_LEADER_EPOCH");
  expect(error(await world.read(4))).toBe("FENCED_LEADER_EPOCH");
  for (const startOffset of [4, -1]) {
    expect(await world.write({ stateEpoch: 3, leaderEpoch: 5, startOffset, deliveryCompleteCount: 9 })).toBe("NONE");
    expect(await world.summary()).toMatchObject({ startOffset: 4, deliveryCompleteCount: 9 });
  }
});

test("made with the same words it stays as it is, with others it begins anew", async () => {
  await using world = await StateWorld.open();
  await world.initialize(0, 10);
  await world.write({ stateBatches: [batch] });
  await world.initialize(0, 10);
  expect((await world.read(0))?.stateBatches).toEqual([batch]);
  await world.initialize(0, 11);
  expect((await world.read(0))?.stateBatches).toEqual([]);
});

test("with its topic a state is gone, and in time forgotten", async () => {
  await using world = await StateWorld.open({ shareStatesMax: 1, shareStatePruneMs: 1000 });
  await world.initialize(0, 10);
  await world.call("deleteTopics", { topics: [{ name: "t", topicId: uuidZero }], timeoutMs: 1000 });
  expect(error(await world.read(0))).toBe("INVALID_REQUEST");
  expect(error(await world.summary())).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  await world.clock.run(3000);
  await world.topic("u", 1);
  const topicId = world.metadata.image.topicByName("u")?.id ?? uuidZero;
  expect(await world.initialize(0, 0, 0, topicId)).toBe("NONE"); // There is room again.
});

test("wrong requests are refused", async () => {
  await using world = await StateWorld.open({ shareStatesMax: 1 });
  expect(await world.initialize(-1, 0)).toBe("INVALID_REQUEST");
  expect(await world.initialize(0, 0, -1)).toBe("INVALID_REQUEST");
  expect(await world.initialize(0, 0, 2)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await world.initialize(0, 0, 0, uuidZero)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await world.write({})).toBe("INVALID_REQUEST"); // There is no state yet.
  expect(await world.initialize(0, 0)).toBe("NONE");
  expect(await world.initialize(0, 0, 1)).toBe("INVALID_REQUEST"); // One too many.
  expect(await world.write({ stateEpoch: -1 })).toBe("INVALID_REQUEST");
  expect(await world.write({ leaderEpoch: -1 })).toBe("INVALID_REQUEST");
  expect(await world.write({ stateBatches: [{ ...batch, deliveryState: 1 }] })).toBe("INVALID_REQUEST");
  expect(await world.write({ stateBatches: [{ ...batch, lastOffset: 9 }] })).toBe("INVALID_REQUEST");
  expect(await world.write({ stateBatches: Array(2001).fill(batch) })).toBe("INVALID_REQUEST");
});

test("nothing is answered where a group, topics or partitions are missing", async () => {
  await using world = await StateWorld.open();
  const { topicId } = world;
  const partitions = [{ partition: 0 }];
  for (const request of [
    { groupId: "", topics: [{ topicId, partitions }] },
    { groupId, topics: [] },
    { groupId, topics: [{ topicId, partitions: [] }] },
  ])
    expect((await world.call("deleteShareGroupState", request)).results).toEqual([]);
});
