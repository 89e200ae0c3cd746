/** Finds the column that a source's field goes to, by field id: columns may have been renamed or moved since. */
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import { type Binding, nowhere } from "../schema/schema-map-types.ts";

export interface Bound {
  /** undefined when the field has no column: its values are read and dropped. */
  (parent: StructNode, name: string): ColumnNode | undefined;
  /** The field had a column, and somebody dropped it: it asks for no other. */
  isDropped(parent: StructNode, name: string): boolean;
  /** A person wants none of its values. */
  isExcluded(parent: StructNode, name: string): boolean;
  /** A person gave its column the type. */
  isCast(parent: StructNode, name: string): boolean;
  /** There is such a column. */
  readonly hasCasts: boolean;
}

/** `moved`: bindings of one source, which win over those of all. */
export function makeBound(bindings: readonly Binding[], moved: readonly Binding[] = []): Bound {
  const byParent = new Map<number, Map<string, Binding>>();
  for (const binding of [...bindings.filter((each) => each.variant === undefined), ...moved]) {
    const { parent, name } = binding;
    const names = byParent.get(parent) ?? new Map<string, Binding>();
    names.set(name, binding);
    byParent.set(parent, names);
  }
  const bindingOf = (parent: StructNode, name: string): Binding | undefined => byParent.get(parent.id)?.get(name);
  const columnOf = (parent: StructNode, id: number | undefined): ColumnNode | undefined =>
    id === undefined ? undefined : parent.fields.find((field) => field.node.id === id)?.node;
  return Object.assign((parent: StructNode, name: string) => columnOf(parent, bindingOf(parent, name)?.id), {
    isDropped(parent: StructNode, name: string): boolean {
      const id = bindingOf(parent, name)?.id;
      return id !== undefined && id !== nowhere && columnOf(parent, id) === undefined;
    },
    isExcluded: (parent: StructNode, name: string) => bindingOf(parent, name)?.id === nowhere,
    isCast: (parent: StructNode, name: string) => bindingOf(parent, name)?.isCast === true,
    hasCasts: bindings.some((binding) => binding.isCast === true),
  });
}
