/**
 * An Iceberg REST catalog (Polaris, Lakekeeper, Nessie, Unity, Snowflake Open Catalog, the embedded one …) as a Catalog.
 * A commit is sent once: an answer of 409 is a conflict, no answer or a 5xx is unknown (rules J1-J11).
 */
import { CorruptData, OperationFailed } from "../src/base/errors.ts";
import { uuidFromBytes } from "../src/base/ids.ts";
import type { Runtime } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableName, UnknownOutcome } from "../src/table/catalog.ts";
import {
  isJsonObject,
  type Json,
  type JsonObject,
  parseJson,
  parseJsonObject,
  renderJson,
} from "../src/table/iceberg/json.ts";
import { toMetadata } from "../src/table/iceberg/metadata-json.ts";
import type { Requirement, Update } from "../src/table/iceberg/updates.ts";
import { type Authorizer, authorizer, type RestAuth } from "./rest-auth.ts";
import {
  type Fetch,
  NoAnswer,
  RestClient,
  type RestLimits,
  type RestRequest,
  type RestResponse,
} from "./rest-client.ts";

export interface RestCatalogSettings {
  readonly name: string;
  /** Without "/v1": "https://catalog.example/api/catalog". */
  readonly uri: string;
  readonly warehouse: string | null;
  readonly auth: RestAuth;
  /** "vended-credentials" or "remote-signing"; null asks for neither. */
  readonly accessDelegation: string | null;
  /** The client's own configuration (prefix, header.<name>, …): beats the server's defaults, yields to its overrides. */
  readonly properties: ReadonlyMap<string, string>;
}

export interface RestCatalogDeps {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: RestLimits;
  /** For simulations and tests; the runtime's own by default. */
  readonly fetch?: Fetch;
}

/** The configuration is asked for at the first use, so that a catalog which is down at the start does not stop a broker. */
export function open(settings: RestCatalogSettings, deps: RestCatalogDeps): Catalog {
  return new RestCatalog(settings, deps);
}

/** What the catalog said no to, or could not be understood about; nothing happened. */
export class CatalogRefused extends OperationFailed {
  override readonly name = "CatalogRefused";
  readonly status: number;
  constructor(what: string, answer: RestResponse) {
    super(`${what}: HTTP ${answer.status} ${detailOf(answer.body)}`, { happened: "no" });
    this.status = answer.status;
  }
}

interface Config {
  /** Everything before "/namespaces". */
  readonly base: string;
  readonly separator: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly takesIdempotencyKeys: boolean;
}

class RestCatalog implements Catalog {
  readonly name: string;
  readonly #settings: RestCatalogSettings;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #client: RestClient;
  readonly #auth: Authorizer;
  #config: Promise<Config> | undefined;

  constructor(settings: RestCatalogSettings, deps: RestCatalogDeps) {
    this.name = settings.name;
    this.#settings = settings;
    this.#runtime = deps.runtime;
    this.#logger = deps.logger.child({ catalog: settings.name });
    const { clock } = deps.runtime;
    this.#client = new RestClient({ fetch: deps.fetch ?? globalThis.fetch, clock, limits: deps.limits });
    this.#auth = authorizer(settings.auth, clock, async (uri, form) => {
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      return await this.#client.sendUnauthorized({ method: "POST", uri, body: form.toString(), headers });
    });
  }

  async load(table: TableName): Promise<LoadedTable | undefined> {
    const answer = await this.#send("GET", (config) => tablePath(config, table));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new CatalogRefused(`loading ${tableText(table)}`, answer);
    return loadedTable(parseJsonObject(answer.body, this.name), this.name);
  }

  /** Staged first, so that the commit that makes the table carries our field ids: a plain create may give others. */
  async create(table: TableName, updates: readonly Update[]): ReturnType<Catalog["create"]> {
    await this.#makeNamespace(table.namespace);
    const body = renderJson({ name: table.name, ...creationOf(updates), "stage-create": true });
    const answer = await this.#send("POST", (config) => `${namespacePath(config, table.namespace)}/tables`, body);
    if (answer.status === 409) return { kind: "exists" };
    if (answer.status !== 200) throw new CatalogRefused(`creating ${tableText(table)}`, answer);
    const staged = parseJsonObject(answer.body, this.name);
    const { metadata, config } = loadedTable(staged, this.name);
    const place: readonly Update[] = [
      { action: "assign-uuid", uuid: metadata["table-uuid"] },
      ...updates.filter((update) => update.action !== "assign-uuid" && update.action !== "set-location"),
      { action: "set-location", location: metadata.location },
    ];
    const outcome = await this.commit(table, [{ type: "assert-create" }], place);
    switch (outcome.kind) {
      case "committed":
        return { kind: "created", table: { ...outcome.table, config } };
      case "conflict":
        return { kind: "exists" };
      case "unknown":
        return outcome;
    }
  }

  async commit(
    table: TableName,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome> {
    const identifier = { namespace: table.namespace, name: table.name };
    const body = renderJson({ identifier, requirements, updates });
    // Asked for beforehand: failing to get it means that nothing was sent.
    const config = await this.#configuration();
    const key = config.takesIdempotencyKeys ? { "idempotency-key": this.#uuid7() } : {};
    try {
      const answer = await this.#send("POST", () => tablePath(config, table), body, key);
      return outcomeOf(answer, `committing to ${tableText(table)}`, this.name);
    } catch (cause) {
      const mayHaveHappened =
        cause instanceof CorruptData || (cause instanceof OperationFailed && cause.happened === "maybe");
      if (mayHaveHappened) return unknown(cause);
      throw cause;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
  }

  async #makeNamespace(namespace: readonly string[]): Promise<void> {
    const present = await this.#send("GET", (config) => namespacePath(config, namespace));
    if (present.status === 200) return;
    if (present.status !== 404) throw new CatalogRefused(`loading namespace ${namespace.join(".")}`, present);
    if (namespace.length > 1) await this.#makeNamespace(namespace.slice(0, -1));
    const body = renderJson({ namespace, properties: {} });
    const answer = await this.#send("POST", (config) => `${config.base}/namespaces`, body);
    // 409: somebody else was faster, which is as good.
    if (answer.status !== 200 && answer.status !== 409) {
      throw new CatalogRefused(`creating namespace ${namespace.join(".")}`, answer);
    }
  }

  async #send(
    method: RestRequest["method"],
    path: (config: Config) => string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RestResponse> {
    const config = await this.#configuration();
    const request = { method, uri: path(config), headers: { ...config.headers, ...headers } };
    return await this.#client.send(body === undefined ? request : { ...request, body }, this.#auth);
  }

  #configuration(): Promise<Config> {
    this.#config ??= this.#loadConfig().catch((cause: unknown) => {
      this.#config = undefined; // The next use asks again.
      throw cause;
    });
    return this.#config;
  }

  /** Rule J7: the server's defaults, our own properties over them, the server's overrides over all. */
  async #loadConfig(): Promise<Config> {
    const { uri, warehouse, properties, accessDelegation } = this.#settings;
    const query = warehouse === null ? "" : `?warehouse=${encodeURIComponent(warehouse)}`;
    const request = { method: "GET", uri: `${trimmed(uri)}/v1/config${query}` } as const;
    const answer = await this.#client.send(request, this.#auth);
    if (answer.status !== 200) throw new CatalogRefused(`configuration of catalog ${this.name}`, answer);
    const json = parseJsonObject(answer.body, this.name);
    const objectAt = (name: string) => (isJsonObject(json[name]) ? json[name] : {});
    const merged: JsonObject = {
      ...objectAt("defaults"),
      ...Object.fromEntries(properties),
      ...objectAt("overrides"),
    };
    const prefix = typeof merged["prefix"] === "string" ? merged["prefix"] : "";
    const base = typeof merged["uri"] === "string" ? merged["uri"] : uri;
    const delegation = accessDelegation === null ? {} : { "x-iceberg-access-delegation": accessDelegation };
    const separator = merged["namespace-separator"];
    this.#logger.info("catalog configured", { prefix });
    return {
      base: `${trimmed(base)}/v1${prefix === "" ? "" : `/${prefix}`}`,
      separator: typeof separator === "string" ? separator : "%1F",
      headers: { ...headersOf(merged), ...delegation },
      takesIdempotencyKeys: json["idempotency-key-lifetime"] !== undefined,
    };
  }

  /** RFC 9562, version 7: the catalog may drop old keys by their time. */
  #uuid7(): string {
    const bytes = this.#runtime.random.fill(new Uint8Array(16));
    const view = new DataView(bytes.buffer);
    const now = this.#runtime.clock.now();
    view.setUint32(0, Math.floor(now / 65_536));
    view.setUint16(4, now % 65_536);
    view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
    view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
    return uuidFromBytes(bytes);
  }
}

function outcomeOf(answer: RestResponse, what: string, source: string): CommitOutcome {
  if (answer.status === 200)
    return { kind: "committed", table: loadedTable(parseJsonObject(answer.body, source), source) };
  // A table that is gone is a conflict too: the caller loads again and finds out.
  if (answer.status === 409 || answer.status === 404) return { kind: "conflict", detail: detailOf(answer.body) };
  if (answer.status >= 500)
    return unknown(new NoAnswer({ method: `${what}: HTTP ${answer.status}`, uri: "" }, answer.body));
  throw new CatalogRefused(what, answer);
}

function unknown(cause: unknown): UnknownOutcome {
  return { kind: "unknown", cause };
}

function loadedTable(json: JsonObject, source: string): LoadedTable {
  const metadata = json["metadata"];
  const location = json["metadata-location"];
  if (!isJsonObject(metadata)) throw new CorruptData({ source, position: 0, expected: "metadata", found: "none" });
  const config = isJsonObject(json["config"]) ? Object.entries(json["config"]) : [];
  return {
    metadata: toMetadata(metadata, source),
    metadataLocation: typeof location === "string" ? location : "", // A staged table has none yet.
    config: new Map(config.map(([name, value]) => [name, textOf(value)])),
  };
}

/** The parts of a create request, from the updates that make the table. */
function creationOf(updates: readonly Update[]): object {
  const request: Record<string, unknown> = {};
  for (const update of updates) {
    if (update.action === "add-schema") request["schema"] = update.schema;
    if (update.action === "add-spec") request["partition-spec"] = update.spec;
    if (update.action === "add-sort-order") request["write-order"] = update["sort-order"];
    if (update.action === "set-location") request["location"] = update.location;
    if (update.action === "set-properties") request["properties"] = update.updates;
  }
  const upgrade = updates.find((update) => update.action === "upgrade-format-version");
  if (upgrade?.["format-version"] === 3) {
    request["properties"] = { ...(request["properties"] as object | undefined), "format-version": "3" };
  }
  return request;
}

function namespacePath(config: Config, namespace: readonly string[]): string {
  return `${config.base}/namespaces/${namespace.map(encodeURIComponent).join(config.separator)}`;
}

function tablePath(config: Config, table: TableName): string {
  return `${namespacePath(config, table.namespace)}/tables/${encodeURIComponent(table.name)}`;
}

function headersOf(config: JsonObject): Readonly<Record<string, string>> {
  const named = Object.entries(config).filter(([name]) => name.startsWith("header."));
  return Object.fromEntries(named.map(([name, value]) => [name.slice("header.".length), textOf(value)]));
}

function tableText(table: TableName): string {
  return [...table.namespace, table.name].join(".");
}

function trimmed(uri: string): string {
  return uri.replace(/\/+$/, "");
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : renderJson(value ?? null);
}

/** The message of an Iceberg error body, or the beginning of whatever came. */
function detailOf(body: string): string {
  const text = body.trim();
  if (!text.startsWith("{")) return text.slice(0, 200);
  try {
    const error = parseJson(text, "error answer") as JsonObject;
    const inner = error["error"];
    return isJsonObject(inner) ? textOf(inner["message"]).slice(0, 500) : text.slice(0, 200);
  } catch (cause) {
    if (cause instanceof CorruptData) return text.slice(0, 200);
    throw cause;
  }
}
