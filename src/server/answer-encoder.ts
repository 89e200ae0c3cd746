/** Encodes answers so that a long one does not hold up all other clients. */
import { Gate, Slices, sleep } from "../base/async.ts";
import type { Clock } from "../base/runtime.ts";

type Views = readonly Uint8Array[];

/** Of one turn of the event loop. */
const sliceMsMax = 2;

/** Of all connections of a listener. */
export class AnswerEncoder {
  readonly #clock: Clock;
  /** Long answers are made one after another: side by side all of them would be in memory, and none would be ready sooner. */
  readonly #long = new Gate(1);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In this turn when it does not take long, as most do not. "gone": nobody waits for the answer any more. */
  encode(steps: Generator<void, Views, void>, signal: AbortSignal): Views | Promise<Views | "gone"> {
    const startedMs = this.#clock.monotonic();
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (this.#clock.monotonic() - startedMs < sliceMsMax);
    return this.#encodeLong(steps, signal);
  }

  async #encodeLong(steps: Generator<void, Views, void>, signal: AbortSignal): Promise<Views | "gone"> {
    using _place = await this.#long.enter();
    try {
      await sleep(this.#clock, 0, signal);
      return await new Slices({ clock: this.#clock, sliceMsMax, signal }).run(steps);
    } catch (cause) {
      if (signal.aborted && cause === signal.reason) return "gone";
      throw cause;
    }
  }
}
