/** How a client says who it is (KIP-43, KIP-152, KIP-368). */
import { array, bytes, int16, int64, message, nullable, since, string } from "../../src/base/codec.ts";

export const saslHandshakeRequest = message({
  name: "SaslHandshakeRequest",
  versions: [0, 1],
  flexible: undefined,
  fields: { mechanism: string },
});

export const saslHandshakeResponse = message({
  name: "SaslHandshakeResponse",
  versions: [0, 1],
  flexible: undefined,
  fields: { errorCode: int16, mechanisms: array(string) },
});

export const saslAuthenticateRequest = message({
  name: "SaslAuthenticateRequest",
  versions: [0, 2],
  flexible: 2,
  fields: { authBytes: bytes },
});

export const saslAuthenticateResponse = message({
  name: "SaslAuthenticateResponse",
  versions: [0, 2],
  flexible: 2,
  fields: {
    errorCode: int16,
    errorMessage: nullable(string),
    authBytes: bytes,
    sessionLifetimeMs: since(1, int64, 0),
  },
});
