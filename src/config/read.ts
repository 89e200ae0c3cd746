/** From a tree and a shape to values. Whatever is wrong is reported and replaced by a placeholder, so that one run finds it all. */
import { didYouMean, type Problem } from "./problem.ts";
import {
  type Leaf,
  type ListShape,
  type ObjectShape,
  type RecordShape,
  type Shape,
  type ValueOf,
  type VariantShape,
  valueShape,
} from "./shape.ts";
import type { MapTree, ScalarTree, Tree } from "./tree.ts";

/** The value that the tree says. `path` is dotted, for messages; `missingAt` is where a value that was not said should stand. */
export function readShape<S extends Shape>(shape: S, tree: Tree, path: string, problems: Problem[]): ValueOf<S> {
  return new Reader(problems).read(shape, tree, path, tree) as ValueOf<S>;
}

class Reader {
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  read(shape: Shape, tree: Tree | undefined, path: string, parent: Tree): unknown {
    switch (shape.kind) {
      case "leaf":
        return this.#leaf(shape, tree, path, parent);
      case "object":
        return this.#object(shape, this.#map(tree, path), path, parent);
      case "record":
        return this.#record(shape, this.#map(tree, path), path);
      case "list":
        return this.#list(shape, tree, path);
      case "variant":
        return this.#variant(shape, this.#map(tree, path), path, parent);
    }
  }

  #leaf(shape: Leaf<unknown>, tree: Tree | undefined, path: string, parent: Tree): unknown {
    // "key:" with nothing after it is how YAML says that something is left out.
    const isAbsent = tree === undefined || (tree.kind === "scalar" && tree.value === null);
    if (isAbsent) {
      if (shape.default !== undefined) return shape.default;
      this.#report(tree ?? parent, `${path} is missing`, `say ${path} (${shape.typeName}): ${lowerFirst(shape.doc)}`);
      return shape.placeholder;
    }
    if (tree.kind !== "scalar") {
      this.#report(tree, `${path} must be ${shape.typeName}, not a ${tree.kind}`);
      return shape.placeholder;
    }
    if (tree.isMissing === true) return shape.placeholder;
    if (shape.isSecret && tree.isSubstituted && tree.value === "") {
      // Left out it may mean that nothing is asked for: nobody who names a source for it means that.
      this.#report(tree, `${path} is empty: ${tree.written} has nothing in it`, "set it there, or leave the line out");
      return shape.placeholder;
    }
    const outcome = shape.parse(tree.value);
    if (outcome.kind === "value") return outcome.value;
    const found = shape.isSecret ? "" : `, not ${quoted(tree)}`;
    const choices = /^one of (.*)$/.exec(outcome.mustBe)?.[1]?.split(", ") ?? [];
    this.#report(tree, `${path} must be ${outcome.mustBe}${found}`, outcome.fix ?? didYouMean(tree.written, choices));
    return shape.placeholder;
  }

  #object(shape: ObjectShape, map: MapTree | undefined, path: string, parent: Tree): unknown {
    for (const [key, { keyOrigin }] of map?.entries ?? []) {
      if (Object.hasOwn(shape.fields, key)) continue;
      const where = path === "" ? "" : ` in ${path}`;
      if (shape.later.includes(key)) {
        this.#problem(keyOrigin, `"${key}"${where} belongs to a feature that this version does not have`, "remove it");
      } else {
        this.#problem(keyOrigin, `unknown key "${key}"${where}`, fixOfUnknown(shape, key, path));
      }
    }
    const values = Object.entries(shape.fields).map(([key, field]) => [
      key,
      this.read(field, map?.entries.get(key)?.tree, join(path, key), map ?? parent),
    ]);
    return Object.fromEntries(values) as unknown;
  }

  #record(shape: RecordShape, map: MapTree | undefined, path: string): ReadonlyMap<string, unknown> {
    const values = new Map<string, unknown>();
    for (const [key, { tree }] of map?.entries ?? []) {
      values.set(key, this.read(valueShape(shape, key), tree, join(path, key), tree));
    }
    return values;
  }

  #list(shape: ListShape, tree: Tree | undefined, path: string): readonly unknown[] {
    if (tree === undefined || (tree.kind === "scalar" && tree.value === null)) return shape.default;
    if (tree.kind === "list") {
      return tree.items.map((item, index) => this.#leaf(shape.items, item, `${path}[${index}]`, item));
    }
    if (tree.kind === "scalar" && typeof tree.value === "string") {
      // Variables and flags have no other way to say a list.
      const words = splitList(tree.value);
      return words.map((word, index) =>
        this.#leaf(shape.items, { ...tree, value: word, written: word }, `${path}[${index}]`, tree),
      );
    }
    this.#report(tree, `${path} must be a list`, "write [a, b]");
    return shape.default;
  }

  #variant(shape: VariantShape, map: MapTree | undefined, path: string, parent: Tree): unknown {
    const names = Object.keys(shape.options);
    const tagTree = map?.entries.get(shape.tag)?.tree;
    const tag = tagTree?.kind === "scalar" ? String(tagTree.value) : "";
    const option = Object.hasOwn(shape.options, tag) ? shape.options[tag] : undefined;
    if (option === undefined || map === undefined) {
      const found =
        tagTree === undefined ? "" : `, not ${tagTree.kind === "scalar" ? quoted(tagTree) : `a ${tagTree.kind}`}`;
      this.#report(
        tagTree ?? map ?? parent,
        `${join(path, shape.tag)} must be one of ${names.join(", ")}${found}`,
        didYouMean(tag, names),
      );
      return { type: "refused" };
    }
    const rest = new Map(map.entries);
    rest.delete(shape.tag);
    return { type: tag, ...(this.#object(option, { ...map, entries: rest }, path, parent) as object) };
  }

  #map(tree: Tree | undefined, path: string): MapTree | undefined {
    if (tree === undefined || tree.kind === "map" || (tree.kind === "scalar" && tree.value === null))
      return tree?.kind === "map" ? tree : undefined;
    this.#report(tree, `${path} must be a map, not ${tree.kind === "list" ? "a list" : quoted(tree)}`);
    return undefined;
  }

  #report(tree: Tree, message: string, fix?: string): void {
    this.#problem(tree.origin, message, fix);
  }

  #problem(origin: Tree["origin"], message: string, fix: string | undefined): void {
    this.#problems.push(fix === undefined ? { origin, message } : { origin, message, fix });
  }
}

function fixOfUnknown(shape: ObjectShape, key: string, path: string): string {
  const nested = nestedKey(shape, key.split("."));
  if (nested !== undefined) return `write ${nested}`;
  const known = Object.keys(shape.fields);
  const similar = didYouMean(key, known);
  if (similar !== undefined) return similar;
  const [parent, block] = path.split(".").slice(-2);
  // A name that anybody may choose, and that is a key one level deeper.
  if (parent === "topics" && block !== undefined && known.includes(block))
    return `is "${block}" indented too little? As it stands it is a topic`;
  return `known here: ${known.join(", ")}`;
}

/** "kafka.port", as the docs name a setting, in the form of YAML; undefined when there is no such setting. */
function nestedKey(shape: Shape, [key, ...rest]: readonly string[]): string | undefined {
  if (key === undefined) return "..";
  const field = shape.kind === "object" && Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
  if (field === undefined) return undefined;
  if (rest.length === 0) return `${key}: ..`;
  const inner = nestedKey(field, rest);
  return inner === undefined ? undefined : `${key}: { ${inner} }`;
}

/** "a, bucket(16, id)" → two words: commas inside parentheses do not part. */
function splitList(value: string): readonly string[] {
  return value
    .split(/,(?![^(]*\))/)
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

function quoted(tree: ScalarTree): string {
  return typeof tree.value === "string" ? `"${tree.written}"` : tree.written;
}

export function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
