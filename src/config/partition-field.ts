/** The words of layout.partition_by: a column, or transform(column), or bucket(16, column). */
import type { Transform } from "../table/iceberg/types.ts";
import type { Parsed } from "./shape.ts";

export interface PartitionBy {
  readonly column: string;
  readonly transform: Transform;
}

const column = "[^\\s(),]+";
/** Source of a regular expression for editors. */
export const partitionPattern = `^(${column}|(identity|year|month|day|hour)\\(\\s*${column}\\s*\\)|(bucket|truncate)\\(\\s*[1-9]\\d*\\s*,\\s*${column}\\s*\\))$`;

const mustBe = "a column, year(c), month(c), day(c), hour(c), bucket(16, c) or truncate(4, c)";
/** A width is an int in the Iceberg spec. */
const widthMax = 2147483647;

export function parsePartitionField(written: string): Parsed<PartitionBy> {
  const trimmed = written.trim();
  if (new RegExp(`^${column}$`).test(trimmed)) return value({ column: trimmed, transform: "identity" });
  const call = /^(\w+)\(([^()]*)\)$/.exec(trimmed);
  if (call === null) return { kind: "refused", mustBe };
  const name = (call[1] as string).toLowerCase();
  const args = (call[2] as string).split(",").map((each) => each.trim());
  switch (name) {
    case "identity":
    case "year":
    case "month":
    case "day":
    case "hour":
      if (args.length !== 1 || args[0] === "") return refused(`${name} takes one column: ${name}(ts)`);
      return value({ column: args[0] as string, transform: name });
    case "bucket":
    case "truncate": {
      const width = Number(args[0]);
      if (args.length !== 2 || args[1] === "" || !Number.isInteger(width) || width < 1 || width > widthMax)
        return refused(`${name} takes a width and a column: ${name}(16, id)`);
      return value({ column: args[1] as string, transform: `${name}[${width}]` });
    }
    default:
      return { kind: "refused", mustBe };
  }
}

export function showPartitionField(field: PartitionBy): string {
  const width = /^(bucket|truncate)\[(\d+)\]$/.exec(field.transform);
  if (width !== null) return `${width[1]}(${width[2]}, ${field.column})`;
  return field.transform === "identity" ? field.column : `${field.transform}(${field.column})`;
}

function value(field: PartitionBy): Parsed<PartitionBy> {
  return { kind: "value", value: field };
}

function refused(fix: string): Parsed<PartitionBy> {
  return { kind: "refused", mustBe, fix };
}
