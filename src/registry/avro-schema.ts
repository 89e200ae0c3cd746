/** Avro schemas (specification 1.12) as a graph of types with their names resolved, and the checks that make a text one. */
import { Effort, TooComplex } from "./effort.ts";
import { isJsonObject, type JsonObject, numberOf, parseJson, wholeNumberOf } from "./json-text.ts";

export type AvroType = AvroPrimitive | AvroArray | AvroMap | AvroUnion | AvroNamed;
export type AvroNamed = AvroRecord | AvroEnum | AvroFixed;

export interface AvroPrimitive {
  readonly kind: PrimitiveName;
  /** Logical types and properties of the user, in their order. */
  readonly properties: JsonObject;
}

export interface AvroArray {
  readonly kind: "array";
  readonly items: AvroType;
  readonly properties: JsonObject;
}

export interface AvroMap {
  readonly kind: "map";
  readonly values: AvroType;
  readonly properties: JsonObject;
}

export interface AvroUnion {
  readonly kind: "union";
  readonly branches: readonly AvroType[];
}

interface Named {
  readonly name: string;
  /** Empty: the null namespace. */
  readonly namespace: string;
  readonly doc: string | undefined;
  /** Full names. */
  readonly aliases: readonly string[];
  readonly properties: JsonObject;
}

export interface AvroRecord extends Named {
  readonly kind: "record";
  readonly isError: boolean;
  /** Filled after the record's name is known, since fields may refer to it. */
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
  readonly doc: string | undefined;
  /** Wrapped, since null is a default too. */
  readonly default: { readonly value: unknown } | undefined;
  readonly order: "ascending" | "descending" | "ignore";
  readonly aliases: readonly string[];
  readonly properties: JsonObject;
}

export interface AvroEnum extends Named {
  readonly kind: "enum";
  readonly symbols: readonly string[];
  readonly default: string | undefined;
}

export interface AvroFixed extends Named {
  readonly kind: "fixed";
  readonly size: number;
}

export const primitiveNames = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] as const;
export type PrimitiveName = (typeof primitiveNames)[number];

/** The text is no Avro schema; the message says where and why. */
export class InvalidAvro extends Error {
  override readonly name = "InvalidAvro";
}

/** Far above any real schema: deeper ones would exhaust the stack. */
const depthMax = 200;
/**
 * Types that the defaults of one schema are held against: some for each of their values. Records in unions of each other would
 * have a nested default looked at 2^depth times.
 */
const defaultStepsMax = 4_000_000;

export interface ParsedAvro {
  readonly type: AvroType;
  /** Names defined by the schemas referred to: printed as names, never written out. */
  readonly referenced: ReadonlySet<string>;
}

/**
 * Throws InvalidAvro. `references` are texts of schemas whose names may be used, each after those that it uses itself; of them,
 * and where it is not strict of the text, any name and any default is taken, as older libraries did.
 */
export function parseAvro(
  text: string,
  references: readonly string[],
  options: { readonly isStrict: boolean },
): ParsedAvro {
  const parser = new AvroParser();
  for (const reference of new Set(references)) parser.parse(reference, { isStrict: false });
  const referenced = new Set(parser.names.keys());
  return { type: parser.parse(text, options), referenced };
}

export function fullName(type: AvroNamed): string {
  return type.namespace === "" ? type.name : `${type.namespace}.${type.name}`;
}

class AvroParser {
  readonly names = new Map<string, AvroNamed>();
  readonly #effort = new Effort(defaultStepsMax);
  #isStrict = true;

  parse(text: string, options: { readonly isStrict: boolean }): AvroType {
    this.#isStrict = options.isStrict;
    // A bare name is allowed without quotes by Confluent's serializers: `string` for `"string"`.
    const bare = /^[a-z]+$/.test(text.trim()) ? `"${text.trim()}"` : text;
    const json = parseJson(bare);
    if (json === undefined) throw new InvalidAvro("the schema is no JSON");
    return this.#type(json.value, "", "schema", 0);
  }

  #type(json: unknown, namespace: string, path: string, depth: number): AvroType {
    if (depth > depthMax) throw new InvalidAvro(`${path} is nested deeper than ${depthMax}`);
    if (typeof json === "string") return this.#byName(json, namespace, path);
    if (Array.isArray(json)) return this.#union(json, namespace, path, depth);
    if (!isJsonObject(json)) throw new InvalidAvro(`${path} must be a name, an object or a list of types`);
    const { type } = json;
    if (typeof type !== "string") {
      if (type === undefined) throw new InvalidAvro(`${path} has no "type"`);
      return this.#type(type, namespace, path, depth + 1);
    }
    switch (type) {
      case "record":
      case "error":
        return this.#record(json, namespace, path, depth);
      case "enum":
        return this.#enum(json, namespace, path);
      case "fixed":
        return this.#fixed(json, namespace, path);
      case "array":
        return {
          kind: "array",
          items: this.#type(required(json, "items", path), namespace, `${path}.items`, depth + 1),
          properties: propertiesOf(json),
        };
      case "map":
        return {
          kind: "map",
          values: this.#type(required(json, "values", path), namespace, `${path}.values`, depth + 1),
          properties: propertiesOf(json),
        };
      default: {
        const named = this.#byName(type, namespace, path);
        return isPrimitive(named) ? { kind: named.kind, properties: propertiesOf(json) } : named;
      }
    }
  }

  #byName(name: string, namespace: string, path: string): AvroType {
    const primitive = primitiveNames.find((each) => each === name);
    if (primitive !== undefined) return { kind: primitive, properties: {} };
    const qualified = name.includes(".") || namespace === "" ? name : `${namespace}.${name}`;
    const found = this.names.get(qualified) ?? this.names.get(name);
    if (found === undefined) throw new InvalidAvro(`${path}: Undefined schema: ${qualified}`);
    return found;
  }

  #union(json: readonly unknown[], namespace: string, path: string, depth: number): AvroUnion {
    const branches = json.map((each, index) => this.#type(each, namespace, `${path}[${index}]`, depth + 1));
    const seen = new Set<string>();
    for (const branch of branches) {
      if (branch.kind === "union") throw new InvalidAvro(`${path}: a union cannot hold a union`);
      const key = isNamed(branch) ? fullName(branch) : branch.kind;
      if (seen.has(key)) throw new InvalidAvro(`${path}: "${key}" is twice in the union`);
      seen.add(key);
    }
    return { kind: "union", branches };
  }

  #record(json: JsonObject, namespace: string, path: string, depth: number): AvroRecord {
    const fields: AvroField[] = [];
    const record: AvroRecord = {
      kind: "record",
      isError: json["type"] === "error",
      ...this.#named(json, namespace, path),
      fields,
    };
    this.#define(record, path);
    const list = required(json, "fields", path);
    if (!Array.isArray(list)) throw new InvalidAvro(`${path}.fields must be a list`);
    const seen = new Set<string>();
    for (const [index, each] of list.entries()) {
      const field = this.#field(each, record.namespace, `${path}.fields[${index}]`, depth);
      if (seen.has(field.name)) throw new InvalidAvro(`${path}: field "${field.name}" is there twice`);
      seen.add(field.name);
      fields.push(field);
    }
    return record;
  }

  #field(json: unknown, namespace: string, path: string, depth: number): AvroField {
    if (!isJsonObject(json)) throw new InvalidAvro(`${path} must be an object`);
    const name = this.#simpleName(json["name"], path);
    const type = this.#type(required(json, "type", path), namespace, path, depth + 1);
    const order = json["order"] ?? "ascending";
    if (order !== "ascending" && order !== "descending" && order !== "ignore")
      throw new InvalidAvro(`${path}.order must be ascending, descending or ignore`);
    const hasDefault = Object.hasOwn(json, "default");
    if (this.#isStrict && hasDefault && !this.#fitsDefault(type, json["default"], path))
      throw new InvalidAvro(`${path}: the default of field "${name}" does not fit its type`);
    return {
      name,
      type,
      doc: optionalText(json["doc"], `${path}.doc`),
      default: hasDefault ? { value: json["default"] } : undefined,
      order,
      aliases: textList(json["aliases"], `${path}.aliases`),
      properties: rest(json, ["name", "type", "doc", "default", "order", "aliases"]),
    };
  }

  #fitsDefault(type: AvroType, value: unknown, path: string): boolean {
    try {
      return fitsDefault(type, value, this.#effort);
    } catch (cause) {
      if (cause instanceof TooComplex) throw new InvalidAvro(`${path}: its default fits too many types in part`);
      throw cause;
    }
  }

  #enum(json: JsonObject, namespace: string, path: string): AvroEnum {
    const symbols = textList(required(json, "symbols", path), `${path}.symbols`);
    for (const symbol of symbols) this.#simpleName(symbol, `${path}.symbols`);
    if (new Set(symbols).size !== symbols.length) throw new InvalidAvro(`${path}: a symbol is there twice`);
    const byDefault = optionalText(json["default"], `${path}.default`);
    if (byDefault !== undefined && !symbols.includes(byDefault))
      throw new InvalidAvro(`${path}: the default "${byDefault}" is no symbol`);
    const type: AvroEnum = {
      kind: "enum",
      ...this.#named(json, namespace, path, ["default"]),
      symbols,
      default: byDefault,
    };
    this.#define(type, path);
    return type;
  }

  #fixed(json: JsonObject, namespace: string, path: string): AvroFixed {
    const size = numberOf(json["size"]);
    if (size === undefined || !Number.isSafeInteger(size) || size < 0)
      throw new InvalidAvro(`${path}.size must be a whole number`);
    const type: AvroFixed = { kind: "fixed", ...this.#named(json, namespace, path), size };
    this.#define(type, path);
    return type;
  }

  #define(type: AvroNamed, path: string): void {
    if (primitiveNames.some((each) => each === fullName(type)))
      throw new InvalidAvro(`${path}: "${type.name}" is taken`);
    if (this.names.has(fullName(type))) throw new InvalidAvro(`${path}: "${fullName(type)}" is defined twice`);
    this.names.set(fullName(type), type);
  }

  #named(json: JsonObject, enclosing: string, path: string, own: readonly string[] = []): Named {
    const written = json["name"];
    if (typeof written !== "string") throw new InvalidAvro(`${path} has no "name"`);
    const cut = written.lastIndexOf(".");
    const name = this.#simpleName(written.slice(cut + 1), path);
    const namespace =
      cut >= 0 ? written.slice(0, cut) : (optionalText(json["namespace"], `${path}.namespace`) ?? enclosing);
    if (namespace !== "") for (const part of namespace.split(".")) this.#simpleName(part, `${path}.namespace`);
    return {
      name,
      namespace,
      doc: optionalText(json["doc"], `${path}.doc`),
      aliases: textList(json["aliases"], `${path}.aliases`).map((alias) =>
        alias.includes(".") || namespace === "" ? alias : `${namespace}.${alias}`,
      ),
      properties: propertiesOf(json, own),
    };
  }

  #simpleName(value: unknown, path: string): string {
    if (typeof value === "string" && (!this.#isStrict || /^[A-Za-z_][A-Za-z0-9_]*$/.test(value))) return value;
    throw new InvalidAvro(`${path}: ${JSON.stringify(value) ?? "nothing"} is no name`);
  }
}

export function isNamed(type: AvroType): type is AvroNamed {
  return type.kind === "record" || type.kind === "enum" || type.kind === "fixed";
}

export function isPrimitive(type: AvroType): type is AvroPrimitive {
  return primitiveNames.some((each) => each === type.kind);
}

/** Java accepts a union's default for any branch since Avro 1.12; before, for the first only. The wider rule reads both. */
function fitsDefault(type: AvroType, value: unknown, effort: Effort): boolean {
  effort.spend(1);
  switch (type.kind) {
    case "null":
      return value === null;
    case "boolean":
      return typeof value === "boolean";
    case "int":
      return fitsBits(32, value);
    case "long":
      return fitsBits(64, value);
    case "float":
    case "double":
      return numberOf(value) !== undefined || value === "NaN" || value === "Infinity" || value === "-Infinity";
    case "bytes":
    case "string":
    case "fixed":
      return typeof value === "string";
    case "enum":
      return typeof value === "string" && type.symbols.includes(value);
    case "array":
      return Array.isArray(value) && value.every((each) => fitsDefault(type.items, each, effort));
    case "map":
      return isJsonObject(value) && Object.values(value).every((each) => fitsDefault(type.values, each, effort));
    case "union":
      return type.branches.some((branch) => fitsDefault(branch, value, effort));
    case "record":
      return (
        isJsonObject(value) &&
        type.fields.every((field) =>
          Object.hasOwn(value, field.name)
            ? fitsDefault(field.type, value[field.name], effort)
            : field.default !== undefined,
        )
      );
  }
}

function required(json: JsonObject, key: string, path: string): unknown {
  if (json[key] === undefined) throw new InvalidAvro(`${path} has no "${key}"`);
  return json[key];
}

function fitsBits(bits: number, value: unknown): boolean {
  const whole = wholeNumberOf(value);
  return whole !== undefined && BigInt.asIntN(bits, whole) === whole;
}

/** Words of the specification: where they mean nothing they are no properties of the user, and Java's library drops them. */
const ownWords = ["type", "name", "namespace", "doc", "aliases", "fields", "items", "values", "symbols", "size"];

function propertiesOf(json: JsonObject, own: readonly string[] = []): JsonObject {
  return rest(json, [...ownWords, ...own]);
}

function rest(json: JsonObject, known: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !known.includes(key)));
}

function optionalText(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new InvalidAvro(`${path} must be text`);
  return value;
}

function textList(value: unknown, path: string): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string"))
    throw new InvalidAvro(`${path} must be a list of texts`);
  return value;
}
