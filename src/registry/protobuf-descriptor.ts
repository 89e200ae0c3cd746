/**
 * A .proto file as compiled programs carry it: a FileDescriptorProto, in base64. Read into text, which is what is kept;
 * written for those who ask for `format=serialized`. Options of one's own making are not in it.
 */
import { createRequire } from "node:module";
import type protobufjs from "protobufjs";
import type { ProtobufEnum, ProtobufField, ProtobufFile, ProtobufMessage, ProtobufScalar } from "./protobuf-schema.ts";
import { InvalidProtobuf } from "./protobuf-text.ts";

/** undefined when it is no base64, and so no descriptor. Throws InvalidProtobuf. */
export function protobufTextOf(base64: string): string | undefined {
  const packed = base64.replaceAll(/\s/g, "");
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return undefined;
  const type = fileDescriptorType();
  let file: FileDescriptor;
  try {
    const options = { enums: String, longs: String, bytes: String, arrays: true };
    file = type.toObject(type.decode(Buffer.from(packed, "base64")), options) as FileDescriptor;
  } catch (cause) {
    throw new InvalidProtobuf("it is neither a .proto file nor the descriptor of one", { cause });
  }
  return printFile(file);
}

/** The descriptor in base64. */
export function serializedProtobuf(file: ProtobufFile, name: string): string {
  const type = fileDescriptorType();
  const isProto3 = file.syntax === "proto3";
  const descriptor = {
    name,
    ...(file.package === "" ? {} : { package: file.package }),
    dependency: file.imports,
    messageType: file.messages.map((message) => describeMessage(message, isProto3)),
    enumType: file.enums.map(describeEnum),
    ...(isProto3 ? { syntax: "proto3" } : {}),
  };
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
  readonly options?: Readonly<Record<string, unknown>>;
}

interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly nestedType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly extensionRange: readonly { readonly start: number; readonly end: number }[];
  readonly oneofDecl: readonly { readonly name: string }[];
  readonly reservedRange: readonly { readonly start: number; readonly end: number }[];
  readonly reservedName: readonly string[];
  readonly options?: { readonly mapEntry?: boolean };
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
  readonly options?: { readonly packed?: boolean; readonly deprecated?: boolean };
}

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number?: number }[];
  readonly options?: { readonly allowAlias?: boolean };
}

const load = createRequire(import.meta.url);
let known: protobufjs.Type | undefined;

function fileDescriptorType(): protobufjs.Type {
  const { Root } = load("protobufjs") as typeof protobufjs;
  known ??= Root.fromJSON(load("protobufjs/google/protobuf/descriptor.json") as protobufjs.INamespace).lookupType(
    "google.protobuf.FileDescriptorProto",
  );
  return known;
}

function printFile(file: FileDescriptor): string {
  if (file.edition !== undefined && file.syntax === "editions")
    throw new InvalidProtobuf("descriptors of editions are not read: register the text");
  const isProto3 = file.syntax === "proto3";
  const options = Object.entries(file.options ?? {}).flatMap(([name, value]) => {
    if (typeof value === "string") {
      const text = name === "optimizeFor" ? value : JSON.stringify(value);
      return [`option ${snakeCase(name)} = ${text};`];
    }
    return typeof value === "boolean" ? [`option ${snakeCase(name)} = ${value};`] : [];
  });
  return [
    `syntax = "${isProto3 ? "proto3" : "proto2"}";`,
    file.package ? `package ${file.package};` : "",
    ...file.dependency.map((path, at) => `import ${file.publicDependency.includes(at) ? "public " : ""}"${path}";`),
    ...options,
    ...file.enumType.map(printEnum),
    ...file.messageType.map((message) => printMessage(message, isProto3)),
  ].join("\n");
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function printEnum({ name, value, options }: EnumDescriptor): string {
  const values = value.map((each) => `${each.name} = ${each.number ?? 0};`);
  return `enum ${name} { ${options?.allowAlias ? "option allow_alias = true; " : ""}${values.join(" ")} }`;
}

function printMessage(message: MessageDescriptor, isProto3: boolean): string {
  return `message ${message.name} { ${printBody(message, isProto3)} }`;
}

function printBody(message: MessageDescriptor, isProto3: boolean): string {
  const entries = new Map(message.nestedType.map((nested) => [nested.name, nested]));
  const groups = new Set(message.field.filter(({ type }) => type === "TYPE_GROUP").map(({ typeName }) => typeName));
  const print = (field: FieldDescriptor): string => printField(field, entries, isProto3);
  const inOneof = (field: FieldDescriptor): boolean => field.oneofIndex !== undefined && field.proto3Optional !== true;
  const oneofs = message.oneofDecl.flatMap(({ name }, at) => {
    const members = message.field.filter((field) => inOneof(field) && field.oneofIndex === at);
    return members.length === 0 ? [] : [`oneof ${name} { ${members.map(print).join(" ")} }`];
  });
  const isGroup = ({ name }: MessageDescriptor): boolean =>
    [...groups].some((typeName) => typeName?.endsWith(`.${name}`) === true);
  return [
    ...message.reservedRange.map(({ start, end }) => `reserved ${start} to ${end - 1};`),
    ...message.reservedName.map((name) => `reserved "${name}";`),
    ...message.extensionRange.map(({ start, end }) => `extensions ${start} to ${end - 1};`),
    ...message.enumType.map(printEnum),
    ...message.nestedType
      .filter((nested) => nested.options?.mapEntry !== true && !isGroup(nested))
      .map((nested) => printMessage(nested, isProto3)),
    ...message.field.filter((field) => !inOneof(field)).map(print),
    ...oneofs,
  ].join(" ");
}

function printField(field: FieldDescriptor, nested: ReadonlyMap<string, MessageDescriptor>, isProto3: boolean): string {
  const own = nested.get(field.typeName?.slice(field.typeName.lastIndexOf(".") + 1) ?? "");
  const isRepeated = field.label === "LABEL_REPEATED";
  if (own?.options?.mapEntry === true && isRepeated) {
    const [key, value] = [1, 2].map((number) => own.field.find((each) => each.number === number));
    if (key === undefined || value === undefined) throw new InvalidProtobuf(`map ${field.name} has no key or value`);
    return `map<${typeText(key)}, ${typeText(value)}> ${field.name} = ${field.number};`;
  }
  const isPlain =
    (isProto3 && field.proto3Optional !== true) || (field.oneofIndex !== undefined && !field.proto3Optional);
  const required = field.label === "LABEL_REQUIRED" ? "required " : "optional ";
  const label = isRepeated ? "repeated " : isPlain ? "" : required;
  if (field.type === "TYPE_GROUP" && own !== undefined)
    return `${label}group ${own.name} = ${field.number} { ${printBody(own, isProto3)} }`;
  return `${label}${typeText(field)} ${field.name} = ${field.number}${fieldOptions(field)};`;
}

function fieldOptions({ defaultValue, type, options }: FieldDescriptor): string {
  const isText = type === "TYPE_STRING" || type === "TYPE_BYTES";
  const all = [
    defaultValue === undefined ? [] : `default = ${isText ? JSON.stringify(defaultValue) : defaultValue}`,
    options?.packed === undefined ? [] : `packed = ${options.packed}`,
    options?.deprecated === true ? "deprecated = true" : [],
  ].flat();
  return all.length === 0 ? "" : ` [${all.join(", ")}]`;
}

function typeText({ type, typeName }: FieldDescriptor): string {
  return typeName ?? type.replace(/^TYPE_/, "").toLowerCase();
}

function describeMessage(message: ProtobufMessage, isProto3: boolean): object {
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
    };
  });
  const entries = message.fields.flatMap((each) => (each.label === "map" ? [describeEntry(each)] : []));
  return {
    name: lastName(message),
    field,
    nestedType: [...message.messages.map((nested) => describeMessage(nested, isProto3)), ...entries],
    enumType: message.enums.map(describeEnum),
    oneofDecl: oneofs.map((name) => ({ name })),
  };
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

function describeEnum(each: ProtobufEnum): object {
  const isAliased = new Set(each.values.map(({ number }) => number)).size < each.values.length;
  return { name: lastName(each), value: each.values, ...(isAliased ? { options: { allowAlias: true } } : {}) };
}

function lastName({ name }: { readonly name: string }): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
