/** Proves: the log follows the metadata. It opens what is this node's, lets go of what is not, and keeps retention in its bounds. */
import { describe, expect, test } from "vitest";
import { CorruptData, OperationFailed } from "../../src/base/errors.ts";
import type { NodeId, Offset, StreamId, Uuid } from "../../src/base/ids.ts";
import { LogWorld } from "../support/log-world.ts";

const stream = (id: number): StreamId => id as StreamId;

describe("ownership", () => {
  test("a created topic is opened under the epoch 0, as in Kafka; before that the answer is 'opening'", async () => {
    const world = new LogWorld();
    const topicId = world.metadata.createTopic("orders", 2);
    expect(world.log.partition(topicId, 0)).toEqual({ kind: "opening" });
    await world.log.settled();
    expect(world.partition(topicId, 1)).toMatchObject({ topic: "orders", index: 1, leaderEpoch: 0 });
    expect(world.log.partition(topicId, 2)).toEqual({ kind: "unknown" });
    expect([...world.log.partitions()]).toHaveLength(2);
  });

  test("a thousand partitions are opened by few entries of the metadata log", async () => {
    const world = new LogWorld();
    await world.topic("wide", 1500);
    expect([...world.log.partitions()]).toHaveLength(1500);
    expect(world.metadata.proposals).toBe(2);
  });

  test("a node that starts finds its topics, and another's it points to", async () => {
    const world = new LogWorld();
    await world.log[Symbol.asyncDispose]();
    const topicId = world.metadata.createTopic("theirs", 1);
    world.metadata.log.register(9 as NodeId, { host: "far", port: 9092, rack: null });
    world.metadata.apply([{ kind: "open-streams", streams: [stream(1)] }], 9 as NodeId);
    expect(world.log.partition(topicId, 0)).toEqual({ kind: "elsewhere", node: 9, leaderEpoch: 0 });
  });

  test("a partition that another node took over acknowledges nothing any more", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    const partition = world.partition(topicId);
    world.metadata.log.register(9 as NodeId, { host: "far", port: 9092, rack: null });
    const fence = { kind: "fence-node", nodeId: world.metadata.nodeId, epoch: world.metadata.nodeEpoch } as const;
    world.metadata.apply([fence, { kind: "open-streams", streams: [stream(1)] }], 9 as NodeId);
    expect(world.log.partition(topicId, 0)).toMatchObject({ kind: "elsewhere", node: 9 });
    const outcome = await partition.append(world.batch(), { origin: "client", apiVersion: 13 });
    expect(outcome).toMatchObject({ kind: "rejected", reason: "closed" });
  });

  test("a deleted topic is closed, also while it is being opened", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    const partition = world.partition(topicId);
    world.metadata.apply([{ kind: "delete-topic", topicId }]);
    expect(world.log.partition(topicId, 0)).toEqual({ kind: "unknown" });
    expect(await partition.deleteRecords(0 as Offset).then(() => "open")).toBe("open");
    const short = world.metadata.createTopic("short", 1);
    world.metadata.apply([{ kind: "delete-topic", topicId: short }]);
    await world.log.settled();
    expect([...world.log.partitions()]).toEqual([]);
    expect(world.failures).toEqual([]);
  });

  test("added partitions are opened; what came by a checkpoint is found too", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    world.metadata.apply([{ kind: "create-partitions", topicId, partitions: 3 }]);
    await world.log.settled();
    expect([...world.log.partitions()]).toHaveLength(3);
    world.metadata.log.jump();
    await world.log.settled();
    expect([...world.log.partitions()]).toHaveLength(3);
  });

  test("one refused stream does not keep the others of its group closed, and is tried again", async () => {
    const world = new LogWorld();
    world.metadata.refusal = (events) =>
      events.some((event) => event.kind === "open-streams" && event.streams.includes(stream(2))) ? "no" : undefined;
    const topicId = await world.topic("orders", 3);
    expect([...world.log.partitions()].map((partition) => partition.index)).toEqual([0, 2]);
    expect(world.log.partition(topicId, 1)).toEqual({ kind: "opening" });
    world.metadata.refusal = () => undefined;
    world.log.reopen();
    await world.log.settled();
    expect([...world.log.partitions()]).toHaveLength(3);
  });

  test("a partition whose sidecar is corrupt stays closed, the others are served", async () => {
    const world = new LogWorld();
    world.streams.stream(stream(1)).sidecar = { upTo: 0 as Offset, bytes: new Uint8Array([99]) };
    await world.topic("orders", 2);
    expect([...world.log.partitions()].map((partition) => partition.index)).toEqual([1]);
    expect(world.failures).toEqual([]);
  });
});

describe("configs and maintenance", () => {
  test("changed configs count from the next batch on", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    const configs = new Map([["max.message.bytes", "50"]]);
    world.metadata.apply([{ kind: "set-topic-configs", topicId, configs }]);
    const outcome = await world.partition(topicId).append(world.batch(), { origin: "client", apiVersion: 13 });
    expect(outcome).toMatchObject({ reason: "message-too-large" });
  });

  test("retention does not pass what is not in the lake yet", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders", 1, { "retention.ms": "1000" });
    await world.fill(topicId, 0, 9);
    world.clock.advance(10_000);
    world.hold = 4 as Offset;
    await world.log.maintain();
    expect(world.partition(topicId).logStart).toBe(3); // Whole ranges of three batches go.
    world.hold = undefined;
    await world.log.maintain();
    expect(world.partition(topicId).logStart).toBe(9);
  });

  test("while it waits for the store new partitions are opened all the same", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders", 20, { "retention.ms": "1000" });
    for (let index = 0; index < 20; index += 1) await world.fill(topicId, index, 3);
    world.clock.advance(10_000);
    const store = Promise.withResolvers<void>();
    world.streams.trim = () => store.promise; // What is trimmed must be uploaded first.
    const maintained = world.log.maintain();
    const later = world.metadata.createTopic("later", 1);
    const opened = await Promise.race([
      world.log.settled().then(() => world.log.partition(later, 0).kind),
      new Promise((resolve) => setImmediate(() => setImmediate(() => resolve("waits")))),
    ]);
    store.resolve();
    await maintained;
    expect(opened).toBe("here");
  });

  test("a log that is closed does not wait for the store either", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders", 1, { "retention.ms": "1000" });
    await world.fill(topicId, 0, 3);
    let trims = 0;
    world.streams.trim = () => {
      trims += 1;
      return new Promise<never>(() => undefined);
    };
    world.clock.advance(3_600_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(trims).toBe(1);
    const closed = await Promise.race([
      world.log[Symbol.asyncDispose]().then(() => "closed"),
      new Promise((resolve) => setImmediate(() => setImmediate(() => resolve("waits")))),
    ]);
    expect(closed).toBe("closed");
  });

  test("idle producers are forgotten", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    await world.fill(topicId, 0, 1, { producerId: 3, producerEpoch: 0, baseSequence: 0 });
    await world.log.maintain();
    expect(world.partition(topicId).producers()).toHaveLength(1);
    world.clock.advance(86_400_001);
    await world.log.maintain();
    expect(world.partition(topicId).producers()).toEqual([]);
  });

  test("how long idle producers are remembered can be changed while the broker runs, for all or for this one", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders");
    const remembered = async (nodeId: NodeId | null, forMs: number): Promise<number> => {
      const configs = new Map([["producer.id.expiration.ms", `${forMs}`]]);
      world.metadata.apply([{ kind: "set-broker-configs", nodeId, configs }]);
      await world.log.maintain();
      return world.partition(topicId).producers().length;
    };
    await world.fill(topicId, 0, 1, { producerId: 3, producerEpoch: 0, baseSequence: 0 });
    world.clock.advance(5000);
    expect(await remembered(world.metadata.nodeId, 6000)).toBe(1);
    expect(await remembered(null, 1000)).toBe(1);
    expect(await remembered(world.metadata.nodeId, 4000)).toBe(0);
  });

  test("a trim that fails is tried again at the next turn", async () => {
    const world = new LogWorld();
    const topicId = await world.topic("orders", 1, { "retention.ms": "1000" });
    await world.fill(topicId, 0, 3);
    world.clock.advance(10_000);
    const trim = world.streams.trim.bind(world.streams);
    world.streams.trim = () => Promise.reject(new OperationFailed("the store is away", { happened: "no" }));
    await world.log.maintain();
    expect(world.partition(topicId).logStart).toBe(0);
    world.streams.trim = trim;
    await world.log.maintain();
    expect(world.partition(topicId).logStart).toBe(3);
  });

  test("a wrong program is reported, not swallowed", async () => {
    const world = new LogWorld();
    world.streams.open = () => Promise.reject(new TypeError("undefined is not a function"));
    await world.topic("orders");
    expect(world.failures).toHaveLength(1);
    world.streams.open = () =>
      Promise.reject(new CorruptData({ source: "object", position: 0, expected: "a", found: "b" }));
    await world.topic("other");
    expect(world.failures).toHaveLength(1);
  });
});

test("an unknown topic is unknown", () => {
  const world = new LogWorld();
  expect(world.log.partition("22222222-0000-4000-8000-000000000000" as Uuid, 0)).toEqual({ kind: "unknown" });
});
