/**
 * One bucket in memory behind the XML API of S3, or of Google Cloud Storage where its documentation differs: conditions on
 * generations only, generations in answers and listings, GOOG4 signatures, no x-amz header beside an x-goog one.
 * Strict where a real server is: checksums, signatures and conditions are verified. Interop suites use real servers.
 */
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { crc32c } from "@node-rs/crc32";

export interface BucketRequest {
  readonly method: string;
  /** Decoded, without the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface BucketServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: BucketRequest[];
  readonly uploads: ReadonlyMap<string, unknown>;
}

export interface BucketServerOptions {
  readonly bucket: string;
  readonly dialect: "s3" | "gcs";
  /** Google's signatures are verified with it. */
  readonly secretKey?: string;
  readonly pageKeys?: number;
  /** As gateways that do not know the headers. */
  readonly ignoresEncryption?: boolean;
  /** An error instead of the answer. */
  readonly refuse?: (request: BucketRequest) => { readonly status: number; readonly code: string } | undefined;
}

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly generation: string;
  readonly modified: Date;
  /** Headers that say how it is encrypted. */
  readonly encryption: Readonly<Record<string, string>>;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
  }
}

export async function startBucketServer(options: BucketServerOptions): Promise<BucketServer> {
  const bucket = new Bucket(options);
  const server = createServer((request, response) => void bucket.serve(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: bucket.requests,
    uploads: bucket.uploads,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

class Bucket {
  readonly requests: BucketRequest[] = [];
  readonly uploads = new Map<string, Map<number, Stored>>();
  readonly #options: BucketServerOptions;
  readonly #begun = new Map<string, BucketRequest["headers"]>();
  readonly #objects = new Map<string, Stored>();
  #writes = 0;

  constructor(options: BucketServerOptions) {
    this.#options = options;
  }

  async serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? "/", "http://server");
    const [, bucket, ...rest] = url.pathname.split("/");
    const request: BucketRequest = {
      method: incoming.method ?? "",
      key: decodeURIComponent(rest.join("/")),
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks),
    };
    this.requests.push(request);
    try {
      const refusal = this.#options.refuse?.(request);
      if (refusal !== undefined) throw new Refusal(refusal.status, refusal.code);
      if (bucket !== this.#options.bucket) throw new Refusal(404, "NoSuchBucket");
      this.#verify(incoming.url ?? "", request);
      this.#answer(request, response);
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      const body = request.method === "HEAD" ? "" : `<Error><Code>${cause.message}</Code><Message>no</Message></Error>`;
      response.writeHead(cause.status, { "content-type": "application/xml" }).end(body);
    }
  }

  #verify(url: string, request: BucketRequest): void {
    const { headers, body } = request;
    const given = headers["x-amz-checksum-crc32c"];
    if (given !== undefined && given !== checksumOf(body)) throw new Refusal(400, "BadDigest");
    const md5 = headers["content-md5"];
    if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64"))
      throw new Refusal(400, "BadDigest");
    if (this.#options.dialect === "s3") return;
    if (Object.keys(headers).some((name) => name.startsWith("x-amz-"))) throw new Refusal(400, "ExcessHeaderValues");
    verifyGoogleSignature(url, request, this.#options.secretKey ?? "");
  }

  #answer(request: BucketRequest, response: ServerResponse): void {
    const { method, key, query, body } = request;
    const uploadId = query.get("uploadId");
    if (method === "POST" && query.has("uploads")) return this.#begin(request, response);
    if (method === "POST" && query.has("delete")) return this.#deleteMany(body.toString(), response);
    if (uploadId !== null) return this.#upload(uploadId, request, response);
    if (method === "GET" && key === "") return this.#list(query, response);
    if (method === "PUT") return this.#put(request, response);
    if (method === "DELETE") {
      this.#objects.delete(key);
      return void response.writeHead(204).end();
    }
    this.#get(request, response);
  }

  #put({ key, headers, body }: BucketRequest, response: ServerResponse): void {
    const present = this.#objects.get(key);
    if (this.#options.dialect === "gcs") {
      const wanted = headers["x-goog-if-generation-match"];
      if (wanted !== undefined && wanted !== (present?.generation ?? "0")) throw new Refusal(412, "PreconditionFailed");
    } else {
      if (headers["if-none-match"] === "*" && present !== undefined) throw new Refusal(412, "PreconditionFailed");
      const match = headers["if-match"];
      if (match !== undefined && present === undefined) throw new Refusal(404, "NoSuchKey");
      if (match !== undefined && match !== present?.etag) throw new Refusal(412, "PreconditionFailed");
    }
    response.writeHead(200, this.#describe(this.#store(key, body, headers))).end();
  }

  #get({ method, key, headers }: BucketRequest, response: ServerResponse): void {
    const stored = this.#objects.get(key);
    if (stored === undefined) throw new Refusal(404, "NoSuchKey");
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const start = Number(first ?? 0);
    const end = last === undefined ? stored.bytes.length : Math.min(Number(last) + 1, stored.bytes.length);
    if (first !== undefined && start >= stored.bytes.length) throw new Refusal(416, "InvalidRange");
    const range = first === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${stored.bytes.length}` };
    const about = { ...this.#describe(stored), ...range, "content-length": end - start };
    response.writeHead(first === undefined ? 200 : 206, about);
    response.end(method === "HEAD" ? undefined : stored.bytes.subarray(start, end));
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? "";
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix));
    const rest = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const start = after === "" ? 0 : rest.indexOf(after) + 1;
    const page = rest.slice(start, start + Number(query.get("max-keys") ?? this.#options.pageKeys ?? 1000));
    const isTruncated = start + page.length < rest.length;
    const token = isTruncated ? `<NextContinuationToken>${xml(page.at(-1) ?? "")}</NextContinuationToken>` : "";
    const contents = page.map((key) => {
      const { etag, generation, bytes, modified } = this.#objects.get(key) as Stored;
      const generationOf = this.#options.dialect === "gcs" ? `<Generation>${generation}</Generation>` : "";
      return `<Contents><Key>${xml(key)}</Key>${generationOf}<LastModified>${modified.toISOString()}</LastModified><ETag>${xml(etag)}</ETag><Size>${bytes.length}</Size></Contents>`;
    });
    answerXml(
      response,
      `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${token}${contents.join("")}</ListBucketResult>`,
    );
  }

  #deleteMany(body: string, response: ServerResponse): void {
    for (const [, key] of body.matchAll(/<Key>(.*?)<\/Key>/gs)) this.#objects.delete(unxml(key ?? ""));
    answerXml(response, "<DeleteResult></DeleteResult>");
  }

  #begin({ headers }: BucketRequest, response: ServerResponse): void {
    this.#writes += 1;
    const id = `upload-${this.#writes}`;
    this.uploads.set(id, new Map());
    this.#begun.set(id, headers);
    answerXml(response, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #upload(id: string, { method, key, query, body }: BucketRequest, response: ServerResponse): void {
    const parts = this.uploads.get(id);
    if (parts === undefined) throw new Refusal(404, "NoSuchUpload");
    if (method === "PUT") {
      const part = this.#describedBytes(body, {});
      parts.set(Number(query.get("partNumber")), part);
      return void response.writeHead(200, { etag: part.etag }).end();
    }
    this.uploads.delete(id);
    if (method === "DELETE") return void response.writeHead(204).end();
    const listed = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => Number(match[1]));
    const bytes = Buffer.concat(listed.map((number) => parts.get(number)?.bytes ?? Buffer.of()));
    const { etag } = this.#store(key, bytes, this.#begun.get(id) ?? {});
    answerXml(response, `<CompleteMultipartUploadResult><ETag>${xml(etag)}</ETag></CompleteMultipartUploadResult>`);
  }

  #store(key: string, bytes: Buffer, headers: BucketRequest["headers"]): Stored {
    const stored = this.#describedBytes(bytes, this.#options.ignoresEncryption === true ? {} : encryptionIn(headers));
    this.#objects.set(key, stored);
    return stored;
  }

  #describedBytes(bytes: Buffer, encryption: Stored["encryption"]): Stored {
    this.#writes += 1;
    const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
    return { bytes, etag, generation: String(1_700_000_000_000_000 + this.#writes), modified: new Date(), encryption };
  }

  #describe({ etag, generation, modified, encryption }: Stored): Record<string, string> {
    const generationOf = this.#options.dialect === "gcs" ? { "x-goog-generation": generation } : {};
    return { etag, "last-modified": modified.toUTCString(), ...generationOf, ...encryption };
  }
}

/** What S3 tells again of it; a customer's key is not among that. */
function encryptionIn(headers: BucketRequest["headers"]): Stored["encryption"] {
  const prefix = "x-amz-server-side-encryption";
  const told = ["", "-aws-kms-key-id", "-customer-algorithm", "-customer-key-md5"].map((name) => `${prefix}${name}`);
  return Object.fromEntries(
    told.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}

function answerXml(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "application/xml" }).end(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
}

function checksumOf(body: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32c(body));
  return sum.toString("base64");
}

/** From the request as it came over the wire, by Google's description of V4 signatures. */
function verifyGoogleSignature(url: string, { method, headers, body }: BucketRequest, secret: string): void {
  const form =
    /^GOOG4-HMAC-SHA256 Credential=[^/]+\/((\d{8})\/auto\/storage\/goog4_request), ?SignedHeaders=([^,]+), ?Signature=(\w+)$/;
  const [, scope, date, signed, signature] = form.exec(headers.authorization ?? "") ?? [];
  if (scope === undefined || date === undefined || signed === undefined) throw new Refusal(403, "AccessDenied");
  const named = signed.split(";");
  const mustSign = Object.keys(headers).filter((name) => name.startsWith("x-goog-") || name === "host");
  if (mustSign.some((name) => !named.includes(name))) throw new Refusal(403, "SignatureDoesNotMatch");
  const hash = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
  if (headers["x-goog-content-sha256"] !== hash(body)) throw new Refusal(400, "BadDigest");
  const [path, query = ""] = url.split("?");
  const canonicalQuery = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .sort()
    .join("&");
  const lines = named.map((name) => `${name}:${String(headers[name])}\n`).join("");
  const canonical = `${method}\n${path}\n${canonicalQuery}\n${lines}\n${signed}\n${headers["x-goog-content-sha256"]}`;
  let key: Buffer = Buffer.from(`GOOG4${secret}`);
  for (const part of [date, "auto", "storage", "goog4_request"]) key = createHmac("sha256", key).update(part).digest();
  const toSign = `GOOG4-HMAC-SHA256\n${String(headers["x-goog-date"])}\n${scope}\n${hash(canonical)}`;
  if (createHmac("sha256", key).update(toSign).digest("hex") !== signature)
    throw new Refusal(403, "SignatureDoesNotMatch");
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function unxml(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
