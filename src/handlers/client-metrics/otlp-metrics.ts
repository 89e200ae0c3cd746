/**
 * Reads what clients push (KIP-714): OpenTelemetry's MetricsData, a protobuf message, as far as clients use it. Pure.
 *
 *   MetricsData 1* ResourceMetrics 2* ScopeMetrics 2* Metric
 *   Metric      1 name · 5 Gauge · 7 Sum · 9 Histogram · 10 ExponentialHistogram · 11 Summary
 *   each        1* data point · 2 temporality (1: since the last push, 2: since the start; gauges and summaries have none)
 *
 *   NumberDataPoint       4 double · 6 sfixed64 · 7* KeyValue
 *   HistogramDataPoint    4 count · 5 sum · 6* bucket counts · 7* bounds, one fewer · 9* KeyValue
 *   ExponentialHistogram… 1* KeyValue · 4 count · 5 sum          (its buckets are left out: no client of Kafka has them)
 *   SummaryDataPoint      4 count · 5 sum · 6* ValueAtQuantile (1 quantile · 2 value) · 7* KeyValue
 *   KeyValue              1 key · 2 AnyValue (1 string · 2 bool · 3 int · 4 double)
 */
import {
  corrupt,
  double,
  eights,
  type FieldBudget,
  fieldsOf,
  fixed64,
  messages,
  type ProtobufField,
  text,
  textCharactersMax,
  view,
} from "./protobuf-fields.ts";

/** What a number says of its metric: of a histogram or a summary there are several. */
export type ClientMetricPart = "value" | "count" | "sum" | "bucket" | "quantile";

export interface ClientMetricPoint {
  readonly metric: string;
  readonly part: ClientMetricPart;
  /** A bucket's upper bound, as Prometheus writes it, or a quantile; else empty. */
  readonly at: string;
  /** `key=value`, sorted, with commas between. */
  readonly attributes: string;
  readonly value: number;
  /** A growth since the last push, not the whole. */
  readonly isDelta: boolean;
}

type Reading = Pick<ClientMetricPoint, "part" | "at" | "value">;

interface PointFormat {
  readonly attributes: number;
  readonly readings: (fields: readonly ProtobufField[], budget: FieldBudget) => Iterable<Reading>;
}

const number: PointFormat = { attributes: 7, readings: (fields) => [reading("value", numberOf(fields))] };
/** By the field of Metric that has them. */
const formats: ReadonlyMap<number, PointFormat> = new Map([
  [5, number],
  [7, number],
  [9, { attributes: 9, readings: ofHistogram }],
  [10, { attributes: 1, readings: countAndSum }],
  [11, { attributes: 7, readings: ofSummary }],
]);
const temporalityDelta = 1n;

/** A point of a client of Kafka has some ten, those of its attributes included. */
const fieldsPerPointMax = 100;

/** Throws CorruptData. Points past `pointsMax` are left out; each bucket and quantile is one. */
export function readClientMetrics(
  bytes: Uint8Array,
  limits: { readonly pointsMax: number },
): readonly ClientMetricPoint[] {
  const points: ClientMetricPoint[] = [];
  const budget = { left: fieldsPerPointMax * limits.pointsMax };
  for (const resource of messages(bytes, 1, budget)) {
    for (const scope of messages(resource, 2, budget)) {
      for (const metric of messages(scope, 2, budget)) {
        for (const point of metricPoints(metric, budget)) {
          if (points.length >= limits.pointsMax) return points;
          points.push(point);
        }
      }
    }
  }
  return points;
}

function* metricPoints(bytes: Uint8Array, budget: FieldBudget): Iterable<ClientMetricPoint> {
  const fields = [...fieldsOf(bytes, budget)];
  const metric = fields.findLast((field) => field.number === 1)?.bytes;
  const name = metric === undefined ? "" : text(metric);
  for (const { number, bytes: set } of fields) {
    const format = formats.get(number);
    if (format !== undefined) yield* pointsOf(name, [...fieldsOf(set, budget)], format, budget);
  }
}

function* pointsOf(
  metric: string,
  set: readonly ProtobufField[],
  { attributes: attributesField, readings }: PointFormat,
  budget: FieldBudget,
): Iterable<ClientMetricPoint> {
  const isDeltaSet = set.some((field) => field.number === 2 && field.integer === temporalityDelta);
  for (const { number, bytes } of set) {
    if (number !== 1) continue;
    const fields = [...fieldsOf(bytes, budget)];
    const pairs = fields
      .filter((field) => field.number === attributesField)
      .map((field) => attribute(field.bytes, budget));
    const attributes = pairs.sort().join(",").slice(0, textCharactersMax);
    for (const each of readings(fields, budget)) {
      yield { metric, attributes, ...each, isDelta: isDeltaSet && each.part !== "quantile" };
    }
  }
}

function numberOf(fields: readonly ProtobufField[]): number {
  const last = fields.findLast((field) => field.number === 4 || field.number === 6);
  if (last === undefined) return 0;
  return last.number === 4 ? double(last.bytes) : Number(view(last.bytes, 8).getBigInt64(0, true));
}

/** A sum is left out where values may be negative. */
function* countAndSum(fields: readonly ProtobufField[]): Iterable<Reading> {
  const count = fields.findLast((field) => field.number === 4);
  const sum = fields.findLast((field) => field.number === 5);
  yield reading("count", count === undefined ? 0 : fixed64(count.bytes));
  if (sum !== undefined) yield reading("sum", double(sum.bytes));
}

/** As Prometheus counts: a bucket has what is at most its bound, so what the ones before it have, too. */
function* ofHistogram(fields: readonly ProtobufField[], budget: FieldBudget): Iterable<Reading> {
  yield* countAndSum(fields);
  const counts = packed(fields, 6, budget);
  const bounds = packed(fields, 7, budget);
  if (counts.length === 0 && bounds.length === 0) return;
  if (counts.length !== bounds.length + 1) corrupt(`${bounds.length + 1} buckets`, String(counts.length));
  let total = 0;
  for (const [index, count] of counts.entries()) {
    total += Number(count.getBigUint64(0, true));
    const bound = bounds[index]?.getFloat64(0, true);
    yield reading("bucket", total, bound === undefined ? "+Inf" : String(bound));
  }
}

function* ofSummary(fields: readonly ProtobufField[], budget: FieldBudget): Iterable<Reading> {
  yield* countAndSum(fields);
  for (const { number, bytes } of fields) {
    if (number !== 6) continue;
    const of = new Map(Array.from(fieldsOf(bytes, budget), (field) => [field.number, double(field.bytes)]));
    yield reading("quantile", of.get(2) ?? 0, String(of.get(1) ?? 0));
  }
}

function packed(fields: readonly ProtobufField[], wanted: number, budget: FieldBudget): readonly DataView[] {
  return fields.filter(({ number }) => number === wanted).flatMap(({ bytes }) => [...eights(bytes, budget)]);
}

function reading(part: ClientMetricPart, value: number, at = ""): Reading {
  return { part, at, value };
}

function attribute(bytes: Uint8Array, budget: FieldBudget): string {
  let key = "";
  let value = "";
  for (const field of fieldsOf(bytes, budget)) {
    if (field.number === 1) key = text(field.bytes);
    else if (field.number === 2) value = anyValue(field.bytes, budget);
  }
  return `${key}=${value}`;
}

function anyValue(bytes: Uint8Array, budget: FieldBudget): string {
  let value = "";
  for (const { number, bytes: content, integer } of fieldsOf(bytes, budget)) {
    if (number === 1) value = text(content);
    else if (number === 2) value = String(integer !== 0n);
    else if (number === 3) value = String(BigInt.asIntN(64, integer));
    else if (number === 4) value = String(double(content));
  }
  return value;
}
