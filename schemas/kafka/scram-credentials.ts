/** What users prove their passwords against (KIP-554). Passwords never travel: the client salts them. */
import { array, bytes, int8, int16, int32, message, nullable, optional, string, struct } from "../../src/base/codec.ts";

export const describeUserScramCredentialsRequest = message({
  name: "DescribeUserScramCredentialsRequest",
  versions: [0, 0],
  flexible: 0,
  /** null and [] ask for all users. */
  fields: { users: nullable(array(struct({ name: string }))) },
});

export const describeUserScramCredentialsResponse = message({
  name: "DescribeUserScramCredentialsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
    results: array(
      struct({
        user: string,
        errorCode: int16,
        errorMessage: nullable(string),
        credentialInfos: array(struct({ mechanism: int8, iterations: int32 })),
      }),
    ),
  },
});

export const alterUserScramCredentialsRequest = message({
  name: "AlterUserScramCredentialsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    deletions: array(struct({ name: string, mechanism: int8 })),
    upsertions: array(struct({ name: string, mechanism: int8, iterations: int32, salt: bytes, saltedPassword: bytes })),
  },
});

export const alterUserScramCredentialsResponse = message({
  name: "AlterUserScramCredentialsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: array(struct({ user: string, errorCode: int16, errorMessage: nullable(string) })),
  },
});
