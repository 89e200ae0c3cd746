/**
 * YAML text as a tree in which every value knows where it was said. Keys are kept in Maps, so no key can reach a prototype;
 * aliases are expanded under a bound of nodes, so no short text becomes a large tree.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLParseError,
  type Node as YamlNode,
} from "yaml";
import type { Origin, Problem } from "./problem.ts";

export type Tree = ScalarTree | MapTree | ListTree;

export interface ScalarTree {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** What was written, before ${...} was filled in; shown instead of the value where that came from elsewhere. */
  readonly written: string;
  readonly isSubstituted: boolean;
  /** What it refers to was not there, and that was said: nothing that follows from it is to be said too. */
  readonly isMissing?: boolean;
  readonly origin: Origin;
}

export interface MapTree {
  readonly kind: "map";
  readonly entries: Map<string, { readonly keyOrigin: Origin; readonly tree: Tree }>;
  readonly origin: Origin;
}

export interface ListTree {
  readonly kind: "list";
  readonly items: readonly Tree[];
  readonly origin: Origin;
}

/** Looks up ${env:NAME} and ${file:/path}; undefined when there is none. */
export interface Substitutions {
  environment(name: string): string | undefined;
  file(path: string): string | undefined;
}

export interface TreeLimits {
  readonly nodesMax: number;
  readonly depthMax: number;
}

export function parseTree(
  text: string,
  file: string,
  substitutions: Substitutions,
  limits: TreeLimits,
): { readonly tree: MapTree; readonly problems: readonly Problem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const builder = new TreeBuilder({ document, lines, file, substitutions, limits });
  // One slip may confuse the parser several times; the first says where it is.
  const [error] = document.errors;
  if (error !== undefined) builder.report(builder.at(error.pos[0]), ...yamlWords(error));
  const start: Origin = { kind: "file", file, line: 1, column: 1 };
  const empty: MapTree = { kind: "map", entries: new Map(), origin: start };
  if (document.errors.length > 0 || document.contents === null) return { tree: empty, problems: builder.problems };
  const tree = builder.build(document.contents, 0);
  if (tree === undefined || (tree.kind === "scalar" && tree.value === null))
    return { tree: empty, problems: builder.problems };
  if (tree.kind !== "map") {
    builder.report(tree.origin, "the file must be a map of settings", 'write "key: value" lines');
    return { tree: empty, problems: builder.problems };
  }
  return { tree, problems: builder.problems };
}

/** The tree at the path, or the nearest one above it. */
export function locate(tree: Tree, path: readonly string[]): Origin {
  let current = tree;
  for (const key of path) {
    const next = current.kind === "map" ? current.entries.get(key)?.tree : undefined;
    if (next === undefined) break;
    current = next;
  }
  return current.origin;
}

interface BuilderOptions {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly file: string;
  readonly substitutions: Substitutions;
  readonly limits: TreeLimits;
}

class TreeBuilder {
  readonly problems: Problem[] = [];
  readonly #options: BuilderOptions;
  #nodes = 0;

  constructor(options: BuilderOptions) {
    this.#options = options;
  }

  report(origin: Origin, message: string, fix?: string): void {
    this.problems.push(fix === undefined ? { origin, message } : { origin, message, fix });
  }

  at(offset: number | undefined): Origin {
    const { line, col } = this.#options.lines.linePos(offset ?? 0);
    return { kind: "file", file: this.#options.file, line: Math.max(1, line), column: Math.max(1, col) };
  }

  build(node: YamlNode, depth: number): Tree | undefined {
    const { nodesMax, depthMax } = this.#options.limits;
    this.#nodes += 1;
    if (this.#nodes > nodesMax || depth > depthMax) {
      if (this.#nodes === nodesMax + 1 || depth > depthMax)
        this.report(this.at(node.range?.[0]), `more than ${nodesMax} values or ${depthMax} levels`);
      this.#nodes = nodesMax + 1; // Nothing further is built, and nothing further is said.
      return undefined;
    }
    const origin = this.at(node.range?.[0]);
    if (isAlias(node)) {
      const target = node.resolve(this.#options.document);
      if (target !== undefined) return this.build(target, depth + 1);
      this.report(origin, `the alias *${node.source} has no anchor before it`);
      return undefined;
    }
    if (isMap(node)) return this.#buildMap(node, origin, depth);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.build(item as YamlNode, depth + 1));
      return { kind: "list", items: items.filter((item) => item !== undefined), origin };
    }
    return isScalar(node) ? this.#buildScalar(node.value, node.source, origin) : undefined;
  }

  #buildMap(node: { readonly items: readonly unknown[] }, origin: Origin, depth: number): MapTree {
    const entries: MapTree["entries"] = new Map();
    for (const item of node.items) {
      const pair = item as { readonly key: YamlNode; readonly value: YamlNode | null };
      const keyOrigin = this.at(pair.key.range?.[0]);
      if (!isScalar(pair.key)) {
        this.report(keyOrigin, "a key must be a word");
        continue;
      }
      const key = pair.key.source ?? String(pair.key.value);
      if (entries.has(key)) {
        this.report(keyOrigin, `"${key}" is said twice`, "keep one of them");
        continue;
      }
      const tree = pair.value === null ? this.#buildScalar(null, "", keyOrigin) : this.build(pair.value, depth + 1);
      if (tree !== undefined) entries.set(key, { keyOrigin, tree });
    }
    return { kind: "map", entries, origin };
  }

  #buildScalar(value: unknown, source: string | undefined, origin: Origin): ScalarTree {
    if (typeof value === "string") return substituted(value, origin, this.#options.substitutions, this.problems);
    const isPlain = typeof value === "number" || typeof value === "boolean" || value === null;
    const written = source ?? JSON.stringify(value) ?? "";
    return { kind: "scalar", value: isPlain ? value : written, written, isSubstituted: false, origin };
  }
}

/** A scalar whose ${env:NAME} and ${file:/path} are filled in. "$${" stands for "${". Filled in once: what a file says is not looked at again. */
export function substituted(
  written: string,
  origin: Origin,
  substitutions: Substitutions,
  problems: Problem[],
): ScalarTree {
  let isSubstituted = false;
  let isMissing = false;
  const value = written.replace(/\$(\$\{)|\$\{([^}]*)\}/g, (_all, escaped: string | undefined, reference = "") => {
    if (escaped !== undefined) return "${";
    const [source, ...rest] = (reference as string).split(":");
    const name = rest.join(":");
    isSubstituted = true;
    if (source === "env") return substitutions.environment(name) ?? missing(`the variable ${name} is not set`);
    if (source === "file") return substitutions.file(name) ?? missing(`the file ${name} cannot be read`);
    return missing(`"\${${reference as string}}" names no source`, "write ${env:NAME} or ${file:/path}");
  });
  return { kind: "scalar", value, written, isSubstituted, isMissing, origin };

  function missing(message: string, fix?: string): string {
    isMissing = true;
    problems.push(fix === undefined ? { origin, message } : { origin, message, fix });
    return "";
  }
}

/** What is wrong, and what to do. */
function yamlWords({ code, message }: YAMLParseError): readonly [message: string, fix: string] {
  if (code === "MULTIPLE_DOCS") return ["the file has several documents", "remove the line ---"];
  const firstLine = message.split("\n")[0] as string;
  if (code === "TAB_AS_INDENT") return [firstLine, "indent with spaces"];
  return [firstLine, "look at the indentation, quotes and brackets here and above"];
}
