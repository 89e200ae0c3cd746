/**
 * ShareFetch: first what the member says of records that it has, then records for it: as soon as there are any, from one share-partition
 * after the other up to the limits of the request.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import { LiveSharePartition, type Taken } from "../../coordinator/share/live-partition.ts";
import type { ShareLookup } from "../../coordinator/share/share-partitions.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { RequestContext } from "../../protocol/dispatch.ts";
import { code, endpointsOf, type Handler, type LeaderHint, leaderHint, lookupErrors } from "../handler.ts";
import {
  type Acknowledged,
  acknowledgeAll,
  acknowledgeText,
  byTopic,
  isMemberId,
  renewVersionMin,
  type ShareOptions,
} from "./share-acknowledge.ts";
import { partitionId, type SessionPartition } from "./share-session.ts";

export interface ShareFetchOptions extends ShareOptions {
  readonly clock: Clock;
  readonly limits: {
    /** Of one response, whatever the client asks for; a first batch may exceed it. */
    readonly fetchBytesMax: number;
    /** Beyond it a fetch answers at once with what there is. */
    readonly fetchesWaitingMax: number;
  };
}

type Request = RequestOf<"shareFetch">;
type Response = ResponseInputOf<"shareFetch">;
type PartitionResponse = Response["responses"][number]["partitions"][number];

interface Member {
  readonly groupId: string;
  readonly memberId: string;
}

interface Fetched extends SessionPartition {
  readonly error: ErrorName;
  readonly hint: LeaderHint | undefined;
  readonly taken: Taken | undefined;
}

const recordLimitMode = 1;

export function shareFetchHandler(options: ShareFetchOptions): Handler<Request, Response> {
  const waiting = { count: 0 };
  return async (request, context) => {
    const { groupId, memberId } = request;
    if (groupId === null || !isMemberId(memberId)) return refused("INVALID_REQUEST");
    const isRenew = context.apiVersion >= renewVersionMin && request.isRenewAck;
    if (isRenew && request.maxBytes + request.minBytes + request.maxRecords + request.maxWaitMs !== 0) {
      return refused("INVALID_REQUEST");
    }
    const acknowledged = acknowledgedTopics(request);
    const session = options.sessions.context({
      groupId,
      memberId,
      epoch: request.shareSessionEpoch,
      signal: context.signal,
      added: partitionsOf(request.topics),
      forgotten: request.forgottenTopicsData.flatMap(({ topicId, partitions }) =>
        partitions.map((partition) => ({ topicId, partition })),
      ),
      hasAcknowledgements: acknowledged.length > 0,
    });
    if (session.kind === "refused") return refused(session.error);
    const member = { groupId, memberId };
    const acknowledging = acknowledgeAll(options, { ...member, topics: acknowledged }, { mayRenew: isRenew });
    // Locks that were just renewed must not run out while their answer waits for records.
    const isFetch = session.kind === "fetch" && !isRenew;
    const [answers, fetched] = await Promise.all([
      acknowledging,
      isFetch
        ? fetchAll(options, request, context, {
            member,
            partitions: wanted(options, request, session.partitions),
            waiting,
          })
        : [],
    ]);
    if (session.kind === "final") options.sessions.end(member);
    if (context.signal.aborted) {
      await releaseAll(options, member, fetched);
      return "no-response";
    }
    const fresh = session.kind === "fetch" ? session.fresh : new Set<string>();
    return response(options, groupId, { acknowledged: answers, fetched, fresh });
  };
}

/**
 * A member that has no room for a byte gets nothing, not even the first batch; it waits its time all the same. Else each request begins
 * with another partition of those that there are, so that none is always the first. Of the others only the error is told.
 */
function wanted(
  { metadata: { image } }: ShareFetchOptions,
  { maxBytes, shareSessionEpoch }: Request,
  partitions: readonly SessionPartition[],
): readonly SessionPartition[] {
  if (maxBytes <= 0) return [];
  const isThere = ({ topicId, partition }: SessionPartition): boolean =>
    image.topic(topicId)?.partitions[partition] !== undefined;
  const there = partitions.filter(isThere);
  const first = there.length === 0 ? 0 : shareSessionEpoch % there.length;
  return [...there.slice(first), ...there.slice(0, first), ...partitions.filter((at) => !isThere(at))];
}

/** All that are named or none: with acknowledgements in it, a request is answered for those partitions too that it has none for. */
function acknowledgedTopics({ topics }: Request): Request["topics"] {
  const isAcknowledging = topics.some(({ partitions }) =>
    partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
  );
  return isAcknowledging ? topics : [];
}

function partitionsOf(topics: Request["topics"]): readonly SessionPartition[] {
  return topics.flatMap(({ topicId, partitions }) =>
    partitions.map(({ partitionIndex }) => ({ topicId, partition: partitionIndex })),
  );
}

function hasRecords({ taken }: Fetched): boolean {
  return (taken?.records ?? 0) > 0;
}

interface FetchFor {
  readonly member: Member;
  readonly partitions: readonly SessionPartition[];
  readonly waiting: { count: number };
}

/** Waits until there is something to tell, or the time is up. */
async function fetchAll(
  options: ShareFetchOptions,
  request: Request,
  context: RequestContext,
  { member, partitions, waiting }: FetchFor,
): Promise<readonly Fetched[]> {
  const { clock, limits } = options;
  const endMs = clock.monotonic() + request.maxWaitMs;
  const isCrowded = waiting.count >= limits.fetchesWaitingMax;
  waiting.count += 1;
  try {
    for (;;) {
      // Listening begins before it is looked, so that nothing that comes meanwhile is missed.
      const watch = new Watch(clock, Math.max(0, endMs - clock.monotonic()), context.signal);
      using _watch = watch;
      const bytesWanted = Math.min(request.maxBytes, limits.fetchBytesMax);
      const bytesMax = context.grantAnswer?.(bytesWanted) ?? bytesWanted;
      const fetched = await fetchOnce(options, request, member, partitions, { watch, bytesMax });
      const isTold = fetched.some((each) => each.error !== "NONE" || hasRecords(each));
      if (isTold || isCrowded || context.signal.aborted || clock.monotonic() >= endMs) return fetched;
      context.grantAnswer?.(0); // Whoever waits holds no memory meanwhile.
      await watch.end;
    }
  } finally {
    waiting.count -= 1;
  }
}

async function fetchOnce(
  options: ShareFetchOptions,
  request: Request,
  member: Member,
  partitions: readonly SessionPartition[],
  { watch, bytesMax }: { readonly watch: Watch; readonly bytesMax: number },
): Promise<readonly Fetched[]> {
  const fetched: Fetched[] = [];
  let recordsLeft = request.maxRecords;
  let bytesLeft = bytesMax;
  for (const at of partitions) {
    const each = await fetchOne(options, member, at, watch, {
      recordsMax: recordsLeft,
      batchSize: Math.max(1, request.batchSize),
      isRecordLimited: request.shareAcquireMode === recordLimitMode,
      bytesMax: Math.max(0, bytesLeft),
      atLeastOne: !fetched.some(hasRecords),
    });
    recordsLeft -= each.taken?.records ?? 0;
    bytesLeft -= each.taken?.bytes ?? 0;
    fetched.push(each);
  }
  return fetched;
}

async function fetchOne(
  { metadata, partitions }: ShareFetchOptions,
  { groupId, memberId }: Member,
  at: SessionPartition,
  watch: Watch,
  limits: Omit<Parameters<LiveSharePartition["take"]>[0], "memberId">,
): Promise<Fetched> {
  const failed = (error: ErrorName, hint?: LeaderHint): Fetched => ({ ...at, error, hint, taken: undefined });
  if (metadata.image.topic(at.topicId) === undefined) return failed("UNKNOWN_TOPIC_ID");
  const live = await partitions.open({ groupId, ...at });
  if (!(live instanceof LiveSharePartition)) return failed(lookupError(live), hintOf(live));
  watch.listen(live);
  try {
    const taken = await live.take({ memberId, ...limits });
    return taken === "closed" ? failed("NOT_LEADER_OR_FOLLOWER") : { ...at, error: "NONE", hint: undefined, taken };
  } catch (cause) {
    // The storage has reported it. This partition alone is answered so; members ask again, and skip nothing.
    if (!(cause instanceof OperationFailed)) throw cause;
    return failed("KAFKA_STORAGE_ERROR");
  }
}

function lookupError(found: Exclude<ShareLookup, LiveSharePartition>): ErrorName {
  // The state is being read, or is somewhere else: to the client as if the partition itself was.
  return typeof found === "string" ? "NOT_LEADER_OR_FOLLOWER" : lookupErrors[found.kind];
}

function hintOf(found: Exclude<ShareLookup, LiveSharePartition>): LeaderHint | undefined {
  return typeof found === "string" ? undefined : leaderHint(found);
}

/** The member went while records were looked up for it: they go back at once. */
async function releaseAll(options: ShareFetchOptions, member: Member, fetched: readonly Fetched[]): Promise<void> {
  for (const { topicId, partition } of fetched.filter(hasRecords)) {
    await options.partitions.at({ groupId: member.groupId, topicId, partition })?.release(member.memberId);
  }
}

function response(
  options: ShareFetchOptions,
  groupId: string,
  told: {
    readonly acknowledged: readonly Acknowledged[];
    readonly fetched: readonly Fetched[];
    /** Partitions that the client waits to hear of, however little there is to say. */
    readonly fresh: ReadonlySet<string>;
  },
): Response {
  const hints: LeaderHint[] = [];
  const answers = new Map<string, SessionPartition & { readonly answer: PartitionResponse }>();
  for (const each of told.fetched) {
    const { error, hint, taken, ...at } = each;
    if (error === "NONE" && !hasRecords(each) && !told.fresh.has(partitionId(at))) continue;
    if (hint !== undefined) hints.push(hint);
    answers.set(partitionId(at), { ...at, answer: fetchAnswer(at.partition, error, hint, taken) });
  }
  for (const { topicId, partition, error } of told.acknowledged) {
    const id = partitionId({ topicId, partition });
    const answer = answers.get(id)?.answer ?? fetchAnswer(partition, "NONE", undefined, undefined);
    answers.set(id, { topicId, partition, answer: { ...answer, ...acknowledgement(error) } });
  }
  return {
    errorCode: 0,
    acquisitionLockTimeoutMs: options.configOf(groupId).lockDurationMs,
    responses: byTopic([...answers.values()], ({ answer }) => answer),
    nodeEndpoints: hints.length === 0 ? [] : endpointsOf(options.metadata.image, hints),
  };
}

function acknowledgement(
  error: ErrorName,
): Pick<PartitionResponse, "acknowledgeErrorCode" | "acknowledgeErrorMessage"> {
  return { acknowledgeErrorCode: code(error), acknowledgeErrorMessage: acknowledgeText(error) };
}

function fetchAnswer(
  partitionIndex: number,
  error: ErrorName,
  hint: LeaderHint | undefined,
  taken: Taken | undefined,
): PartitionResponse {
  return {
    partitionIndex,
    errorCode: code(error),
    ...(hint === undefined ? {} : { currentLeader: hint }),
    records: taken?.batches ?? [],
    acquiredRecords: (taken?.ranges ?? []).map(({ first, last, deliveryCount }) => ({
      firstOffset: first,
      lastOffset: last,
      deliveryCount,
    })),
  };
}

function refused(error: ErrorName): Response {
  return { errorCode: code(error), responses: [] };
}

/** Ends when one of the share-partitions may have more to give, when the time is up, or when nobody waits any more. */
class Watch implements Disposable {
  readonly end: Promise<void>;
  readonly #resolve: () => void;
  readonly #listeners: Disposable[] = [];

  constructor(clock: Clock, waitMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.end = promise;
    this.#resolve = () => resolve();
    this.#listeners.push(clock.after(waitMs, this.#resolve));
    signal.addEventListener("abort", this.#resolve, { once: true });
    this.#listeners.push({ [Symbol.dispose]: () => signal.removeEventListener("abort", this.#resolve) });
  }

  listen(live: LiveSharePartition): void {
    this.#listeners.push(live.partition.onAdvance(this.#resolve), live.onChange(this.#resolve));
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener[Symbol.dispose]();
  }
}
