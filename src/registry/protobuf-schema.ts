/**
 * A .proto file as a graph of messages and enums with names resolved, read by protobufjs. Extensions are left out: what
 * carries them treats them as unknown fields.
 */
import { createRequire } from "node:module";
import type protobufjs from "protobufjs";
import { type FieldParams, fieldParams } from "./protobuf-field-params.ts";
import { InvalidProtobuf, type ProtobufStatement, statementsOf, withoutCustomOptions } from "./protobuf-text.ts";
import { protobufBuiltIns } from "./protobuf-well-known.ts";

export type ProtobufScalar =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

export type ProtobufType =
  | { readonly kind: "scalar"; readonly scalar: ProtobufScalar }
  | ProtobufEnum
  | ProtobufMessage;

export interface ProtobufEnum {
  readonly kind: "enum";
  /** With its package. */
  readonly name: string;
  /** In the order of the text; the first is the default. */
  readonly values: readonly { readonly name: string; readonly number: number }[];
}

export interface ProtobufMessage {
  readonly kind: "message";
  /** With its package and the messages that it stands in. */
  readonly name: string;
  /** The same without the package. */
  readonly localName: string;
  /** In the order of the text, those of oneofs included. */
  readonly fields: readonly ProtobufField[];
  /** Declared inside, in the order of the text: what message indexes count. The entries of maps are not among them. */
  readonly messages: readonly ProtobufMessage[];
  readonly enums: readonly ProtobufEnum[];
}

export interface ProtobufField {
  readonly name: string;
  readonly number: number;
  /** A map's value. */
  readonly type: ProtobufType;
  readonly label: "singular" | "required" | "repeated" | "map";
  /** Of a map's key; undefined for other labels. */
  readonly key: ProtobufScalar | undefined;
  /** Whether "not set" differs from the default. Always for messages; never for lists and maps. */
  readonly hasPresence: boolean;
  /** The oneof that the text declares; not the one that stands for proto3's `optional`. */
  readonly oneof: string | undefined;
  /** A message between a start and an end instead of behind its length. */
  readonly isGroup: boolean;
  /** What Confluent's `field_meta` says of it. */
  readonly params?: FieldParams;
}

export interface ProtobufFile {
  readonly syntax: "proto2" | "proto3" | "editions";
  readonly package: string;
  readonly imports: readonly string[];
  readonly messages: readonly ProtobufMessage[];
  readonly enums: readonly ProtobufEnum[];
}

export interface ProtobufImport {
  /** As import statements spell it. */
  readonly name: string;
  readonly schema: string;
}

/** Files that one schema may draw in, built-in ones included. */
const filesMax = 500;
const ownFile = "<schema>";

/** Throws InvalidProtobuf. */
export function parseProtobuf(text: string, imports: readonly ProtobufImport[]): ProtobufFile {
  return readOrRefuse(() => new Reader(imports).read(text));
}

function readOrRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof InvalidProtobuf) throw cause;
    // protobufjs throws plain Errors of many kinds for what it does not take.
    if (cause instanceof Error) throw new InvalidProtobuf(cause.message.replaceAll(ownFile, "the schema"), { cause });
    throw cause;
  }
}

/** FileDescriptorProto, knowing the options that the text defines, or a file which it imports. Throws InvalidProtobuf. */
export function descriptorType(text: string, imports: readonly ProtobufImport[]): protobufjs.Type {
  return readOrRefuse(() => new Reader(imports).descriptorType(text));
}

/** The message that a path of indexes names: first among the file's, then among the message's own. */
export function protobufMessageAt(file: ProtobufFile, path: readonly number[]): ProtobufMessage | undefined {
  let messages = file.messages;
  let found: ProtobufMessage | undefined;
  for (const index of path) {
    found = messages[index];
    if (found === undefined) return undefined;
    messages = found.messages;
  }
  return found;
}

const load = createRequire(import.meta.url);

class Reader {
  readonly #library = load("protobufjs") as typeof protobufjs;
  readonly #root = new this.#library.Root();
  readonly #imports: ReadonlyMap<string, string>;
  readonly #read = new Set<string>();
  readonly #messages = new Map<protobufjs.Type, ProtobufMessage>();
  readonly #enums = new Map<protobufjs.Enum, ProtobufEnum>();
  readonly #params = new Map<string, FieldParams>();

  constructor(imports: readonly ProtobufImport[]) {
    this.#imports = new Map(imports.map(({ name, schema }) => [name, schema]));
  }

  read(text: string): ProtobufFile {
    const packageName = this.#parse(ownFile, text);
    this.#root.resolveAll();
    const home = packageName === "" ? this.#root : this.#root.lookup(packageName);
    if (!(home instanceof this.#library.Namespace)) throw new InvalidProtobuf(`${packageName} is not a package`);
    const isOwn = ({ filename }: protobufjs.ReflectionObject): boolean => filename === ownFile;
    const statements = statementsOf(text);
    return {
      syntax: syntaxOf(statements),
      package: packageName,
      imports: importsOf(statements),
      messages: this.#typesOf(home)
        .filter(isOwn)
        .map((type) => this.#message(type)),
      enums: this.#enumsOf(home)
        .filter(isOwn)
        .map((each) => this.#enum(each)),
    };
  }

  descriptorType(text: string): protobufjs.Type {
    this.#parse(ownFile, text);
    if (!this.#read.has(descriptorFile)) this.#addDescriptor();
    this.#root.resolveAll();
    return this.#root.lookupType("google.protobuf.FileDescriptorProto");
  }

  /** Parses a file and all that it imports; returns its package. */
  #parse(name: string, text: string): string {
    this.#read.add(name);
    if (this.#read.size > filesMax) throw new InvalidProtobuf(`it imports more than ${filesMax} files`);
    const statements = statementsOf(text);
    for (const imported of importsOf(statements)) {
      if (this.#read.has(imported)) continue;
      const found = this.#imports.get(imported) ?? protobufBuiltIns.get(imported);
      if (found !== undefined) this.#parse(imported, found);
      else if (imported === descriptorFile) this.#addDescriptor();
      else throw new InvalidProtobuf(`"${imported}" is imported, and is neither a reference nor built in`);
    }
    // What its declarations leave out: where parse notes which file a type comes from.
    (this.#library.parse as { filename?: string }).filename = name;
    const parsed = this.#library.parse(withoutCustomOptions(statements), this.#root, { keepCase: true });
    const packageName = parsed.package ?? "";
    for (const [field, params] of fieldParams(statements, packageName)) this.#params.set(field, params);
    return packageName;
  }

  /** What custom options extend. */
  #addDescriptor(): void {
    this.#read.add(descriptorFile);
    const descriptor = load("protobufjs/google/protobuf/descriptor.json") as protobufjs.INamespace;
    this.#root.addJSON(descriptor.nested ?? {});
  }

  #typesOf(space: protobufjs.NamespaceBase): readonly protobufjs.Type[] {
    return space.nestedArray.filter((each) => each instanceof this.#library.Type);
  }

  #enumsOf(space: protobufjs.NamespaceBase): readonly protobufjs.Enum[] {
    return space.nestedArray.filter((each) => each instanceof this.#library.Enum);
  }

  #message(type: protobufjs.Type): ProtobufMessage {
    const known = this.#messages.get(type);
    if (known !== undefined) return known;
    const fields: ProtobufField[] = [];
    const messages: ProtobufMessage[] = [];
    const enums = this.#enumsOf(type).map((each) => this.#enum(each));
    const named = { name: plainName(type), localName: this.#localName(type) };
    const message: ProtobufMessage = { kind: "message", ...named, fields, messages, enums };
    this.#messages.set(type, message); // Before its fields, which may refer to it.
    for (const each of type.fieldsArray) if (!each.declaringField) fields.push(this.#field(each));
    for (const each of this.#typesOf(type)) messages.push(this.#message(each));
    return message;
  }

  #localName({ name, parent }: protobufjs.Type): string {
    return parent instanceof this.#library.Type ? `${this.#localName(parent)}.${name}` : name;
  }

  #field(field: protobufjs.Field): ProtobufField {
    const { resolvedType, id } = field;
    const isReserved = id >= 19_000 && id <= 19_999;
    if (id < 1 || id > 536_870_911 || isReserved)
      throw new InvalidProtobuf(`${field.fullName.slice(1)} has number ${id}, which no field may have`);
    const isGroup =
      resolvedType instanceof this.#library.Type && (resolvedType as { readonly group?: boolean }).group === true;
    const isMap = field instanceof this.#library.MapField;
    const type = this.#type(field);
    const presence = field.hasPresence !== false && field.hasPresence !== null;
    const params = this.#params.get(plainName(field));
    return {
      name: isGroup ? resolvedType.name.toLowerCase() : field.name,
      number: id,
      type,
      label: isMap ? "map" : field.repeated ? "repeated" : field.required ? "required" : "singular",
      key: isMap ? (field.keyType as ProtobufScalar) : undefined,
      hasPresence: !isMap && !field.repeated && (type.kind === "message" || presence),
      isGroup: isGroup || field.delimited === true,
      oneof: field.partOf === null || field.partOf.isProto3Optional ? undefined : field.partOf.name,
      ...(params === undefined ? {} : { params }),
    };
  }

  #type(field: protobufjs.Field): ProtobufType {
    const { resolvedType } = field;
    if (resolvedType === null) return { kind: "scalar", scalar: field.type as ProtobufScalar };
    if (resolvedType instanceof this.#library.Type) return this.#message(resolvedType);
    return this.#enum(resolvedType);
  }

  #enum(type: protobufjs.Enum): ProtobufEnum {
    const known = this.#enums.get(type);
    if (known !== undefined) return known;
    const values = Object.entries(type.values).map(([name, number]) => ({ name, number }));
    const made: ProtobufEnum = { kind: "enum", name: plainName(type), values };
    this.#enums.set(type, made);
    return made;
  }
}

const descriptorFile = "google/protobuf/descriptor.proto";

function plainName(object: protobufjs.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

function importsOf(statements: readonly ProtobufStatement[]): readonly string[] {
  return statements.flatMap(({ words }) => {
    const path = words[0] === "import" ? words.at(-1) : undefined;
    return path === undefined ? [] : [path.slice(1, -1)];
  });
}

function syntaxOf(statements: readonly ProtobufStatement[]): ProtobufFile["syntax"] {
  const { words } = statements.find(({ words: [first] }) => first === "syntax" || first === "edition") ?? { words: [] };
  if (words[0] === "edition") return "editions";
  return words.at(-1)?.slice(1, -1) === "proto3" ? "proto3" : "proto2";
}
