/**
 * InitProducerId. Without a transactional id every call gives a new id and epoch 0, also when the client names an older id
 * (v3 and later): an idempotent producer that lost its place starts afresh. With one the transaction coordinator fences whoever
 * had the id before.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { SingleFlight } from "../../base/async.ts";
import type { Seq } from "../../base/ids.ts";
import type { TransactionCoordinator } from "../../coordinator/transaction-coordinator.ts";
import type { ProducerIdentity } from "../../coordinator/transaction-state.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";

type Request = RequestOf<"initProducerId">;
type Response = ResponseInputOf<"initProducerId">;

/** Until version 3 a fenced producer knows one error only. */
const fencedIsNamedSince = 4;

export function initProducerIdHandler(options: {
  readonly ids: Pick<ProducerIds, "next">;
  readonly transactions: Pick<TransactionCoordinator, "limits" | "shard">;
}): Handler<Request, Response> {
  return async (request, { apiVersion }) => {
    const { transactionalId } = request;
    if (transactionalId === "") return failed("INVALID_REQUEST");
    if ((request.producerId === -1) !== (request.producerEpoch === -1)) return failed("INVALID_REQUEST");
    if (transactionalId !== null) {
      const reply = await initTransactional(options.transactions, request, transactionalId);
      if (reply.kind === "done") return { errorCode: 0, ...reply.producer };
      const isRenamed = reply.error === "PRODUCER_FENCED" && apiVersion < fencedIsNamedSince;
      return failed(isRenamed ? "INVALID_PRODUCER_EPOCH" : reply.error);
    }
    const producerId = await options.ids.next();
    if (producerId === undefined) return failed("COORDINATOR_LOAD_IN_PROGRESS");
    return { errorCode: 0, producerId, producerEpoch: 0 };
  };
}

async function initTransactional(
  transactions: Pick<TransactionCoordinator, "limits" | "shard">,
  request: Request,
  transactionalId: string,
): Promise<
  | { readonly kind: "done"; readonly producer: ProducerIdentity }
  | { readonly kind: "refused"; readonly error: ErrorName }
> {
  const { transactionTimeoutMs: timeoutMs, producerId, producerEpoch } = request;
  if (timeoutMs <= 0 || timeoutMs > transactions.limits.timeoutMsMax)
    return { kind: "refused", error: "INVALID_TRANSACTION_TIMEOUT" };
  const shard = await transactions.shard(transactionalId);
  if (typeof shard === "string") return { kind: "refused", error: shard };
  const expected = producerId === -1 ? undefined : { producerId, producerEpoch };
  return await shard.init(transactionalId, { timeoutMs, expected });
}

function failed(error: ErrorName): Response {
  return { errorCode: code(error), producerEpoch: -1 };
}

/** Producer ids of this node, taken from the metadata log in blocks. What a crash leaves of a block is never given out. */
export class ProducerIds {
  readonly #metadata: MetadataClient;
  readonly #blockSize: number;
  readonly #allocation = new SingleFlight<"block", boolean>();
  #next = 0;
  #end = 0;

  constructor(options: { readonly metadata: MetadataClient; readonly blockSize: number }) {
    this.#metadata = options.metadata;
    this.#blockSize = options.blockSize;
  }

  /** undefined when the metadata log refused a new block. */
  async next(): Promise<number | undefined> {
    // In a loop: those who waited for the same block may have used it up before this caller goes on.
    while (this.#next === this.#end) {
      if (!(await this.#allocation.run("block", () => this.#allocate()))) return undefined;
    }
    const id = this.#next;
    this.#next += 1;
    return id;
  }

  /** The image says only which id comes next, so the block's bounds are read in the turn in which the fold gives it out. */
  async #allocate(): Promise<boolean> {
    const ends = new Map<Seq, number>();
    using _listening = this.#metadata.onChange((events, seq) => {
      if (events.some((event) => event.kind === "allocate-producer-ids")) {
        ends.set(seq, this.#metadata.image.nextProducerId);
      }
    });
    const proposal = await this.#metadata.propose([{ kind: "allocate-producer-ids", count: this.#blockSize }]);
    const end = proposal.kind === "accepted" ? ends.get(proposal.seq) : undefined;
    if (end === undefined) return false;
    this.#next = end - this.#blockSize;
    this.#end = end;
    return true;
  }
}
