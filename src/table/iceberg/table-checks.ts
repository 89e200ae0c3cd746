/**
 * What a table must be for Java's readers to load it: asked of what a commit has changed, so that a table which others left unfit
 * can still be written to. Pure.
 */
import type { SortOrder, TableMetadata } from "./metadata.ts";
import { transformResultType, transformWidth } from "./transforms.ts";
import type { IcebergType, PartitionField, PrimitiveType, Schema, Transform } from "./types.ts";

/** Why they would refuse it. */
export function unfitTable(base: TableMetadata | undefined, metadata: TableMetadata): string | undefined {
  const before = new Set(base?.schemas);
  for (const schema of metadata.schemas) {
    const unfit = before.has(schema) ? undefined : unfitSchema(schema, metadata["format-version"]);
    if (unfit !== undefined) return unfit;
  }
  const isSame = layoutFields.every((name) => base?.[name] === metadata[name]);
  return isSame ? undefined : unfitLayout(metadata);
}

const layoutFields = [
  "current-schema-id",
  "partition-specs",
  "default-spec-id",
  "sort-orders",
  "default-sort-order-id",
] as const;

interface Placed {
  readonly type: IcebergType;
  readonly required: boolean;
  readonly initialDefault: unknown;
  /** Nothing but structs around it. */
  readonly isSingle: boolean;
  /** And these are required. */
  readonly isAlways: boolean;
  /** With the names around it, joined by dots. */
  readonly path: string;
}

function unfitSchema(schema: Schema, version: number): string | undefined {
  const fields = fieldsOf(schema);
  for (const { type, path, initialDefault } of fields.values()) {
    if (version > 2) break;
    if (typeof type === "string" && sinceVersion3.test(type))
      return `Invalid type for ${path}: ${type} is not supported until v3`;
    if (initialDefault !== null) return `Invalid initial default for ${path}: it is not supported until v3`;
  }
  for (const id of schema["identifier-field-ids"] ?? []) {
    const field = fields.get(id);
    const fits = field !== undefined && field.required && field.isAlways && typeof field.type === "string";
    if (!fits || field.type === "float" || field.type === "double")
      return `Cannot add field ${field?.path ?? id} as an identifier field: it must be required, and no float`;
  }
  return undefined;
}

const sinceVersion3 = /^(timestamp(tz)?_ns|variant|unknown|geometry.*|geography.*)$/i;

function unfitLayout(metadata: TableMetadata): string | undefined {
  const current = metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"]);
  const fields = fieldsOf(current as Schema);
  const ids = new Map([...fields].map(([id, { path }]) => [path, id]));
  for (const spec of metadata["partition-specs"]) {
    const unfit = unfitNames(spec.fields, fields, ids);
    if (unfit !== undefined) return unfit;
  }
  const spec = metadata["partition-specs"].find((each) => each["spec-id"] === metadata["default-spec-id"]);
  const order = metadata["sort-orders"].find((each) => each["order-id"] === metadata["default-sort-order-id"]);
  // A partition field whose column is gone is one of nothing; a sort order has no such.
  const partitioned = spec?.fields.filter((field) => field.transform !== "void") ?? [];
  return unfitSource("partition", partitioned, fields) ?? unfitSource("sort", order?.fields ?? [], fields);
}

/** A partition is a column beside the table's own in what readers show. */
function unfitNames(
  spec: readonly PartitionField[],
  fields: ReadonlyMap<number, Placed>,
  ids: ReadonlyMap<string, number>,
): string | undefined {
  const taken = new Set<string>();
  for (const { name, "source-id": source } of spec) {
    if (name === "" || taken.has(name)) return `Cannot use partition name more than once, or an empty one: ${name}`;
    taken.add(name);
    if (fields.has(source) && (ids.get(name) ?? source) !== source)
      return `Cannot create partition from name that exists in schema: ${name}`;
  }
  return undefined;
}

function unfitSource(
  what: "partition" | "sort",
  list: readonly (PartitionField | SortOrder["fields"][number])[],
  fields: ReadonlyMap<number, Placed>,
): string | undefined {
  for (const { "source-id": source, transform } of list) {
    const field = fields.get(source);
    if (field === undefined) return `Cannot find source column for ${what} field: ${transform} of ${source}`;
    const isNested = what === "partition" && !field.isSingle;
    if (isNested || typeof field.type !== "string" || !applies(transform, field.type))
      return `Invalid source ${field.path} for ${what} transform: ${transform}`;
  }
  return undefined;
}

/** What has no name of ours is not judged, as Java does not. */
function applies(transform: Transform, spelt: PrimitiveType): boolean {
  const type = spelt.toLowerCase().replaceAll(" ", "") as PrimitiveType;
  const isKnown = /^(identity|void|year|month|day|hour|(bucket|truncate)\[\d+\])$/.test(transform);
  if (!isKnown) return true;
  const isOpaque = /^(variant|geometry.*|geography.*)$/i.test(type);
  return !isOpaque && (transformWidth(transform) ?? 1) > 0 && transformResultType(transform, type) !== undefined;
}

function fieldsOf(schema: Schema): ReadonlyMap<number, Placed> {
  const found = new Map<number, Placed>();
  const visit = (
    id: number,
    name: string,
    field: Pick<Placed, "type" | "required" | "initialDefault">,
    parent: Around,
  ) => {
    const { isSingle, isAlways } = parent;
    const path = parent.path === "" ? name : `${parent.path}.${name}`;
    found.set(id, { ...field, isSingle, isAlways, path });
    inside(field.type, { path, isSingle, isAlways: isAlways && field.required });
  };
  const inside = (type: IcebergType, parent: Around): void => {
    if (typeof type === "string") return;
    const repeated = { path: parent.path, isSingle: false, isAlways: false };
    switch (type.type) {
      case "struct":
        for (const field of type.fields as readonly ((typeof type.fields)[number] & Defaults)[]) {
          const initialDefault = field["initial-default"] ?? null;
          visit(field.id, field.name, { type: field.type, required: field.required, initialDefault }, parent);
        }
        return;
      case "list":
        return visit(type["element-id"], "element", part(type.element, type["element-required"]), repeated);
      case "map":
        visit(type["key-id"], "key", part(type.key, true), repeated);
        return visit(type["value-id"], "value", part(type.value, type["value-required"]), repeated);
    }
  };
  inside(schema, { path: "", isSingle: true, isAlways: true });
  return found;
}

type Around = Pick<Placed, "path" | "isSingle" | "isAlways">;

interface Defaults {
  readonly "initial-default"?: unknown;
}

function part(type: IcebergType, required: boolean): Pick<Placed, "type" | "required" | "initialDefault"> {
  return { type, required, initialDefault: null };
}
