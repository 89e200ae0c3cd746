/** What differs between Avro, JSON Schema and Protobuf: reading a text, its one canonical form, and who can read whom. */

import { printAvro } from "./avro-print.ts";
import { InvalidAvro, type ParsedAvro, parseAvro } from "./avro-schema.ts";
import type { Incompatibility } from "./compatibility.ts";
import { avroIncompatibilities } from "./compatibility-avro.ts";
import { jsonIncompatibilities } from "./compatibility-json.ts";
import { protobufIncompatibilities } from "./compatibility-protobuf.ts";
import { missingDocument } from "./json-documents.ts";
import type { JsonSchemaText } from "./json-references.ts";
import { invalidJsonSchema } from "./json-schema-check.ts";
import { isJsonObject, parseJson, printJson, sortedJson } from "./json-text.ts";
import { protobufTextOf, serializedProtobuf } from "./protobuf-descriptor.ts";
import { type ProtobufFile, parseProtobuf } from "./protobuf-schema.ts";
import { canonicalProtobuf, InvalidProtobuf } from "./protobuf-text.ts";
import { refusals } from "./refused.ts";

export const schemaTypes = ["JSON", "PROTOBUF", "AVRO"] as const;

export interface ResolvedReference {
  readonly name: string;
  readonly schema: string;
}

/** A schema that has been read. `canonical` is what is stored and compared for equality. */
export type ParsedSchema =
  | { readonly schemaType: "AVRO"; readonly canonical: string; readonly avro: ParsedAvro }
  | { readonly schemaType: "JSON"; readonly canonical: string; readonly json: JsonSchemaText }
  | {
      readonly schemaType: "PROTOBUF";
      readonly canonical: string;
      readonly file: ProtobufFile;
      readonly imports: readonly ResolvedReference[];
    };

export interface SchemaText {
  readonly schemaType: string;
  readonly schema: string;
  /** Each after those that it uses itself. */
  readonly references: readonly ResolvedReference[];
}

export interface ParseOptions {
  readonly isNormalized: boolean;
  /** Whether names and defaults of Avro must be right, and documents of JSON Schema there: older libraries registered other ones. */
  readonly isStrict: boolean;
}

/** Throws RegistryRefused 42201 when it is no schema, or of a type that is not served. */
export function parseSchema(text: SchemaText, options: ParseOptions): ParsedSchema {
  switch (text.schemaType) {
    case "AVRO":
      return parseAvroSchema(text, options);
    case "JSON":
      return parseJsonSchema(text, options);
    case "PROTOBUF":
      return parseProtobufSchema(text, options.isNormalized);
    default:
      throw refusals.invalidSchema(
        `there is no schema type ${text.schemaType}; schema types are AVRO, JSON and PROTOBUF`,
      );
  }
}

/** [] when the reader reads all that the writer wrote. */
export function incompatibilities(reader: ParsedSchema, writer: ParsedSchema): readonly Incompatibility[] {
  if (reader.schemaType === "AVRO" && writer.schemaType === "AVRO")
    return avroIncompatibilities(reader.avro.type, writer.avro.type);
  if (reader.schemaType === "JSON" && writer.schemaType === "JSON")
    return jsonIncompatibilities(reader.json, writer.json);
  if (reader.schemaType === "PROTOBUF" && writer.schemaType === "PROTOBUF")
    return protobufIncompatibilities(reader.file, writer.file);
  return [{ type: "SCHEMA_TYPE_CHANGED", path: "/", detail: `${reader.schemaType} cannot read ${writer.schemaType}` }];
}

/** The text with all that it refers to in it, where the format has a way to write that. */
export function writtenOut(parsed: ParsedSchema, options: { readonly isNormalized: boolean }): string {
  if (parsed.schemaType !== "AVRO") return parsed.canonical;
  return printAvro({ ...parsed.avro, referenced: new Set() }, options);
}

/** What `format=serialized` asks for: of Protobuf the file's descriptor in base64, of other types the text. */
export function serializedSchema(parsed: ParsedSchema): string {
  if (parsed.schemaType !== "PROTOBUF") return parsed.canonical;
  return serializedProtobuf(parsed.file, { name: "default", text: parsed.canonical, imports: parsed.imports });
}

function parseAvroSchema(text: SchemaText, { isNormalized, isStrict }: ParseOptions): ParsedSchema {
  try {
    const references = text.references.map(({ schema }) => schema);
    const avro = parseAvro(text.schema, references, { isStrict });
    return { schemaType: "AVRO", canonical: printAvro(avro, { isNormalized }), avro };
  } catch (cause) {
    if (cause instanceof InvalidAvro) throw refusals.invalidSchema(cause.message);
    throw cause;
  }
}

function parseJsonSchema(text: SchemaText, { isNormalized, isStrict }: ParseOptions): ParsedSchema {
  const root = parseJson(text.schema);
  if (root === undefined) throw refusals.invalidSchema("the schema is no JSON");
  if (!isJsonObject(root.value) && typeof root.value !== "boolean")
    throw refusals.invalidSchema("a JSON Schema is an object, true or false");
  const wrong = invalidJsonSchema(JSON.parse(text.schema));
  if (wrong !== undefined) throw refusals.invalidSchema(wrong);
  const references = new Map(text.references.map(({ name, schema }) => [name, parseJson(schema)?.value]));
  const missing = isStrict ? missingDocument(root.value, references) : undefined;
  if (missing !== undefined)
    throw refusals.invalidSchema(
      `$ref to ${missing}, which is not among its references: register it and name it there`,
    );
  const canonical = printJson(isNormalized ? sortedJson(root.value) : root.value);
  return { schemaType: "JSON", canonical, json: { root: root.value, references } };
}

/** Clients send the text, or the serialized descriptor of the file in base64. */
function parseProtobufSchema(text: SchemaText, isNormalized: boolean): ParsedSchema {
  try {
    const { schema, references: imports } = text;
    const canonical = canonicalProtobuf(protobufTextOf(schema, imports) ?? schema, { isNormalized });
    return { schemaType: "PROTOBUF", canonical, file: parseProtobuf(canonical, imports), imports };
  } catch (cause) {
    if (cause instanceof InvalidProtobuf) throw refusals.invalidSchema(cause.message);
    throw cause;
  }
}
