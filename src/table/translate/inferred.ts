/** The columns that records without a schema ask for, one record after the other. */
import { mergeInferred } from "../decode/json-infer.ts";
import { inferredColumnsMax } from "../schema/schema-map.ts";
import { columnsOf } from "../schema/schema-map-draft.ts";
import type { SourceType } from "../schema/schema-map-types.ts";

/** Types that ask for more columns than any table gets. */
const full = new WeakSet<SourceType>();

/** Both together. What is full grows no more: records whose names are values have new ones without end. */
export function grownBy(known: SourceType, type: SourceType): SourceType {
  if (full.has(known)) return known;
  const grown = mergeInferred([known, type]);
  if (columnsOf(grown) > inferredColumnsMax) full.add(grown);
  return grown;
}
