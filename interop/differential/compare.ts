/** What differs between two answers, smallest parts first. */
import type { Plain } from "./normalise.ts";

export interface Difference {
  /** With the element's name where that says what it is, `topics[].configs[retention.ms].value`; else without its place. */
  readonly path: string;
  readonly kafka: Plain | undefined;
  readonly inlet: Plain | undefined;
}

export function differences(kafka: Plain | undefined, inlet: Plain | undefined, path = ""): readonly Difference[] {
  if (Array.isArray(kafka) && Array.isArray(inlet)) return ofLists(kafka, inlet, path);
  if (isRecord(kafka) && isRecord(inlet)) {
    const names = new Set([...Object.keys(kafka), ...Object.keys(inlet)]);
    return [...names].flatMap((name) => differences(kafka[name], inlet[name], path === "" ? name : `${path}.${name}`));
  }
  return JSON.stringify(kafka) === JSON.stringify(inlet) ? [] : [{ path, kafka, inlet }];
}

/** Elements are paired by what names them, so that one that is missing does not shift the others. */
function ofLists(kafka: readonly Plain[], inlet: readonly Plain[], path: string): readonly Difference[] {
  const theirs = named(kafka);
  const ours = named(inlet);
  const names = new Set([...theirs.keys(), ...ours.keys()]);
  return [...names].flatMap((name) => {
    const shown = speaking.test(path) ? name.replaceAll('"', "") : "";
    return differences(theirs.get(name), ours.get(name), `${path}[${shown}]`);
  });
}

/** Lists whose elements are named by Kafka, not by the sequence. */
const speaking = /(configs|synonyms|apiKeys|Features)$/;

const namingFields = [
  "resourceName",
  "name",
  "topic",
  "topicId",
  "groupId",
  "memberId",
  "key",
  "apiKey",
  "index",
  "partitionIndex",
  "partition",
];

function named(list: readonly Plain[]): Map<string, Plain> {
  const map = new Map<string, Plain>();
  for (const [at, element] of list.entries()) {
    const field = isRecord(element) ? namingFields.find((name) => element[name] !== undefined) : undefined;
    const name = field === undefined ? `${at}` : JSON.stringify((element as Readonly<Record<string, Plain>>)[field]);
    let unique = name;
    for (let again = 1; map.has(unique); again += 1) unique = `${name} ${again}`;
    map.set(unique, element);
  }
  return map;
}

function isRecord(value: Plain | undefined): value is { readonly [key: string]: Plain } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
