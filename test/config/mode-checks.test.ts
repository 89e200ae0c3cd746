/** Proves: a write mode that could not be right is refused at the start, with a way out. */
import { describe, expect, test } from "vitest";
import { modeProblems } from "../../src/config/mode-checks.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { tableSettings } from "../table/translate-fixtures.ts";

const append: WriteMode = { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" };

function problems(mode: Partial<WriteMode>, settings: Partial<TableSettings> = {}): readonly string[] {
  const table = tableSettings("schema-id", { ...settings, mode: { ...append, ...mode } });
  return modeProblems(table).map(({ at }) => at.join("."));
}

const cdc = { write: "cdc", envelope: "debezium" } as const;
const json = { value: { decode: "json", subject: null, onTypeChange: "dead-letter" } } as const;
const text = { value: { decode: "string", subject: null, onTypeChange: "dead-letter" } } as const;

const nested = {
  value: { decode: "json", subject: null, onTypeChange: "dead-letter", layout: "nested" },
} as const satisfies Partial<TableSettings>;
const field = (column: string) => ({ column, transform: "identity" }) as const;

describe("a write mode", () => {
  test.each<[string, Partial<WriteMode>, Partial<TableSettings>]>([
    ["append", {}, {}],
    ["upsert by the Kafka key", { write: "upsert" }, {}],
    ["upsert of texts by the Kafka key", { write: "upsert" }, text],
    ["cdc by the Kafka key", cdc, {}],
    ["upsert by columns, tombstones ignored", { write: "upsert", key: ["id"], tombstone: "ignore" }, json],
    [
      "upsert by columns that the key's schema has too",
      { write: "upsert", key: ["a", "b"] },
      { key: { decode: "schema-id" } },
    ],
    ["upsert by columns that a JSON key has too", { write: "upsert", key: ["a", "b"] }, { key: { decode: "json" } }],
    ["nested values by the Kafka key", { write: "upsert" }, { ...nested, partitionBy: [field("value.day")] }],
    ["nested values by metadata", {}, { ...nested, partitionBy: [field("_kafka_timestamp")] }],
    ["upsert by one text", { write: "upsert", key: ["id"] }, { key: { decode: "string" } }],
  ])("passes: %s", (_name, mode, settings) => {
    expect(problems(mode, settings)).toEqual([]);
  });

  test.each<[string, Partial<WriteMode>, Partial<TableSettings>, string]>([
    ["nested keys that identify", { write: "upsert" }, { key: { decode: "json", columns: "nested" } }, "key.columns"],
    ["columns inside another", { write: "upsert", key: ["id"], tombstone: "ignore" }, nested, "mode.key"],
    ["a nested column without its path", {}, { ...nested, partitionBy: [field("day")] }, "layout.partition_by"],
    ["append with a key", { key: ["id"] }, {}, "mode.key"],
    ["append with an envelope", { envelope: "debezium" }, {}, "mode.envelope"],
    ["cdc without an envelope", { write: "cdc" }, {}, "mode.envelope"],
    ["upsert with an envelope", { write: "upsert", envelope: "debezium" }, {}, "mode.envelope"],
    ["an envelope in text", cdc, text, "mode.envelope"],
    ["columns of a text", { write: "upsert", key: ["id"], tombstone: "ignore" }, text, "mode.key"],
    ["the Kafka key without its column", { write: "upsert" }, { metadataColumns: ["offset"] }, "mode.key"],
    ["a column named twice", { write: "upsert", key: ["id", "id"], tombstone: "ignore" }, json, "mode.key"],
    ["tombstones whose bytes name no row", { write: "upsert", key: ["id"] }, json, "mode.tombstone"],
    ["one text for two columns", { write: "upsert", key: ["a", "b"] }, { key: { decode: "string" } }, "mode.tombstone"],
  ])("is refused: %s", (_name, mode, settings, at) => {
    expect(problems(mode, settings)).toEqual([at]);
  });
});
