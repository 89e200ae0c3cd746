/**
 * Ids and bindings that an evolution gives out: nothing is kept of it when the evolution is refused.
 *
 *   a source's field ──▶ its first column            bound(parent, key)
 *                   └──▶ amount__2, amount__3, …      variants(parent, key): for types that the first cannot take
 */
import type { NestedField } from "../iceberg/types.ts";
import type { Binding, SourceType } from "./schema-map-types.ts";

/** Names that Iceberg gives to metadata columns: not for a table's own columns at the top. */
const reservedNames = new Set([
  "_file",
  "_pos",
  "_deleted",
  "_spec_id",
  "_partition",
  "_row_id",
  "_last_updated_sequence_number",
  "_commit_snapshot_id",
  "_change_type",
  "_change_ordinal",
]);

export interface DraftStart {
  readonly lastColumnId: number;
  readonly bindings: readonly Binding[];
  /** Field ids at the top that no source's field may take for its own. */
  readonly ownIds?: readonly number[];
}

export interface DraftRules {
  /** With a bound on columns, mismatches and what is too much are left out instead of refused. */
  readonly columnsMax?: number;
  readonly onTypeChange?: "dead-letter" | "new-column";
}

export class Draft {
  lastColumnId: number;
  bindings: readonly Binding[];
  /** Something was left out because of the bound. */
  isFull = false;
  /** Fields of this source that go to a variant. */
  moved: readonly Binding[] = [];
  readonly rules: DraftRules;
  readonly #ownIds: ReadonlySet<number>;
  #columns: number;
  #ids: Map<string, number>;
  /** Columns that a field of this source already goes to. */
  #taken: Set<number> = new Set();

  constructor(start: DraftStart, rules: DraftRules = {}) {
    this.lastColumnId = start.lastColumnId;
    this.bindings = start.bindings;
    this.rules = rules;
    this.#ownIds = new Set(start.ownIds);
    this.#columns = start.bindings.length; // A binding is a column or the group that holds some: never fewer than columns.
    const first = start.bindings.filter((binding) => binding.variant === undefined);
    this.#ids = new Map(first.map(({ parent, name, id }) => [bindingKey(parent, name), id]));
  }

  get isLenient(): boolean {
    return this.rules.columnsMax !== undefined;
  }

  nextId(): number {
    this.lastColumnId += 1;
    return this.lastColumnId;
  }

  bound(parent: number, key: string): number | undefined {
    return this.#ids.get(bindingKey(parent, key));
  }

  bind(parent: number, key: string, id: number, isCast = false): void {
    const isRebound = this.#ids.has(bindingKey(parent, key));
    const others = isRebound
      ? this.bindings.filter((each) => each.parent !== parent || each.name !== key || each.variant !== undefined)
      : this.bindings;
    this.#ids.set(bindingKey(parent, key), id);
    this.bindings = [...others, { parent, name: key, id, ...(isCast ? { isCast } : {}) }];
  }

  variants(parent: number, key: string): readonly Binding[] {
    return this.bindings.filter((each) => each.parent === parent && each.name === key && each.variant !== undefined);
  }

  /** Remembers that this source's field goes to a variant, which may be a new one. */
  move(binding: Binding): void {
    if (!this.bindings.includes(binding)) this.bindings = [...this.bindings, binding];
    this.moved = [...this.moved, binding];
  }

  /** false: another field of this source already goes there. */
  take(id: number): boolean {
    if (this.#taken.has(id)) return false;
    this.#taken.add(id);
    return true;
  }

  /** Whether a field by that name stands there that people made, and no source's field has. */
  strayNamed(name: string, fields: readonly NestedField[]): NestedField | undefined {
    const field = fields.find((each) => each.name === name);
    if (field === undefined || this.#ownIds.has(field.id)) return undefined;
    return this.bindings.some((binding) => binding.id === field.id) ? undefined : field;
  }

  /** Does it, or leaves no trace of it when it is refused. */
  attempt<T extends { readonly kind: "ok" | "refused" }>(merge: () => T): T {
    const { lastColumnId, bindings, isFull, moved } = this;
    const [ids, taken, columns] = [new Map(this.#ids), new Set(this.#taken), this.#columns];
    const merged = merge();
    if (merged.kind === "ok") return merged;
    Object.assign(this, { lastColumnId, bindings, isFull, moved });
    this.#ids = ids;
    this.#taken = taken;
    this.#columns = columns;
    return merged;
  }

  /** Whether a new column of the type stays within the bound; counts it if so. */
  admits(type: SourceType): boolean {
    if (this.rules.columnsMax === undefined) return true;
    const more = columnsOf(type);
    if (this.#columns + more > this.rules.columnsMax) this.isFull = true;
    else this.#columns += more;
    return !this.isFull;
  }
}

/** The name itself, or with a number behind it: siblings that differ in case only are one column to half of the engines (rule A9). */
export function freeName(name: string, siblings: readonly NestedField[], isTop = true): string {
  const taken = new Set(siblings.map((sibling) => sibling.name.toLowerCase()));
  const wanted = name === "" ? "_empty" : speakable(name);
  const isFree = (candidate: string): boolean =>
    !taken.has(candidate.toLowerCase()) && !(isTop && reservedNames.has(candidate.toLowerCase()));
  if (isFree(wanted)) return wanted;
  let suffix = 2;
  while (!isFree(`${wanted}_${suffix}`)) suffix += 1;
  return `${wanted}_${suffix}`;
}

/** Half of a surrogate pair is no Unicode and NUL no text to databases that hold catalogs: with either, some read no table. */
function speakable(name: string): string {
  return name.toWellFormed().replaceAll("\u0000", "\ufffd");
}

function bindingKey(parent: number, name: string): string {
  return `${parent}/${name}`;
}

export function columnsOf(type: SourceType): number {
  switch (type.kind) {
    case "struct":
      return type.fields.reduce((sum, field) => sum + columnsOf(field.type), 1);
    case "list":
      return columnsOf(type.element);
    case "map":
      return columnsOf(type.value);
    case "nothing":
      return 0;
    case "primitive":
    case "json":
      return 1;
  }
}
