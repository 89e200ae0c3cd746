/**
 * Which clients a subscription to client metrics is for: `selector=pattern` pairs, all of which must match as a whole. Patterns
 * are matched in linear time, since the texts come from clients.
 */
import type { RE2JS } from "re2js";
import { compilePattern } from "../../base/patterns.ts";
import { listItems } from "../../log/config-check.ts";

/** What is known of a client, under the names that patterns select by. */
export interface ClientTraits {
  readonly client_instance_id: string;
  readonly client_id: string;
  readonly client_software_name: string;
  readonly client_software_version: string;
  readonly client_source_address: string;
  readonly client_source_port: string;
}

const selectors: readonly (keyof ClientTraits)[] = [
  "client_instance_id",
  "client_id",
  "client_software_name",
  "client_software_version",
  "client_source_address",
  "client_source_port",
];

export interface ClientMatch {
  readonly matches: (client: ClientTraits) => boolean;
}

export function parseClientMatch(text: string): ClientMatch | { readonly problem: string } {
  const patterns: { readonly selector: keyof ClientTraits; readonly pattern: RE2JS }[] = [];
  for (const item of listItems(text)) {
    const at = item.indexOf("=");
    if (at < 0) return { problem: `Illegal client matching pattern: ${item}` };
    const selector = selectors.find((name) => name === item.slice(0, at).trim());
    if (selector === undefined) return { problem: `Illegal client matching pattern: ${item}` };
    const pattern = compilePattern(item.slice(at + 1).trim());
    if ("problem" in pattern) return { problem: `Illegal client matching pattern: ${item}` };
    patterns.push({ selector, pattern });
  }
  return { matches: (client) => patterns.every(({ selector, pattern }) => pattern.matches(client[selector])) };
}
