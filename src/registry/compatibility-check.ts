/** Compares a proposed schema with earlier versions, as a level asks, and words what is wrong. */
import { type CompatibilityLevel, type Incompatibility, pairsToCheck } from "./compatibility.ts";
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
  /** What is wrong with its names, at any level. */
  readonly reserved: readonly Incompatibility[];
  readonly parse: (version: SubjectVersion) => ParsedSchema;
}): CompatibilityAnswer {
  const { level, earlier, proposed } = request;
  const reserved = request.reserved.map((each) => messageOf(each, "the new schema uses or drops a reserved name"));
  const parsed = new Map<SubjectVersion, ParsedSchema>();
  const parsedOf = (version: SubjectVersion | undefined): ParsedSchema => {
    if (version === undefined) return proposed;
    const known = parsed.get(version) ?? request.parse(version);
    parsed.set(version, known);
    return known;
  };
  const pairs = pairsToCheck<SubjectVersion | undefined>(level, earlier, undefined);
  for (const against of new Set(pairs.map((pair) => pair.earlier))) {
    const messages = pairs
      .filter((pair) => pair.earlier === against)
      .flatMap(({ reader, writer }) => messagesOf(parsedOf(reader), parsedOf(writer), reader === undefined));
    if (messages.length === 0) continue;
    const version = `{oldSchemaVersion: ${against?.version}}`;
    return {
      isCompatible: false,
      messages: [...reserved, ...messages, version, `{oldSchema: '${against?.schema}'}`, `{compatibility: '${level}'}`],
    };
  }
  return { isCompatible: reserved.length === 0, messages: reserved };
}

function messagesOf(reader: ParsedSchema, writer: ParsedSchema, isReaderNew: boolean): readonly string[] {
  const side = isReaderNew ? "new" : "old";
  return incompatibilities(reader, writer).map((each) =>
    messageOf(each, `the ${side} schema cannot read what the other wrote`),
  );
}

function messageOf({ type, path, detail }: Incompatibility, what: string): string {
  return `{errorType:'${type}', description:'at path '${path}' ${what}', additionalInfo:'${detail}'}`;
}
