/** What makes up a new table: schema, spec, properties, as updates. Pure. */
import { deadLetterSchema } from "./dead-letters.ts";
import type { TableMetadata } from "./iceberg/metadata.ts";
import { highestFieldId, isSameSchema } from "./iceberg/schema-ids.ts";
import { transformResultType } from "./iceberg/transforms.ts";
import type { IcebergType, NestedField, PartitionField, PartitionSpec, Schema, Transform } from "./iceberg/types.ts";
import type { Update } from "./iceberg/updates.ts";
import type { TableSettings } from "./settings.ts";

export function creationUpdates(options: {
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly spec: PartitionSpec;
  readonly location: string | null;
  /** Its rows change. */
  readonly hasKey?: boolean;
}): readonly Update[] {
  return [
    { action: "add-schema", schema: options.schema, "last-column-id": options.lastColumnId },
    { action: "set-current-schema", "schema-id": -1 },
    { action: "add-spec", spec: options.spec },
    { action: "set-default-spec", "spec-id": -1 },
    { action: "add-sort-order", "sort-order": { "order-id": 0, fields: [] } },
    { action: "set-default-sort-order", "sort-order-id": -1 },
    ...(options.location === null ? [] : [{ action: "set-location", location: options.location } as const]),
    {
      action: "set-properties",
      updates: {
        "write.format.default": "parquet",
        "write.parquet.compression-codec": "zstd",
        // A commit writes the metadata anew: without these, a table's directory grows by a file a commit for ever.
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "100",
        // Engines that change rows of such a table do as we do: they leave files alone and write deletes beside them.
        ...(options.hasKey === true ? mergeOnRead : {}),
      },
    },
  ];
}

const mergeOnRead = {
  "write.upsert.enabled": "true",
  "write.delete.mode": "merge-on-read",
  "write.update.mode": "merge-on-read",
  "write.merge.mode": "merge-on-read",
};

/** Columns that are not there yet (their schema has not been met) come later; what can never be is refused. */
export function specFor(
  settings: TableSettings,
  schema: Schema,
): { readonly kind: "ok"; readonly spec: PartitionSpec } | { readonly kind: "refused"; readonly reason: string } {
  const fields: PartitionField[] = [];
  for (const { column, transform } of settings.partitionBy) {
    const source = fieldNamed(schema.fields, column);
    if (source === undefined) continue;
    const fits = typeof source.type === "string" && transformResultType(transform, source.type) !== undefined;
    if (!fits) return { kind: "refused", reason: `${transform}(${column}) does not apply to ${shown(source.type)}` };
    const name = partitionName(column, transform);
    fields.push({ "source-id": source.id, "field-id": 1000 + fields.length, name, transform });
  }
  return { kind: "ok", spec: { "spec-id": 0, fields } };
}

/**
 * A table with a key is made without partitions and is given them right after, so that it has a spec for deletes that reach
 * all of them; to one that was made otherwise the spec is added.
 */
export function deleteSpecUpdates(base: TableMetadata): readonly Update[] {
  if (unpartitionedSpec(base) !== undefined) return [];
  return [{ action: "add-spec", spec: { "spec-id": base["default-spec-id"] + 1, fields: [] } }];
}

/** Spec updates for a table whose columns have come to include more of what it is to be partitioned by. */
export function specUpdates(base: TableMetadata, wanted: PartitionSpec): readonly Update[] {
  const present = base["partition-specs"].find((spec) => spec["spec-id"] === base["default-spec-id"]);
  if (present === undefined || present.fields.length >= wanted.fields.length) return [];
  const known = base["partition-specs"].flatMap((spec) => spec.fields);
  let last = base["last-partition-id"];
  const fields = wanted.fields.map((field) => {
    const same = known.find((each) => each["source-id"] === field["source-id"] && each.transform === field.transform);
    if (same !== undefined) return same; // Rule G8.
    last += 1;
    return { ...field, "field-id": last };
  });
  return [
    { action: "add-spec", spec: { "spec-id": base["default-spec-id"] + 1, fields } },
    { action: "set-default-spec", "spec-id": -1 },
  ];
}

/** The spec for deletes that reach every partition; undefined when the table has none. */
export function unpartitionedSpec(metadata: TableMetadata): PartitionSpec | undefined {
  return metadata["partition-specs"].find((spec) => spec.fields.length === 0);
}

export function deadLetterCreation(): readonly Update[] {
  const lastColumnId = highestFieldId(deadLetterSchema);
  return creationUpdates({
    schema: deadLetterSchema,
    lastColumnId,
    spec: { "spec-id": 0, fields: [] },
    location: null,
  });
}

export function currentSchema(metadata: TableMetadata): Schema {
  const id = metadata["current-schema-id"];
  return metadata.schemas.find((schema) => schema["schema-id"] === id) as Schema; // Checked when it was read.
}

export function defaultSpec(metadata: TableMetadata): PartitionSpec {
  const id = metadata["default-spec-id"];
  return metadata["partition-specs"].find((spec) => spec["spec-id"] === id) as PartitionSpec; // Checked likewise.
}

export function hasSchema(metadata: TableMetadata, schema: Schema): boolean {
  return isSameSchema(currentSchema(metadata), schema);
}

/** "a.b" is the field b of the struct a, unless there is a column of that very name. */
function fieldNamed(fields: readonly NestedField[], path: string): NestedField | undefined {
  const exact = fields.find((field) => field.name === path);
  if (exact !== undefined) return exact;
  const dot = path.indexOf(".");
  const outer = fields.find((field) => field.name === path.slice(0, dot));
  const inner = typeof outer?.type === "object" && outer.type.type === "struct" ? outer.type.fields : [];
  return dot < 0 ? undefined : fieldNamed(inner, path.slice(dot + 1));
}

/** As the reference names them: day(ts) is ts_day, bucket[16](id) is id_bucket_16. */
function partitionName(column: string, transform: Transform): string {
  const name = column.replaceAll(".", "_");
  if (transform === "identity") return name;
  return `${name}_${transform.replace("[", "_").replace("]", "")}`.replace(/_truncate_(\d+)$/, "_trunc_$1");
}

function shown(type: IcebergType): string {
  return typeof type === "string" ? type : `a ${type.type}`;
}
