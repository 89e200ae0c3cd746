/**
 * Whether a reader of one .proto file reads what a writer of another wrote, by the differences that Confluent's registry
 * forbids: numbers and wire types decide, names do not.
 *
 *   one wire group:  int32 int64 uint32 uint64 bool enum │ sint32 sint64 │ string bytes │ fixed32 sfixed32 │ fixed64 sfixed64 │ float │ double
 */
import type { Incompatibility } from "./compatibility.ts";
import type { ProtobufField, ProtobufFile, ProtobufMessage, ProtobufScalar, ProtobufType } from "./protobuf-schema.ts";

/** [] when the reader can. Adding, removing and renaming fields that are not required is no difference that counts. */
export function protobufIncompatibilities(reader: ProtobufFile, writer: ProtobufFile): readonly Incompatibility[] {
  const comparison = new Comparison();
  if (reader.package !== writer.package)
    comparison.found("PACKAGE_CHANGED", "#/", `package ${writer.package} became ${reader.package}`);
  comparison.messages(reader.messages, writer.messages, "#");
  return comparison.findings;
}

class Comparison {
  readonly findings: Incompatibility[] = [];
  /** Pairs that are being compared or were: a message may stand in itself, and imported ones in many places. */
  readonly #seen = new Map<ProtobufMessage, Set<ProtobufMessage>>();

  found(type: string, path: string, detail: string): void {
    this.findings.push({ type, path, detail });
  }

  messages(reader: readonly ProtobufMessage[], writer: readonly ProtobufMessage[], path: string): void {
    const byName = new Map(reader.map((each) => [lastName(each), each]));
    for (const each of writer) {
      const name = lastName(each);
      const same = byName.get(name);
      if (same === undefined) this.found("MESSAGE_REMOVED", `${path}/${name}`, `message ${each.name} is gone`);
      else this.#message(same, each, `${path}/${name}`);
    }
  }

  #message(reader: ProtobufMessage, writer: ProtobufMessage, path: string): void {
    const seen = this.#seen.get(reader) ?? new Set();
    if (seen.has(writer)) return;
    this.#seen.set(reader, seen.add(writer));
    const readerFields = new Map(reader.fields.map((field) => [field.number, field]));
    const writerFields = new Map(writer.fields.map((field) => [field.number, field]));
    this.#oneofs(reader, writer, path);
    for (const [number, before] of writerFields) this.#field(readerFields.get(number), before, `${path}/${number}`);
    for (const [number, { label, name }] of readerFields) {
      if (writerFields.has(number) || label !== "required") continue;
      this.found("REQUIRED_FIELD_ADDED", `${path}/${number}`, `required field ${name} is new`);
    }
    this.messages(reader.messages, writer.messages, path);
  }

  #field(after: ProtobufField | undefined, before: ProtobufField, path: string): void {
    if (after !== undefined) this.#labels(after, before, path);
    else if (before.label === "required")
      this.found("REQUIRED_FIELD_REMOVED", path, `required field ${before.name} is gone`);
  }

  #labels(after: ProtobufField, before: ProtobufField, path: string): void {
    if ((after.label === "map") !== (before.label === "map")) {
      this.found("FIELD_KIND_CHANGED", path, `${before.name}: ${labelled(before)} became ${labelled(after)}`);
      return;
    }
    if (after.key !== undefined && before.key !== undefined)
      this.#types({ kind: "scalar", scalar: after.key }, { kind: "scalar", scalar: before.key }, path);
    // Packed numbers are no single number; strings and messages take the last of many.
    if (after.label !== before.label && wireGroup(before.type) !== "text" && before.type.kind !== "message")
      this.found("FIELD_NUMERIC_LABEL_CHANGED", path, `${before.name}: ${labelled(before)} became ${labelled(after)}`);
    if (after.isGroup !== before.isGroup && after.type.kind === "message" && before.type.kind === "message")
      this.found(
        "FIELD_KIND_CHANGED",
        path,
        `${before.name}: a ${before.isGroup ? "group" : "message"} became a ${after.isGroup ? "group" : "message"}`,
      );
    this.#types(after.type, before.type, path);
  }

  #types(after: ProtobufType, before: ProtobufType, path: string): void {
    const change = `${nameOf(before)} became ${nameOf(after)}`;
    if ((after.kind === "message") !== (before.kind === "message")) this.found("FIELD_KIND_CHANGED", path, change);
    else if (after.kind === "message" && before.kind === "message") {
      if (after.localName !== before.localName) this.found("FIELD_NAMED_TYPE_CHANGED", path, change);
      else this.#message(after, before, path);
    } else if (wireGroup(after) !== wireGroup(before)) this.found("FIELD_SCALAR_KIND_CHANGED", path, change);
  }

  #oneofs(reader: ProtobufMessage, writer: ProtobufMessage, path: string): void {
    const before = new Map(writer.fields.map((field) => [field.number, field]));
    for (const [name, now] of fieldsByOneof(reader)) {
      // Fields of one oneof excluded each other before; any others could stand side by side in what was written.
      const old = now.flatMap(({ number }) => before.get(number) ?? []);
      const single = old.filter(({ oneof }) => oneof === undefined);
      const sources = new Set(old.flatMap(({ oneof }) => oneof ?? [])).size + single.length;
      const type = single.length > 1 ? "MULTIPLE_FIELDS_MOVED_TO_ONEOF" : "FIELD_MOVED_TO_EXISTING_ONEOF";
      if (sources > 1) this.found(type, `${path}/${name}`, `${namesOf(old)} exclude each other in ${name}`);
    }
    const after = new Set(reader.fields.map(({ number }) => number));
    const names = new Set(reader.fields.map(({ oneof }) => oneof));
    for (const [name, fields] of fieldsByOneof(writer)) {
      const gone = fields.filter(({ number }) => !after.has(number));
      const isAllGone = gone.length === fields.length && !names.has(name);
      if (gone.length > 0 && !isAllGone)
        this.found("ONEOF_FIELD_REMOVED", `${path}/${name}`, `${namesOf(gone)} left ${name}`);
    }
  }
}

function fieldsByOneof({ fields }: ProtobufMessage): ReadonlyMap<string, readonly ProtobufField[]> {
  const byOneof = Map.groupBy(fields, ({ oneof }) => oneof ?? "");
  byOneof.delete("");
  return byOneof;
}

const wireGroups: Readonly<Record<ProtobufScalar, string>> = {
  int32: "number",
  int64: "number",
  uint32: "number",
  uint64: "number",
  bool: "number",
  sint32: "signed",
  sint64: "signed",
  string: "text",
  bytes: "text",
  fixed32: "fixed32",
  sfixed32: "fixed32",
  fixed64: "fixed64",
  sfixed64: "fixed64",
  float: "float",
  double: "double",
};

function wireGroup(type: ProtobufType): string {
  switch (type.kind) {
    case "scalar":
      return wireGroups[type.scalar];
    case "enum":
      return "number";
    case "message":
      return "message";
  }
}

function lastName({ name }: ProtobufMessage): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function nameOf(type: ProtobufType): string {
  return type.kind === "scalar" ? type.scalar : type.name;
}

function labelled(field: ProtobufField): string {
  return `${field.label} ${nameOf(field.type)}`;
}

function namesOf(fields: readonly ProtobufField[]): string {
  return fields.map(({ name }) => name).join(", ");
}
