/** Between a connection, which has frames to answer, and its authenticator, which knows tokens. */
import { errorCode } from "../../schemas/kafka/errors.ts";
import type { ApiName, ResponseInputOf } from "../protocol/api-table.ts";
import { type DecodedRequest, encodeResponse } from "../protocol/frame.ts";
import type { Authenticator, SaslAnswer } from "./authenticator.ts";
import type { Reply } from "./connection-reply.ts";

export type SaslWork =
  | { readonly kind: "request"; readonly request: DecodedRequest }
  | { readonly kind: "token"; readonly token: Uint8Array };

/** undefined: the request has nothing to do with authentication, and may be answered. */
export async function answerSasl(work: SaslWork, authenticator: Authenticator): Promise<Reply | undefined> {
  if (work.kind === "token") return saslReply(await authenticator.authenticateBare(work.token), bareFrame);
  const { request } = work;
  const encode = (body: ResponseInputOf<ApiName>): readonly Uint8Array[] => encodeResponse<ApiName>(request, body);
  if (!authenticator.mayAsk(request.api)) {
    if (authenticator.isKnown) return { kind: "close", reason: "session-expired" };
    // Of what a stranger may ask, this alone can come at the wrong time: a token is awaited.
    const isLate = request.api === "apiVersions";
    const body = { errorCode: errorCode.ILLEGAL_SASL_STATE, apiKeys: [] };
    return isLate ? saslReply({ body, closes: true }, encode) : { kind: "close", reason: "unauthenticated" };
  }
  if (request.api === "saslHandshake") {
    return saslReply(authenticator.handshake(request.body.mechanism, request.version), encode);
  }
  if (request.api === "saslAuthenticate") {
    return saslReply(await authenticator.authenticate(request.body.authBytes), encode);
  }
  return undefined;
}

function saslReply<Body>(answer: SaslAnswer<Body>, encode: (body: Body) => readonly Uint8Array[]): Reply {
  if (answer === "close") return { kind: "close", reason: "unauthenticated" };
  const views = encode(answer.body);
  return answer.closes ? { kind: "views", views, thenCloses: "unauthenticated" } : { kind: "views", views };
}

/** A token with its length before it, and nothing else (SaslHandshake version 0). */
function bareFrame(token: Uint8Array): readonly Uint8Array[] {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setInt32(0, token.length);
  return [length, token];
}
