/** Share groups (KIP-932): membership, offsets, and reading in a session. */
import { uuidZero } from "../../../src/base/ids.ts";
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh, generationOf, type StepOf, topicIdOf } from "../step.ts";
import { shareSession } from "./share-sessions.ts";

const group = `${fresh}q`;
/** Member ids of share groups are made by clients; sessions want them to be ids. */
const members = { m0: "AAAAAAAAAAAAAAAAAAAAAA", m1: "BBBBBBBBBBBBBBBBBBBBBA" } as const;

export const shareGroupHeartbeat: Generator<"shareGroupHeartbeat"> = (draw) => {
  const member = draw.of(["m0", "m1"]);
  const joining = draw.chance(0.6);
  const label = `q-${member}`;
  return {
    api: "shareGroupHeartbeat",
    version: 1,
    connection: "main",
    label,
    body: {
      groupId: draw.mostly(group, ["", `${fresh}g`, `${fresh}unknown`], 0.1),
      memberId: draw.mostly(members[member], ["", "stranger"], 0.06),
      memberEpoch: joining ? 0 : draw.mostly(generationOf(label), [-1, -2, 99], 0.3),
      rackId: draw.mostly(null, ["r", ""], 0.08),
      subscribedTopicNames: joining
        ? draw.mostly([`${fresh}a`], [[], null, [`${fresh}unknown`], [`${fresh}a`, `${fresh}b`]], 0.3)
        : draw.mostly(null, [[`${fresh}b`]], 0.1),
    },
  };
};

export const shareGroupDescribe: Generator<"shareGroupDescribe"> = (draw) => ({
  api: "shareGroupDescribe",
  version: 1,
  connection: "main",
  body: {
    groupIds: draw.distinct(2, () => draw.mostly(group, [`${fresh}g`, `${fresh}unknown`, ""], 0.3), String, 1),
    includeAuthorizedOperations: draw.chance(0.3),
  },
});

export const describeShareGroupOffsets: Generator<"describeShareGroupOffsets"> = (draw) => ({
  api: "describeShareGroupOffsets",
  version: draw.version("describeShareGroupOffsets"),
  connection: "main",
  body: {
    groups: [
      {
        groupId: draw.mostly(group, [`${fresh}g`, `${fresh}unknown`, ""], 0.2),
        topics: draw.mostly([{ topicName: draw.ownTopic(), partitions: [draw.partition()] }], [null, []], 0.3),
      },
    ],
  },
});

export const alterShareGroupOffsets: Generator<"alterShareGroupOffsets"> = (draw) => ({
  api: "alterShareGroupOffsets",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.mostly(group, [`${fresh}g`, `${fresh}unknown`, ""], 0.15),
    topics: [
      {
        topicName: draw.ownTopic(),
        partitions: [{ partitionIndex: draw.partition(), startOffset: draw.mostly(0, [1, -1, 100], 0.4) }],
      },
    ],
  },
});

export const deleteShareGroupOffsets: Generator<"deleteShareGroupOffsets"> = (draw) => ({
  api: "deleteShareGroupOffsets",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.mostly(group, [`${fresh}g`, `${fresh}unknown`, ""], 0.15),
    topics: [{ topicName: draw.ownTopic() }],
  },
});

/** A session that reads, or a request that no session is behind. */
export const shareFetch: Generator<"shareFetch"> = (draw) =>
  draw.chance(0.7) ? shareSession(draw) : withoutSession(draw);

const withoutSession = (draw: Draw): StepOf<"shareFetch"> => ({
  api: "shareFetch",
  version: draw.version("shareFetch"),
  connection: "main",
  body: {
    ...strange(draw),
    maxWaitMs: 0,
    minBytes: 0,
    maxRecords: draw.mostly(100, [0, -1], 0.2),
    batchSize: 100,
    topics: [],
    forgottenTopicsData: [],
  },
});
export const shareAcknowledge: Generator<"shareAcknowledge"> = (draw) => ({
  api: "shareAcknowledge",
  version: draw.version("shareAcknowledge"),
  connection: "main",
  body: {
    ...strange(draw),
    topics: draw.of([
      [],
      [
        {
          topicId: topicIdOf(`${fresh}a`),
          partitions: [
            { partitionIndex: 0, acknowledgementBatches: [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1] }] },
          ],
        },
      ],
    ]),
  },
});

/** What brokers ask of each other; groups of their own, since a heartbeat makes states too. */
const stateGroup = `${fresh}w`;

function stateTopics<Partition>(draw: Draw, partition: () => Partition) {
  const topicId = draw.mostly(topicIdOf(`${fresh}a`), [topicIdOf(`${fresh}unknown`), uuidZero], 0.08);
  return draw.mostly([{ topicId, partitions: [partition()] }], [[], [{ topicId, partitions: [] }]], 0.05);
}

const statePartition = (draw: Draw): number => draw.mostly(draw.of([0, 0, 1]), [2, -1], 0.08);

export const initializeShareGroupState: Generator<"initializeShareGroupState"> = (draw) => ({
  api: "initializeShareGroupState",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.mostly(stateGroup, [""], 0.03),
    topics: stateTopics(draw, () => ({
      partition: statePartition(draw),
      stateEpoch: draw.mostly(draw.int(3), [-1], 0.08),
      startOffset: draw.mostly(draw.int(3), [-1], 0.3),
    })),
  },
});

export const readShareGroupState: Generator<"readShareGroupState"> = (draw) => ({
  api: "readShareGroupState",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.mostly(stateGroup, [""], 0.03),
    topics: stateTopics(draw, () => ({
      partition: statePartition(draw),
      leaderEpoch: draw.mostly(draw.int(3), [-1], 0.08),
    })),
  },
});

export const writeShareGroupState: Generator<"writeShareGroupState"> = (draw) => ({
  api: "writeShareGroupState",
  version: draw.version("writeShareGroupState"),
  connection: "main",
  body: {
    groupId: draw.mostly(stateGroup, [""], 0.03),
    topics: stateTopics(draw, () => ({
      partition: statePartition(draw),
      stateEpoch: draw.mostly(draw.int(3), [-1], 0.08),
      leaderEpoch: draw.mostly(draw.int(3), [-1], 0.08),
      startOffset: draw.mostly(draw.int(6), [-1], 0.2),
      deliveryCompleteCount: draw.mostly(draw.int(4), [-1], 0.2),
      stateBatches: draw.some(3, () => {
        const firstOffset = draw.int(8);
        const lastOffset = firstOffset + draw.int(4);
        return { firstOffset, lastOffset, deliveryState: draw.of([0, 2, 4]), deliveryCount: 1 + draw.int(2) };
      }),
    })),
  },
});

export const deleteShareGroupState: Generator<"deleteShareGroupState"> = (draw) => ({
  api: "deleteShareGroupState",
  version: 0,
  connection: "main",
  body: {
    groupId: draw.mostly(stateGroup, [""], 0.03),
    topics: stateTopics(draw, () => ({ partition: statePartition(draw) })),
  },
});

export const readShareGroupStateSummary: Generator<"readShareGroupStateSummary"> = (draw) => ({
  api: "readShareGroupStateSummary",
  version: draw.version("readShareGroupStateSummary"),
  connection: "main",
  body: {
    groupId: draw.mostly(stateGroup, [""], 0.03),
    topics: stateTopics(draw, () => ({ partition: statePartition(draw), leaderEpoch: draw.int(2) })),
  },
});

function strange(draw: Draw) {
  return {
    groupId: draw.mostly(group, [null, ""], 0.2),
    memberId: draw.mostly(members.m0, ["", "stranger", null], 0.3),
    shareSessionEpoch: draw.of([1, 2, -1, 99]),
  };
}
