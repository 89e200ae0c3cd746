/** Work on a store in trouble: done again until it succeeds. */
import { type BackoffLimits, backoffDelayMs, sleep, untilAborted } from "../base/async.ts";
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

function retryLimits(limits: PersistOptions["limits"]): BackoffLimits {
  const { uploadRetryDelayMsMin: delayMsMin, uploadRetryDelayMsMax: delayMsMax } = limits;
  return { delayMsMin, delayMsMax, attemptsMax: Number.POSITIVE_INFINITY };
}
