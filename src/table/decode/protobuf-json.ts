/**
 * Messages as JSON text, for columns where recursion was cut and for those that have no fixed type. Fields go by their names
 * in the .proto file; what is not on the wire is left out; 64-bit integers are text, bytes base64, as Protobuf's own JSON has
 * them. Struct, Value, ListValue and wrappers are the JSON that they stand for.
 */
import { assert } from "../../base/errors.ts";
import type { ProtobufField, ProtobufMessage, ProtobufScalar, ProtobufType } from "../../registry/protobuf-schema.ts";
import { protobufSpecial } from "../schema/schema-map-protobuf.ts";
import { BadRecord } from "./bad-record.ts";
import { messageDepthMax, ProtobufReader } from "./protobuf-reader.ts";
import { enumNames, readInteger } from "./protobuf-scalar.ts";
import { type CellBudget, entryFields, type FieldPlaces, joinedContent, Scan } from "./protobuf-scan.ts";
import { isValidUtf8 } from "./put-text.ts";

/** Of the content [start, end). Throws BadRecord. */
export function protobufJson(
  message: ProtobufMessage,
  reader: ProtobufReader,
  start: number,
  end: number,
  budget: CellBudget,
): string {
  return new JsonWriter(budget).message(message, reader, start, end);
}

/** Of one field, however often it is there. */
export function protobufFieldJson(places: FieldPlaces, reader: ProtobufReader, budget: CellBudget): string {
  if (places.count === 0) return places.field.label === "map" ? "{}" : "[]";
  return new JsonWriter(budget).field(places, reader);
}

/** A map's key as text, at the reader; the default when it is not on the wire. */
export function protobufKeyText(scalar: ProtobufScalar, reader: ProtobufReader, isThere: boolean): string {
  switch (scalar) {
    case "string":
      return isThere ? textAt(reader) : "";
    case "bool":
      if (isThere) reader.readVarint();
      return String(isThere && (reader.low | reader.high) !== 0);
    case "bytes":
    case "double":
    case "float":
      throw new BadRecord("malformed", `no map has ${scalar} keys`);
    case "fixed32":
    case "fixed64":
    case "int32":
    case "int64":
    case "sfixed32":
    case "sfixed64":
    case "sint32":
    case "sint64":
    case "uint32":
    case "uint64":
      return isThere ? integerText(scalar, reader) : "0";
  }
}

class JsonWriter {
  readonly #budget: CellBudget;
  #depth = 0;

  constructor(budget: CellBudget) {
    this.#budget = budget;
  }

  message(message: ProtobufMessage, reader: ProtobufReader, start: number, end: number): string {
    if (this.#depth > messageDepthMax) throw new BadRecord("malformed", `values nest deeper than ${messageDepthMax}`);
    this.#depth += 1;
    this.#budget.take(message.fields.length + 1);
    const scan = new Scan(message.fields);
    scan.read(reader, start, end);
    const present = scan.places.filter(({ count }) => count > 0);
    const text = this.#own(message, present, reader) ?? this.#object(present, reader);
    this.#depth -= 1;
    return text;
  }

  #object(present: readonly FieldPlaces[], reader: ProtobufReader): string {
    return `{${present.map((places) => `${JSON.stringify(places.field.name)}:${this.field(places, reader)}`).join(",")}}`;
  }

  /** Of messages that have a form of their own in JSON. */
  #own(message: ProtobufMessage, present: readonly FieldPlaces[], reader: ProtobufReader): string | undefined {
    if (!message.name.startsWith("google.protobuf.")) return undefined;
    const only = present[0];
    const kind = message.name.slice("google.protobuf.".length);
    const special = protobufSpecial(message);
    if (special?.kind === "wrapper") return only === undefined ? zeroJson(special.scalar) : this.field(only, reader);
    if (kind === "Struct") return only === undefined ? "{}" : this.field(only, reader);
    if (kind === "ListValue") return only === undefined ? "[]" : this.field(only, reader);
    if (kind === "Value")
      return only === undefined || only.field.name === "null_value" ? "null" : this.field(only, reader);
    return undefined;
  }

  field(places: FieldPlaces, reader: ProtobufReader): string {
    const { field } = places;
    if (field.label === "map") return this.#map(places, reader);
    if (field.label === "repeated") return `[${this.#items(places, reader).join(",")}]`;
    if (field.type.kind === "message") return this.#merged(field.type, places, reader);
    reader.at = places.starts[0] as number;
    return protobufScalarJson(field.type, reader);
  }

  #merged(message: ProtobufMessage, places: FieldPlaces, reader: ProtobufReader): string {
    const { starts, ends, count } = places;
    if (count === 1) return this.message(message, reader, starts[0] as number, ends[0] as number);
    const joined = joinedContent(places, reader);
    return this.message(message, new ProtobufReader(joined, 0), 0, joined.length);
  }

  #items({ field: { type }, starts, ends, count }: FieldPlaces, reader: ProtobufReader): readonly string[] {
    const items: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const [start, end] = [starts[at] as number, ends[at] as number];
      if (type.kind === "message") items.push(this.message(type, reader, start, end));
      else {
        const outer = reader.end;
        reader.at = start < 0 ? ~start : start;
        reader.end = end;
        while (reader.at < end) items.push(protobufScalarJson(type, reader));
        reader.end = outer;
      }
    }
    return items;
  }

  #map({ field, starts, ends, count }: FieldPlaces, reader: ProtobufReader): string {
    assert(field.key !== undefined, "a map has a key");
    const entry = new Scan(entryFields(field.key, field.type));
    const [keys, values] = entry.places as readonly [FieldPlaces, FieldPlaces];
    const items = new Map<string, string>();
    for (let at = 0; at < count; at += 1) {
      entry.read(reader, starts[at] as number, ends[at] as number);
      if (keys.count > 0) reader.at = keys.starts[0] as number;
      const key = protobufKeyText(field.key, reader, keys.count > 0);
      items.set(key, values.count > 0 ? this.field(values, reader) : this.#zero(values.field, reader));
    }
    return `{${[...items].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
  }

  #zero({ type }: ProtobufField, reader: ProtobufReader): string {
    if (type.kind === "message") return this.message(type, reader, 0, 0);
    return type.kind === "enum" ? JSON.stringify(type.values[0]?.name ?? "") : zeroJson(type.scalar);
  }
}

function zeroJson(scalar: ProtobufScalar): string {
  if (scalar === "bool") return "false";
  const isText = ["string", "bytes", "int64", "uint64", "sint64", "fixed64", "sfixed64"].includes(scalar);
  return isText ? (scalar.endsWith("64") ? '"0"' : '""') : "0";
}

export function protobufScalarJson(type: Exclude<ProtobufType, ProtobufMessage>, reader: ProtobufReader): string {
  if (type.kind === "enum") {
    reader.readVarint();
    const name = enumNames(type).get(reader.low);
    return name === undefined ? String(reader.low) : JSON.stringify(name);
  }
  const { scalar } = type;
  switch (scalar) {
    case "string":
      return JSON.stringify(textAt(reader));
    case "bytes": {
      const start = reader.takeLength();
      return JSON.stringify(Buffer.from(reader.bytes.subarray(start, reader.at)).toString("base64"));
    }
    case "bool":
      reader.readVarint();
      return String((reader.low | reader.high) !== 0);
    case "float":
      return numberJson(reader.readFloat());
    case "double":
      return numberJson(reader.readDouble());
    case "fixed32":
    case "fixed64":
    case "int32":
    case "int64":
    case "sfixed32":
    case "sfixed64":
    case "sint32":
    case "sint64":
    case "uint32":
    case "uint64": {
      const text = integerText(scalar, reader);
      return scalar.endsWith("64") ? `"${text}"` : text;
    }
  }
}

function integerText(scalar: Parameters<typeof readInteger>[0], reader: ProtobufReader): string {
  readInteger(scalar, reader);
  return String(scalar.startsWith("u") || scalar.startsWith("fixed") ? reader.unsigned : reader.long);
}

function numberJson(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : JSON.stringify(String(value));
}

function textAt(reader: ProtobufReader): string {
  const start = reader.takeLength();
  if (!isValidUtf8(reader.bytes, start, reader.at)) throw new BadRecord("invalid-utf8", "in a map's key or JSON text");
  return Buffer.from(reader.bytes.subarray(start, reader.at)).toString("utf8");
}
