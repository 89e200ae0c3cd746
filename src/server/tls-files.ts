/** Certificate, key and trusted certificates from PEM files, read again when the files change. */
import { constants, createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Loop } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";

export interface TlsPaths {
  /** The certificate, and those that lead from it to the root. */
  readonly certificate: string;
  readonly key: string;
  /** Who signs clients' certificates; null where none are asked for. */
  readonly clientCa: string | null;
}

export interface TlsFilesOptions {
  readonly paths: TlsPaths;
  /** How often the files are looked at. */
  readonly reloadMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Forward secrecy and authenticated encryption only (RFC 9325, section 4.2). */
const ciphers = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
].join(":");

export class TlsFiles implements AsyncDisposable {
  readonly #options: TlsFilesOptions;
  readonly #reloads: Loop;
  #changed: ((context: SecureContextOptions) => void) | undefined;
  #loaded: Loaded;

  /** Rejects when the files cannot be read or do not fit each other. */
  static async open(options: TlsFilesOptions): Promise<TlsFiles> {
    return new TlsFiles(options, await load(options.paths));
  }

  private constructor(options: TlsFilesOptions, loaded: Loaded) {
    this.#options = options;
    this.#loaded = loaded;
    this.#reloads = new Loop({
      clock: options.clock,
      intervalMs: options.reloadMs,
      turn: () => this.#reload(),
      // Files are often written one after the other: what does not fit now may at the next look.
      failed: (cause) =>
        options.logger.error("the TLS files cannot be used; connections go on with those from before", {
          ...options.paths,
          cause,
        }),
    });
  }

  get context(): SecureContextOptions {
    return this.#loaded.context;
  }

  /** For connections from now on; those that are there keep what they have. */
  onChange(changed: (context: SecureContextOptions) => void): void {
    this.#changed = changed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reloads[Symbol.asyncDispose]();
  }

  async #reload(): Promise<void> {
    const loaded = await load(this.#options.paths);
    if (loaded.digest === this.#loaded.digest) return;
    this.#loaded = loaded;
    this.#changed?.(loaded.context);
    this.#options.logger.info("the TLS files have changed and are in use", { ...this.#options.paths });
  }
}

interface Loaded {
  readonly context: SecureContextOptions;
  readonly digest: string;
}

async function load(paths: TlsPaths): Promise<Loaded> {
  const cert = await readFile(paths.certificate);
  const key = await readFile(paths.key);
  const ca = paths.clientCa === null ? undefined : await readFile(paths.clientCa);
  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    ciphers,
    minVersion: "TLSv1.2",
    honorCipherOrder: true,
    // A resumed session would skip the check of a certificate that is not trusted any more.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
  try {
    createSecureContext(context); // Throws when key and certificate do not fit.
  } catch (cause) {
    const text = `the certificate ${paths.certificate} and the key ${paths.key} cannot be used: ${(cause as Error).message}`;
    throw new OperationFailed(text, { happened: "no", cause });
  }
  const hash = createHash("sha256");
  for (const file of [cert, key, ca ?? ""]) hash.update(file).update("\0");
  return { context, digest: hash.digest("hex") };
}
