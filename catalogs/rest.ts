/**
 * An Iceberg REST catalog (Polaris, Lakekeeper, Nessie, Unity, Snowflake Open Catalog, the embedded one …) as a Catalog.
 * A commit is sent once: an answer of 409 is a conflict, no answer or a 5xx is unknown (rules J1-J11).
 */
import { CorruptData, OperationFailed } from "../src/base/errors.ts";
import { uuidFromBytes } from "../src/base/ids.ts";
import type { UnsignedRequest } from "../src/base/lent-access.ts";
import type { Runtime } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";
import type {
  Catalog,
  CommitOutcome,
  LoadedTable,
  TableChange,
  TableName,
  TransactionOutcome,
} from "../src/table/catalog.ts";
import { hasSchema } from "../src/table/commit/table-creation.ts";
import { isJsonObject, type JsonObject, parseJsonObject, renderJson } from "../src/table/iceberg/json.ts";
import type { Requirement, Update } from "../src/table/iceberg/updates.ts";
import { placesOf } from "../src/table/table-state.ts";
import type { Warehouse } from "../src/table/warehouse.ts";
import { KnownTables } from "./known-tables.ts";
import { CatalogRefused, failureOf, isUnstaged, loadedTable, outcomeOf, understood, unknown } from "./rest-answers.ts";
import { type Authorizer, authorizer, type RestAuth } from "./rest-auth.ts";
import { type Fetch, RestClient, type RestLimits, type RestResponse } from "./rest-client.ts";
import { type Endpoint, namespacePath, type RestConfig, restConfig, tablePath, withoutSlash } from "./rest-config.ts";
import { LentFiles, type OpenBucket } from "./rest-files.ts";

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
  readonly isSelfMaintained?: boolean;
}

export interface RestCatalogDeps {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: RestLimits;
  /** For simulations and tests; the runtime's own by default. */
  readonly fetch?: Fetch;
  /** Where files are reached that the catalog lends access to. Absent: it is not asked to. */
  readonly files?: { readonly warehouse: Pick<Warehouse, "lend">; readonly open: OpenBucket };
}

/** JSON of tables that are not loaded again while they are as they were: a hundred with three hundred snapshots each. */
const knownTablesBytesMax = 32 * 1024 * 1024;

/** The configuration is asked for at the first use, so that a catalog which is down at the start does not stop a broker. */
export function open(settings: RestCatalogSettings, deps: RestCatalogDeps): Catalog {
  return new RestCatalog(settings, deps);
}

class RestCatalog implements Catalog {
  readonly name: string;
  readonly isSelfMaintained: boolean;
  readonly #settings: RestCatalogSettings;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #client: RestClient;
  readonly #auth: Authorizer;
  readonly #files: RestCatalogDeps["files"];
  /** By namespace and name. As many as tables are asked for. */
  readonly #lent = new Map<string, LentFiles>();
  readonly #known = new KnownTables(knownTablesBytesMax);
  #config: Promise<RestConfig> | undefined;

  constructor(settings: RestCatalogSettings, deps: RestCatalogDeps) {
    this.name = settings.name;
    this.isSelfMaintained = settings.isSelfMaintained ?? false;
    this.#settings = settings;
    this.#runtime = deps.runtime;
    this.#logger = deps.logger.child({ catalog: settings.name });
    this.#files = settings.accessDelegation === null ? undefined : deps.files;
    const { clock } = deps.runtime;
    this.#client = new RestClient({ fetch: deps.fetch ?? globalThis.fetch, clock, limits: deps.limits });
    this.#auth = authorizer(settings.auth, clock, async (uri, form) => {
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      return await this.#client.sendUnauthorized({ method: "POST", uri, body: form.toString(), headers });
    });
  }

  async load(table: TableName): Promise<LoadedTable | undefined> {
    const name = tableText(table);
    const known = this.#known.get(name);
    const endpoint = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}";
    const condition = known === undefined ? {} : { "if-none-match": known.etag };
    const answer = await this.#send(endpoint, (config) => tablePath(config, table), undefined, condition);
    if (answer.status === 304 && known !== undefined) return known.table;
    this.#known.forget(name);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new CatalogRefused(`loading ${name}`, answer);
    const loaded = this.#loaded(table, answer);
    this.#learn(name, answer, loaded);
    return loaded;
  }

  /** Keys to files come with each answer: where they are lent, every load is a whole one. */
  #learn(name: string, { etag, body }: RestResponse, table: LoadedTable): void {
    if (etag !== null && this.#files === undefined) this.#known.set(name, { etag, table, bytes: body.length });
  }

  async reachFiles(table: TableName): Promise<void> {
    if (this.#files !== undefined && !this.#lent.has(tableText(table))) await this.load(table);
  }

  /** Staged first, so that the commit that makes the table carries our field ids: a plain create may give others. */
  async create(table: TableName, updates: readonly Update[]): ReturnType<Catalog["create"]> {
    await this.#makeNamespace(table.namespace);
    const answer = await this.#askForTable(table, updates, true);
    if (answer.status === 409) return { kind: "exists" };
    if (isUnstaged(answer)) return await this.#createUnstaged(table, updates);
    if (answer.status !== 200) throw new CatalogRefused(`creating ${tableText(table)}`, answer);
    const { metadata, config } = this.#loaded(table, answer);
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

  /** Servers that stage nothing (AWS's) number the fields as they like: where they differ, the schema is put right at once. */
  async #createUnstaged(table: TableName, updates: readonly Update[]): ReturnType<Catalog["create"]> {
    const answer = await this.#askForTable(table, updates, false).catch((cause: unknown) => {
      if (cause instanceof OperationFailed && cause.happened === "maybe") return unknown(cause);
      throw cause;
    });
    if ("kind" in answer) return answer;
    if (answer.status === 409) return { kind: "exists" };
    if (answer.status >= 500) return unknown(new CatalogRefused(`creating ${tableText(table)}`, answer));
    if (answer.status !== 200) throw new CatalogRefused(`creating ${tableText(table)}`, answer);
    const made = this.#loaded(table, answer);
    const schema = updates.find((update) => update.action === "add-schema")?.schema;
    if (schema === undefined || hasSchema(made.metadata, schema)) return { kind: "created", table: made };
    const actions: readonly Update["action"][] = ["add-schema", "set-current-schema", "add-spec", "set-default-spec"];
    const isEmpty = { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null } as const;
    const uuid = { type: "assert-table-uuid", uuid: made.metadata["table-uuid"] } as const;
    const ours = updates.filter(({ action }) => actions.includes(action));
    const outcome = await this.commit(table, [uuid, isEmpty], ours);
    switch (outcome.kind) {
      case "committed":
        return { kind: "created", table: { ...outcome.table, config: made.config } };
      case "conflict":
        return { kind: "exists" };
      case "unknown":
        return outcome;
    }
  }

  async #askForTable(table: TableName, updates: readonly Update[], isStaged: boolean): Promise<RestResponse> {
    const body = renderJson({ name: table.name, ...creationOf(updates), "stage-create": isStaged });
    const endpoint = "POST /v1/{prefix}/namespaces/{namespace}/tables";
    return await this.#send(endpoint, (config) => `${namespacePath(config, table.namespace)}/tables`, body);
  }

  async commit(
    table: TableName,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome> {
    const body = renderJson(bodyOf({ table, requirements, updates }));
    const endpoint = "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}";
    const name = tableText(table);
    return await this.#change(
      endpoint,
      (config) => tablePath(config, table),
      body,
      (answer) => this.#afterCommit(name, answer),
    );
  }

  #afterCommit(name: string, answer: RestResponse): CommitOutcome {
    const before = this.#known.get(name);
    this.#known.forget(name); // After a conflict too: what was known may have been the reason.
    const outcome = outcomeOf(answer, `committing to ${name}`, this.name);
    // Such an answer says nothing about reaching the files: that stays as it was.
    if (outcome.kind === "committed" && before !== undefined)
      this.#learn(name, answer, { ...outcome.table, config: before.table.config });
    return outcome;
  }

  async commitAll(changes: readonly TableChange[]): Promise<TransactionOutcome> {
    const endpoint = "POST /v1/{prefix}/transactions/commit";
    if (!(await this.#configuration()).offers(endpoint)) return { kind: "unsupported" };
    const body = renderJson({ "table-changes": changes.map(bodyOf) });
    const what = `committing to ${changes.map(({ table }) => tableText(table)).join(" and ")}`;
    return await this.#change(
      endpoint,
      (config) => `${config.base}/transactions/commit`,
      body,
      (answer): TransactionOutcome =>
        answer.status === 204 || answer.status === 200 ? { kind: "committed" } : failureOf(answer, what),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    for (const lent of this.#lent.values()) await lent[Symbol.asyncDispose]();
  }

  /** Sent once. What may have happened is unknown; what surely did not is thrown. */
  async #change<T>(
    endpoint: Endpoint,
    path: (config: RestConfig) => string,
    body: string,
    outcome: (answer: RestResponse) => T,
  ): Promise<T | ReturnType<typeof unknown>> {
    // Asked for beforehand: failing to get it means that nothing was sent.
    const config = await this.#configuration();
    const key = config.takesIdempotencyKeys ? { "idempotency-key": this.#uuid7() } : {};
    try {
      return outcome(await this.#send(endpoint, path, body, key));
    } catch (cause) {
      const mayHaveHappened =
        cause instanceof CorruptData || (cause instanceof OperationFailed && cause.happened === "maybe");
      if (mayHaveHappened) return unknown(cause);
      throw cause;
    }
  }

  #loaded(table: TableName, answer: RestResponse): LoadedTable {
    const [json, loaded] = understood(`an answer of ${tableText(table)}`, () => {
      const parsed = parseJsonObject(answer.body, this.name);
      return [parsed, loadedTable(parsed, this.name)] as const;
    });
    if (this.#files === undefined) return loaded;
    const name = tableText(table);
    const lent = this.#lent.get(name) ?? this.#openFiles(this.#files.open, table);
    lent.learn(json);
    this.#lent.set(name, lent);
    const { data, metadata } = placesOf(loaded.metadata);
    this.#files.warehouse.lend([loaded.metadata.location, data, metadata], lent);
    return loaded;
  }

  #openFiles(open: OpenBucket, table: TableName): LentFiles {
    const { clock } = this.#runtime;
    return new LentFiles({
      clock,
      open,
      ask: () => this.#credentials(table),
      sign: (config, request) => this.#sign(config, request),
    });
  }

  /** Where the catalog has no endpoint for it, the whole table is loaded again. */
  async #credentials(table: TableName): Promise<JsonObject> {
    const own = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials";
    const isOwn = (await this.#configuration()).offers(own);
    const answer = isOwn
      ? await this.#send(own, (config) => `${tablePath(config, table)}/credentials`)
      : await this.#send("GET /v1/{prefix}/namespaces/{namespace}/tables/{table}", (config) =>
          tablePath(config, table),
        );
    const what = `asking for keys to the files of ${tableText(table)}`;
    if (answer.status !== 200) throw new CatalogRefused(what, answer);
    return understood(what, () => parseJsonObject(answer.body, this.name));
  }

  /** The names are those of Iceberg's S3 file IO; later versions leave "s3." out. */
  async #sign(config: ReadonlyMap<string, string>, request: UnsignedRequest) {
    const { uri: own } = await this.#configuration();
    const uri = config.get("signer.uri") ?? config.get("s3.signer.uri") ?? own;
    const endpoint = config.get("signer.endpoint") ?? config.get("s3.signer.endpoint") ?? "v1/aws/s3/sign";
    const { method, region, headers, body } = request;
    const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
    const asked = {
      method,
      region,
      uri: request.uri,
      headers: lists,
      properties: {},
      ...(body === undefined ? {} : { body }),
    };
    const target = /^https?:/.test(endpoint) ? endpoint : `${withoutSlash(uri)}/${endpoint.replace(/^\/+/, "")}`;
    const answer = await this.#client.send({ method: "POST", uri: target, body: renderJson(asked) }, this.#auth);
    const what = "signing a request for a file";
    if (answer.status !== 200) throw new CatalogRefused(what, answer);
    const json = understood(what, () => parseJsonObject(answer.body, this.name));
    const signed = isJsonObject(json["headers"]) ? Object.entries(json["headers"]) : [];
    return {
      uri: typeof json["uri"] === "string" ? json["uri"] : request.uri,
      headers: Object.fromEntries(
        signed.map(([name, values]) => [name, (Array.isArray(values) ? values : [values]).join(",")]),
      ),
    };
  }

  async #makeNamespace(namespace: readonly string[]): Promise<void> {
    const look = "GET /v1/{prefix}/namespaces/{namespace}";
    if (!(await this.#configuration()).offers(look)) return; // Whoever keeps such a catalog makes its namespaces.
    const present = await this.#send(look, (config) => namespacePath(config, namespace));
    if (present.status === 200) return;
    if (present.status !== 404) throw new CatalogRefused(`loading namespace ${namespace.join(".")}`, present);
    if (namespace.length > 1) await this.#makeNamespace(namespace.slice(0, -1));
    const body = renderJson({ namespace, properties: {} });
    const endpoint = "POST /v1/{prefix}/namespaces";
    const answer = await this.#send(endpoint, (config) => `${config.base}/namespaces`, body);
    // 409: somebody else was faster, which is as good.
    if (answer.status !== 200 && answer.status !== 409) {
      throw new CatalogRefused(`creating namespace ${namespace.join(".")}`, answer);
    }
  }

  async #send(
    endpoint: Endpoint,
    path: (config: RestConfig) => string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RestResponse> {
    const config = await this.#configuration();
    if (!config.offers(endpoint))
      throw new OperationFailed(`catalog ${this.name} does not offer ${endpoint}`, { happened: "no" });
    const method = endpoint.startsWith("GET") ? "GET" : "POST";
    const request = { method, uri: path(config), headers: { ...config.headers, ...headers } } as const;
    return await this.#client.send(body === undefined ? request : { ...request, body }, this.#auth);
  }

  #configuration(): Promise<RestConfig> {
    this.#config ??= this.#loadConfig().catch((cause: unknown) => {
      this.#config = undefined; // The next use asks again.
      throw cause;
    });
    return this.#config;
  }

  async #loadConfig(): Promise<RestConfig> {
    const { uri, warehouse } = this.#settings;
    const query = warehouse === null ? "" : `?warehouse=${encodeURIComponent(warehouse)}`;
    const request = { method: "GET", uri: `${withoutSlash(uri)}/v1/config${query}` } as const;
    const answer = await this.#client.send(request, this.#auth);
    const what = `configuration of catalog ${this.name}`;
    if (answer.status !== 200) throw new CatalogRefused(what, answer);
    const config = restConfig(
      understood(what, () => parseJsonObject(answer.body, this.name)),
      this.#settings,
    );
    this.#logger.info("catalog configured", { base: config.base });
    return config;
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

function bodyOf({ table, requirements, updates }: TableChange): object {
  return { identifier: { namespace: table.namespace, name: table.name }, requirements, updates };
}

function tableText(table: TableName): string {
  return [...table.namespace, table.name].join(".");
}
