/**
 * AWS's Signature Version 4 for requests to a REST catalog (rule J9): Glue's and S3 Tables' Iceberg endpoints, and API gateways
 * before others. The hash of the body stands in a header of its own, as Iceberg's Java signs.
 */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import type { SignatureV4 } from "@smithy/signature-v4";
import { OperationFailed } from "../src/base/errors.ts";
import type { Clock } from "../src/base/runtime.ts";
import { type AwsCredentials, keysProvider } from "./aws.ts";

export interface SigV4Settings {
  /** "glue", "s3tables", "execute-api". */
  readonly service: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
}

export interface Unsigned {
  readonly method: string;
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** AWS refuses what was signed for longer ago than this, or for longer from now. */
const skewMsMax = 5 * 60_000;

/** Asks for the keys at each request: their source renews them before they expire. */
export class RequestSigner {
  readonly #settings: SigV4Settings;
  readonly #clock: Clock;
  /** Added to our clock: by how much the service's own is ahead of it. */
  #aheadMs = 0;
  #signer: Promise<SignatureV4> | undefined;

  constructor(settings: SigV4Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** All headers to send: the given ones and those of the signature. */
  async sign({ method, uri, headers, body }: Unsigned): Promise<Readonly<Record<string, string>>> {
    const signer = await this.#opened();
    const url = new URL(uri);
    const query: Record<string, string[]> = {};
    for (const [name, value] of url.searchParams) (query[name] ??= []).push(value);
    const request = {
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      ...(url.port === "" ? {} : { port: Number(url.port) }),
      path: url.pathname,
      query,
      headers: { ...headers, host: url.host, "x-amz-content-sha256": sha256(body ?? "") },
      ...(body === undefined ? {} : { body }),
    };
    try {
      const signed = await signer.sign(request, { signingDate: this.#nowMs() / 1000 });
      const { host: _host, ...rest } = signed.headers; // The client says it itself.
      return rest;
    } catch (cause) {
      throw new OperationFailed("no keys to sign a request with", { happened: "no", cause });
    }
  }

  /** Takes the time of the service over, as AWS's SDKs do, where ours is too far from it to be let in. False: it is not. */
  learnTime(serviceMs: number): boolean {
    if (!(Math.abs(serviceMs - this.#nowMs()) >= skewMsMax)) return false;
    this.#aheadMs = serviceMs - this.#clock.now();
    return true;
  }

  #nowMs(): number {
    return this.#clock.now() + this.#aheadMs;
  }

  #opened(): Promise<SignatureV4> {
    this.#signer ??= this.#open().catch((cause: unknown) => {
      this.#signer = undefined; // The next request tries again.
      throw cause;
    });
    return this.#signer;
  }

  async #open(): Promise<SignatureV4> {
    const { SignatureV4 } = await import("@smithy/signature-v4");
    const { service, region, credentials } = this.#settings;
    return new SignatureV4({ service, region, credentials: await keysProvider(credentials), sha256: Sha256 });
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Node's own hash in the shape that the signer wants; with a secret it is an HMAC. */
class Sha256 {
  readonly #secret: string | ArrayBuffer | ArrayBufferView | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret;
    this.#hash = started(secret);
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = started(this.#secret);
  }
}

function started(secret: string | ArrayBuffer | ArrayBufferView | undefined): Hash | Hmac {
  return secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return Buffer.from(data, "utf8");
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
