/** Tokens by which workers act for the user who started them (KIP-48, KIP-373). */
import {
  array,
  bytes,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

const principal = struct({ principalType: string, principalName: string });

export const createDelegationTokenRequest = message({
  name: "CreateDelegationTokenRequest",
  versions: [1, 3],
  flexible: 2,
  fields: {
    ownerPrincipalType: since(3, nullable(string), null),
    ownerPrincipalName: since(3, nullable(string), null),
    renewers: array(principal),
    maxLifetimeMs: int64Clamped,
  },
});

export const createDelegationTokenResponse = message({
  name: "CreateDelegationTokenResponse",
  versions: [1, 3],
  flexible: 2,
  fields: {
    errorCode: int16,
    principalType: string,
    principalName: string,
    tokenRequesterPrincipalType: since(3, string, ""),
    tokenRequesterPrincipalName: since(3, string, ""),
    issueTimestampMs: int64,
    expiryTimestampMs: int64,
    maxTimestampMs: int64,
    tokenId: string,
    hmac: bytes,
    throttleTimeMs: optional(int32, 0),
  },
});

export const renewDelegationTokenRequest = message({
  name: "RenewDelegationTokenRequest",
  versions: [1, 2],
  flexible: 2,
  fields: { hmac: bytes, renewPeriodMs: int64Clamped },
});

export const renewDelegationTokenResponse = message({
  name: "RenewDelegationTokenResponse",
  versions: [1, 2],
  flexible: 2,
  fields: { errorCode: int16, expiryTimestampMs: int64, throttleTimeMs: optional(int32, 0) },
});

export const expireDelegationTokenRequest = message({
  name: "ExpireDelegationTokenRequest",
  versions: [1, 2],
  flexible: 2,
  fields: { hmac: bytes, expiryTimePeriodMs: int64Clamped },
});

export const expireDelegationTokenResponse = message({
  name: "ExpireDelegationTokenResponse",
  versions: [1, 2],
  flexible: 2,
  fields: { errorCode: int16, expiryTimestampMs: int64, throttleTimeMs: optional(int32, 0) },
});

export const describeDelegationTokenRequest = message({
  name: "DescribeDelegationTokenRequest",
  versions: [1, 3],
  flexible: 2,
  /** null asks for the tokens of all owners. */
  fields: { owners: nullable(array(principal)) },
});

export const describeDelegationTokenResponse = message({
  name: "DescribeDelegationTokenResponse",
  versions: [1, 3],
  flexible: 2,
  fields: {
    errorCode: int16,
    tokens: array(
      struct({
        principalType: string,
        principalName: string,
        tokenRequesterPrincipalType: since(3, string, ""),
        tokenRequesterPrincipalName: since(3, string, ""),
        issueTimestamp: int64,
        expiryTimestamp: int64,
        maxTimestamp: int64,
        tokenId: string,
        hmac: bytes,
        renewers: array(principal),
      }),
    ),
    throttleTimeMs: optional(int32, 0),
  },
});
