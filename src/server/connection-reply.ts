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
  | {
      readonly kind: "views";
      readonly views: readonly Uint8Array[];
      /** Let go when the views are written, or will not be. */
      readonly borrowed?: Disposable;
      readonly thenCloses?: CloseReason;
    }
  | { readonly kind: "nothing" }
  | { readonly kind: "close"; readonly reason: CloseReason; readonly cause?: string };

/** The reply will not be written. */
export function discard(reply: Reply): void {
  if (reply.kind === "views") reply.borrowed?.[Symbol.dispose]();
}
