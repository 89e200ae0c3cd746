/** A metadata log whose answers get lost, whose writes land late, and which takes its time. */
import { sleep } from "../../src/base/async.ts";
import { OperationFailed } from "../../src/base/errors.ts";
import type { CasLog, LogEntry } from "../../src/metadata/cas-log.ts";
import type { SimClock } from "./clock.ts";
import type { SimRandom } from "./random.ts";

export interface LogFaults {
  /** Probabilities for each request. "ghost": the append lands within ghostMsMax after "unknown" was answered. */
  readonly lost: number;
  readonly unheard: number;
  readonly ghost: number;
  readonly readFails: number;
  readonly delayMsMax: number;
  readonly ghostMsMax: number;
}

export const calmLog: LogFaults = { lost: 0, unheard: 0, ghost: 0, readFails: 0, delayMsMax: 10, ghostMsMax: 20_000 };

export const stormyLog: LogFaults = { ...calmLog, lost: 0.1, unheard: 0.15, ghost: 0.1, readFails: 0.1 };

export class FaultyCasLog implements CasLog {
  faults: LogFaults;
  /** Number of the append, from 1, whose answer is lost although it took effect. */
  unheardAt: number | undefined;
  appends = 0;
  readonly struck = new Map<string, number>();
  readonly #inner: CasLog;
  readonly #clock: SimClock;
  readonly #random: SimRandom;

  constructor(
    inner: CasLog,
    options: { readonly clock: SimClock; readonly random: SimRandom; readonly faults?: LogFaults },
  ) {
    this.#inner = inner;
    this.#clock = options.clock;
    this.#random = options.random;
    this.faults = options.faults ?? calmLog;
  }

  async append(entry: LogEntry): ReturnType<CasLog["append"]> {
    this.appends += 1;
    const isUnheard = this.appends === this.unheardAt;
    const copy = { ...entry, events: entry.events.slice() };
    await this.#delay();
    if (this.#strikes("lost")) return unknown("lost");
    if (this.#strikes("ghost")) {
      this.#clock.after(this.#random.between(0, this.faults.ghostMsMax), () => {
        this.#clock.trace(`ghost of ${entry.opId} lands`);
        this.#inner.append(copy).catch((cause: unknown) => this.#clock.trace(`ghost failed: ${String(cause)}`));
      });
      return unknown("ghost");
    }
    const outcome = await this.#inner.append(copy);
    this.#clock.trace(`append ${entry.opId} ${outcome.kind}`);
    await this.#delay();
    return isUnheard || this.#strikes("unheard") ? unknown("unheard") : outcome;
  }

  async read(...[from, entriesMax]: Parameters<CasLog["read"]>): ReturnType<CasLog["read"]> {
    await this.#delay();
    if (this.#strikes("readFails")) throw new OperationFailed("simulated: read", { happened: "no" });
    return await this.#inner.read(from, entriesMax);
  }

  async readCheckpoint(): ReturnType<CasLog["readCheckpoint"]> {
    await this.#delay();
    if (this.#strikes("readFails")) throw new OperationFailed("simulated: read checkpoint", { happened: "no" });
    return await this.#inner.readCheckpoint();
  }

  async writeCheckpoint(...[checkpoint]: Parameters<CasLog["writeCheckpoint"]>): Promise<void> {
    await this.#delay();
    if (this.#strikes("lost")) throw new OperationFailed("simulated: write checkpoint", { happened: "maybe" });
    await this.#inner.writeCheckpoint(checkpoint);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }

  #delay(): Promise<void> {
    return sleep(this.#clock, this.#random.unit() * this.faults.delayMsMax);
  }

  #strikes(fault: "lost" | "unheard" | "ghost" | "readFails"): boolean {
    if (!this.#random.chance(this.faults[fault])) return false;
    this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
    return true;
  }
}

function unknown(cause: string): { readonly kind: "unknown"; readonly cause: unknown } {
  return { kind: "unknown", cause: new Error(`simulated: ${cause}`) };
}
