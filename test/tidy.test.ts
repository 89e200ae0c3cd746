/** Keeps the house: who may import whom, and nothing else that a reviewer would have to remember. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** DESIGN section 3, written once. A folder imports itself and what stands here. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "src/base": [],
  schemas: ["src/base"],
  "src/protocol": ["src/base", "schemas"],
  "src/object-store": ["src/base"],
  "src/telemetry": ["src/base"],
  "src/metadata": ["src/base", "schemas", "src/object-store"],
  "src/stream": ["src/base", "schemas", "src/object-store", "src/metadata"],
  "src/log": ["src/base", "schemas", "src/protocol", "src/metadata", "src/stream"],
  "src/coordinator": ["src/base", "schemas", "src/protocol", "src/log"],
  "src/registry": ["src/base", "src/log", "src/protocol"],
  "src/table": ["src/base", "schemas", "src/protocol", "src/object-store", "src/metadata", "src/log", "src/registry"],
  catalogs: ["src/base", "src/table"],
  "src/handlers": ["src/base", "schemas", "src/protocol", "src/metadata", "src/log", "src/coordinator"],
  "src/server": ["src/base", "schemas", "src/protocol", "src/handlers"],
};

interface Import {
  readonly file: string;
  readonly target: string;
}

function folderOf(path: string): string | undefined {
  return Object.keys(mayImport).find((folder) => path.startsWith(`${folder}/`));
}

/** Imports that the table above does not allow. */
export function forbidden(imports: readonly Import[]): readonly string[] {
  return imports.flatMap(({ file, target }) => {
    const from = folderOf(file);
    const to = folderOf(target);
    if (from === undefined || from === to) return []; // src/*.ts is the composition root: it may import all.
    const allowed = to !== undefined && (mayImport[from] ?? []).includes(to);
    return allowed ? [] : [`${file} imports ${target}`];
  });
}

function sourceFiles(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map((match) => ({
    file,
    target: relative(root, resolve(root, dirname(file), match[1] as string)),
  }));
}

describe("layers", () => {
  const files = ["src", "schemas", "catalogs"].flatMap(sourceFiles);
  const imports = files.flatMap(importsOf);

  test("every import points down the layer table", () => {
    expect(files.length).toBeGreaterThan(15); // A check that looked at nothing fails.
    expect(imports.length).toBeGreaterThan(10);
    expect(forbidden(imports)).toEqual([]);
  });

  test("a planted violation is found", () => {
    expect(forbidden([{ file: "src/protocol/frame.ts", target: "src/log/log.ts" }])).toHaveLength(1);
    expect(forbidden([{ file: "src/base/bytes.ts", target: "src/protocol/frame.ts" }])).toHaveLength(1);
    expect(forbidden([{ file: "src/log/partition.ts", target: "src/stream/storage.ts" }])).toEqual([]);
  });
});
