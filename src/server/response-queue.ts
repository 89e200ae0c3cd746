/**
 * The requests of one connection in order of arrival: decides which may start, and which answers may be written.
 *
 *   done │ done │ running │ running │ waiting          answers leave from the left, in order, whatever finished first
 *
 * Only produce requests overlap. Everything else starts when all before it are done, because clients rely on that (a commit
 * is in before the group is left), as they can with Kafka, which handles one request a connection at a time.
 */
import { assert } from "../base/errors.ts";

export interface Slot<Work, Answer> {
  readonly work: Work;
  readonly mayOverlap: boolean;
  state: "waiting" | "running" | "done";
  answer: Answer | undefined;
}

export class ResponseQueue<Work, Answer> {
  readonly #slots: Slot<Work, Answer>[] = [];

  get length(): number {
    return this.#slots.length;
  }

  add(work: Work, mayOverlap: boolean): Slot<Work, Answer> {
    const slot: Slot<Work, Answer> = { work, mayOverlap, state: "waiting", answer: undefined };
    this.#slots.push(slot);
    return slot;
  }

  finish(slot: Slot<Work, Answer>, answer: Answer): void {
    assert(slot.state !== "done", "a request is answered once");
    slot.state = "done";
    slot.answer = answer;
  }

  /** The next request that may start now; it then counts as running. */
  start(): Slot<Work, Answer> | undefined {
    let allOverlap = true;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.state === "waiting") {
        if (index > 0 && !(slot.mayOverlap && allOverlap)) return undefined;
        slot.state = "running";
        return slot;
      }
      if (slot.state === "running") allOverlap &&= slot.mayOverlap;
    }
    return undefined;
  }

  /** Forgets everything; gives the work that was never started, and the answers that were never taken. */
  drop(): { readonly waiting: readonly Work[]; readonly answers: readonly Answer[] } {
    const slots = this.#slots.splice(0);
    const waiting = slots.filter((slot) => slot.state === "waiting").map((slot) => slot.work);
    const answers = slots.map((slot) => slot.answer).filter((answer) => answer !== undefined);
    return { waiting, answers };
  }

  /** The next answer in order, which then leaves the queue. */
  take(): Answer | undefined {
    if (this.#slots[0]?.state !== "done") return undefined;
    return this.#slots.shift()?.answer;
  }
}
