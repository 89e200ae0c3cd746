/**
 * Kafka Connect's logical types and bytes, as Confluent's JSON Schema converter declares them:
 *
 *   {"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}           days since 1970
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}           milliseconds since midnight
 *   {"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}      milliseconds since 1970
 *   {"type":"string","connect.type":"bytes"}                                                         in base64, from rules 7 on
 *
 * A decimal's value is its unscaled integer, big-endian in base64, or with decimal.format=NUMERIC the number itself. Connect
 * knows no precision; the JDBC connectors say it as connect.decimal.precision. Pure.
 */
import { decimalPrecisionMax } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import type { Json } from "./json-schema-documents.ts";
import { knowsAllConnectTypes, knowsConnectTypes } from "./mapping-rules.ts";
import { json, type SourceType } from "./schema-map-types.ts";

const names = "org.apache.kafka.connect.data.";

const times: Readonly<Record<string, { readonly carrier: string; readonly type: PrimitiveType }>> = {
  [`${names}Date`]: { carrier: "int32", type: "date" },
  [`${names}Time`]: { carrier: "int32", type: "time" },
  [`${names}Timestamp`]: { carrier: "int64", type: "timestamptz" },
};

/** undefined where the schema declares none of them. */
export function connectType(node: Json, rules: number): SourceType | undefined {
  if (!knowsConnectTypes(rules)) return undefined;
  const { title, type, "connect.type": carrier } = node;
  if (title === `${names}Decimal` && carrier === "bytes") return decimalType(node["connect.parameters"]);
  if (type === "string" && carrier === "bytes" && knowsAllConnectTypes(rules)) return bytes;
  if (typeof title !== "string") return undefined;
  const time = Object.hasOwn(times, title) ? times[title] : undefined;
  if (time === undefined || time.carrier !== carrier) return undefined;
  return { kind: "primitive", type: time.type, isConnect: true };
}

const bytes: SourceType = { kind: "primitive", type: "binary", isConnect: true };

/** Without a scale that a column could have its values are nothing but JSON. */
function decimalType(parameters: unknown): SourceType {
  const said = (typeof parameters === "object" && parameters !== null ? parameters : {}) as Json;
  const type = connectDecimal({ scale: said["scale"], precision: said["connect.decimal.precision"] });
  return type === undefined ? json : { kind: "primitive", type, isConnect: true };
}

/** Undefined where no column has the scale. A precision that none has is as good as unknown. */
export function connectDecimal(said: {
  readonly scale: unknown;
  readonly precision: unknown;
}): PrimitiveType | undefined {
  const scale = count(said.scale);
  if (scale === undefined) return undefined;
  const precision = Math.max(count(said.precision) ?? decimalPrecisionMax, scale, 1);
  return `decimal(${precision}, ${scale})`;
}

/** Parameters are text. */
function count(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : value;
  const number = typeof text === "string" && /^\d+$/.test(text) ? Number(text) : -1;
  return number >= 0 && number <= decimalPrecisionMax ? number : undefined;
}
