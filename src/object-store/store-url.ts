/**
 * What an object store URL says. Pure, and strict: a parameter that is not known, or that contradicts another, is refused.
 *
 *   s3://bucket/prefix?region=..&endpoint=..&pathStyle=true&..    az://container/prefix?account=..&..
 *   gs://bucket/prefix?accessKey=..&secretKey=..                  abfss://container@account.dfs.core.windows.net/prefix?..
 *   file:///directory                                             memory:// (or mem://)
 *
 * A URL may hold keys, so what is thrown here repeats names of parameters, never their values.
 */
import { StoreFailed } from "./object-store.ts";

export type StorePlace =
  | { readonly kind: "memory" }
  | { readonly kind: "directory"; readonly directory: string }
  | ({ readonly kind: "s3" } & S3Place)
  | ({ readonly kind: "gcs" } & GcsPlace)
  | ({ readonly kind: "azure" } & AzurePlace);

interface BucketPlace {
  /** As people write it, without parameters and without a slash at its end. */
  readonly url: string;
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
}

export interface S3Place extends BucketPlace {
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly pathStyle: boolean;
  readonly credentials: S3Credentials;
  /** Assumed with those credentials. */
  readonly role: S3Role | undefined;
  readonly encryption: S3Encryption;
  /** "none" for servers that refuse the checksums which S3 has had since 2025. */
  readonly checksum: "crc32c" | "none";
}

export type S3Credentials =
  /** The SDK's own chain: environment, profile, web identity, container, instance. */
  | { readonly kind: "default" }
  /** Of the shared configuration files; the profile may name a role to assume, a process or a web identity. */
  | { readonly kind: "profile"; readonly profile: string }
  | { readonly kind: "static"; readonly keys: StaticKeys };

export interface S3Role {
  readonly arn: string;
  readonly externalId: string | undefined;
}

export interface StaticKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export type S3Encryption =
  /** What the bucket's own default says. */
  | { readonly kind: "bucket" }
  /** SSE-S3. */
  | { readonly kind: "s3" }
  /** SSE-KMS; without a key the account's own. */
  | { readonly kind: "kms"; readonly keyId: string | undefined }
  /** SSE-C: 32 bytes, here in base64, that S3 does not keep. */
  | { readonly kind: "customer"; readonly key: string };

export interface GcsPlace extends BucketPlace {
  readonly endpoint: string;
  readonly keys: StaticKeys;
}

export interface AzurePlace extends BucketPlace {
  readonly account: string;
  /** Of the Blob service, the account included where the path holds it (emulators). */
  readonly endpoint: string;
  readonly credentials: AzureCredentials;
}

export type AzureCredentials =
  /** Environment, workload identity, managed identity, command line: what @azure/identity finds. */
  | { readonly kind: "default" }
  | { readonly kind: "key"; readonly accountKey: string }
  /** A shared access signature, without a leading "?". */
  | { readonly kind: "sas"; readonly token: string };

export function parseStoreUrl(text: string): StorePlace {
  const url = URL.parse(text);
  const scheme = url?.protocol;
  if (url === null || scheme === undefined) throw notStoreUrl();
  if (scheme === "memory:" || scheme === "mem:") return { kind: "memory" };
  if (scheme === "file:" && url.host === "" && url.search === "")
    return { kind: "directory", directory: decodeURIComponent(url.pathname) };
  if (url.host === "") throw notStoreUrl();
  if (scheme === "s3:") return s3Place(url);
  if (scheme === "gs:") return gcsPlace(url);
  if (scheme === "az:" || scheme === "abfss:") return azurePlace(url);
  throw notStoreUrl();
}

function s3Place(url: URL): StorePlace {
  const parameter = parametersOf(url, [
    "region",
    "endpoint",
    "pathStyle",
    "accessKey",
    "secretKey",
    "sessionToken",
    "profile",
    "roleArn",
    "externalId",
    "sse",
    "sseKmsKey",
    "sseCustomerKey",
    "checksum",
  ]);
  const keys = staticKeys(parameter);
  const profile = parameter("profile");
  if (keys !== undefined && profile !== undefined) throw refused("accessKey and profile exclude each other");
  return {
    kind: "s3",
    ...bucketPlace(url),
    region: parameter("region"),
    endpoint: parameter("endpoint"),
    pathStyle: oneOf("pathStyle", parameter("pathStyle") ?? "false", ["true", "false"]) === "true",
    credentials: s3Credentials(keys, profile),
    role: s3Role(parameter),
    encryption: s3Encryption(parameter),
    checksum: oneOf("checksum", parameter("checksum") ?? "crc32c", ["crc32c", "none"]),
  };
}

function s3Credentials(keys: StaticKeys | undefined, profile: string | undefined): S3Credentials {
  if (keys !== undefined) return { kind: "static", keys };
  return profile === undefined ? { kind: "default" } : { kind: "profile", profile };
}

function s3Role(parameter: Parameter): S3Role | undefined {
  const [arn, externalId] = [parameter("roleArn"), parameter("externalId")];
  if (arn === undefined && externalId !== undefined) throw refused("externalId wants roleArn");
  return arn === undefined ? undefined : { arn, externalId };
}

function s3Encryption(parameter: Parameter): S3Encryption {
  const kind = oneOf("sse", parameter("sse") ?? "bucket", ["bucket", "s3", "kms", "customer"]);
  const keyId = parameter("sseKmsKey");
  const customerKey = parameter("sseCustomerKey");
  if (keyId !== undefined && kind !== "kms") throw refused("sseKmsKey wants sse=kms");
  if ((customerKey !== undefined) !== (kind === "customer")) throw refused("sse=customer wants sseCustomerKey");
  if (kind === "kms") return { kind, keyId };
  if (kind !== "customer") return { kind };
  const key = Buffer.from(customerKey ?? "", "base64").toString("base64");
  if (Buffer.byteLength(key, "base64") !== 32) throw refused("sseCustomerKey is not 32 bytes in base64");
  return { kind, key };
}

function gcsPlace(url: URL): StorePlace {
  const parameter = parametersOf(url, ["accessKey", "secretKey", "endpoint"]);
  const keys = staticKeys(parameter);
  if (keys === undefined) throw refused("gs:// wants accessKey and secretKey, an HMAC key of Cloud Storage");
  return {
    kind: "gcs",
    ...bucketPlace(url),
    endpoint: parameter("endpoint") ?? "https://storage.googleapis.com",
    keys,
  };
}

/** `az` names the container only; `abfss`, the spelling that query engines read, the account too. */
function azurePlace(url: URL): StorePlace {
  const parameter = parametersOf(url, ["account", "accountKey", "sasToken", "endpoint"]);
  const isFull = url.protocol === "abfss:";
  const account = isFull ? (url.host.split(".")[0] as string) : parameter("account");
  if (isFull && (url.username === "" || parameter("account") !== undefined))
    throw refused(
      "abfss:// names container and account before its path: abfss://container@account.dfs.core.windows.net",
    );
  if (account === undefined) throw refused("az:// wants account");
  const accountKey = parameter("accountKey");
  const token = parameter("sasToken");
  if (accountKey !== undefined && token !== undefined) throw refused("accountKey and sasToken exclude each other");
  return {
    kind: "azure",
    ...bucketPlace(url),
    bucket: decodeURIComponent(isFull ? url.username : url.host),
    account,
    endpoint: parameter("endpoint") ?? azureEndpoint(url, account),
    credentials: azureCredentials(accountKey, token),
  };
}

/** Other clouds of Azure have other suffixes: an abfss URL names one. */
function azureEndpoint(url: URL, account: string): string {
  const suffix = /\.dfs\.(.+)$/.exec(url.host)?.[1] ?? "core.windows.net";
  return `https://${account}.blob.${suffix}`;
}

function azureCredentials(accountKey: string | undefined, token: string | undefined): AzureCredentials {
  if (accountKey !== undefined) return { kind: "key", accountKey };
  return token === undefined ? { kind: "default" } : { kind: "sas", token: token.replace(/^\?/, "") };
}

function bucketPlace(url: URL): BucketPlace {
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, "");
  const authority = `${url.username === "" ? "" : `${url.username}@`}${url.host}`;
  const root = `${url.protocol}//${authority}`;
  return { url: prefix === "" ? root : `${root}/${prefix}`, bucket: decodeURIComponent(url.host), prefix };
}

type Parameter = (name: string) => string | undefined;

/** An empty parameter is as good as none. */
function parametersOf(url: URL, known: readonly string[]): Parameter {
  if (url.password !== "") throw refused("keys are parameters, not a password before the host");
  const unknown = [...url.searchParams.keys()].filter((name) => !known.includes(name));
  if (unknown.length > 0) throw refused(`unknown object store parameters: ${unknown.join(", ")}`);
  return (name) => url.searchParams.get(name) || undefined;
}

function staticKeys(parameter: Parameter): StaticKeys | undefined {
  const [accessKeyId, secretAccessKey] = [parameter("accessKey"), parameter("secretKey")];
  const sessionToken = parameter("sessionToken");
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw refused("accessKey and secretKey go together");
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    if (sessionToken !== undefined) throw refused("sessionToken wants accessKey and secretKey");
    return undefined;
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function oneOf<const T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw refused(`${name} is one of ${allowed.join(", ")}`);
  return found;
}

function notStoreUrl(): StoreFailed {
  return refused(
    "an object store URL begins with s3://<bucket>, gs://<bucket>, az://<container>, abfss://<container>@<account>.., file:/// or memory://",
  );
}

function refused(why: string): StoreFailed {
  return new StoreFailed(why, { happened: "no", retriable: false });
}
