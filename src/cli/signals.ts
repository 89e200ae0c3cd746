/** What SIGINT and SIGTERM do: they end the process at once, unless the command has asked for a graceful end; then a second one does. */
import type { Clock } from "../base/runtime.ts";

/** Launcher, npm and terminal each pass a signal on: what comes this soon is the same wish. */
const sameWishMs = 500;

export interface Signals {
  /** Aborts at the first signal from now on, which without this would have ended the process. */
  graceful(): AbortSignal;
  /** As a SIGTERM. */
  stop(): void;
}

export function watchSignals(
  clock: Clock,
  on: (name: "SIGINT" | "SIGTERM", listener: () => void) => void,
  exitNow: (code: number) => void,
): Signals {
  const stop = new AbortController();
  let isGraceful = false;
  let firstAt: number | undefined;
  const received = (number: number): void => {
    if (!isGraceful) exitNow(128 + number);
    else if (firstAt === undefined) {
      firstAt = clock.monotonic();
      stop.abort();
    } else if (clock.monotonic() - firstAt >= sameWishMs) exitNow(128 + number);
  };
  on("SIGINT", () => received(2));
  on("SIGTERM", () => received(15));
  return {
    graceful: () => {
      isGraceful = true;
      return stop.signal;
    },
    stop: () => received(15),
  };
}
