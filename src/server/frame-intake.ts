/**
 * The reading half of a connection: chunks become frames. What has come of a frame that is not complete counts against a
 * budget, that of the small or that of the large, and against time, but for the time in which we did not read.
 *
 *   chunk ─▶ FrameAssembler ─▶ frame, held until its request is answered
 *                 └─ half a frame: charged, timed
 */
import { Disposal } from "../base/disposal.ts";
import type { Clock } from "../base/runtime.ts";
import { FrameAssembler, type FrameMemory } from "./frame-assembler.ts";
import type { FrameBudget, FrameReader } from "./frame-budget.ts";

export interface FrameIntakeLimits {
  /** Frames up to this size have a budget of their own, so that heartbeats pass when large frames fill theirs. */
  readonly smallRequestBytesMax: number;
  /** How long a frame may take before its rate is looked at, milliseconds. */
  readonly arrivalGraceMs: number;
  readonly arrivalBytesPerSecondMin: number;
}

export interface FrameIntakeOptions {
  /** Whose frames they are, told when a budget has room again. */
  readonly reader: FrameReader;
  readonly frameBytesMax: number;
  readonly memory: FrameMemory;
  readonly budgets: { readonly small: FrameBudget; readonly large: FrameBudget };
  readonly limits: FrameIntakeLimits;
  readonly clock: Clock;
}

export class FrameIntake {
  readonly #options: FrameIntakeOptions;
  readonly #frames: FrameAssembler;
  /** Charged for the frame that is not complete, and for what was read but not cut into frames. */
  #charged = 0;
  #chargedTo: FrameBudget;
  /** When the incomplete frame began; moved on by the time in which we did not read. */
  #frameSinceMs = 0;
  #pausedSinceMs: number | undefined;

  constructor(options: FrameIntakeOptions) {
    this.#options = options;
    this.#frames = new FrameAssembler(options);
    this.#chargedTo = options.budgets.small;
  }

  /** Counts for the frames that announce their length from now on. */
  expect(next: Parameters<FrameAssembler["expect"]>[0]): void {
    this.#frames.expect(next);
  }

  /** The chunk is borrowed until `settle`. */
  push(chunk: Uint8Array): void {
    if (!this.isInsideFrame) this.#frameSinceMs = this.#options.clock.monotonic();
    this.#frames.push(chunk);
  }

  settle(): void {
    this.#frames.settle();
  }

  /** The next complete frame, which the caller holds or releases. Throws CorruptData for a length that no frame has. */
  next(): Uint8Array | undefined {
    const frame = this.#frames.next();
    if (frame === undefined) return undefined;
    this.#refund();
    this.#frameSinceMs = this.#options.clock.monotonic(); // The next one begins in the same chunk or later.
    return frame;
  }

  /** Until it is disposed of, the frame counts against its budget and keeps its memory. */
  hold(frame: Uint8Array): Disposable {
    const place = this.#budgetOf(frame.length).hold(frame.length);
    return new Disposal(() => {
      place[Symbol.dispose]();
      this.release(frame);
    });
  }

  /** A frame that was not held. */
  release(frame: Uint8Array): void {
    this.#options.memory.release(frame);
  }

  /** Half a frame has come. */
  get isInsideFrame(): boolean {
    return this.#frames.arrived > 0;
  }

  /** Whether half a frame comes more slowly than any may. */
  isTooSlow(nowMs: number): boolean {
    if (!this.isInsideFrame || this.#pausedSinceMs !== undefined) return false;
    const { arrivalGraceMs, arrivalBytesPerSecondMin } = this.#options.limits;
    const overdueMs = nowMs - this.#frameSinceMs - arrivalGraceMs;
    return overdueMs > 0 && this.#frames.arrived < (overdueMs / 1000) * arrivalBytesPerSecondMin;
  }

  /** Charges for what has come since. */
  charge(): void {
    const budget = this.#budgetOf(this.#frames.announced);
    if (budget !== this.#chargedTo) this.#refund();
    this.#chargedTo = budget;
    const bytes = this.#frames.arrived + this.#frames.unread;
    budget.charge(bytes - this.#charged);
    this.#charged = bytes;
  }

  /** Whether there is room for more. If not, the reader is told when there is, or all that came waits to be cut. */
  mayRead(): boolean {
    return this.#frames.unread === 0 && this.#chargedTo.mayRead(this.#options.reader, this.isInsideFrame);
  }

  /** Time stands still for half a frame. */
  pause(): void {
    this.#pausedSinceMs ??= this.#options.clock.monotonic();
  }

  /** Whether it was paused. */
  resume(): boolean {
    if (this.#pausedSinceMs === undefined) return false;
    this.#frameSinceMs += this.#options.clock.monotonic() - this.#pausedSinceMs;
    this.#pausedSinceMs = undefined;
    return true;
  }

  /** No more will come. Frames that are held stay so. */
  drop(): void {
    this.#refund();
    this.#frames.drop();
  }

  #refund(): void {
    this.#chargedTo.leave(this.#options.reader);
    this.#chargedTo.refund(this.#charged);
    this.#charged = 0;
  }

  #budgetOf(frameBytes: number): FrameBudget {
    const { limits, budgets } = this.#options;
    return frameBytes > limits.smallRequestBytesMax ? budgets.large : budgets.small;
  }
}
