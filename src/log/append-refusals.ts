/** Why a batch is not appended, as its sender is told. */
import type { AppendOutcome } from "./log.ts";
import type { ProducerRefusal } from "./producer-state.ts";

export const closedOutcome = {
  kind: "rejected",
  reason: "closed",
  detail: "the partition is no longer owned by this node",
} as const;

export const busyOutcome = {
  kind: "rejected",
  reason: "busy",
  detail: "too many batches wait for this partition",
} as const;

export const fullOutcome = {
  kind: "rejected",
  reason: "busy",
  detail: "the WAL, or the memory for what is not uploaded, is full: the object store does not keep up",
} as const;

export const unwantedOutcome = {
  kind: "rejected",
  reason: "busy",
  detail: "a batch before it, on which it rests, was refused",
} as const;

export function rejectedBy(refusal: ProducerRefusal): AppendOutcome & { readonly kind: "rejected" } {
  return { kind: "rejected", reason: refusal.reason, detail: refusal.detail };
}
