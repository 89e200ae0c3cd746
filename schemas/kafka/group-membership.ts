/** The classic group protocol. */
import {
  array,
  boolean,
  bytes,
  int16,
  int32,
  message,
  nullable,
  nullableSince,
  optional,
  since,
  string,
  struct,
  until,
} from "../../src/base/codec.ts";

export const joinGroupRequest = message({
  name: "JoinGroupRequest",
  versions: [0, 9],
  flexible: 6,
  fields: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: since(1, int32, -1),
    memberId: string,
    groupInstanceId: since(5, nullable(string), null),
    protocolType: string,
    protocols: array(
      struct({
        name: string,
        metadata: bytes,
      }),
    ),
    reason: since(8, nullable(string), null),
  },
});

export const joinGroupResponse = message({
  name: "JoinGroupResponse",
  versions: [0, 9],
  flexible: 6,
  fields: {
    throttleTimeMs: since(2, int32, 0),
    errorCode: int16,
    generationId: optional(int32, -1),
    protocolType: since(7, nullable(string), null),
    protocolName: nullableSince(7, string),
    leader: string,
    skipAssignment: since(9, boolean, false),
    memberId: string,
    members: array(
      struct({
        memberId: string,
        groupInstanceId: since(5, nullable(string), null),
        metadata: bytes,
      }),
    ),
  },
});

export const syncGroupRequest = message({
  name: "SyncGroupRequest",
  versions: [0, 5],
  flexible: 4,
  fields: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, nullable(string), null),
    protocolType: since(5, nullable(string), null),
    protocolName: since(5, nullable(string), null),
    assignments: array(
      struct({
        memberId: string,
        assignment: bytes,
      }),
    ),
  },
});

export const syncGroupResponse = message({
  name: "SyncGroupResponse",
  versions: [0, 5],
  flexible: 4,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    protocolType: since(5, nullable(string), null),
    protocolName: since(5, nullable(string), null),
    assignment: bytes,
  },
});

export const heartbeatRequest = message({
  name: "HeartbeatRequest",
  versions: [0, 4],
  flexible: 4,
  fields: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, nullable(string), null),
  },
});

export const heartbeatResponse = message({
  name: "HeartbeatResponse",
  versions: [0, 4],
  flexible: 4,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
  },
});

export const leaveGroupRequest = message({
  name: "LeaveGroupRequest",
  versions: [0, 5],
  flexible: 4,
  fields: {
    groupId: string,
    memberId: until(2, string, ""),
    members: since(
      3,
      array(
        struct({
          memberId: string,
          groupInstanceId: optional(nullable(string), null),
          reason: since(5, nullable(string), null),
        }),
      ),
      [],
    ),
  },
});

export const leaveGroupResponse = message({
  name: "LeaveGroupResponse",
  versions: [0, 5],
  flexible: 4,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    members: since(
      3,
      array(
        struct({
          memberId: string,
          groupInstanceId: nullable(string),
          errorCode: int16,
        }),
      ),
      [],
    ),
  },
});
