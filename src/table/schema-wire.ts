/** A schema that somebody sent, held to what every reader of the table asks of one. */
import { CorruptData } from "../base/errors.ts";
import { type Json, renderJson } from "./iceberg/json.ts";
import { toSchema } from "./iceberg/metadata-json.ts";
import type { IcebergType, Schema } from "./iceberg/types.ts";

/** Throws CorruptData. */
export function readableSchema(json: Json, source: string): Schema {
  const schema = toSchema(json, source);
  requireReadable(schema, source);
  return schema;
}

/** In any case of letters, as Java reads them. */
const primitive =
  /^(boolean|int|long|float|double|date|time|timestamp(tz)?(_ns)?|string|uuid|binary|variant|unknown|decimal\(\s*\d+\s*,\s*\d+\s*\)|fixed\[\s*\d+\s*\]|(geometry|geography)(\(.*\))?)$/i;

function requireReadable(type: IcebergType, where: string): void {
  if (typeof type === "string") {
    if (!primitive.test(type)) throw unreadable(where, "a type", type);
    return;
  }
  switch (type.type) {
    case "struct": {
      const names = new Set<string>();
      for (const field of type.fields) {
        requireFlag(field.required, field.name);
        if (names.has(field.name)) throw unreadable(where, "a name for each field", field.name);
        names.add(field.name);
        requireReadable(field.type, field.name);
      }
      return;
    }
    case "list":
      requireFlag(type["element-required"], where);
      return requireReadable(type.element, where);
    case "map":
      requireFlag(type["value-required"], where);
      requireReadable(type.key, where);
      return requireReadable(type.value, where);
    default:
      throw unreadable(where, "a type", renderJson(type));
  }
}

function requireFlag(value: unknown, where: string): void {
  if (typeof value !== "boolean") throw unreadable(where, "whether it is required", renderJson(value ?? null));
}

function unreadable(source: string, expected: string, found: string): CorruptData {
  return new CorruptData({ source, position: 0, expected, found: found.slice(0, 80) });
}
