/** A create-table request as the updates that make up the table. Pure. */
import { BadRequest, objectOf, propertiesAt, schemaOf } from "../catalog-wire.ts";
import { isJsonObject, type Json, type JsonObject, renderJson } from "../iceberg/json.ts";
import type { SortOrder } from "../iceberg/metadata.ts";
import { assignFreshIds } from "../iceberg/schema-ids.ts";
import type { PartitionField } from "../iceberg/types.ts";
import type { Update } from "../iceberg/updates.ts";

/** Field ids are given anew, as the reference does: engines send ids of their own making. */
export function creationOf(body: JsonObject, uuid: string, location: string): readonly Update[] {
  const { schema, renamed } = assignFreshIds(schemaOf(body["schema"]));
  const { "format-version": version = "2", ...given } = propertiesAt(body, "properties");
  return [
    { action: "assign-uuid", uuid },
    { action: "upgrade-format-version", "format-version": Number(version) },
    { action: "add-schema", schema },
    { action: "set-current-schema", "schema-id": -1 },
    { action: "add-spec", spec: { "spec-id": 0, fields: partitionFields(body["partition-spec"], renamed) } },
    { action: "set-default-spec", "spec-id": -1 },
    { action: "add-sort-order", "sort-order": { "order-id": 1, fields: sortFields(body["write-order"], renamed) } },
    { action: "set-default-sort-order", "sort-order-id": -1 },
    { action: "set-location", location },
    { action: "set-properties", updates: { ...ofNewTables, ...withoutReserved(given) } },
  ];
}

/** What Java's writers take when a table says nothing is older than what they recommend: the reference has new tables say it. */
const ofNewTables = { "write.parquet.compression-codec": "zstd" };

/** Ways to say in a request what stands elsewhere in the metadata. */
const reserved: ReadonlySet<string> = new Set([
  "uuid",
  "snapshot-count",
  "current-snapshot-id",
  "current-snapshot-summary",
  "current-snapshot-timestamp-ms",
  "current-schema",
  "default-partition-spec",
  "default-sort-order",
]);

function withoutReserved(properties: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !reserved.has(name)));
}

/** Partition field ids begin at 1000 in a new table, whatever the client thought. */
function partitionFields(spec: Json | undefined, renamed: ReadonlyMap<number, number>): readonly PartitionField[] {
  return fieldsOf(spec).map((field, index) => {
    return { ...field, "source-id": sourceOf(field, renamed), "field-id": 1000 + index } as unknown as PartitionField;
  });
}

function sortFields(order: Json | undefined, renamed: ReadonlyMap<number, number>): SortOrder["fields"] {
  return fieldsOf(order).map((field) => {
    return { ...field, "source-id": sourceOf(field, renamed) } as unknown as SortOrder["fields"][number];
  });
}

function fieldsOf(json: Json | undefined): readonly JsonObject[] {
  const fields = isJsonObject(json) ? (json["fields"] ?? []) : [];
  if (!Array.isArray(fields)) throw new BadRequest("fields must be a list");
  return (fields as readonly Json[]).map((field) => objectOf(field, "a field"));
}

function sourceOf(field: JsonObject, renamed: ReadonlyMap<number, number>): number {
  const source = renamed.get(field["source-id"] as number);
  if (source === undefined)
    throw new BadRequest(`there is no field ${renderJson(field["source-id"] ?? null)} in the schema`);
  return source;
}
