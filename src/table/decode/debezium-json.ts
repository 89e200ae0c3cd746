/**
 * A Debezium envelope in JSON, as Connect's JsonConverter writes it: alone, or beside the schema that it follows.
 *
 *   {"before": .., "after": .., "op": "u", ..}      {"schema": {"type": "struct", "fields": [..]}, "payload": {"before": ..}}
 *
 * The schema tells apart what JSON does not: whole numbers are long columns. Its logical names (times, decimals) are not
 * read: their values stay the numbers and texts that they are.
 */
import { isNothing, json, nestingMax, nothing, type SourceType } from "../schema/schema-map-types.ts";
import { BadRecord } from "./bad-record.ts";
import { type Change, debeziumChange } from "./debezium.ts";

type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonEnvelope {
  readonly change: Change;
  readonly before: JsonObject | undefined;
  readonly after: JsonObject | undefined;
  /** The row's type, as the schema beside it says. */
  readonly rowType: () => SourceType | undefined;
}

export function readJsonEnvelope(value: unknown): JsonEnvelope {
  const outer = objectOf(value);
  const hasSchema = outer !== undefined && "payload" in outer && "schema" in outer;
  const payload = hasSchema ? objectOf(outer["payload"]) : outer;
  const op = payload?.["op"];
  if (payload === undefined || typeof op !== "string") {
    throw new BadRecord("bad-envelope", "the value is no Debezium envelope: it has no op");
  }
  return {
    change: debeziumChange(op),
    before: objectOf(payload["before"]),
    after: objectOf(payload["after"]),
    rowType: () => (hasSchema ? rowTypeOf(outer["schema"]) : undefined),
  };
}

/** What stands beside a schema, in a key too; any other value as it is. No field of a key is an object. */
export function payloadOf(value: unknown): unknown {
  const outer = objectOf(value);
  return outer !== undefined && "payload" in outer && objectOf(outer["schema"]) !== undefined
    ? outer["payload"]
    : value;
}

function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function rowTypeOf(schema: unknown): SourceType | undefined {
  const row = fieldsOf(schema).find((field) => field["field"] === "after");
  const type = row === undefined ? nothing : connectType(row, 0);
  return type.kind === "struct" ? type : undefined;
}

function fieldsOf(schema: unknown): readonly JsonObject[] {
  const fields = objectOf(schema)?.["fields"];
  if (!Array.isArray(fields)) return [];
  return (fields as readonly unknown[]).map(objectOf).filter((field) => field !== undefined);
}

/** Connect's schema types, as JSON spells their values: bytes are base64 text. */
function connectType(schema: JsonObject, depth: number): SourceType {
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
    case "bytes":
      return { kind: "primitive", type: "string" };
    case "array": {
      const element = connectType(objectOf(schema["items"]) ?? {}, depth + 1);
      return isNothing(element) ? nothing : { kind: "list", element };
    }
    case "struct": {
      const fields = fieldsOf(schema).flatMap((field) => {
        const name = field["field"];
        return typeof name === "string" ? [{ name, type: connectType(field, depth + 1) }] : [];
      });
      return { kind: "struct", fields };
    }
    default:
      return nothing; // Maps and what later releases add: inferred from their values, where they can be.
  }
}
