import { setting } from "../../src/base/settings.ts";

export const transactions = {
  transactionTimeoutMsMax: setting({
    key: "transaction.timeout.ms.max",
    type: "ms",
    default: 900_000,
    min: 1,
    max: 2_147_483_647,
    doc: "Longest timeout of a transaction that a producer may ask for. Flink asks for an hour.",
  }),
  transactionAbortCheckIntervalMs: setting({
    key: "transaction.abort.check.interval.ms",
    type: "ms",
    default: 10_000,
    min: 100,
    doc: "How often transactions that outlived their timeout are looked for, to be aborted.",
  }),
  transactionEndWaitMs: setting({
    key: "transaction.end.wait.ms",
    type: "ms",
    default: 100,
    min: 0,
    max: 10_000,
    doc: "A producer's next transaction waits this long for the end of its last one before it is told to come again.",
  }),
  transactionalIdRetentionMs: setting({
    key: "transactional.id.retention.ms",
    type: "ms",
    default: 604_800_000,
    min: 1,
    doc: "Transactional ids that nobody has used for this long are forgotten.",
  }),
  transactionalIdsMax: setting({
    key: "transactional.ids.max",
    type: "integer",
    default: 10_000,
    min: 10,
    doc: "Transactional ids that one partition of __transaction_state may hold: beyond, those idle longest are forgotten.",
  }),
  transactionalIdCheckIntervalMs: setting({
    key: "transactional.id.check.interval.ms",
    type: "ms",
    default: 3_600_000,
    min: 1000,
    doc: "How often such transactional ids are looked for.",
  }),
  transactionStatePartitions: setting({
    key: "transaction.state.partitions",
    type: "integer",
    default: 50,
    min: 1,
    max: 10_000,
    doc: "Partitions of __transaction_state, when it is made.",
  }),
};
