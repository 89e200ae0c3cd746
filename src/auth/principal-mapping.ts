/**
 * From a certificate's distinguished name to a principal's, by rules as Kafka writes them:
 *
 *   DEFAULT                                  the whole name
 *   RULE:pattern/replacement/[LU]            what the pattern makes of it; L and U change the case
 *
 * The first rule that fits the whole name counts. Patterns are the operator's, names come from outside: they are matched in time
 * linear in the name, and so a pattern knows no back references and does not look around.
 */
import { RE2JS, RE2JSException } from "re2js";

export type MappingRule =
  | { readonly kind: "default" }
  | {
      readonly kind: "rule";
      readonly pattern: RE2JS;
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
    return { kind: "rule", pattern: RE2JS.compile(pattern), replacement: replacement.replaceAll("\\/", "/"), toCase };
  } catch (cause) {
    if (cause instanceof RE2JSException) return undefined;
    throw cause;
  }
}

/** undefined: no rule fits, and whoever it is does not get in. */
export function mapName(rules: readonly MappingRule[], distinguishedName: string): string | undefined {
  if (distinguishedName.length > nameLengthMax) return undefined;
  for (const rule of rules) {
    if (rule.kind === "default") return distinguishedName;
    const found = rule.pattern.matcher(distinguishedName);
    if (!found.matches()) continue;
    const name = rule.replacement.replaceAll(/\$(\d)/g, (_, digit: string) => {
      const group = Number(digit);
      return group > found.groupCount() ? "" : (found.group(group) ?? "");
    });
    if (rule.toCase === "lower") return name.toLowerCase();
    return rule.toCase === "upper" ? name.toUpperCase() : name;
  }
  return undefined;
}

/** Longer than any real one. */
const nameLengthMax = 2048;
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
