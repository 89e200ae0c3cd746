/** Work on a store in trouble: done again until it succeeds. */
import { type BackoffLimits, backoffDelayMs, sleep } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";

export interface PersistOptions {
  readonly runtime: Runtime;
  readonly limits: { readonly uploadRetryDelayMsMin: number; readonly uploadRetryDelayMsMax: number };
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Ends with the work's success, with an abort, or with what is no failed operation. */
export async function persist<T>(what: string, work: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { runtime, limits, logger, signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await untilAborted(work(), signal);
    } catch (cause) {
      if (signal.aborted || !(cause instanceof OperationFailed)) throw cause;
      const delayMs = backoffDelayMs(retryLimits(limits), attempt, runtime.random);
      logger.warn("the object store fails, trying again", { what, attempt, delayMs, cause });
      await sleep(runtime.clock, delayMs, signal);
    }
  }
}

/** The promise's outcome, or the abort's reason if that comes first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined); // Whoever aborted has said why.
    return Promise.reject(signal.reason as Error);
  }
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function retryLimits(limits: PersistOptions["limits"]): BackoffLimits {
  const { uploadRetryDelayMsMin: delayMsMin, uploadRetryDelayMsMax: delayMsMax } = limits;
  return { delayMsMin, delayMsMax, attemptsMax: Number.POSITIVE_INFINITY };
}
