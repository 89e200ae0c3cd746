/** What makes up a new table: schema, spec, properties, as updates. Pure. */
import { deadLetterSchema } from "./dead-letters.ts";
import type { SortOrder, TableMetadata } from "./iceberg/metadata.ts";
import { highestFieldId, isSameSchema } from "./iceberg/schema-ids.ts";
import type { PartitionSpec, Schema } from "./iceberg/types.ts";
import type { Update } from "./iceberg/updates.ts";

export function creationUpdates(options: {
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly spec: PartitionSpec;
  /** Absent: unsorted. */
  readonly order?: SortOrder;
  readonly location: string | null;
}): readonly Update[] {
  return [
    { action: "add-schema", schema: options.schema, "last-column-id": options.lastColumnId },
    { action: "set-current-schema", "schema-id": -1 },
    { action: "add-spec", spec: options.spec },
    { action: "set-default-spec", "spec-id": -1 },
    { action: "add-sort-order", "sort-order": options.order ?? { "order-id": 0, fields: [] } },
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
      },
    },
  ];
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
