/** The steps that reading or comparing schemas may take: they come from clients, and run on the event loop. */

export class TooComplex extends Error {
  override readonly name = "TooComplex";
}

export class Effort {
  #stepsLeft: number;

  constructor(stepsMax: number) {
    this.#stepsLeft = stepsMax;
  }

  /** Throws TooComplex when there are not as many left. */
  spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) throw new TooComplex("a schema takes too many steps");
  }
}
