/** The blocks `lake.catalogs` and `topics`: their shapes, and what becomes of them. */
import type { MetadataColumn, TableSettings } from "../table/settings.ts";
import { hasPlainNames } from "./catalog-checks.ts";
import { type CatalogSettings, catalogShape } from "./catalogs.ts";
import { overridesOf, overridesShape } from "./column-overrides.ts";
import { parsePartitionField, partitionPattern, showPartitionField } from "./partition-field.ts";
import { keySettings, keyShape, valueSettings, valueShape } from "./record-parts.ts";
import {
  boolean,
  bytes,
  integer,
  list,
  ms,
  object,
  oneOf,
  optionalText,
  parsed,
  record,
  text,
  type ValueOf,
} from "./shape.ts";
import { parseSortBy, showSortBy, sortPattern } from "./sort-field.ts";
import { tableNameOf } from "./table-name.ts";

const metadataColumns = ["partition", "offset", "timestamp", "timestamp_type", "key", "headers"] as const;

const topicShape = object(
  "A topic that becomes a table.",
  {
    table: object(
      "Which table.",
      {
        catalog: text({
          default: "",
          doc: "Key of lake.catalogs; empty is as lake.tables.catalog says, or the only one.",
        }),
        name: text({ default: "", doc: "Namespace and name, joined by dots; empty is as lake.tables.name says." }),
        create: boolean({ default: true, doc: "Whether to create the table when the catalog has none." }),
        begin: oneOf(["earliest", "latest"], {
          default: "earliest",
          doc: "Where a new table begins: with all that the topic holds, or with what comes then; inlet table backfill brings the rest.",
        }),
        location: optionalText({ doc: "Root of the table's files; null lets the catalog choose." }),
        format_version: integer({
          default: 2,
          min: 2,
          max: 3,
          doc: "Of Iceberg. 3 gives every row an id; a table of 2 is upgraded to it, and never taken back.",
        }),
      },
      ["adopt", "on_topic_delete"],
    ),
    value: valueShape,
    key: keyShape,
    headers: object(
      "Record headers.",
      { as: oneOf(["list", "none"], { default: "list", doc: "A list of key and value pairs, or no column." }) },
      ["value"],
    ),
    columns: object("Columns that are to be other than they would be.", {
      metadata: object("Columns about the record.", {
        prefix: parsed(
          {
            doc: "Begins the name of each; an underscore joins.",
            typeName: "text",
            pattern: namePattern(),
            placeholder: "_kafka",
            default: "_kafka",
          },
          (value) =>
            new RegExp(namePattern()).test(value)
              ? { kind: "value", value }
              : { kind: "refused", mustBe: "letters, digits and underscores, not beginning with a digit" },
          (value) => value,
        ),
        include: list("Which of them.", oneOf(metadataColumns, { doc: "A metadata column." }), metadataColumns),
      }),
      overrides: overridesShape,
    }),
    mode: object(
      "What a record does to the table's rows. Fixed once the table is made.",
      {
        write: oneOf(["append", "upsert", "cdc"], {
          default: "append",
          doc: "append adds a row, upsert replaces the row of its key, cdc does what the value's envelope says.",
        }),
        key: list(
          "Columns of the value that identify a row; none: the Kafka key does.",
          text({ default: "", doc: "Name of a field at the top of the value." }),
          [],
        ),
        envelope: oneOf(["none", "debezium", "op-field"], {
          default: "none",
          doc: "For cdc: Debezium's op, before and after; or one field of the value that says insert, update or delete.",
        }),
        op_field: text({
          default: "op",
          doc: "Name of that field: c, r, u, i or a word of them, and d or delete; __deleted is true or false.",
        }),
        tombstone: oneOf(["delete", "ignore"], {
          default: "delete",
          doc: "A record without a value deletes the row of its key, or does nothing.",
        }),
      },
      ["deletes"],
    ),
    layout: object(
      "How files are laid out.",
      {
        partition_by: list(
          "Partition fields, in order: column, year(c), month(c), day(c), hour(c), bucket(16, c), truncate(4, c).",
          parsed(
            {
              doc: "A partition field.",
              typeName: "partition transform",
              pattern: partitionPattern,
              placeholder: { column: "", transform: "void" },
            },
            parsePartitionField,
            showPartitionField,
          ),
          [],
        ),
        sort_by: list(
          "Columns that the rows of each data file are sorted by: c, c desc, c desc nulls last.",
          parsed(
            {
              doc: "A column to sort by.",
              typeName: "sort column",
              pattern: sortPattern,
              placeholder: { column: "", direction: "asc", nulls: "first" },
            },
            parseSortBy,
            showSortBy,
          ),
          [],
        ),
      },
      ["target_file", "event_time"],
    ),
    commit: object("When the table is committed.", {
      every: ms({
        default: 30_000,
        min: 1000,
        max: 86_400_000,
        doc: "Longest time between commits while records come.",
      }),
      max_bytes: bytes({
        default: 512 * 2 ** 20,
        min: 2 ** 20,
        doc: "A commit is made sooner when this many log bytes wait.",
      }),
    }),
    errors: object(
      "What becomes of records that cannot be decoded.",
      {
        policy: oneOf(["suspend", "skip", "dlq"], {
          default: "dlq",
          doc: "suspend stops the table, skip drops and counts the record, dlq keeps it in the dead-letter table.",
        }),
        dlq: object("Where they are kept.", {
          table: text({
            default: "",
            doc: "Name of the dead-letter table in the same catalog; empty is <name>_dlq.",
          }),
          topic: text({
            default: "",
            doc: "Topic that dead letters go into as well, made when it is not there; empty is none.",
          }),
        }),
      },
      ["max_rate"],
    ),
    retention: object("What the topic's retention makes of records that are not in the table yet.", {
      lake: oneOf(["wait", "alarm", "off"], {
        default: "wait",
        doc: "wait: they stay until they are. alarm: they go when they are due, and are counted. off: they go. Cleaning of compacted topics waits unless off.",
      }),
    }),
    maintain: object(
      "Upkeep of the table.",
      {
        expire: ms({ default: 7 * 86_400_000, min: 60_000, doc: "Age at which snapshots expire." }),
        keep: integer({ default: 10, min: 1, max: 100_000, doc: "Snapshots that are kept whatever their age." }),
        compact: oneOf(["auto", "off"], {
          default: "auto",
          doc: "auto: small files are rewritten and deletes resolved in the background. off: others do that, or nobody.",
        }),
        manifests: oneOf(["as-compact", "auto", "off"], {
          default: "as-compact",
          doc: "auto: manifests are written again, by partition, where commits alone do not keep them few. off: they are not. as-compact: what compact says.",
        }),
        orphans: ms({
          default: 7 * 86_400_000,
          min: 0,
          doc: "Age at which files that nothing names are removed; longer than any commit or query takes. 0: never.",
        }),
      },
      ["ttl"],
    ),
  },
  ["quality", "backfill", "copies"],
);

export const lakeShape = object("Where tables live.", {
  catalogs: record(
    "Catalogs by a name that topics refer to. None: one named main, of type embedded.",
    "name",
    catalogShape,
  ),
  tables: object("What a topic does not say of its table.", {
    catalog: text({ default: "", doc: "Key of lake.catalogs." }),
    name: text({
      default: "kafka.{topic}",
      doc: "Template of namespace and name: {topic}, {topic.first} and {topic.rest} (before and after its first dot); other characters than letters, digits and _ become _, in lower case where the catalog knows no other.",
    }),
  }),
});

export const topicsShape = record("Topics that become tables.", "topic", topicShape);

export function tableSettings(
  topic: string,
  value: ValueOf<typeof topicShape>,
  lake: {
    readonly catalogs: ReadonlyMap<string, CatalogSettings>;
    readonly tables: ValueOf<typeof lakeShape>["tables"];
  },
): TableSettings {
  const [only, ...more] = lake.catalogs.keys();
  const preset = lake.tables.catalog === "" && more.length === 0 ? (only ?? "") : lake.tables.catalog;
  const catalog = value.table.catalog === "" ? preset : value.table.catalog;
  const template = value.table.name === "" ? lake.tables.name : value.table.name;
  const isLowerCase = hasPlainNames(lake.catalogs.get(catalog));
  const parts = tableNameOf(template, topic, { isLowerCase }).split(".");
  const included = value.columns.metadata.include.filter(
    (column) => column !== "headers" || value.headers.as === "list",
  );
  const overrides = overridesOf(value.columns.overrides);
  return {
    topic,
    catalog,
    namespace: parts.slice(0, -1),
    table: parts.at(-1) as string,
    create: value.table.create,
    ...(value.table.begin === "latest" ? { begin: "latest" as const } : {}),
    location: value.table.location,
    formatVersion: value.table.format_version === 3 ? 3 : 2,
    value: valueSettings(value.value),
    key: keySettings(value.key),
    headers: value.headers.as,
    metadataPrefix: value.columns.metadata.prefix,
    metadataColumns: included satisfies readonly MetadataColumn[],
    ...(overrides === undefined ? {} : { overrides }),
    partitionBy: value.layout.partition_by,
    mode: {
      write: value.mode.write,
      key: value.mode.key,
      envelope: value.mode.envelope,
      opField: value.mode.op_field,
      tombstone: value.mode.tombstone,
    },
    sortBy: value.layout.sort_by,
    commit: { everyMs: value.commit.every, bytesMax: value.commit.max_bytes },
    errors: {
      policy: value.errors.policy,
      deadLetterTable: value.errors.dlq.table === "" ? `${parts.at(-1) as string}_dlq` : value.errors.dlq.table,
      ...(value.errors.policy !== "dlq" || value.errors.dlq.topic === ""
        ? {}
        : { deadLetterTopic: value.errors.dlq.topic }),
    },
    expire: { keepMs: value.maintain.expire, keepMin: value.maintain.keep },
    retention: value.retention.lake,
    maintain: {
      rewrites: value.maintain.compact === "auto",
      manifests: [value.maintain.manifests, value.maintain.compact].find((word) => word !== "as-compact") === "auto",
      orphansMs: value.maintain.orphans,
    },
  };
}

function namePattern(): string {
  return "^[A-Za-z_][A-Za-z0-9_]*$";
}
