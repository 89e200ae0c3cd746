/** Which broker coordinates a group or a transactional id. */
import {
  array,
  between,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  struct,
  until,
} from "../../src/base/codec.ts";

export const findCoordinatorRequest = message({
  name: "FindCoordinatorRequest",
  versions: [0, 6],
  flexible: 3,
  fields: {
    key: until(3, string, ""),
    keyType: since(1, int8, 0),
    coordinatorKeys: since(4, array(string), []),
  },
});

export const findCoordinatorResponse = message({
  name: "FindCoordinatorResponse",
  versions: [0, 6],
  flexible: 3,
  fields: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: until(3, int16, 0),
    errorMessage: between(1, 3, nullable(string), ""),
    nodeId: until(3, int32, 0),
    host: until(3, string, ""),
    port: until(3, int32, 0),
    coordinators: since(
      4,
      array(
        struct({
          key: string,
          nodeId: int32,
          host: string,
          port: int32,
          errorCode: int16,
          errorMessage: nullable(string),
        }),
      ),
      [],
    ),
  },
});
