/** Whether files of one schema are readable under another, and whether a table still has what our rows need. Pure. */
import { decimalShape } from "../iceberg/primitive.ts";
import type { IcebergType, NestedField, PrimitiveType, Schema } from "../iceberg/types.ts";
import type { TableMapping } from "./schema-map.ts";

/**
 * Why files that were written with one schema cannot be read, or must not stand, in a table of the other; undefined when they
 * can. Columns that the table has not got any more are only not read.
 */
export function schemaMisfit(written: Schema, now: Schema): string | undefined {
  const ours = fieldsOf(written);
  const theirs = fieldsOf(now);
  for (const [id, { type, path }] of ours) {
    const field = theirs.get(id);
    if (field !== undefined && !reads(type, field.type)) {
      return `field ${id} was ${nameOf(type)} and is ${nameOf(field.type)} (${path})`;
    }
  }
  for (const [id, { path, required }] of theirs) {
    const ourField = ours.get(id);
    if (!required || ourField?.required === true) continue;
    if (ourField === undefined && isBelowNewField(id, theirs, ours)) continue;
    return `column ${path} was made required, and records may lack it: make it optional again`;
  }
  return undefined;
}

/** Why rows could not be told apart in the table any more. */
export function ownColumnsMisfit(mapping: TableMapping, now: Schema): string | undefined {
  for (const [role, type] of [
    ["partition", "int"],
    ["offset", "long"],
  ] as const) {
    const id = mapping.own[role];
    const field = now.fields.find((each) => each.id === id);
    if (field === undefined)
      return `the column of each record's ${role} was dropped: what is in the table cannot be told`;
    if (field.type !== type) return `the column ${field.name} was ${type} and is ${nameOf(field.type)}`;
  }
  return undefined;
}

interface Placed {
  readonly type: IcebergType;
  readonly required: boolean;
  readonly path: string;
  readonly parent: number;
}

function fieldsOf(schema: Schema): ReadonlyMap<number, Placed> {
  const fields = new Map<number, Placed>();
  const visit = (field: NestedField, parent: number, path: string): void => {
    const { id, type, required } = field;
    fields.set(id, { type, required, path, parent });
    if (typeof type === "string") return;
    const at = (inner: NestedField): void => visit(inner, id, `${path}.${inner.name}`);
    if (type.type === "struct") type.fields.forEach(at);
    if (type.type === "list") {
      at({ id: type["element-id"], name: "element", required: type["element-required"], type: type.element });
    }
    if (type.type === "map") {
      at({ id: type["key-id"], name: "key", required: true, type: type.key });
      at({ id: type["value-id"], name: "value", required: type["value-required"], type: type.value });
    }
  };
  for (const field of schema.fields) visit(field, 0, field.name);
  return fields;
}

/** A required field inside an optional one that our files have not got is null with it. */
function isBelowNewField(id: number, theirs: ReadonlyMap<number, Placed>, ours: ReadonlyMap<number, Placed>): boolean {
  let field = theirs.get(id);
  while (field !== undefined && field.parent !== 0) {
    const parent = theirs.get(field.parent);
    if (parent !== undefined && !parent.required && !ours.has(field.parent)) return true;
    field = parent;
  }
  return false;
}

/** Whether a reader of type `now` understands what was written as `written` (rule G2). */
function reads(written: IcebergType, now: IcebergType): boolean {
  if (typeof written !== "string" || typeof now !== "string") return nameOf(written) === nameOf(now);
  const [a, b] = [written.replaceAll(" ", ""), now.replaceAll(" ", "")];
  if (a === b || (a === "int" && b === "long") || (a === "float" && b === "double")) return true;
  const [narrow, wide] = [decimalShape(written), decimalShape(now)];
  return (
    narrow !== undefined && wide !== undefined && narrow.scale === wide.scale && narrow.precision <= wide.precision
  );
}

function nameOf(type: IcebergType): string {
  return typeof type === "string" ? (type satisfies PrimitiveType) : type.type;
}
