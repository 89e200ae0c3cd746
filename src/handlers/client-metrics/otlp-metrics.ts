/**
 * Reads what clients push (KIP-714): OpenTelemetry's MetricsData, a protobuf message, as far as clients use it. Pure.
 *
 *   MetricsData 1* ResourceMetrics 2* ScopeMetrics 2* Metric
 *   Metric      1 name · 5 Gauge · 7 Sum          (histograms, 9 and up, are left out)
 *   Gauge, Sum  1* NumberDataPoint · 2 temporality (1: since the last push, 2: since the start)
 *   NumberDataPoint  4 double · 6 sfixed64 · 7* KeyValue
 *   KeyValue    1 key · 2 AnyValue (1 string · 2 bool · 3 int · 4 double)
 */
import { ByteReader } from "../../base/bytes.ts";

export interface ClientMetricPoint {
  readonly metric: string;
  /** `key=value`, sorted, with commas between. */
  readonly attributes: string;
  readonly value: number;
  /** A sum's growth since the last push, not its value. */
  readonly isDelta: boolean;
}

const source = "pushed client metrics";
/** Longer names and attributes are cut: they become labels. */
const labelCharactersMax = 200;
const temporalityDelta = 1n;

/** Throws CorruptData. Points past `pointsMax` are left out. */
export function readClientMetrics(
  bytes: Uint8Array,
  limits: { readonly pointsMax: number },
): readonly ClientMetricPoint[] {
  const points: ClientMetricPoint[] = [];
  for (const resource of messages(bytes, 1)) {
    for (const scope of messages(resource, 2)) {
      for (const metric of messages(scope, 2)) {
        for (const point of metricPoints(metric)) {
          if (points.length >= limits.pointsMax) return points;
          points.push(point);
        }
      }
    }
  }
  return points;
}

function* metricPoints(bytes: Uint8Array): Iterable<ClientMetricPoint> {
  let metric = "";
  const sets: Uint8Array[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) metric = text(field.bytes);
    else if (field.number === 5 || field.number === 7) sets.push(field.bytes);
  }
  for (const set of sets) {
    const fields = [...fieldsOf(set)];
    const isDelta = fields.some(({ number, integer }) => number === 2 && integer === temporalityDelta);
    for (const { number, bytes: point } of fields) {
      if (number === 1) yield { metric, isDelta, ...numberPoint(point) };
    }
  }
}

function numberPoint(bytes: Uint8Array): Pick<ClientMetricPoint, "value" | "attributes"> {
  let value = 0;
  const attributes: string[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 4) value = double(field.bytes);
    else if (field.number === 6) value = Number(view(field.bytes, 8).getBigInt64(0, true));
    else if (field.number === 7) attributes.push(attribute(field.bytes));
  }
  return { value, attributes: attributes.sort().join(",").slice(0, labelCharactersMax) };
}

function attribute(bytes: Uint8Array): string {
  let key = "";
  let value = "";
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) key = text(field.bytes);
    else if (field.number === 2) value = anyValue(field.bytes);
  }
  return `${key}=${value}`;
}

function anyValue(bytes: Uint8Array): string {
  let value = "";
  for (const { number, bytes: content, integer } of fieldsOf(bytes)) {
    if (number === 1) value = text(content);
    else if (number === 2) value = String(integer !== 0n);
    else if (number === 3) value = String(BigInt.asIntN(64, integer));
    else if (number === 4) value = String(double(content));
  }
  return value;
}

function* messages(bytes: Uint8Array, wanted: number): Iterable<Uint8Array> {
  for (const { number, bytes: content } of fieldsOf(bytes)) if (number === wanted) yield content;
}

interface ProtobufField {
  readonly number: number;
  /** Of a varint; else 0. */
  readonly integer: bigint;
  /** Of everything else; else none. */
  readonly bytes: Uint8Array;
}

const none = new Uint8Array();

function* fieldsOf(bytes: Uint8Array): Iterable<ProtobufField> {
  const reader = new ByteReader(bytes, { source });
  while (reader.remaining > 0) {
    const tag = reader.uvarint();
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) yield { number, integer: varint(reader), bytes: none };
    else if (wire === 1) yield { number, integer: 0n, bytes: reader.view(8) };
    else if (wire === 2) yield { number, integer: 0n, bytes: reader.view(reader.uvarint()) };
    else if (wire === 5) yield { number, integer: 0n, bytes: reader.view(4) };
    else reader.corrupt("a wire type of protobuf", String(wire));
  }
}

/** Ten bytes at most hold 64 bits. */
function varint(reader: ByteReader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.uint8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  return reader.corrupt("a varint of at most 10 bytes", "more");
}

function double(bytes: Uint8Array): number {
  return view(bytes, 8).getFloat64(0, true);
}

function view(bytes: Uint8Array, length: number): DataView {
  if (bytes.length !== length) new ByteReader(bytes, { source }).corrupt(`${length} bytes`, String(bytes.length));
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString().slice(0, labelCharactersMax);
}
