/**
 * JSON that a registered JSON Schema describes: its declared fields have columns of declared types, and a record that breaks
 * the declaration is bad. Fields that the schema does not name are kept in the extra column.
 */
import type { SourceType } from "../schema/schema-map-types.ts";
import { compileJsonRecord, type JsonRecordPut, type JsonTarget } from "./json-record.ts";

/** `source` is what jsonSchemaSourceType made of the schema that the mapping accepted. */
export function compileJsonSchema(
  source: SourceType,
  target: JsonTarget,
  excluded: ReadonlySet<string>,
): JsonRecordPut {
  return compileJsonRecord(target, { source, isStrict: true, mayGrow: false, excluded });
}
