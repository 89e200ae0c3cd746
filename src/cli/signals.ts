/** The first SIGINT or SIGTERM asks for a graceful end, the second ends the process at once. */
import type { Clock } from "../base/runtime.ts";

/** Launcher, npm and terminal each pass a signal on: what comes this soon is the same wish. */
const sameWishMs = 500;

export interface Signals {
  /** Aborts at the first. */
  readonly signal: AbortSignal;
  /** 128 and the number of the signal that came, as a shell says it; 0 when none came. */
  exitCode(): number;
}

export function watchSignals(
  clock: Clock,
  on: (name: "SIGINT" | "SIGTERM", listener: () => void) => void,
  exitNow: (code: number) => void,
): Signals {
  const stop = new AbortController();
  let firstAt: number | undefined;
  let code = 0;
  for (const [name, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    on(name, () => {
      if (firstAt === undefined) {
        firstAt = clock.monotonic();
        code = 128 + number;
        stop.abort();
      } else if (clock.monotonic() - firstAt >= sameWishMs) exitNow(128 + number);
    });
  }
  return { signal: stop.signal, exitCode: () => code };
}
