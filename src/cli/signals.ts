/** The first SIGINT or SIGTERM asks for a graceful end, the second ends the process at once. */
import type { Clock } from "../base/runtime.ts";

/** Launcher, npm and terminal each pass a signal on: what comes this soon is the same wish. */
const sameWishMs = 500;

export interface Signals {
  /** Aborts at the first. */
  readonly signal: AbortSignal;
  /** Asks for a graceful end as the first signal does. */
  stop(): void;
}

export function watchSignals(
  clock: Clock,
  on: (name: "SIGINT" | "SIGTERM", listener: () => void) => void,
  exitNow: (code: number) => void,
): Signals {
  const stop = new AbortController();
  let firstAt: number | undefined;
  for (const [name, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    on(name, () => {
      if (firstAt === undefined) {
        firstAt = clock.monotonic();
        stop.abort();
      } else if (clock.monotonic() - firstAt >= sameWishMs) exitNow(128 + number);
    });
  }
  return { signal: stop.signal, stop: () => stop.abort() };
}
