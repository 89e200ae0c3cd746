/**
 * Kafka Connect's logical types, as Confluent's JSON Schema converter declares them:
 *
 *   {"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}           days since 1970
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}           milliseconds since midnight
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}      milliseconds since 1970
 *
 * A decimal's value is its unscaled integer, big-endian in base64, or with decimal.format=NUMERIC the number itself. Connect
 * knows no precision; the JDBC connectors say it as connect.decimal.precision. Pure.
 */
import { decimalPrecisionMax } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import type { Json } from "./json-schema-documents.ts";
import { json, type SourceType } from "./schema-map-types.ts";

const names = "org.apache.kafka.connect.data.";

const times: Readonly<Record<string, { readonly carrier: string; readonly type: PrimitiveType }>> = {
  [`${names}Date`]: { carrier: "int32", type: "date" },
  [`${names}Time`]: { carrier: "int32", type: "time" },
  [`${names}Timestamp`]: { carrier: "int64", type: "timestamptz" },
};

/** undefined where the schema declares none of them. */
export function connectType(node: Json): SourceType | undefined {
  const { title, "connect.type": carrier } = node;
  if (typeof title !== "string") return undefined;
  if (title === `${names}Decimal` && carrier === "bytes") return decimalType(node["connect.parameters"]);
  const time = Object.hasOwn(times, title) ? times[title] : undefined;
  if (time === undefined || time.carrier !== carrier) return undefined;
  return { kind: "primitive", type: time.type, isConnect: true };
}

/** Without a scale that a column could have its values are nothing but JSON. */
function decimalType(parameters: unknown): SourceType {
  const said = (typeof parameters === "object" && parameters !== null ? parameters : {}) as Json;
  const scale = count(said["scale"]);
  if (scale === undefined) return json;
  const precision = Math.max(count(said["connect.decimal.precision"]) ?? decimalPrecisionMax, scale, 1);
  return { kind: "primitive", type: `decimal(${precision}, ${scale})`, isConnect: true };
}

/** Parameters are text. */
function count(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : value;
  const number = typeof text === "string" && /^\d+$/.test(text) ? Number(text) : -1;
  return number >= 0 && number <= decimalPrecisionMax ? number : undefined;
}
