/** How a partition's answer names the leader to turn to (KIP-951), so that the client saves itself a metadata request. */
import { int32, nullable, optional, string, struct } from "../../src/base/codec.ts";

export const leaderIdAndEpoch = struct({ leaderId: optional(int32, -1), leaderEpoch: optional(int32, -1) });

export const noLeader = { leaderId: -1, leaderEpoch: -1 };

export const nodeEndpoint = struct({
  nodeId: int32,
  host: string,
  port: int32,
  rack: optional(nullable(string), null),
});
