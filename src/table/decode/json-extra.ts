/**
 * The second look at a JSON record of which something found no column: which fields deserve one, and what goes to the extra
 * column as text, an object from JSON Pointers (RFC 6901) to values:
 *
 *   {"/properties/mag": 12345678901234567890, "/tags/2": true}
 *
 * Follows the same rules as json.ts, which has counted that there is something to find.
 */
import { decimalShape } from "../iceberg/primitive.ts";
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import { isNothing, nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { Bound } from "./bound.ts";
import { isDecimal, isRounded, isWhole, namedTypes } from "./json.ts";
import { type Infer, inferType, mergeInferred } from "./json-infer.ts";
import { isRawNumber, writeJson } from "./json-text.ts";
import { isUuidText } from "./put-text.ts";
import { parseDate, parseDateTime } from "./time-text.ts";

export interface Leftovers {
  /** JSON text; undefined when nothing is left over. */
  readonly extra: string | undefined;
  /** Fields that have no column yet and would get one; nothing when there are none. */
  readonly wanted: SourceType;
}

export interface LeftoverRules {
  /** Unknown fields ask for columns instead of going to the extra column. */
  readonly mayGrow: boolean;
  /** Values of columns are known to fit, since a schema was declared and held. */
  readonly isStrict: boolean;
  /** Of the schema: what it does not name may not fit. Absent: it names all. */
  readonly source?: SourceType | undefined;
  /** Absent: as values of records do. */
  readonly infer?: Infer;
  /** What a column that somebody dropped had is not kept. */
  readonly forgetsDropped?: boolean;
  readonly excluded: ReadonlySet<string>;
}

export function findLeftovers(value: unknown, root: ColumnNode, bound: Bound, rules: LeftoverRules): Leftovers {
  const finder = new Finder(bound, rules);
  const kept = rules.excluded.size === 0 ? value : without(value, rules.excluded, "");
  const wanted = finder.look(kept, root, "", rules.source);
  const extra = finder.found.size === 0 ? undefined : writeJson(Object.fromEntries(finder.found));
  return { extra, wanted };
}

/** The value without what is not wanted, in objects that no column knows yet too. */
function without(value: unknown, excluded: ReadonlySet<string>, path: string): unknown {
  if (Array.isArray(value)) return value.map((item) => without(item, excluded, path));
  if (!isObject(value)) return value;
  const fields = Object.entries(value).flatMap(([name, item]) => {
    const below = path === "" ? name : `${path}.${name}`;
    return excluded.has(below) ? [] : [[name, without(item, excluded, below)]];
  });
  return Object.fromEntries(fields) as unknown;
}

class Finder {
  readonly found = new Map<string, unknown>();
  readonly #bound: Bound;
  readonly #rules: LeftoverRules;

  constructor(bound: Bound, rules: LeftoverRules) {
    this.#bound = bound;
    this.#rules = rules;
  }

  /** Keeps what does not fit the column, and gives the type of the fields that are missing in it. */
  look(value: unknown, node: ColumnNode, pointer: string, source: SourceType | undefined): SourceType {
    if (value === null || value === undefined) return nothing;
    switch (node.kind) {
      case "struct":
        if (isObject(value)) return this.#fields(value, node, pointer, source);
        break;
      case "list":
        if (Array.isArray(value)) {
          const element = this.#items(
            value,
            node.element,
            pointer,
            source?.kind === "list" ? source.element : undefined,
          );
          return isNothing(element) ? nothing : { kind: "list", element };
        }
        break;
      case "map":
        if (isObject(value)) {
          const item = source?.kind === "map" ? source.value : undefined;
          for (const [name, each] of Object.entries(value)) this.look(each, node.value, below(pointer, name), item);
          return nothing;
        }
        break;
      case "leaf":
        if (this.#isHeld(source) || fits(value, node)) return nothing;
    }
    this.found.set(pointer, value);
    return nothing;
  }

  #isHeld(source: SourceType | undefined): boolean {
    return this.#rules.isStrict && (source !== undefined || this.#rules.source === undefined);
  }

  #fields(
    value: Readonly<Record<string, unknown>>,
    node: StructNode,
    pointer: string,
    source: SourceType | undefined,
  ): SourceType {
    const sources = namedTypes(source);
    const fields = Object.entries(value).flatMap(([name, item]) => {
      const at = below(pointer, name);
      const column = this.#bound(node, name);
      if (this.#bound.isCast(node, name)) return []; // What is not in its column has made the record bad.
      const isDropped = this.#bound.isDropped(node, name);
      if (isDropped && this.#rules.forgetsDropped === true) return [];
      const mayGrow = this.#rules.mayGrow && !isDropped;
      const type =
        column === undefined ? this.#unknown(item, at, mayGrow) : this.look(item, column, at, sources.get(name));
      return isNothing(type) ? [] : [{ name, type }];
    });
    return fields.length === 0 ? nothing : { kind: "struct", fields };
  }

  #items(items: readonly unknown[], element: ColumnNode, pointer: string, source: SourceType | undefined): SourceType {
    return mergeInferred(items.map((item, at) => this.look(item, element, `${pointer}/${at}`, source)));
  }

  #unknown(item: unknown, pointer: string, mayGrow: boolean): SourceType {
    if (item === null) return nothing;
    const type = (this.#rules.infer ?? inferType)(item);
    if (mayGrow && !isNothing(type)) return type;
    this.found.set(pointer, item); // An empty list or object has no type yet, and is kept all the same.
    return nothing;
  }
}

function below(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);
}

/** As the column's put in json.ts, which has left a misfit absent. */
function fits(value: unknown, node: ColumnNode): boolean {
  if (node.kind !== "leaf") return false;
  const { type } = node.leaf.shape;
  switch (type) {
    case "string":
      return typeof value === "string";
    case "double":
      return typeof value === "number" || (isRawNumber(value) && isRounded(value));
    case "boolean":
      return typeof value === "boolean";
    case "long":
      return isRawNumber(value) ? isWhole(value) : Number.isInteger(value);
    case "timestamptz":
      return typeof value === "string" && parseDateTime(value) !== undefined;
    case "date":
      return typeof value === "string" && parseDate(value) !== undefined;
    case "uuid":
      return typeof value === "string" && isUuidText(value);
    case "binary":
    case "float":
    case "int":
    case "time":
    case "timestamp":
    case "timestamp_ns":
    case "timestamptz_ns":
    default: {
      const decimal = decimalShape(type);
      return decimal !== undefined && isDecimal(value, decimal);
    }
  }
}
