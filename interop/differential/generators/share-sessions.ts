/** Share sessions that read: members take records, say what became of them or that they need longer, and leave. */
import type { Draw } from "../draw.ts";
import { batchOf, fresh, type Step, type StepOf, topicIdOf } from "../step.ts";

const topic = `${fresh}a`;
export const types = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const;
/** Enough for a share-partition that is read for the first time; afterwards there is something at once, or nothing. */
const [firstWaitMs, waitMs] = [2000, 100];

type Topics = StepOf<"shareAcknowledge">["body"]["topics"];
export type Batches = Topics[number]["partitions"][number]["acknowledgementBatches"];

interface Member {
  readonly memberId: string;
  readonly connection: string;
  /** That the next request must have, if none before it was refused. */
  epoch: number;
}

/**
 * All of one group, in one partition: of several Kafka answers with those that it has opened first. Its state says where it begins, so that
 * nothing waits for a config to be known.
 */
export function shareSession(draw: Draw): readonly Step[] {
  const groupId = `${fresh}r${draw.int(1_000_000)}`;
  const members: readonly Member[] = [
    { memberId: "AAAAAAAAAAAAAAAAAAAAAA", connection: "r0", epoch: 0 },
    { memberId: "BBBBBBBBBBBBBBBBBBBBBA", connection: "r1", epoch: 0 },
  ];
  const steps: Step[] = [initialize(groupId), ...batches(draw)];
  const isRenewing = draw.chance(0.4);
  for (let count = 3 + draw.int(7); count > 0; count -= 1) {
    const member = draw.chance(0.7) ? members[0] : members[1];
    if (member === undefined) break;
    const session = { draw, groupId, member };
    const act = member.epoch === 0 ? "read" : draw.of(["read", "read", "answer", "answer", "renew", "write"]);
    if (act === "write") steps.push(...batches(draw));
    else if (act === "renew" && isRenewing) steps.push(renew(session));
    else if (act === "answer") steps.push(answer(session));
    else steps.push(read(session));
  }
  for (const member of members) if (member.epoch > 0 && draw.chance(0.7)) steps.push(leave({ draw, groupId, member }));
  return steps;
}

interface Session {
  readonly draw: Draw;
  readonly groupId: string;
  readonly member: Member;
}

function initialize(groupId: string): Step {
  const states = [{ partition: 0, stateEpoch: 1, startOffset: 0 }];
  return {
    api: "initializeShareGroupState",
    version: 0,
    connection: "main",
    body: { groupId, topics: [{ topicId: topicIdOf(topic), partitions: states }] },
  };
}

function batches(draw: Draw): readonly Step[] {
  return draw.some(2, () => produced(draw, topic, 0), 1);
}

/** A batch of a few records. */
export function produced(draw: Draw, name: string, index: number): Step {
  const records = draw.some(4, () => ({ timeDeltaMs: 0, key: null, value: "v" }), 1);
  const partitionData = [{ index, records: batchOf({ records, compression: "none" }) }];
  return {
    api: "produce",
    version: 12,
    connection: "main",
    body: { transactionalId: null, acks: -1, timeoutMs: 10_000, topicData: [{ name, partitionData }] },
  };
}

/** What is released would be given out again by the same request, sooner or later; so nothing is. */
function read({ draw, groupId, member }: Session): Step {
  const { memberId, connection, epoch } = member;
  const version = draw.version("shareFetch");
  const isFirst = epoch === 0;
  member.epoch += 1;
  return {
    api: "shareFetch",
    version,
    connection,
    body: {
      groupId,
      memberId,
      shareSessionEpoch: isFirst ? 0 : draw.mostly(epoch, [epoch + 1, epoch - 1], 0.06),
      maxWaitMs: isFirst ? firstWaitMs : waitMs,
      minBytes: 1,
      maxBytes: 1 << 20,
      maxRecords: draw.mostly(500, [1, 2, 3], 0.4),
      batchSize: draw.mostly(500, [1, 2], 0.3),
      shareAcquireMode: version >= 2 ? draw.mostly(0, [1], 0.3) : 0,
      topics: isFirst || draw.chance(0.5) ? topicsOf([]) : answered(draw, [types.accept, types.reject]),
      forgottenTopicsData: [],
    },
  };
}

function answer({ draw, groupId, member }: Session): Step {
  const { memberId, connection, epoch } = member;
  member.epoch += 1;
  return {
    api: "shareAcknowledge",
    version: draw.version("shareAcknowledge"),
    connection,
    body: {
      groupId,
      memberId,
      shareSessionEpoch: draw.mostly(epoch, [epoch + 1, 0], 0.06),
      topics: answered(draw, draw.mostly([types.accept, types.release, types.reject], [[types.gap]], 0.1)),
    },
  };
}

/** Locks that go on; by a fetch that reads nothing, or alone. */
function renew({ draw, groupId, member }: Session): Step {
  const { memberId, connection, epoch } = member;
  const topics = answered(draw, draw.mostly([types.renew], [[types.renew, types.accept]], 0.2));
  const who = { groupId, memberId, shareSessionEpoch: epoch, isRenewAck: draw.chance(0.9), topics };
  member.epoch += 1;
  if (draw.chance(0.5)) return { api: "shareAcknowledge", version: 2, connection, body: who };
  const nothing = who.isRenewAck ? 0 : 1;
  const limits = { maxWaitMs: nothing, minBytes: nothing, maxBytes: nothing, maxRecords: nothing };
  return {
    api: "shareFetch",
    version: 2,
    connection,
    body: { ...who, ...limits, batchSize: draw.of([0, 100]), shareAcquireMode: 0, forgottenTopicsData: [] },
  };
}

function leave({ draw, groupId, member }: Session): Step {
  const { memberId, connection } = member;
  const topics = draw.chance(0.5) ? [] : answered(draw, [types.accept]);
  return {
    api: "shareAcknowledge",
    version: draw.version("shareAcknowledge"),
    connection,
    body: { groupId, memberId, shareSessionEpoch: -1, topics },
  };
}

function answered(draw: Draw, among: readonly number[]): Topics {
  return topicsOf([rangeOf(draw, among)]);
}

/** A range as a member may have been given it, or not. */
export function rangeOf(draw: Draw, among: readonly number[]): Batches[number] {
  const firstOffset = draw.mostly(0, [1, 2, 3, 4, 5, 50], 0.5);
  const offsets = 1 + draw.int(4);
  const isOne = draw.chance(0.6);
  const acknowledgeTypes = Array.from({ length: isOne ? 1 : offsets }, () => draw.of(among));
  return { firstOffset, lastOffset: firstOffset + offsets - 1, acknowledgeTypes };
}

function topicsOf(acknowledgementBatches: Batches): Topics {
  return [{ topicId: topicIdOf(topic), partitions: [{ partitionIndex: 0, acknowledgementBatches }] }];
}
