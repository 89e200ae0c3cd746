/** Proposals that wait for the append before theirs, and how they are put into entries. */
import { OperationFailed } from "../base/errors.ts";
import type { Proposal } from "./client.ts";
import type { MetadataEvent } from "./events.ts";

export interface QueueLimits {
  readonly batchProposalsMax: number;
  readonly batchBytesMax: number;
  readonly proposalsWaitingMax: number;
}

export interface Waiting {
  readonly events: readonly MetadataEvent[];
  readonly bytes: number;
  readonly resolve: (proposal: Proposal) => void;
  readonly reject: (cause: Error) => void;
}

export class ProposalQueue {
  readonly #limits: QueueLimits;
  readonly #waiting: Waiting[] = [];

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  add(events: readonly MetadataEvent[], bytes: number): Promise<Proposal> {
    const isOptional = !events.some(({ kind }) => vital.has(kind));
    if (isOptional && this.#waiting.length >= this.#limits.proposalsWaitingMax) {
      const waiting = `${this.#waiting.length} metadata proposals wait already`;
      return Promise.reject(new OperationFailed(waiting, { happened: "no" }));
    }
    return new Promise((resolve, reject) => this.#waiting.push({ events, bytes, resolve, reject }));
  }

  /** The next entry's proposals, in order of arrival; [] when none waits. One alone may be larger than the bound. */
  take(): readonly Waiting[] {
    let bytes = 0;
    const known = new Set<string>();
    let count = 0;
    for (const proposal of this.#waiting) {
      bytes += proposal.bytes;
      const names = proposal.events.flatMap(seqNamedBy);
      const isFull = count >= this.#limits.batchProposalsMax || bytes > this.#limits.batchBytesMax;
      if (count > 0 && (isFull || names.some((name) => known.has(name)))) break;
      for (const name of names) known.add(name);
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Nothing that still waits has been sent. */
  close(cause: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(cause);
  }
}

/** Without these a node cannot go on. It has few of them at a time, whatever its clients ask of it. */
const vital: ReadonlySet<MetadataEvent["kind"]> = new Set(["open-streams", "commit-object", "open-wal", "advance-wal"]);

/** What the event calls by its entry's seq, and what therefore comes once an entry: a table's round, a block of producer ids. */
function seqNamedBy(event: MetadataEvent): readonly string[] {
  if (event.kind === "add-table-round") return [event.table];
  return event.kind === "allocate-producer-ids" ? [event.kind] : [];
}
