/** How somebody else lets us into a bucket of theirs: with keys that end, or by signing each request. */

export interface BucketAccess {
  readonly bucket: string;
  /** undefined: AWS's own of the region. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly pathStyle: boolean;
  /** "s3", "kms"; anything else leaves it to the bucket. */
  readonly encryption: { readonly type: string; readonly key: string | undefined } | undefined;
  readonly how:
    | { readonly kind: "keys"; readonly keys: LentKeys }
    | { readonly kind: "signed"; readonly sign: SignRequest };
}

export interface LentKeys {
  /** The keys to use now, renewed before they end; the same object until they change. Throws OperationFailed. */
  current(): Promise<LentKey>;
  /** The store refused them: the next call of current asks for others. */
  refused(): void;
}

export interface LentKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Returns the URI to send the request to, and its headers. Throws OperationFailed: nothing was sent. */
export type SignRequest = (request: UnsignedRequest) => Promise<{
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
}>;

export interface UnsignedRequest {
  readonly method: string;
  readonly uri: string;
  readonly region: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of requests whose body says what they do to which objects. */
  readonly body: string | undefined;
}
