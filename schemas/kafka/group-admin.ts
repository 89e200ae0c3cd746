/** Groups seen from outside. */
import {
  array,
  boolean,
  bytes,
  int16,
  int32,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

export const listGroupsRequest = message({
  name: "ListGroupsRequest",
  versions: [0, 5],
  flexible: 3,
  fields: {
    statesFilter: since(4, array(string), []),
    typesFilter: since(5, array(string), []),
  },
});

export const listGroupsResponse = message({
  name: "ListGroupsResponse",
  versions: [0, 5],
  flexible: 3,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    groups: array(
      struct({
        groupId: string,
        protocolType: string,
        groupState: since(4, string, ""),
        groupType: since(5, string, ""),
      }),
    ),
  },
});

export const describeGroupsRequest = message({
  name: "DescribeGroupsRequest",
  versions: [0, 6],
  flexible: 5,
  fields: {
    groups: array(string),
    includeAuthorizedOperations: since(3, boolean, false),
  },
});

export const describeGroupsResponse = message({
  name: "DescribeGroupsResponse",
  versions: [0, 6],
  flexible: 5,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    groups: array(
      struct({
        errorCode: int16,
        errorMessage: since(6, nullable(string), null),
        groupId: string,
        groupState: string,
        protocolType: string,
        protocolData: string,
        members: array(
          struct({
            memberId: string,
            groupInstanceId: since(4, nullable(string), null),
            clientId: string,
            clientHost: string,
            memberMetadata: bytes,
            memberAssignment: bytes,
          }),
        ),
        authorizedOperations: since(3, int32, -2147483648),
      }),
    ),
  },
});

export const deleteGroupsRequest = message({
  name: "DeleteGroupsRequest",
  versions: [0, 2],
  flexible: 2,
  fields: {
    groupsNames: array(string),
  },
});

export const deleteGroupsResponse = message({
  name: "DeleteGroupsResponse",
  versions: [0, 2],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: array(
      struct({
        groupId: string,
        errorCode: int16,
      }),
    ),
  },
});
