/**
 * Iceberg's libraries find a field by its path, the names joined by dots, and refuse a table in which two fields have one
 * path: `b` inside `a` beside a field that is called `a.b`, or a column that is called as a field of a partition spec. Such a
 * column gets a number when it comes: `a.b_2`. Upper and lower case are one, as for names that stand side by side (rule A9).
 */
import type { IcebergType, NestedField, Schema } from "../iceberg/types.ts";

export interface Present {
  /** Fields up to this id keep their names, whatever they are. */
  readonly lastId: number;
  /** Of what is no column. */
  readonly otherPaths: readonly string[];
}

/** The same object when no path of a new field is taken. */
export function withDistinctPaths(schema: Schema, { lastId, otherPaths }: Present): Schema {
  const paths = pathsIn(schema, "");
  const known = paths.filter(({ id }) => id <= lastId).map(({ path }) => path);
  const taken = new Set([...known, ...otherPaths.map((path) => path.toLowerCase())]);
  const fresh = paths.filter(({ id }) => id > lastId).map(({ path }) => path);
  if (new Set(fresh).size === fresh.length && !fresh.some((path) => taken.has(path))) return schema;
  return { ...schema, fields: distinctFields(schema.fields, "", { taken, lastId }) };
}

interface FieldPath {
  readonly id: number;
  readonly path: string;
}

/** Of all that is in the type; `prefix` ends with a dot, or is empty. */
function pathsIn(type: IcebergType, prefix: string): readonly FieldPath[] {
  if (typeof type === "string") return [];
  return partsOf(type).flatMap(({ id, name, type: inner }) => pathsOf(id, prefix + name.toLowerCase(), inner));
}

function pathsOf(id: number, path: string, type: IcebergType): readonly FieldPath[] {
  return [{ id, path }, ...pathsIn(type, `${path}.`)];
}

type Part = Pick<NestedField, "id" | "name" | "type">;

/** With the names that Iceberg gives to the parts of lists and maps. */
function partsOf(type: Exclude<IcebergType, string>): readonly Part[] {
  switch (type.type) {
    case "struct":
      return type.fields;
    case "list":
      return [{ id: type["element-id"], name: "element", type: type.element }];
    case "map":
      return [
        { id: type["key-id"], name: "key", type: type.key },
        { id: type["value-id"], name: "value", type: type.value },
      ];
  }
}

interface Known {
  /** Paths that fields have already; those of fields that get their names are added. */
  readonly taken: Set<string>;
  readonly lastId: number;
}

function distinctFields(fields: readonly NestedField[], prefix: string, known: Known): readonly NestedField[] {
  return fields.map((field) => {
    if (field.id > known.lastId) return named(field, prefix, known.taken);
    return { ...field, type: distinctType(field.type, `${prefix}${field.name.toLowerCase()}.`, known) };
  });
}

function distinctType(type: IcebergType, prefix: string, known: Known): IcebergType {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return { ...type, fields: distinctFields(type.fields, prefix, known) };
    case "list":
      return { ...type, element: distinctType(type.element, `${prefix}element.`, known) };
    case "map":
      return { ...type, value: distinctType(type.value, `${prefix}value.`, known) };
  }
}

/** A new field, in which all is new: the paths inside it may be in each other's way, and with its own name in those of others. */
function named(field: NestedField, prefix: string, taken: Set<string>): NestedField {
  const type = distinctType(field.type, "", { taken: new Set(), lastId: -1 });
  const pathsUnder = (name: string) => pathsOf(field.id, prefix + name.toLowerCase(), type).map(({ path }) => path);
  const isFree = (name: string): boolean => pathsUnder(name).every((path) => !taken.has(path));
  let name = field.name;
  for (let suffix = 2; !isFree(name); suffix += 1) name = `${field.name}_${suffix}`;
  for (const path of pathsUnder(name)) taken.add(path);
  return { ...field, name, type };
}
