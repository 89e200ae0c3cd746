/** Who may connect: a bound on all, on those from one address, and on how many come in a second. Pure but for its counts. */

export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerHostMax: number;
  /** Also the burst that is let in at once. */
  readonly connectionsPerSecondMax: number;
}

export type AdmissionRefusal = "connections" | "connections-per-host" | "connections-per-second";

export class ConnectionAdmission {
  readonly #limits: AdmissionLimits;
  readonly #byHost = new Map<string, number>();
  #open = 0;
  /** Connections that may come now: refilled with time, up to a second's worth. */
  #tokens: number;
  #refilledMs = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#tokens = limits.connectionsPerSecondMax;
  }

  /** undefined: it is in, and must `leave`. */
  enter(host: string, nowMs: number): AdmissionRefusal | undefined {
    const rate = this.#limits.connectionsPerSecondMax;
    this.#tokens = Math.min(rate, this.#tokens + ((nowMs - this.#refilledMs) / 1000) * rate);
    this.#refilledMs = nowMs;
    const ofHost = this.#byHost.get(host) ?? 0;
    if (this.#tokens < 1) return "connections-per-second";
    if (this.#open >= this.#limits.connectionsMax) return "connections";
    if (ofHost >= this.#limits.connectionsPerHostMax) return "connections-per-host";
    this.#tokens -= 1;
    this.#open += 1;
    this.#byHost.set(host, ofHost + 1);
    return undefined;
  }

  leave(host: string): void {
    const ofHost = (this.#byHost.get(host) ?? 0) - 1;
    this.#open -= 1;
    if (ofHost > 0) this.#byHost.set(host, ofHost);
    else this.#byHost.delete(host);
  }
}
