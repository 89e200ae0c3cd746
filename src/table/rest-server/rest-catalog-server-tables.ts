/** Tables of the embedded REST catalog: list, create, load, commit, drop, rename, register. */
import { createHash } from "node:crypto";
import { CorruptData } from "../../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../../base/http.ts";
import { type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { BadRequest, identifierOf, objectOf, requirementsOf, stringAt, updatesOf } from "../catalog-wire.ts";
import { MetadataFileMissing, type StoredTable } from "../commit/metadata-files.ts";
import { applyCommit } from "../iceberg/apply-updates.ts";
import type { Json, JsonObject } from "../iceberg/json.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { newTablePlace, withoutSlash } from "../warehouse.ts";
import {
  type CatalogPointers,
  isSame,
  type PointerAnswer,
  refusedForGood,
  type TableChange,
  type TableKey,
} from "./catalog-pointers.ts";
import {
  alreadyExists,
  bodyOf,
  cannotRename,
  commitFailed,
  failure,
  json,
  noContent,
  noSuchNamespace,
  noSuchTable,
  shown,
} from "./rest-catalog-server-answers.ts";
import { creationOf } from "./rest-catalog-server-create.ts";
import { joined, listOf, namespaceOf, partsOf } from "./rest-catalog-server-namespaces.ts";

export interface TableHandlersOptions {
  readonly metadata: MetadataClient;
  readonly pointers: CatalogPointers;
  /** URI under which new tables get their places. */
  readonly root: string;
  readonly clock: { now(): number };
  readonly random: Random;
  /** Told to clients with each table: how to reach the files. Credentials only where an operator turned vending on. */
  readonly tableConfig: ReadonlyMap<string, string>;
}

export class TableHandlers {
  readonly #options: TableHandlersOptions;

  constructor(options: TableHandlersOptions) {
    this.#options = options;
  }

  list(request: HttpRequest): HttpResponse {
    return listOf(request, this.#options, "table");
  }

  async create(request: HttpRequest): Promise<HttpResponse> {
    const namespace = namespaceOf(request);
    const { metadata, pointers, clock } = this.#options;
    if (metadata.image.namespace(namespace) === undefined) return noSuchNamespace(namespace);
    const body = bodyOf(request);
    const table = { namespace, name: tableName(stringAt(body, "name")) };
    const taken = this.#taken(table);
    if (taken !== undefined) return taken;
    const uuid = uuidRandom(this.#options.random);
    const updates = creationOf(body, uuid, this.#place(table, body["location"], uuid));
    if (body["stage-create"] === true) {
      const staged = applyCommit(undefined, [], updates, { nowMs: clock.now(), baseLocation: null });
      if (staged.kind !== "applied") throw new BadRequest(staged.detail);
      return json(200, { metadata: staged.metadata, ...this.#access() });
    }
    const answer = await pointers.commit([{ table, requirements: [{ type: "assert-create" }], updates }]);
    if (answer.kind === "failed-requirement") return alreadyExists("Table", tableText(table));
    return this.#answer(answer, (tables) => this.#loaded(tables[0] as StoredTable));
  }

  async load(request: HttpRequest): Promise<HttpResponse> {
    const table = tableOf(request);
    const stored = await this.#options.pointers.load(table);
    if (stored === undefined) return noSuchTable(table.namespace, table.name);
    const onlyRefs = request.query.get("snapshots") === "refs";
    const tag = onlyRefs ? etag(stored, "-refs") : etag(stored);
    if (names(request.headers.get("if-none-match") ?? "", tag)) return { status: 304, headers: { etag: tag } };
    return this.#loaded(onlyRefs ? { ...stored, metadata: withRefsOnly(stored.metadata) } : stored, tag);
  }

  head(request: HttpRequest): HttpResponse {
    const table = tableOf(request);
    return this.#options.pointers.pointer(table) === undefined ? noSuchTable(table.namespace, table.name) : noContent;
  }

  async commit(request: HttpRequest): Promise<HttpResponse> {
    const body = bodyOf(request);
    const table = tableOf(request);
    const change = { table, requirements: requirementsOf(body), updates: this.#withPlace(table, updatesOf(body)) };
    const creates = change.requirements.some((requirement) => requirement.type === "assert-create");
    if (creates && this.#options.metadata.image.namespace(table.namespace) === undefined) {
      return noSuchNamespace(table.namespace);
    }
    if (creates && this.#options.pointers.view(table) !== undefined)
      return alreadyExists("View with same name", tableText(table));
    const answer = await this.#options.pointers.commit([change]);
    return this.#answer(answer, ([stored]) => {
      const { location, metadata } = stored as StoredTable;
      return json(200, { "metadata-location": location, metadata }, { etag: etag(stored as StoredTable) });
    });
  }

  /** All tables change, or none. */
  async commitAll(request: HttpRequest): Promise<HttpResponse> {
    const changes = bodyOf(request)["table-changes"];
    if (!Array.isArray(changes)) throw new BadRequest("table-changes must be a list");
    const parsed = (changes as readonly Json[]).map((change): TableChange => {
      const body = objectOf(change, "a table change");
      const identifier = identifierOf(body["identifier"]);
      const table = { namespace: joined(identifier.namespace), name: tableName(identifier.name) };
      return { table, requirements: requirementsOf(body), updates: this.#withPlace(table, updatesOf(body)) };
    });
    if (new Set(parsed.map(({ table }) => tableText(table))).size < parsed.length) {
      throw new BadRequest("a table stands twice in table-changes");
    }
    return this.#answer(await this.#options.pointers.commit(parsed), () => noContent);
  }

  /** Without purgeRequested the files stay: they may be another catalog's too. */
  async drop(request: HttpRequest): Promise<HttpResponse> {
    const table = tableOf(request);
    for (;;) {
      const expected = this.#options.pointers.pointer(table);
      if (expected === undefined) return noSuchTable(table.namespace, table.name);
      // A commit in between moves the pointer: drop what it points to then.
      const dropped = await this.#options.pointers.move([{ table, expected, location: null }]);
      if (dropped !== "accepted") continue;
      if (request.query.get("purgeRequested")?.toLowerCase() === "true") await this.#options.pointers.purge(expected);
      return noContent;
    }
  }

  async rename(request: HttpRequest): Promise<HttpResponse> {
    const body = bodyOf(request);
    const [source, destination] = [keyAt(body, "source"), keyAt(body, "destination")];
    const { metadata, pointers } = this.#options;
    const location = pointers.pointer(source);
    if (location === undefined) return noSuchTable(source.namespace, source.name);
    if (isSame(source, destination)) return noContent;
    if (metadata.image.namespace(destination.namespace) === undefined) return noSuchNamespace(destination.namespace);
    const isView = pointers.view(destination) !== undefined;
    if (isView || pointers.pointer(destination) !== undefined)
      return cannotRename(tableText(source), tableText(destination), isView ? "View" : "Table");
    const answer = await pointers.move([
      { table: source, expected: location, location: null },
      { table: destination, expected: null, location },
    ]);
    return answer === "accepted" ? noContent : commitFailed(`the tables changed meanwhile: ${answer.reason}`);
  }

  async register(request: HttpRequest): Promise<HttpResponse> {
    const namespace = namespaceOf(request);
    const { metadata, pointers } = this.#options;
    if (metadata.image.namespace(namespace) === undefined) return noSuchNamespace(namespace);
    const body = bodyOf(request);
    const table = { namespace, name: tableName(stringAt(body, "name")) };
    const present = pointers.pointer(table);
    const taken = present !== undefined && body["overwrite"] === true ? undefined : this.#taken(table);
    if (taken !== undefined) return taken;
    const stored = await readMetadata(pointers, stringAt(body, "metadata-location"));
    const answer = await pointers.move([{ table, expected: present ?? null, location: stored.location }]);
    return answer === "accepted" ? this.#loaded(stored) : alreadyExists("Table", tableText(table));
  }

  /** The answer when there is something of that name. */
  #taken(table: TableKey): HttpResponse | undefined {
    const { pointers } = this.#options;
    if (pointers.pointer(table) !== undefined) return alreadyExists("Table", tableText(table));
    return pointers.view(table) === undefined ? undefined : alreadyExists("View with same name", tableText(table));
  }

  #answer(answer: PointerAnswer, done: (tables: readonly StoredTable[]) => HttpResponse): HttpResponse {
    switch (answer.kind) {
      case "committed":
        return done(answer.tables);
      case "missing":
        return noSuchTable(answer.table.namespace, answer.table.name);
      case "failed-requirement":
        return commitFailed(answer.detail);
      case "invalid":
        return failure(400, "BadRequestException", answer.detail);
      case "refused": {
        const { refusal } = answer;
        const detail = refusal.reason === "fenced" ? "this node was replaced" : refusal.detail;
        return refusal.reason === "missing"
          ? failure(404, "NoSuchNamespaceException", detail)
          : commitFailed(`${refusal.reason}: ${detail}`);
      }
    }
  }

  #loaded(stored: StoredTable, tag = etag(stored)): HttpResponse {
    const body = { "metadata-location": stored.location, metadata: stored.metadata, ...this.#access() };
    return json(200, body, { etag: tag });
  }

  #access(): object {
    const config = Object.fromEntries(this.#options.tableConfig);
    const vended = "s3.access-key-id" in config;
    const scheme = /^[a-z0-9]+:\/\/[^/]+/.exec(this.#options.root)?.[0] ?? this.#options.root;
    return vended ? { config, "storage-credentials": [{ prefix: scheme, config }] } : { config };
  }

  /** A place of its own for every table, for ever: a renamed or recreated one must not share files with its namesake. */
  #place(table: TableKey, asked: Json | undefined, uuid: Uuid): string {
    if (typeof asked === "string" && asked !== "") return withoutSlash(asked);
    return newTablePlace(this.#options.root, { namespace: partsOf(table.namespace), name: table.name }, uuid);
  }

  /** A table that is created by a commit may leave its place to the catalog. */
  #withPlace(table: TableKey, updates: TableChange["updates"]): TableChange["updates"] {
    const uuid = updates.find((update) => update.action === "assign-uuid")?.uuid;
    if (uuid === undefined || updates.some((update) => update.action === "set-location")) return updates;
    if (this.#options.pointers.pointer(table) !== undefined) return updates;
    return [...updates, { action: "set-location", location: this.#place(table, undefined, uuid as Uuid) }];
  }
}

function tableOf(request: HttpRequest): TableKey {
  return { namespace: namespaceOf(request), name: request.params["table"] as string };
}

function keyAt(body: JsonObject, name: string): TableKey {
  const identifier = identifierOf(body[name]);
  return { namespace: joined(identifier.namespace), name: tableName(identifier.name) };
}

function tableName(name: string): string {
  if (name === "") throw new BadRequest("a table's name must not be empty");
  return name;
}

function tableText(table: TableKey): string {
  return `${shown(table.namespace)}.${table.name}`;
}

async function readMetadata(pointers: CatalogPointers, location: string): Promise<StoredTable> {
  if (!pointers.reaches(location)) throw new BadRequest(`this catalog has no access to ${location}`);
  try {
    return await pointers.read(location);
  } catch (cause) {
    if (cause instanceof MetadataFileMissing || cause instanceof CorruptData) throw new BadRequest(cause.message);
    throw new BadRequest(`this catalog cannot read ${location} (${refusedForGood(cause).message})`);
  }
}

/** The metadata file never changes under its name, so its name tells versions apart. `part`: of what is told of it. */
function etag(stored: StoredTable, part = ""): string {
  return `"${createHash("sha256").update(stored.location).digest("hex").slice(0, 32)}${part}"`;
}

/** If-None-Match compares weakly (RFC 9110): a proxy that compresses has made the tag a weak one. */
function names(ifNoneMatch: string, tag: string): boolean {
  return ifNoneMatch.split(",").some((each) => each.trim().replace(/^W\//, "") === tag);
}

/** `snapshots=refs`: clients load the history later, when they need it. */
function withRefsOnly(metadata: TableMetadata): TableMetadata {
  const named = new Set(Object.values(metadata.refs).map((ref) => ref["snapshot-id"]));
  const snapshots = metadata.snapshots.filter((snapshot: Snapshot) => named.has(snapshot["snapshot-id"]));
  return { ...metadata, snapshots };
}
