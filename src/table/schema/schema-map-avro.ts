/**
 * Avro types as table types.
 *
 *   int, long, float, double, boolean, bytes → binary, string, fixed → fixed[n], enum → string
 *   decimal(P, S) → the same up to 38 digits, beyond them string; Kafka Connect's of unknown P → decimal(38, S), from rules 7 on
 *   uuid → uuid · date → date · time-* → time
 *   timestamp-* → timestamptz · local-timestamp-* → timestamp · duration → fixed[12]
 *   timestamp-nanos → timestamptz_ns · local-timestamp-nanos → timestamp_ns, under rules 1 and 3 floored to microseconds
 *   [null, T] → T · [A, B] → struct of A and B by type name · record → struct · array → list · map → map
 */
import { type AvroLogical, type AvroScalar, type AvroType, unionBranchNames } from "../decode/avro-schema.ts";
import { decimalPrecisionMax } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import { keepsNanoseconds, knowsAllConnectTypes } from "./mapping-rules.ts";
import { isNothing, json, nestingMax, nothing, recursionMax, type SourceType, TypeBudget } from "./schema-map-types.ts";

/** Throws CorruptData when it would come to more columns than anybody can want. Rules 1: as tables of format 2 have types. */
export function avroSourceType(type: AvroType, rules = 1): SourceType {
  return convert(type, { above: [], budget: new TypeBudget(), rules });
}

interface Site {
  /** Types on the way down, to see recursion and depth. */
  readonly above: readonly AvroType[];
  readonly budget: TypeBudget;
  readonly rules: number;
}

function convert(type: AvroType, { above, budget, rules }: Site): SourceType {
  if (above.length >= nestingMax || above.filter((other) => other === type).length > recursionMax) return json;
  budget.take("Avro schema");
  const below: Site = { above: [...above, type], budget, rules };
  switch (type.kind) {
    case "null":
      return nothing;
    case "record": {
      const fields = type.fields.map((field) => ({ ...field, type: convert(field.type, below) }));
      return orNothing({ kind: "struct", fields });
    }
    case "array":
      return orNothing({ kind: "list", element: convert(type.items, below) });
    case "map":
      return orNothing({ kind: "map", value: convert(type.values, below) });
    case "union":
      return convertUnion(type.branches, below);
    case "fixed":
      // Of no bytes it says nothing, and readers of Parquet refuse its file.
      return "size" in type && type.size === 0 ? nothing : primitiveOf(type, rules);
    case "boolean":
    case "bytes":
    case "double":
    case "enum":
    case "float":
    case "int":
    case "long":
    case "string":
    default:
      return primitiveOf(type, rules);
  }
}

function primitiveOf(type: AvroScalar, rules: number): SourceType {
  const widest = knowsAllConnectTypes(rules) ? widestDecimal(type) : undefined;
  return { kind: "primitive", type: widest ?? underRules(avroPrimitive(type), rules) };
}

/** Where nobody said how many digits there are: as many as a column can have. */
function widestDecimal(type: AvroScalar): PrimitiveType | undefined {
  const logical = type.kind === "bytes" ? type.logical : undefined;
  if (logical?.name !== "decimal" || logical.isPrecisionUnknown !== true) return undefined;
  return logical.scale > decimalPrecisionMax ? undefined : `decimal(${decimalPrecisionMax}, ${logical.scale})`;
}

function underRules(type: PrimitiveType, rules: number): PrimitiveType {
  if (keepsNanoseconds(rules)) return type;
  if (type === "timestamptz_ns") return "timestamptz";
  return type === "timestamp_ns" ? "timestamp" : type;
}

function convertUnion(branches: readonly AvroType[], below: Site): SourceType {
  const present = branches.filter((branch) => branch.kind !== "null");
  const [only] = present;
  if (only === undefined) return nothing;
  if (present.length === 1) return convert(only, below);
  const names = unionBranchNames(branches);
  const fields = branches.flatMap((branch, at) => {
    const name = names[at];
    return name === undefined ? [] : [{ name, type: convert(branch, below) }];
  });
  return orNothing({ kind: "struct", fields });
}

function orNothing(type: SourceType): SourceType {
  return isNothing(type) ? nothing : type;
}

export function avroPrimitive(type: AvroScalar): PrimitiveType {
  switch (type.kind) {
    case "boolean":
    case "float":
    case "double":
      return type.kind;
    case "enum":
      return "string";
    case "fixed":
      return type.logical === undefined ? `fixed[${type.size}]` : logicalPrimitive(type.logical);
    case "int":
    case "long":
    case "string":
      return type.logical === undefined ? type.kind : logicalPrimitive(type.logical);
    case "bytes":
      return type.logical === undefined ? "binary" : logicalPrimitive(type.logical);
  }
}

function logicalPrimitive(logical: AvroLogical): PrimitiveType {
  switch (logical.name) {
    case "decimal":
      return logical.precision > decimalPrecisionMax ? "string" : `decimal(${logical.precision}, ${logical.scale})`;
    case "uuid":
    case "date":
      return logical.name;
    case "time-millis":
    case "time-micros":
      return "time";
    case "timestamp-millis":
    case "timestamp-micros":
      return "timestamptz";
    case "timestamp-nanos":
      return "timestamptz_ns";
    case "local-timestamp-millis":
    case "local-timestamp-micros":
      return "timestamp";
    case "local-timestamp-nanos":
      return "timestamp_ns";
    case "duration":
      return "fixed[12]";
  }
}
