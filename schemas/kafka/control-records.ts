/**
 * Records of control batches.
 *
 *   key    | int16 version | int16 type: 0 abort, 1 commit |
 *   value  | int16 version | int32 coordinator epoch |
 */
import { int16, int32, message } from "../../src/base/codec.ts";

export const controlRecordKey = message({
  name: "ControlRecordKey",
  versions: [0, 0],
  flexible: undefined,
  fields: { type: int16 },
});

export const controlRecordType = { abort: 0, commit: 1 } as const;

export const endTxnMarker = message({
  name: "EndTxnMarker",
  versions: [0, 0],
  flexible: undefined,
  fields: {
    coordinatorEpoch: int32,
  },
});
