/**
 * A Debezium envelope in JSON, as Connect's JsonConverter writes it: alone, or beside the schema that it follows.
 *
 *   {"before": .., "after": .., "op": "u", ..}      {"schema": {"type": "struct", "fields": [..]}, "payload": {"before": ..}}
 *
 * The schema tells apart what JSON does not: whole numbers are long columns, and from rules 7 on decimals are decimals, in
 * base64 or as numbers. Names of times are not read: their values stay the numbers and texts that they are.
 */

import { decimalShape } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import { connectDecimal } from "../schema/connect-types.ts";
import { knowsAllConnectTypes } from "../schema/mapping-rules.ts";
import { isNothing, json, nestingMax, nothing, type SourceType } from "../schema/schema-map-types.ts";
import { BadRecord } from "./bad-record.ts";
import { connectNumber } from "./connect.ts";
import { type Change, debeziumChange } from "./debezium.ts";
import { rawNumber } from "./json-text.ts";

type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonEnvelope {
  readonly change: Change;
  readonly before: JsonObject | undefined;
  readonly after: JsonObject | undefined;
  /** The row's type, as the schema beside it says. */
  readonly rowType: () => SourceType | undefined;
}

export function readJsonEnvelope(value: unknown, rules = 1): JsonEnvelope {
  const outer = objectOf(value);
  const hasSchema = outer !== undefined && "payload" in outer && "schema" in outer;
  const payload = hasSchema ? objectOf(outer["payload"]) : outer;
  const op = payload?.["op"];
  if (payload === undefined || typeof op !== "string") {
    throw new BadRecord("bad-envelope", "the value is no Debezium envelope: it has no op");
  }
  const schema = hasSchema ? outer["schema"] : undefined;
  const rowOf = (name: string): JsonObject | undefined =>
    objectOf(knowsAllConnectTypes(rules) ? withDecimals(payload[name], fieldNamed(schema, name)) : payload[name]);
  return {
    change: debeziumChange(op),
    before: rowOf("before"),
    after: rowOf("after"),
    rowType: () => (hasSchema ? rowTypeOf(schema, rules) : undefined),
  };
}

/** What stands beside a schema, in a key too; any other value as it is. No field of a key is an object. */
export function payloadOf(value: unknown, rules = 1): unknown {
  const outer = objectOf(value);
  const schema = outer !== undefined && "payload" in outer ? objectOf(outer["schema"]) : undefined;
  if (outer === undefined || schema === undefined) return value;
  return knowsAllConnectTypes(rules) ? withDecimals(outer["payload"], schema) : outer["payload"];
}

function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Decimals as numbers; the same value where there are none in base64. Throws BadRecord. */
function withDecimals(value: unknown, schema: JsonObject | undefined, depth = 0): unknown {
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

function rowTypeOf(schema: unknown, rules: number): SourceType | undefined {
  const row = fieldNamed(schema, "after");
  const type = row === undefined ? nothing : connectType(row, rules, 0);
  return type.kind === "struct" ? type : undefined;
}

function fieldNamed(schema: unknown, name: string): JsonObject | undefined {
  return fieldsOf(schema).find((field) => field["field"] === name);
}

function fieldsOf(schema: unknown): readonly JsonObject[] {
  const fields = objectOf(schema)?.["fields"];
  if (!Array.isArray(fields)) return [];
  return (fields as readonly unknown[]).map(objectOf).filter((field) => field !== undefined);
}

/** Connect's schema types, as JSON spells their values: bytes are base64 text. */
function connectType(schema: JsonObject, rules: number, depth: number): SourceType {
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
      const element = connectType(objectOf(schema["items"]) ?? {}, rules, depth + 1);
      return isNothing(element) ? nothing : { kind: "list", element };
    }
    case "struct": {
      const fields = fieldsOf(schema).flatMap((field) => {
        const name = field["field"];
        return typeof name === "string" ? [{ name, type: connectType(field, rules, depth + 1) }] : [];
      });
      return { kind: "struct", fields };
    }
    default:
      return nothing; // Maps and what later releases add: inferred from their values, where they can be.
  }
}
