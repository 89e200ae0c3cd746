/**
 * While records are appended, readers of the past share a bandwidth, a slice each in turn, so that whoever waits for what
 * is appended does not wait for them: each of their bytes takes time of the event loop, of the collector and of the network.
 * While nothing is, they get all they ask for.
 *
 *   appended, B/s    ___________|‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾|____
 *   the past, B/s    ‾‾‾‾‾‾‾‾‾‾‾|_ _ _ _ _ _ _ _ _|‾‾‾‾    at most the setting, or twice what is appended
 */
import { sleep } from "../base/async.ts";
import type { Clock } from "../base/runtime.ts";
import { KiB, MiB } from "../base/settings.ts";

export interface CatchupLimits {
  /** While records are appended; 0 is no limit. */
  readonly catchupBusyBytesPerSecondMax: number;
}

/** A read that may begin now. */
export interface CatchupTurn {
  /** No more than this, but for a first batch that is larger. */
  readonly bytesMax: number;
  /** What it was given in the end. */
  readonly took: (bytes: number) => void;
}

export class CatchupShare {
  readonly #clock: Clock;
  readonly #limits: CatchupLimits;
  /** Bytes that were ever appended. */
  readonly #appended: () => number;
  #sampledAtMs: number;
  #sampledBytes: number;
  #appendedPerSecond = 0;
  /** When all slices so far are paid for, monotonic. */
  #paidMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: CatchupLimits;
    readonly appended: () => number;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#appended = options.appended;
    this.#sampledAtMs = this.#clock.monotonic();
    this.#sampledBytes = this.#appended();
  }

  /** Whether there is a limit now: then one who has something already takes it, and lets others have their turn. */
  get isHeld(): boolean {
    return Number.isFinite(this.#rate());
  }

  async turn(bytesMax: number): Promise<CatchupTurn> {
    const rate = this.#rate();
    if (!Number.isFinite(rate)) return { bytesMax, took: () => undefined };
    const slice = Math.min(bytesMax, sliceBytes);
    const nowMs = this.#clock.monotonic();
    const beginMs = Math.min(Math.max(this.#paidMs, nowMs), nowMs + waitMsMax);
    this.#pay(beginMs, slice, rate);
    if (beginMs - nowMs > timerMs) await sleep(this.#clock, beginMs - nowMs);
    return { bytesMax: slice, took: (bytes) => this.#pay(this.#paidMs, bytes - slice, rate) };
  }

  #pay(fromMs: number, bytes: number, rate: number): void {
    this.#paidMs = Math.min(fromMs + (bytes / rate) * 1000, this.#clock.monotonic() + waitMsMax);
  }

  /** Bytes a second; infinite where nothing is to be held. */
  #rate(): number {
    const { catchupBusyBytesPerSecondMax } = this.#limits;
    if (catchupBusyBytesPerSecondMax === 0) return Number.POSITIVE_INFINITY;
    this.#sample();
    if (this.#appendedPerSecond < busyBytesPerSecondMin) return Number.POSITIVE_INFINITY;
    return Math.max(catchupBusyBytesPerSecondMax, overtakingFactor * this.#appendedPerSecond);
  }

  #sample(): void {
    const nowMs = this.#clock.monotonic();
    const elapsedMs = nowMs - this.#sampledAtMs;
    if (elapsedMs < sampleMs) return;
    const bytes = this.#appended();
    // After a while without readers this would be an average of what was: begin anew, and hold nobody for it.
    this.#appendedPerSecond = elapsedMs > sampleMsMax ? 0 : ((bytes - this.#sampledBytes) / elapsedMs) * 1000;
    this.#sampledAtMs = nowMs;
    this.#sampledBytes = bytes;
  }
}

const sampleMs = 1000;
const sampleMsMax = 3 * sampleMs;
/** Below it nobody is thought to wait: readers of the past write as much themselves, with the positions that they commit. */
const busyBytesPerSecondMin = 16 * KiB;
/** Whoever reads the past must come nearer to the end, however fast that goes on. */
const overtakingFactor = 2;
const sliceBytes = 1 * MiB;
/** However many there are: a client that is left without an answer for longer gives up, and asks for the same again. */
const waitMsMax = 5000;
/** Below the resolution of timers a pause would be longer than what it pays for. */
const timerMs = 2;
