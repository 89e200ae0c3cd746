/** A name of a schema's content that is the same in every registry that counts it the same way. */
import { createHash } from "node:crypto";
import type { SchemaContent } from "./schema-content.ts";

/** A version-3 shaped UUID of type, references and text. */
export function guidOf({ schemaType, references, schema }: SchemaContent): string {
  const content = JSON.stringify([
    schemaType,
    references.map(({ name, subject, version }) => [name, subject, version]),
    schema,
  ]);
  const digest = createHash("md5").update(content).digest();
  digest[6] = ((digest[6] as number) & 0x0f) | 0x30;
  digest[8] = ((digest[8] as number) & 0x3f) | 0x80;
  const hex = digest.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
