/**
 * Objects in a bucket that speaks S3. Its repeats are elsewhere (retrying.ts): one call of a method is one request, but for
 * pages of a listing and of a delete.
 */
import type * as S3Sdk from "@aws-sdk/client-s3";
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { crc32c } from "@node-rs/crc32";
import { Slices } from "../base/async.ts";
import { copyInto } from "../base/bytes.ts";
import type { Clock } from "../base/runtime.ts";
import { MiB } from "../base/settings.ts";
import { bodyBytes, gathered, viewsOf } from "./body.ts";
import {
  type Body,
  type ByteRange,
  type Created,
  type MultipartUpload,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Replaced,
  requireRange,
  StoreFailed,
  type StoreLimits,
} from "./object-store.ts";
import { answerOf, Requests, type RequestsOptions } from "./requests.ts";
import { connectS3, credentialsRenewal, type S3Connection } from "./s3-client.ts";
import { encryptionOf, isEncrypted } from "./s3-encryption.ts";
import { s3Trouble } from "./s3-errors.ts";
import type { S3Place } from "./store-url.ts";

/** S3's own limit on DeleteObjects. */
const deleteKeysMax = 1000;

export interface S3StoreOptions {
  readonly place: Pick<S3Place, "url" | "bucket" | "prefix" | "encryption" | "checksum">;
  readonly clock: Clock;
  readonly limits: StoreLimits;
  /** Whether the answer to a completed upload carries the ETag that head will say. */
  readonly uploadTellsEtag: boolean;
  /** Of a listing; the store's own, 1000, when left out. */
  readonly pageKeysMax?: number;
  /** S3's own when left out. */
  readonly troubleOf?: RequestsOptions["troubleOf"];
}

export async function openS3ObjectStore(
  place: S3Place,
  options: Pick<S3StoreOptions, "clock" | "limits" | "pageKeysMax">,
): Promise<ObjectStore> {
  return new S3ObjectStore(await connectS3(place, options.limits), { ...options, place, uploadTellsEtag: true });
}

export class S3ObjectStore implements ObjectStore {
  readonly url: string;
  readonly #sdk: typeof S3Sdk;
  readonly #client: S3Client;
  readonly #requests: Requests;
  readonly #options: S3StoreOptions;
  readonly #prefix: string;
  /** Or nothing was asked for. */
  #isKnownToEncrypt: boolean;

  constructor({ sdk, client, renewal }: S3Connection, options: S3StoreOptions) {
    const { place, clock, limits } = options;
    this.#sdk = sdk;
    this.#client = client;
    this.#requests = new Requests({
      clock,
      requestMsMax: limits.requestMsMax,
      troubleOf: options.troubleOf ?? s3Trouble,
      ...(renewal ?? credentialsRenewal(client)),
    });
    this.#options = options;
    this.#isKnownToEncrypt = options.place.encryption.kind === "bucket";
    this.#prefix = place.prefix === "" ? "" : `${place.prefix}/`;
    this.url = place.url;
  }

  put(key: string, body: Body): Promise<{ readonly etag: string }> {
    return this.#put(`put ${key}`, key, body, {});
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    try {
      return { kind: "created", ...(await this.#put(`create ${key}`, key, body, { IfNoneMatch: "*" })) };
    } catch (cause) {
      if (answerOf(cause) === "condition") return { kind: "exists" };
      throw cause;
    }
  }

  async putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    try {
      return { kind: "replaced", ...(await this.#put(`replace ${key}`, key, body, { IfMatch: etag })) };
    } catch (cause) {
      const answer = answerOf(cause); // AWS answers 404 when there is nothing to match, others 412.
      if (answer === "condition" || answer === "missing") return { kind: "mismatch" };
      throw cause;
    }
  }

  async get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array> {
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0); // S3 has no empty range.
    const Range = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` };
    const command = new this.#sdk.GetObjectCommand({ ...this.#at(key), ...this.#forReading, ...Range });
    try {
      return await this.#requests.read(`get ${key}`, async (abortSignal) => {
        const result = await this.#client.send(command, { abortSignal });
        return await bodyOf(key, range, result, { room, signal: abortSignal });
      });
    } catch (cause) {
      const answer = answerOf(cause);
      if (answer === "missing") throw new ObjectMissing(key);
      if (answer === "range" && range !== undefined) requireRange(key, range, 0);
      throw cause;
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const command = new this.#sdk.HeadObjectCommand({ ...this.#at(key), ...this.#forReading });
    try {
      const found = await this.#requests.read(`look at ${key}`, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      return {
        key,
        size: found.ContentLength ?? 0,
        etag: requireEtag(key, found.ETag),
        modifiedMs: found.LastModified?.getTime() ?? 0,
      };
    } catch (cause) {
      if (answerOf(cause) === "missing") return undefined;
      throw cause;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const { place, pageKeysMax } = this.#options;
    const MaxKeys = pageKeysMax === undefined ? {} : { MaxKeys: pageKeysMax };
    const where = { Bucket: place.bucket, Prefix: `${this.#prefix}${prefix}`, ...MaxKeys };
    let token: string | undefined;
    let first: string | undefined;
    do {
      const command = new this.#sdk.ListObjectsV2Command({
        ...where,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const page = await this.#requests.read(`list ${prefix}`, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      const found = page.Contents ?? [];
      const next = page.IsTruncated === true ? (page.NextContinuationToken ?? "") : undefined;
      const isRepeated = next === token || (first !== undefined && found[0]?.Key === first);
      if (next === "" || (token !== undefined && isRepeated))
        throw new StoreFailed(`list ${prefix}: a page came twice, or does not say where the next is`, {
          happened: "no",
          retriable: true,
        });
      for (const each of found) yield this.#infoOf(each);
      first = found[0]?.Key;
      token = next;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += deleteKeysMax) {
      const Objects = keys.slice(at, at + deleteKeysMax).map((key) => ({ Key: `${this.#prefix}${key}` }));
      const command = new this.#sdk.DeleteObjectsCommand({
        Bucket: this.#options.place.bucket,
        Delete: { Objects, Quiet: true },
      });
      const result = await this.#requests.write(`delete ${Objects.length} objects`, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      const failed = (result.Errors ?? []).filter((error) => error.Code !== "NoSuchKey");
      if (failed.length === 0) continue;
      const retriable = failed.every((error) => error.Code !== "AccessDenied");
      const example = `${failed[0]?.Key}: ${failed[0]?.Code}`;
      throw new StoreFailed(`${failed.length} objects were not deleted, one is ${example}`, {
        happened: "maybe",
        retriable,
      });
    }
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const sdk = this.#sdk;
    const requests = this.#requests;
    const begin = new sdk.CreateMultipartUploadCommand({
      ...this.#at(key),
      ...encryptionOf(this.#options.place.encryption),
      ...(this.#options.place.checksum === "crc32c" ? { ChecksumAlgorithm: "CRC32C" as const } : {}),
    });
    const started = await requests.write(`start ${key}`, (abortSignal) => this.#client.send(begin, { abortSignal }));
    const upload = { ...this.#at(key), UploadId: started.UploadId };
    const parts: S3Sdk.CompletedPart[] = [];
    let called = 0;
    return {
      part: async (body, number = called + 1) => {
        called += 1;
        const payload = await this.#payload(body);
        const command = new sdk.UploadPartCommand({ ...upload, ...this.#forReading, ...payload, PartNumber: number });
        const result = await requests.write(`upload part ${number} of ${key}`, (abortSignal) =>
          this.#client.send(command, { abortSignal }),
        );
        const { Body: _, ...checksum } = payload;
        parts[number - 1] = { ETag: requireEtag(key, result.ETag), PartNumber: number, ...checksum };
      },
      complete: async () => {
        const command = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } });
        try {
          const result = await requests.write(`complete ${key}`, (abortSignal) =>
            this.#client.send(command, { abortSignal }),
          );
          return { etag: this.#options.uploadTellsEtag ? requireEtag(key, result.ETag) : await this.#etagOf(key) };
        } catch (cause) {
          if (answerOf(cause) === "missing") throw new ObjectMissing(key);
          throw cause;
        }
      },
      abort: async () => {
        const command = new sdk.AbortMultipartUploadCommand(upload);
        try {
          await requests.write(`abort ${key}`, (abortSignal) => this.#client.send(command, { abortSignal }));
        } catch (cause) {
          if (answerOf(cause) !== "missing") throw cause;
        }
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  async #put(
    what: string,
    key: string,
    body: Body,
    condition: Pick<S3Sdk.PutObjectCommandInput, "IfMatch" | "IfNoneMatch">,
  ): Promise<{ readonly etag: string }> {
    const command = new this.#sdk.PutObjectCommand({
      ...this.#at(key),
      ...encryptionOf(this.#options.place.encryption),
      ...(await this.#payload(body)),
      ...condition,
    });
    const result = await this.#requests.write(what, (abortSignal) => this.#client.send(command, { abortSignal }));
    if (!this.#isKnownToEncrypt) await this.#requireEncrypted(key);
    return { etag: requireEtag(key, result.ETag) };
  }

  /** Once, of the first object: nothing may be written for years by a store that takes the headers and does nothing. */
  async #requireEncrypted(key: string): Promise<void> {
    const command = new this.#sdk.HeadObjectCommand({ ...this.#at(key), ...this.#forReading });
    const found = await this.#requests.read(`look at ${key}`, (abortSignal) =>
      this.#client.send(command, { abortSignal }),
    );
    if (!isEncrypted(found, this.#options.place.encryption))
      throw new StoreFailed(`${key} is not encrypted as the URL of the store asks for (sse)`, {
        happened: "maybe",
        retriable: false,
      });
    this.#isKnownToEncrypt = true;
  }

  #infoOf(found: S3Sdk._Object): ObjectInfo {
    const key = (found.Key ?? "").slice(this.#prefix.length);
    return {
      key,
      size: found.Size ?? 0,
      etag: requireEtag(key, found.ETag),
      modifiedMs: found.LastModified?.getTime() ?? 0,
    };
  }

  /** What was completed is there: an absence now would be the store's lie. */
  async #etagOf(key: string): Promise<string> {
    return requireEtag(key, (await this.head(key))?.etag);
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.place.bucket, Key: `${this.#prefix}${key}` };
  }

  /** In one piece, and its checksum. Others have their turn every few megabytes. */
  async #payload(body: Body): Promise<{ readonly Body: Uint8Array; readonly ChecksumCRC32C?: string }> {
    const { clock, place } = this.#options;
    const slices = new Slices({ clock, sliceMsMax });
    const bytes = bodyBytes(body);
    const views = viewsOf(body);
    const whole = views.length === 1 ? (views[0] as Uint8Array) : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    let at = 0;
    let sum = 0;
    for (const view of views) {
      for (let from = 0; from < view.length; from += sliceBytes) {
        const slice = view.subarray(from, from + sliceBytes);
        if (views.length > 1) copyInto(whole, at, slice);
        if (place.checksum !== "none") sum = crc32c(slice, sum);
        at += slice.length;
        await slices.pause();
      }
    }
    return place.checksum === "none" ? { Body: whole } : { Body: whole, ChecksumCRC32C: written(sum) };
  }

  /** A customer's key goes with every request that touches the bytes. */
  get #forReading(): { readonly SSECustomerAlgorithm?: string; readonly SSECustomerKey?: string } {
    const { encryption } = this.#options.place;
    return encryption.kind === "customer" ? { SSECustomerAlgorithm: "AES256", SSECustomerKey: encryption.key } : {};
  }
}

/** CRC-32C as S3 writes it: four bytes, big-endian, in base64. Ours is faster than the SDK's. */
function written(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return bytes.toString("base64");
}

const sliceMsMax = 2;
const sliceBytes = 1 * MiB;

/** The whole body, checked against what was asked and what was announced. */
async function bodyOf(
  key: string,
  range: ByteRange | undefined,
  result: GetObjectCommandOutput,
  into: { readonly room: Uint8Array | undefined; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const chunks = result.Body as AsyncIterable<Uint8Array> | undefined; // A stream of Node's here.
  const { bytes, came } = await gathered(chunks, { ...into, bytesAnnounced: result.ContentLength });
  if (came !== bytes.length)
    throw new StoreFailed(`get ${key}: ${came} of ${bytes.length} bytes came`, { happened: "no", retriable: true });
  if (range !== undefined) {
    const first = /^bytes (\d+)-/.exec(result.ContentRange ?? "")?.[1]; // Absent where a range was not understood.
    if (Number(first ?? 0) !== range.start)
      throw new StoreFailed(`get ${key}: bytes from ${first ?? 0} came`, { happened: "no", retriable: true });
    requireRange(key, range, bytes.length);
  }
  return bytes;
}

function requireEtag(key: string, etag: string | undefined): string {
  if (etag === undefined) throw new StoreFailed(`${key}: no ETag`, { happened: "maybe", retriable: false });
  return etag;
}
