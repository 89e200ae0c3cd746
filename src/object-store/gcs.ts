/**
 * Google Cloud Storage through its XML API, with AWS's SDK and HMAC keys. Where Google's API is not S3's:
 *
 *   If-None-Match: *       becomes  x-goog-if-generation-match: 0        (conditions on ETags are for reads only there)
 *   If-Match: "<etag>"     becomes  x-goog-if-generation-match: <generation>
 *   ETag                   becomes  the object's generation, in answers and listings
 *   AWS4-HMAC-SHA256       becomes  GOOG4-HMAC-SHA256, as a request cannot have both x-amz and x-goog headers
 */
import { Readable } from "node:stream";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { Clock } from "../base/runtime.ts";
import { type SignableRequest, signForGoogle } from "./gcs-signature.ts";
import type { ObjectStore, StoreLimits } from "./object-store.ts";
import { S3ObjectStore } from "./s3.ts";
import { commonConfig, useMd5, withoutChecksums } from "./s3-client.ts";
import type { GcsPlace, StaticKeys } from "./store-url.ts";

export async function openGcsObjectStore(
  place: GcsPlace,
  options: { readonly clock: Clock; readonly limits: StoreLimits },
): Promise<ObjectStore> {
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({
    ...commonConfig(options.limits),
    ...withoutChecksums,
    region: "auto",
    endpoint: place.endpoint,
    forcePathStyle: true,
    credentials: place.keys, // The SDK wants some; the signer below has its own.
    signer: googleSigner(place.keys),
  });
  useMd5(client);
  readGenerations(client);
  const encryption = { kind: "bucket" } as const;
  const connection = { sdk, client };
  return new S3ObjectStore(connection, {
    ...options,
    place: { ...place, encryption, checksum: "none" },
    uploadTellsEtag: false,
  });
}

type Signer = Extract<NonNullable<S3ClientConfig["signer"]>, { sign: unknown }>;

function googleSigner(keys: StaticKeys): Signer {
  return {
    async sign(request, signing) {
      const { "x-id": _, ...query } = request.query ?? {}; // Names the operation for AWS's own logs.
      const translated = { ...request, query, headers: googleHeaders(request.headers) };
      const headers = signForGoogle(translated, { keys, now: signing?.signingDate as Date });
      request.query = query;
      request.headers = { ...headers };
      return request;
    },
  };
}

/** Without what is AWS's own, and with conditions as Google says them. */
export function googleHeaders(given: SignableRequest["headers"]): Record<string, string> {
  const headers = Object.fromEntries(
    Object.entries(given)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !/^(x-amz-|amz-sdk-)/.test(name)),
  );
  const { "if-none-match": absent, "if-match": etag, ...rest } = headers;
  if (absent !== undefined) return { ...rest, "x-goog-if-generation-match": "0" };
  return etag === undefined ? rest : { ...rest, "x-goog-if-generation-match": etag.replaceAll('"', "") };
}

interface Answer {
  readonly headers: Record<string, string>;
  body?: AsyncIterable<Uint8Array>;
}

/** Puts the generation where the SDK looks for an ETag. It stands below the SDK's own reading of answers. */
function readGenerations(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const answer = result.response as Answer;
      const generation = answer.headers["x-goog-generation"];
      if (generation !== undefined) answer.headers["etag"] = `"${generation}"`;
      if (context.commandName === "ListObjectsV2Command" && answer.body !== undefined)
        answer.body = Readable.from([Buffer.from(generationsAsEtags(await textOf(answer.body)))]);
      return result;
    },
    { step: "deserialize", priority: "low", name: "googleGenerations" },
  );
}

export function generationsAsEtags(listing: string): string {
  return listing.replaceAll(/<Contents>.*?<\/Contents>/gs, (entry) => {
    const generation = /<Generation>(\d+)<\/Generation>/.exec(entry)?.[1];
    return generation === undefined ? entry : entry.replace(/<ETag>.*?<\/ETag>/s, `<ETag>"${generation}"</ETag>`);
  });
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
