/** Namespaces of the embedded REST catalog: events of the metadata log, read back from its image. */
import type { HttpRequest, HttpResponse } from "../../base/http.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { BadRequest, propertiesAt, stringsAt } from "../catalog-wire.ts";
import { type CatalogPointers, namespaceSeparator } from "./catalog-pointers.ts";
import {
  alreadyExists,
  bodyOf,
  failure,
  json,
  noContent,
  noSuchNamespace,
  shown,
} from "./rest-catalog-server-answers.ts";

/** A namespace brings its parents: a request must not come to more than some hundred KB of them. */
const levelsMax = 32;
const nameCharsMax = 8192;

export class NamespaceHandlers {
  readonly #metadata: MetadataClient;

  constructor(metadata: MetadataClient) {
    this.#metadata = metadata;
  }

  list(request: HttpRequest): HttpResponse {
    const given = request.query.get("parent") ?? "";
    const parent = given === "" || this.exists(given) ? given : decodedAgain(given);
    if (parent !== "" && !this.exists(parent)) return noSuchNamespace(given);
    const prefix = parent === "" ? "" : `${parent}${namespaceSeparator}`;
    const children = [...this.#metadata.image.namespaces()]
      .map(([name]) => name)
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes(namespaceSeparator))
      .sort();
    return json(200, { namespaces: children.map(partsOf) });
  }

  async create(request: HttpRequest): Promise<HttpResponse> {
    const body = bodyOf(request);
    const parts = stringsAt(body, "namespace");
    if (parts.length === 0) throw new BadRequest("a namespace must have a name");
    const properties = propertiesAt(body, "properties");
    const name = joined(parts);
    if (parts.length > levelsMax || name.length > nameCharsMax)
      throw new BadRequest(`a namespace has at most ${levelsMax} parts and ${nameCharsMax} characters`);
    for (;;) {
      if (this.exists(name)) return alreadyExists("Namespace", shown(name));
      // What it stands below comes to be with it: the reference's catalogs have no namespace without its parents.
      const parents = parts.map((_, depth) => joined(parts.slice(0, depth))).filter((parent) => parent !== "");
      const made = parents.filter((parent) => !this.exists(parent)).map((parent) => put(parent, {}, true));
      const answer = await this.#metadata.propose([...made, put(name, properties, true)]);
      if (answer.kind === "accepted") return json(200, { namespace: parts, properties });
      if (answer.refusal.reason !== "exists") return failure(503, "ServiceUnavailableException", answer.refusal.reason);
      // One of them was made meanwhile.
    }
  }

  load(request: HttpRequest): HttpResponse {
    const name = namespaceOf(request);
    const properties = this.#metadata.image.namespace(name);
    if (properties === undefined) return noSuchNamespace(name);
    return json(200, { namespace: partsOf(name), properties: Object.fromEntries(properties) });
  }

  head(request: HttpRequest): HttpResponse {
    const name = namespaceOf(request);
    return this.exists(name) ? noContent : noSuchNamespace(name);
  }

  async drop(request: HttpRequest): Promise<HttpResponse> {
    const name = namespaceOf(request);
    if (!this.exists(name)) return noSuchNamespace(name);
    const { image } = this.#metadata;
    const [table] = image.tablePointers(name);
    const child = [...image.namespaces()].some(([other]) => other.startsWith(name + namespaceSeparator));
    const notEmpty = () => failure(409, "NamespaceNotEmptyException", `Namespace ${shown(name)} is not empty.`);
    if (table !== undefined || child) return notEmpty();
    const answer = await this.#metadata.propose([{ kind: "drop-namespace", namespace: name }]);
    if (answer.kind === "accepted") return noContent;
    return answer.refusal.reason === "missing" ? noSuchNamespace(name) : notEmpty();
  }

  /** Reads and replaces: of two changes at once to one namespace, the later wins. */
  async setProperties(request: HttpRequest): Promise<HttpResponse> {
    const name = namespaceOf(request);
    const body = bodyOf(request);
    const updates = propertiesAt(body, "updates");
    const removals = body["removals"] === undefined || body["removals"] === null ? [] : stringsAt(body, "removals");
    const both = removals.filter((key) => Object.hasOwn(updates, key));
    if (both.length > 0) {
      return failure(422, "UnprocessableEntityException", `Cannot update and remove the same key: ${both.join()}`);
    }
    const properties = this.#metadata.image.namespace(name);
    if (properties === undefined) return noSuchNamespace(name);
    const removed = removals.filter((key) => properties.has(key));
    const kept = [...properties].filter(([key]) => !removed.includes(key));
    const answer = await this.#metadata.propose([put(name, { ...Object.fromEntries(kept), ...updates }, false)]);
    if (answer.kind !== "accepted") return noSuchNamespace(name);
    const missing = removals.filter((key) => !removed.includes(key));
    return json(200, { updated: Object.keys(updates), removed, missing });
  }

  exists(name: string): boolean {
    return this.#metadata.image.namespace(name) !== undefined;
  }
}

/** PyIceberg encodes the parts of a parent, and then the query that they stand in. */
function decodedAgain(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch (cause) {
    if (cause instanceof URIError) return name;
    throw cause;
  }
}

function put(namespace: string, properties: Readonly<Record<string, string>>, mustBeNew: boolean) {
  const sorted = new Map(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { kind: "put-namespace", namespace, properties: sorted, mustBeNew } as const;
}

export function namespaceOf(request: HttpRequest): string {
  return request.params["namespace"] as string;
}

/** The tables or the views of the namespace that the request names. */
export function listOf(
  request: HttpRequest,
  { metadata, pointers }: { readonly metadata: MetadataClient; readonly pointers: CatalogPointers },
  kind: "table" | "view",
): HttpResponse {
  const namespace = namespaceOf(request);
  if (metadata.image.namespace(namespace) === undefined) return noSuchNamespace(namespace);
  const identifiers = pointers.names(namespace, kind).map((name) => ({ namespace: partsOf(namespace), name }));
  return json(200, { identifiers });
}

export function partsOf(namespace: string): readonly string[] {
  return namespace.split(namespaceSeparator);
}

export function joined(parts: readonly string[]): string {
  if (parts.some((part) => part === "" || part.includes(namespaceSeparator))) {
    throw new BadRequest("a namespace's parts must not be empty");
  }
  return parts.join(namespaceSeparator);
}
