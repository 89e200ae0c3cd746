/** What an answer of Azure's Blob service, or the lack of one, says about the request. Pure. */
import { fieldOf, neverSent, type Trouble } from "./requests.ts";

export function azureTrouble(cause: unknown): Trouble {
  const status = fieldOf(cause, "statusCode");
  const code = codeOf(cause);
  if (status === 412 || code === "BlobAlreadyExists") return { kind: "condition" };
  if (status === 404 && code !== "ContainerNotFound") return { kind: "missing" };
  if (status === 416) return { kind: "range" };
  const mayHeal = status === 429 || status === 401 || code === "ContainerBeingDeleted" || neverSent.includes(code);
  if (mayHeal || isCredentialTrouble(cause)) return { kind: "failed", happened: "no", retriable: true, code };
  if (typeof status === "number" && status >= 300 && status < 500)
    return { kind: "failed", happened: "no", retriable: false, code };
  return { kind: "failed", happened: "maybe", retriable: true, code }; // 5xx ("ServerBusy" too), timeouts, resets.
}

/** No token could be had: the request was not sent. Names of @azure/identity. */
function isCredentialTrouble(cause: unknown): boolean {
  const name = fieldOf(cause, "name");
  return ["CredentialUnavailableError", "AuthenticationError", "AggregateAuthenticationError"].includes(String(name));
}

/** The service's own code also comes as a header, as an answer to HEAD has no body. */
function codeOf(cause: unknown): string {
  for (const code of [
    fieldOf(fieldOf(cause, "details"), "errorCode"),
    fieldOf(cause, "code"),
    fieldOf(cause, "name"),
  ]) {
    if (typeof code === "string") return code;
  }
  return "unknown";
}
