/** The SASL requests where there is nothing to authenticate: src/server/authenticator.ts answers those that mean something. */
import type { ApiName } from "../../protocol/api-table.ts";
import type { HandlerOf } from "../admin-handlers.ts";
import { code } from "../handler.ts";

const errorMessage = "This listener does not authenticate its clients.";

export function saslHandlers() {
  return {
    saslHandshake: async () => ({ errorCode: code("ILLEGAL_SASL_STATE"), mechanisms: [] }),
    saslAuthenticate: async () => ({
      errorCode: code("ILLEGAL_SASL_STATE"),
      errorMessage,
      authBytes: new Uint8Array(0),
    }),
  } satisfies { readonly [Name in ApiName]?: HandlerOf<Name> };
}
