/** Proves: what the pages show can be followed: links, scripts, YAML, recipes, and the lists that must be complete. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { settingsTable } from "../../schemas/config.ts";
import { engines, recipe } from "../../src/cli/recipes.ts";
import { apiNames } from "../../src/protocol/api-table.ts";
import { metricsTable } from "../../src/telemetry/metrics-table.ts";
import { configOf } from "../support/config.ts";
import { blocks, links, pages, shellCommands } from "../support/markdown.ts";
import { checkout } from "../support/processes.ts";

const all = pages();
const page = (path: string): string => all.find((each) => each.path === path)?.text ?? "";

test("links between pages lead somewhere", () => {
  const relative = all.flatMap(({ path, text }) =>
    links({ path, text })
      .filter((link) => !/^(https?:|#)/.test(link))
      .map((link) => join(dirname(path), link.split("#")[0] as string)),
  );
  expect(relative.length).toBeGreaterThan(10);
  expect(relative.filter((path) => !existsSync(join(checkout, path)))).toEqual([]);
});

test("every npm script that is spoken of is there, and every script is spoken of", () => {
  const spoken = new Set(
    all
      .flatMap(({ text }) => [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(test|start))\b/g)])
      .map((match) => match[1] ?? (match[2] as string)),
  );
  expect(spoken.size).toBeGreaterThan(5);
  expect([...spoken].filter((name) => !Object.hasOwn(packageJson.scripts, name))).toEqual([]);
  const forNpmItself = new Set(["prepack"]);
  expect(Object.keys(packageJson.scripts).filter((name) => !spoken.has(name) && !forNpmItself.has(name))).toEqual([]);
});

test("programs that shell blocks name are there", () => {
  const programs = all.flatMap(shellCommands).map((command) => command.split(" ")[0] as string);
  const elsewhere = new Set(["npm", "docker", "spark-sql"]);
  expect(programs.length).toBeGreaterThan(8);
  expect(programs.filter((name) => !elsewhere.has(name) && !existsSync(join(checkout, name)))).toEqual([]);
});

test("files and folders in backticks are there", () => {
  const named = [...`${page("README.md")}${page("ARCHITECTURE.md")}${page("CONTRIBUTING.md")}`.matchAll(/`([^`\s]+)`/g)]
    .map((match) => match[1] as string)
    .filter((name) => /^(src|schemas|catalogs|test|docs|examples|interop|bench|scripts|bin|\.ci)\//.test(name));
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((name) => !name.includes("*") && !existsSync(join(checkout, name)))).toEqual([]);
});

describe("README.md", () => {
  const readme = { path: "README.md", text: page("README.md") };

  test("its YAML is a configuration that is accepted", () => {
    const yaml = blocks(readme).filter(({ language }) => language === "yaml");
    expect(yaml.length).toBeGreaterThan(0);
    for (const { text } of yaml) {
      expect(parse(text)).toBeTypeOf("object");
      const { tables } = configOf(text);
      expect(tables).toHaveLength(1);
      expect(tables[0]?.partitionBy).toHaveLength(2);
    }
  });

  test.each(engines)("its lines for %s are those that the command prints", (engine) => {
    const text = recipe(engine, { catalogUri: "http://127.0.0.1:8181", warehouse: "main", table: "lake.flights" });
    expect(blocks(readme).map((block) => block.text)).toContain(text);
  });

  test("its ports and sizes are the defaults", () => {
    const { kafkaPort, registryPort, catalogPort, httpPort, walBytesMax, logCacheBytesMax, uploadIntervalMsMax } =
      settingsTable;
    for (const { default: port } of [kafkaPort, registryPort, catalogPort, httpPort]) {
      expect(readme.text).toContain(`| ${port} |`);
    }
    expect([walBytesMax.default, uploadIntervalMsMax.default]).toEqual([2 ** 30, 60_000]);
    expect(readme.text).toContain("(of 1 GiB,");
    expect(readme.text).toContain(`${logCacheBytesMax.default / 3 / 2 ** 20} MiB wait`); // A third of the log cache is what one upload takes.
  });
});

test("CHANGELOG.md names every API that is served", () => {
  const names = apiNames.map((name) => name.charAt(0).toUpperCase() + name.slice(1));
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page("CHANGELOG.md")))).toEqual([]);
});

test("every decision is in the index", () => {
  const folder = "docs/decisions";
  const files = readdirSync(join(checkout, folder)).filter((name) => name !== "README.md");
  const linked = links({ path: "", text: page(`${folder}/README.md`) });
  expect(files.length).toBeGreaterThan(5);
  expect(linked.toSorted()).toEqual(files.toSorted());
  for (const name of files.filter((each) => /^\d{4}-/.test(each))) {
    const title = page(`${folder}/${name}`).split("\n")[0]?.replace("# ", "");
    expect(page(`${folder}/README.md`)).toContain(`[${title}](${name})`);
  }
});

test("docs/decisions/dependencies.md has a line for every dependency and for no other", () => {
  const text = page("docs/decisions/dependencies.md");
  const { dependencies, devDependencies } = packageJson;
  const names = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  const rows = [...text.matchAll(/^\| ((?:`[^`]+`(?:, )?)+)/gm)].flatMap((match) =>
    [...(match[1] as string).matchAll(/`([^`]+)`/g)].map(([, name]) => name as string),
  );
  expect(rows.length).toBeGreaterThan(8);
  expect(rows.filter((name) => !Object.hasOwn(dependencies, name) && !name.startsWith("node-linux"))).toEqual([]);
});

test("metrics that docs/operations.md names are there", () => {
  const named = [...page("docs/operations.md").matchAll(/`((?:inlet|kafka)_[a-z_]+)`/g)].map(
    (match) => match[1] as string,
  );
  const known: readonly string[] = Object.values(metricsTable).map(({ name }) => name);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => name !== "kafka_" && !known.includes(name))).toEqual([]);
});

test("docs/security.md names tests that are there, and each vulnerability's test names its number", () => {
  const text = page("docs/security.md");
  const files = [...text.matchAll(/`((?:test|interop)\/[^`]+)`/g)].map((match) => match[1] as string);
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((name) => !existsSync(join(checkout, name)))).toEqual([]);
  const rows = [...text.matchAll(/^\| (CVE-\d+-\d+) .*`([^`]+)` *\|$/gm)];
  expect(rows.length).toBeGreaterThan(15);
  const unnamed = rows.filter(
    ([, cve, file]) => !readFileSync(join(checkout, file as string), "utf8").includes(cve as string),
  );
  expect(unnamed.map(([row]) => row)).toEqual([]);
});

test("docs/security.md has each item of its checklist once, with tests that are there", () => {
  const rows = [...page("docs/security.md").matchAll(/^\| +(\d+) +\| ([^|]+) \| (.+?) +\|$/gm)];
  expect(rows.map(([, number]) => Number(number))).toEqual(Array.from({ length: 51 }, (_, index) => index + 1));
  const named = rows.flatMap(([, , , tests = ""]) =>
    tests.split("; `").map((text) => /^`?((?:test|interop)\/[^`]+)`: (.+)$/.exec(text) ?? [text]),
  );
  const missing = named.filter(([, file, title]) => {
    if (file === undefined || title === undefined || !existsSync(join(checkout, file))) return true;
    return !readFileSync(join(checkout, file), "utf8").includes(`${title}`);
  });
  expect(missing.map(([text]) => text)).toEqual([]);
});

test("the glossary has each word once, and the code uses it", () => {
  const glossary = page("ARCHITECTURE.md").split("## Words")[1]?.split("\n## ")[0] ?? "";
  const words = [...glossary.matchAll(/^\| ([^|]+) \|/gm)]
    .flatMap((match) => (match[1] as string).split(/[,/]/))
    .map((word) => word.trim())
    .filter((word) => word !== "word" && !/^-+$/.test(word));
  expect(words.length).toBeGreaterThan(20);
  expect(new Set(words).size).toBe(words.length);
  const code = ["src", "schemas"]
    .flatMap((folder) =>
      readdirSync(join(checkout, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(checkout, name), "utf8").toLowerCase())
    .join("\n");
  expect(words.filter((word) => !code.includes(word))).toEqual([]);
});
