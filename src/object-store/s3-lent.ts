/** A bucket of somebody who lends us keys to it, or signs our requests one by one, as a store. */
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { OperationFailed } from "../base/errors.ts";
import type { BucketAccess, LentKey, LentKeys, SignRequest } from "../base/lent-access.ts";
import { measured } from "./measured.ts";
import { type ObjectStore, StoreFailed } from "./object-store.ts";
import type { ObjectStoreDeps } from "./open.ts";
import type { RequestsOptions, Trouble } from "./requests.ts";
import { RetryingObjectStore } from "./retrying.ts";
import { S3ObjectStore } from "./s3.ts";
import { commonConfig } from "./s3-client.ts";
import { s3Trouble } from "./s3-errors.ts";
import type { S3Encryption } from "./store-url.ts";

export async function openLentBucket(access: BucketAccess, deps: ObjectStoreDeps): Promise<ObjectStore> {
  const { bucket, how, endpoint, region = "us-east-1" } = access;
  const { runtime, limits, metrics } = deps;
  const sdk = await import("@aws-sdk/client-s3");
  const lent = how.kind === "keys" ? new KeyRing(how.keys) : undefined;
  const client = new sdk.S3Client({
    ...commonConfig(limits),
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: access.pathStyle,
    ...(how.kind === "keys"
      ? { credentials: async () => (lent as KeyRing).held() }
      : { credentials: nobody, signer: remoteSigner(how.sign, region) }),
  });
  const renew = async (): Promise<void> => void (await client.config.credentials({ forceRefresh: true }));
  const plain = new S3ObjectStore(
    { sdk, client, renewal: lent === undefined ? {} : lent.renewal(renew) },
    {
      place: { url: `s3://${bucket}`, bucket, prefix: "", encryption: encryptionOf(access), checksum: "crc32c" },
      clock: runtime.clock,
      limits,
      uploadTellsEtag: true,
      troubleOf: lentTrouble,
    },
  );
  const counted = metrics === undefined ? plain : measured(plain, runtime.clock, metrics);
  return new RetryingObjectStore(counted, { runtime, limits: limits.retry });
}

/** What was lent may have ended: repeated with what is lent then. */
function lentTrouble(cause: unknown): Trouble {
  const trouble = s3Trouble(cause);
  const isRefused = trouble.kind === "failed" && trouble.happened === "no" && refusals.includes(trouble.code);
  return isRefused ? { ...trouble, retriable: true } : trouble;
}

/** Of AWS, MinIO and SeaweedFS; an answer to HEAD has no body and so no code ("Unknown"). */
const refusals: readonly string[] = [
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidToken",
  "TokenRefreshRequired",
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "AccessDenied",
  "Forbidden",
  "403",
  "Unknown",
];

/** Stands between the lender, who knows when keys end, and the SDK, which keeps the keys that it was given. */
class KeyRing {
  readonly #keys: LentKeys;
  #held: LentKey | undefined;

  constructor(keys: LentKeys) {
    this.#keys = keys;
  }

  async held(): Promise<LentKey> {
    this.#held ??= await this.#keys.current();
    return { ...this.#held }; // The SDK marks what it is given.
  }

  renewal(renew: () => Promise<void>): Pick<RequestsOptions, "prepare" | "failed"> {
    return {
      prepare: async () => {
        const keys = await this.#keys.current().catch(notSent);
        if (keys === this.#held) return;
        this.#held = keys;
        await renew();
      },
      failed: (code) => {
        if (refusals.includes(code)) this.#keys.refused();
      },
    };
  }
}

/** The SDK wants keys even where it does not sign. */
const nobody = { accessKeyId: "signed-by-the-catalog", secretAccessKey: "none" };

type Signer = Extract<NonNullable<S3ClientConfig["signer"]>, { readonly sign: unknown }>;
type HttpRequest = Parameters<Signer["sign"]>[0];

function remoteSigner(sign: SignRequest, region: string): Signer {
  return {
    async sign(request) {
      delete request.headers["x-amz-user-agent"]; // Stores refuse what begins so and is not signed; it is said in user-agent too.
      // What proxies and the SDK add on the way is not signed; neither is the body, which the signer does not see.
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => !/^(user-agent|amz-sdk-.*|expect)$/i.test(name)),
      );
      headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      const signed = await sign({
        method: request.method,
        uri: uriOf(request),
        region,
        headers,
        body: request.method === "POST" && typeof request.body === "string" ? request.body : undefined,
      }).catch(notSent);
      const uri = new URL(signed.uri);
      const query: Record<string, string[]> = {};
      for (const [name, value] of uri.searchParams) (query[name] ??= []).push(value);
      request.protocol = uri.protocol;
      request.hostname = uri.hostname;
      if (uri.port !== "") request.port = Number(uri.port);
      request.path = uri.pathname;
      request.query = query;
      request.headers = { ...request.headers, ...signed.headers };
      return request;
    },
  };
}

function uriOf({ protocol, hostname, port, path, query }: HttpRequest): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map(
      (each) => `${encodeURIComponent(name)}=${encodeURIComponent(each ?? "")}`,
    ),
  );
  return `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
}

function notSent(cause: unknown): never {
  if (cause instanceof OperationFailed)
    throw new StoreFailed(cause.message, { happened: "no", retriable: true, cause });
  throw cause;
}

function encryptionOf({ encryption }: BucketAccess): S3Encryption {
  if (encryption?.type === "s3") return { kind: "s3" };
  if (encryption?.type === "kms") return { kind: "kms", keyId: encryption.key };
  return { kind: "bucket" };
}
