/**
 * Decides when a slot is closed before it is full. Each slot is a request that costs money, so they come at most one an
 * interval in the long run; but whoever writes little shall not wait, so a few may be closed at once:
 *
 *   tokens   burst ──▶ one a slot ──▶ 0: one an interval          one more an interval, up to burst
 *            closed at once            closed by time
 */
export interface SlotPaceLimits {
  readonly walSlotIntervalMs: number;
  /** Slots that may be closed at once after a quiet time. */
  readonly walSlotBurst: number;
}

export class SlotPace {
  readonly #limits: SlotPaceLimits;
  #tokens: number;
  #refilledMs: number;
  #closedMs: number;

  constructor(limits: SlotPaceLimits, nowMs: number) {
    this.#limits = limits;
    this.#tokens = limits.walSlotBurst;
    this.#refilledMs = nowMs;
    this.#closedMs = nowMs - limits.walSlotIntervalMs;
  }

  /** How long the open slot waits for more. With another on its way it does: that one is what the writers wait for. */
  delayMs(nowMs: number, isIdle: boolean): number {
    this.#refill(nowMs);
    if (isIdle && this.#tokens >= 1) return 0;
    return Math.max(0, this.#closedMs + this.#limits.walSlotIntervalMs - nowMs);
  }

  closed(nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens = Math.max(0, this.#tokens - 1);
    this.#closedMs = nowMs;
  }

  #refill(nowMs: number): void {
    const { walSlotIntervalMs, walSlotBurst } = this.#limits;
    const fresh = (nowMs - this.#refilledMs) / Math.max(1, walSlotIntervalMs);
    this.#tokens = Math.min(walSlotBurst, this.#tokens + fresh);
    this.#refilledMs = nowMs;
  }
}
