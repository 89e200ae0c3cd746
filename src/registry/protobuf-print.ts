/**
 * A .proto file as Confluent's registry prints it, so that one file has one digest in every registry: statements stand by kind,
 * each kind behind a blank line, one option in its line and several in one each. Inside, blank lines are indented as well.
 *
 *   message A{int32  x=1 [deprecated=true,json_name="y"];}   ──▶   message A {
 *                                                                   int32 x = 1 [
 *                                                                     deprecated = true,
 *                                                                     json_name = "y"
 *                                                                   ];
 *                                                                 }
 */
import { printOption, printOptions, spaced } from "./protobuf-options.ts";
import type { ProtobufStatement } from "./protobuf-text.ts";

/** Kinds in their order; those of one list have no blank line between them. */
type Layout = readonly (readonly string[])[];

const messageLayout: Layout = [
  ["reserved"],
  ["option"],
  ["field"],
  ["oneof"],
  ["group"],
  ["extensions"],
  ["extend"],
  ["message", "enum"],
];

const layouts: Readonly<Record<string, Layout>> = {
  file: [
    ["syntax", "edition", "package"],
    ["import", "import public"],
    ["option"],
    ["message", "enum"],
    ["extend"],
    ["service"],
  ],
  message: messageLayout,
  enum: [["reserved", "option", "field"]],
  oneof: [["option"], ["field"], ["group"]],
  service: [["option"], ["rpc"]],
  rpc: [["option"]],
};

export function printProtobuf(statements: readonly ProtobufStatement[]): string {
  const [head = "", ...others] = groupsOf(statements, "file");
  return head + others.map((group) => (group === "" ? "" : `\n${group}`)).join("");
}

/** Groups and extensions are as messages are. */
function groupsOf(statements: readonly ProtobufStatement[], place: string): readonly string[] {
  const layout = layouts[place] ?? messageLayout;
  const known = new Set(layout.flat());
  const kinds = statements.map((statement) => ({ statement, kind: kindOf(statement) }));
  const groups = layout.map((group) => group.flatMap((kind) => kinds.filter((each) => each.kind === kind)));
  // What has no place here is kept: the parser says what is wrong with it.
  return [...groups, kinds.filter(({ kind }) => !known.has(kind))].map((group) =>
    group.map(({ statement, kind }) => printStatement(statement, kind)).join(""),
  );
}

const keywords = new Set(Object.values(layouts).flat(2));

function kindOf({ words, body }: ProtobufStatement): string {
  const [first = "", second, third] = words;
  if (first === "import" && second === "public") return "import public";
  if (body !== undefined && words.includes("group")) return "group";
  // A value of an enum may have the name of a keyword.
  const isEnumValue = second === "=" && /^[-\d]/.test(third ?? "");
  return keywords.has(first) && !isEnumValue ? first : "field";
}

function printStatement({ words, body }: ProtobufStatement, kind: string): string {
  const head = printHead(words, kind);
  if (body === undefined || (kind === "rpc" && body.length === 0)) return `${head};\n`;
  const groups = groupsOf(body, kind).filter((group) => group !== "");
  return `${head} {${groups.map((group) => `\n${indented(group)}`).join("")}}${kind === "rpc" ? ";" : ""}\n`;
}

function printHead(words: readonly string[], kind: string): string {
  if (kind === "option") return `option ${printOption(words.slice(1))}`;
  const at = words.indexOf("[");
  return at < 0 ? spaced(words) : `${spaced(words.slice(0, at))} ${printOptions(words.slice(at))}`;
}

/** Each line, blank ones too. */
export function indented(text: string): string {
  return text.replaceAll(/^(?!$(?![\s\S]))/gm, "  ");
}
