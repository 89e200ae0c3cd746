import { isJsonObject } from "./json-text.ts";

/** A schema and the documents it can refer to: its own, and those of its references by name. */
export interface JsonSchemaText {
  readonly root: unknown;
  readonly references: ReadonlyMap<string, unknown>;
}

/** References that lead to references; a circle of them leads nowhere. */
const hopsMax = 100;

/** What `$ref` stands for in a schema. */
export class JsonReferences {
  readonly #text: JsonSchemaText;
  /** Of all that stands in a reference: which one. A `#` in it is about that document. */
  readonly #documents = new Map<unknown, unknown>();
  /** By the document and what is written: pointers may be long, and are followed in each comparison. */
  readonly #followed = new Map<unknown, Map<string, unknown>>();

  constructor(text: JsonSchemaText) {
    this.#text = text;
    for (const document of text.references.values()) this.#note(document, document);
  }

  /** The schema itself where it refers to none; undefined when there is nothing there. */
  resolved(schema: unknown): unknown {
    let current = schema;
    for (let hops = 0; hops < hopsMax; hops++) {
      if (!isJsonObject(current) || typeof current["$ref"] !== "string") return current;
      current = this.#follow(current["$ref"], this.#documents.get(current) ?? this.#text.root);
    }
    return undefined;
  }

  #follow(reference: string, own: unknown): unknown {
    const followed = this.#followed.get(own) ?? new Map<string, unknown>();
    this.#followed.set(own, followed);
    if (followed.has(reference)) return followed.get(reference);
    const [name = "", pointer = ""] = reference.split("#");
    const found = followPointer(name === "" ? own : this.#text.references.get(name), pointer);
    followed.set(reference, found);
    return found;
  }

  #note(part: unknown, document: unknown): void {
    if (isJsonObject(part)) this.#documents.set(part, document);
    else if (!Array.isArray(part)) return;
    for (const each of Object.values(part)) this.#note(each, document);
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
