/** Field ids in schemas: the highest one, equality of what the ids name, and fresh ids for a table to be created. */
import { renderJson } from "./json.ts";
import type { IcebergType, NestedField, Schema, StructType } from "./types.ts";

/** 0 when the schema has no field. */
export function highestFieldId(type: IcebergType | Schema): number {
  let highest = 0;
  visitFields(type, (id) => {
    highest = Math.max(highest, id);
  });
  return highest;
}

/** Equal in everything but the schema's own id and the order of object members. */
export function isSameSchema(a: Schema, b: Schema): boolean {
  const identifiers = (schema: Schema) => [...(schema["identifier-field-ids"] ?? [])].sort((x, y) => x - y).join();
  return identifiers(a) === identifiers(b) && canonical(a) === canonical(b);
}

/**
 * New ids from 1 on, level by level as the reference gives them: all fields of a struct, then what is inside each.
 * Engines send new schemas with ids of their own making (Spark's begin at 0). `renamed` maps their ids to the fresh ones.
 */
export function assignFreshIds(schema: Schema): {
  readonly schema: Schema;
  readonly renamed: ReadonlyMap<number, number>;
} {
  const renamed = new Map<number, number>();
  let last = 0;
  const take = (id: number): number => {
    last += 1;
    renamed.set(id, last);
    return last;
  };
  const struct = (type: StructType): readonly NestedField[] => {
    const fresh = type.fields.map((field) => ({ ...field, id: take(field.id) }));
    return fresh.map((field) => ({ ...field, type: inside(field.type) }));
  };
  const inside = (type: IcebergType): IcebergType => {
    if (typeof type === "string") return type;
    switch (type.type) {
      case "struct":
        return { ...type, fields: struct(type) };
      case "list": {
        const id = take(type["element-id"]);
        return { ...type, "element-id": id, element: inside(type.element) };
      }
      case "map": {
        const key = take(type["key-id"]);
        const value = take(type["value-id"]);
        return { ...type, "key-id": key, "value-id": value, key: inside(type.key), value: inside(type.value) };
      }
    }
  };
  const fields = struct(schema);
  const identifiers = schema["identifier-field-ids"]?.map((id) => renamed.get(id) ?? id);
  const fresh = { ...schema, "schema-id": 0, fields };
  return { schema: identifiers === undefined ? fresh : { ...fresh, "identifier-field-ids": identifiers }, renamed };
}

/** Calls with every field id: struct fields, list elements, map keys and values, in depth-first order. */
export function visitFields(type: IcebergType, visit: (id: number, type: IcebergType) => void): void {
  if (typeof type === "string") return;
  const children: readonly (readonly [number, IcebergType])[] =
    type.type === "struct"
      ? type.fields.map((field) => [field.id, field.type] as const)
      : type.type === "list"
        ? [[type["element-id"], type.element]]
        : [
            [type["key-id"], type.key],
            [type["value-id"], type.value],
          ];
  for (const [id, child] of children) {
    visit(id, child);
    visitFields(child, visit);
  }
}

/** Defaults too: a change of one is a change of the schema. */
function fieldText(field: NestedField): string {
  const { id, name, required, doc = null } = field;
  const defaults = field as NestedField & Readonly<Record<string, unknown>>;
  const { "initial-default": initial = null, "write-default": write = null } = defaults;
  return renderJson([id, name, required, doc, initial, write]);
}

function canonical(type: IcebergType): string {
  if (typeof type === "string") return JSON.stringify(type.replaceAll(" ", ""));
  switch (type.type) {
    case "struct":
      return `{${type.fields.map((f) => fieldText(f) + canonical(f.type)).join()}}`;
    case "list":
      return `[${type["element-id"]},${type["element-required"]},${canonical(type.element)}]`;
    case "map":
      return `<${type["key-id"]},${canonical(type.key)},${type["value-id"]},${type["value-required"]},${canonical(type.value)}>`;
  }
}
