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
    const element = mergeInferred(value.map((item) => infer(item, number, depth + 1)));
    return element.kind === "nothing" ? nothing : { kind: "list", element };
  }
  const fields = Object.entries(value)
    .map(([name, item]) => ({ name, type: infer(item, number, depth + 1) }))
    .filter((field) => field.type.kind !== "nothing");
  return fields.length === 0 ? nothing : { kind: "struct", fields };
}

/** Fields of all; where they disagree, the first stays, and the others' values will go to the extra column. */
export function mergeInferred(types: readonly SourceType[]): SourceType {
  const first = types.find(({ kind }) => kind !== "nothing") ?? nothing;
  if (first.kind === "list") {
    return {
      kind: "list",
      element: mergeInferred(types.flatMap((type) => (type.kind === "list" ? [type.element] : []))),
    };
  }
  if (first.kind !== "struct") return first;
  const byName = new Map<string, SourceType[]>();
  for (const type of types) {
    for (const field of type.kind === "struct" ? type.fields : []) {
      const same = byName.get(field.name);
      if (same === undefined) byName.set(field.name, [field.type]);
      else same.push(field.type);
    }
  }
  const fields = Array.from(byName, ([name, same]): SourceField => ({ name, type: mergeInferred(same) }));
  return { kind: "struct", fields };
}
