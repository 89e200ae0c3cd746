/**
 * A JSON Schema and the documents that its references in the registry name: where a `$ref` leads.
 *
 *   #/definitions/a   a JSON Pointer in the same document        #a          an anchor there ($anchor, or $id and id before 2019-09)
 *   b.json#/x         in the document of the reference `b.json`, or of that `$id`; relative to this document's own `$id` too
 */
import { CorruptData } from "../../base/errors.ts";

export type Json = { readonly [key: string]: unknown };

export interface JsonDocument {
  readonly root: Json;
}

/** A schema, and the document that its own references count from. */
export interface PlacedSchema {
  readonly schema: unknown;
  readonly document: JsonDocument;
}

/** Nodes that the search for an anchor looks at. */
const anchorSearchMax = 100_000;

export class JsonSchemaDocuments {
  readonly root: PlacedSchema;
  readonly #byName = new Map<string, JsonDocument>();

  /** Throws CorruptData when the text is no JSON Schema. */
  constructor(text: string, references: readonly { readonly name: string; readonly schema: string }[]) {
    const document = this.#read(text);
    this.root = { schema: document.root, document };
    for (const { name, schema } of references) this.#byName.set(name, this.#read(schema));
  }

  /** Throws CorruptData when it leads nowhere. */
  resolve(reference: string, from: JsonDocument): PlacedSchema {
    const hash = reference.indexOf("#");
    const base = hash < 0 ? reference : reference.slice(0, hash);
    const fragment = hash < 0 ? "" : unescaped(reference.slice(hash + 1), reference);
    const document = base === "" ? from : this.#document(base, from);
    if (document === undefined) throw wrong("a reference into the document, or to one that it names", reference);
    const schema =
      fragment === "" || fragment.startsWith("/") ? at(document.root, fragment) : anchored(document.root, fragment);
    if (schema === undefined) throw wrong("a definition", reference);
    return { schema, document };
  }

  #document(base: string, from: JsonDocument): JsonDocument | undefined {
    const id = idOf(from.root);
    const absolute = id !== undefined && URL.canParse(base, id) ? new URL(base, id).href : base;
    return this.#byName.get(base) ?? this.#byName.get(absolute);
  }

  #read(text: string): JsonDocument {
    let root: unknown;
    try {
      root = JSON.parse(text);
    } catch {
      throw wrong("JSON", text.slice(0, 40));
    }
    if (typeof root !== "object" || root === null || Array.isArray(root)) throw wrong("an object", root);
    const document = { root: root as Json };
    const id = idOf(document.root);
    if (id !== undefined && !this.#byName.has(id)) this.#byName.set(id, document);
    return document;
  }
}

export function wrong(expected: string, found: unknown): CorruptData {
  const text = typeof found === "string" ? found : (JSON.stringify(found) ?? "nothing");
  return new CorruptData({ source: "JSON Schema", position: 0, expected, found: text.slice(0, 80) });
}

/** Without an empty fragment, which says nothing. */
function idOf(root: Json): string | undefined {
  const id = root["$id"] ?? root["id"];
  return typeof id === "string" ? id.replace(/#$/, "") : undefined;
}

function at(root: Json, pointer: string): unknown {
  let node: unknown = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, key)) return undefined;
    node = (node as Json)[key];
  }
  return node;
}

function anchored(root: Json, name: string): unknown {
  const nodes: unknown[] = [root];
  for (let seen = 0; nodes.length > 0 && seen < anchorSearchMax; seen += 1) {
    const node = nodes.pop();
    if (typeof node !== "object" || node === null) continue;
    const { $anchor, $id, id } = node as Json;
    if ($anchor === name || $id === `#${name}` || id === `#${name}`) return node;
    nodes.push(...Object.values(node));
  }
  return undefined;
}

function unescaped(fragment: string, reference: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    throw wrong("a URI fragment", reference);
  }
}
