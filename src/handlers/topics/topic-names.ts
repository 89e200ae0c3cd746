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
export function collidingTopic(name: string, existing: TopicsByFoldedName): string | undefined {
  return existing.get(folded(name))?.find((other) => other !== name);
}

/** Names that differ in nothing else. More than one only in clusters that had them before it was asked. */
export type TopicsByFoldedName = ReadonlyMap<string, readonly string[]>;

export function topicsByFoldedName(names: Iterable<string>): TopicsByFoldedName {
  return Map.groupBy(names, folded);
}

function folded(name: string): string {
  return name.replaceAll(".", "_");
}
