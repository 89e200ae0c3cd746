/** Which share-partitions a member reads, kept between its requests; ends with the member's last word or with its connection. */
import type { Uuid } from "../../base/ids.ts";

export interface SessionPartition {
  readonly topicId: Uuid;
  readonly partition: number;
}

export type ShareSessionRefusal =
  | "SHARE_SESSION_NOT_FOUND"
  | "INVALID_SHARE_SESSION_EPOCH"
  | "SHARE_SESSION_LIMIT_REACHED"
  | "INVALID_REQUEST";

export interface ShareSessionRequest {
  readonly groupId: string;
  readonly memberId: string;
  /** 0 opens, -1 closes, else the epoch that is expected next. */
  readonly epoch: number;
  readonly added: readonly SessionPartition[];
  readonly forgotten: readonly SessionPartition[];
  readonly hasAcknowledgements: boolean;
  /** Aborts when the member's connection is gone. */
  readonly signal: AbortSignal;
}

export type ShareSessionContext =
  | { readonly kind: "refused"; readonly error: ShareSessionRefusal }
  /** `fresh`: what the client has not had an answer for. */
  | { readonly kind: "fetch"; readonly partitions: readonly SessionPartition[]; readonly fresh: ReadonlySet<string> }
  | { readonly kind: "final" };

export const finalEpoch = -1;
const initialEpoch = 0;
const epochMax = 2 ** 31 - 1;

interface Session {
  readonly groupId: string;
  readonly memberId: string;
  epoch: number;
  readonly partitions: Map<string, SessionPartition>;
  readonly stopListening: () => void;
}

export interface ShareSessionsOptions {
  readonly sessionsMax: number;
  /** What the member held goes back. */
  readonly ended: (session: {
    readonly groupId: string;
    readonly memberId: string;
    readonly isLastOfGroup: boolean;
  }) => void;
}

export class ShareSessions {
  readonly #options: ShareSessionsOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #perGroup = new Map<string, number>();

  constructor(options: ShareSessionsOptions) {
    this.#options = options;
  }

  context(request: ShareSessionRequest): ShareSessionContext {
    const known = this.#sessions.get(idOf(request));
    if (request.epoch === initialEpoch) return this.#begin(request, known);
    if (known === undefined) return { kind: "refused", error: "SHARE_SESSION_NOT_FOUND" };
    if (request.epoch === finalEpoch) return { kind: "final" };
    if (request.epoch !== known.epoch) return { kind: "refused", error: "INVALID_SHARE_SESSION_EPOCH" };
    known.epoch = nextEpoch(known.epoch);
    const fresh = new Set<string>();
    for (const each of request.added) {
      const id = partitionId(each);
      if (known.partitions.has(id)) continue;
      known.partitions.set(id, each);
      fresh.add(id);
    }
    for (const each of request.forgotten) known.partitions.delete(partitionId(each));
    return { kind: "fetch", partitions: [...known.partitions.values()], fresh };
  }

  /** For a request that acknowledges and does not fetch; undefined when it may. */
  acknowledging(request: Pick<ShareSessionRequest, "groupId" | "memberId" | "epoch">): ShareSessionRefusal | undefined {
    if (request.epoch === initialEpoch) return "INVALID_SHARE_SESSION_EPOCH";
    const known = this.#sessions.get(idOf(request));
    if (known === undefined) return "SHARE_SESSION_NOT_FOUND";
    if (request.epoch === finalEpoch) return undefined;
    if (request.epoch !== known.epoch) return "INVALID_SHARE_SESSION_EPOCH";
    known.epoch = nextEpoch(known.epoch);
    return undefined;
  }

  end(request: Pick<ShareSessionRequest, "groupId" | "memberId">): void {
    const session = this.#sessions.get(idOf(request));
    if (session !== undefined) this.#end(session);
  }

  #begin(request: ShareSessionRequest, known: Session | undefined): ShareSessionContext {
    if (request.hasAcknowledgements) return { kind: "refused", error: "INVALID_REQUEST" };
    if (known === undefined && this.#sessions.size >= this.#options.sessionsMax) {
      return { kind: "refused", error: "SHARE_SESSION_LIMIT_REACHED" };
    }
    if (known !== undefined) this.#forget(known); // The member goes on, and with it what it holds.
    const { groupId, memberId, added, signal } = request;
    const onAbort = (): void => this.#end(session);
    const session: Session = {
      groupId,
      memberId,
      epoch: nextEpoch(initialEpoch),
      partitions: new Map(added.map((each) => [partitionId(each), each])),
      stopListening: () => signal.removeEventListener("abort", onAbort),
    };
    this.#sessions.set(idOf(session), session);
    this.#perGroup.set(groupId, (this.#perGroup.get(groupId) ?? 0) + 1);
    signal.addEventListener("abort", onAbort, { once: true });
    return { kind: "fetch", partitions: [...session.partitions.values()], fresh: new Set(session.partitions.keys()) };
  }

  #end(session: Session): void {
    const { groupId, memberId } = session;
    if (this.#sessions.get(idOf(session)) !== session) return;
    this.#forget(session);
    this.#options.ended({ groupId, memberId, isLastOfGroup: !this.#perGroup.has(groupId) });
  }

  #forget(session: Session): void {
    session.stopListening();
    this.#sessions.delete(idOf(session));
    const left = (this.#perGroup.get(session.groupId) ?? 1) - 1;
    if (left > 0) this.#perGroup.set(session.groupId, left);
    else this.#perGroup.delete(session.groupId);
  }
}

export function partitionId({ topicId, partition }: SessionPartition): string {
  return `${topicId} ${partition}`;
}

function nextEpoch(epoch: number): number {
  return epoch >= epochMax ? 1 : epoch + 1;
}

function idOf({ groupId, memberId }: Pick<ShareSessionRequest, "groupId" | "memberId">): string {
  return `${memberId} ${groupId}`;
}
