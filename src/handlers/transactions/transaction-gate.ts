/** Asks the coordinator whether a batch belongs to an open transaction, or brings its partition into one (KIP-890). */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { TopicPartition } from "../../coordinator/group-offsets.ts";
import type { TransactionCoordinator } from "../../coordinator/transaction-coordinator.ts";
import type { ProducerIdentity } from "../../coordinator/transaction-state.ts";

export interface Admittance {
  readonly transactionalId: string;
  readonly by: ProducerIdentity;
  readonly at: TopicPartition;
  /** "verify": the producer has added the partition before. */
  readonly how: "verify" | "add";
}

/** An open transaction can end at any await: `isOpen` is for the turn in which something is appended. */
export type Admission =
  | { readonly kind: "open"; readonly isOpen: () => boolean }
  | { readonly kind: "refused"; readonly error: ErrorName };

export interface TransactionGate {
  /** Never rejects. */
  readonly admit: (asked: Admittance) => Promise<Admission>;
}

export function transactionGate(coordinator: TransactionCoordinator): TransactionGate {
  return {
    admit: async ({ transactionalId, by, at, how }) => {
      const shard = await coordinator.shard(transactionalId);
      if (typeof shard === "string") return { kind: "refused", error: shard };
      if (how === "add") {
        const reply = await shard.add(transactionalId, by, [at]);
        if (reply.kind === "refused") return reply;
      } else {
        if (!(await shard.written(transactionalId))) return { kind: "refused", error: "NOT_COORDINATOR" };
        const error = shard.verify(transactionalId, by, at);
        if (error !== undefined) return { kind: "refused", error };
      }
      return { kind: "open", isOpen: () => shard.isOpenIn(transactionalId, by, at) };
    },
  };
}
