/**
 * Turns a declaration into the source of a reader and of a writer. The source holds nothing but field names, versions and
 * literals from declarations of our own; bytes from outside never become code.
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { runtime } from "./codec-runtime.ts";
import { bytesMinOf, type Field, type Fields, fieldOf, type MessageShape, type Shape } from "./codec-shape.ts";
import { assert } from "./errors.ts";

export function compileReader(message: MessageShape): (reader: ByteReader, version: number) => unknown {
  const code = new Code(message);
  const result = readStruct(code, fieldsOf(message));
  code.line(`return ${result};`);
  return code.compile(["r", "v"]) as (reader: ByteReader, version: number) => unknown;
}

export function compileWriter(message: MessageShape): (writer: ByteWriter, version: number, value: unknown) => void {
  const code = new Code(message);
  writeStruct(code, "w", fieldsOf(message), "o", message.name);
  return code.compile(["w", "v", "o"]) as (writer: ByteWriter, version: number, value: unknown) => void;
}

/** A generator: a step ends after the element of a list with which it has written enough. */
export function compileStepWriter(
  message: MessageShape,
): (writer: ByteWriter, version: number, value: unknown) => Iterable<void> {
  const code = new Code(message, true);
  code.line(`let stepEnd = w.length + ${stepBytes};`);
  writeStruct(code, "w", fieldsOf(message), "o", message.name);
  return code.compile(["w", "v", "o"]) as (writer: ByteWriter, version: number, value: unknown) => Iterable<void>;
}

/** Takes far less than a millisecond, and far longer than to ask for the time. */
const stepBytes = 16_384;

function fieldsOf(message: MessageShape): Fields {
  assert(message.shape.kind === "struct", "a message is a struct");
  return message.shape.fields;
}

/** Source under construction: lines, names not used yet, and the values that cannot be written as literals. */
class Code {
  readonly message: MessageShape;
  readonly isInSteps: boolean;
  /** An expression that is true in flexible versions. */
  readonly flexible: string;
  readonly #lines: string[] = [];
  readonly #constants: unknown[] = [];
  #names = 0;

  constructor(message: MessageShape, isInSteps = false) {
    this.message = message;
    this.isInSteps = isInSteps;
    this.flexible = this.within(message.flexible ?? Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  line(text: string): void {
    this.#lines.push(text);
  }

  name(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  /** An expression that is true in versions `from` to `to`: "true" or "false" where the message's own range decides. */
  within(from: number, to: number): string {
    const [min, max] = this.message.versions;
    if (from > max || to < min) return "false";
    const parts = [...(from > min ? [`v >= ${from}`] : []), ...(to < max ? [`v <= ${to}`] : [])];
    return parts.length === 0 ? "true" : `(${parts.join(" && ")})`;
  }

  literal(value: unknown): string {
    if (typeof value === "bigint") return `${value}n`;
    if (value === null || typeof value === "number" || typeof value === "string" || typeof value === "boolean")
      return JSON.stringify(value);
    if (!this.#constants.includes(value)) this.#constants.push(value);
    return `constants[${this.#constants.indexOf(value)}]`;
  }

  /** Over all versions: an announced count may be checked against too little, never against too much. */
  bytesMin(shape: Shape): number {
    const [min, max] = this.message.versions;
    const flexible = this.message.flexible ?? Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (let version = min; version <= max; version += 1)
      least = Math.min(least, bytesMinOf(shape, version, version >= flexible));
    return Math.max(1, least);
  }

  compile(parameters: readonly string[]): unknown {
    const calls = `const { ${Object.keys(runtime).join(", ")} } = runtime;`;
    const body = `"use strict";\n${calls}\nreturn function${this.isInSteps ? "*" : ""} (${parameters.join(", ")}) {\n${this.#lines.join("\n")}\n};`;
    // oxlint-disable-next-line typescript/no-implied-eval -- The source is made from declarations of our own alone.
    const make = new Function("constants", "runtime", body) as (...values: unknown[]) => unknown;
    return make(this.#constants, runtime);
  }
}

function readStruct(code: Code, fields: Fields): string {
  const names = new Map<string, string>();
  const tags: [key: string, field: Field<unknown>][] = [];
  for (const [key, type] of Object.entries(fields)) {
    const name = code.name(key);
    names.set(key, name);
    const field = fieldOf(type);
    code.line(field === undefined ? `let ${name};` : `let ${name} = ${code.literal(field.default)};`);
    if (field?.tag !== undefined) {
      tags.push([key, field]);
      continue;
    }
    const present = field === undefined ? "true" : code.within(field.from, field.to);
    if (present === "false") continue;
    if (present !== "true") code.line(`if (${present}) {`);
    readInto(code, name, type.shape, key);
    if (present !== "true") code.line("}");
  }
  if (code.flexible !== "false") readTags(code, names, tags);
  return `{ ${[...names].map(([key, name]) => `${key}: ${name}`).join(", ")} }`;
}

function readTags(code: Code, names: ReadonlyMap<string, string>, tags: readonly [string, Field<unknown>][]): void {
  const [left, tag, end] = [code.name("left"), code.name("tag"), code.name("end")];
  if (code.flexible !== "true") code.line(`if (${code.flexible})`);
  if (tags.length === 0) {
    code.line("skipTags(r);");
    return;
  }
  code.line(`for (let ${left} = tagCount(r); ${left} > 0; ${left}--) {`);
  code.line(`const ${tag} = r.uvarint(); const ${end} = tagEnd(r);`);
  for (const [key, field] of tags) {
    const present = code.within(field.from, field.to);
    if (present === "false") continue;
    code.line(`if (${tag} === ${field.tag} && ${present}) {`);
    readInto(code, names.get(key) as string, field.shape, key);
    code.line(`tagRead(r, ${end}); continue; }`);
  }
  code.line(`r.skip(${end} - r.position);`);
  code.line("}");
}

/** Emits statements that leave the value in the variable. */
function readInto(code: Code, target: string, shape: Shape, key: string, nullSince = Number.POSITIVE_INFINITY): void {
  const mayBeNull = code.within(nullSince, Number.POSITIVE_INFINITY);
  const where = JSON.stringify(key);
  switch (shape.kind) {
    case "nullable":
      readInto(code, target, shape.of.shape, key, shape.since);
      return;
    case "struct":
      if (mayBeNull !== "false") code.line(`if (${mayBeNull} && r.int8() < 0) ${target} = null; else`);
      code.line("{");
      code.line(`${target} = ${readStruct(code, shape.fields)};`);
      code.line("}");
      return;
    case "array": {
      const [count, element] = [code.name("count"), code.name("element")];
      const bytesMin = code.bytesMin(shape.element.shape);
      code.line(`let ${count} = arrayCount(r, ${code.flexible}, ${bytesMin}, ${mayBeNull}, ${where});`);
      code.line(`if (${count} < 0) ${target} = null; else {`);
      code.line(`${target} = [];`);
      code.line(`for (; ${count} > 0; ${count}--) {`);
      code.line(`let ${element};`);
      readInto(code, element, shape.element.shape, key);
      code.line(`${target}.push(${element});`);
      code.line("} }");
      return;
    }
    case "sized": {
      const read = { string: "readString", bytes: "readBytes", records: "readBytes", recordViews: "readViews" }[
        shape.of
      ];
      code.line(`${target} = ${read}(r, ${code.flexible}, ${mayBeNull}, ${where});`);
      return;
    }
    case "fixed":
      assert(nullSince === Number.POSITIVE_INFINITY, `${key}: Kafka knows no null of ${shape.of}`);
      code.line(`${target} = r.${shape.of}();`);
  }
}

function writeStruct(code: Code, writer: string, fields: Fields, object: string, path: string): void {
  const tags: [name: string, key: string, field: Field<unknown>][] = [];
  for (const [key, type] of Object.entries(fields)) {
    const field = fieldOf(type);
    const present = field === undefined ? "true" : code.within(field.from, field.to);
    if (present === "false") continue;
    const name = code.name(key);
    if (field?.tag !== undefined) {
      code.line(`const ${name} = ${withDefault(code, `${object}.${key}`, field)};`);
      tags.push([name, key, field]);
      continue;
    }
    code.line(present === "true" ? "{" : `if (${present}) {`);
    code.line(`const ${name} = ${withDefault(code, `${object}.${key}`, field)};`);
    write(code, writer, type.shape, name, `${path}.${key}`);
    code.line("}");
  }
  if (code.flexible !== "false") writeTags(code, writer, tags, path);
}

function withDefault(code: Code, expression: string, field: Field<unknown> | undefined): string {
  return field === undefined
    ? expression
    : `${expression} === undefined ? ${code.literal(field.default)} : ${expression}`;
}

function writeTags(
  code: Code,
  writer: string,
  tags: readonly [name: string, key: string, field: Field<unknown>][],
  path: string,
): void {
  if (code.flexible !== "true") code.line(`if (${code.flexible}) {`);
  const isSaid = tags.map(() => code.name("said"));
  tags.forEach(([name, , field], i) => {
    const isDefault = equalsDefault(code, field.shape, name, field.default);
    code.line(`const ${isSaid[i]} = ${code.within(field.from, field.to)} && !(${isDefault});`);
  });
  code.line(`${writer}.uvarint(${isSaid.map((said) => `+${said}`).join(" + ") || "0"});`);
  const inTagOrder = tags.map((tag, i) => ({ tag, said: isSaid[i] as string }));
  inTagOrder.sort((a, b) => (a.tag[2].tag as number) - (b.tag[2].tag as number));
  for (const { tag, said } of inTagOrder) {
    const [name, key, field] = tag;
    const nested = code.name("nested");
    code.line(`if (${said}) { const ${nested} = newWriter();`);
    write(code, nested, field.shape, name, `${path}.${key}`);
    code.line(`writeTag(${writer}, ${field.tag}, ${nested}); }`);
  }
  if (code.flexible !== "true") code.line("}");
}

function write(
  code: Code,
  writer: string,
  shape: Shape,
  value: string,
  path: string,
  nullSince = Number.POSITIVE_INFINITY,
): void {
  const mayBeNull = code.within(nullSince, Number.POSITIVE_INFINITY);
  const where = JSON.stringify(path);
  switch (shape.kind) {
    case "nullable":
      write(code, writer, shape.of.shape, value, path, shape.since);
      return;
    case "struct":
      if (mayBeNull !== "false") code.line(`if (${mayBeNull}) ${writer}.int8(${value} === null ? -1 : 1);`);
      code.line(`if (${value} === null) requireNullable(${mayBeNull}, ${where}); else {`);
      writeStruct(code, writer, shape.fields, value, path);
      code.line("}");
      return;
    case "array": {
      const [element, left] = [code.name("element"), code.name("left")];
      if (code.isInSteps) code.line(`let ${left} = ${value} === null ? 0 : ${value}.length;`);
      code.line(`writeCount(${writer}, ${code.flexible}, ${mayBeNull}, ${value}, ${where});`);
      code.line(`if (${value} !== null) for (const ${element} of ${value}) {`);
      write(code, writer, shape.element.shape, element, path);
      if (!code.isInSteps) {
        code.line("}");
        return;
      }
      code.line(`${left}--;`);
      code.line(`if (w.length >= stepEnd) { yield; stepEnd = w.length + ${stepBytes}; }`);
      code.line("}");
      code.line(`requireAll(${left}, ${where});`);
      return;
    }
    case "sized": {
      const call = { string: "writeString", bytes: "writeBytes", records: "writeBytes", recordViews: "writeViews" }[
        shape.of
      ];
      code.line(`${call}(${writer}, ${code.flexible}, ${mayBeNull}, ${value}, ${where});`);
      return;
    }
    case "fixed":
      code.line(`${writer}.${shape.of === "int64Clamped" ? "int64" : shape.of}(${value});`);
  }
}

/** An expression that is true when the value need not be written because its tag's absence says the same. */
function equalsDefault(code: Code, shape: Shape, value: string, byDefault: unknown): string {
  switch (shape.kind) {
    case "nullable":
      return byDefault === null
        ? `${value} === null`
        : `(${value} !== null && ${equalsDefault(code, shape.of.shape, value, byDefault)})`;
    case "struct": {
      const parts = Object.entries(shape.fields).map(([key, type]) => {
        const own = `(${withDefault(code, `${value}.${key}`, fieldOf(type))})`;
        return equalsDefault(code, type.shape, own, (byDefault as Readonly<Record<string, unknown>>)[key]);
      });
      return parts.join(" && ") || "true";
    }
    case "sized":
      if (shape.of === "string") return `${value} === ${code.literal(byDefault)}`;
      return equalsEmpty(value, byDefault);
    case "array":
      return equalsEmpty(value, byDefault);
    case "fixed":
      return `${value} === ${code.literal(byDefault)}`;
  }
}

function equalsEmpty(value: string, byDefault: unknown): string {
  assert((byDefault as { readonly length: number }).length === 0, "a list's default is null or empty");
  return `${value}.length === 0`;
}
