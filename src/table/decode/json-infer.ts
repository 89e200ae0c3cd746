/** What columns a schemaless value asks for: a number is a double, a string a string, and the first type seen wins. */
import { nestingMax, nothing, type SourceField, type SourceType } from "../schema/schema-map-types.ts";
import { isRawNumber } from "./json-text.ts";

/** Types that infer needs not look into again. */
const double: SourceType = { kind: "primitive", type: "double" };
const long: SourceType = { kind: "primitive", type: "long" };
const string: SourceType = { kind: "primitive", type: "string" };
const boolean: SourceType = { kind: "primitive", type: "boolean" };

export type Infer = (value: unknown) => SourceType;

export const inferType: Infer = (value) => infer(value, () => double, 0);

/** In keys, which are ids more often than measures, a whole number is a long. */
export const inferKeyType: Infer = (value) =>
  infer(value, (number) => (isRawNumber(number) || Number.isInteger(number) ? long : double), 0);

type InferNumber = (value: unknown) => SourceType;

function infer(value: unknown, number: InferNumber, depth: number): SourceType {
  if (typeof value === "string") return string;
  if (typeof value === "number" || isRawNumber(value)) return number(value);
  if (typeof value === "boolean") return boolean;
  if (typeof value !== "object" || value === null || depth >= nestingMax) return nothing;
  if (Array.isArray(value)) {
    const items = value.map((item) => infer(item, number, depth + 1));
    const element = items.reduce(mergeInferred, nothing);
    return element.kind === "nothing" ? nothing : { kind: "list", element };
  }
  const fields = Object.entries(value)
    .map(([name, item]) => ({ name, type: infer(item, number, depth + 1) }))
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
