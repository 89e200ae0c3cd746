/** Finds the column that a source's field goes to, by field id: columns may have been renamed or moved since. */
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import type { Binding } from "../schema/schema-map-types.ts";

export interface Bound {
  /** undefined when the field has no column: its values are read and dropped. */
  (parent: StructNode, name: string): ColumnNode | undefined;
  /** The field had a column, and somebody dropped it: it asks for no other. */
  isDropped(parent: StructNode, name: string): boolean;
}

/** `moved`: bindings of one source, which win over those of all. */
export function makeBound(bindings: readonly Binding[], moved: readonly Binding[] = []): Bound {
  const ids = new Map<number, Map<string, number>>();
  for (const { parent, name, id } of [...bindings.filter((binding) => binding.variant === undefined), ...moved]) {
    const names = ids.get(parent) ?? new Map<string, number>();
    names.set(name, id);
    ids.set(parent, names);
  }
  const idOf = (parent: StructNode, name: string): number | undefined => ids.get(parent.id)?.get(name);
  const columnOf = (parent: StructNode, id: number | undefined): ColumnNode | undefined =>
    id === undefined ? undefined : parent.fields.find((field) => field.node.id === id)?.node;
  return Object.assign((parent: StructNode, name: string) => columnOf(parent, idOf(parent, name)), {
    isDropped(parent: StructNode, name: string): boolean {
      const id = idOf(parent, name);
      return id !== undefined && columnOf(parent, id) === undefined;
    },
  });
}
