/**
 * A .proto file as compiled programs carry it: a FileDescriptorProto, in base64. Read into text, which is what is kept;
 * written for those who ask for `format=serialized`, with its options, in which clients look for the tags of fields.
 */
import type protobufjs from "protobufjs";
import { describedOptions, optionTexts, unquoted } from "./protobuf-custom-options.ts";
import { inlineOptions, readOption } from "./protobuf-options.ts";
import {
  descriptorType,
  type ProtobufEnum,
  type ProtobufField,
  type ProtobufFile,
  type ProtobufImport,
  type ProtobufMessage,
  type ProtobufScalar,
} from "./protobuf-schema.ts";
import { InvalidProtobuf, type ProtobufStatement, statementsOf } from "./protobuf-text.ts";

/** undefined when it is no base64, and so no descriptor. Throws InvalidProtobuf. */
export function protobufTextOf(base64: string, imports: readonly ProtobufImport[]): string | undefined {
  const packed = base64.replaceAll(/\s/g, "");
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return undefined;
  const bytes = Buffer.from(packed, "base64");
  const { dependency } = decoded(bytes, descriptorType("", []));
  const type = descriptorType(dependency.map((path) => `import "${path}";`).join(""), imports);
  return new Printer(type.root).file(decoded(bytes, type));
}

function decoded(bytes: Uint8Array, type: protobufjs.Type): FileDescriptor {
  try {
    const options = { enums: String, longs: String, bytes: String, arrays: true };
    return type.toObject(type.decode(bytes), options) as FileDescriptor;
  } catch (cause) {
    throw new InvalidProtobuf("it is neither a .proto file nor the descriptor of one", { cause });
  }
}

/** The descriptor of the text in base64. */
export function serializedProtobuf(
  file: ProtobufFile,
  text: { readonly name: string; readonly text: string; readonly imports: readonly ProtobufImport[] },
): string {
  const type = descriptorType(text.text, text.imports);
  const descriptor = new Describer(file, type.root).file(text.name, statementsOf(text.text));
  return Buffer.from(type.encode(type.fromObject(descriptor)).finish()).toString("base64");
}

interface FileDescriptor {
  readonly package?: string;
  readonly syntax?: string;
  readonly edition?: string;
  readonly dependency: readonly string[];
  readonly publicDependency: readonly number[];
  readonly messageType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly options?: Options;
}

type Options = Readonly<Record<string, unknown>>;

interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly nestedType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly extensionRange: readonly { readonly start: number; readonly end: number }[];
  readonly oneofDecl: readonly { readonly name: string; readonly options?: Options }[];
  readonly reservedRange: readonly { readonly start: number; readonly end: number }[];
  readonly reservedName: readonly string[];
  readonly options?: Options;
}

interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label?: string;
  readonly type: string;
  readonly typeName?: string;
  readonly defaultValue?: string;
  readonly oneofIndex?: number;
  readonly proto3Optional?: boolean;
  readonly options?: Options;
}

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number?: number; readonly options?: Options }[];
  readonly options?: Options;
}

/** The type of the options of what a descriptor describes. */
function optionsType(root: protobufjs.Root, of: "File" | "Message" | "Field" | "Oneof" | "Enum" | "EnumValue") {
  return root.lookupType(`google.protobuf.${of}Options`);
}

/** A descriptor as text. */
class Printer {
  readonly #root: protobufjs.Root;
  #isProto3 = true;

  constructor(root: protobufjs.Root) {
    this.#root = root;
  }

  file(file: FileDescriptor): string {
    if (file.edition !== undefined && file.syntax === "editions")
      throw new InvalidProtobuf("descriptors of editions are not read: register the text");
    this.#isProto3 = file.syntax === "proto3";
    return [
      `syntax = "${this.#isProto3 ? "proto3" : "proto2"}";`,
      file.package ? `package ${file.package};` : "",
      ...file.dependency.map((path, at) => `import ${file.publicDependency.includes(at) ? "public " : ""}"${path}";`),
      ...this.#statements("File", file.options),
      ...file.enumType.map((each) => this.#enum(each)),
      ...file.messageType.map((message) => this.#message(message)),
    ].join("\n");
  }

  #statements(of: Parameters<typeof optionsType>[1], options: Options | undefined): readonly string[] {
    return optionTexts(options, optionsType(this.#root, of)).map((text) => `option ${text};`);
  }

  #inline(of: Parameters<typeof optionsType>[1], options: Options | undefined, more: readonly string[] = []): string {
    const all = [...more, ...optionTexts(options, optionsType(this.#root, of))];
    return all.length === 0 ? "" : ` [${all.join(", ")}]`;
  }

  #enum({ name, value, options }: EnumDescriptor): string {
    const values = value.map((each) => `${each.name} = ${each.number ?? 0}${this.#inline("EnumValue", each.options)};`);
    return `enum ${name} { ${[...this.#statements("Enum", options), ...values].join(" ")} }`;
  }

  #message(message: MessageDescriptor): string {
    return `message ${message.name} { ${this.#body(message)} }`;
  }

  #body(message: MessageDescriptor): string {
    const entries = new Map(message.nestedType.map((nested) => [nested.name, nested]));
    const groups = new Set(message.field.filter(({ type }) => type === "TYPE_GROUP").map(({ typeName }) => typeName));
    const print = (field: FieldDescriptor): string => this.#field(field, entries);
    const inOneof = (field: FieldDescriptor): boolean =>
      field.oneofIndex !== undefined && field.proto3Optional !== true;
    const oneofs = message.oneofDecl.flatMap(({ name, options }, at) => {
      const members = message.field.filter((field) => inOneof(field) && field.oneofIndex === at);
      const statements = [...this.#statements("Oneof", options), ...members.map(print)];
      return members.length === 0 ? [] : [`oneof ${name} { ${statements.join(" ")} }`];
    });
    const isGroup = ({ name }: MessageDescriptor): boolean =>
      [...groups].some((typeName) => typeName?.endsWith(`.${name}`) === true);
    return [
      ...this.#statements("Message", message.options),
      ...message.reservedRange.map(({ start, end }) => `reserved ${start} to ${end - 1};`),
      ...message.reservedName.map((name) => `reserved "${name}";`),
      ...message.extensionRange.map(({ start, end }) => `extensions ${start} to ${end - 1};`),
      ...message.enumType.map((each) => this.#enum(each)),
      ...message.nestedType
        .filter((nested) => nested.options?.["mapEntry"] !== true && !isGroup(nested))
        .map((nested) => this.#message(nested)),
      ...message.field.filter((field) => !inOneof(field)).map(print),
      ...oneofs,
    ].join(" ");
  }

  #field(field: FieldDescriptor, nested: ReadonlyMap<string, MessageDescriptor>): string {
    const own = nested.get(field.typeName?.slice(field.typeName.lastIndexOf(".") + 1) ?? "");
    const isRepeated = field.label === "LABEL_REPEATED";
    const end = `${field.name} = ${field.number}${this.#fieldOptions(field)};`;
    if (own?.options?.["mapEntry"] === true && isRepeated) {
      const [key, value] = [1, 2].map((number) => own.field.find((each) => each.number === number));
      if (key === undefined || value === undefined) throw new InvalidProtobuf(`map ${field.name} has no key or value`);
      return `map<${typeText(key)}, ${typeText(value)}> ${end}`;
    }
    const isPlain =
      (this.#isProto3 && field.proto3Optional !== true) || (field.oneofIndex !== undefined && !field.proto3Optional);
    const required = field.label === "LABEL_REQUIRED" ? "required " : "optional ";
    const label = isRepeated ? "repeated " : isPlain ? "" : required;
    if (field.type === "TYPE_GROUP" && own !== undefined)
      return `${label}group ${own.name} = ${field.number} { ${this.#body(own)} }`;
    return `${label}${typeText(field)} ${end}`;
  }

  #fieldOptions({ defaultValue, type, options }: FieldDescriptor): string {
    const bytes = type === "TYPE_BYTES" ? `"${defaultValue}"` : defaultValue; // Those of bytes have their escapes.
    const value = type === "TYPE_STRING" ? JSON.stringify(defaultValue) : bytes;
    return this.#inline("Field", options, defaultValue === undefined ? [] : [`default = ${value}`]);
  }
}

function typeText({ type, typeName }: FieldDescriptor): string {
  return typeName ?? type.replace(/^TYPE_/, "").toLowerCase();
}

type Body = readonly ProtobufStatement[];

/** A file as a descriptor. Its types are as they were read, and its options as the statements say them. */
class Describer {
  readonly #file: ProtobufFile;
  readonly #root: protobufjs.Root;

  constructor(file: ProtobufFile, root: protobufjs.Root) {
    this.#file = file;
    this.#root = root;
  }

  file(name: string, body: Body): object {
    const { package: packageName, imports, messages, enums, syntax } = this.#file;
    return {
      name,
      ...(packageName === "" ? {} : { package: packageName }),
      dependency: imports,
      publicDependency: publicImports(body),
      messageType: messages.map((message) => this.#message(message, bodyOf(body, message))),
      enumType: enums.map((each) => this.#enum(each, bodyOf(body, each))),
      ...this.#options("File", statedOptions(body)),
      ...(syntax === "proto3" ? { syntax: "proto3" } : {}),
    };
  }

  #options(of: Parameters<typeof optionsType>[1], options: readonly (readonly string[])[]): { options?: object } {
    const described = describedOptions(options, optionsType(this.#root, of), this.#file.package);
    return described === undefined ? {} : { options: described };
  }

  #message(message: ProtobufMessage, body: Body): object {
    const isProto3 = this.#file.syntax === "proto3";
    const declared = [...new Set(message.fields.flatMap(({ oneof }) => oneof ?? []))];
    const isOptional = (field: ProtobufField): boolean =>
      isProto3 && field.hasPresence && field.oneof === undefined && field.type.kind !== "message";
    const synthetic = message.fields.filter(isOptional).map(({ name }) => `_${name}`);
    const oneofs = [...declared, ...synthetic];
    const field = message.fields.map((each) => {
      const oneof = isOptional(each) ? `_${each.name}` : each.oneof;
      return {
        ...describeField(each, message),
        ...(oneof === undefined ? {} : { oneofIndex: oneofs.indexOf(oneof) }),
        ...(isOptional(each) ? { proto3Optional: true } : {}),
        ...describeDefault(each, fieldOptionsIn(body, each.number)),
        ...this.#options("Field", fieldOptionsIn(body, each.number)),
      };
    });
    const entries = message.fields.flatMap((each) => (each.label === "map" ? [describeEntry(each)] : []));
    return {
      name: lastName(message),
      field,
      nestedType: [...message.messages.map((nested) => this.#message(nested, bodyOf(body, nested))), ...entries],
      enumType: message.enums.map((each) => this.#enum(each, bodyOf(body, each))),
      oneofDecl: oneofs.map((name) => ({ name, ...this.#options("Oneof", statedOptions(oneofIn(body, name))) })),
      ...this.#options("Message", statedOptions(body)),
    };
  }

  #enum(each: ProtobufEnum, body: Body): object {
    const value = each.values.map(({ name, number }) => {
      const statement = body.find(({ words }) => words[0] === name && words[1] === "=");
      return { name, number, ...this.#options("EnumValue", inlineOptions(statement?.words ?? [])) };
    });
    return { name: lastName(each), value, ...this.#options("Enum", statedOptions(body)) };
  }
}

/** Indexes among the imports. */
function publicImports(body: Body): readonly number[] {
  const imports = body.filter(({ words }) => words[0] === "import");
  return imports.flatMap(({ words }, at) => (words[1] === "public" ? [at] : []));
}

/** Of a message, an enum or a group of that name. */
function bodyOf(body: Body, { name }: { readonly name: string }): Body {
  const last = lastName({ name });
  const isIt = ({ words }: ProtobufStatement): boolean =>
    words.includes("group") ? words.includes(last) : ["message", "enum"].includes(words[0] ?? "") && words[1] === last;
  return body.find((each) => each.body !== undefined && isIt(each))?.body ?? [];
}

function oneofIn(body: Body, name: string): Body {
  return body.find(({ words }) => words[0] === "oneof" && words[1] === name)?.body ?? [];
}

function statedOptions(body: Body): readonly (readonly string[])[] {
  return body.filter(({ words }) => words[0] === "option").map(({ words }) => words.slice(1));
}

function fieldOptionsIn(body: Body, number: number): readonly (readonly string[])[] {
  const fields = body.flatMap((each) => (each.words[0] === "oneof" ? (each.body ?? []) : [each]));
  const isIt = ({ words }: ProtobufStatement): boolean =>
    words[0] !== "option" && words.includes("=") && Number(words[words.indexOf("=") + 1]) === number;
  return inlineOptions(fields.find(isIt)?.words ?? []);
}

function describeField(field: ProtobufField, parent: ProtobufMessage): object {
  const { name, number, label } = field;
  if (label === "map")
    return {
      name,
      number,
      label: "LABEL_REPEATED",
      type: "TYPE_MESSAGE",
      typeName: `.${parent.name}.${entryName(name)}`,
    };
  const labels = { singular: "LABEL_OPTIONAL", required: "LABEL_REQUIRED", repeated: "LABEL_REPEATED" };
  return { name, number, label: labels[label], ...describeType(field) };
}

/** What stands in its brackets and is no option. A default is told as text, bytes with their escapes. */
function describeDefault({ type }: ProtobufField, inBrackets: readonly (readonly string[])[]): object {
  const stated = inBrackets.find(([name, equals]) => name === "default" && equals === "=");
  const value = stated === undefined ? undefined : readOption(stated)?.value;
  if (typeof value !== "string") return {};
  if (!value.startsWith('"')) return { defaultValue: /^-?0x/i.test(value) ? decimal(value) : value };
  const text = unquoted(value);
  return { defaultValue: type.kind === "scalar" && type.scalar === "bytes" ? escaped(text) : text };
}

function decimal(hex: string): string {
  return hex.startsWith("-") ? `-${BigInt(hex.slice(1))}` : String(BigInt(hex));
}

function escaped(bytes: string): string {
  return bytes.replaceAll(/[^ !#-&(-[\]-~]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

function describeType({ type, isGroup }: ProtobufField): object {
  if (type.kind === "scalar") return { type: scalarType(type.scalar) };
  const spelled = type.kind === "enum" ? "TYPE_ENUM" : isGroup ? "TYPE_GROUP" : "TYPE_MESSAGE";
  return { type: spelled, typeName: `.${type.name}` };
}

function scalarType(scalar: ProtobufScalar): string {
  return `TYPE_${scalar.toUpperCase()}`;
}

function describeEntry(field: ProtobufField): object {
  const label = "LABEL_OPTIONAL";
  return {
    name: entryName(field.name),
    field: [
      { name: "key", number: 1, label, type: scalarType(field.key ?? "string") },
      { name: "value", number: 2, label, ...describeType(field) },
    ],
    options: { mapEntry: true },
  };
}

/** protoc's name for it: the field's, in camel case. */
function entryName(name: string): string {
  const camel = name.replaceAll(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`;
}

function lastName({ name }: { readonly name: string }): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
