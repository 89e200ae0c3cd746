/** The keys that sign tokens, read anew when a token names one that is not known, but not more often than a bound says. */
import { SingleFlight } from "../base/async.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import { isFor, parseKeySet, type SignedToken, type VerificationKey } from "./jwt.ts";

export interface KeySetOptions {
  /** The text of the set. Rejects when it cannot be had. */
  readonly read: () => Promise<string>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A set older than this is read again, so that a key which was withdrawn stops counting. */
  readonly ageMsMax: number;
  /** A storm of tokens with made-up keys reads the set no more often than this. */
  readonly readIntervalMsMin: number;
}

export class KeySet {
  readonly #options: KeySetOptions;
  readonly #reads = new SingleFlight<"read", void>();
  #keys: readonly VerificationKey[] = [];
  /** When the keys that we have were read; undefined before the first time. */
  #readMs: number | undefined;
  #triedMs: number | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Keys that may have signed the token. Without a set that is young enough there are none: it fails closed. */
  async keysFor(token: SignedToken): Promise<readonly VerificationKey[]> {
    if (this.#isOld() || !this.#keys.some((key) => isFor(key, token))) await this.#refresh();
    return this.#isExpired() ? [] : this.#keys;
  }

  async #refresh(): Promise<void> {
    const { clock, readIntervalMsMin } = this.#options;
    const isSoon = this.#triedMs !== undefined && clock.monotonic() - this.#triedMs < readIntervalMsMin;
    if (!isSoon) await this.#reads.run("read", () => this.#read());
  }

  async #read(): Promise<void> {
    const { read, clock, logger } = this.#options;
    this.#triedMs = clock.monotonic();
    try {
      const keys = parseKeySet(await read());
      if (keys === undefined || keys.length === 0) throw new Error("it holds no key that can check a signature");
      this.#keys = keys;
      this.#readMs = clock.monotonic();
    } catch (cause) {
      // Tokens go on being checked with the keys that we have until those are too old.
      logger.error("the keys of OAUTHBEARER tokens cannot be read", { cause });
    }
  }

  #isOld(): boolean {
    return this.#readMs === undefined || this.#options.clock.monotonic() - this.#readMs > this.#options.ageMsMax;
  }

  /** Twice the age: as long again may the source be away before nobody gets in. */
  #isExpired(): boolean {
    return this.#readMs === undefined || this.#options.clock.monotonic() - this.#readMs > 2 * this.#options.ageMsMax;
  }
}
