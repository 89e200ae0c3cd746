/**
 * The rules by which source types become columns. Frozen with each table: who changes what a type becomes adds rules beside
 * these, and the golden mappings of the earlier ones stay as they are. No upgrade changes the types of a table that is there.
 *
 *                                                  made in format 2      in format 3
 *   at first                                       1                     2: Avro's nanoseconds are kept
 *   with Kafka Connect's types of JSON Schemas     3                     4: and so here
 *   with what stands beside JSON's alternatives    5                     6: and so here
 *   with the rest of Kafka Connect's types         7                     8: and so here
 */
import type { FormatVersion } from "../../../schemas/iceberg.ts";

/** The newest. */
export const mappingRules = 8;

/** Of a new table; one that is upgraded to format 3 keeps the rules that it was made under. */
export function newRules({ formatVersion }: { readonly formatVersion: FormatVersion }): number {
  return formatVersion >= 3 ? 8 : 7;
}

export function keepsNanoseconds(rules: number): boolean {
  return rules % 2 === 0;
}

export function knowsConnectTypes(rules: number): boolean {
  return rules >= 3;
}

/** Of `oneOf` and `anyOf` beside a type: they constrain it. Before, they alone were looked at. */
export function readsBesideChoices(rules: number): boolean {
  return rules >= 5;
}

/** Decimals of Avro whose precision nobody said, those of Protobuf and of JSON beside its schema, and bytes of JSON Schemas. */
export function knowsAllConnectTypes(rules: number): boolean {
  return rules >= 7;
}

/** The rules, where JSON may stand beside its schema; undefined in tables where that schema is a column like any other. */
export function connectRules(rules = 1): number | undefined {
  return knowsAllConnectTypes(rules) ? rules : undefined;
}

/** Of `allOf`: parts without a type constrain the others. Before, they made JSON text of what is no object. */
export function readsConstraints(rules: number): boolean {
  return rules >= 7;
}
