/** From what a URL says to a client of AWS's SDK, which is large: it is loaded when a bucket is first used. */
import { createHash } from "node:crypto";
import type * as S3Sdk from "@aws-sdk/client-s3";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { StoreLimits } from "./object-store.ts";
import type { RequestsOptions } from "./requests.ts";
import type { S3Credentials, S3Place, StaticKeys } from "./store-url.ts";

export interface S3Connection {
  readonly sdk: typeof S3Sdk;
  readonly client: S3Client;
  /** How its keys are renewed; as the SDK does it when left out. */
  readonly renewal?: Pick<RequestsOptions, "prepare" | "failed">;
}

export async function connectS3(place: S3Place, limits: StoreLimits): Promise<S3Connection> {
  const sdk = await import("@aws-sdk/client-s3");
  const { endpoint } = place;
  const region = place.region ?? (endpoint === undefined ? undefined : "us-east-1");
  const client = new sdk.S3Client({
    ...commonConfig(limits),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(await credentialsConfig(place, region)),
    forcePathStyle: place.pathStyle,
    ...(place.checksum === "none" ? withoutChecksums : {}),
  });
  if (place.checksum === "none") useMd5(client);
  return { sdk, client };
}

/** The SDK's own repeats would mix "no" and "maybe": a put-if-absent that it repeats after a lost answer looks like a rival's. */
export function commonConfig(limits: StoreLimits): S3ClientConfig {
  return {
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: limits.connectMsMax,
      httpAgent: { keepAlive: true, maxSockets: limits.socketsMax },
      httpsAgent: { keepAlive: true, maxSockets: limits.socketsMax },
    },
  };
}

export const withoutChecksums = {
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
} as const;

async function credentialsConfig({ credentials, role }: S3Place, region: string | undefined): Promise<S3ClientConfig> {
  if (role === undefined) return ownCredentials(credentials);
  const { fromTemporaryCredentials } = await import("@aws-sdk/credential-providers");
  const { credentials: masterCredentials, profile } = ownCredentials(credentials);
  const clientConfig = {
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
  };
  const params = {
    RoleArn: role.arn,
    RoleSessionName: "inlet",
    ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
  };
  return {
    credentials: fromTemporaryCredentials({
      params,
      clientConfig,
      ...(masterCredentials === undefined ? {} : { masterCredentials }),
    }),
  };
}

function ownCredentials(credentials: S3Credentials): { readonly profile?: string; readonly credentials?: StaticKeys } {
  switch (credentials.kind) {
    case "default":
      return {};
    case "profile":
      return { profile: credentials.profile };
    case "static":
      return { credentials: credentials.keys };
  }
}

/** The SDK renews credentials by this machine's clock. When the store's says otherwise, the next request asks for new ones. */
export function credentialsRenewal(client: S3Client): Pick<RequestsOptions, "prepare" | "failed"> {
  let isExpired = false;
  return {
    prepare: async () => {
      if (!isExpired) return;
      isExpired = false;
      await client.config.credentials({ forceRefresh: true });
    },
    failed: (code) => {
      isExpired ||= code === "ExpiredToken";
    },
  };
}

/** Before 2025 a request that must have a checksum (DeleteObjects) had Content-MD5, and that is what older servers know. */
export function useMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers, body } = args.request as {
        readonly headers: Record<string, string>;
        readonly body?: unknown;
      };
      const checksums = Object.keys(headers).filter((name) => /^x-amz-(sdk-)?checksum-/.test(name.toLowerCase()));
      for (const name of checksums) delete headers[name];
      if (checksums.length > 0 && (typeof body === "string" || body instanceof Uint8Array))
        headers["content-md5"] = createHash("md5").update(body).digest("base64");
      return await next(args);
    },
    { step: "build", priority: "low", name: "md5Checksums" }, // After the SDK's own checksums, before the signature.,
  );
}
