/** A name of a schema's content that is the same in every registry: Confluent's, which some of its clients write into records. */
import { createHash } from "node:crypto";
import { metadataTexts, ruleSetTexts } from "./data-contract.ts";
import type { SchemaContent } from "./schema-content.ts";

/** The MD5 of text, references, metadata and rules, written as a UUID; no version bits are set in it. */
export function guidOf({ schema, references, metadata, ruleSet }: SchemaContent): string {
  const hash = createHash("md5").update(schema);
  for (const { name, subject, version } of references) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(version);
    hash.update(name).update(subject).update(bytes);
  }
  // A byte tells what is there and empty from what is not there.
  if (metadata !== undefined) for (const text of ["\u0001", ...metadataTexts(metadata)]) hash.update(text);
  if (ruleSet !== undefined) for (const text of ["\u0001", ...ruleSetTexts(ruleSet)]) hash.update(text);
  const hex = hash.digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
