/**
 * Objects in a bucket that speaks S3. One request a call, never repeated here: the SDK's own retries would mix "no" and
 * "maybe" (a put-if-absent that it repeats after a lost answer looks like a rival's).
 */
import type * as S3Sdk from "@aws-sdk/client-s3";
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { CorruptData, type Happened } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import { onePiece } from "./body.ts";
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
} from "./object-store.ts";
import { type S3Trouble, s3Trouble } from "./s3-errors.ts";

export interface S3Options {
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly pathStyle: boolean;
  /** undefined: the SDK's default chain (environment, profile, web identity, instance). */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly clock: Clock;
  readonly limits: S3Limits;
}

export interface S3Limits {
  /** The whole of one request, its body included. What takes longer counts as "maybe". */
  readonly requestMsMax: number;
  readonly connectMsMax: number;
  readonly socketsMax: number;
}

/** S3's own limit on DeleteObjects. */
const deleteKeysMax = 1000;

type Sdk = typeof S3Sdk;

/** The SDK is large: it is loaded when a bucket is first used. */
export async function openS3ObjectStore(options: S3Options): Promise<ObjectStore> {
  const sdk = await import("@aws-sdk/client-s3");
  const { endpoint, limits } = options;
  const region = options.region ?? (endpoint === undefined ? undefined : "us-east-1");
  const client = new sdk.S3Client({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    forcePathStyle: options.pathStyle,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: limits.connectMsMax,
      httpAgent: { keepAlive: true, maxSockets: limits.socketsMax },
      httpsAgent: { keepAlive: true, maxSockets: limits.socketsMax },
    },
  });
  return new S3ObjectStore(sdk, client, options);
}

class S3ObjectStore implements ObjectStore {
  readonly url: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #prefix: string;

  constructor(sdk: Sdk, client: S3Client, options: S3Options) {
    this.#sdk = sdk;
    this.#client = client;
    this.#options = options;
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
    this.url = `s3://${options.bucket}${options.prefix === "" ? "" : `/${options.prefix}`}`;
  }

  async put(key: string, body: Body): Promise<{ readonly etag: string }> {
    const result = await this.#write(`put ${key}`, (abortSignal) =>
      this.#client.send(new this.#sdk.PutObjectCommand({ ...this.#at(key), Body: onePiece(body) }), { abortSignal }),
    );
    return { etag: requireEtag(key, result.ETag) };
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    try {
      const result = await this.#write(`create ${key}`, (abortSignal) =>
        this.#client.send(
          new this.#sdk.PutObjectCommand({ ...this.#at(key), Body: onePiece(body), IfNoneMatch: "*" }),
          { abortSignal },
        ),
      );
      return { kind: "created", etag: requireEtag(key, result.ETag) };
    } catch (cause) {
      if (answerOf(cause) === "condition") return { kind: "exists" };
      throw cause;
    }
  }

  async putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    try {
      const result = await this.#write(`replace ${key}`, (abortSignal) =>
        this.#client.send(new this.#sdk.PutObjectCommand({ ...this.#at(key), Body: onePiece(body), IfMatch: etag }), {
          abortSignal,
        }),
      );
      return { kind: "replaced", etag: requireEtag(key, result.ETag) };
    } catch (cause) {
      const answer = answerOf(cause); // AWS answers 404 when there is nothing to match, others 412.
      if (answer === "condition" || answer === "missing") return { kind: "mismatch" };
      throw cause;
    }
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0); // S3 has no empty range.
    try {
      return await this.#read(`get ${key}`, async (abortSignal) => {
        const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end - 1}`;
        const command = new this.#sdk.GetObjectCommand({ ...this.#at(key), ...(Range === undefined ? {} : { Range }) });
        return await bodyOf(key, range, await this.#client.send(command, { abortSignal }));
      });
    } catch (cause) {
      const answer = answerOf(cause);
      if (answer === "missing") throw new ObjectMissing(key);
      if (answer === "range" && range !== undefined) requireRange(key, range, 0);
      throw cause;
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    try {
      const result = await this.#read(`look at ${key}`, (abortSignal) =>
        this.#client.send(new this.#sdk.HeadObjectCommand(this.#at(key)), { abortSignal }),
      );
      return {
        key,
        size: result.ContentLength ?? 0,
        etag: requireEtag(key, result.ETag),
        modifiedMs: result.LastModified?.getTime() ?? 0,
      };
    } catch (cause) {
      if (answerOf(cause) === "missing") return undefined;
      throw cause;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    let token: string | undefined;
    do {
      const page = await this.#read(`list ${prefix}`, (abortSignal) =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#options.bucket,
            Prefix: `${this.#prefix}${prefix}`,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      );
      for (const found of page.Contents ?? []) {
        const key = (found.Key ?? "").slice(this.#prefix.length);
        yield {
          key,
          size: found.Size ?? 0,
          etag: requireEtag(key, found.ETag),
          modifiedMs: found.LastModified?.getTime() ?? 0,
        };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += deleteKeysMax) {
      const Objects = keys.slice(at, at + deleteKeysMax).map((key) => ({ Key: `${this.#prefix}${key}` }));
      const result = await this.#write(`delete ${Objects.length} objects`, (abortSignal) =>
        this.#client.send(
          new this.#sdk.DeleteObjectsCommand({ Bucket: this.#options.bucket, Delete: { Objects, Quiet: true } }),
          { abortSignal },
        ),
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
    const started = await this.#write(`start ${key}`, (abortSignal) =>
      this.#client.send(new this.#sdk.CreateMultipartUploadCommand(this.#at(key)), { abortSignal }),
    );
    const upload = { ...this.#at(key), UploadId: started.UploadId };
    const etags: (string | undefined)[] = [];
    let called = 0;
    return {
      part: async (body, number = called + 1) => {
        called += 1;
        const result = await this.#write(`upload part ${number} of ${key}`, (abortSignal) =>
          this.#client.send(new this.#sdk.UploadPartCommand({ ...upload, PartNumber: number, Body: onePiece(body) }), {
            abortSignal,
          }),
        );
        etags[number - 1] = requireEtag(key, result.ETag);
      },
      complete: async () => {
        const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
        try {
          const result = await this.#write(`complete ${key}`, (abortSignal) =>
            this.#client.send(new this.#sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }), {
              abortSignal,
            }),
          );
          return { etag: requireEtag(key, result.ETag) };
        } catch (cause) {
          if (answerOf(cause) === "missing") throw new ObjectMissing(key);
          throw cause;
        }
      },
      abort: async () => {
        try {
          await this.#write(`abort ${key}`, (abortSignal) =>
            this.#client.send(new this.#sdk.AbortMultipartUploadCommand(upload), { abortSignal }),
          );
        } catch (cause) {
          if (answerOf(cause) !== "missing") throw cause;
        }
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#prefix}${key}` };
  }

  #read<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#request(what, "no", work);
  }

  #write<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#request(what, "maybe", work);
  }

  /** `happenedAtMost`: a read has no effect, so its failure never leaves a doubt. */
  async #request<T>(what: string, happenedAtMost: Happened, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    let expire: (cause: Error) => void = () => {};
    const expired = new Promise<never>((_, reject) => {
      expire = reject;
    });
    using _timer = this.#options.clock.after(this.#options.limits.requestMsMax, () => {
      deadline.abort();
      expire(new StoreFailed(`${what}: no answer in time`, { happened: happenedAtMost, retriable: true }));
    });
    try {
      return await Promise.race([work(deadline.signal), expired]); // The SDK may overlook an abort while a body comes in.
    } catch (cause) {
      if (cause instanceof StoreFailed || cause instanceof CorruptData) throw cause;
      const trouble = s3Trouble(cause);
      if (trouble.kind !== "failed") throw new S3Answer(what, trouble.kind, cause);
      const happened = trouble.happened === "maybe" ? happenedAtMost : "no";
      throw new StoreFailed(`${what}: ${trouble.code}`, { happened, retriable: trouble.retriable, cause });
    }
  }
}

/** An answer that some callers expect; whoever does not sees a failure that repeating would not help. */
class S3Answer extends StoreFailed {
  readonly answer: Exclude<S3Trouble["kind"], "failed">;
  constructor(what: string, answer: Exclude<S3Trouble["kind"], "failed">, cause: unknown) {
    super(`${what}: ${answer}`, { happened: "no", retriable: false, cause });
    this.answer = answer;
  }
}

function answerOf(cause: unknown): S3Answer["answer"] | undefined {
  return cause instanceof S3Answer ? cause.answer : undefined;
}

/** The whole body, checked against what was asked and what was announced. */
async function bodyOf(key: string, range: ByteRange | undefined, result: GetObjectCommandOutput): Promise<Uint8Array> {
  const bytes = (await result.Body?.transformToByteArray()) ?? new Uint8Array(0);
  if (result.ContentLength !== undefined && result.ContentLength !== bytes.length)
    throw new StoreFailed(`get ${key}: ${bytes.length} of ${result.ContentLength} bytes came`, {
      happened: "no",
      retriable: true,
    });
  if (range !== undefined) {
    const first = /^bytes (\d+)-/.exec(result.ContentRange ?? "")?.[1];
    if (first !== undefined && Number(first) !== range.start)
      throw new StoreFailed(`get ${key}: bytes from ${first} came`, { happened: "no", retriable: true });
    requireRange(key, range, bytes.length);
  }
  return bytes;
}

function requireEtag(key: string, etag: string | undefined): string {
  if (etag === undefined) throw new StoreFailed(`${key}: no ETag`, { happened: "maybe", retriable: false });
  return etag;
}
