/** Keeps the house: who may import whom, how large a file gets, what no file says. What a reviewer would have to remember. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** A folder, or a file of src, imports itself and what stands here. The other files of src put the parts together: they import all. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "src/base": [],
  schemas: ["src/base"],
  "src/protocol": ["src/base", "schemas"],
  "src/object-store": ["src/base"],
  "src/telemetry": ["src/base"],
  "src/metadata": ["src/base", "schemas", "src/object-store"],
  "src/stream": ["src/base", "schemas", "src/object-store", "src/metadata"],
  "src/access": ["src/base", "schemas", "src/protocol", "src/metadata"],
  "src/log": ["src/base", "schemas", "src/protocol", "src/metadata", "src/stream"],
  "src/coordinator": ["src/base", "schemas", "src/protocol", "src/log"],
  "src/registry": ["src/base", "src/log", "src/protocol"],
  "src/table": ["src/base", "schemas", "src/protocol", "src/object-store", "src/metadata", "src/log", "src/registry"],
  catalogs: ["src/base", "src/table"],
  "src/auth": ["src/base"],
  "src/handlers": [
    "src/base",
    "schemas",
    "src/protocol",
    "src/auth",
    "src/metadata",
    "src/access",
    "src/log",
    "src/coordinator",
  ],
  "src/server": ["src/base", "schemas", "src/protocol", "src/auth", "src/handlers"],
  "src/config": ["src/base", "schemas", "src/object-store", "src/auth", "src/table", "catalogs"],
  "src/config.ts": ["src/base", "schemas", "src/table", "src/config"],
  "src/inspect": ["src/base", "schemas", "src/protocol", "src/object-store", "src/metadata", "src/stream"],
  "src/cli": ["src/base", "src/auth", "src/config", "src/config.ts", "src/inspect"],
};

/** Blank lines and comments left out. */
const linesMax = 400;

interface Import {
  readonly file: string;
  readonly target: string;
}

function folderOf(path: string): string | undefined {
  return Object.keys(mayImport).find((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** Imports that the table above does not allow. */
export function forbidden(imports: readonly Import[]): readonly string[] {
  return imports.flatMap(({ file, target }) => {
    const from = folderOf(file);
    const to = folderOf(target);
    if (from === undefined || from === to) return [];
    const allowed = to !== undefined && (mayImport[from] ?? []).includes(to);
    return allowed ? [] : [`${file} imports ${target}`];
  });
}

/** Paths from the root of the checkout; what a tool made, and what others wrote, is left out. */
function filesIn(folder: string): readonly string[] {
  const made = new Set([".cache", ".git", "data", "dist", "node_modules", "coverage", "package-lock.json", "LICENSE"]);
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (made.has(path)) return [];
    if (entry.isDirectory()) return filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}

function importsOf(file: string): readonly Import[] {
  return [...read(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map((match) => ({
    file,
    target: relative(root, resolve(root, dirname(file), match[1] as string)),
  }));
}

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

const files = filesIn(".");
const code = files.filter((file) => file.endsWith(".ts"));
const sources = code.filter((file) => /^(src|schemas|catalogs)\//.test(file));

describe("layers", () => {
  const imports = sources.flatMap(importsOf);

  test("every import points down the layer table", () => {
    expect(sources.length).toBeGreaterThan(15); // A check that looked at nothing fails.
    expect(imports.length).toBeGreaterThan(10);
    expect(forbidden(imports)).toEqual([]);
  });

  test("a planted violation is found", () => {
    expect(forbidden([{ file: "src/protocol/frame.ts", target: "src/log/log.ts" }])).toHaveLength(1);
    expect(forbidden([{ file: "src/base/bytes.ts", target: "src/protocol/frame.ts" }])).toHaveLength(1);
    expect(forbidden([{ file: "src/cli/kafka.ts", target: "src/broker.ts" }])).toHaveLength(1);
    expect(forbidden([{ file: "src/log/partition.ts", target: "src/stream/storage.ts" }])).toEqual([]);
  });

  test("every folder of src stands in the table", () => {
    const folders = new Set(
      sources.map((file) =>
        (file.startsWith("src/") ? file.split("/").slice(0, -1) : [file.split("/")[0]]).slice(0, 2).join("/"),
      ),
    );
    folders.delete("src");
    expect([...folders].filter((folder) => mayImport[folder] === undefined)).toEqual([]);
    expect(Object.keys(mayImport).filter((key) => !folders.has(key) && !sources.includes(key))).toEqual([]);
  });

  test("ARCHITECTURE.md shows the same table", () => {
    const rows = [...read("ARCHITECTURE.md").matchAll(/^\| `([^`]+)` *\| ([^|]*) \| ([^|]*?) *\|$/gm)];
    const shown = rows.map(([, folder, , imports]) => [
      (folder as string).replace(/\/$/, ""),
      (imports as string).split(", ").filter((name) => name !== "nothing"),
    ]);
    const short = (path: string): string => path.replace(/^src\//, "");
    const table = Object.entries(mayImport).map(([folder, targets]) => [folder, targets.map(short)]);
    expect(Object.fromEntries(shown)).toEqual({ ...Object.fromEntries(table), "src/*.ts": ["all"] });
  });

  test("what runs in production is a production dependency", () => {
    const { dependencies } = JSON.parse(read("package.json")) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const packages = sources.flatMap((file) =>
      [...read(file).matchAll(/(?:\bfrom |\bimport\()"(@[\w-]+\/[\w.-]+|[a-z][\w.-]*)["/]/g)].map(
        (match) => match[1] as string,
      ),
    );
    expect(packages.length).toBeGreaterThan(10);
    expect(packages.filter((name) => dependencies[name] === undefined)).toEqual([]);
  });
});

describe("files", () => {
  test("say what they export by name, where it stands", () => {
    const withDefaults = code.filter((file) => /^export default /m.test(read(file)) && !file.endsWith(".config.ts"));
    expect(withDefaults).toEqual([]);
    expect(code.filter((file) => ["index.ts", "utils.ts", "helpers.ts"].includes(basename(file)))).toEqual([]);
    expect(code.filter((file) => /^export \* from/m.test(read(file)))).toEqual([]);
  });

  test("are one thought long", () => {
    const long = sources.filter((file) => linesOf(read(file)) > linesMax);
    expect(long).toEqual([]);
  });

  test("open with what they are", () => {
    const silent = code.filter((file) => /^(test|interop)\/.*\.test\.ts$/.test(file) && !/^\/[/*]/.test(read(file)));
    expect(silent).toEqual([]);
  });

  test("say nothing that only one place and time understands", () => {
    const texts = files.filter((file) => /\.(ts|md|ya?ml|json|py|sql|properties|avsc)$|^[^.]+$/.test(file));
    expect(texts.length).toBeGreaterThan(400);
    const found = texts.flatMap((file) => wordsIn(file, read(file)));
    expect(found).toEqual([]);
  });

  test("planted words are found", () => {
    expect(wordsIn("a", `x ${"TO"}DO y\n/${"home"}/me/inlet/x`)).toHaveLength(2);
    expect(wordsIn("a", `see ${"issue"} #12, or ${"#"}12`)).toHaveLength(1);
    expect(wordsIn("a", `x\n${"<".repeat(7)} HEAD\ny`)).toHaveLength(1);
    expect(wordsIn("a", "a URL of s3://bucket/home/x and #fragment")).toEqual([]);
  });
});

/** What no file says, and why. */
const bannedWords: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^ *(?:<{7}|>{7}|(?:> ){7}\S+$)/m, "a merge that was not finished"],
  [/\b(?:TO)DO\b|\bFIX(?:ME)\b|\bHA(?:CK)\b/, "what is not done is not there, or in the CHANGELOG"],
  [/(?<![\w:./])\/(?:home|Users|root|work)\//, "a path of somebody's machine"],
  [/\b(?:issue|ticket|pull request)s? #?\d+|(?<![\w&/"'#=])#\d+\b/i, "a number that only a tracker understands"],
  [/\b(?:sub-?agent|language model|chat ?bot)s?\b/i, "how a text came to be"],
  [/\bDESIGN\b|\bSTYLE\.md\b|\breference\/\w+\.md\b/, "a document that is not here"],
];

function wordsIn(file: string, text: string): readonly string[] {
  if (file === "test/tidy.test.ts") return [];
  return text.split("\n").flatMap((line, index) => {
    const banned = bannedWords.find(([pattern]) => pattern.test(line));
    return banned === undefined ? [] : [`${file}:${index + 1}: ${banned[1]}: ${line.trim().slice(0, 100)}`];
  });
}

/** As the linter counts: blank lines and comments are free. */
function linesOf(text: string): number {
  const bare = text.replaceAll(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, "");
  return bare.split("\n").filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;
}
