/** What an update of a table must be for every reader to read the table afterwards: where Java's refuse, so do we. Pure. */
import type { SnapshotRef, SortOrder, TableMetadata } from "./metadata.ts";
import { visitFields } from "./schema-ids.ts";
import type { PartitionField, Schema } from "./types.ts";

/** By how much the history may go back in time: Java reads no table in which it goes further. */
export const skewMsMax = 60_000;

/** What Java's readers refuse a table for. */
export function unfitRef(ref: SnapshotRef): string | undefined {
  const { "min-snapshots-to-keep": count, "max-snapshot-age-ms": age, "max-ref-age-ms": refAge, type } = ref;
  if (type !== "branch" && type !== "tag") return `${String(type)} is neither branch nor tag`;
  if (type === "tag" && (count !== undefined || age !== undefined)) return "a tag has no history to keep";
  const isKept = [count, age, refAge].every((each = 1) => Number.isSafeInteger(each) && each > 0);
  return isKept ? undefined : "what is kept must be whole numbers above 0";
}

/** An id that two fields have. */
export function idTwice(schema: Schema): number | undefined {
  const ids = new Set<number>();
  let twice: number | undefined;
  visitFields(schema, (id) => {
    if (ids.has(id)) twice ??= id;
    ids.add(id);
  });
  return twice;
}

export function isPartitionField(metadata: TableMetadata, field: PartitionField): boolean {
  const { "field-id": id = 1000, name } = field as Partial<PartitionField>; // An id may be left to the table.
  return typeof name === "string" && Number.isSafeInteger(id) && isOfColumn(metadata, field);
}

export function isSortField(metadata: TableMetadata, field: SortOrder["fields"][number]): boolean {
  const isDirected = ["asc", "desc"].includes(field.direction);
  return isDirected && ["nulls-first", "nulls-last"].includes(field["null-order"]) && isOfColumn(metadata, field);
}

/** A column that any schema has: the current one may be set behind it. */
function isOfColumn(
  { schemas }: TableMetadata,
  { "source-id": source, transform }: Pick<PartitionField, "source-id" | "transform">,
): boolean {
  let isKnown = false;
  for (const schema of schemas)
    visitFields(schema, (id) => {
      isKnown ||= id === source;
    });
  return typeof transform === "string" && (isKnown || transform === "void");
}
