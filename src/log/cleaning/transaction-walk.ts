/**
 * What a cleaner must know of transactions while it walks over the batches of a log, in offset order: which of them belong
 * to aborted ones, and which markers have outlived everything that they ended. A marker stays for as long as one batch of
 * its transaction does, be it an empty one: without it a reader could not tell how that ended.
 */
import type { BatchView } from "../../protocol/record-batch.ts";
import type { AbortedTransaction, TransactionMarker } from "../producer-state.ts";

export class TransactionWalk {
  /** Not reached yet, the nearest last. */
  readonly #ahead: AbortedTransaction[];
  /** By producer: the transaction that the walk is in. */
  readonly #aborted = new Map<number, AbortedTransaction>();
  /** Those of which a batch was met. */
  readonly #met = new Set<AbortedTransaction>();
  readonly #passed: AbortedTransaction[] = [];
  /** Producers of which a batch was met that was not aborted, and its marker not yet. */
  readonly #committed = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#ahead = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  /** The walk as it stands, for a second way over the same batches. */
  copy(): TransactionWalk {
    const copy = new TransactionWalk(this.#ahead);
    for (const [producerId, transaction] of this.#aborted) copy.#aborted.set(producerId, transaction);
    for (const transaction of this.#met) copy.#met.add(transaction);
    for (const producerId of this.#committed) copy.#committed.add(producerId);
    copy.#passed.push(...this.#passed);
    return copy;
  }

  /** Passes a batch of data. Whether its transaction was aborted. */
  passData(batch: BatchView): boolean {
    if (!batch.isTransactional) return false;
    const transaction = this.#transactionAt(batch);
    if (transaction === undefined) {
      this.#committed.add(batch.producerId);
      return false;
    }
    this.#met.add(transaction);
    return true;
  }

  /** Passes a control batch, `outcome` being what it says. Whether nothing is left of what it ended. */
  passMarker(batch: BatchView, outcome: TransactionMarker["outcome"] | undefined): boolean {
    const transaction = this.#transactionAt(batch);
    if (outcome === "commit") return !this.#committed.delete(batch.producerId);
    // An empty one was cleaned before. What is no marker, though it be control, is somebody else's.
    if (outcome === undefined) return batch.recordCount === 0;
    return transaction === undefined || !this.#met.has(transaction);
  }

  /** Aborted transactions of which no batch was met: nobody needs to know of them any more. */
  get emptied(): readonly AbortedTransaction[] {
    return this.#passed.filter((transaction) => !this.#met.has(transaction));
  }

  /** By offsets and not by markers: a marker may be gone while the transaction is still known. */
  #transactionAt(batch: BatchView): AbortedTransaction | undefined {
    const { lastOffset, producerId } = batch;
    for (
      let next = this.#ahead.at(-1);
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#ahead.at(-1)
    ) {
      this.#ahead.pop();
      this.#aborted.set(next.producerId, next);
      this.#passed.push(next);
    }
    const transaction = this.#aborted.get(producerId);
    return transaction !== undefined && batch.baseOffset <= transaction.lastOffset ? transaction : undefined;
  }
}
