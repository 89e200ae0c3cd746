/**
 * The text of a .proto file in one spelling: comments dropped, and laid out in one way, so that what differs in layout alone is
 * one schema. Works on words, not on meaning, and so loses no option that it has never heard of.
 */
import { inlineOptions, spaced } from "./protobuf-options.ts";
import { printProtobuf } from "./protobuf-print.ts";

/** The text is no .proto file, or one that refers to what is not there. */
export class InvalidProtobuf extends Error {
  override readonly name = "InvalidProtobuf";
}

export interface ProtobufStatement {
  readonly words: readonly string[];
  /** What stands between its braces; undefined when it ends in a semicolon. */
  readonly body: readonly ProtobufStatement[] | undefined;
}

/** protoc's own bound on nested messages. */
const depthMax = 32;

/** Throws InvalidProtobuf where words do not make statements; what they say is not looked at. */
export function statementsOf(text: string): readonly ProtobufStatement[] {
  const words = wordsOf(text);
  let at = 0;
  const block = (depth: number): readonly ProtobufStatement[] => {
    if (depth > depthMax) throw new InvalidProtobuf(`it nests deeper than ${depthMax}`);
    const statements: ProtobufStatement[] = [];
    while (at < words.length && words[at] !== "}") {
      const head = headFrom(words, at);
      at += head.length;
      const end = words[at];
      at += 1;
      if (end === "{") {
        statements.push({ words: head, body: block(depth + 1) });
        if (words[at] !== "}") throw new InvalidProtobuf(`the brace of "${head.join(" ")}" is not closed`);
        at += 1;
      } else if (end !== ";") throw new InvalidProtobuf(`";" is missing behind "${head.slice(0, 8).join(" ")}"`);
      else if (head.length > 0) statements.push({ words: head, body: undefined });
    }
    return statements;
  };
  const statements = block(0);
  if (at < words.length) throw new InvalidProtobuf('"}" without a "{"');
  return statements;
}

/** Throws InvalidProtobuf. Normalised: imports and options sorted by name, fields by number; messages keep their order, which indexes count. */
export function canonicalProtobuf(text: string, options: { readonly isNormalized: boolean }): string {
  const statements = statementsOf(text);
  return printProtobuf(options.isNormalized ? normalized(statements, "file") : statements);
}

/** Without the options that .proto files define, of whose values the parser of types does not know all forms. */
export function withoutCustomOptions(statements: readonly ProtobufStatement[]): string {
  return statements
    .filter(({ words }) => !(words[0] === "option" && words[1] === "("))
    .map(({ words, body }) => {
      const kept = inlineOptions(words).filter(([first]) => first !== "(");
      const at = words.indexOf("[");
      const head = spaced(at < 0 ? words : words.slice(0, at));
      const inline = kept.length === 0 ? "" : ` [${kept.map(spaced).join(", ")}]`;
      return `${head}${inline}${body === undefined ? ";" : ` {\n${withoutCustomOptions(body)}}`}\n`;
    })
    .join("");
}

/** Up to the ";" or "{" that ends it; braces inside brackets and of an option's value belong to it. */
function headFrom(words: readonly string[], from: number): readonly string[] {
  let open = 0;
  for (let at = from; at < words.length; at += 1) {
    const word = words[at] as string;
    const opensValue = word === "{" && (open > 0 || words[from] === "option");
    if (word === "[" || opensValue) open += 1;
    else if (open > 0 && (word === "]" || word === "}")) open -= 1;
    else if (open === 0 && (word === ";" || word === "{" || word === "}")) return words.slice(from, at);
  }
  return words.slice(from);
}

const blank = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const wordAt = /"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|\d[\w.]*[eE][+-]\d+|[\w.]+|[{}[\]()<>=;:,/-]/y;

function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  for (let at = 0; ; ) {
    blank.lastIndex = at;
    at += blank.exec(text)?.[0].length ?? 0;
    if (at >= text.length) return words;
    wordAt.lastIndex = at;
    const word = wordAt.exec(text)?.[0];
    if (word === undefined) throw new InvalidProtobuf(`"${text.slice(at, at + 20)}" is no word of a .proto file`);
    words.push(word);
    at += word.length;
  }
}

type Place = "file" | "message" | "other";

/** Enum values keep their order: the first is the default, and some numbers have several names. */
function normalized(statements: readonly ProtobufStatement[], place: Place): readonly ProtobufStatement[] {
  const rank = ({ words }: ProtobufStatement): number => {
    if (place === "file") return ["syntax", "edition", "package", "import", "option"].indexOf(words[0] ?? "") + 1 || 9;
    if (words[0] === "option") return 0;
    return place === "message" && ["reserved", "extensions"].includes(words[0] ?? "") ? 1 : 2;
  };
  const order = (statement: ProtobufStatement): number => (place === "message" ? (numberOf(statement) ?? 0) : 0);
  return statements
    .map((statement) => ({ ...statement, body: statement.body && normalized(statement.body, placeIn(statement)) }))
    .map((statement, at) => ({ statement, at, rank: rank(statement) }))
    .toSorted((a, b) => {
      if (a.rank !== b.rank) return a.rank - b.rank;
      const isNamed = ["import", "option", "reserved"].includes(a.statement.words[0] ?? "");
      if (isNamed) return compareText(a.statement.words.join(" "), b.statement.words.join(" "));
      return order(a.statement) - order(b.statement) || a.at - b.at;
    })
    .map(({ statement }) => statement);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function placeIn({ words }: ProtobufStatement): Place {
  return words[0] === "message" || words[0] === "oneof" || words[0] === "extend" || words.includes("group")
    ? "message"
    : "other";
}

/** A field's number; of a oneof, its lowest. Nested types have none and stand before the fields. */
function numberOf({ words, body }: ProtobufStatement): number | undefined {
  if (words[0] === "oneof") {
    const numbers = (body ?? []).flatMap((each) => numberOf(each) ?? []);
    return numbers.length === 0 ? undefined : Math.min(...numbers);
  }
  const at = words.indexOf("=");
  const number = at < 0 ? Number.NaN : Number(words[at + 1]);
  return Number.isNaN(number) ? undefined : number;
}
