/** Options of a .proto file, printed as Confluent's registry prints them: maps and lists with a line for each of their parts. */

/** A word, a text in its quotes, a list, or a map. */
export type OptionValue = string | readonly OptionValue[] | ReadonlyMap<string, OptionValue>;

/** Of "name = value". What its value is made of and we do not know stays as it is. */
export function printOption(words: readonly string[]): string {
  const equals = words.indexOf("=");
  const [read, end] = readValue(words, equals + 1) ?? [];
  if (equals < 0 || read === undefined || end !== words.length) return spaced(words);
  const value = Array.isArray(read) ? printList(read.map(printValue)) : printValue(read);
  return `${spaced(words.slice(0, equals))} = ${value}`;
}

export interface ProtobufOption {
  /** Without its brackets. */
  readonly name: string;
  /** Whether a .proto file defines it: its name stands in brackets. */
  readonly isCustom: boolean;
  /** The members of it that are meant, from outside inwards. */
  readonly path: readonly string[];
  readonly value: OptionValue;
}

/** Of "name = value"; undefined when its value is made of what we do not know. */
export function readOption(words: readonly string[]): ProtobufOption | undefined {
  const equals = words.indexOf("=");
  const [value, end] = readValue(words, equals + 1) ?? [];
  if (equals < 0 || value === undefined || end !== words.length) return undefined;
  const isCustom = words[0] === "(";
  const [name = "", ...path] = isCustom
    ? [words[1] ?? "", ...memberNames(words.slice(3, equals).join(""))]
    : memberNames(words.slice(0, equals).join(""));
  return { name, isCustom, path, value };
}

function memberNames(path: string): readonly string[] {
  return path.split(".").filter((name) => name !== "");
}

/** What stands behind a field's number, each option by itself. */
export function inlineOptions(words: readonly string[]): readonly (readonly string[])[] {
  const at = words.indexOf("[");
  return at < 0 ? [] : separated(words.slice(at + 1, -1));
}

/** Of a field: "[a = 1, b = 2]", brackets included. Its default and its name in JSON come last. */
export function printOptions(words: readonly string[]): string {
  const rank = (option: readonly string[]): number => ["default", "json_name"].indexOf(option[0] ?? "");
  const options = separated(words.slice(1, -1)).toSorted((a, b) => rank(a) - rank(b));
  return printList(options.map(printOption));
}

const notBefore = new Set([";", ",", "]", ")", ">", ":", "<", "/"]);
const notAfter = new Set(["[", "(", "<", "-", "/"]);

export function spaced(words: readonly string[]): string {
  let text = "";
  words.forEach((word, at) => {
    const before = words[at - 1];
    // A member of an option, "(custom).member", is one name.
    const isJoined =
      before === undefined || notBefore.has(word) || notAfter.has(before) || (before === ")" && word.startsWith("."));
    text += isJoined ? quoted(word) : ` ${quoted(word)}`;
  });
  return text;
}

/** One alone stays in its line. */
function printList(items: readonly string[]): string {
  const [only] = items;
  return items.length === 1 ? `[${only}]` : `[\n${lines(items)}]`;
}

function printValue(value: OptionValue): string {
  if (typeof value === "string") return value;
  if (value instanceof Map) return `{\n${lines([...value].map(([key, each]) => `${key}: ${printValue(each)}`))}}`;
  return `[\n${lines((value as readonly OptionValue[]).map(printValue))}]`;
}

function lines(items: readonly string[]): string {
  return items.map((item, at) => `  ${item.replaceAll("\n", "\n  ")}${at < items.length - 1 ? "," : ""}\n`).join("");
}

/** With where it ends; undefined when it is none that we know. */
function readValue(words: readonly string[], from: number): readonly [OptionValue, number] | undefined {
  const word = words[from];
  if (word === undefined) return undefined;
  if (word === "{") return readMap(words, from + 1);
  if (word === "[") return readList(words, from + 1);
  if (word === "-") return words[from + 1] === undefined ? undefined : [`-${words[from + 1]}`, from + 2];
  if (isText(word)) return readText(words, from);
  return /^[\w.]/.test(word) ? [word, from + 1] : undefined;
}

/** Several texts behind each other are one. */
function readText(words: readonly string[], from: number): readonly [string, number] {
  let at = from;
  let text = "";
  for (; isText(words[at] ?? ""); at += 1) text += quoted(words[at] as string).slice(1, -1);
  return [`"${text}"`, at];
}

function readList(words: readonly string[], from: number): readonly [OptionValue, number] | undefined {
  const list: OptionValue[] = [];
  for (let at = from; ; ) {
    if (words[at] === "]") return [list, at + 1];
    const read = readValue(words, at);
    if (read === undefined) return undefined;
    list.push(read[0]);
    at = words[read[1]] === "," ? read[1] + 1 : read[1];
  }
}

/** A key that comes again adds to a list. */
function readMap(words: readonly string[], from: number): readonly [OptionValue, number] | undefined {
  const map = new Map<string, OptionValue>();
  for (let at = from; ; ) {
    if (words[at] === "}") return [map, at + 1];
    const end = words[at] === "[" ? words.indexOf("]", at) + 1 : at + 1;
    const key = words.slice(at, end).join("");
    const read = readValue(words, words[end] === ":" ? end + 1 : end);
    if (read === undefined || key === "") return undefined;
    const before = map.get(key);
    map.set(key, before === undefined ? read[0] : [...(Array.isArray(before) ? before : [before]), read[0]]);
    at = [",", ";"].includes(words[read[1]] ?? "") ? read[1] + 1 : read[1];
  }
}

/** At the commas that are in no bracket. */
function separated(words: readonly string[]): readonly (readonly string[])[] {
  const parts: string[][] = [[]];
  let open = 0;
  for (const word of words) {
    if (["[", "{", "("].includes(word)) open += 1;
    if (["]", "}", ")"].includes(word)) open -= 1;
    if (word === "," && open === 0) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts.filter((part) => part.length > 0);
}

function isText(word: string): boolean {
  return word.startsWith('"') || word.startsWith("'");
}

/** In double quotes. */
function quoted(word: string): string {
  if (!word.startsWith("'")) return word;
  return `"${word.slice(1, -1).replaceAll("\\'", "'").replaceAll('"', '\\"')}"`;
}
