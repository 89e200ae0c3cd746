/**
 * From the levels of a Parquet file's column to those of a table's column. Pure. The two are the same field by its id, but a
 * field may have become optional since the file was written, or may not have been there yet:
 *
 *   path of a list's element      tags     list      element
 *   elements of the file          optional repeated  required       def 0 1 2
 *   elements of the table         optional repeated  optional       def 0 1 2 3      the file's 2 is the table's 3
 *
 * A field that the file lacks takes its levels from a field beside it, as far down as they share their path.
 */

import type { Leaf } from "../translate/leaf.ts";
import type { ColumnNode, StructNode } from "./columns.ts";

export type Repetition = "required" | "optional" | "repeated";

/** One element on the way from a file's or a table's top to a leaf. */
export interface PathElement {
  /** undefined: the repeated group inside a list or map. */
  readonly id: number | undefined;
  readonly repetition: Repetition;
}

export interface TablePath {
  readonly leaf: Leaf;
  readonly elements: readonly PathElement[];
}

/** Where the slots of a table's leaf come from. */
export interface LeafSource {
  /** Among the file's paths; undefined: one absent slot a row. */
  readonly column: number | undefined;
  /** The field itself, not only something beside it. */
  readonly isSame: boolean;
  /** By the file's definition level: the table's, or -1 where the table demands a value that the file may lack. */
  readonly defs: readonly number[];
  /** Slots that repeat deeper than this belong to a list that the two do not share. */
  readonly repMax: number;
}

/** The leaves of a table's columns with their paths. */
export function tablePaths(root: StructNode): readonly TablePath[] {
  return root.fields.flatMap((field) => pathsBelow(field.node, []));
}

/** "misfit": no value of the file, or none that it lacks, can become one of the table. */
export function leafSource(path: TablePath, file: readonly (readonly PathElement[])[]): LeafSource | "misfit" {
  let column: number | undefined;
  let shared = 0;
  for (const [index, elements] of file.entries()) {
    const length = sharedLength(path.elements, elements);
    if (length > shared) [column, shared] = [index, length];
  }
  const isSame = shared === path.elements.length;
  // Nothing to take the place of a value that must be there.
  if (!isSame && path.elements[shared]?.repetition !== "optional") return "misfit";
  if (column === undefined) return { column, isSame, defs: [], repMax: 0 };
  const elements = file[column] as readonly PathElement[];
  if (isSame && elements.length !== shared) return "misfit"; // A struct has become a primitive.
  const repMax = elements.slice(0, shared).filter(({ repetition }) => repetition === "repeated").length;
  return { column, isSame, defs: defsOf(path.elements, elements, shared), repMax };
}

function pathsBelow(node: ColumnNode, above: readonly PathElement[]): readonly TablePath[] {
  const here = [...above, { id: node.id, repetition: node.required ? "required" : "optional" } as const];
  switch (node.kind) {
    case "leaf":
      return [{ leaf: node.leaf, elements: here }];
    case "struct":
      return node.fields.flatMap((field) => pathsBelow(field.node, here));
    case "list":
      return pathsBelow(node.element, [...here, repeatedGroup]);
    case "map":
      return [node.key, node.value].flatMap((child) => pathsBelow(child, [...here, repeatedGroup]));
  }
}

const repeatedGroup: PathElement = { id: undefined, repetition: "repeated" };

function sharedLength(table: readonly PathElement[], file: readonly PathElement[]): number {
  let length = 0;
  while (length < table.length && length < file.length) {
    const [a, b] = [table[length] as PathElement, file[length] as PathElement];
    if (a.id !== b.id || (a.repetition === "repeated") !== (b.repetition === "repeated")) break;
    length += 1;
  }
  // The repeated group alone is no field: a list is shared with its element or not at all below itself.
  return table[length - 1]?.repetition === "repeated" && length < table.length ? length - 1 : length;
}

function defsOf(table: readonly PathElement[], file: readonly PathElement[], shared: number): readonly number[] {
  const defs: number[] = [];
  const counted = (elements: readonly PathElement[], end: number): number =>
    elements.slice(0, end).filter(({ repetition }) => repetition !== "required").length;
  // Definition level n: the first n elements that may be missing are there, and the next one is not.
  for (const [index, { repetition }] of file.entries()) {
    if (repetition === "required") continue;
    const end = Math.min(index, shared);
    const isDemanded = index < shared && table[index]?.repetition === "required";
    defs.push(isDemanded ? -1 : counted(table, end));
  }
  return [...defs, counted(table, shared)];
}
