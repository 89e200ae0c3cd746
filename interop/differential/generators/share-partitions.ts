/**
 * Share sessions over several partitions of two topics: they come and go, are answered for together, with what is right and what is
 * wrong side by side, and share the limits of a request.
 *
 * What Kafka leaves open is not asked for:
 * - It answers with the partitions that it has opened first. So another member opens all of them while they are empty, and stays.
 * - It keeps what is held of forgotten partitions until the locks run out. So who has forgotten one, or begun anew, does not end its session.
 * Which partitions fill the limits of an answer is left open too: `fillsOtherwise` in deviations.ts.
 */
import type { Draw } from "../draw.ts";
import { fresh, type Step, type StepOf, topicIdOf } from "../step.ts";
import { type Batches, produced, rangeOf, types } from "./share-sessions.ts";

const partitionCounts = [3, 2] as const;
/** Long enough for Kafka to open all of the partitions. */
const openingMs = 500;
const waitMs = 100;

interface Place {
  readonly topic: string;
  readonly partition: number;
}

interface Group {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly places: readonly Place[];
}

interface Member {
  readonly memberId: string;
  readonly connection: string;
  /** That the next request must have; 0 without a session. */
  epoch: number;
  /** Whether all that it holds may be of partitions that are not of its session. */
  mayHoldMore: boolean;
}

/** A member without a session. */
const without = { epoch: 0, mayHoldMore: false };

interface Session {
  readonly draw: Draw;
  readonly group: Group;
  readonly member: Member;
}

export function sharePartitions(draw: Draw): readonly Step[] {
  const group = groupOf(`${fresh}p${draw.int(1_000_000)}`);
  const members: readonly Member[] = [
    { memberId: "CCCCCCCCCCCCCCCCCCCCCA", connection: "p0", ...without },
    { memberId: "DDDDDDDDDDDDDDDDDDDDDA", connection: "p1", ...without },
  ];
  const steps: Step[] = [created(group), initialized(group), openAll(group), ...writes(draw, group)];
  for (let count = 5 + draw.int(10); count > 0; count -= 1) {
    const member = draw.chance(0.7) ? members[0] : members[1];
    if (member === undefined) break;
    const act = draw.of(["read", "read", "read", "answer", "answer", "write", "leave"]);
    if (act === "write") steps.push(...writes(draw, group));
    else if (act === "leave" && member.epoch > 0 && !member.mayHoldMore) steps.push(leave({ draw, group, member }));
    else if (act === "answer" && member.epoch > 0) steps.push(answer({ draw, group, member }));
    else steps.push(read({ draw, group, member }));
  }
  return steps;
}

function groupOf(groupId: string): Group {
  const topics = partitionCounts.map((_, at) => `${groupId}${at}`);
  const places = topics.flatMap((topic, at) =>
    Array.from({ length: partitionCounts[at] as number }, (_, partition) => ({ topic, partition })),
  );
  return { groupId, topics, places };
}

function created({ topics }: Group): Step {
  return {
    api: "createTopics",
    version: 7,
    connection: "main",
    body: {
      topics: topics.map((name, at) => ({
        name,
        numPartitions: partitionCounts[at] as number,
        replicationFactor: 1,
        assignments: [],
        configs: [],
      })),
      timeoutMs: 10_000,
    },
  };
}

function initialized({ groupId, places }: Group): Step {
  const topics = byTopic(places, ({ partition }) => ({ partition, stateEpoch: 1, startOffset: 0 }));
  return { api: "initializeShareGroupState", version: 0, connection: "main", body: { groupId, topics } };
}

function openAll({ groupId, places }: Group): Step {
  return {
    api: "shareFetch",
    version: 2,
    connection: "opener",
    body: {
      groupId,
      memberId: "EEEEEEEEEEEEEEEEEEEEEA",
      shareSessionEpoch: 0,
      maxWaitMs: openingMs,
      minBytes: 1,
      maxBytes: 1 << 20,
      maxRecords: 500,
      batchSize: 500,
      topics: byTopic(places, ({ partition }) => ({ partitionIndex: partition, acknowledgementBatches: [] })),
      forgottenTopicsData: [],
    },
  };
}

function writes(draw: Draw, { places }: Group): readonly Step[] {
  return draw.some(4, () => draw.of(places), 1).map(({ topic, partition }) => produced(draw, topic, partition));
}

/** Begins a session or goes on with it. What is released would be given out again by the same request; so nothing is. */
function read(session: Session): Step {
  const { draw, group, member } = session;
  const isFirst = member.epoch === 0;
  const answers = draw.chance(isFirst ? 0.05 : 0.5) ? answersOf(session, [types.accept, types.reject]) : [];
  const added = draw.distinct(isFirst ? 5 : 1, () => placeOf(session), idOf, isFirst ? 2 : 0);
  const forgotten = isFirst ? [] : draw.distinct(1, () => placeOf(session), idOf);
  const version = draw.version("shareFetch");
  const shareSessionEpoch = draw.mostly(member.epoch, [member.epoch + 1, member.epoch - 1, 0], 0.08);
  if (shareSessionEpoch === 0 && answers.length === 0) {
    Object.assign(member, { epoch: 1, mayHoldMore: !isFirst });
  } else if (shareSessionEpoch === member.epoch) {
    member.epoch += 1;
    member.mayHoldMore ||= forgotten.length > 0;
  }
  return {
    api: "shareFetch",
    version,
    connection: member.connection,
    body: {
      groupId: group.groupId,
      memberId: member.memberId,
      shareSessionEpoch,
      maxWaitMs: waitMs,
      minBytes: 1,
      maxBytes: 1 << 20,
      maxRecords: draw.mostly(500, [1, 2, 3, 5], 0.5),
      batchSize: draw.mostly(500, [1, 2], 0.3),
      shareAcquireMode: version >= 2 ? draw.mostly(0, [1], 0.4) : 0,
      topics: topicsOf([...answers, ...added.filter((at) => !answers.some((one) => idOf(one) === idOf(at)))]),
      forgottenTopicsData: byTopic(forgotten, ({ partition }) => partition),
    },
  };
}

function answer(session: Session): Step {
  const { draw, group, member } = session;
  const among = draw.mostly([types.accept, types.release, types.reject], [[types.gap]], 0.1);
  const shareSessionEpoch = draw.mostly(member.epoch, [member.epoch + 1, member.epoch - 1, 0], 0.08);
  if (shareSessionEpoch === member.epoch) member.epoch += 1;
  return {
    api: "shareAcknowledge",
    version: draw.version("shareAcknowledge"),
    connection: member.connection,
    body: {
      groupId: group.groupId,
      memberId: member.memberId,
      shareSessionEpoch,
      topics: topicsOf(answersOf(session, among)),
    },
  };
}

/** With a last word about some partitions, or without; by either API. */
function leave(session: Session): Step {
  const { draw, group, member } = session;
  const { connection, memberId } = member;
  const topics = topicsOf(draw.chance(0.8) ? answersOf(session, [types.accept, types.release, types.reject]) : []);
  const who = { groupId: group.groupId, memberId, shareSessionEpoch: -1, topics };
  Object.assign(member, without);
  if (draw.chance(0.5)) {
    return { api: "shareAcknowledge", version: draw.version("shareAcknowledge"), connection, body: who };
  }
  const limits = { maxWaitMs: waitMs, minBytes: 1, maxBytes: 1 << 20, maxRecords: 500, batchSize: 500 };
  const version = draw.version("shareFetch");
  return { api: "shareFetch", version, connection, body: { ...who, ...limits, forgottenTopicsData: [] } };
}

/** Mostly one that there is; else one of a topic that nobody has, or beyond those of the topic. */
function placeOf({ draw, group }: Session): Place {
  const [topic] = group.topics as [string];
  return draw.mostly(
    draw.of(group.places),
    [
      { topic: `${fresh}unknown`, partition: 0 },
      { topic, partition: 7 },
    ],
    0.08,
  );
}

interface Answer extends Place {
  readonly batches: Batches;
}

/** About one partition or more, none of them twice. */
function answersOf(session: Session, among: readonly number[]): readonly Answer[] {
  const places = session.draw.distinct(4, () => placeOf(session), idOf, 1);
  return places.map((at) => ({ ...at, batches: [rangeOf(session.draw, among)] }));
}

function topicsOf(places: readonly (Place & Partial<Answer>)[]): StepOf<"shareAcknowledge">["body"]["topics"] {
  return byTopic(places, ({ partition, batches = [] }) => ({
    partitionIndex: partition,
    acknowledgementBatches: batches,
  }));
}

function byTopic<P extends Place, T>(places: readonly P[], partitionOf: (place: P) => T) {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, its]) => ({
    topicId: topicIdOf(topic),
    partitions: its.map(partitionOf),
  }));
}

function idOf({ topic, partition }: Place): string {
  return `${topic} ${partition}`;
}
