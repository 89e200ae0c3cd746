/** What becomes of a request, and of a connection. */
import type { Duplex } from "node:stream";
import { joinNeighbours } from "../base/bytes.ts";

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
      readonly borrowed?: Disposable | undefined;
      readonly thenCloses?: CloseReason;
    }
  | { readonly kind: "nothing" }
  | { readonly kind: "close"; readonly reason: CloseReason; readonly cause?: string };

/** The reply will not be written. */
export function discard(reply: Reply): void {
  if (reply.kind === "views") reply.borrowed?.[Symbol.dispose]();
}

export function write(socket: Duplex, { views, borrowed }: Extract<Reply, { kind: "views" }>): void {
  let last: Uint8Array = nothing;
  for (const view of joinNeighbours(views)) {
    if (last.length > 0) socket.write(last);
    last = view;
  }
  // Called for what a connection that ends leaves behind, too.
  socket.write(last, borrowed && (() => borrowed[Symbol.dispose]()));
}

const nothing = new Uint8Array();
