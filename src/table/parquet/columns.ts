/**
 * A table's rows as columns: a tree that follows the Iceberg schema, with a leaf (leaf.ts) at each primitive. Decoders
 * write through the tree; Parquet reads the leaves, which already lie as it wants them.
 *
 *   def counts what is present on the way down:   optional parent +1 · optional list +1 · its items +1 · optional item +1
 *   rep says at which list a slot continues:      0 a new row · n the n-th list on the way down
 */
import { assert } from "../../base/errors.ts";
import type { IcebergType, Schema } from "../iceberg/types.ts";
import { type Leaf, type Levels, makeLeaf } from "../translate/leaf.ts";

interface NodeCommon {
  /** Iceberg field id; 0 for the row itself. */
  readonly id: number;
  /** What def is when this is present. Absent is def - 1, which only an optional node may be. */
  readonly def: number;
  readonly required: boolean;
  readonly leaves: readonly Leaf[];
  /** Of the leaves. */
  readonly levels: readonly Levels[];
}

export interface LeafNode extends NodeCommon {
  readonly kind: "leaf";
  readonly leaf: Leaf;
}

export interface StructNode extends NodeCommon {
  readonly kind: "struct";
  readonly fields: readonly StructField[];
}

export interface StructField {
  readonly name: string;
  readonly node: ColumnNode;
}

/** A list is empty at `def`; its items stand above it, repeated at `rep`. */
export interface ListNode extends NodeCommon {
  readonly kind: "list";
  readonly rep: number;
  readonly element: ColumnNode;
}

export interface MapNode extends NodeCommon {
  readonly kind: "map";
  readonly rep: number;
  readonly key: ColumnNode;
  readonly value: ColumnNode;
}

export type ColumnNode = LeafNode | StructNode | ListNode | MapNode;

/** Writes "absent" in all leaves below an optional node; below the row itself, that each of its fields is. */
export function putAbsent(node: ColumnNode, rep: number): void {
  const def = node.required ? node.def : node.def - 1;
  const { levels } = node;
  for (let at = 0; at < levels.length; at += 1) (levels[at] as Levels).none(rep, def);
}

/** Writes an empty list or map. */
export function putEmpty(node: ListNode | MapNode, rep: number): void {
  const { levels } = node;
  for (let at = 0; at < levels.length; at += 1) (levels[at] as Levels).none(rep, node.def);
}

/** A place to which all columns can be cut back. */
export interface Mark {
  readonly rows: number;
  /** Slots of each leaf. */
  readonly slots: readonly number[];
}

/** The choice of a row that goes nowhere. */
export const dropped = 0xffff_ffff;

export class Columns {
  readonly schema: Schema;
  readonly root: StructNode;
  readonly leaves: readonly Leaf[];
  /** Whole rows. Leaves may hold one more, half written. */
  #rows = 0;
  readonly #repeated: readonly Levels[];
  /** Slots of each repeated leaf where the current row began; a leaf outside lists has one slot a row. */
  readonly #rowStarts: number[];

  constructor(schema: Schema) {
    this.schema = schema;
    const root = buildNode({ id: 0, path: [], type: schema, required: true, def: 0, rep: 0 });
    assert(root.kind === "struct", "a schema is a struct");
    this.root = root;
    this.leaves = root.leaves;
    this.#repeated = root.levels.filter(({ maxRep }) => maxRep > 0);
    this.#rowStarts = this.#repeated.map(() => 0);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Memory that the rows take, without what arrays hold in reserve. */
  get bytes(): number {
    let bytes = 0;
    for (const leaf of this.leaves) bytes += leaf.bytes;
    return bytes;
  }

  /** The row that every leaf has now got a slot of is whole. */
  endRow(): void {
    this.#rows += 1;
    for (let at = 0; at < this.#repeated.length; at += 1) this.#rowStarts[at] = (this.#repeated[at] as Levels).slots;
  }

  /** As endRow, for rows that every leaf has got slots of. */
  endRows(count: number): void {
    this.#rows += count;
    for (let at = 0; at < this.#repeated.length; at += 1) this.#rowStarts[at] = (this.#repeated[at] as Levels).slots;
  }

  /** Takes back what was written since the last endRow. */
  undoRow(): void {
    for (const levels of this.root.levels) if (levels.maxRep === 0) levels.cut(this.#rows);
    this.#repeated.forEach((levels, at) => levels.cut(this.#rowStarts[at] as number));
  }

  mark(): Mark {
    return { rows: this.#rows, slots: this.root.levels.map(({ slots }) => slots) };
  }

  cutTo(mark: Mark): void {
    this.root.levels.forEach((levels, at) => levels.cut(mark.slots[at] as number));
    this.#rows = mark.rows;
    this.#repeated.forEach(({ slots }, at) => {
      this.#rowStarts[at] = slots;
    });
  }

  clear(): void {
    for (const levels of this.root.levels) levels.clear();
    this.#rows = 0;
    this.#rowStarts.fill(0);
  }

  /** A copy whose row i is row rows[i] of this. */
  inOrder(rows: readonly number[]): Columns {
    const copy = new Columns(this.schema);
    this.leaves.forEach((leaf, index) => {
      copyRows(leaf, copy.leaves[index] as Leaf, rows);
    });
    for (let row = 0; row < rows.length; row += 1) copy.endRow();
    return copy;
  }

  /**
   * Appends row i of this to targets[choice[i]] and clears this; a row whose target is not there is dropped. All have the
   * same schema, but for columns that are required there: they are present in all rows that are taken.
   */
  scatter(targets: readonly Columns[], choice: Uint32Array): void {
    this.leaves.forEach((leaf, index) => {
      scatterLeaf(
        leaf,
        targets.map((target) => target.leaves[index] as Leaf),
        choice,
      );
    });
    for (let row = 0; row < this.#rows; row += 1) targets[choice[row] as number]?.endRow();
    this.clear();
  }
}

function copyRows(from: Leaf, to: Leaf, rows: readonly number[]): void {
  // Where each row begins: slots, and values among them.
  const slots = new Uint32Array(rows.length + 1);
  const values = new Uint32Array(rows.length + 1);
  let row = -1;
  let value = 0;
  for (let slot = 0; slot < from.slots; slot += 1) {
    if (from.maxRep === 0 || from.reps[slot] === 0) {
      row += 1;
      slots[row] = slot;
      values[row] = value;
    }
    if (from.defs[slot] === from.maxDef) value += 1;
  }
  slots[row + 1] = from.slots;
  for (const each of rows) {
    let at = values[each] as number;
    for (let slot = slots[each] as number; slot < (slots[each + 1] as number); slot += 1) {
      const rep = from.maxRep > 0 ? (from.reps[slot] as number) : 0;
      const def = from.defs[slot] as number;
      if (def !== from.maxDef) {
        to.levels.none(rep, def);
        continue;
      }
      to.copy(from as never, at, rep); // Both leaves were made for the same field, so they are of one class.
      at += 1;
    }
  }
}

function scatterLeaf(leaf: Leaf, targets: readonly Leaf[], choice: Uint32Array): void {
  let row = -1;
  let value = 0;
  let target = targets[0];
  for (let slot = 0; slot < leaf.slots; slot += 1) {
    const rep = leaf.maxRep > 0 ? (leaf.reps[slot] as number) : 0;
    if (rep === 0) {
      row += 1;
      target = targets[choice[row] as number];
    }
    const def = leaf.defs[slot] as number;
    if (def === leaf.maxDef) {
      target?.copy(leaf as never, value, rep); // Both leaves were made for the same field, so they are of one class.
      value += 1;
    } else {
      target?.levels.none(rep, def);
    }
  }
}

interface Site {
  readonly id: number;
  readonly path: readonly string[];
  readonly type: IcebergType;
  readonly required: boolean;
  /** Of the parent's content: what is present above. */
  readonly def: number;
  readonly rep: number;
}

function buildNode(site: Site): ColumnNode {
  const { id, path, type, required, rep } = site;
  const def = site.def + (required ? 0 : 1);
  if (typeof type === "string") {
    const leaf = makeLeaf({ id, path, type, maxDef: def, maxRep: rep });
    return { kind: "leaf", id, def, required, leaf, leaves: [leaf], levels: [leaf.levels] };
  }
  if (type.type === "struct") {
    const fields = type.fields.map((field) => ({
      name: field.name,
      node: buildNode({
        id: field.id,
        path: [...path, field.name],
        type: field.type,
        required: field.required,
        def,
        rep,
      }),
    }));
    return { kind: "struct", id, def, required, fields, ...below(fields.map((field) => field.node)) };
  }
  if (type.type === "list") {
    const element = buildNode({
      id: type["element-id"],
      path: [...path, "list", "element"],
      type: type.element,
      required: type["element-required"],
      def: def + 1,
      rep: rep + 1,
    });
    return { kind: "list", id, def, required, rep: rep + 1, element, ...below([element]) };
  }
  const inside = { def: def + 1, rep: rep + 1 };
  const key = buildNode({
    ...inside,
    id: type["key-id"],
    path: [...path, "key_value", "key"],
    type: type.key,
    required: true,
  });
  const value = buildNode({
    ...inside,
    id: type["value-id"],
    path: [...path, "key_value", "value"],
    type: type.value,
    required: type["value-required"],
  });
  return { kind: "map", id, def, required, rep: rep + 1, key, value, ...below([key, value]) };
}

/** The leaves of the nodes, in their order. */
export function below(nodes: readonly ColumnNode[]): Pick<NodeCommon, "leaves" | "levels"> {
  return { leaves: nodes.flatMap((node) => node.leaves), levels: nodes.flatMap((node) => node.levels) };
}
