/**
 * Views of the embedded REST catalog: list, create, load, replace, drop, rename. A view is a metadata file, and a pointer to it
 * among those of tables, told apart by its prefix: so that a name is one thing at a time, by the same compare-and-set.
 */
import { CorruptData } from "../../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../../base/http.ts";
import { type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { ObjectMissing, StoreFailed } from "../../object-store/object-store.ts";
import { BadRequest, identifierOf, propertiesAt, schemaOf, stringAt } from "../catalog-wire.ts";
import type { Json } from "../iceberg/json.ts";
import { metadataFileName, metadataVersion } from "../iceberg/metadata-json.ts";
import {
  applyViewUpdates,
  parseView,
  renderView,
  type ViewMetadata,
  type ViewUpdate,
} from "../iceberg/view-metadata.ts";
import { newTablePlace, type Warehouse, withoutSlash } from "../warehouse.ts";
import { type CatalogPointers, isSame, refusedForGood, type TableKey, viewPrefix } from "./catalog-pointers.ts";
import {
  alreadyExists,
  bodyOf,
  cannotRename,
  commitFailed,
  failure,
  json,
  noContent,
  noSuchNamespace,
  noSuchView,
  shown,
} from "./rest-catalog-server-answers.ts";
import { joined, listOf, namespaceOf, partsOf } from "./rest-catalog-server-namespaces.ts";
import { assertedUuid, viewUpdatesOf, viewVersionOf } from "./view-wire.ts";

export interface ViewHandlersOptions {
  readonly metadata: MetadataClient;
  readonly pointers: CatalogPointers;
  readonly warehouse: Warehouse;
  /** URI under which new views get their places. */
  readonly root: string;
  readonly clock: { now(): number };
  readonly random: Random;
  readonly limits: {
    /** How often a commit that lost the race is tried on the new base while its requirements still hold. */
    readonly commitAttemptsMax: number;
  };
}

interface StoredView {
  readonly metadata: ViewMetadata;
  readonly location: string;
}

export class ViewHandlers {
  readonly #options: ViewHandlersOptions;

  constructor(options: ViewHandlersOptions) {
    this.#options = options;
  }

  list(request: HttpRequest): HttpResponse {
    return listOf(request, this.#options, "view");
  }

  async create(request: HttpRequest): Promise<HttpResponse> {
    const namespace = namespaceOf(request);
    if (this.#options.metadata.image.namespace(namespace) === undefined) return noSuchNamespace(namespace);
    const body = bodyOf(request);
    const view = { namespace, name: viewName(stringAt(body, "name")) };
    const taken = this.#taken(view);
    if (taken !== undefined) return taken;
    const uuid = uuidRandom(this.#options.random);
    const { "schema-id": _, ...version } = viewVersionOf(body["view-version"]);
    const updates: readonly ViewUpdate[] = [
      { action: "assign-uuid", uuid },
      { action: "set-location", location: this.#place(view, body["location"], uuid) },
      { action: "add-schema", schema: schemaOf(body["schema"]) },
      { action: "add-view-version", "view-version": { ...version, "version-id": 1, "schema-id": -1 } },
      { action: "set-current-view-version", "view-version-id": -1 },
      { action: "set-properties", updates: propertiesAt(body, "properties") },
    ];
    const applied = applyViewUpdates(undefined, updates, this.#options.clock.now());
    if (applied.kind === "invalid") return illegal(applied.detail);
    const stored = await this.#write(applied.metadata, undefined);
    const moved = await this.#move(view, null, stored.location);
    return moved === "accepted" ? loaded(stored) : (this.#taken(view) ?? commitFailed(moved));
  }

  /** Names a metadata file that is there. */
  async register(request: HttpRequest): Promise<HttpResponse> {
    const namespace = namespaceOf(request);
    if (this.#options.metadata.image.namespace(namespace) === undefined) return noSuchNamespace(namespace);
    const body = bodyOf(request);
    const view = { namespace, name: viewName(stringAt(body, "name")) };
    const taken = this.#taken(view);
    if (taken !== undefined) return taken;
    const stored = await this.#readFile(stringAt(body, "metadata-location"));
    const moved = await this.#move(view, null, stored.location);
    return moved === "accepted" ? loaded(stored) : (this.#taken(view) ?? commitFailed(moved));
  }

  async load(request: HttpRequest): Promise<HttpResponse> {
    const view = viewOf(request);
    const stored = await this.#read(view);
    return stored === undefined ? noSuchView(view.namespace, view.name) : loaded(stored);
  }

  head(request: HttpRequest): HttpResponse {
    const view = viewOf(request);
    return this.#options.pointers.view(view) === undefined ? noSuchView(view.namespace, view.name) : noContent;
  }

  async replace(request: HttpRequest): Promise<HttpResponse> {
    const view = viewOf(request);
    const body = bodyOf(request);
    const [wanted, updates] = [assertedUuid(body), viewUpdatesOf(body)];
    for (let attempt = 1; ; attempt += 1) {
      const base = await this.#read(view);
      if (base === undefined) return noSuchView(view.namespace, view.name);
      const is = base.metadata["view-uuid"];
      if (wanted !== undefined && wanted.toLowerCase() !== is.toLowerCase())
        return commitFailed(`Requirement failed: view UUID does not match: expected ${is} != ${wanted}`);
      const applied = applyViewUpdates(base.metadata, updates, this.#options.clock.now());
      if (applied.kind === "invalid") return illegal(applied.detail);
      if (applied.metadata === base.metadata) return loaded(base);
      const next = await this.#write(applied.metadata, base.location);
      if ((await this.#move(view, base.location, next.location)) === "accepted") return loaded(next);
      if (attempt >= this.#options.limits.commitAttemptsMax)
        return commitFailed(`lost ${attempt} races to other commits`);
    }
  }

  async drop(request: HttpRequest): Promise<HttpResponse> {
    const view = viewOf(request);
    for (;;) {
      const location = this.#options.pointers.view(view);
      if (location === undefined) return noSuchView(view.namespace, view.name);
      // A replacement in between moves the pointer: that one is dropped then.
      if ((await this.#move(view, location, null)) === "accepted") return noContent;
    }
  }

  async rename(request: HttpRequest): Promise<HttpResponse> {
    const body = bodyOf(request);
    const [source, destination] = [keyAt(body["source"]), keyAt(body["destination"])];
    const { metadata, pointers } = this.#options;
    const location = pointers.view(source);
    if (location === undefined) return noSuchView(source.namespace, source.name);
    if (isSame(source, destination)) return noContent;
    if (metadata.image.namespace(destination.namespace) === undefined) return noSuchNamespace(destination.namespace);
    if (pointers.view(destination) !== undefined || pointers.pointer(destination) !== undefined) {
      const what = pointers.view(destination) === undefined ? "Table" : "View";
      return cannotRename(viewText(source), viewText(destination), what);
    }
    const answer = await pointers.move([
      { table: source, expected: viewPrefix + location, location: null },
      { table: destination, expected: null, location: viewPrefix + location },
    ]);
    return answer === "accepted" ? noContent : commitFailed(`the views changed meanwhile: ${answer.reason}`);
  }

  /** The answer when there is something of that name. */
  #taken(view: TableKey): HttpResponse | undefined {
    const { pointers } = this.#options;
    if (pointers.view(view) !== undefined) return alreadyExists("View", viewText(view));
    return pointers.pointer(view) === undefined ? undefined : alreadyExists("Table with same name", viewText(view));
  }

  async #move(view: TableKey, expected: string | null, location: string | null): Promise<string> {
    const prefixed = (uri: string | null): string | null => (uri === null ? null : viewPrefix + uri);
    const move = { table: view, expected: prefixed(expected), location: prefixed(location) };
    const answer = await this.#options.pointers.move([move]);
    return answer === "accepted" ? answer : answer.reason;
  }

  async #read(view: TableKey): Promise<StoredView | undefined> {
    const location = this.#options.pointers.view(view);
    return location === undefined ? undefined : await this.#readFile(location);
  }

  async #readFile(location: string): Promise<StoredView> {
    if (!this.#options.warehouse.reaches(location)) throw new BadRequest(`this catalog has no access to ${location}`);
    try {
      return { metadata: parseView(await this.#options.warehouse.readText(location), location), location };
    } catch (cause) {
      const known = cause instanceof ObjectMissing || cause instanceof CorruptData ? cause : refusedForGood(cause);
      throw new BadRequest(`the view's metadata cannot be read: ${known.message}`);
    }
  }

  /** The file is there when this returns; nobody knows of it before the pointer moves. */
  async #write(metadata: ViewMetadata, base: string | undefined): Promise<StoredView> {
    const { warehouse, random } = this.#options;
    const directory = metadata.properties["write.metadata.path"] ?? `${metadata.location}/metadata`;
    if (!warehouse.reaches(directory)) throw new BadRequest(`this catalog has no access to ${directory}`);
    const version = base === undefined ? 0 : (metadataVersion(base) ?? 0) + 1;
    const location = `${withoutSlash(directory)}/${metadataFileName(version, uuidRandom(random))}`;
    const created = await warehouse.create(location, Buffer.from(renderView(metadata))).catch(refusedForGood);
    if (created instanceof StoreFailed)
      throw new BadRequest(`this catalog cannot write to ${directory} (${created.message})`);
    return { metadata, location };
  }

  #place(view: TableKey, asked: unknown, uuid: Uuid): string {
    if (typeof asked === "string" && asked !== "") return withoutSlash(asked);
    return newTablePlace(this.#options.root, { namespace: partsOf(view.namespace), name: view.name }, uuid);
  }
}

/** What the reference's own builder of views throws. */
function illegal(detail: string): HttpResponse {
  return failure(400, "IllegalArgumentException", detail);
}

function viewOf(request: HttpRequest): TableKey {
  return { namespace: namespaceOf(request), name: request.params["view"] as string };
}

function keyAt(value: Json | undefined): TableKey {
  const identifier = identifierOf(value);
  return { namespace: joined(identifier.namespace), name: viewName(identifier.name) };
}

function viewName(name: string): string {
  if (name === "") throw new BadRequest("a view's name must not be empty");
  return name;
}

function viewText(view: TableKey): string {
  return `${shown(view.namespace)}.${view.name}`;
}

function loaded({ metadata, location }: StoredView): HttpResponse {
  return json(200, { "metadata-location": location, metadata, config: {} });
}
