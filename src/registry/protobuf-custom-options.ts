/**
 * Options between texts and descriptors, those that .proto files define included: in `[(confluent.field_meta) = { tags: ["PII"] }]`
 * clients without a parser of texts look for their tags. A type has a custom option as the field ".confluent.field_meta".
 */
import type protobufjs from "protobufjs";
import { type OptionValue, type ProtobufOption, readOption } from "./protobuf-options.ts";

/** "name = value", of options as a descriptor has them. */
export function optionTexts(
  options: Readonly<Record<string, unknown>> | undefined,
  type: protobufjs.Type,
): readonly string[] {
  return membersOf(type, options ?? {}).flatMap(([key, field, value]) => {
    const isCustom = key.startsWith(".");
    // Of the options that every file knows, what is no single value is for compilers, and mapEntry is written as "map<".
    if (!isCustom && (messageOf(field) !== undefined || key === "mapEntry")) return [];
    const name = isCustom ? `(${key.slice(1)})` : key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return listOf(value).map((each) => `${name} = ${valueText(field, each)}`);
  });
}

/** As descriptors have them; undefined when there are none. Those that the type does not know are left out. */
export function describedOptions(
  options: readonly (readonly string[])[],
  type: protobufjs.Type,
  packageName: string,
): object | undefined {
  const described: Record<string, unknown> = {};
  for (const option of options.map(readOption)) {
    const field = option === undefined ? undefined : fieldNamed(option, type, packageName);
    if (option === undefined || field === undefined) continue;
    const value = describe(field, wrapped(option));
    const before = described[field.name];
    described[field.name] =
      field.repeated && before !== undefined ? [...listOf(before), ...listOf(value)] : merged(before, value);
  }
  return Object.keys(described).length === 0 ? undefined : described;
}

/** By their numbers, whatever the order in which they were read. */
function membersOf(
  type: protobufjs.Type,
  value: Readonly<Record<string, unknown>>,
): readonly (readonly [name: string, field: protobufjs.Field, value: unknown])[] {
  return Object.entries(value)
    .flatMap(([name, each]) => {
      const field = type.fields[name];
      return field === undefined ? [] : [[name, field, each] as const];
    })
    .sort(([, a], [, b]) => a.id - b.id);
}

function messageOf(field: protobufjs.Field): protobufjs.Type | undefined {
  const { resolvedType } = field.resolve();
  return resolvedType !== null && "fields" in resolvedType ? resolvedType : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function valueText(field: protobufjs.Field, value: unknown): string {
  const message = messageOf(field);
  if (message !== undefined) return messageText(message, value as Readonly<Record<string, unknown>>);
  if (field.type === "bytes") return bytesText(Buffer.from(value as string, "base64"));
  return field.type === "string" ? JSON.stringify(value) : String(value);
}

function bytesText(bytes: Uint8Array): string {
  return `"${Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}"`;
}

function messageText(type: protobufjs.Type, value: Readonly<Record<string, unknown>>): string {
  const members = membersOf(type, value).flatMap(([name, field, each]) => {
    if (Array.isArray(each) && each.length === 0) return [];
    if (keyTypeOf(field) !== undefined) return [`${name}: [${entryTexts(field, each as object).join(", ")}]`];
    if (!Array.isArray(each)) return [`${name}: ${valueText(field, each)}`];
    return [`${name}: [${each.map((item) => valueText(field, item)).join(", ")}]`];
  });
  return `{ ${members.join(" ")} }`;
}

/** Of a map; undefined when it is none. */
function keyTypeOf(field: protobufjs.Field): string | undefined {
  return "keyType" in field ? String(field.keyType) : undefined;
}

function entryTexts(field: protobufjs.Field, entries: object): readonly string[] {
  return Object.entries(entries).map(([key, value]) => {
    const keyText = keyTypeOf(field) === "string" ? JSON.stringify(key) : key;
    return `{ key: ${keyText} value: ${valueText(field, value)} }`;
  });
}

/** By its full name, or from the packages around it. */
function fieldNamed(
  { name, isCustom }: ProtobufOption,
  type: protobufjs.Type,
  packageName: string,
): protobufjs.Field | undefined {
  if (!isCustom) return type.fields[name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
  const scopes = packageName.split(".").filter((part) => part !== "");
  const around = scopes.map((_, at) => `.${scopes.slice(0, scopes.length - at).join(".")}`);
  const names = [...around, ""].map((scope) => `${scope}.${name.replace(/^\./, "")}`);
  return names.map((each) => type.fields[each]).find((field) => field !== undefined);
}

/** "(x).a.b = 1" is "(x) = { a: { b: 1 } }". */
function wrapped({ path, value }: ProtobufOption): OptionValue {
  return path.reduceRight<OptionValue>((inner, name) => new Map([[name, inner]]), value);
}

/** Several members of one option may be said one by one. */
function merged(before: unknown, value: unknown): unknown {
  const areMessages = [before, value].every((each) => typeof each === "object" && each !== null);
  return areMessages ? { ...(before as object), ...(value as object) } : value;
}

function describe(field: protobufjs.Field, value: OptionValue): unknown {
  const message = messageOf(field);
  if (keyTypeOf(field) !== undefined) return Object.fromEntries(entriesOf(field, value));
  const one = (each: OptionValue): unknown => {
    if (typeof each === "string") return describeScalar(field, each);
    return each instanceof Map && message !== undefined ? describeMembers(message, each) : undefined;
  };
  if (!field.repeated) return one(value);
  return (listOf(value) as readonly OptionValue[]).map(one);
}

function wordOf(value: OptionValue): string {
  return typeof value === "string" ? unquoted(value) : "";
}

function describeMembers(type: protobufjs.Type, members: ReadonlyMap<string, OptionValue>): object {
  const known = [...members].flatMap(([name, value]) => {
    const field = type.fields[name];
    return field === undefined ? [] : [[name, describe(field, value)] as const];
  });
  return Object.fromEntries(known);
}

function entriesOf(field: protobufjs.Field, value: OptionValue): readonly (readonly [string, unknown])[] {
  return (listOf(value) as readonly OptionValue[]).flatMap((entry) => {
    if (!(entry instanceof Map)) return [];
    const [key = "", each = ""] = [entry.get("key"), entry.get("value")] as readonly (OptionValue | undefined)[];
    const message = messageOf(field);
    if (message !== undefined && each instanceof Map) return [[wordOf(key), describeMembers(message, each)] as const];
    return [[wordOf(key), describeScalar(field, typeof each === "string" ? each : "")] as const];
  });
}

function describeScalar({ type }: protobufjs.Field, word: string): unknown {
  if (type === "bytes") return Buffer.from(unquoted(word), "latin1");
  if (type === "string") return unquoted(word);
  if (type === "bool") return word === "true";
  if (type === "float" || type === "double") return Number(word.replace(/inf$/, "Infinity"));
  // Names of enums, and numbers of 64 bits, which are more than JavaScript's.
  return /^-?\d+$/.test(word) && !type.includes("64") ? Number(word) : word;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\u0007" };

export function unquoted(word: string): string {
  if (!word.startsWith('"')) return word;
  return word
    .slice(1, -1)
    .replaceAll(/\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|([0-7]{1,3})|(.))/g, (_, hex, code, octal, other) => {
      if (typeof octal === "string") return String.fromCharCode(Number.parseInt(octal, 8));
      const digits = (hex ?? code) as string | undefined;
      if (digits !== undefined) return String.fromCharCode(Number.parseInt(digits, 16));
      return escapes[other as string] ?? (other as string);
    });
}
