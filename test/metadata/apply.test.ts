/** Proves what each event needs to be accepted, and what it leaves in the image. */
import { beforeEach, describe, expect, test } from "vitest";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../../src/base/ids.ts";
import type { MetadataEvent, ObjectRange, ReplacingRange } from "../../src/metadata/events.ts";
import { SimRandom } from "../sim/random.ts";
import { uuidOf } from "./contract/world.ts";
import { Cluster } from "./generate.ts";

type EventOf<K extends MetadataEvent["kind"]> = Extract<MetadataEvent, { readonly kind: K }>;

let cluster: Cluster;
let one: Uuid;

/** The reason of the refusal, or "ok". */
function propose(...events: MetadataEvent[]): string {
  return reasonOf(cluster.propose(1, events));
}

function reasonOf(folded: ReturnType<Cluster["propose"]>): string {
  return folded.decision.refusals[0]?.reason ?? "ok";
}

function createTopic(number: number, name: string, partitions = 2): MetadataEvent {
  return { kind: "create-topic", topicId: uuidOf(number), name, partitions, configs: new Map() };
}

const stream = (id: number): StreamId => id as StreamId;
const offset = (value: number): Offset => value as Offset;

function range(id: number, from: number, to: number, epoch = 1): ObjectRange {
  return { stream: stream(id), epoch, from: offset(from), to: offset(to), bytes: 10, maxTimestamp: 5 };
}

function commit(object: string, ...ranges: ObjectRange[]): MetadataEvent {
  return { kind: "commit-object", object, bytes: 100, objectKind: "stream-set", ranges };
}

function trim(id: number, start: number): MetadataEvent {
  return { kind: "trim-streams", streams: [{ stream: stream(id), start: offset(start) }] };
}

const openBoth: MetadataEvent = { kind: "open-streams", streams: [stream(1), stream(2)] };

beforeEach(() => {
  cluster = new Cluster(new SimRandom("apply"));
  cluster.register(1);
  one = uuidOf(1);
  expect(propose(createTopic(1, "one"))).toBe("ok");
});

describe("nodes", () => {
  test("the epoch is the seq of the registration; another process fences it, its own repeat does not", () => {
    const before = cluster.epochOf(1);
    expect(before).toBe(1);
    const register: EventOf<"register-node"> = {
      kind: "register-node",
      nodeId: 1 as NodeId,
      incarnation: uuidOf(70),
      host: "new",
      port: 1,
      rack: "r",
    };
    cluster.append({ nodeId: 1, nodeEpoch: 0 }, [[register]]);
    const epoch = cluster.epochOf(1);
    expect(epoch).toBe(cluster.image.seq);
    const folded = cluster.append({ nodeId: 1, nodeEpoch: before }, [[createTopic(2, "two")]]);
    expect(folded.decision.refusals[0]).toEqual({ reason: "fenced", by: epoch });
    cluster.append({ nodeId: 1, nodeEpoch: 0 }, [[{ ...register, host: "moved" }]]);
    expect(cluster.image.node(1 as NodeId)).toMatchObject({ epoch, host: "moved" });
  });

  test("a node that never registered is fenced, and nobody registers another", () => {
    const unknown = cluster.append({ nodeId: 9, nodeEpoch: 0 }, [[createTopic(2, "two")]]);
    expect(unknown.decision.refusals[0]).toEqual({ reason: "fenced", by: 0 });
    const incarnation = uuidOf(71);
    const other: MetadataEvent = {
      kind: "register-node",
      nodeId: 2 as NodeId,
      incarnation,
      host: "",
      port: 1,
      rack: null,
    };
    expect(propose(other)).toBe("invalid");
  });

  test("the cluster's id is the opId of the first entry", () => {
    expect(cluster.image.clusterId).toBe(cluster.entries[0]?.opId);
  });

  test("producer ids are given out in blocks, once an entry", () => {
    expect(propose({ kind: "allocate-producer-ids", count: 10 })).toBe("ok");
    expect(cluster.image.nextProducerId).toBe(10);
    const both = cluster.propose(
      1,
      [{ kind: "allocate-producer-ids", count: 5 }],
      [{ kind: "allocate-producer-ids", count: 5 }],
    );
    expect(both.decision.refusals.map((refusal) => refusal?.reason)).toEqual([undefined, "invalid"]);
    expect(cluster.image.nextProducerId).toBe(15);
    expect(propose({ kind: "allocate-producer-ids", count: 0 })).toBe("invalid");
  });

  test("a node is fenced once an epoch, by another, and its proposals count no more", () => {
    cluster.register(2);
    const epoch = cluster.epochOf(1);
    const fence: MetadataEvent = { kind: "fence-node", nodeId: 1 as NodeId, epoch };
    expect(propose(fence)).toBe("invalid");
    expect(reasonOf(cluster.propose(2, [fence]))).toBe("ok");
    expect(cluster.epochOf(1)).toBe(cluster.image.seq);
    expect(reasonOf(cluster.propose(2, [fence]))).toBe("stale-epoch");
    expect(reasonOf(cluster.append({ nodeId: 1, nodeEpoch: epoch }, [[createTopic(2, "two")]]))).toBe("fenced");
    expect(reasonOf(cluster.propose(2, [{ ...fence, nodeId: 9 as NodeId }]))).toBe("missing");
  });

  test("why a node is not unregistered is said in the same words by all, whatever was deleted and put back", () => {
    propose(openBoth);
    propose(createTopic(2, "two"));
    propose({ kind: "open-streams", streams: [stream(3), stream(4)] });
    cluster.register(2);
    const group: MetadataEvent[] = [{ kind: "delete-topic", topicId: one }, createTopic(2, "two")];
    expect(reasonOf(cluster.propose(1, group))).toBe("exists");
    const event = { kind: "unregister-node", nodeId: 1 as NodeId, epoch: cluster.epochOf(1) } as const;
    const { decision } = cluster.propose(2, [event]);
    expect(decision.refusals[0]).toEqual({ reason: "invalid", detail: "node 1 writes stream 1" });
  });

  test("a node that has nothing left is unregistered by another, and registers again under a new epoch", () => {
    cluster.register(2);
    const nodeId = 1 as NodeId;
    const unregister = () => ({ kind: "unregister-node", nodeId, epoch: cluster.epochOf(1) }) as const;
    expect(propose(unregister())).toBe("invalid"); // Itself.
    expect(reasonOf(cluster.propose(2, [{ ...unregister(), nodeId: 9 as NodeId }]))).toBe("missing");
    expect(reasonOf(cluster.propose(2, [{ ...unregister(), epoch: 0 as NodeEpoch }]))).toBe("stale-epoch");
    expect(propose(createTopic(2, "two", 1))).toBe("ok");
    const [streamId] = cluster.image.topicByName("two")?.partitions ?? [];
    expect(propose({ kind: "open-streams", streams: [streamId as StreamId] })).toBe("ok");
    expect(reasonOf(cluster.propose(2, [unregister()]))).toBe("invalid"); // It writes a stream.
    expect(propose({ kind: "delete-topic", topicId: uuidOf(2) })).toBe("ok");
    expect(propose({ kind: "open-wal", slotsInFlightMax: 3 })).toBe("ok");
    expect(reasonOf(cluster.propose(2, [unregister()]))).toBe("invalid"); // Nobody took over its WAL.
    expect(reasonOf(cluster.propose(2, [{ kind: "fence-node", nodeId, epoch: cluster.epochOf(1) }]))).toBe("ok");
    expect(reasonOf(cluster.propose(2, [unregister()]))).toBe("ok");
    expect(cluster.image.node(nodeId)).toMatchObject({ epoch: cluster.image.seq, host: "", port: 0 });
    cluster.register(1);
    expect(cluster.image.node(nodeId)).toMatchObject({ epoch: cluster.image.seq, port: 9092 });
  });

  test("a WAL is opened once a process, and only moves forward; who takes over moves that of a fenced node", () => {
    const nodeId = 1 as NodeId;
    const first = cluster.epochOf(1);
    const open: MetadataEvent = { kind: "open-wal", slotsInFlightMax: 3 };
    expect(propose({ ...open, slotsInFlightMax: 0 })).toBe("invalid");
    expect(propose(open)).toBe("ok");
    expect(propose(open)).toBe("exists");
    const advance = (epoch: NodeEpoch, slot: number): MetadataEvent => ({ kind: "advance-wal", nodeId, epoch, slot });
    expect(propose(advance(first, 7))).toBe("ok");
    expect(propose(advance(first, 5))).toBe("ok"); // Late, and without effect.
    cluster.register(1);
    const second = cluster.epochOf(1);
    expect(propose(open)).toBe("ok");
    expect(cluster.image.wals(nodeId)).toEqual([
      { epoch: first, slot: 7, slotsInFlightMax: 3 },
      { epoch: second, slot: 0, slotsInFlightMax: 3 },
    ]);
    cluster.register(2);
    expect(reasonOf(cluster.propose(2, [advance(second, 1)]))).toBe("invalid");
    expect(reasonOf(cluster.propose(2, [{ kind: "fence-node", nodeId, epoch: second }, advance(second, 1)]))).toBe(
      "ok",
    );
    expect(cluster.image.wals(nodeId)).toEqual([{ epoch: second, slot: 1, slotsInFlightMax: 3 }]);
  });
});

describe("topics", () => {
  test("a topic's partitions are streams with ids of their own, never given out again", () => {
    expect(propose(createTopic(2, "two", 3))).toBe("ok");
    expect(cluster.image.topicByName("two")?.partitions).toEqual([3, 4, 5]);
    expect(propose({ kind: "delete-topic", topicId: uuidOf(2) })).toBe("ok");
    expect(cluster.image.stream(stream(4))).toBeUndefined();
    expect(propose(createTopic(3, "two", 1))).toBe("ok");
    expect(cluster.image.topicByName("two")).toMatchObject({ id: uuidOf(3), partitions: [6], predecessors: 1 });
    expect(cluster.image.partitionCount).toBe(3);
    expect(cluster.image.stream(stream(6))).toMatchObject({
      topicId: uuidOf(3),
      partition: 0,
      epoch: 0,
      start: 0,
      end: 0,
    });
  });

  test("names and ids are taken once, partitions only grow", () => {
    expect(propose(createTopic(2, "one"))).toBe("exists");
    expect(propose(createTopic(1, "two"))).toBe("exists");
    expect(propose(createTopic(2, "two", 0))).toBe("invalid");
    expect(propose(createTopic(2, "two", 2 ** 31 - 1))).toBe("invalid");
    expect(propose({ kind: "create-partitions", topicId: one, partitions: 2 })).toBe("invalid");
    expect(propose({ kind: "create-partitions", topicId: one, partitions: 3 })).toBe("ok");
    expect(cluster.image.topic(one)?.partitions).toEqual([1, 2, 3]);
    expect(propose({ kind: "delete-topic", topicId: uuidOf(8) })).toBe("missing");
  });
});

describe("streams", () => {
  test("each open raises the epoch and names the writer; another's stream is taken once that one is fenced", () => {
    expect(propose(openBoth)).toBe("ok");
    cluster.register(2);
    expect(reasonOf(cluster.propose(2, [openBoth]))).toBe("stale-epoch");
    expect(propose(openBoth)).toBe("ok");
    const fence: MetadataEvent = { kind: "fence-node", nodeId: 1 as NodeId, epoch: cluster.epochOf(1) };
    expect(reasonOf(cluster.propose(2, [fence, openBoth]))).toBe("ok");
    expect(cluster.image.stream(stream(1))).toMatchObject({ epoch: 3, node: 2 });
    cluster.register(1);
    expect(propose(openBoth)).toBe("stale-epoch");
    const missing: MetadataEvent = { kind: "open-streams", streams: [stream(1), stream(99)] };
    expect(reasonOf(cluster.propose(2, [missing]))).toBe("missing");
    expect(cluster.image.stream(stream(1))?.epoch).toBe(3);
  });

  test("commits continue where the stream ends, under its epoch, each object once", () => {
    propose(openBoth);
    expect(propose(commit("a", range(1, 0, 10), range(2, 0, 4)))).toBe("ok");
    expect(propose(commit("a", range(1, 10, 12)))).toBe("exists");
    expect(propose(commit("b", range(1, 9, 12)))).toBe("gap");
    expect(propose(commit("b", range(1, 10, 12, 0)))).toBe("stale-epoch");
    expect(propose(commit("b", range(1, 12, 11)))).toBe("invalid");
    expect(propose(commit("b", range(9, 0, 1)))).toBe("missing");
    expect(propose(commit("b", range(1, 15, 20)))).toBe("ok"); // A gap upward is the stream's own affair.
    expect(cluster.image.stream(stream(1))).toMatchObject({ start: 0, end: 20 });
    expect(cluster.image.ranges(stream(1), offset(0)).map(({ from, to, object }) => [from, to, object])).toEqual([
      [0, 10, "a"],
      [15, 20, "b"],
    ]);
    expect(cluster.image.ranges(stream(1), offset(10)).map(({ object }) => object)).toEqual(["b"]);
    expect(cluster.image.ranges(stream(1), offset(20))).toEqual([]);
    expect(cluster.image.object("a")).toMatchObject({ bytes: 100, kind: "stream-set", node: 1 });
  });

  test("a trim moves forward only, by the writer only, and frees what no stream names any more", () => {
    propose(openBoth);
    propose(commit("a", range(1, 0, 10), range(2, 0, 4)), commit("b", range(1, 10, 20), range(2, 4, 8)));
    expect(propose(trim(1, 12))).toBe("ok");
    expect(cluster.image.ranges(stream(1), offset(0)).map(({ object }) => object)).toEqual(["b"]);
    expect([...cluster.image.unreferenced()]).toEqual([]); // Stream 2 is still in object a.
    expect(propose(trim(1, 3))).toBe("ok");
    expect(cluster.image.stream(stream(1))?.start).toBe(12);
    expect(propose(trim(2, 4))).toBe("ok");
    expect([...cluster.image.unreferenced()]).toEqual([{ object: "a", since: cluster.image.seq }]);
    cluster.register(2);
    expect(reasonOf(cluster.propose(2, [trim(1, 15)]))).toBe("stale-epoch");
  });

  test("the newest range of a stream stays however far it is trimmed, also when it was uploaded after the trim", () => {
    propose(openBoth);
    expect(propose(trim(1, 30))).toBe("ok");
    expect(propose(commit("a", range(1, 0, 10), range(1, 10, 20)))).toBe("ok"); // Twice in one object: the first goes.
    expect(cluster.image.stream(stream(1))).toMatchObject({ start: 30, end: 20 });
    expect(cluster.image.ranges(stream(1), offset(0)).map(({ from }) => from)).toEqual([10]);
    expect([...cluster.image.unreferenced()]).toEqual([]);
    expect(propose(commit("b", range(1, 20, 40)))).toBe("ok");
    expect(cluster.image.ranges(stream(1), offset(0)).map(({ object }) => object)).toEqual(["b"]);
    expect([...cluster.image.unreferenced()].map(({ object }) => object)).toEqual(["a"]);
    expect(propose(commit("empty"))).toBe("ok");
    expect([...cluster.image.unreferenced()].map(({ object }) => object)).toEqual(["a", "empty"]);
  });

  describe("replaced ranges", () => {
    const replace = (object: string, ...ranges: ReplacingRange[]): MetadataEvent => {
      return { kind: "replace-ranges", object, bytes: 50, objectKind: "stream", ranges };
    };
    const by = (id: number, from: number, to: number, ...replaces: string[]): ReplacingRange => {
      return { stream: stream(id), from: offset(from), to: offset(to), bytes: 7, maxTimestamp: 4, replaces };
    };
    const held = (id: number) =>
      cluster.image.ranges(stream(id), offset(0)).map(({ from, to, object, epoch }) => [from, to, object, epoch]);
    const free = () => [...cluster.image.unreferenced()].map(({ object }) => object);

    beforeEach(() => {
      propose(openBoth);
      propose(commit("a", range(1, 0, 10), range(2, 0, 4)), commit("b", range(1, 10, 20)));
      propose(openBoth);
      propose(commit("c", range(1, 25, 30, 2), range(2, 4, 8, 2))); // After a gap.
    });

    test("one range stands for several, with the newest one's epoch; what nobody names is free", () => {
      expect(propose(replace("m", by(1, 0, 20, "a", "b")))).toBe("ok");
      expect(held(1)).toEqual([
        [0, 20, "m", 1],
        [25, 30, "c", 2],
      ]);
      expect(free()).toEqual(["b"]);
      expect(propose(replace("n", by(1, 0, 30, "m", "c"), by(2, 0, 8, "a", "c")))).toBe("ok");
      expect([held(1), held(2)]).toEqual([[[0, 30, "n", 2]], [[0, 8, "n", 2]]]);
      expect(free()).toEqual(["b", "m", "a", "c"]);
      expect(cluster.image.ranges(stream(1), offset(29))[0]).toMatchObject({ bytes: 7, maxTimestamp: 4 });
      expect(propose(commit("d", range(1, 30, 40, 2)))).toBe("ok"); // The stream goes on as before.
      expect(propose({ kind: "objects-deleted", objects: free() })).toBe("ok");
      expect([...cluster.image.objects()].map(({ key }) => key)).toEqual(["n", "d"]);
    });

    test("one range is replaced by a cleaned one", () => {
      expect(propose(replace("m", by(1, 10, 20, "b")))).toBe("ok");
      expect(held(1).map(([, , object]) => object)).toEqual(["a", "m", "c"]);
      expect(free()).toEqual(["b"]);
    });

    test("anything but the present ranges, whole, in order, is stale, and all of the event with it", () => {
      const stale = [
        by(1, 0, 20, "a"),
        by(1, 0, 20, "b", "a"),
        by(1, 0, 20, "a", "b", "c"),
        by(1, 0, 15, "a", "b"),
        by(1, 5, 20, "a", "b"),
        by(1, 0, 10, "x"),
        by(1, 10, 40, "b", "c", "d"),
        by(1, 30, 40, "d"),
      ];
      for (const range of stale) expect(propose(replace("m", by(2, 0, 4, "a"), range))).toBe("stale-version");
      expect(held(2)[0]).toEqual([0, 4, "a", 1]);
      expect(free()).toEqual([]);
      propose(trim(1, 10));
      expect(propose(replace("m", by(1, 0, 20, "a", "b")))).toBe("stale-version");
      expect(propose(replace("m", by(1, 10, 20, "b")))).toBe("ok");
    });

    test("only the stream's writer replaces, with a new object", () => {
      cluster.register(2);
      expect(reasonOf(cluster.propose(2, [replace("m", by(1, 0, 10, "a"))]))).toBe("stale-epoch");
      expect(propose(replace("a", by(1, 0, 10, "a")))).toBe("exists");
      expect(propose(replace("", by(1, 0, 10, "a")))).toBe("invalid");
      expect(propose(replace("m"))).toBe("invalid");
      expect(propose(replace("m", by(1, 0, 0)))).toBe("invalid");
      expect(propose(replace("m", by(1, 0, 10, "a"), by(1, 0, 10, "m")))).toBe("invalid"); // Not itself.
      expect(free()).toEqual([]);
      expect(propose(replace("m", by(9, 0, 10, "a")))).toBe("missing");
    });

    test("the newest range stays below the start of a stream, merged or not", () => {
      propose(trim(1, 30));
      expect(held(1)).toEqual([[25, 30, "c", 2]]);
      expect(propose(replace("m", by(1, 25, 30, "c")))).toBe("ok");
      expect(held(1)).toEqual([[25, 30, "m", 2]]);
      propose(commit("d", range(1, 30, 31, 2)));
      expect(held(1)).toEqual([[30, 31, "d", 2]]);
      expect(free()).toContain("m");
    });
  });

  test("only objects that nobody names are deleted; a deleted topic frees its own", () => {
    propose(openBoth);
    propose(commit("a", range(1, 0, 10)));
    expect(propose({ kind: "objects-deleted", objects: ["a"] })).toBe("invalid");
    expect(propose({ kind: "delete-topic", topicId: one })).toBe("ok");
    expect([...cluster.image.unreferenced()].map(({ object }) => object)).toEqual(["a"]);
    expect(propose({ kind: "objects-deleted", objects: ["a", "never was"] })).toBe("ok");
    expect([...cluster.image.objects()]).toEqual([]);
    expect([...cluster.image.unreferenced()]).toEqual([]);
  });

  test("thousands of ranges are found by offset, and trimmed from the front", () => {
    propose(openBoth);
    for (let i = 0; i < 2000; i++) propose(commit(`o${i}`, range(1, i * 10, i * 10 + 10)));
    expect(cluster.image.ranges(stream(1), offset(12_345))).toHaveLength(766);
    propose(trim(1, 19_000));
    expect(cluster.image.ranges(stream(1), offset(0)).map(({ from }) => from)).toHaveLength(100);
    propose(commit("last", range(1, 20_000, 20_001)));
    expect(cluster.image.ranges(stream(1), offset(0)).at(-1)).toMatchObject({ from: 20_000, object: "last" });
    expect([...cluster.image.unreferenced()]).toHaveLength(1900);
  });
});

describe("tables", () => {
  const table = uuidOf(50);

  function round(
    change: Partial<EventOf<"add-table-round">>,
    ...ranges: [partition: number, from: number, to: number][]
  ) {
    const main = { location: "s3://b/m.avro", bytes: 9, rows: 3 };
    return {
      kind: "add-table-round",
      table,
      generation: 1,
      lane: "live",
      schemaId: 1,
      specId: 0,
      mappingVersion: 1,
      ranges: ranges.map(([partition, from, to]) => ({ partition, from: offset(from), to: offset(to), skips: 0 })),
      main,
      deadLetters: null,
      deletes: null,
      ...change,
    } as const satisfies MetadataEvent;
  }

  function committed(upTo: number): MetadataEvent {
    return { kind: "table-rounds-committed", table, upTo: upTo as Seq, snapshotId: 1n };
  }

  beforeEach(() => {
    const create = { kind: "create-table", table, topicId: one, generation: 1, catalog: "c", name: "t" } as const;
    expect(propose(create)).toBe("ok");
    expect(propose(create)).toBe("exists");
    expect(propose({ ...create, table: uuidOf(51) })).toBe("exists");
    expect(propose({ ...create, table: uuidOf(51), name: "u", topicId: uuidOf(9) })).toBe("missing");
  });

  test("rounds continue what is pending or committed of their lane; the first may begin anywhere", () => {
    expect(propose(round({}, [0, 7, 10], [1, 0, 5]))).toBe("ok");
    expect(propose(round({}, [0, 11, 12]))).toBe("gap");
    expect(propose(round({}, [0, 7, 10]))).toBe("gap");
    expect(propose(round({}, [0, 10, 12], [1, 4, 6]))).toBe("gap");
    expect(propose(round({ lane: "backfill" }, [0, 0, 7]))).toBe("ok");
    expect(propose(round({ generation: 2 }, [0, 10, 12]))).toBe("stale-version");
    expect(propose(round({ table: uuidOf(59) }, [0, 10, 12]))).toBe("missing");
    expect(propose(round({}))).toBe("invalid");
    expect(propose(round({}, [0, 10, 9]))).toBe("invalid");
    expect(propose(round({ main: { location: "", bytes: 1, rows: 1 } }, [0, 10, 12]))).toBe("invalid");
    expect(propose(round({}, [0, 10, 12]))).toBe("ok");
    expect(cluster.image.table(table)?.translatedTo).toEqual(
      new Map([
        [0, 12],
        [1, 5],
      ]),
    );
    expect(cluster.image.table(table)?.committedTo).toEqual(new Map());
  });

  test("rounds of a replay may begin anywhere, and stand or fall with the state that is proposed with them", () => {
    const state = (expectedVersion: number) =>
      ({ kind: "table-schema", table, expectedVersion, schema: new Uint8Array([1]) }) as const;
    expect(propose(round({}, [0, 0, 20]))).toBe("ok");
    expect(propose(round({ lane: "replay" }, [0, 4, 9]), state(0))).toBe("ok");
    expect(propose(round({ lane: "replay" }, [0, 2, 6]), state(0))).toBe("stale-version");
    expect(cluster.image.table(table)?.pending).toHaveLength(2);
    expect(propose(round({ lane: "replay" }, [0, 2, 6]), state(1))).toBe("ok");
    expect(cluster.image.table(table)?.translatedTo).toEqual(new Map([[0, 20]]));
  });

  test("an entry adds one round to a table: rounds are told apart by their seq", () => {
    const both = cluster.propose(1, [round({}, [0, 0, 1])], [round({}, [0, 1, 2])]);
    expect(both.decision.refusals.map((refusal) => refusal?.reason)).toEqual([undefined, "invalid"]);
  });

  test("what is committed leaves the pending rounds as a prefix; said again, nothing changes", () => {
    const seqs = [5, 10, 15].map((to) => {
      expect(propose(round({}, [0, to - 5, to]))).toBe("ok");
      return cluster.image.seq;
    }) as [Seq, Seq, Seq];
    expect(propose(committed(seqs[1]))).toBe("ok");
    expect(cluster.image.table(table)).toMatchObject({ committedSeq: seqs[1], committedTo: new Map([[0, 10]]) });
    expect(cluster.image.table(table)?.pending.map(({ seq, nodeEpoch }) => [seq, nodeEpoch])).toEqual([[seqs[2], 1]]);
    expect(propose(committed(seqs[1]))).toBe("ok");
    expect(propose(committed(seqs[0]))).toBe("ok");
    expect(cluster.image.table(table)?.committedSeq).toBe(seqs[1]);
    expect(propose(committed(999))).toBe("missing");
    expect(propose(round({}, [0, 15, 16]))).toBe("ok");
  });

  test("a pending round is replaced under its own seq, with the same ranges and nothing else", () => {
    const [first, second] = [round({}, [0, 0, 5], [1, 0, 2]), round({}, [0, 5, 9])].map((event) => {
      expect(propose(event)).toBe("ok");
      return cluster.image.seq;
    }) as [Seq, Seq];
    const again = (seq: number, ...ranges: [partition: number, from: number, to: number][]) => {
      const { generation: _generation, lane: _lane, ...content } = round({ mappingVersion: 2 }, ...ranges);
      const main = { location: "s3://b/again.avro", bytes: 8, rows: 2 };
      return { ...content, kind: "replace-table-round", seq: seq as Seq, main } as const satisfies MetadataEvent;
    };
    expect(propose(again(first, [0, 0, 5]))).toBe("gap");
    expect(propose(again(first, [0, 0, 4], [1, 0, 2]))).toBe("gap");
    expect(propose(again(first, [0, 0, 5], [2, 0, 2]))).toBe("gap");
    expect(propose(again(999, [0, 0, 5], [1, 0, 2]))).toBe("missing");
    expect(propose({ ...again(first, [0, 0, 5], [1, 0, 2]), main: { location: "", bytes: 1, rows: 1 } })).toBe(
      "invalid",
    );
    const before = cluster.image.table(table);
    expect(propose(again(first, [0, 0, 5], [1, 0, 2]))).toBe("ok");
    const after = cluster.image.table(table);
    expect(
      after?.pending.map(({ seq, lane, mappingVersion, main }) => [seq, lane, mappingVersion, main?.location]),
    ).toEqual([
      [first, "live", 2, "s3://b/again.avro"],
      [second, "live", 1, "s3://b/m.avro"],
    ]);
    expect(after?.translatedTo).toEqual(before?.translatedTo);
    expect(propose(committed(first))).toBe("ok");
    expect(propose(again(first, [0, 0, 5], [1, 0, 2]))).toBe("missing");
  });

  test("schema bytes move by compare-and-set, the state says why", () => {
    const schema = (expectedVersion: number): MetadataEvent => ({
      kind: "table-schema",
      table,
      expectedVersion,
      schema: Uint8Array.of(expectedVersion),
    });
    expect(propose(schema(0))).toBe("ok");
    expect(propose(schema(0))).toBe("stale-version");
    expect(propose(schema(1))).toBe("ok");
    expect(cluster.image.table(table)).toMatchObject({ schemaVersion: 2, schema: Uint8Array.of(1) });
    expect(propose({ kind: "table-state", table, state: "diverged", reason: "rolled back" })).toBe("ok");
    expect(cluster.image.table(table)).toMatchObject({ state: "diverged", reason: "rolled back" });
  });

  test("the table outlives its topic", () => {
    propose(round({}, [0, 0, 1]));
    propose({ kind: "delete-topic", topicId: one });
    expect(propose(committed(cluster.image.table(table)?.pending[0]?.seq as number))).toBe("ok");
  });
});

describe("catalog", () => {
  const put = (namespace: string, mustBeNew = true): MetadataEvent => ({
    kind: "put-namespace",
    namespace,
    properties: new Map([["owner", "us"]]),
    mustBeNew,
  });
  const move = (...pointers: [table: string, expected: string | null, location: string | null][]): MetadataEvent => ({
    kind: "move-table-pointers",
    pointers: pointers.map(([table, expected, location]) => ({ namespace: "n", table, expected, location })),
  });

  test("pointers move by compare-and-set, all or none", () => {
    expect(propose(move(["a", null, "v1"]))).toBe("missing");
    expect(propose(put("n"))).toBe("ok");
    expect(propose(move(["a", null, "v1"], ["b", null, "v1"]))).toBe("ok");
    expect(propose(move(["a", null, "v2"]))).toBe("exists");
    expect(propose(move(["a", "v0", "v2"]))).toBe("stale-version");
    expect(propose(move(["c", "v1", "v2"]))).toBe("missing");
    expect(propose(move(["a", "v1", "v2"], ["b", "v0", "v2"]))).toBe("stale-version");
    expect(cluster.image.tablePointer("n", "a")).toBe("v1");
    expect(propose(move(["a", "v1", "v2"], ["b", "v1", null]))).toBe("ok");
    expect([...cluster.image.tablePointers("n")]).toEqual([["a", "v2"]]);
  });

  test("a namespace is made once, changed at will, dropped when empty", () => {
    expect(propose(put("n"))).toBe("ok");
    expect(propose(put("n"))).toBe("exists");
    expect(propose(put("n", false))).toBe("ok");
    expect(cluster.image.namespace("n")).toEqual(new Map([["owner", "us"]]));
    propose(move(["a", null, "v1"]));
    expect(propose({ kind: "drop-namespace", namespace: "n" })).toBe("invalid");
    propose(move(["a", "v1", null]));
    expect(propose({ kind: "drop-namespace", namespace: "n" })).toBe("ok");
    expect(propose({ kind: "drop-namespace", namespace: "n" })).toBe("missing");
  });
});

test("facts are set and removed key by key, in tables of their own", () => {
  const set = (...facts: [key: string, value: string | null][]): MetadataEvent => ({
    kind: "set-facts",
    facts: facts.map(([key, value]) => ({ table: "acls", key, value })),
  });
  expect(propose(set(["a", "1"], ["b", "2"]))).toBe("ok");
  expect(propose(set(["a", null], ["c", null], ["b", "3"]))).toBe("ok");
  expect([...cluster.image.facts("acls")]).toEqual([["b", "3"]]);
  expect(cluster.image.fact("acls", "b")).toBe("3");
  expect(cluster.image.fact("quotas", "b")).toBeUndefined();
  expect(propose(set(["b", null]))).toBe("ok");
  expect(cluster.image.factTables.size).toBe(0);
});
