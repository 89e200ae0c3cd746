import { int16, int32, message, nullable, optional, string } from "../../src/base/codec.ts";

export const unregisterBrokerRequest = message({
  name: "UnregisterBrokerRequest",
  versions: [0, 0],
  flexible: 0,
  fields: { brokerId: int32 },
});

export const unregisterBrokerResponse = message({
  name: "UnregisterBrokerResponse",
  versions: [0, 0],
  flexible: 0,
  fields: { throttleTimeMs: optional(int32, 0), errorCode: int16, errorMessage: nullable(string) },
});
