import type { NodeEpoch, NodeId, Seq } from "../base/ids.ts";
import type { Refusal } from "./events.ts";
import type { Undo } from "./undo.ts";

/** Who proposes, and where the proposal stands in the log. */
export interface ApplyContext {
  readonly seq: Seq;
  readonly nodeId: NodeId;
  readonly nodeEpoch: NodeEpoch;
  /** Every change to the image goes through here: a later event of the group may refuse it. */
  readonly undo: Undo;
}

/** undefined: accepted. */
export type Verdict = Refusal | undefined;

export function refuse(reason: Exclude<Refusal["reason"], "fenced">, detail: string): Refusal {
  return { reason, detail };
}
