/** Producing: records, and the ids that make repeats harmless. */
import {
  array,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  optional,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";
import { leaderIdAndEpoch, nodeEndpoint, noLeader } from "./leader.ts";

/** One batch a partition, magic 2. Version 13 names topics by id. */
export const produceRequest = message({
  name: "ProduceRequest",
  versions: [3, 13],
  flexible: 9,
  fields: {
    transactionalId: optional(nullable(string), null),
    acks: int16,
    timeoutMs: int32,
    topicData: array(
      struct({
        name: until(12, string, ""),
        topicId: since(13, uuid, uuidZero),
        partitionData: array(
          struct({
            index: int32,
            records: nullable(records),
          }),
        ),
      }),
    ),
  },
});

export const produceResponse = message({
  name: "ProduceResponse",
  versions: [3, 13],
  flexible: 9,
  fields: {
    responses: array(
      struct({
        name: until(12, string, ""),
        topicId: since(13, uuid, uuidZero),
        partitionResponses: array(
          struct({
            index: int32,
            errorCode: int16,
            baseOffset: int64,
            logAppendTimeMs: optional(int64, -1),
            logStartOffset: since(5, int64, -1),
            recordErrors: since(
              8,
              array(
                struct({
                  batchIndex: int32,
                  batchIndexErrorMessage: optional(nullable(string), null),
                }),
              ),
              [],
            ),
            errorMessage: since(8, nullable(string), null),
            currentLeader: tagged(0, 10, leaderIdAndEpoch, noLeader),
          }),
        ),
      }),
    ),
    throttleTimeMs: optional(int32, 0),
    nodeEndpoints: tagged(0, 10, array(nodeEndpoint), []),
  },
});

/** Version 6 (KIP-939) is not stable yet. */
export const initProducerIdRequest = message({
  name: "InitProducerIdRequest",
  versions: [0, 5],
  flexible: 2,
  fields: {
    transactionalId: nullable(string),
    transactionTimeoutMs: int32,
    producerId: since(3, int64Clamped, -1),
    producerEpoch: since(3, int16, -1),
  },
});

export const initProducerIdResponse = message({
  name: "InitProducerIdResponse",
  versions: [0, 5],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    producerId: optional(int64, -1),
    producerEpoch: int16,
  },
});
