/**
 * From a certificate's distinguished name to a principal's, by rules as Kafka writes them:
 *
 *   DEFAULT                                  the whole name
 *   RULE:pattern/replacement/[LU]            what the pattern makes of it; L and U change the case
 *
 * The first rule that fits the whole name counts. Patterns are the operator's, names come from outside: a match that takes too
 * long is cut off, and lets nobody in.
 */
import { createContext, Script } from "node:vm";

export type MappingRule =
  | { readonly kind: "default" }
  | {
      readonly kind: "rule";
      readonly pattern: RegExp;
      readonly replacement: string;
      readonly toCase: "lower" | "upper" | undefined;
    };

const rulePattern = /^RULE:((?:\\.|[^\\/])*)\/((?:\\.|[^\\/])*)\/([LU]?)$/;

/** undefined: it is no rule, or its pattern is none. */
export function parseMappingRule(text: string): MappingRule | undefined {
  if (text === "DEFAULT") return { kind: "default" };
  const [, pattern, replacement, flag] = rulePattern.exec(text) ?? [];
  if (pattern === undefined || replacement === undefined) return undefined;
  try {
    const toCase = flag === "L" ? "lower" : flag === "U" ? "upper" : undefined;
    const whole = new RegExp(`^(?:${pattern})$`, "u");
    return { kind: "rule", pattern: whole, replacement: replacement.replaceAll("\\/", "/"), toCase };
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** undefined: no rule fits, and whoever it is does not get in. */
export function mapName(rules: readonly MappingRule[], distinguishedName: string): string | undefined {
  if (distinguishedName.length > nameLengthMax) return undefined;
  for (const rule of rules) {
    if (rule.kind === "default") return distinguishedName;
    const found = boundedMatch(rule.pattern, distinguishedName);
    if (found === "too-long") return undefined;
    if (found === null) continue;
    const name = rule.replacement.replaceAll(/\$(\d)/g, (_, group: string) => found[Number(group)] ?? "");
    if (rule.toCase === "lower") return name.toLowerCase();
    return rule.toCase === "upper" ? name.toUpperCase() : name;
  }
  return undefined;
}

/** Longer than any real one. */
const nameLengthMax = 2048;
/** What an event loop can spare for a handshake; real matches take microseconds. */
const matchMsMax = 20;
const script = new Script("pattern.exec(text)");

/** V8 stops a regular expression only from outside of its context. */
function boundedMatch(pattern: RegExp, text: string): RegExpExecArray | null | "too-long" {
  try {
    return script.runInContext(createContext({ pattern, text }), { timeout: matchMsMax }) as RegExpExecArray | null;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "too-long";
    throw cause;
  }
}

/**
 * Node names a subject line by line, the way it stands in the certificate; Kafka's rules are written for RFC 2253, which goes
 * the other way: "O=Example\nCN=a" is "CN=a,O=Example". Values are escaped alike in both.
 */
export function rfc2253(subject: string): string {
  return subject
    .split("\n")
    .reverse()
    .map((line) => line.replaceAll(/(?<!\\) \+ /g, "+"))
    .join(",");
}
