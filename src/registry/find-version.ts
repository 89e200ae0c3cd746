/** Which version of a subject a schema stands for, that a client looks up or registers once more. */
import { confluentVersion, withoutConfluentVersion } from "./confluent-version.ts";
import type { Metadata } from "./data-contract.ts";
import {
  isSameContent,
  isSameMetadata,
  isSameReferences,
  type SchemaContent,
  type SubjectVersion,
} from "./schema-content.ts";

/** The newest with this very content, else the newest that means the same. `written` is a version's text without references. */
export function findVersion(
  versions: readonly SubjectVersion[],
  content: SchemaContent,
  written: (version: SubjectVersion) => string,
): SubjectVersion | undefined {
  return (
    versions.findLast((version) => isSameContent(version, content)) ??
    versions.findLast(
      (version) =>
        version.schemaType === content.schemaType &&
        meansMetadataOf(content.metadata, version) &&
        isSameContent({ ...version, metadata: undefined }, textOf(content, version, written)),
    )
  );
}

/** Avro's own serializers send a schema with all that it refers to written out: then it is the version's text that is. */
function textOf(
  content: SchemaContent,
  version: SubjectVersion,
  written: (version: SubjectVersion) => string,
): SchemaContent {
  const without = { ...content, metadata: undefined };
  if (isSameReferences(content.references, version.references)) return without;
  const isWrittenOut = content.references.length === 0 && content.schemaType === "AVRO";
  return isWrittenOut && content.schema === written(version)
    ? { ...without, schema: version.schema, references: version.references }
    : without;
}

/** A version's number is left out, or said of a version that does not note it. */
function meansMetadataOf(asked: Metadata | undefined, { metadata, version }: SubjectVersion): boolean {
  const [wanted, noted] = [confluentVersion(asked), confluentVersion(metadata)];
  if ((wanted === undefined) === (noted === undefined)) return isSameMetadata(asked, metadata);
  if (wanted !== undefined && wanted !== String(version)) return false;
  return isSameMetadata(withoutConfluentVersion(asked ?? {}), withoutConfluentVersion(metadata ?? {}));
}
