/**
 * Objects as block blobs of an Azure container. A multipart upload is a list of blocks:
 *
 *   part 2, part 1      Put Block under an id of this upload: kept aside, invisible, forgotten after a week
 *   complete            Put Block List: the blocks, in their order, are the blob. Sent again, it finds them committed
 */
import type { BlobServiceClient, BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import { Gate } from "../base/async.ts";
import { assert } from "../base/errors.ts";
import { uuidRandom } from "../base/ids.ts";
import type { Clock, Random } from "../base/runtime.ts";
import { azureTrouble } from "./azure-errors.ts";
import { gathered, onePiece } from "./body.ts";
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
import { answerOf, Requests } from "./requests.ts";
import type { AzurePlace } from "./store-url.ts";

export interface AzureOptions {
  readonly clock: Clock;
  /** Names the blocks of an upload. */
  readonly random: Random;
  readonly limits: StoreLimits;
  /** Of a listing; the service's own, 5000, when left out. */
  readonly pageKeysMax?: number;
}

export async function openAzureObjectStore(place: AzurePlace, options: AzureOptions): Promise<ObjectStore> {
  const service = await connectAzure(place);
  return new AzureObjectStore(service.getContainerClient(place.bucket), place, options);
}

/** The SDKs are loaded when a container is first used. */
async function connectAzure({ endpoint, account, credentials }: AzurePlace): Promise<BlobServiceClient> {
  const { BlobServiceClient, StorageSharedKeyCredential } = await import("@azure/storage-blob");
  const pipeline = { retryOptions: { maxTries: 1 } }; // Repeats are ours, so that "no" and "maybe" stay apart.
  switch (credentials.kind) {
    case "key":
      return new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, credentials.accountKey), pipeline);
    case "sas":
      return new BlobServiceClient(`${endpoint}?${credentials.token}`, undefined, pipeline);
    case "default": {
      const { DefaultAzureCredential } = await import("@azure/identity");
      return new BlobServiceClient(endpoint, new DefaultAzureCredential(), pipeline);
    }
  }
}

class AzureObjectStore implements ObjectStore {
  readonly url: string;
  readonly #container: ContainerClient;
  readonly #prefix: string;
  readonly #random: Random;
  readonly #pageKeysMax: number | undefined;
  readonly #requests: Requests;
  /** The SDK opens as many connections as there are requests. */
  readonly #sockets: Gate;

  constructor(container: ContainerClient, place: AzurePlace, { clock, random, limits, pageKeysMax }: AzureOptions) {
    this.url = place.url;
    this.#container = container;
    this.#prefix = place.prefix === "" ? "" : `${place.prefix}/`;
    this.#random = random;
    this.#pageKeysMax = pageKeysMax;
    this.#requests = new Requests({ clock, requestMsMax: limits.requestMsMax, troubleOf: azureTrouble });
    this.#sockets = new Gate(limits.socketsMax);
  }

  put(key: string, body: Body): Promise<{ readonly etag: string }> {
    return this.#put(`put ${key}`, key, body, {});
  }

  async putIfAbsent(key: string, body: Body): Promise<Created> {
    try {
      return { kind: "created", ...(await this.#put(`create ${key}`, key, body, { ifNoneMatch: "*" })) };
    } catch (cause) {
      if (answerOf(cause) === "condition") return { kind: "exists" };
      throw cause;
    }
  }

  async putIfMatch(key: string, body: Body, etag: string): Promise<Replaced> {
    try {
      return { kind: "replaced", ...(await this.#put(`replace ${key}`, key, body, { ifMatch: etag })) };
    } catch (cause) {
      const answer = answerOf(cause);
      if (answer === "condition" || answer === "missing") return { kind: "mismatch" };
      throw cause;
    }
  }

  async get(key: string, range?: ByteRange, room?: Uint8Array): Promise<Uint8Array> {
    const { start, end } = range ?? { start: 0, end: undefined };
    if (end !== undefined && end <= start) return new Uint8Array(0);
    const count = end === undefined ? undefined : end - start;
    try {
      const bytes = await this.#read(`get ${key}`, async (abortSignal) => {
        const found = await this.#blob(key).download(start, count, { abortSignal, maxRetryRequests: 0 });
        return await bodyOf(key, start, found, { room, signal: abortSignal });
      });
      if (range !== undefined) requireRange(key, range, bytes.length);
      return bytes;
    } catch (cause) {
      const answer = answerOf(cause);
      if (answer === "missing") throw new ObjectMissing(key);
      if (answer === "range" && range !== undefined) requireRange(key, range, 0);
      throw cause;
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    try {
      const found = await this.#read(`look at ${key}`, (abortSignal) => this.#blob(key).getProperties({ abortSignal }));
      return infoOf(key, found);
    } catch (cause) {
      if (answerOf(cause) === "missing") return undefined;
      throw cause;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    let token: string | undefined;
    do {
      const page = await this.#read(`list ${prefix}`, async (abortSignal) => {
        const pages = this.#container.listBlobsFlat({ prefix: `${this.#prefix}${prefix}`, abortSignal }).byPage({
          ...(token === undefined ? {} : { continuationToken: token }),
          ...(this.#pageKeysMax === undefined ? {} : { maxPageSize: this.#pageKeysMax }),
        });
        const { value } = await pages.next();
        return value;
      });
      for (const found of page.segment.blobItems) yield infoOf(found.name.slice(this.#prefix.length), found.properties);
      token = page.continuationToken || undefined;
    } while (token !== undefined);
  }

  /** One request a key: a batch of the service is as many, in one envelope, and costs the same. */
  async delete(keys: readonly string[]): Promise<void> {
    const outcomes = await Promise.allSettled(
      keys.map((key) =>
        this.#write(`delete ${key}`, (abortSignal) => this.#blob(key).delete({ abortSignal })).catch(
          (cause: unknown) => {
            if (answerOf(cause) !== "missing") throw cause;
          },
        ),
      ),
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async multipart(key: string): Promise<MultipartUpload> {
    const upload = uuidRandom(this.#random);
    const blocks: string[] = [];
    let called = 0;
    return {
      part: async (body, number = called + 1) => {
        called += 1;
        const bytes = onePiece(body);
        const block = blockId(upload, number);
        await this.#write(`upload part ${number} of ${key}`, (abortSignal) =>
          this.#blob(key).stageBlock(block, bytes, bytes.length, { abortSignal }),
        );
        blocks[number - 1] = block;
      },
      complete: async () => {
        assert(blocks.length > 0, "an upload has at least one part");
        const { etag } = await this.#write(`complete ${key}`, (abortSignal) =>
          this.#blob(key).commitBlockList(blocks, { abortSignal }),
        );
        return { etag: requireEtag(key, etag) };
      },
      abort: async () => {}, // Blocks that no list names are invisible, and the service forgets them.
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #put(
    what: string,
    key: string,
    body: Body,
    conditions: { readonly ifMatch?: string; readonly ifNoneMatch?: string },
  ): Promise<{ readonly etag: string }> {
    const bytes = onePiece(body);
    const { etag } = await this.#write(what, (abortSignal) =>
      this.#blob(key).upload(bytes, bytes.length, { conditions, abortSignal }),
    );
    return { etag: requireEtag(key, etag) };
  }

  #blob(key: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(`${this.#prefix}${key}`);
  }

  #read<T>(what: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#sockets.run(() => this.#requests.read(what, (signal) => work(signal).catch(rethrowBrief)));
  }

  #write<T>(what: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#sockets.run(() => this.#requests.write(what, (signal) => work(signal).catch(rethrowBrief)));
  }
}

/** The SDK hangs the whole exchange on its errors, the URL with a signature in it too: pages of a log that nobody wants. */
function rethrowBrief(cause: unknown): never {
  if (cause instanceof Error) {
    for (const name of ["request", "response"]) Object.defineProperty(cause, name, { enumerable: false });
  }
  throw cause;
}

/** All ids of a blob's blocks must have one length; a number has at most 50,000 (the service's limit). */
function blockId(upload: string, number: number): string {
  return Buffer.from(`${upload}-${String(number).padStart(5, "0")}`).toString("base64");
}

type Download = Awaited<ReturnType<BlockBlobClient["download"]>>;

/** The whole body, checked against what was asked and what was announced. */
async function bodyOf(
  key: string,
  start: number,
  found: Download,
  into: { readonly room: Uint8Array | undefined; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const chunks = found.readableStreamBody as AsyncIterable<Uint8Array> | undefined;
  const { bytes, came } = await gathered(chunks, { ...into, bytesAnnounced: found.contentLength });
  const first = /^bytes (\d+)-/.exec(found.contentRange ?? "")?.[1] ?? "0";
  if (Number(first) !== start || came !== bytes.length)
    throw new StoreFailed(`get ${key}: ${came} of ${bytes.length} bytes from ${first} came`, {
      happened: "no",
      retriable: true,
    });
  return bytes;
}

interface Properties {
  readonly contentLength?: number | undefined;
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
}

function infoOf(key: string, found: Properties): ObjectInfo {
  return {
    key,
    size: found.contentLength ?? 0,
    etag: requireEtag(key, found.etag),
    modifiedMs: found.lastModified?.getTime() ?? 0,
  };
}

/** A listing says ETags without their quotes. */
function requireEtag(key: string, etag: string | undefined): string {
  if (etag === undefined) throw new StoreFailed(`${key}: no ETag`, { happened: "maybe", retriable: false });
  return etag.startsWith('"') ? etag : `"${etag}"`;
}
