/** Compares a proposed schema with earlier versions, as a level asks, and words what is wrong. */
import { type CompatibilityLevel, pairsToCheck } from "./compatibility.ts";
import type { SubjectVersion } from "./schema-content.ts";
import { incompatibilities, type ParsedSchema } from "./schema-format.ts";

export interface CompatibilityAnswer {
  readonly isCompatible: boolean;
  readonly messages: readonly string[];
}

export function checkCompatibility(request: {
  readonly level: CompatibilityLevel;
  /** In rising order. */
  readonly earlier: readonly SubjectVersion[];
  readonly proposed: ParsedSchema;
  readonly parse: (version: SubjectVersion) => ParsedSchema;
}): CompatibilityAnswer {
  const { level, earlier, proposed } = request;
  const parsed = new Map<SubjectVersion, ParsedSchema>();
  const parsedOf = (version: SubjectVersion | undefined): ParsedSchema => {
    if (version === undefined) return proposed;
    const known = parsed.get(version) ?? request.parse(version);
    parsed.set(version, known);
    return known;
  };
  const pairs = pairsToCheck<SubjectVersion | undefined>(level, earlier, undefined);
  for (const { reader, writer, earlier: against } of pairs) {
    const found = incompatibilities(parsedOf(reader), parsedOf(writer));
    if (found.length === 0) continue;
    const side = reader === undefined ? "new" : "old";
    const messages = found.map(
      ({ type, path, detail }) =>
        `{errorType:'${type}', description:'at path '${path}' the ${side} schema cannot read what the other wrote', additionalInfo:'${detail}'}`,
    );
    const version = `{oldSchemaVersion: ${against?.version}}`;
    return {
      isCompatible: false,
      messages: [...messages, version, `{oldSchema: '${against?.schema}'}`, `{compatibility: '${level}'}`],
    };
  }
  return { isCompatible: true, messages: [] };
}
