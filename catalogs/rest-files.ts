/**
 * The files of one table, reached with what its catalog lends: keys for a prefix, which end and are asked for again before
 * that, or its signature under each request (rule J10). Of several prefixes the longest counts; a table's own configuration
 * stands for the empty one. What is lent without keys or signatures is nothing: our own keys reach the files then.
 */
import { SingleFlight } from "../src/base/async.ts";
import { OperationFailed } from "../src/base/errors.ts";
import type { BucketAccess, LentKey, SignRequest, UnsignedRequest } from "../src/base/lent-access.ts";
import type { Clock } from "../src/base/runtime.ts";
import { isJsonObject, type JsonObject } from "../src/table/iceberg/json.ts";
import { canonicalUri, type FileLender } from "../src/table/warehouse.ts";
import { textsOf } from "./rest-answers.ts";

type Store = NonNullable<Awaited<ReturnType<FileLender["storeOf"]>>>["store"];

/** Opens a store over a bucket. */
export type OpenBucket = (access: BucketAccess) => Promise<Store>;

export interface LentFilesDeps {
  readonly clock: Clock;
  readonly open: OpenBucket;
  /** Asks the catalog what it lends now: an answer with "config" and "storage-credentials". */
  readonly ask: () => Promise<JsonObject>;
  /** The catalog's signature, as its configuration says where to get it. */
  readonly sign: (config: ReadonlyMap<string, string>, request: UnsignedRequest) => ReturnType<SignRequest>;
}

interface Loan {
  readonly prefix: string;
  readonly config: ReadonlyMap<string, string>;
  readonly keys: LentKey | undefined;
  /** Wall-clock time from which others are asked for; requests under way outlive the rest. */
  readonly staleAtMs: number;
}

/** At most this long before its end a key is not used any more (Iceberg's Java renews 5 minutes before). */
const marginMsMax = 300_000;

export class LentFiles implements FileLender, AsyncDisposable {
  readonly #deps: LentFilesDeps;
  readonly #stores = new Map<string, Promise<Store>>();
  readonly #asking = new SingleFlight<"loans", void>();
  /** Longest prefix first. */
  #loans: readonly Loan[] = [];
  #refused: LentKey | undefined;

  constructor(deps: LentFilesDeps) {
    this.#deps = deps;
  }

  /** What an answer about the table lends. An answer to the question for credentials has no configuration: the old one stays. */
  learn(answer: JsonObject): void {
    const own = isJsonObject(answer["config"]) ? textsOf(answer["config"]) : this.#loans.at(-1)?.config;
    const common = own ?? new Map<string, string>();
    const lent = Array.isArray(answer["storage-credentials"]) ? answer["storage-credentials"].filter(isJsonObject) : [];
    const loans = lent.map((each) => {
      const prefix = typeof each["prefix"] === "string" ? canonicalUri(each["prefix"]) : "";
      return this.#loan(prefix, new Map([...common, ...textsOf(each["config"])]));
    });
    this.#loans = [...loans, this.#loan("", common)].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  async storeOf(uri: string): ReturnType<FileLender["storeOf"]> {
    const bucket = /^s3:\/\/([^/]+)\//.exec(uri)?.[1];
    const loan = this.#loans.find(({ prefix }) => uri.startsWith(prefix));
    if (bucket === undefined || loan === undefined) return undefined;
    const how = this.#how(loan);
    if (how === undefined) return undefined;
    const name = `${bucket} ${loan.prefix}`;
    const opening = this.#stores.get(name) ?? this.#deps.open({ bucket, ...placeOf(loan.config), how });
    this.#stores.set(name, opening);
    return { root: `s3://${bucket}`, store: await opening };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of await Promise.allSettled(this.#stores.values()))
      if (store.status === "fulfilled") await store.value[Symbol.asyncDispose]();
  }

  #loan(prefix: string, config: ReadonlyMap<string, string>): Loan {
    const now = this.#deps.clock.now();
    const endsAtMs = Number(config.get("s3.session-token-expires-at-ms") ?? Number.NaN);
    const margin = Math.min(marginMsMax, Math.max(0, endsAtMs - now) / 5);
    const staleAtMs = Number.isNaN(endsAtMs) ? Number.POSITIVE_INFINITY : endsAtMs - margin;
    const before = this.#loans.find((loan) => loan.prefix === prefix);
    const keys = keysOf(config);
    return { prefix, config, staleAtMs, keys: isSame(before?.keys, keys) ? before?.keys : keys };
  }

  #how({ prefix, config, keys }: Loan): BucketAccess["how"] | undefined {
    if (config.get("s3.remote-signing-enabled") === "true")
      return { kind: "signed", sign: (request) => this.#deps.sign(config, request) };
    if (keys === undefined) return undefined;
    return {
      kind: "keys",
      keys: {
        current: () => this.#current(prefix),
        refused: () => {
          this.#refused = this.#loanAt(prefix)?.keys;
        },
      },
    };
  }

  async #current(prefix: string): Promise<LentKey> {
    const loan = this.#loanAt(prefix);
    const isOver = loan === undefined || this.#deps.clock.now() >= loan.staleAtMs;
    if (!isOver && loan.keys !== undefined && loan.keys !== this.#refused) return loan.keys;
    await this.#asking.run("loans", async () => this.learn(await this.#deps.ask()));
    this.#refused = undefined; // The same keys again may be allowed by now.
    const keys = this.#loanAt(prefix)?.keys;
    if (keys === undefined)
      throw new OperationFailed(`the catalog lends no keys to ${prefix} any more`, { happened: "no" });
    return keys;
  }

  #loanAt(prefix: string): Loan | undefined {
    return this.#loans.find((loan) => loan.prefix === prefix);
  }
}

/** In the words of Iceberg's S3 file IO. */
function placeOf(config: ReadonlyMap<string, string>): Omit<BucketAccess, "bucket" | "how"> {
  const type = config.get("s3.sse.type");
  return {
    endpoint: config.get("s3.endpoint"),
    region: config.get("client.region") ?? config.get("s3.region"),
    pathStyle: config.get("s3.path-style-access") === "true",
    encryption: type === undefined ? undefined : { type, key: config.get("s3.sse.key") },
  };
}

function keysOf(config: ReadonlyMap<string, string>): LentKey | undefined {
  const accessKeyId = config.get("s3.access-key-id");
  const secretAccessKey = config.get("s3.secret-access-key");
  const sessionToken = config.get("s3.session-token");
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function isSame(a: LentKey | undefined, b: LentKey | undefined): boolean {
  return (
    a?.accessKeyId === b?.accessKeyId &&
    a?.secretAccessKey === b?.secretAccessKey &&
    a?.sessionToken === b?.sessionToken
  );
}
