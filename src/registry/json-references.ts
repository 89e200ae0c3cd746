/**
 * Where a `$ref` leads: to a document, or to what has an `$id` in one, and in there to a JSON Pointer or an anchor.
 *
 *   #/definitions/a   a pointer into what the reference stands in     #a   an anchor there ($anchor; "$id": "#a" before 2019-09)
 *   b.json#/x         into the document that is referred to as `b.json`, or has that `$id` against the nearest `$id` around
 */
import { absolute, dataKeywords, idOf, nowhere } from "./json-documents.ts";
import { acceptsAll, without } from "./json-schema-parts.ts";
import { isJsonObject, type JsonObject } from "./json-text.ts";

/** A schema and the documents it can refer to: its own, and those of its references by name. */
export interface JsonSchemaText {
  readonly root: unknown;
  readonly references: ReadonlyMap<string, unknown>;
}

/** What a schema stands in. */
interface Place {
  /** A `#` in it is about this, or else about its document. */
  readonly resource: unknown;
  readonly document: unknown;
  readonly base: string;
  /** Since draft 2019-09 keywords beside `$ref` count. */
  readonly isSeenBeside: boolean;
}

/** References that lead to references; a circle of them leads nowhere. */
const hopsMax = 100;
/** Their members are schemas by name, whatever the names look like. */
const mapKeywords = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
  "dependencies",
  "definitions",
  "$defs",
]);

/** What `$ref` stands for in a schema. */
export class JsonReferences {
  readonly #references: ReadonlyMap<string, unknown>;
  readonly #root: Place;
  readonly #places = new Map<unknown, Place>();
  /** By absolute URI. */
  readonly #resources = new Map<string, unknown>();
  readonly #anchors = new Map<unknown, Map<string, unknown>>();
  /** By the place and what is written: pointers may be long, and are followed in each comparison. */
  readonly #followed = new Map<unknown, Map<string, unknown>>();
  readonly #combined = new Map<unknown, JsonObject>();

  constructor({ root, references }: JsonSchemaText) {
    this.#references = references;
    const draft = draftOf(root);
    this.#root = { resource: root, document: root, base: nowhere, isSeenBeside: isSeenBeside(draft) };
    const base = idOf(root) === undefined ? nowhere : absolute(idOf(root) as string, nowhere);
    for (const [name, document] of references) {
      const uri = absolute(name, base);
      this.#hold(uri, document);
      const isOwn = isSeenBeside(draftOf(document) ?? draft);
      this.#note(document, { resource: document, document, base: uri, isSeenBeside: isOwn });
    }
    this.#note(root, this.#root);
  }

  /** The schema itself where it refers to none; undefined when there is nothing there. */
  resolved(schema: unknown): unknown {
    let current = schema;
    for (let hops = 0; hops < hopsMax; hops++) {
      if (!isJsonObject(current) || typeof current["$ref"] !== "string") return current;
      const place = this.#places.get(current) ?? this.#root;
      if (place.isSeenBeside && !acceptsAll(without(current, "$ref"))) return this.#withBeside(current, place);
      current = this.#follow(current["$ref"], place);
    }
    return undefined;
  }

  /** The same object each time, so that it stays known. */
  #withBeside(schema: JsonObject, place: Place): JsonObject {
    const known = this.#combined.get(schema);
    if (known !== undefined) return known;
    const { $ref, ...beside } = schema;
    const reference = { $ref };
    this.#places.set(reference, place);
    const all = Array.isArray(beside["allOf"]) ? (beside["allOf"] as readonly unknown[]) : [];
    const combined = { ...beside, allOf: [...all, reference] };
    this.#combined.set(schema, combined);
    return combined;
  }

  #follow(reference: string, place: Place): unknown {
    const followed = this.#followed.get(place.resource) ?? new Map<string, unknown>();
    this.#followed.set(place.resource, followed);
    if (followed.has(reference)) return followed.get(reference);
    const found = this.#found(reference, place);
    followed.set(reference, found);
    return found;
  }

  #found(reference: string, { resource, document, base }: Place): unknown {
    const hash = reference.indexOf("#");
    const name = hash < 0 ? reference : reference.slice(0, hash);
    const fragment = hash < 0 ? "" : unescaped(reference.slice(hash + 1));
    if (name === "") return this.#inside(resource, fragment) ?? this.#inside(document, fragment);
    return this.#inside(this.#references.get(name) ?? this.#resources.get(absolute(name, base)), fragment);
  }

  #inside(resource: unknown, fragment: string): unknown {
    if (fragment === "" || fragment.startsWith("/")) return followPointer(resource, fragment);
    return this.#anchors.get(resource)?.get(fragment);
  }

  #note(schema: unknown, around: Place): void {
    if (Array.isArray(schema)) for (const each of schema) this.#note(each, around);
    if (!isJsonObject(schema)) return;
    const id = idOf(schema);
    const isResource = id !== undefined && !id.startsWith("#");
    const place = isResource ? { ...around, resource: schema, base: absolute(id, around.base) } : around;
    this.#places.set(schema, place);
    if (isResource) this.#hold(place.base, schema);
    else if (id !== undefined) this.#anchor(place.resource, id.slice(1), schema);
    if (typeof schema["$anchor"] === "string") this.#anchor(place.resource, schema["$anchor"], schema);
    for (const [key, value] of Object.entries(schema)) {
      if (mapKeywords.has(key) && isJsonObject(value)) for (const each of Object.values(value)) this.#note(each, place);
      else if (!dataKeywords.has(key)) this.#note(value, place);
    }
  }

  /** The first of a name stands. */
  #hold(uri: string, resource: unknown): void {
    if (!this.#resources.has(uri)) this.#resources.set(uri, resource);
  }

  #anchor(resource: unknown, name: string, schema: unknown): void {
    const anchors = this.#anchors.get(resource) ?? new Map<string, unknown>();
    this.#anchors.set(resource, anchors);
    if (!anchors.has(name)) anchors.set(name, schema);
  }
}

function draftOf(document: unknown): string | undefined {
  const draft = isJsonObject(document) ? document["$schema"] : undefined;
  return typeof draft === "string" ? draft : undefined;
}

function isSeenBeside(draft: string | undefined): boolean {
  return draft !== undefined && /2019-09|2020-12/.test(draft);
}

function unescaped(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch (cause) {
    if (cause instanceof URIError) return fragment;
    throw cause;
  }
}

function followPointer(root: unknown, pointer: string): unknown {
  let current = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(current)) current = current[Number(key)];
    else current = isJsonObject(current) && Object.hasOwn(current, key) ? current[key] : undefined;
  }
  return current;
}
