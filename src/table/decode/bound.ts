/** Finds the column that a source's field goes to, by field id: columns may have been renamed or moved since. */
import type { ColumnNode, StructNode } from "../columns.ts";
import type { Binding } from "../schema-map-types.ts";

/** undefined when the field has no column: its values are read and dropped. */
export type Bound = (parent: StructNode, name: string) => ColumnNode | undefined;

export function makeBound(bindings: readonly Binding[]): Bound {
  const ids = new Map<number, Map<string, number>>();
  for (const { parent, name, id } of bindings) {
    const names = ids.get(parent) ?? new Map<string, number>();
    names.set(name, id);
    ids.set(parent, names);
  }
  return (parent, name) => {
    const id = ids.get(parent.id)?.get(name);
    return id === undefined ? undefined : parent.fields.find((field) => field.node.id === id)?.node;
  };
}
