/** Who we are to AWS's services. The SDK's parts are loaded when a catalog first asks for them. */

export type AwsCredentials =
  /** The SDK's own chain: environment, profile, web identity, container, instance. */
  | { readonly kind: "default" }
  | { readonly kind: "profile"; readonly profile: string }
  | { readonly kind: "static"; readonly keys: AwsKeys };

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Renews what expires, as its source allows. */
export type AwsKeysProvider = () => Promise<AwsKeys>;

export async function keysProvider(credentials: AwsCredentials): Promise<AwsKeysProvider> {
  if (credentials.kind === "static") return async () => credentials.keys;
  const { fromNodeProviderChain } = await import("@aws-sdk/credential-providers");
  return fromNodeProviderChain(credentials.kind === "profile" ? { profile: credentials.profile } : {});
}
