/** Users of PLAIN in a file of lines `user:hash`, read again when it changes. Lines that begin with # are comments. */
import { readFile } from "node:fs/promises";
import { Loop } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import { type PasswordHash, parsePasswordHash } from "./password-hash.ts";

export interface PasswordFileOptions {
  readonly path: string;
  readonly reloadMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class PasswordFile implements AsyncDisposable {
  readonly #options: PasswordFileOptions;
  readonly #reloads: Loop;
  #text: string;
  #users: ReadonlyMap<string, PasswordHash>;

  /** Rejects when the file cannot be read, or has a line that is none. */
  static async open(options: PasswordFileOptions): Promise<PasswordFile> {
    return new PasswordFile(options, await readFile(options.path, "utf8"));
  }

  private constructor(options: PasswordFileOptions, text: string) {
    this.#options = options;
    this.#text = text;
    this.#users = parseUsers(text, options.path);
    this.#reloads = new Loop({
      clock: options.clock,
      intervalMs: options.reloadMs,
      turn: () => this.#reload(),
      failed: (cause) =>
        options.logger.error("the file of users cannot be used; those from before count", {
          path: options.path,
          cause,
        }),
    });
  }

  hashOf(user: string): PasswordHash | undefined {
    return this.#users.get(user);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reloads[Symbol.asyncDispose]();
  }

  async #reload(): Promise<void> {
    const text = await readFile(this.#options.path, "utf8");
    if (text === this.#text) return;
    this.#users = parseUsers(text, this.#options.path);
    this.#text = text;
    this.#options.logger.info("the file of users has changed and is in use", { users: this.#users.size });
  }
}

/** Throws with the number of the line that is wrong, and nothing of what it says. */
export function parseUsers(text: string, path: string): ReadonlyMap<string, PasswordHash> {
  const users = new Map<string, PasswordHash>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const hash = parsePasswordHash(line.slice(colon + 1).trim());
    if (colon < 1 || hash === undefined) {
      throw new OperationFailed(
        `${path}:${index + 1} must be user:hash, the hash as "inlet config hash-password" prints it`,
        { happened: "no" },
      );
    }
    users.set(line.slice(0, colon), hash);
  }
  return users;
}
