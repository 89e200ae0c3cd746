/**
 * A value of JSON beside its schema, as Kafka Connect's JsonConverter writes it unless it is told otherwise:
 *
 *   {"schema": {"type": "struct", "fields": [{"field": "id", "type": "int64"}, ..]}, "payload": {"id": 7, ..}}
 *
 * The schema tells apart what JSON does not: whole numbers are long columns, and from rules 7 on decimals are decimals, in
 * base64 or as numbers. Names of times are not read: their values stay the numbers and texts that they are.
 */
import { decimalShape } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import { connectDecimal } from "../schema/connect-types.ts";
import { knowsAllConnectTypes } from "../schema/mapping-rules.ts";
import { isNothing, json, nestingMax, nothing, type SourceType } from "../schema/schema-map-types.ts";
import { connectNumber } from "./connect.ts";
import { rawNumber } from "./json-text.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface SchemaAndPayload {
  readonly schema: JsonObject;
  readonly payload: unknown;
}

/** Undefined where the value is anything else: an application's own record may have such fields. */
export function besideSchema(value: unknown): SchemaAndPayload | undefined {
  const outer = objectOf(value);
  if (outer === undefined || !("payload" in outer) || Object.keys(outer).length !== 2) return undefined;
  const schema = objectOf(outer["schema"]);
  if (typeof schema?.["type"] !== "string" || typeof (schema["optional"] ?? false) !== "boolean") return undefined;
  return schema["type"] === "struct" && !Array.isArray(schema["fields"])
    ? undefined
    : { schema, payload: outer["payload"] };
}

export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Decimals as numbers; the same value where there are none in base64. Throws BadRecord. */
export function withDecimals(value: unknown, schema: JsonObject | undefined, depth = 0): unknown {
  if (schema === undefined || depth > nestingMax) return value;
  switch (schema["type"]) {
    case "bytes": {
      const scale = typeof value === "string" ? decimalShape(decimalOf(schema) ?? "binary")?.scale : undefined;
      return scale === undefined ? value : rawNumber(connectNumber(value, scale));
    }
    case "array": {
      const items = objectOf(schema["items"]);
      return Array.isArray(value) ? value.map((item) => withDecimals(item, items, depth + 1)) : value;
    }
    case "struct": {
      const row = objectOf(value);
      const changed = fieldsOf(schema).flatMap((field): readonly (readonly [string, unknown])[] => {
        const name = field["field"];
        if (row === undefined || typeof name !== "string" || !Object.hasOwn(row, name)) return [];
        const decimals = withDecimals(row[name], field, depth + 1);
        return decimals === row[name] ? [] : [[name, decimals]];
      });
      return changed.length === 0 ? value : { ...row, ...Object.fromEntries(changed) };
    }
    default:
      return value;
  }
}

function decimalOf({ name, parameters }: JsonObject): PrimitiveType | undefined {
  if (name !== "org.apache.kafka.connect.data.Decimal") return undefined;
  const said = objectOf(parameters) ?? {};
  return connectDecimal({ scale: said["scale"], precision: said["connect.decimal.precision"] });
}

export function fieldNamed(schema: unknown, name: string): JsonObject | undefined {
  return fieldsOf(schema).find((field) => field["field"] === name);
}

function fieldsOf(schema: unknown): readonly JsonObject[] {
  const fields = objectOf(schema)?.["fields"];
  if (!Array.isArray(fields)) return [];
  return (fields as readonly unknown[]).map(objectOf).filter((field) => field !== undefined);
}

/** Connect's schema types, as JSON spells their values: bytes are base64 text. */
export function connectJsonType(schema: JsonObject, rules: number, depth = 0): SourceType {
  if (depth > nestingMax) return json;
  switch (schema["type"]) {
    case "int8":
    case "int16":
    case "int32":
    case "int64":
      return { kind: "primitive", type: "long" };
    case "float":
    case "double":
      return { kind: "primitive", type: "double" };
    case "boolean":
      return { kind: "primitive", type: "boolean" };
    case "string":
      return { kind: "primitive", type: "string" };
    case "bytes": {
      const decimal = knowsAllConnectTypes(rules) ? decimalOf(schema) : undefined;
      return { kind: "primitive", type: decimal ?? "string" };
    }
    case "array": {
      const element = connectJsonType(objectOf(schema["items"]) ?? {}, rules, depth + 1);
      return isNothing(element) ? nothing : { kind: "list", element };
    }
    case "struct": {
      const fields = fieldsOf(schema).flatMap((field) => {
        const name = field["field"];
        return typeof name === "string" ? [{ name, type: connectJsonType(field, rules, depth + 1) }] : [];
      });
      return { kind: "struct", fields };
    }
    default:
      return nothing; // Maps and what later releases add: inferred from their values, where they can be.
  }
}
