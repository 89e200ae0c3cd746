/** What columns a schemaless value asks for: every number is a double, every string a string, the first type seen wins. */
import { nestingMax, nothing, type SourceField, type SourceType } from "../schema/schema-map-types.ts";
import { isRawNumber } from "./json-text.ts";

/** Types that infer needs not look into again. */
const double: SourceType = { kind: "primitive", type: "double" };
const string: SourceType = { kind: "primitive", type: "string" };
const boolean: SourceType = { kind: "primitive", type: "boolean" };

export function inferType(value: unknown, depth = 0): SourceType {
  if (typeof value === "string") return string;
  if (typeof value === "number" || isRawNumber(value)) return double;
  if (typeof value === "boolean") return boolean;
  if (typeof value !== "object" || value === null || depth >= nestingMax) return nothing;
  if (Array.isArray(value)) {
    const element = value.reduce<SourceType>((type, item) => mergeInferred(type, inferType(item, depth + 1)), nothing);
    return element.kind === "nothing" ? nothing : { kind: "list", element };
  }
  const fields = Object.entries(value)
    .map(([name, item]) => ({ name, type: inferType(item, depth + 1) }))
    .filter((field) => field.type.kind !== "nothing");
  return fields.length === 0 ? nothing : { kind: "struct", fields };
}

/** Fields of both; where they disagree, the first stays, and the other's values will go to the extra column. */
export function mergeInferred(a: SourceType, b: SourceType): SourceType {
  if (a.kind === "nothing") return b;
  if (a.kind === "list" && b.kind === "list") return { kind: "list", element: mergeInferred(a.element, b.element) };
  if (a.kind !== "struct" || b.kind !== "struct") return a;
  const fields = new Map<string, SourceField>(a.fields.map((field) => [field.name, field]));
  for (const field of b.fields) {
    const known = fields.get(field.name);
    const type = known === undefined ? field.type : mergeInferred(known.type, field.type);
    fields.set(field.name, { name: field.name, type });
  }
  return { kind: "struct", fields: [...fields.values()] };
}
