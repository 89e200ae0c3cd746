/** Which names a topic may have. Pure. */

const nameCharactersMax = 249;

/** Undefined when the name is good, else why not. */
export function topicNameProblem(name: string): string | undefined {
  if (name === "") return "Topic name is invalid: the empty string is not allowed";
  if (name === "." || name === "..") return `Topic name is invalid: '${name}' is not allowed`;
  if (name.length > nameCharactersMax) {
    return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${nameCharactersMax}`;
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
  }
  return undefined;
}

/** Metric names cannot tell "." from "_", so two topics must not differ in that alone. */
export function collidingTopic(name: string, existing: Iterable<string>): string | undefined {
  if (!/[._]/.test(name)) return undefined;
  const folded = name.replaceAll(".", "_");
  for (const other of existing) if (other !== name && other.replaceAll(".", "_") === folded) return other;
  return undefined;
}
