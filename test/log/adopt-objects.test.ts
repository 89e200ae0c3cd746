/**
 * Proves: what objects say about themselves is taken in where it follows on what the image holds; what was deleted or trimmed
 * stays gone; of overlapping writers the newer counts; and a hole is told, not bridged.
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodeEpoch, NodeId, Offset, StreamId } from "../../src/base/ids.ts";
import { type Adoption, adoptObjects, advanceWals } from "../../src/log/adopt-objects.ts";
import { encodeStreamLabel } from "../../src/log/stream-label.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import type { SalvagedObject } from "../../src/stream/salvage.ts";
import { uuidOf } from "../metadata/contract/world.ts";
import { Cluster } from "../metadata/generate.ts";
import { SimRandom } from "../sim/random.ts";

const random = new SimRandom(1);
let cluster: Cluster;
let made: number;

interface Part {
  readonly stream: number;
  readonly from: number;
  readonly to: number;
  readonly epoch?: number;
  /** Of a stream that the image does not know. */
  readonly topic?: readonly [id: number, name: string, partition: number];
}

function object(...parts: readonly Part[]): SalvagedObject {
  made += 1;
  return {
    key: `objects/x-n1-e1-${made}`,
    bytes: 1000,
    cluster: cluster.image.clusterId,
    node: 1 as NodeId,
    nodeEpoch: 1 as NodeEpoch,
    ranges: parts.map(({ stream, from, to, epoch = 1, topic: [id, name, partition] = [1, "a", 0] }) => ({
      stream: stream as StreamId,
      epoch,
      from: from as Offset,
      to: to as Offset,
      bytes: to - from,
      maxTimestamp: 5,
      label: encodeStreamLabel({ topicId: uuidOf(id), topic: name, partition }),
    })),
  };
}

function apply(...events: readonly MetadataEvent[]): void {
  expect(cluster.propose(1, events).decision.refusals).toEqual([null]);
}

const adopt = (...objects: readonly SalvagedObject[]): Adoption => adoptObjects(cluster.image, objects, random);
const endOf = (stream: number): number | undefined => cluster.image.stream(stream as StreamId)?.end;

/** Topic "a" of streams 1 and 2 with epoch 1, of which stream 1 holds [0, 10). */
beforeEach(() => {
  cluster = new Cluster(random);
  made = 0;
  cluster.register(1);
  apply({ kind: "create-topic", topicId: uuidOf(1), name: "a", partitions: 2, configs: new Map([["k", "v"]]) });
  apply({ kind: "open-streams", streams: [1, 2] as StreamId[] });
  const range = { stream: 1 as StreamId, epoch: 1, from: 0 as Offset, to: 10 as Offset, bytes: 10, maxTimestamp: 1 };
  apply({ kind: "commit-object", object: "objects/known", bytes: 100, objectKind: "stream", ranges: [range] });
});

describe("objects that the image does not name", () => {
  test("are taken in one after another, whatever order they are found in", () => {
    const [first, second] = [object({ stream: 1, from: 10, to: 15 }), object({ stream: 1, from: 15, to: 20 })];
    expect(adopt(second, first)).toEqual({ adopted: [first.key, second.key], topicsMade: [], gaps: [] });
    expect(endOf(1)).toBe(20);
    expect(cluster.image.ranges(1 as StreamId, 0 as Offset)).toHaveLength(3);
  });

  test("that the image has trimmed, or holds elsewhere, stay out", () => {
    apply({ kind: "trim-streams", streams: [{ stream: 1 as StreamId, start: 30 as Offset }] });
    const result = adopt(object({ stream: 1, from: 0, to: 10 }), object({ stream: 1, from: 10, to: 30 }));
    expect(result).toEqual({ adopted: [], topicsMade: [], gaps: [] });
  });

  test("of a deleted topic stay out, and it stays gone", () => {
    apply({ kind: "delete-topic", topicId: uuidOf(1) });
    expect(adopt(object({ stream: 1, from: 10, to: 20 }))).toEqual({ adopted: [], topicsMade: [], gaps: [] });
    expect([...cluster.image.topics()]).toEqual([]);
  });

  test("of another cluster stay out", () => {
    const foreign = { ...object({ stream: 1, from: 10, to: 20 }), cluster: uuidOf(77) };
    expect(adopt(foreign).adopted).toEqual([]);
  });

  test("behind a hole are told, and not taken", () => {
    const behind = object({ stream: 1, from: 12, to: 20 });
    expect(adopt(behind)).toEqual({
      adopted: [],
      topicsMade: [],
      gaps: [{ key: behind.key, stream: 1, from: 12, end: 10 }],
    });
  });

  test("that overlap: the newer epoch counts, then the longer range", () => {
    const crashed = object({ stream: 1, from: 10, to: 15 });
    const longer = object({ stream: 1, from: 10, to: 18 });
    const newer = object({ stream: 2, from: 0, to: 5, epoch: 3 });
    const zombie = object({ stream: 2, from: 0, to: 50 });
    expect(adopt(crashed, longer, zombie, newer).adopted.toSorted()).toEqual([longer.key, newer.key].toSorted());
    expect([endOf(1), endOf(2)]).toEqual([18, 5]);
    expect(cluster.image.stream(2 as StreamId)?.epoch).toBe(3); // Leader epochs never go back.
  });

  test("of a node that took the stream from another are taken in too", () => {
    const first = object({ stream: 1, from: 10, to: 15 });
    const taken = { ...object({ stream: 1, from: 15, to: 20, epoch: 2 }), node: 2 as NodeId };
    const back = object({ stream: 1, from: 20, to: 30, epoch: 3 });
    expect(adopt(first, taken, back).adopted).toEqual([first.key, taken.key, back.key]);
    expect(cluster.image.stream(1 as StreamId)).toMatchObject({ node: 1, epoch: 3, end: 30 });
  });

  test("wait for all their streams, and are taken in part when nothing else is left", () => {
    const both = object({ stream: 1, from: 15, to: 20 }, { stream: 2, from: 0, to: 5 });
    const before = object({ stream: 1, from: 10, to: 15 });
    expect(adopt(both, before).adopted).toEqual([before.key, both.key]);
    expect([endOf(1), endOf(2)]).toEqual([20, 5]);
    const half = object({ stream: 1, from: 20, to: 25 }, { stream: 2, from: 9, to: 12 });
    expect(adopt(half).adopted).toEqual([half.key]);
    expect([endOf(1), endOf(2)]).toEqual([25, 5]);
  });
});

describe("topics that only objects know", () => {
  test("get their ids, names and streams back", () => {
    const result = adopt(
      object({ stream: 5, from: 0, to: 7, topic: [9, "new", 1] }, { stream: 6, from: 0, to: 3, topic: [9, "new", 2] }),
    );
    expect(result.topicsMade).toEqual(["new"]);
    expect(cluster.image.topicByName("new")).toMatchObject({ id: uuidOf(9), partitions: [4, 5, 6] });
    expect([endOf(5), endOf(6)]).toEqual([7, 3]);
    apply({ kind: "create-topic", topicId: uuidOf(10), name: "next", partitions: 1, configs: new Map() });
    expect(cluster.image.topicByName("next")?.partitions).toEqual([7]);
  });

  test("and partitions of known ones", () => {
    expect(adopt(object({ stream: 3, from: 0, to: 4, topic: [1, "a", 2] })).adopted).toHaveLength(1);
    expect(cluster.image.topicByName("a")).toMatchObject({ partitions: [1, 2, 3], configs: new Map([["k", "v"]]) });
  });

  test("under a name that was given again mean that the old topic was deleted", () => {
    adopt(object({ stream: 3, from: 0, to: 4, topic: [9, "a", 0] }));
    expect(cluster.image.topicByName("a")).toMatchObject({ id: uuidOf(9), partitions: [3] });
    expect(cluster.image.topic(uuidOf(1))).toBeUndefined();
  });
});

test("a WAL in the bucket begins with the first slot that is still there", () => {
  apply({ kind: "open-wal", slotsInFlightMax: 4 });
  const epoch = cluster.epochOf(1);
  const keys = [3, 4, 9].map((seq) => `wal/1/${epoch}/${String(seq).padStart(20, "0")}`);
  advanceWals(cluster.image, [...keys, "objects/x-n1-e1-1"], random);
  expect(cluster.image.wals(1 as NodeId)).toMatchObject([{ epoch, slot: 3 }]);
  advanceWals(cluster.image, [], random);
  expect(cluster.image.wals(1 as NodeId)).toMatchObject([{ epoch, slot: 3 }]);
});
