/**
 * Records of __consumer_offsets, as Kafka writes them.
 *
 *   key    | int16 what it is: 0, 1 offset, 2 group | fields |
 *   value  | int16 version | fields |                            no value: a tombstone
 */
import {
  array,
  between,
  bytes,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  struct,
  tagged,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";

export const offsetCommitKey = message({
  name: "OffsetCommitKey",
  versions: [0, 1],
  flexible: undefined,
  fields: {
    group: string,
    topic: string,
    partition: int32,
  },
});

export const offsetCommitValue = message({
  name: "OffsetCommitValue",
  versions: [0, 4],
  flexible: 4,
  fields: {
    offset: int64,
    leaderEpoch: since(3, int32, -1),
    metadata: string,
    commitTimestamp: int64,
    expireTimestamp: between(1, 1, int64, -1),
    topicId: tagged(0, 4, uuid, uuidZero),
  },
});

export const groupMetadataKey = message({
  name: "GroupMetadataKey",
  versions: [2, 2],
  flexible: undefined,
  fields: {
    group: string,
  },
});

/** Protocol and leader are null while the group is empty. Timeouts and timestamps are milliseconds. */
export const groupMetadataValue = message({
  name: "GroupMetadataValue",
  versions: [0, 4],
  flexible: 4,
  fields: {
    protocolType: string,
    generation: int32,
    protocol: nullable(string),
    leader: nullable(string),
    currentStateTimestamp: since(2, int64, -1),
    members: array(
      struct({
        memberId: string,
        groupInstanceId: since(3, nullable(string), null),
        clientId: string,
        clientHost: string,
        rebalanceTimeout: since(1, int32, -1),
        sessionTimeout: int32,
        subscription: bytes,
        assignment: bytes,
      }),
    ),
  },
});
