/**
 * InitProducerId. Without a transactional id every call gives a new id and epoch 0, also when the client names an older id
 * (v3 and later): an idempotent producer that lost its place starts afresh. With one it is the transaction coordinator's business.
 */
import { SingleFlight } from "../base/async.ts";
import type { Seq } from "../base/ids.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import { code, type Handler } from "./handler.ts";

type Request = RequestOf<"initProducerId">;
type Response = ResponseInputOf<"initProducerId">;

export function initProducerIdHandler(options: { readonly ids: ProducerIds }): Handler<Request, Response> {
  return async (request) => {
    // An id comes with its epoch, or neither comes.
    const isHalf = (request.producerId === -1) !== (request.producerEpoch === -1);
    if (request.transactionalId === "" || isHalf) return { errorCode: code("INVALID_REQUEST"), producerEpoch: -1 };
    if (request.transactionalId !== null) {
      // No transaction coordinator runs on this broker. Retriable: a client that started too early finds it later.
      return { errorCode: code("COORDINATOR_NOT_AVAILABLE"), producerEpoch: -1 };
    }
    const producerId = await options.ids.next();
    if (producerId === undefined) return { errorCode: code("COORDINATOR_LOAD_IN_PROGRESS"), producerEpoch: -1 };
    return { errorCode: 0, producerId, producerEpoch: 0 };
  };
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
