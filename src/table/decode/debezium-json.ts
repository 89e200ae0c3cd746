/**
 * A Debezium envelope in JSON, as Connect's JsonConverter writes it: alone, or beside the schema that it follows.
 *
 *   {"before": .., "after": .., "op": "u", ..}      {"schema": {"type": "struct", "fields": [..]}, "payload": {"before": ..}}
 */
import { knowsAllConnectTypes } from "../schema/mapping-rules.ts";
import { nothing, type SourceType } from "../schema/schema-map-types.ts";
import { BadRecord } from "./bad-record.ts";
import { connectJsonType, fieldNamed, type JsonObject, objectOf, withDecimals } from "./connect-json.ts";
import { type Change, debeziumChange } from "./debezium.ts";

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

function rowTypeOf(schema: unknown, rules: number): SourceType | undefined {
  const row = fieldNamed(schema, "after");
  const type = row === undefined ? nothing : connectJsonType(row, rules);
  return type.kind === "struct" ? type : undefined;
}
