/** One text for each Avro schema, as Java's Schema.toString writes it, so that texts that differ in layout alone get one id. */
import {
  type AvroField,
  type AvroNamed,
  type AvroType,
  fullName,
  isNamed,
  type ParsedAvro,
  primitiveNames,
} from "./avro-schema.ts";
import { type JsonObject, printJson, sortedJson } from "./json-text.ts";

/** Normalized texts sort the properties of the user too. */
export function printAvro(schema: ParsedAvro, options: { readonly isNormalized: boolean }): string {
  const printer = new Printer(schema.referenced, options.isNormalized);
  return printJson(printer.type(schema.type, ""));
}

/** A type named like one of these is only known by its full name. */
const kinds: ReadonlySet<string> = new Set([...primitiveNames, "record", "enum", "fixed", "array", "map", "union"]);

class Printer {
  readonly #written: Set<string>;
  readonly #isNormalized: boolean;

  constructor(referenced: ReadonlySet<string>, isNormalized: boolean) {
    this.#written = new Set(referenced);
    this.#isNormalized = isNormalized;
  }

  type(type: AvroType, namespace: string): unknown {
    if (isNamed(type)) return this.#named(type, namespace);
    if (type.kind === "union") return type.branches.map((branch) => this.type(branch, namespace));
    const properties = this.#properties(type.properties);
    if (type.kind === "array") return { type: "array", items: this.type(type.items, namespace), ...properties };
    if (type.kind === "map") return { type: "map", values: this.type(type.values, namespace), ...properties };
    return Object.keys(properties).length === 0 ? type.kind : { type: type.kind, ...properties };
  }

  #named(type: AvroNamed, namespace: string): unknown {
    const name = fullName(type);
    if (this.#written.has(name)) return type.namespace === namespace && !kinds.has(type.name) ? type.name : name;
    this.#written.add(name);
    const head = {
      type: type.kind === "record" && type.isError ? "error" : type.kind,
      name: type.name,
      ...(type.namespace === namespace ? {} : { namespace: type.namespace }),
      ...(type.doc === undefined ? {} : { doc: type.doc }),
    };
    const tail = { ...this.#properties(type.properties), ...this.#aliases(type) };
    switch (type.kind) {
      case "record":
        return { ...head, fields: type.fields.map((field) => this.#field(field, type.namespace)), ...tail };
      case "enum":
        return {
          ...head,
          symbols: type.symbols,
          ...(type.default === undefined ? {} : { default: type.default }),
          ...tail,
        };
      case "fixed":
        return { ...head, size: type.size, ...tail };
    }
  }

  #field(field: AvroField, namespace: string): unknown {
    return {
      name: field.name,
      type: this.type(field.type, namespace),
      ...(field.doc === undefined ? {} : { doc: field.doc }),
      ...(field.default === undefined ? {} : { default: field.default.value }),
      ...(field.order === "ascending" ? {} : { order: field.order }),
      ...(field.aliases.length === 0 ? {} : { aliases: field.aliases }),
      ...this.#properties(field.properties),
    };
  }

  #aliases(type: AvroNamed): JsonObject {
    if (type.aliases.length === 0) return {};
    const prefix = type.namespace === "" ? "" : `${type.namespace}.`;
    const relative = (alias: string): string => {
      const isNear = prefix !== "" && alias.startsWith(prefix) && !alias.slice(prefix.length).includes(".");
      return isNear ? alias.slice(prefix.length) : alias;
    };
    return { aliases: type.aliases.map(relative) };
  }

  #properties(properties: JsonObject): JsonObject {
    return this.#isNormalized ? (sortedJson(properties) as JsonObject) : properties;
  }
}
