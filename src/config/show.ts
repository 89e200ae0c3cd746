/** The configuration in force, as YAML would say it: defaults filled in, secrets masked, ${...} left as it was written. */
import { secretMask, withoutSecrets } from "../base/secrets.ts";
import { type ObjectShape, type Shape, valueShape } from "./shape.ts";
import type { MapTree, Tree } from "./tree.ts";

/** Plain data for a YAML or JSON writer. The tree must have been read without problems. */
export function showShape(shape: Shape, tree: Tree | undefined): unknown {
  switch (shape.kind) {
    case "leaf": {
      if (tree?.kind !== "scalar" || tree.value === null) {
        const byDefault = shape.default === undefined ? null : shape.show(shape.default);
        return shape.isSecret && byDefault !== null && byDefault !== "" ? secretMask : byDefault;
      }
      if (shape.isSecret) return isReference(tree.written) ? tree.written : secretMask;
      if (tree.isSubstituted) return tree.written;
      const outcome = shape.parse(tree.value);
      return withoutKeys(outcome.kind === "value" ? shape.show(outcome.value) : tree.written);
    }
    case "object":
      return showFields(shape, tree);
    case "record":
      return fromEntries(
        [...entriesOf(tree)].map(([key, { tree: value }]) => [key, showShape(valueShape(shape, key), value)]),
      );
    case "list":
      if (tree?.kind === "list") return tree.items.map((item) => showShape(shape.items, item));
      return tree?.kind === "scalar" && tree.value !== null
        ? tree.written
        : shape.default.map((each) => shape.items.show(each));
    case "variant": {
      const tag = child(tree, shape.tag);
      const name = tag?.kind === "scalar" ? String(tag.value) : "";
      const option = Object.hasOwn(shape.options, name) ? shape.options[name] : undefined;
      return { [shape.tag]: name, ...(option === undefined ? {} : showFields(option, tree)) };
    }
  }
}

function showFields(shape: ObjectShape, tree: Tree | undefined): Readonly<Record<string, unknown>> {
  return fromEntries(Object.entries(shape.fields).map(([key, field]) => [key, showShape(field, child(tree, key))]));
}

/** A store's URL is no secret, but its parameters may hold keys. */
function withoutKeys(value: unknown): unknown {
  return typeof value === "string" ? withoutSecrets(value) : value;
}

/** Says only where a secret comes from. */
function isReference(written: string): boolean {
  return /^\$\{(env|file):[^}]*\}$/.test(written);
}

function child(tree: Tree | undefined, key: string): Tree | undefined {
  return tree?.kind === "map" ? tree.entries.get(key)?.tree : undefined;
}

function entriesOf(tree: Tree | undefined): MapTree["entries"] {
  return tree?.kind === "map" ? tree.entries : new Map();
}

/** Own properties whatever the keys are: "__proto__" too. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(entries);
}
