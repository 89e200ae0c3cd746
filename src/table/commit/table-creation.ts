/** What makes up a new table: schema, spec, properties, as updates. Pure. */

import type { FormatVersion } from "../../../schemas/iceberg.ts";
import type { SortOrder, TableMetadata } from "../iceberg/metadata.ts";
import { highestFieldId, isSameSchema } from "../iceberg/schema-ids.ts";
import type { PartitionSpec, Schema } from "../iceberg/types.ts";
import type { Update } from "../iceberg/updates.ts";
import type { TableMapping } from "../schema/schema-map.ts";
import { deadLetterSchema } from "../translate/dead-letters.ts";

export function creationUpdates(options: {
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly spec: PartitionSpec;
  /** Absent: unsorted. */
  readonly order?: SortOrder;
  readonly location: string | null;
  /** 2 when left out. */
  readonly formatVersion?: FormatVersion;
  /** Its rows change. */
  readonly hasKey?: boolean;
}): readonly Update[] {
  return [
    { action: "upgrade-format-version", "format-version": options.formatVersion ?? 2 },
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
        // Engines that change rows of such a table do as we do: they leave files alone and write deletes beside them.
        ...(options.hasKey === true ? mergeOnRead : {}),
      },
    },
  ];
}

/** What brings a table of an earlier version to the one that is wanted. */
export function versionUpdates(base: TableMetadata, wanted: FormatVersion): readonly Update[] {
  if (base["format-version"] >= wanted) return [];
  return [{ action: "upgrade-format-version", "format-version": wanted }];
}

const mergeOnRead = {
  "write.upsert.enabled": "true",
  "write.delete.mode": "merge-on-read",
  "write.update.mode": "merge-on-read",
  "write.merge.mode": "merge-on-read",
};

/**
 * A table with a key is made without partitions and is given them right after, so that it has a spec for deletes that reach
 * all of them; to one that was made otherwise the spec is added.
 */
export function deleteSpecUpdates(base: TableMetadata, { rowKey }: TableMapping): readonly Update[] {
  if (rowKey === undefined || unpartitionedSpec(base) !== undefined) return [];
  return [{ action: "add-spec", spec: { "spec-id": base["default-spec-id"] + 1, fields: [] } }];
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
