/** What a config with `validateFields` asks of names: those that the metadata reserves stay reserved, and nobody uses them. */
import type { Incompatibility } from "./compatibility.ts";
import type { Metadata } from "./data-contract.ts";
import { isJsonObject } from "./json-text.ts";
import type { ParsedSchema } from "./schema-format.ts";

/** Of the metadata: names, with commas between them. */
const property = "confluent:reserved";

export function reservedFieldFindings(
  proposed: ParsedSchema,
  metadata: Metadata | undefined,
  earlier: Metadata | undefined,
): readonly Incompatibility[] {
  const reserved = reservedIn(metadata);
  const used = fieldNames(proposed);
  const dropped = reservedIn(earlier).filter((name) => !reserved.includes(name));
  return [
    ...dropped.map((name) => finding("RESERVED_FIELD_REMOVED", name, "is reserved by the latest version")),
    ...reserved
      .filter((name) => used.includes(name))
      .map((name) => finding("RESERVED_FIELD_USED", name, "is reserved by the metadata")),
    ...used
      .filter((name) => proposed.schemaType === "JSON" && name.startsWith("$$"))
      .map((name) => finding("RESERVED_FIELD_USED", name, "begins with $$")),
  ];
}

function reservedIn(metadata: Metadata | undefined): readonly string[] {
  const names = metadata?.properties?.[property]?.split(",") ?? [];
  return names.map((name) => name.trim()).filter((name) => name !== "");
}

/** At the top: of the record, of the object, of the file's messages. */
function fieldNames(parsed: ParsedSchema): readonly string[] {
  switch (parsed.schemaType) {
    case "AVRO":
      return parsed.avro.type.kind === "record" ? parsed.avro.type.fields.map(({ name }) => name) : [];
    case "JSON": {
      const { root } = parsed.json;
      const properties = isJsonObject(root) ? root["properties"] : undefined;
      return isJsonObject(properties) ? Object.keys(properties) : [];
    }
    case "PROTOBUF":
      return parsed.file.messages.flatMap(({ fields }) => fields.map(({ name }) => name));
  }
}

function finding(type: string, name: string, why: string): Incompatibility {
  return { type, path: `/${name}`, detail: `field ${name} ${why}` };
}
