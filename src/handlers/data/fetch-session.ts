/**
 * Incremental fetches (KIP-227): the broker remembers what a client fetches, the client sends what changed, the answer
 * holds what moved. Sessions live on this node only; losing one costs the client one full request.
 *
 *   request epoch    0: all partitions, asks for a session    n: changes only, n the expected one    -1: all, no session
 */
import type { Uuid } from "../../base/ids.ts";
import type { Clock, Random } from "../../base/runtime.ts";

/** What is wanted of one partition, and what the client was last told. */
export interface FetchedPartition {
  /** uuidZero before Fetch v13. */
  readonly topicId: Uuid;
  /** "" from Fetch v13 on. */
  readonly topic: string;
  readonly partition: number;
  fetchOffset: number;
  currentLeaderEpoch: number;
  lastFetchedEpoch: number;
  bytesMax: number;
  /** -1 until told, and again after an error, so that the next good answer is sent. */
  toldHighWatermark: number;
  toldLastStable: number;
  toldLogStart: number;
}

export interface PartitionKey {
  readonly topicId: Uuid;
  readonly topic: string;
  readonly partition: number;
}

export interface SessionRequest {
  readonly sessionId: number;
  readonly epoch: number;
  readonly usesTopicIds: boolean;
  readonly partitions: readonly FetchedPartition[];
  readonly forgotten: readonly PartitionKey[];
}

export type FetchContext =
  /** Answer for every partition; `sessionId` 0 when there is no session. */
  | { readonly kind: "full"; readonly sessionId: number; readonly partitions: Iterable<FetchedPartition> }
  /** Answer for what moved. */
  | {
      readonly kind: "incremental";
      readonly sessionId: number;
      readonly partitions: Iterable<FetchedPartition>;
      /** Puts partitions that were given records behind the others, so that each gets its turn under max_bytes. */
      readonly served: (partitions: readonly FetchedPartition[]) => void;
    }
  | { readonly kind: "refused"; readonly reason: SessionRefusal };

export type SessionRefusal = "session-not-found" | "wrong-session-epoch" | "session-topic-ids";

export interface FetchSessionLimits {
  readonly sessionsMax: number;
  /** Partitions remembered by all sessions together. */
  readonly sessionPartitionsMax: number;
  /** A session may be dropped for another when it was not used for this long. */
  readonly sessionIdleMsMin: number;
}

interface Session {
  readonly id: number;
  readonly usesTopicIds: boolean;
  epoch: number;
  usedAtMs: number;
  /** In the order in which they are served. */
  readonly partitions: Map<string, FetchedPartition>;
}

const epochMax = 2 ** 31 - 1;

export class FetchSessions {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: FetchSessionLimits;
  /** Least recently used first. */
  readonly #sessions = new Map<number, Session>();
  #partitions = 0;

  constructor(options: { readonly clock: Clock; readonly random: Random; readonly limits: FetchSessionLimits }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = options.limits;
  }

  get count(): number {
    return this.#sessions.size;
  }

  context(request: SessionRequest): FetchContext {
    if (request.epoch <= 0) return this.#full(request);
    const session = this.#sessions.get(request.sessionId);
    if (session === undefined) return { kind: "refused", reason: "session-not-found" };
    if (session.epoch !== request.epoch) return { kind: "refused", reason: "wrong-session-epoch" };
    if (session.usesTopicIds !== request.usesTopicIds) return { kind: "refused", reason: "session-topic-ids" };
    this.#update(session, request);
    if (this.#partitions > this.#limits.sessionPartitionsMax) {
      this.#remove(session); // It grew past what all sessions may hold: the client begins again, perhaps without one.
      return { kind: "refused", reason: "session-not-found" };
    }
    if (session.partitions.size === 0) {
      this.#remove(session);
      return { kind: "full", sessionId: 0, partitions: [] };
    }
    return {
      kind: "incremental",
      sessionId: session.id,
      partitions: session.partitions.values(),
      served: (partitions) => {
        for (const partition of partitions) moveToEnd(session.partitions, partition);
      },
    };
  }

  #full(request: SessionRequest): FetchContext {
    const old = this.#sessions.get(request.sessionId);
    if (old !== undefined) this.#remove(old);
    const partitions = request.partitions;
    if (request.epoch < 0) return { kind: "full", sessionId: 0, partitions };
    return { kind: "full", sessionId: this.#create(request)?.id ?? 0, partitions };
  }

  /** Without room there is no session: legal, the client goes on with full requests. */
  #create(request: SessionRequest): Session | undefined {
    const count = request.partitions.length;
    if (count > this.#limits.sessionPartitionsMax) return undefined;
    while (
      this.#sessions.size >= this.#limits.sessionsMax ||
      this.#partitions + count > this.#limits.sessionPartitionsMax
    ) {
      const [oldest] = this.#sessions.values();
      if (oldest === undefined || this.#clock.monotonic() - oldest.usedAtMs < this.#limits.sessionIdleMsMin) {
        return undefined;
      }
      this.#remove(oldest);
    }
    const session: Session = {
      id: this.#newId(),
      usesTopicIds: request.usesTopicIds,
      epoch: 1,
      usedAtMs: this.#clock.monotonic(),
      partitions: new Map(request.partitions.map((partition) => [keyOf(partition), partition])),
    };
    this.#sessions.set(session.id, session);
    this.#partitions += session.partitions.size;
    return session;
  }

  #update(session: Session, request: SessionRequest): void {
    const before = session.partitions.size;
    for (const wanted of request.partitions) {
      const known = session.partitions.get(keyOf(wanted));
      if (known === undefined) session.partitions.set(keyOf(wanted), wanted);
      else {
        known.fetchOffset = wanted.fetchOffset;
        known.currentLeaderEpoch = wanted.currentLeaderEpoch;
        known.lastFetchedEpoch = wanted.lastFetchedEpoch;
        known.bytesMax = wanted.bytesMax;
      }
    }
    for (const forgotten of request.forgotten) session.partitions.delete(keyOf(forgotten));
    this.#partitions += session.partitions.size - before;
    session.epoch = session.epoch === epochMax ? 1 : session.epoch + 1;
    session.usedAtMs = this.#clock.monotonic();
    this.#sessions.delete(session.id); // To the end: most recently used.
    this.#sessions.set(session.id, session);
  }

  #remove(session: Session): void {
    this.#sessions.delete(session.id);
    this.#partitions -= session.partitions.size;
  }

  #newId(): number {
    for (;;) {
      const id = 1 + Math.floor(this.#random.unit() * (epochMax - 1));
      if (!this.#sessions.has(id)) return id;
    }
  }
}

/** Whether an incremental answer must mention the partition; remembers what it then says. */
export function mustTell(
  partition: FetchedPartition,
  answer: {
    readonly bytes: number;
    readonly hasError: boolean;
    readonly highWatermark: number;
    readonly lastStable: number;
    readonly logStart: number;
  },
): boolean {
  const isNews =
    answer.bytes > 0 ||
    answer.hasError ||
    partition.toldHighWatermark !== answer.highWatermark ||
    partition.toldLastStable !== answer.lastStable ||
    partition.toldLogStart !== answer.logStart;
  partition.toldHighWatermark = answer.hasError ? -1 : answer.highWatermark;
  partition.toldLastStable = answer.lastStable;
  partition.toldLogStart = answer.logStart;
  return isNews;
}

function keyOf(key: PartitionKey): string {
  return `${key.topicId} ${key.topic} ${key.partition}`;
}

function moveToEnd(partitions: Map<string, FetchedPartition>, partition: FetchedPartition): void {
  const key = keyOf(partition);
  if (partitions.delete(key)) partitions.set(key, partition);
}
