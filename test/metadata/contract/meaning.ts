/** The contract's last part: what the fold and a node's client make of the log; fencing, refusals, a store that went back. */
import { expect } from "vitest";
import { CorruptData, OperationFailed } from "../../../src/base/errors.ts";
import type { NodeEpoch, NodeId, Seq } from "../../../src/base/ids.ts";
import type { Logger } from "../../../src/base/telemetry.ts";
import type { CasLog, LogEntry } from "../../../src/metadata/cas-log.ts";
import { Fenced, type MetadataClient } from "../../../src/metadata/client.ts";
import { encodeGroups } from "../../../src/metadata/event-codec.ts";
import type { MetadataEvent } from "../../../src/metadata/events.ts";
import { fold } from "../../../src/metadata/fold.ts";
import { ImageState } from "../../../src/metadata/image-state.ts";
import { openMetadata } from "../../../src/metadata/metadata-client.ts";
import { appendAll, appendSurely, type Declare, type LogUnderTest, readAll, upTo, uuidOf } from "./world.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Polling is left out: a test asks when it wants to know. */
const limits = {
  pollMs: 3_600_000,
  readEntriesMax: 10,
  batchProposalsMax: 8,
  batchBytesMax: 10_000,
  proposalsWaitingMax: 100,
  checkpointEntries: 1_000_000,
  retry: { delayMsMin: 1, delayMsMax: 50 },
};

function createTopic(name: string, number: number): MetadataEvent {
  return { kind: "create-topic", topicId: uuidOf(number), name, partitions: 1, configs: new Map() };
}

function entry(node: number, epoch: number, opId: number, groups: readonly (readonly MetadataEvent[])[]): LogEntry {
  return {
    nodeId: node as NodeId,
    nodeEpoch: epoch as NodeEpoch,
    opId: uuidOf(opId),
    events: encodeGroups(groups),
  };
}

function registration(node: number, opId: number): LogEntry {
  const nodeId = node as NodeId;
  const incarnation = uuidOf(opId);
  return entry(node, 0, opId, [[{ kind: "register-node", nodeId, incarnation, host: "h", port: 1, rack: null }]]);
}

async function imageOf(log: CasLog): Promise<ImageState> {
  const image = new ImageState();
  for (const stored of await readAll(log)) fold(image, stored);
  return image;
}

const namesIn = (image: { topics(): Iterable<{ readonly name: string }> }): readonly string[] =>
  [...image.topics()].map(({ name }) => name).toSorted();

export function foldedMeaning(it: Declare): void {
  it("a refused group is a no-op that keeps its place", async (log, world) => {
    const epoch = await appendSurely(log, registration(1, 1));
    await appendSurely(log, entry(1, epoch, 2, [[createTopic("a", 100)]]));
    const before = await imageOf(log);
    expect(await appendSurely(log, entry(1, epoch, 3, [[createTopic("a", 101)]]))).toBe(3);
    const after = await imageOf(await world.open());
    expect(namesIn(after)).toEqual(namesIn(before));
    expect(after.seq).toBe(3);
    expect(after.decision(1 as NodeId, uuidOf(3))?.refusals[0]?.reason).toBe("exists");
  });

  it("of one entry's groups the refused ones leave no trace and the others count", async (log) => {
    const epoch = await appendSurely(log, registration(1, 1));
    const groups = [[createTopic("a", 100)], [createTopic("b", 101), createTopic("a", 102)], [createTopic("c", 103)]];
    await appendSurely(log, entry(1, epoch, 2, groups));
    const image = await imageOf(log);
    expect(namesIn(image)).toEqual(["a", "c"]);
    expect(image.decision(1 as NodeId, uuidOf(2))?.refusals.map((refusal) => refusal?.reason)).toEqual([
      undefined,
      "exists",
      undefined,
    ]);
  });

  it("refused groups of one node do not stand in the way of another's", async (log, world) => {
    const other = await world.open();
    const first = await appendSurely(log, registration(1, 1));
    const second = await appendSurely(other, registration(2, 2));
    for (const i of upTo(5)) {
      await appendSurely(log, entry(1, first, 10 + i, [[{ kind: "delete-topic", topicId: uuidOf(999) }]]));
      await appendSurely(other, entry(2, second, 20 + i, [[createTopic(`t${i}`, 100 + i)]]));
    }
    expect(namesIn(await imageOf(log))).toEqual(upTo(5).map((i) => `t${i}`));
  });

  it("what a fenced process still sends has a place and no effect", async (log, world) => {
    const zombie = await world.open();
    const before = await appendSurely(zombie, registration(1, 1));
    const after = await appendSurely(log, registration(1, 2));
    expect(await appendSurely(zombie, entry(1, before, 3, [[createTopic("zombie", 100)]]))).toBe(3);
    await appendSurely(log, entry(1, after, 4, [[createTopic("heir", 101)]]));
    expect(namesIn(await imageOf(log))).toEqual(["heir"]);
  });

  it("what was sent before the fence and lands behind it has no effect", async (log, world) => {
    const epoch = await appendSurely(log, registration(1, 1));
    const ghost = await world.open();
    const late = entry(1, epoch, 2, [[createTopic("late", 100)]]);
    await appendSurely(log, registration(1, 3));
    await appendSurely(ghost, late);
    expect(namesIn(await imageOf(log))).toEqual([]);
  });

  it("an operation that took effect before the fence is answered with that, not with the fence", async (log, world) => {
    const epoch = await appendSurely(log, registration(1, 1));
    const done = entry(1, epoch, 2, [[createTopic("done", 100)]]);
    await log.append(done); // Its answer got lost.
    const seq = await appendSurely(await world.open(), registration(1, 3));
    expect(await appendSurely(log, done)).toBeLessThanOrEqual(seq + 1);
    const image = await imageOf(log);
    const decision = image.decision(1 as NodeId, uuidOf(2));
    if (decision !== undefined) expect(namesIn(image)).toEqual(["done"]);
  });

  it("all handles fold the same log to the same image", async (log, world) => {
    const epoch = await appendSurely(log, registration(1, 1));
    for (const i of upTo(20)) await appendSurely(log, entry(1, epoch, 10 + i, [[createTopic(`t${i % 7}`, 100 + i)]]));
    const [one, two] = [await imageOf(log), await imageOf(await world.open())];
    expect([...one.hash]).toEqual([...two.hash]);
    expect(namesIn(one)).toEqual(namesIn(two));
    expect(one.seq).toBe(21);
  });
}

interface Node {
  readonly client: MetadataClient;
  readonly failures: unknown[];
}

async function openNode(world: LogUnderTest, log: CasLog, id: number): Promise<Node> {
  const failures: unknown[] = [];
  const client = await openMetadata({
    log,
    nodeId: id as NodeId,
    node: { host: "127.0.0.1", port: 9092, rack: null },
    runtime: world.runtime,
    logger: silent,
    limits,
    failed: (cause) => failures.push(cause),
  });
  return { client, failures };
}

export function clients(it: Declare): void {
  it("nodes see what the others decided, and each its own decisions at once", async (log, world) => {
    const one = await openNode(world, log, 1);
    const two = await openNode(world, await world.open(), 2);
    for (const i of upTo(6)) {
      const { client } = i % 2 === 0 ? one : two;
      expect((await client.propose([createTopic(`t${i}`, i)])).kind).toBe("accepted");
      expect(client.image.topicByName(`t${i}`)?.id).toBe(uuidOf(i));
    }
    expect((await one.client.propose([createTopic("t5", 50)])).kind).toBe("refused");
    expect(namesIn(one.client.image)).toEqual(upTo(6).map((i) => `t${i}`));
    for (const { client } of [one, two]) await client[Symbol.asyncDispose]();
  });

  it("a node whose id was taken is fenced with its next proposal", async (log, world) => {
    const zombie = await openNode(world, log, 1);
    const heir = await openNode(world, await world.open(), 1);
    await expect(zombie.client.propose([createTopic("zombie", 1)])).rejects.toThrow(OperationFailed);
    expect(zombie.failures[0]).toBeInstanceOf(Fenced);
    expect((await heir.client.propose([createTopic("heir", 2)])).kind).toBe("accepted");
    expect(namesIn(heir.client.image)).toEqual(["heir"]);
    for (const { client } of [zombie, heir]) await client[Symbol.asyncDispose]();
  });

  it("a node that starts again finds what it proposed, under a newer epoch", async (log, world) => {
    const before = await openNode(world, log, 1);
    await before.client.propose([createTopic("kept", 1)]);
    await before.client[Symbol.asyncDispose]();
    const after = await openNode(world, await world.restart(log), 1);
    expect(after.client.nodeEpoch).toBeGreaterThan(before.client.nodeEpoch);
    expect(namesIn(after.client.image)).toEqual(["kept"]);
    await after.client[Symbol.asyncDispose]();
  });
}

/** The store is put back to what it was: a restored backup, a standby that lagged. Nobody may go on as if nothing were. */
export function rollbacks(it: Declare): void {
  it("a node that knew more than the store does halts with its next proposal", async (log, world) => {
    const { client, failures } = await openNode(world, log, 1);
    await client.propose([createTopic("kept", 1)]);
    const restore = await (world.backUp as NonNullable<LogUnderTest["backUp"]>)();
    for (const i of upTo(3)) await client.propose([createTopic(`lost${i}`, 10 + i)]);
    await restore();
    await expect(client.propose([createTopic("next", 2)])).rejects.toThrow("undecided");
    expect(failures).toHaveLength(1);
    expect(failures[0]).toBeInstanceOf(CorruptData);
    await client[Symbol.asyncDispose]();
  });

  it("a node that knew more halts also when others have written over the lost end", async (log, world) => {
    const { client, failures } = await openNode(world, log, 1);
    const restore = await (world.backUp as NonNullable<LogUnderTest["backUp"]>)();
    for (const i of upTo(3)) await client.propose([createTopic(`lost${i}`, 10 + i)]);
    await restore();
    const other = await openNode(world, await world.open(), 2);
    for (const i of upTo(6)) await other.client.propose([createTopic(`other${i}`, 20 + i)]);
    await expect(client.propose([createTopic("next", 2)])).rejects.toThrow("undecided");
    expect(failures[0]).toBeInstanceOf(CorruptData);
    for (const each of [client, other.client]) await each[Symbol.asyncDispose]();
  });

  it("a checkpoint whose entry is gone, or is another, is not believed", async (log, world) => {
    await appendAll(log, 1, 3);
    const restore = await (world.backUp as NonNullable<LogUnderTest["backUp"]>)();
    await appendAll(log, 4, 8);
    const [entryEight] = await log.read(8 as Seq, 1);
    await restore();
    const other = await world.open();
    await appendAll(other, 101, 105);
    const hash = entryEight?.hash as Uint8Array;
    await other.writeCheckpoint({ seq: 8 as Seq, hash, image: new Uint8Array(8) }).catch(() => undefined); // May see it itself.
    const outcome = await world
      .restart(other)
      .then((fresh) => fresh.readCheckpoint())
      .catch((cause: unknown) => cause);
    if (!(outcome instanceof CorruptData)) expect(outcome).toBeUndefined();
  });

  it("a reader's anchor shows a history that is not the one it read", async (log, world) => {
    await appendAll(log, 1, 2);
    const restore = await (world.backUp as NonNullable<LogUnderTest["backUp"]>)();
    await appendAll(log, 3, 6);
    const anchor = (await log.read(6 as Seq, 1))[0];
    await restore();
    await appendAll(await world.open(), 201, 206);
    const outcome = await log.read(6 as Seq, 1).catch((cause: unknown) => cause);
    if (outcome instanceof CorruptData) return;
    const found = (outcome as readonly { readonly hash: Uint8Array }[])[0];
    expect([...(found?.hash ?? [])]).not.toEqual([...(anchor?.hash ?? [])]);
  });
}
