/** What translation tests share: settings, batches of records, and a registry in memory. */
import type { Offset } from "../../src/base/ids.ts";
import { buildBatch, type NewBatch, type NewRecord } from "../../src/protocol/records.ts";
import {
  evolve,
  initialMapping,
  type MappingSource,
  type SchemaId,
  type SchemaText,
  type TableMapping,
} from "../../src/table/schema/schema-map.ts";
import type { DecodeMode, TableSettings } from "../../src/table/settings.ts";
import type { AddOutcome, RangeInput, Round, RoundPlan, Translator } from "../../src/table/translate/translate.ts";
import { InlineTranslator } from "../../src/table/translate/translate-inline.ts";
import type { RoundLimits } from "../../src/table/translate/translate-round.ts";

export const parquetOptions = {
  pageBytesMax: 1024 * 1024,
  pageRowsMax: 20_000,
  dictionaryBytesMax: 2 * 1024 * 1024,
  zstdLevel: 3,
  metricsColumnsMax: 100,
};

export const roundLimits: RoundLimits = {
  parquet: parquetOptions,
  rowGroupBytesMax: 16 * 1024 * 1024,
  openBytesMax: 64 * 1024 * 1024,
  inflateBytesMax: 64 * 1024 * 1024,
};

export function tableSettings(decode: DecodeMode, changes: Partial<TableSettings> = {}): TableSettings {
  return {
    topic: "orders",
    catalog: "main",
    namespace: ["sales"],
    table: "orders",
    create: true,
    location: null,
    formatVersion: 2,
    value: { decode, subject: null, onTypeChange: "dead-letter" },
    key: { decode: "raw" },
    headers: "list",
    metadataPrefix: "_kafka",
    metadataColumns: ["partition", "offset", "timestamp", "timestamp_type", "key", "headers"],
    partitionBy: [],
    mode: { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" },
    sortBy: [],
    commit: { everyMs: 1000, bytesMax: 1024 },
    errors: { policy: "dlq", deadLetterTable: "orders_dlq" },
    expire: { keepMs: 0, keepMin: 1 },
    retention: "wait",
    maintain: { rewrites: true, manifests: true, orphansMs: 0 },
    ...changes,
  };
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Confluent's wire format. */
export function withSchemaId(schemaId: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + payload.length);
  new DataView(bytes.buffer).setUint32(1, schemaId);
  bytes.set(payload, 5);
  return bytes;
}

export function batchOf(records: readonly Partial<NewRecord>[], options: Partial<NewBatch> = {}): Uint8Array {
  return buildBatch({
    ...options,
    records: records.map((record) => ({ timestamp: 1_700_000_000_000, key: null, value: null, ...record })),
  });
}

/** One batch as a whole range. */
export function rangeOf(
  records: readonly Partial<NewRecord>[],
  options: Partial<NewBatch> & { readonly partition?: number } = {},
): RangeInput {
  const from = options.baseOffset ?? 0;
  const batches = records.length === 0 ? [] : [batchOf(records, { ...options, baseOffset: from as Offset })];
  return { partition: options.partition ?? 0, batches, aborted: [], from, to: from + records.length };
}

export class Registry {
  readonly #schemas: SchemaText[] = [];

  /** Gives the schema its id. */
  register(type: SchemaText["type"], schema: unknown, references: SchemaText["references"] = []): number {
    const text = type === "PROTOBUF" ? String(schema) : JSON.stringify(schema);
    return this.#schemas.push({ type, text, references });
  }

  readonly schemaById = async (schemaId: SchemaId): Promise<SchemaText | undefined> =>
    this.#schemas[Number(schemaId) - 1];
}

export function inlineTranslator(registry = new Registry(), limits: Partial<RoundLimits> = {}): Translator {
  return new InlineTranslator({ limits: { ...roundLimits, ...limits }, schemaById: registry.schemaById });
}

export function grown(mapping: TableMapping, sources: readonly MappingSource[], settings: TableSettings): TableMapping {
  return sources.reduce((grownMapping, source) => evolve(grownMapping, source, settings).mapping, mapping);
}

export interface Translated {
  readonly mapping: TableMapping;
  readonly outcomes: readonly AddOutcome[];
  readonly result: Awaited<ReturnType<Round["finish"]>>;
}

/** As the committer does it: a round that needs a schema ends, and another begins under the grown mapping. */
export async function translateAll(
  translator: Translator,
  settings: TableSettings,
  ranges: readonly RangeInput[],
  plan: Partial<RoundPlan> = {},
): Promise<Translated> {
  let mapping = plan.mapping ?? initialMapping(settings);
  for (let turn = 0; turn < 20; turn += 1) {
    await using round = translator.beginRound({
      spec: { "spec-id": 0, fields: [] },
      targetFileBytes: 1 << 30,
      ...plan,
      mapping,
      settings,
    });
    const outcomes: AddOutcome[] = [];
    for (const range of ranges) {
      const outcome = await round.add(range);
      if (outcome.kind === "needs-schema") {
        mapping = grown(mapping, outcome.sources, settings);
        break;
      }
      outcomes.push(outcome);
    }
    if (outcomes.length === ranges.length) return { mapping, outcomes, result: await round.finish() };
  }
  throw new Error("the mapping grows without end");
}
