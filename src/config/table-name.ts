/** The name of a topic's table, from a template. Pure. */

/**
 * {topic} is the topic's whole name, {topic.first} what stands before its first dot, {topic.rest} what stands after it (the whole
 * name where there is no dot). What tables cannot have in their names becomes an underscore.
 */
export const templateWords = ["{topic}", "{topic.first}", "{topic.rest}"] as const;

/** A word that is none of a template's stays as it is. */
export function tableNameOf(template: string, topic: string, options: { readonly isLowerCase: boolean }): string {
  const dot = topic.indexOf(".");
  const values: Readonly<Record<(typeof templateWords)[number], string>> = {
    "{topic}": topic,
    "{topic.first}": dot === -1 ? topic : topic.slice(0, dot),
    "{topic.rest}": topic.slice(dot + 1),
  };
  let name = template;
  for (const word of templateWords) name = name.replaceAll(word, values[word].replaceAll(/[^A-Za-z0-9_]/g, "_"));
  // Only where something was filled in: what somebody wrote out is refused instead, where the catalog cannot take it.
  return options.isLowerCase && name !== template ? name.toLowerCase() : name;
}

/** The first word in braces that is left. */
export function unknownWord(name: string): string | undefined {
  return /\{[^}]*\}/.exec(name)?.[0];
}
