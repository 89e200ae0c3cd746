/** A Debezium envelope under a JSON Schema, as Kafka Connect's converter for the registry writes it. */
import type { StructNode } from "../parquet/columns.ts";
import { envelopeField } from "../schema/schema-map-keys.ts";
import { nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { SchemaEnvelope } from "./debezium.ts";
import { type JsonEnvelope, readJsonEnvelope } from "./debezium-json.ts";
import { compileJson } from "./json.ts";
import { careOf, compileJsonValue, type JsonTarget, readJson } from "./json-record.ts";

export interface JsonSchemaEnvelopeTarget extends JsonTarget {
  readonly node: StructNode;
  /** The row's key columns alone; undefined when the Kafka key identifies rows. */
  readonly key: StructNode | undefined;
  /** Paths of the row's fields whose values are not wanted. */
  readonly excluded: ReadonlySet<string>;
}

/** `source` is what the mapping has accepted as an envelope. */
export function compileJsonSchemaEnvelope(source: SourceType, target: JsonSchemaEnvelopeTarget): SchemaEnvelope {
  const { key, bound, excluded } = target;
  const row = envelopeField(source, "after") ?? nothing;
  const put = compileJsonValue(target, { source: row, isStrict: true, mayGrow: false, excluded });
  const care = careOf(target, row);
  // The other fields of a row that goes are misfits to nobody.
  const site = { bound, misfits: { count: 0 }, isStrict: false };
  const putKey = key === undefined ? undefined : compileJson(key, envelopeField(source, "before"), site);
  let text: Uint8Array = new Uint8Array(0);
  let at = 0;
  let envelope: JsonEnvelope | undefined;
  return {
    open(bytes, start) {
      text = bytes;
      at = start;
      envelope = readJsonEnvelope(readJson(bytes, start, care));
      return envelope.change;
    },
    get hasBefore() {
      return envelope?.before !== undefined;
    },
    get hasAfter() {
      return envelope?.after !== undefined;
    },
    putBeforeKey: () => putKey?.(envelope?.before, 0),
    putAfter() {
      put(envelope?.after, () => readJsonEnvelope(readJson(text, at, "all")).after);
    },
  };
}
