/**
 * What consumers put into JoinGroup metadata and SyncGroup assignments when the protocol type is "consumer".
 *
 *   | int16 version | fields |       a newer version only appends fields: it is read as the newest one known
 */
import { array, bytes, int32, message, nullable, optional, since, string, struct } from "../../src/base/codec.ts";

export const consumerProtocolSubscription = message({
  name: "ConsumerProtocolSubscription",
  versions: [0, 3],
  flexible: undefined,
  fields: {
    topics: array(string),
    userData: optional(nullable(bytes), null),
    ownedPartitions: since(
      1,
      array(
        struct({
          topic: string,
          partitions: array(int32),
        }),
      ),
      [],
    ),
    generationId: since(2, int32, -1),
    rackId: since(3, nullable(string), null),
  },
});

export const consumerProtocolAssignment = message({
  name: "ConsumerProtocolAssignment",
  versions: [0, 3],
  flexible: undefined,
  fields: {
    assignedPartitions: array(
      struct({
        topic: string,
        partitions: array(int32),
      }),
    ),
    userData: optional(nullable(bytes), null),
  },
});
