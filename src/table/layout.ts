/**
 * A table's partition spec and sort order: what the settings want, what the table has, and whose word counts. Pure.
 *
 *   settings changed since they were last applied          the settings: a spec or order is added and made the default
 *   settings as they were, the table's default is another  somebody else's: it is followed until the settings change
 *
 * Earlier specs and orders stay in the metadata: files are committed under those that they were written with.
 */

import { currentSchema, defaultSpec } from "./commit/table-creation.ts";
import type { SortOrder, TableMetadata } from "./iceberg/metadata.ts";
import { visitFields } from "./iceberg/schema-ids.ts";
import { compileTransform, transformResultType } from "./iceberg/transforms.ts";
import type { IcebergType, NestedField, PartitionField, PartitionSpec, Schema, Transform } from "./iceberg/types.ts";
import type { Update } from "./iceberg/updates.ts";
import type { TableMapping } from "./schema/schema-map.ts";
import { keyColumnName, type TableSettings } from "./settings.ts";
import type { LayoutOwner } from "./table-state.ts";

export interface Layout {
  readonly spec: PartitionSpec;
  readonly order: SortOrder;
}

type Checked<T> = { readonly kind: "ok"; readonly layout: T } | { readonly kind: "refused"; readonly reason: string };

/** Equal for settings that ask for the same layout. */
export function layoutKey({ partitionBy, sortBy }: TableSettings): string {
  return JSON.stringify({ partitionBy, sortBy });
}

/** `state` undefined: the table is being made. */
export function isLayoutTheirs(
  state: { readonly layout?: LayoutOwner; readonly spec: PartitionSpec; readonly sortOrder?: SortOrder } | undefined,
  base: TableMetadata | undefined,
  settings: TableSettings,
): boolean {
  if (state === undefined || base === undefined) return false;
  const { layout } = state;
  if (layout !== undefined && layout.key !== layoutKey(settings)) return false;
  if (layout?.isTheirs === true) return true;
  const isSame =
    isSameSpec(defaultSpec(base), state.spec) && isSameOrder(defaultOrder(base), state.sortOrder ?? unsorted);
  return !isSame;
}

export const unsorted: SortOrder = { "order-id": 0, fields: [] };

/** Columns that are not there yet (their schema has not been met) come later; what can never be is refused. */
export function wantedLayout(settings: TableSettings, mapping: TableMapping): Checked<Layout> {
  const specFields: PartitionField[] = [];
  for (const { column, transform } of settings.partitionBy) {
    const source = columnOf(mapping, column, settings);
    if (source === undefined) continue;
    if (!applies(transform, source.type)) return refused(transform, column, source.type);
    const name = partitionName(column, transform, mapping.schema, source.id);
    specFields.push({ "source-id": source.id, "field-id": 1000 + specFields.length, name, transform });
  }
  const orderFields: SortOrder["fields"][number][] = [];
  for (const { column, direction, nulls } of settings.sortBy) {
    const source = columnOf(mapping, column, settings);
    if (source === undefined) continue;
    if (!applies("identity", source.type)) return refused("sort_by", column, source.type);
    orderFields.push({ transform: "identity", "source-id": source.id, direction, "null-order": `nulls-${nulls}` });
  }
  const order = orderFields.length === 0 ? unsorted : { "order-id": 1, fields: orderFields };
  return { kind: "ok", layout: { spec: { "spec-id": 0, fields: specFields }, order } };
}

/** What brings the table to the layout; [] when it has it. */
export function layoutUpdates(base: TableMetadata, wanted: Layout): readonly Update[] {
  return [...specUpdates(base, wanted.spec), ...orderUpdates(base, wanted.order)];
}

/** What the table has now, if our files can follow it. An order that we cannot sort by is left: files say that they are unsorted. */
export function presentLayout(base: TableMetadata): Checked<Layout> {
  const spec = defaultSpec(base);
  const fits = fitnessOf(currentSchema(base));
  const foreign = spec.fields.find((field) => !fits(field));
  if (foreign !== undefined) {
    return { kind: "refused", reason: `the partition field ${foreign.name} (${foreign.transform}) cannot be written` };
  }
  return { kind: "ok", layout: { spec, order: followedOrder(base) } };
}

export function followedOrder(base: TableMetadata): SortOrder {
  const order = defaultOrder(base);
  return order.fields.every(fitnessOf(currentSchema(base))) ? order : unsorted;
}

function fitnessOf(schema: Schema): (field: PartitionField | SortOrder["fields"][number]) => boolean {
  const types = new Map<number, IcebergType>();
  visitFields(schema, (id, type) => types.set(id, type));
  const repeated = idsInLists(schema);
  return ({ transform, "source-id": id }) => {
    const type = types.get(id);
    if (transform === "void") return true; // Stands for a field that was taken away.
    if (typeof type !== "string" || repeated.has(id)) return false;
    return isKnown(transform) && compileTransform(transform, type).kind === "ok";
  };
}

function defaultOrder(base: TableMetadata): SortOrder {
  const id = base["default-sort-order-id"];
  return base["sort-orders"].find((order) => order["order-id"] === id) ?? unsorted;
}

function isSameSpec(a: PartitionSpec, b: PartitionSpec): boolean {
  const parts = (spec: PartitionSpec) => spec.fields.map((field) => [field["source-id"], field.transform]);
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b));
}

export function isSameOrder(a: SortOrder, b: SortOrder): boolean {
  const parts = (order: SortOrder) =>
    order.fields.map((field) => [field["source-id"], field.transform, field.direction, field["null-order"]]);
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b));
}

function specUpdates(base: TableMetadata, wanted: PartitionSpec): readonly Update[] {
  if (isSameSpec(defaultSpec(base), wanted)) return [];
  const specs = base["partition-specs"];
  const known = specs.find((spec) => isSameSpec(spec, wanted));
  if (known !== undefined) return [{ action: "set-default-spec", "spec-id": known["spec-id"] }]; // Rule G8: no spec twice.
  const earlier = specs.flatMap((spec) => spec.fields);
  let last = base["last-partition-id"];
  const fields = wanted.fields.map((field) => {
    const same = earlier.find((each) => each["source-id"] === field["source-id"] && each.transform === field.transform);
    if (same !== undefined) return same; // Rule G8: an equal field keeps its id.
    last += 1;
    return { ...field, "field-id": last };
  });
  return [
    { action: "add-spec", spec: { "spec-id": idAfter(specs.map((spec) => spec["spec-id"])), fields } },
    { action: "set-default-spec", "spec-id": -1 },
  ];
}

function orderUpdates(base: TableMetadata, wanted: SortOrder): readonly Update[] {
  if (isSameOrder(defaultOrder(base), wanted)) return [];
  const orders = base["sort-orders"];
  const known = orders.find((order) => isSameOrder(order, wanted));
  if (known !== undefined) return [{ action: "set-default-sort-order", "sort-order-id": known["order-id"] }];
  const id = wanted.fields.length === 0 ? 0 : Math.max(1, idAfter(orders.map((order) => order["order-id"])));
  return [
    { action: "add-sort-order", "sort-order": { ...wanted, "order-id": id } },
    { action: "set-default-sort-order", "sort-order-id": -1 },
  ];
}

function idAfter(ids: readonly number[]): number {
  return Math.max(-1, ...ids) + 1;
}

function applies(transform: Transform, type: IcebergType): boolean {
  return typeof type === "string" && transformResultType(transform, type) !== undefined;
}

function refused(transform: string, column: string, type: IcebergType): Checked<never> {
  const shown = typeof type === "string" ? type : `a ${type.type}`;
  return { kind: "refused", reason: `${transform}(${column}) does not apply to ${shown}` };
}

/** By the column's name, or by the name of what goes there: people may have given the column another. */
function columnOf({ schema, bindings, own }: TableMapping, path: string, settings: TableSettings) {
  const named = fieldNamed(schema.fields, path);
  if (named !== undefined) return named;
  const binding = bindings.find((each) => each.parent === 0 && each.name === path && each.variant === undefined);
  const id = path === keyColumnName(settings) ? own.key : binding?.id;
  return schema.fields.find((field) => field.id === id);
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

/**
 * As the reference names them: day(ts) is ts_day, bucket[16](id) is id_bucket_16. Only an identity field may share its name
 * with a column, its own.
 */
function partitionName(column: string, transform: Transform, schema: Schema, sourceId: number): string {
  const plain = column.replaceAll(".", "_");
  const suffixed = `${plain}_${transform.replace("[", "_").replace("]", "")}`.replace(/_truncate_(\d+)$/, "_trunc_$1");
  let name = transform === "identity" ? plain : suffixed;
  const isTaken = (): boolean => {
    const other = schema.fields.find((field) => field.name === name);
    return other !== undefined && !(transform === "identity" && other.id === sourceId);
  };
  while (isTaken()) name = `${name}_part`;
  return name;
}

const knownTransform = /^(identity|year|month|day|hour|void|bucket\[\d+\]|truncate\[\d+\])$/;

/** Metadata of others may name transforms of later versions of the specification. */
function isKnown(transform: string): boolean {
  return knownTransform.test(transform);
}

/** Fields below a list or a map have no one value a row (rule G9). */
function idsInLists(schema: Schema): ReadonlySet<number> {
  const ids = new Set<number>();
  visitFields(schema, (id, type) => {
    if (typeof type === "string" || type.type === "struct") return;
    const inner: IcebergType = { type: "struct", fields: [] };
    for (const child of type.type === "list" ? [type.element] : [type.key, type.value]) {
      visitFields({ ...inner, fields: [{ id, name: "", required: false, type: child }] }, (each) => ids.add(each));
    }
    if (type.type === "list") ids.add(type["element-id"]);
    else for (const each of [type["key-id"], type["value-id"]]) ids.add(each);
  });
  return ids;
}
