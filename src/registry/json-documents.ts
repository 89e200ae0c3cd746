/** Whether a JSON Schema finds all the documents that it refers to: nothing is fetched from elsewhere. */
import { isJsonObject } from "./json-text.ts";

/** The first document that is neither in the schema nor among its references. */
export function missingDocument(root: unknown, references: ReadonlyMap<string, unknown>): string | undefined {
  const found = new Found();
  found.visit(root, idOf(root) ?? nowhere);
  const known = new Set([...found.ids, ...[...references.keys()].map((name) => absolute(name, idOf(root) ?? nowhere))]);
  for (const document of references.values()) {
    const inside = new Found();
    inside.visit(document, idOf(document) ?? nowhere);
    for (const id of inside.ids) known.add(id);
  }
  return found.documents.find(
    ([name, resolved]) => !references.has(name) && !known.has(resolved) && !isMetaSchema(resolved),
  )?.[0];
}

/** Base of what has no $id. */
export const nowhere = "schema:/";

/** Their values are data, whatever they look like. */
export const dataKeywords: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"]);

class Found {
  /** As written, and against the nearest $id. */
  readonly documents: (readonly [name: string, resolved: string])[] = [];
  readonly ids: string[] = [];

  visit(schema: unknown, base: string): void {
    if (Array.isArray(schema)) for (const each of schema) this.visit(each, base);
    if (!isJsonObject(schema)) return;
    const own = idOf(schema);
    const here = own === undefined ? base : absolute(own, base);
    if (own !== undefined) this.ids.push(here);
    const [document = ""] = typeof schema["$ref"] === "string" ? schema["$ref"].split("#") : [];
    if (document !== "") this.documents.push([document, absolute(document, here)]);
    for (const [key, value] of Object.entries(schema)) if (!dataKeywords.has(key)) this.visit(value, here);
  }
}

export function idOf(schema: unknown): string | undefined {
  if (!isJsonObject(schema)) return undefined;
  const id = schema["$id"] ?? schema["id"];
  return typeof id === "string" ? id : undefined;
}

/** Without its fragment. */
export function absolute(name: string, base: string): string {
  const [document = ""] = name.split("#");
  return URL.parse(document, URL.canParse(base) ? base : nowhere)?.href ?? document;
}

export function isMetaSchema(url: string): boolean {
  return /^https?:\/\/json-schema\.org\//.test(url);
}
