/**
 * Makes answers of two brokers comparable: what each may choose freely (ids, hosts, times, the order of lists) is named or
 * sorted, and the rest stays as it is.
 */
import { errorName } from "../../schemas/kafka/errors.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { uuidZero } from "../../src/base/ids.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView, splitBatches } from "../../src/protocol/record-batch.ts";
import { fresh, type Step } from "./step.ts";
import { type Outcome, type Target, unknownId } from "./target.ts";

/** JSON: texts, numbers, lists, records. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

export function normalised(target: Target, step: Step, outcome: Outcome): Plain {
  if (outcome.kind !== "answer") return outcome.kind;
  return plain({ target, step, own: ownOnly(step) }, "", outcome.body);
}

interface Context {
  readonly target: Target;
  readonly step: Step;
  /** Whether the answer speaks of more than this run made. */
  readonly own: boolean;
}

/** Requests that ask for everything there is are answered with what other runs left, too. */
function ownOnly(step: Step): boolean {
  if (step.api === "listGroups" || step.api === "listTransactions" || step.api === "listConfigResources") return true;
  if (step.api !== "metadata") return false;
  return step.body.topics === null || (step.version === 0 && step.body.topics.length === 0);
}

function plain(context: Context, key: string, value: unknown): Plain {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return text(context, key, value);
  if (typeof value === "number") return number(context, key, value);
  if (typeof value === "boolean") return value;
  if (typeof value === "bigint") return value.toString();
  if (key === "hmac") return (value as Uint8Array).length > 0 ? "a proof" : "";
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (key === "records") return batches(context, value as readonly Uint8Array[]);
  if (Array.isArray(value)) return list(context, key, value);
  const fields = Object.entries(value).filter(([name]) => name !== "throttleTimeMs");
  return Object.fromEntries(fields.map(([name, inner]) => [name, plain(context, name, inner)]));
}

function list(context: Context, key: string, values: readonly unknown[]): Plain {
  const own = context.own && ["topics", "groups", "transactionStates", "configResources"].includes(key);
  const kept = values.filter((value) => {
    // Those that other runs left.
    if (key === "tokens") return context.target.tokenNames.has((value as { readonly tokenId: string }).tokenId);
    const { name, groupId, transactionalId, resourceName } = value as Readonly<Record<string, string | undefined>>;
    return !own || (name ?? groupId ?? transactionalId ?? resourceName ?? "").startsWith(context.target.prefix);
  });
  const made = grouped(kept.map((value) => plain(context, key, value)));
  // A set, in the order of Kafka's hashes.
  if (key === "subscribedTopicNames") return [...(made as readonly string[])].sort();
  if (kept.every((value) => typeof value !== "object")) return made;
  return made
    .map((element) => [JSON.stringify(element), element] as const)
    .sort(byText)
    .map(([, element]) => element);
}

/** Whether a topic that was named twice is answered once or twice is left open; so is one without partitions. */
function grouped(elements: readonly Plain[]): readonly Plain[] {
  const lists = ["partitions", "partitionResponses"];
  const groups = new Map<string, Plain>();
  for (const element of elements) {
    const field = lists.find((name) => isRecord(element) && Array.isArray(element[name]) && !("errorCode" in element));
    if (field === undefined || !isRecord(element)) return elements;
    const { [field]: partitions, ...rest } = element;
    const key = JSON.stringify(rest);
    const before = (groups.get(key) as { readonly [key: string]: readonly Plain[] } | undefined)?.[field] ?? [];
    const all = [...before, ...(partitions as readonly Plain[])];
    if (all.length > 0) groups.set(key, { ...rest, [field]: all });
  }
  return [...groups.values()];
}

function isRecord(value: Plain): value is { readonly [key: string]: Plain } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function byText(a: readonly [string, Plain], b: readonly [string, Plain]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function text({ target }: Context, key: string, value: string): Plain {
  if (/^(error|batchIndexError|acknowledgeError)Message$/.test(key)) return value === "" ? "" : "a text";
  if (key === "clusterId") return "a cluster";
  if (key === "host") return value === "" ? "" : "a host";
  if (key === "logDir") return "a directory";
  if (key.endsWith("DirectoryId")) return "an id";
  if (key === "clientInstanceId") return value === uuidZero ? value : "an id";
  if (key === "topicId") {
    for (const [name, id] of target.topicIds) if (id === value) return `id of ${name.replaceAll(target.prefix, fresh)}`;
    return value === uuidZero || value === unknownId ? value : "another id";
  }
  if (key === "tokenId") return target.tokenNames.get(value) ?? value;
  const member = target.memberNames.get(value);
  if (member !== undefined) return member;
  return value.replaceAll(target.prefix, fresh).replace(/[0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z0-9_-]{22}$/, "an id");
}

/** What depends on the machine, or on what went on in the cluster before. */
const placeOnly: ReadonlySet<string> = new Set([
  "partitionSize",
  "totalBytes",
  "usableBytes",
  "logEndOffset",
  "highWatermark",
  "lastFetchTimestamp",
  "lastCaughtUpTimestamp",
  "coordinatorEpoch",
]);
const dayMs = 86_400_000;
/** Fields of delegation tokens. */
const ofToken = /^(issueTimestamp|expiryTimestamp|maxTimestamp)(Ms)?$/;
const tokenMs = 600_000;
/** Long enough for a run, short beside the hours that generated timestamps lie before it. */
const runMsMax = 600_000;

function number({ target, step }: Context, key: string, value: number): Plain {
  if (/^(error|topicConfigError|partitionError|acknowledgeError)Code$/.test(key)) return errorName(value) ?? value;
  if (key === "port") return value > 0 ? "a port" : value;
  if (step.api === "describeQuorum" && key === "leaderEpoch") return "an epoch";
  if (placeOnly.has(key)) return value >= 0 ? "a number" : value;
  if (key === "finalizedFeaturesEpoch") return value >= 0 ? "an epoch" : value;
  if (key === "subscriptionId") return "a subscription";
  if (key === "sessionId") return value > 0 ? "a session" : value;
  if (key === "producerId") {
    return target.producerNames.get(value) ?? value;
  }
  const sinceStart = value - target.startMs;
  // Counted from the request.
  if (ofToken.test(key) && sinceStart > runMsMax) return `in ${Math.round(sinceStart / tokenMs)} times ten minutes`;
  if (sinceStart >= 0 && sinceStart < runMsMax) return "now";
  return Math.abs(sinceStart) < 1000 * dayMs ? `start ${sinceStart}` : value;
}

/** The last batch may be cut off, where the bytes that were asked for end. */
function batches(context: Context, views: readonly Uint8Array[]): Plain {
  const bytes = Buffer.concat(views);
  let end = 0;
  while (bytes.length - end >= 12 && end + 12 + bytes.readInt32BE(end + 8) <= bytes.length)
    end += 12 + bytes.readInt32BE(end + 8);
  try {
    return splitBatches(bytes.subarray(0, end)).map((batch) => batchOf(context, new BatchView(batch)));
  } catch (cause) {
    if (!(cause instanceof CorruptData)) throw cause;
    return `corrupt: ${cause.message}`;
  }
}

function batchOf(context: Context, batch: BatchView): Plain {
  return {
    offsets: `${batch.baseOffset} to ${batch.lastOffset}`,
    count: batch.recordCount,
    leaderEpoch: number(context, "leaderEpoch", batch.leaderEpoch),
    compression: batch.compression ?? "unknown",
    timestampType: batch.timestampType,
    flags: batch.attributes & ~0xf,
    maxTimestamp: number(context, "", batch.maxTimestamp),
    producer: number(context, "producerId", batch.producerId),
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isWhole: batch.crc === batch.computedCrc,
    records: Buffer.from(inflate(batch.compression ?? "none", batch.records, { bytesMax: 1 << 20 })).toString("hex"),
  };
}
