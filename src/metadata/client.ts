/** How the rest of a node sees the metadata: an image that follows the log, and proposals to change it. */
import { OperationFailed } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Seq } from "../base/ids.ts";
import type { MetadataEvent, Refusal } from "./events.ts";
import type { Image } from "./image.ts";

export interface MetadataClient extends AsyncDisposable {
  readonly nodeId: NodeId;
  readonly nodeEpoch: NodeEpoch;
  /** Mutable, with one writer (the fold). Read it and use it in the same turn; after an await read it again. */
  readonly image: Image;
  /**
   * Appends the events as one group and resolves when the fold has decided. Unknown outcomes are repeated under the same
   * opId inside. Concurrent calls are batched into one append in flight. Rejects with Fenced when another process took
   * this node's id, after which the node must stop.
   */
  propose(events: readonly MetadataEvent[]): Promise<Proposal>;
  /**
   * Calls back, synchronously, after each accepted group of events, when the image holds it and nothing later. Several groups
   * of one node may share a seq. What a node learns from a checkpoint instead of from the log comes as one call without events.
   */
  onChange(listener: (events: readonly MetadataEvent[], seq: Seq) => void): Disposable;
}

/** Another process has registered under this node's id. Nothing that this one says counts any more: it must stop. */
export class Fenced extends OperationFailed {
  override readonly name = "Fenced";
  readonly by: NodeEpoch;
  constructor(by: NodeEpoch) {
    super(`another process took this node's id at epoch ${by}`, { happened: "no" });
    this.by = by;
  }
}

export type Proposal =
  | { readonly kind: "accepted"; readonly seq: Seq }
  | { readonly kind: "refused"; readonly refusal: Refusal };
