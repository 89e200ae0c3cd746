/** Where Inlet answers otherwise than Kafka on purpose, and why. Rendered into docs/compatibility.md. */
import { type ApiName, apiNames } from "../../src/protocol/api-table.ts";
import type { Difference } from "./compare.ts";
import type { Plain } from "./normalise.ts";
import type { Step } from "./step.ts";

export interface Deviation {
  readonly apis: readonly ApiName[];
  /** What differs, for the reader of the page. */
  readonly what: string;
  readonly why: string;
  readonly matches: (difference: Difference, step: Step, answers: Answers) => boolean;
  /** The brokers are in different states afterwards: nothing more is sent to them. */
  readonly isLasting?: boolean;
}

/** All of what was answered. */
export interface Answers {
  readonly kafka: Plain;
  readonly inlet: Plain;
}

export const deviations: readonly Deviation[] = [
  {
    apis: ["createTopics", "describeConfigs"],
    what: "A few topic configs that Kafka has after 4.3 are listed too.",
    why: "They are accepted so that newer tools can set them.",
    matches: ({ path, kafka }) => kafka === undefined && /configs\[remote\.copy[^\]]*\]$/.test(path),
  },
  {
    apis: ["describeConfigs"],
    what: "The documentation of a config is in other words.",
    why: "It says what the config does here; of some that is: nothing.",
    matches: ({ path, kafka, inlet }) =>
      path.endsWith(".documentation") && typeof kafka === "string" && typeof inlet === "string",
  },
  {
    apis: ["apiVersions"],
    what: "The features `kraft.version` and `eligible.leader.replicas.version` are not spoken of.",
    why: "There is no quorum of voters here, and no replicas to choose leaders from.",
    matches: ({ path, inlet }) =>
      inlet === undefined && /^(supportedFeatures|finalizedFeatures)\[(kraft|eligible)/.test(path),
  },
  {
    apis: ["apiVersions"],
    what: "GetTelemetrySubscriptions and PushTelemetry are always served.",
    why: "Kafka serves them when a plugin takes what clients push, as in this comparison; here /metrics does.",
    matches: notSent,
  },
  {
    apis: ["getTelemetrySubscriptions"],
    what: "Clients are asked for whole sums, not for their growth.",
    why: "A push that is lost then loses nothing: the next one tells the sum again.",
    matches: ({ path, kafka, inlet }) => path === "deltaTemporality" && kafka === true && inlet === false,
  },
  {
    apis: ["getTelemetrySubscriptions", "pushTelemetry"],
    what: "A client that connects again is known, and must wait for its next turn.",
    why: "Kafka forgets it with its connection, so that connecting again gets around the interval.",
    matches: notSent,
  },
  {
    apis: ["pushTelemetry"],
    what: "A push that holds no metrics is `INVALID_RECORD`.",
    why: "Kafka leaves it to its plugin what it makes of the bytes.",
    matches: ({ path, kafka, inlet }) => path === "errorCode" && kafka === "NONE" && inlet === "INVALID_RECORD",
  },
  {
    apis: ["incrementalAlterConfigs"],
    what: "A request with an unknown operation is refused whole, as `INVALID_REQUEST`.",
    why: "Kafka's controller fails on it, and another one has to be elected, so that it is not sent to it.",
    matches: notSent,
  },
  {
    apis: ["describeLogDirs"],
    what: "The size of the volume is unknown: -1.",
    why: "A bucket has none.",
    matches: ({ path, inlet }) => /results\[\]\.(total|usable)Bytes$/.test(path) && inlet === -1,
  },
  {
    apis: ["shareGroupHeartbeat"],
    what: "The first answer to a member of a share group has its partitions.",
    why: "Kafka gives them to the member once their state is written.",
    // In the end they are the same: settle.ts.
    matches: ({ path }, _step, { inlet }) => path.startsWith("assignment") && !isRefused(inlet),
    isLasting: true,
  },
  {
    apis: ["describeShareGroupOffsets"],
    what: "A partition that does not exist has no offset, and that is answered at once.",
    why: "Kafka waits for a state that nobody will write, and fails on a partition below 0.",
    matches: ({ path, kafka }, { body }, answers) =>
      (path === "" && kafka === "waits" && /"partitions":\[(?!0\])/.test(text(body as Plain))) ||
      (text(answers.kafka).includes('"UNKNOWN_SERVER_ERROR"') && text(body as Plain).includes('"partitions":[-')),
    isLasting: true,
  },
  {
    apis: ["initializeShareGroupState", "readShareGroupState", "writeShareGroupState"],
    what: "An epoch below 0 is `INVALID_REQUEST`.",
    why: "Kafka 4.3.1 takes -1 for any epoch, and keeps it; later releases refuse it, too.",
    matches: (_difference, { body }, { inlet }) =>
      /"(state|leader)Epoch":-1/.test(text(body as Plain)) && text(inlet).includes('"INVALID_REQUEST"'),
    isLasting: true,
  },
  {
    apis: ["consumerGroupHeartbeat"],
    what: "A regular expression that a member gives without names is resolved before the first answer, which has partitions and the epoch that comes with them.",
    why: "Kafka resolves it afterwards, and tells the member at a later heartbeat, as is done here where names were given too.",
    // In the end the partitions are the same: settle.ts.
    matches: ({ path }, { body }, { inlet }) =>
      (path === "memberEpoch" || path.startsWith("assignment")) &&
      /"subscribedTopicRegex":"./.test(text(body as Plain)) &&
      !isRefused(inlet),
    isLasting: true,
  },
  {
    apis: ["alterShareGroupOffsets"],
    what: "A partition below 0 is refused alone.",
    why: "Kafka fails on it, and answers the request with `UNKNOWN_SERVER_ERROR`.",
    matches: (_difference, { body }, { kafka }) =>
      text(kafka).includes('"UNKNOWN_SERVER_ERROR"') && text(body as Plain).includes('"partitionIndex":-'),
    isLasting: true,
  },
  {
    apis: ["describeQuorum"],
    what: "The nodes of the quorum have the listeners of brokers.",
    why: "There are no controllers beside them.",
    matches: ({ path }) => path.startsWith("nodes[].listeners"),
  },
  {
    apis: ["updateFeatures"],
    what: "A success has no message.",
    why: "Kafka says that there was no error.",
    matches: ({ path, inlet }) => path === "results[].errorMessage" && inlet === null,
  },
  {
    apis: ["produce"],
    what: "A transactional batch that names no producer is `INVALID_RECORD`.",
    why: "Kafka writes it, and readers of committed records wait for its end for ever.",
    matches: (_difference, { body }, { inlet }) =>
      JSON.stringify(body).includes('"isTransactional":true') && JSON.stringify(inlet).includes('"INVALID_RECORD"'),
    isLasting: true,
  },
  {
    apis: ["listOffsets", "fetch"],
    what: "An isolation level that does not exist is read as read_uncommitted.",
    why: "Kafka fails on it and answers all partitions with `UNKNOWN_SERVER_ERROR`; no client sends one.",
    matches: (_difference, { body }, { kafka }) =>
      "isolationLevel" in body &&
      ![0, 1].includes(body.isolationLevel as number) &&
      text(kafka).includes('"UNKNOWN_SERVER_ERROR"'),
  },
  {
    apis: apiNames,
    what: "Errors that Kafka leaves without a message have one.",
    why: "It tells a person what to do.",
    matches: ({ path, kafka, inlet }) =>
      path.endsWith("rrorMessage") && (kafka === null || kafka === "") && inlet === "a text",
  },
  {
    apis: ["produce"],
    what: "The log start offset that comes with a refused batch is -1.",
    why: "Kafka fills it for some refusals; clients look at it with `UNKNOWN_PRODUCER_ID` alone, which brokers do not send any more.",
    matches: ({ path, inlet }) => path.endsWith("partitionResponses[].logStartOffset") && inlet === -1,
  },
  {
    apis: ["fetch"],
    what: "No session is made for a fetch without partitions.",
    why: "It would be kept for nothing; the client goes on with full requests.",
    matches: ({ path, inlet }, { body }) =>
      path === "sessionId" && inlet === 0 && "topics" in body && body.topics?.length === 0,
  },
  {
    apis: ["fetch"],
    what: "With an error the list of aborted transactions is empty or null by the isolation level alone.",
    why: "Both say that there are none.",
    matches: ({ path, kafka, inlet }) =>
      path.endsWith(".abortedTransactions") && [kafka, inlet].every((one) => JSON.stringify(one ?? []) === "[]"),
  },
  {
    apis: ["createTopics", "alterConfigs", "incrementalAlterConfigs"],
    what: "`message.format.version` and `message.downconversion.enable` are taken and not kept.",
    why: "Kafka 4 refuses what older clients and tools still send.",
    matches: (_difference, { body }, { kafka }) =>
      /"message\.(format|downconversion)\./.test(JSON.stringify(body)) && text(kafka).includes('"INVALID_CONFIG"'),
    isLasting: true,
  },
  {
    apis: ["produce"],
    what: "Internal topics and wrong acks are refused before the batch is looked at.",
    why: "Kafka looks at its magic and count first; either way the batch is refused.",
    matches: ({ kafka, inlet }) =>
      kafka !== "NONE" && (inlet === "INVALID_TOPIC_EXCEPTION" || inlet === "INVALID_REQUIRED_ACKS"),
  },
  {
    apis: ["streamsGroupHeartbeat"],
    what: "The member that makes a streams group may ask it to shut down at once.",
    why: "Kafka forgets what the very first heartbeat of a group asks for.",
    matches: ({ path, kafka, inlet }) =>
      path === "status[]" && kafka === undefined && JSON.stringify(inlet).includes("requested a shutdown"),
  },
  {
    apis: ["createTopics", "alterConfigs", "incrementalAlterConfigs"],
    what: "`remote.storage.enable` may be true.",
    why: "Kafka refuses it where tiers are off; here every topic lives in the object store.",
    matches: (_difference, { body }, { kafka }) =>
      text(kafka).includes('"INVALID_CONFIG"') && /"remote.storage.enable","value":"true"/i.test(JSON.stringify(body)),
    isLasting: true,
  },
  {
    apis: ["createTopics"],
    what: "`validateOnly` gives no topic id.",
    why: "Kafka gives one that no topic will ever have.",
    matches: ({ path }, { body }) =>
      path === "topics[].topicId" && "validateOnly" in body && body.validateOnly === true,
  },
  {
    apis: ["createPartitions"],
    what: "An empty list of assignments is none.",
    why: "It can mean nothing else, and @platformatic/kafka sends it.",
    matches: ({ kafka, path }, { body }) =>
      JSON.stringify(body).includes('"assignments":[]') &&
      (kafka === "INVALID_REPLICA_ASSIGNMENT" || path.endsWith("Message")),
    isLasting: true,
  },
  {
    apis: ["produce"],
    what: "Bytes that are no batch are refused for their partition, as `INVALID_RECORD`, `CORRUPT_MESSAGE` or `UNSUPPORTED_COMPRESSION_TYPE`.",
    why: "Kafka stumbles over some of them before it looks at partitions, and refuses all of the request.",
    matches: (_difference, { body }, { inlet }) =>
      /"fault":"(length|cut|compression)"/.test(JSON.stringify(body)) &&
      /"(INVALID_RECORD|CORRUPT_MESSAGE|UNSUPPORTED_COMPRESSION_TYPE)"/.test(text(inlet)),
    isLasting: true,
  },
  {
    apis: ["offsetDelete", "deleteGroups", "describeGroups", "listGroups", "offsetCommit"],
    what: "A group without members is gone with its last offset, and one whose first join or commit is refused never was.",
    why: "Kafka keeps its empty shell until it cleans up.",
    matches: ({ path, kafka, inlet }, { api }) =>
      (["offsetDelete", "deleteGroups"].includes(api) && inlet === "GROUP_ID_NOT_FOUND" && kafka === "NONE") ||
      (api === "offsetDelete" && path === "topics[]" && inlet === undefined) ||
      (api === "listGroups" &&
        path === "groups[]" &&
        inlet === undefined &&
        /"groupState":"(Empty)?"/.test(text(kafka))) ||
      (api === "describeGroups" && inlet === "Dead" && kafka === "Empty") ||
      (api === "offsetCommit" &&
        kafka === "UNKNOWN_MEMBER_ID" &&
        (inlet === "ILLEGAL_GENERATION" || inlet === "GROUP_ID_NOT_FOUND")),
    isLasting: true,
  },
  {
    apis: apiNames,
    what: "Where Kafka fails unexpectedly (`UNKNOWN_SERVER_ERROR`), the error says what is wrong.",
    why: "A client can act on it.",
    matches: ({ path, kafka, inlet }, { api }, answers) =>
      (kafka === "UNKNOWN_SERVER_ERROR" && typeof inlet === "string" && inlet !== "NONE") ||
      // Nor does it say then whose join it was.
      (api === "joinGroup" && path === "memberId" && text(answers.kafka).includes('"UNKNOWN_SERVER_ERROR"')),
  },
  {
    apis: ["consumerGroupHeartbeat"],
    what: "Another assignor makes another epoch, and assignment, at once.",
    why: "KIP-848 has it so, and so has Kafka after 4.3.1, which waits for the next change of members or topics.",
    matches: ({ path, kafka, inlet }, { body }) =>
      path === "memberEpoch" &&
      /"serverAssignor":"/.test(text(body as Plain)) &&
      typeof kafka === "number" &&
      inlet === kafka + 1,
    isLasting: true,
  },
  {
    apis: ["consumerGroupHeartbeat", "consumerGroupDescribe"],
    what: "Which of two members gets which of two partitions may differ, where their topics do.",
    why: "Several assignments are equally even; Kafka takes the one that the order of its hashes gives.",
    matches: ({ path, kafka, inlet }) =>
      path.endsWith("ssignment.topicPartitions[].partitions[]") &&
      typeof kafka === "number" &&
      typeof inlet === "number",
    isLasting: true,
  },
  {
    apis: ["joinGroup"],
    what: "A rebalance timeout of 0 or less is the session timeout, as in version 0.",
    why: "In later versions Kafka takes the member out as soon as it has joined. kafkajs sends 0 where nothing else is said.",
    matches: notSent,
  },
  {
    apis: ["describeGroups"],
    what: "A group is described as soon as it has members.",
    why: "Kafka describes its last state that is in the log, which may be none yet while the first members join.",
    matches: ({ path, kafka }) =>
      /^groups\[\]\.(groupState|protocolType|members)/.test(path) && ["Dead", "", undefined].includes(kafka as string),
  },
  {
    apis: ["offsetDelete"],
    what: "Offsets of topics that a joining member may read are kept.",
    why: "Kafka goes by the last generation, and forgets what the member is about to ask for.",
    matches: ({ kafka, inlet }) => kafka === "NONE" && inlet === "GROUP_SUBSCRIBED_TO_TOPIC",
    isLasting: true,
  },
  {
    apis: ["offsetFetch"],
    what: "A committed offset below 0 is not among all offsets of a group.",
    why: "It says that there is none; no client commits one.",
    matches: ({ path, kafka, inlet }) =>
      /(topics|partitions)\[\]$/.test(path) &&
      inlet === undefined &&
      JSON.stringify(kafka).includes('"committedOffset":-'),
  },
  {
    apis: ["incrementalAlterConfigs"],
    what: "Appending an empty text to a list changes nothing.",
    why: "Kafka refuses the list that it then sees.",
    matches: ({ inlet }, { body }) =>
      (inlet === "NONE" || inlet === null) && JSON.stringify(body).includes('"value":"","configOperation":2'),
  },
  {
    apis: ["shareFetch", "shareAcknowledge"],
    what: "Where nothing has to be said of the leader it is -1.",
    why: "Kafka says that it is 0; clients look at it with the errors that come with a leader.",
    matches: ({ path, kafka, inlet }) =>
      /currentLeader\.leader(Id|Epoch)$/.test(path) && (kafka === 0 || kafka === "epoch 0") && inlet === -1,
  },
  {
    apis: ["shareFetch"],
    what: "Acquired offsets that follow each other are one range, whoever had those before them.",
    why: "Kafka cuts ranges where those of others were cut; clients take them apart into records.",
    matches: ({ path }, _, { kafka, inlet }) =>
      path.includes(".acquiredRecords[") && acquiredOffsets(kafka) === acquiredOffsets(inlet),
  },
  {
    apis: ["shareFetch", "shareAcknowledge"],
    what: "Offsets beyond the batches of which some were given out are `INVALID_REQUEST`, others that the member does not hold `INVALID_RECORD_STATE`.",
    why: "Kafka goes by the batches that it holds: it says either of both.",
    matches: ({ path, kafka, inlet }) =>
      /\.(e|acknowledgeE)rrorCode$/.test(path) &&
      [kafka, inlet].includes("INVALID_RECORD_STATE") &&
      [kafka, inlet].includes("INVALID_REQUEST"),
  },
  {
    apis: ["shareFetch", "shareAcknowledge"],
    what: "Answers about offsets beyond all that were given out are refused for their partition.",
    why: "Kafka fails on some of them, and answers the request with `UNKNOWN_SERVER_ERROR`.",
    matches: (_, __, { kafka }) => text(kafka).startsWith('{"errorCode":"UNKNOWN_SERVER_ERROR"'),
    isLasting: true,
  },
  {
    apis: ["shareFetch"],
    what: "Markers of transactions are given to nobody.",
    why: "Kafka gives them out, and clients answer that there is nothing to process.",
    matches: (_, __, { kafka }) => /"flags":(32|48)/.test(text(kafka)),
    isLasting: true,
  },
  {
    apis: ["shareFetch"],
    what: "A topic id that nobody has is `UNKNOWN_TOPIC_ID`.",
    why: "Kafka leaves the partition out, and answers without any where it is the only one.",
    matches: ({ path, kafka, inlet }, _, answers) =>
      (path === "responses[]" && kafka === undefined && text(inlet).includes('"UNKNOWN_TOPIC_ID"')) ||
      (path === "acquisitionLockTimeoutMs" && kafka === 0 && text(answers.inlet).includes('"UNKNOWN_TOPIC_ID"')),
  },
  {
    apis: ["shareFetch", "shareAcknowledge"],
    what: "A member that ends its session gives back all that it holds, of partitions that it has forgotten too.",
    why: "Kafka gives back what is of the session's partitions; the rest waits until its locks run out.",
    matches: notSent,
  },
  {
    apis: ["shareFetch"],
    what: "Where a limit leaves out some partitions, each request of a session begins with the next one.",
    why: "Kafka does so too, but puts first those that it need not look up again, and last, in the order of its hashes, those that gave records.",
    matches: ({ path, kafka, inlet }, { body }, answers) =>
      /^responses\[\](\.partitions\[\](\.(records|acquiredRecords)\[\].*)?)?$/.test(path) &&
      !/"errorCode":"(?!NONE)/.test(text(kafka) + text(inlet)) &&
      "maxRecords" in body &&
      fillsOtherwise(answers, { recordsMax: body.maxRecords, isExact: body.shareAcquireMode === 1 }),
    isLasting: true,
  },
  {
    apis: ["shareFetch"],
    what: "A group that no coordinator has told of its partitions reads all the same, from where its config says.",
    why: "Kafka fails on it (`UNKNOWN_SERVER_ERROR`). Clients join before they read.",
    matches: ({ kafka, inlet }) => kafka === "UNKNOWN_SERVER_ERROR" && inlet === "NONE",
    isLasting: true,
  },
  {
    apis: ["metadata"],
    what: "A topic that is made by asking for it is there in the same answer.",
    why: "Kafka says `UNKNOWN_TOPIC_OR_PARTITION` until the client asks again. What waits for this is a second question less.",
    matches: notSent,
  },
  {
    apis: ["describeShareGroupOffsets"],
    what: "A share-partition has a start offset as soon as a member reads it.",
    why: "Kafka keeps none until records are acknowledged, so that a group of `latest` skips what comes before a restart.",
    matches: notSent,
  },
  {
    apis: ["alterConfigs", "incrementalAlterConfigs"],
    what: "Names of broker configs that do not exist are refused, and so are those of one listener (`listener.name.…`).",
    why: "Kafka keeps what it does not know, for its plugins, and shows it as a secret. Here it can only be a typing error.",
    matches: notSent,
  },
  {
    apis: ["alterConfigs", "incrementalAlterConfigs"],
    what: "`group.consumer.assignment.interval.ms` and its like cannot be changed while the broker runs.",
    why: "They are settings. A single group can be told another interval at any time.",
    matches: notSent,
  },
  {
    apis: ["alterConfigs", "incrementalAlterConfigs"],
    what: "The config of a group that is out of bounds is refused with the bound itself.",
    why: "Kafka names the broker config that says it, such as `group.streams.min.session.timeout.ms`. Here most bounds are fixed.",
    matches: notSent,
  },
];

/** Each offset of each partition with how often it was delivered, in order. */
function acquiredOffsets(answer: Plain): string {
  return [...acquiredOf(answer)]
    .flatMap(([partition, offsets]) => offsets.map((offset) => `${partition} ${offset}`))
    .sort()
    .join();
}

/** Both give as many records as are asked for, of each partition the next ones, but not as many of each. */
function fillsOtherwise(
  { kafka, inlet }: Answers,
  { recordsMax, isExact }: { readonly recordsMax: number; readonly isExact: boolean },
): boolean {
  const [theirs, ours] = [acquiredOf(kafka), acquiredOf(inlet)];
  const counts = [theirs, ours].map((given) => [...given.values()].flat().length);
  const isFull = counts.every((count) => (isExact ? count === recordsMax : count >= recordsMax));
  return isFull && [...theirs].every(([partition, offsets]) => isSameBeginning(offsets, ours.get(partition) ?? []));
}

function isSameBeginning(one: readonly string[], other: readonly string[]): boolean {
  const both = Math.min(one.length, other.length);
  return one.slice(0, both).join() === other.slice(0, both).join();
}

/** Each offset with how often it was delivered, by partition. */
function acquiredOf(answer: Plain): ReadonlyMap<string, readonly string[]> {
  const { responses = [] } = answer as unknown as RequestedRecords;
  const partitions = responses.flatMap(({ topicId, partitions: its }) => its.map((one) => ({ topicId, ...one })));
  return new Map(
    partitions.map(({ topicId, partitionIndex, acquiredRecords }) => [
      `${topicId} ${partitionIndex}`,
      acquiredRecords
        .toSorted((a, b) => a.firstOffset - b.firstOffset)
        .flatMap(({ firstOffset, lastOffset, deliveryCount }) =>
          Array.from({ length: lastOffset - firstOffset + 1 }, (_, at) => `${firstOffset + at} ${deliveryCount}`),
        ),
    ]),
  );
}

interface RequestedRecords {
  readonly responses?: readonly {
    readonly topicId: string;
    readonly partitions: readonly {
      readonly partitionIndex: number;
      readonly acquiredRecords: readonly {
        readonly firstOffset: number;
        readonly lastOffset: number;
        readonly deliveryCount: number;
      }[];
    }[];
  }[];
}

/** What Kafka cannot be asked for, or is made to do as Inlet. */
function notSent(): boolean {
  return false;
}

function text(answer: Plain | undefined): string {
  return JSON.stringify(answer) ?? "";
}

function isRefused(answer: Plain): boolean {
  return typeof answer === "object" && answer !== null && "errorCode" in answer && answer.errorCode !== "NONE";
}
