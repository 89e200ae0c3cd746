/**
 * Avro's schema JSON as a graph of types with names resolved, so that a recursive record points at itself. A logical type
 * that does not fit what it annotates is ignored, as the Avro specification says.
 */
import { CorruptData } from "../../base/errors.ts";

export type AvroType =
  | { readonly kind: "null" }
  | { readonly kind: "boolean" | "float" | "double" }
  | { readonly kind: "int" | "long" | "bytes" | "string"; readonly logical: AvroLogical | undefined }
  | {
      readonly kind: "fixed";
      readonly name: string;
      readonly size: number;
      readonly logical: AvroLogical | undefined;
    }
  | { readonly kind: "enum"; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: "array"; readonly items: AvroType }
  | { readonly kind: "map"; readonly values: AvroType }
  | { readonly kind: "union"; readonly branches: readonly AvroType[] }
  | AvroRecord;

/** A type that holds no other. */
export type AvroScalar = Exclude<AvroType, { readonly kind: "null" | "record" | "array" | "map" | "union" }>;

export interface AvroRecord {
  readonly kind: "record";
  readonly name: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  /** Names that the field had in earlier schemas. */
  readonly aliases?: readonly string[];
  readonly type: AvroType;
}

export type AvroLogical =
  | {
      readonly name: "decimal";
      readonly precision: number;
      readonly scale: number;
      /** Kafka Connect's converter was told of none, and wrote one that stands for that. */
      readonly isPrecisionUnknown?: true;
    }
  | {
      readonly name:
        | "uuid"
        | "date"
        | "time-millis"
        | "time-micros"
        | "timestamp-millis"
        | "timestamp-micros"
        | "timestamp-nanos"
        | "local-timestamp-millis"
        | "local-timestamp-micros"
        | "local-timestamp-nanos"
        | "duration";
    };

/** Nested types of a schema text; a schema of a hostile registry must not end our stack. */
const depthMax = 200;

/** Throws CorruptData when the text is no Avro schema. `references` define names, each after those that it uses itself. */
export function parseAvroSchema(text: string, references: readonly { readonly schema: string }[] = []): AvroType {
  const parser = new Parser();
  for (const { schema } of references) parser.type(jsonOf(schema), "", 0);
  return parser.type(jsonOf(text), "", 0);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrong("JSON", text.slice(0, 40));
  }
}

function wrong(expected: string, found: unknown): CorruptData {
  return new CorruptData({
    source: "Avro schema",
    position: 0,
    expected,
    found: typeof found === "string" ? found : (JSON.stringify(found) ?? "nothing").slice(0, 80),
  });
}

const primitives = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] as const;
type Primitive = (typeof primitives)[number];

type Json = { readonly [key: string]: unknown };

class Parser {
  readonly #named = new Map<string, AvroType>();

  type(json: unknown, namespace: string, depth: number): AvroType {
    if (depth > depthMax) throw wrong(`at most ${depthMax} nested types`, "more");
    if (typeof json === "string") return this.#named.get(fullName(json, namespace)) ?? this.#byName(json);
    if (Array.isArray(json)) return this.#union(json, namespace, depth);
    if (typeof json !== "object" || json === null) throw wrong("a type", json);
    return this.#complex(json as Json, namespace, depth);
  }

  #byName(name: string): AvroType {
    const named = this.#named.get(name);
    if (named !== undefined) return named;
    if (!isPrimitiveName(name)) throw wrong("a known type name", name);
    return primitive(name, undefined);
  }

  #union(json: readonly unknown[], namespace: string, depth: number): AvroType {
    if (json.length === 0) throw wrong("a branch of the union", json);
    const branches = json.map((branch) => this.type(branch, namespace, depth + 1));
    if (branches.some((branch) => branch.kind === "union")) throw wrong("no union inside a union", json);
    return { kind: "union", branches };
  }

  #complex(json: Json, namespace: string, depth: number): AvroType {
    const type = json["type"];
    switch (type) {
      case "record":
      case "error":
        return this.#record(json, namespace, depth);
      case "enum":
        return this.#enum(json, namespace);
      case "fixed":
        return this.#fixed(json, namespace);
      case "array":
        return { kind: "array", items: this.type(json["items"], namespace, depth + 1) };
      case "map":
        return { kind: "map", values: this.type(json["values"], namespace, depth + 1) };
      default:
        if (typeof type === "string" && isPrimitiveName(type)) return primitive(type, logicalOf(json));
        return this.type(type, namespace, depth + 1); // {"type": {"type": ..}} and {"type": "some.Name"}.
    }
  }

  #record(json: Json, namespace: string, depth: number): AvroType {
    const name = nameOf(json, namespace);
    const fields: AvroField[] = [];
    const record: AvroRecord = { kind: "record", name, fields };
    this.#define(name, record); // Before its fields, which may refer to it.
    if (!Array.isArray(json["fields"])) throw wrong("fields of a record", json);
    const seen = new Set<string>();
    for (const field of json["fields"] as readonly unknown[]) {
      if (typeof field !== "object" || field === null) throw wrong("a field", field);
      const fieldName = (field as Json)["name"];
      if (typeof fieldName !== "string") throw wrong("a field's name", field);
      if (seen.has(fieldName)) throw wrong("fields of different names", fieldName);
      seen.add(fieldName);
      const aliases = aliasesOf(field as Json);
      const type = this.type((field as Json)["type"], namespaceOf(name), depth + 1);
      fields.push(aliases.length === 0 ? { name: fieldName, type } : { name: fieldName, aliases, type });
    }
    return record;
  }

  #enum(json: Json, namespace: string): AvroType {
    const symbols = json["symbols"];
    if (!Array.isArray(symbols) || !symbols.every((symbol) => typeof symbol === "string")) {
      throw wrong("symbols of an enum", json);
    }
    const name = nameOf(json, namespace);
    const type: AvroType = { kind: "enum", name, symbols };
    this.#define(name, type);
    return type;
  }

  #fixed(json: Json, namespace: string): AvroType {
    const size = json["size"];
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0) throw wrong("a size of a fixed", json);
    const name = nameOf(json, namespace);
    const logical = logicalOf(json);
    const fits =
      (logical?.name === "decimal" && size > 0) ||
      (logical?.name === "duration" && size === 12) ||
      (logical?.name === "uuid" && size === 16);
    const type: AvroType = { kind: "fixed", name, size, logical: fits ? logical : undefined };
    this.#define(name, type);
    return type;
  }

  #define(name: string, type: AvroType): void {
    if (this.#named.has(name)) throw wrong("one definition a name", name);
    this.#named.set(name, type);
  }
}

/** What is no list of names is ignored, as the other attributes are that change no bytes. */
function aliasesOf(json: Json): readonly string[] {
  const aliases = json["aliases"];
  return Array.isArray(aliases) ? aliases.filter((alias) => typeof alias === "string") : [];
}

function isPrimitiveName(name: string): name is Primitive {
  return (primitives as readonly string[]).includes(name);
}

function nameOf(json: Json, namespace: string): string {
  const name = json["name"];
  if (typeof name !== "string" || name === "") throw wrong("a name", json);
  const own = json["namespace"];
  return fullName(name, typeof own === "string" ? own : namespace);
}

function fullName(name: string, namespace: string): string {
  return name.includes(".") || namespace === "" ? name : `${namespace}.${name}`;
}

function namespaceOf(name: string): string {
  return name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "";
}

/** Which logical types a primitive can carry. */
const logicalsOf: Readonly<Record<string, readonly AvroLogical["name"][]>> = {
  int: ["date", "time-millis"],
  long: [
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "timestamp-nanos",
    "local-timestamp-millis",
    "local-timestamp-micros",
    "local-timestamp-nanos",
  ],
  bytes: ["decimal"],
  string: ["uuid"],
};

function primitive(name: Primitive, logical: AvroLogical | undefined): AvroType {
  switch (name) {
    case "int":
    case "long":
    case "bytes":
    case "string": {
      const fits = logical !== undefined && (logicalsOf[name] ?? []).includes(logical.name);
      return { kind: name, logical: fits ? logical : undefined };
    }
    case "boolean":
    case "double":
    case "float":
    case "null":
    default:
      return { kind: name };
  }
}

/** A decimal with more digits is left as the bytes that it is: nothing could compute with it. */
const precisionMax = 1000;

function logicalOf(json: Json): AvroLogical | undefined {
  const name = json["logicalType"];
  if (name === "decimal") {
    const precision = json["precision"];
    const scale = json["scale"] ?? 0;
    if (typeof precision !== "number" || typeof scale !== "number") return undefined;
    const isValid = Number.isInteger(precision) && Number.isInteger(scale) && scale >= 0 && scale <= precision;
    if (!isValid || precision <= 0 || precision > precisionMax) return undefined;
    return isPrecisionUnknown(json) ? { name, precision, scale, isPrecisionUnknown: true } : { name, precision, scale };
  }
  if (name === "uuid" || name === "duration") return { name };
  const known = [...(logicalsOf["int"] ?? []), ...(logicalsOf["long"] ?? [])];
  const found = known.find((logical) => logical === name);
  return found === undefined || found === "decimal" ? undefined : { name: found };
}

/** Confluent's AvroData: 64, unless the parameters say another. */
function isPrecisionUnknown(json: Json): boolean {
  const { "connect.name": name, "connect.parameters": parameters, precision } = json;
  const isSaid = typeof parameters === "object" && parameters !== null && "connect.decimal.precision" in parameters;
  return name === "org.apache.kafka.connect.data.Decimal" && precision === 64 && !isSaid;
}

/** No value of the type says anything: what gets no column, and asks nothing of one that another schema has made. */
export function saysNothing(type: AvroType, above: readonly AvroType[] = []): boolean {
  if (above.includes(type)) return false; // It is in itself for as long as its values say so.
  const inside = (each: AvroType): boolean => saysNothing(each, [...above, type]);
  switch (type.kind) {
    case "null":
      return true;
    case "fixed":
      return "size" in type && type.size === 0;
    case "record":
      return type.fields.every((field) => inside(field.type));
    case "array":
      return inside(type.items);
    case "map":
      return inside(type.values);
    case "union":
      return type.branches.every(inside);
    case "boolean":
    case "bytes":
    case "double":
    case "enum":
    case "float":
    case "int":
    case "long":
    case "string":
    default:
      return false;
  }
}

/** Names of a union's branches other than null, for the struct that holds them: the type's own name, unless two share it. */
export function unionBranchNames(branches: readonly AvroType[]): readonly (string | undefined)[] {
  const short = branches.map((branch) => {
    if (branch.kind === "null") return undefined;
    return "name" in branch ? branch.name.slice(branch.name.lastIndexOf(".") + 1) : branch.kind;
  });
  return branches.map((branch, at) => {
    const isShared = short.filter((name) => name === short[at]).length > 1;
    return isShared && "name" in branch ? branch.name.replaceAll(".", "_") : short[at];
  });
}
