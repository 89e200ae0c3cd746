/**
 * Where bytes live for good: S3, Google Cloud Storage, Azure Blob, a directory, memory. All implementations pass test/object-store/contract.ts.
 *
 * Keys are `/`-separated, without a leading slash. Reads see every write that was acknowledged before they began.
 * Failures throw StoreFailed, whose `happened` keeps "no" and "maybe" apart; retries are a decorator (retrying.ts), so
 * an implementation itself tries once.
 */
import { CorruptData, type Happened, OperationFailed } from "../base/errors.ts";

export interface ObjectStore extends AsyncDisposable {
  /** For people and for Iceberg paths, e.g. "s3://bucket/prefix", "gs://bucket", "file:///data/objects", "memory://". No trailing slash. */
  readonly url: string;
  put(key: string, body: Body): Promise<{ readonly etag: string }>;
  /** Creates the object, or answers "exists" and leaves the present one untouched. */
  putIfAbsent(key: string, body: Body): Promise<Created>;
  /** Replaces the object only if its ETag is `etag`; a missing object is a mismatch. */
  putIfMatch(key: string, body: Body, etag: string): Promise<Replaced>;
  /**
   * The whole object, or bytes [start, end) of it. Throws ObjectMissing; throws CorruptData when fewer bytes come than asked.
   * In a `room`, larger than the range by a page, anything may be written until it settles; the answer is a view of it or memory of its own.
   */
  get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array>;
  /** undefined when there is no such object. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /**
   * All objects whose key starts with the prefix, in pages of the store's own size. Keys of one folder come in byte order;
   * how folders interleave differs between stores (S3 sorts whole keys, SeaweedFS walks a tree).
   */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** Deletes every key; a missing one is no error. */
  delete(keys: readonly string[]): Promise<void>;
  /** Starts a multipart upload. Nothing is visible until complete. */
  multipart(key: string): Promise<MultipartUpload>;
}

/** Of every store that is reached over the network. */
export interface StoreLimits {
  /** The whole of one request, its body included. What takes longer counts as "maybe". */
  readonly requestMsMax: number;
  readonly connectMsMax: number;
  readonly socketsMax: number;
}

/** One buffer, or views that are sent one after another. Borrowed until the promise settles. */
export type Body = Uint8Array | readonly Uint8Array[];

export type Created = { readonly kind: "created"; readonly etag: string } | { readonly kind: "exists" };

export type Replaced = { readonly kind: "replaced"; readonly etag: string } | { readonly kind: "mismatch" };

/** Bytes [start, end). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly modifiedMs: number;
}

export interface MultipartUpload {
  /**
   * Each part but the last holds at least 5 MiB (S3's minimum). May overlap. Numbered from 1 by call order, unless the
   * caller numbers them, so that a part whose outcome is unknown can be sent again under its number.
   */
  part(body: Body, number?: number): Promise<void>;
  complete(): Promise<{ readonly etag: string }>;
  /** Forgets the upload. Never throws for one that is already gone. */
  abort(): Promise<void>;
}

export class StoreFailed extends OperationFailed {
  override readonly name = "StoreFailed";
  /** Whether the same call may succeed later. False for denied access, a missing bucket, a bad request. */
  readonly retriable: boolean;
  constructor(
    message: string,
    options: { readonly happened: Happened; readonly retriable: boolean; readonly cause?: unknown },
  ) {
    super(message, options);
    this.retriable = options.retriable;
  }
}

export class ObjectMissing extends OperationFailed {
  override readonly name = "ObjectMissing";
  constructor(key: string) {
    super(`no object ${key}`, { happened: "no" });
  }
}

/** Throws when an object gave fewer bytes than were asked of it: it is not the object that the caller knew. */
export function requireRange(key: string, range: ByteRange, found: number): void {
  const expected = range.end - range.start;
  if (found === expected) return;
  throw new CorruptData({ source: key, position: range.start, expected: `${expected} bytes`, found: `${found} bytes` });
}
