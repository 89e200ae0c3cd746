/** Transactions: often a whole one, since most states lie behind a whole one. */
import { uuidZero } from "../../../src/base/ids.ts";
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { batchOf, fresh, producerEpochOf, producerIdOf, type Step } from "../step.ts";

const id = `${fresh}t`;
const label = "t0";

export const addPartitionsToTxn: Generator<"addPartitionsToTxn"> = (draw) => {
  if (draw.chance(0.5)) return whole(draw);
  const version = draw.version("addPartitionsToTxn");
  const topics = () =>
    draw.distinct(
      2,
      () => ({ name: draw.ownTopic(), partitions: draw.distinct(2, () => draw.partition(), String, 1) }),
      ({ name }) => name,
      1,
    );
  return {
    api: "addPartitionsToTxn",
    version,
    connection: "main",
    body:
      version < 4
        ? { ...by(draw), topics: topics() }
        : { transactions: [{ ...by(draw), verifyOnly: draw.chance(0.5), topics: topics() }] },
  };
};

export const addOffsetsToTxn: Generator<"addOffsetsToTxn"> = (draw) => ({
  api: "addOffsetsToTxn",
  version: draw.version("addOffsetsToTxn"),
  connection: "main",
  body: { ...by(draw), groupId: draw.group() },
});

export const endTxn: Generator<"endTxn"> = (draw) => ({
  api: "endTxn",
  version: draw.version("endTxn"),
  connection: "main",
  label,
  body: { ...by(draw), committed: draw.chance(0.6) },
});

export const txnOffsetCommit: Generator<"txnOffsetCommit"> = (draw) => ({
  api: "txnOffsetCommit",
  version: draw.version("txnOffsetCommit"),
  connection: "main",
  body: {
    ...by(draw),
    groupId: `${fresh}g`,
    topics: [
      {
        name: `${fresh}a`,
        partitions: draw.distinct(
          2,
          () => ({
            partitionIndex: draw.partition(),
            committedOffset: draw.int(9),
            committedMetadata: draw.mostly("", [null, "x".repeat(4097)]),
          }),
          ({ partitionIndex }) => partitionIndex,
          1,
        ),
      },
    ],
  },
});

/** Of a producer that nobody has: else the broker's own markers would meet these. */
export const writeTxnMarkers: Generator<"writeTxnMarkers"> = (draw) => ({
  api: "writeTxnMarkers",
  version: draw.version("writeTxnMarkers"),
  connection: "main",
  body: {
    markers: draw.some(
      1,
      () => ({
        producerId: 987_654_321,
        producerEpoch: draw.int(2),
        transactionResult: draw.chance(0.5),
        coordinatorEpoch: 0,
        topics: draw.distinct(
          2,
          () => ({ name: draw.ownTopic(), partitionIndexes: [draw.partition()] }),
          ({ name }) => name,
          1,
        ),
      }),
      1,
    ),
  },
});

export const describeProducers: Generator<"describeProducers"> = (draw) => ({
  api: "describeProducers",
  version: 0,
  connection: "main",
  body: {
    topics: draw.distinct(
      2,
      () => ({ name: draw.ownTopic(), partitionIndexes: draw.distinct(2, () => draw.partition(), String) }),
      ({ name }) => name,
    ),
  },
});

export const describeTransactions: Generator<"describeTransactions"> = (draw) => ({
  api: "describeTransactions",
  version: 0,
  connection: "main",
  body: { transactionalIds: draw.distinct(2, () => draw.mostly(id, [`${fresh}unknown`, ""], 0.3), String) },
});

export const listTransactions: Generator<"listTransactions"> = (draw) => {
  const version = draw.version("listTransactions");
  return {
    api: "listTransactions",
    version,
    connection: "main",
    body: {
      stateFilters: draw.mostly(
        [],
        [["Ongoing"], ["Empty", "NoSuchState"], ["CompleteCommit", "CompleteAbort"], [""]],
        0.4,
      ),
      producerIdFilters: draw.mostly([], [[producerIdOf(label)], [12345]], 0.2),
      durationFilter: version >= 1 ? draw.mostly(-1, [0, 100_000], 0.2) : -1,
      transactionalIdPattern: version >= 2 ? draw.mostly(null, ["", ".*t$", `${fresh}.*`, "nothing"], 0.3) : null,
    },
  };
};

/** Begun, and mostly with a batch; sometimes ended. */
export function whole(draw: Draw): readonly Step[] {
  const own = { transactionalId: id, producerId: producerIdOf(label), producerEpoch: producerEpochOf(label) };
  const init: Step = {
    api: "initProducerId",
    version: draw.version("initProducerId"),
    connection: "main",
    label,
    body: { transactionalId: id, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 },
  };
  const add: Step = {
    api: "addPartitionsToTxn",
    version: draw.int(4),
    connection: "main",
    body: { ...own, topics: [{ name: `${fresh}a`, partitions: [0] }] },
  };
  const records = [{ timeDeltaMs: -1000, key: "k", value: "v" }];
  const batch = { records, compression: "none", producer: { label, epochDelta: 0, sequence: 0 } } as const;
  const produce: Step = {
    api: "produce",
    version: draw.of([9, 11, 12]),
    connection: "main",
    body: {
      transactionalId: id,
      acks: -1,
      timeoutMs: 10_000,
      topicData: [
        {
          name: `${fresh}a`,
          topicId: uuidZero,
          partitionData: [{ index: 0, records: batchOf({ ...batch, isTransactional: true }) }],
        },
      ],
    },
  };
  const end: Step = {
    api: "endTxn",
    version: draw.version("endTxn"),
    connection: "main",
    label,
    body: { ...own, committed: draw.chance(0.5) },
  };
  return [init, add, ...(draw.chance(0.8) ? [produce] : []), ...(draw.chance(0.6) ? [end] : [])];
}

function by(draw: Draw) {
  return {
    transactionalId: draw.mostly(id, [`${fresh}unknown`], 0.08),
    producerId: draw.mostly(producerIdOf(label), [12345, -1], 0.08),
    producerEpoch: draw.mostly(
      producerEpochOf(label),
      [producerEpochOf(label, -1), producerEpochOf(label, 1), -1],
      0.12,
    ),
  };
}
