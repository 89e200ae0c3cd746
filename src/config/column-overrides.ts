/** The block `columns.overrides` of a topic: what is said of single columns, and what cannot be meant. */
import { decimalPrecisionMax, decimalShape } from "../table/iceberg/primitive.ts";
import type { PrimitiveType } from "../table/iceberg/types.ts";
import { type ColumnOverride, type ColumnOverrides, keyPath } from "../table/schema/column-overrides.ts";
import { keyColumnName, type TableSettings } from "../table/settings.ts";
import type { ModeProblem } from "./mode-checks.ts";
import { boolean, object, optionalText, type Parsed, parsed, record, type ValueOf } from "./shape.ts";

const plainTypes = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
] as const satisfies readonly PrimitiveType[];

/** Source of a regular expression for editors. */
const typePattern = `^(${plainTypes.join("|")}|decimal\\(\\s*\\d+\\s*,\\s*\\d+\\s*\\))$`;

export const overridesShape = record(
  "Columns that are to be other than their source makes them.",
  "field",
  object(
    "A field of the value by its path, joined by dots, or of the key: _kafka_key.<path>; _kafka_key is the whole key. Lists and maps are passed through.",
    {
      type: parsed<PrimitiveType | null>(
        {
          doc: "Type of the column: values are brought to it, and one that cannot be makes its record bad. Into string goes text as it is, anything else as JSON. Fixed once the column is made.",
          typeName: "type",
          pattern: typePattern,
          placeholder: null,
          default: null,
        },
        parseType,
        (type) => type ?? "null",
      ),
      name: optionalText({ doc: "Name of the column, when it is made; null is the field's." }),
      comment: optionalText({ doc: "Comment of the column, when it is made." }),
      exclude: boolean({ default: false, doc: "Whether the field's values go nowhere." }),
    },
  ),
);

function parseType(written: string): Parsed<PrimitiveType | null> {
  const plain = plainTypes.find((each) => each === written.trim());
  if (plain !== undefined) return { kind: "value", value: plain };
  const decimal = decimalShape(written.replaceAll(/\s/g, ""));
  if (decimal === undefined) return { kind: "refused", mustBe: `one of ${plainTypes.join(", ")}, decimal(p, s)` };
  const { precision, scale } = decimal;
  if (precision < 1 || precision > decimalPrecisionMax || scale > precision)
    return {
      kind: "refused",
      mustBe: `a decimal of 1 to ${decimalPrecisionMax} digits, at most all of them after the point`,
    };
  return { kind: "value", value: `decimal(${precision}, ${scale})` };
}

/** undefined: none is said. */
export function overridesOf(said: ValueOf<typeof overridesShape>): ColumnOverrides | undefined {
  if (said.size === 0) return undefined;
  return Object.fromEntries([...said].map(([path, each]) => [path, overrideOf(each)]));
}

function overrideOf({ type, name, comment, exclude }: ValueOf<(typeof overridesShape)["values"]>): ColumnOverride {
  return {
    ...(type === null ? {} : { type }),
    ...(name === null ? {} : { name }),
    ...(comment === null ? {} : { comment }),
    ...(exclude ? { isExcluded: true } : {}),
  };
}

export function overrideProblems(table: TableSettings): readonly ModeProblem[] {
  const problems: ModeProblem[] = [];
  const report = (path: readonly string[], message: string, fix: string): void => {
    problems.push({ at: ["columns", "overrides", ...path], message, fix });
  };
  const { overrides = {}, value, mode } = table;
  const ofKey = new Set(Object.keys(overrides).filter((path) => `${path}.`.startsWith(keyPath(table))));
  const ofValue = Object.keys(overrides).filter((path) => !ofKey.has(path));
  if (ofValue.length > 0 && (value.decode === "raw" || value.decode === "string"))
    report([], `value.decode: ${value.decode} has no fields`, "remove it, or say json, schema-id or latest");
  for (const path of ofKey) {
    const problem = keyProblem(path, table);
    if (problem !== undefined) report([path], ...problem);
  }
  const names = new Map<string, string>();
  for (const [path, { type, name, comment, isExcluded }] of Object.entries(overrides)) {
    const isSaid = type !== undefined || name !== undefined || comment !== undefined;
    if (isExcluded === true && isSaid)
      report([path, "exclude"], `${path} has no column that the rest could be said of`, "say exclude alone");
    if (isExcluded !== true && !isSaid)
      report([path], `nothing is said of ${path}`, "say type, name, comment or exclude");
    if (name === "") report([path, "name"], "a column has a name", "write one, or leave name out");
    const isOfRowKey = mode.write !== "append" && (mode.key.length === 0 ? ofKey.has(path) : mode.key.includes(path));
    if (isExcluded === true && isOfRowKey) report([path, "exclude"], `${path} identifies rows`, "keep its column");
    if (isOfRowKey && (type === "float" || type === "double"))
      report([path, "type"], `${path} identifies rows, and a ${type} cannot`, "say decimal(p, s), or another type");
    if (
      mode.envelope === "op-field" &&
      mode.opField === path &&
      (isExcluded === true || (type ?? "string") !== "string")
    )
      report([path], `${path} says what becomes of its row (mode.op_field)`, "leave it as it is");
    if (name === undefined) continue;
    const above = value.layout === "nested" && !ofKey.has(path) ? ["value"] : [];
    const full = [...above, ...path.split(".").slice(0, -1), name.toLowerCase()].join(".");
    const other = names.get(full);
    if (other !== undefined) report([path, "name"], `${other} has the name ${name} already`, "give it another");
    names.set(full, path);
  }
  return problems;
}

/** What is wrong with what is said of a key or of a field of it, and what to do. */
function keyProblem(path: string, table: TableSettings): readonly [message: string, fix: string] | undefined {
  const { key, metadataColumns, overrides = {} } = table;
  const whole = keyColumnName(table);
  const said = overrides[path] ?? {};
  if (!metadataColumns.includes("key") && !(isOfTombstones(table) && isTypeAlone(said)))
    return ["the table has no columns of keys", "remove it, or have key in columns.metadata.include"];
  if (path !== whole) {
    if (key.decode === "raw" || key.decode === "string")
      return [`key.decode: ${key.decode} has no fields`, `say it of ${whole}, or say json, schema-id or latest`];
    return overrides[whole]?.type === undefined
      ? undefined
      : [`${whole} has a type of its own: its fields have no columns`, `remove it, or the type of ${whole}`];
  }
  if (said.isExcluded === true)
    return [`${path} is the whole key`, "leave key out of columns.metadata.include, and remove this"];
  if (said.type !== undefined && key.decode === "raw")
    return ["key.decode: raw is bytes as they came", "say key.decode: string, whose text becomes any type"];
  return undefined;
}

/** Whether keys are read for the rows that tombstones delete, whether they have columns or not. */
function isOfTombstones({ mode }: TableSettings): boolean {
  return mode.write !== "append" && mode.key.length > 0 && mode.tombstone === "delete";
}

function isTypeAlone({ type, name, comment, isExcluded }: ColumnOverride): boolean {
  return type !== undefined && name === undefined && comment === undefined && isExcluded !== true;
}
