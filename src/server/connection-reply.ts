/** What becomes of a request, and of a connection. */

/** Why a connection ended. */
export type CloseReason =
  | "by-peer"
  | "corrupt"
  | "unsupported"
  | "refused"
  | "unauthenticated"
  | "session-expired"
  | "handler-failed"
  | "idle"
  | "slow"
  | "shutdown";

export type Reply =
  | { readonly kind: "views"; readonly views: readonly Uint8Array[]; readonly thenCloses?: CloseReason }
  | { readonly kind: "nothing" }
  | { readonly kind: "close"; readonly reason: CloseReason; readonly cause?: string };
