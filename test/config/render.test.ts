/** Proves: what is rendered from the settings table is not stale, and accepts in editors what the broker accepts. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { KiB, MiB } from "../../src/base/settings.ts";
import { flagOf, settingRows, variableOf } from "../../src/config/file-shape.ts";
import { renderDocs, renderJsonSchema, renderStarterYaml } from "../../src/config/render.ts";
import { readConfig } from "../../src/config.ts";

const root = resolve(import.meta.dirname, "../..");

function accepts(text: string): boolean {
  const validate = new Ajv({ strict: false }).compile(JSON.parse(renderJsonSchema()) as object);
  return validate(parse(text));
}

function read(text: string): ReturnType<typeof readConfig> {
  return readConfig({
    file: { name: "inlet.yaml", text },
    environment: { X: "1" },
    flags: new Map(),
    readFile: () => "1",
  });
}

describe("rendered files", () => {
  test.each([
    ["schemas/inlet.schema.json", renderJsonSchema],
    ["docs/config.md", renderDocs],
  ])("%s equals what scripts/render.ts writes", (name, render) => {
    expect(readFileSync(join(root, name), "utf8"), "run node scripts/render.ts").toBe(render());
  });

  test("keys, variables and flags are each unique", () => {
    const settings = settingRows.map(([, setting]) => setting);
    expect(settings.length).toBeGreaterThan(10);
    for (const nameOf of [variableOf, flagOf]) expect(new Set(settings.map(nameOf)).size).toBe(settings.length);
  });

  test("every default lies within its own bounds", () => {
    expect(() => read("")).not.toThrow();
    for (const [, { type, default: value, min, max, oneOf }] of settingRows) {
      if (typeof value === "number") expect(value).toBeGreaterThanOrEqual(min ?? -Infinity);
      if (typeof value === "number") expect(value).toBeLessThanOrEqual(max ?? Infinity);
      if (type === "string" && oneOf !== undefined) expect(oneOf).toContain(value);
    }
  });
});

describe("what nobody has set", () => {
  test("limits that keep a broker alive are finite by default", () => {
    const { settings } = read("");
    const { kafkaConnectionsMax, kafkaConnectionsPerHostMax, kafkaConnectionsPerSecondMax } = settings;
    expect([kafkaConnectionsMax, kafkaConnectionsPerHostMax, kafkaConnectionsPerSecondMax]).toEqual([2000, 1000, 500]);
    expect([settings.requestBytesMax, settings.strangerRequestBytesMax]).toEqual([100 * MiB, 512 * KiB]);
    const bounds = settingRows.filter(([name, { type }]) => name.endsWith("Max") && type !== "boolean");
    expect(bounds.length).toBeGreaterThan(100);
    expect(bounds.filter(([, { default: value }]) => typeof value === "number" && value >= 2 ** 53)).toEqual([]);
  });

  test("nothing listens beyond loopback unless it is told to", () => {
    const { settings, listeners } = read("");
    expect([settings.httpHost, settings.registryHost, settings.catalogHost]).toEqual(Array(3).fill("127.0.0.1"));
    expect(listeners.map(({ host }) => host)).toEqual(["127.0.0.1"]);
  });
});

describe("the schema for editors", () => {
  test.each([
    "memory: { bytes: { max: 2GiB } }",
    "memory: { bytes: { max: 2147483648 } }",
    'kafka: { port: "${env:X}" }',
    "topics: { a: , b: { layout: { partition_by: [day(ts), 'bucket(16, id)', c] }, commit: { every: 30s } } }",
    "lake: { catalogs: { m: { type: embedded }, r: { type: rest, uri: http://c, auth: { token: t } } } }",
    "lake:\ntopics:\nhttp:\n",
  ])("accepts what the broker accepts: %s", (text) => {
    expect(accepts(text)).toBe(true);
    expect(() => read(text)).not.toThrow();
  });

  test.each([
    "kafak: {}",
    "kafka: { port: many }",
    "kafka: { port: 70000 }",
    "topics: { a: { mode: { write: merge } } }",
    "topics: { a: { errors: { policy: maybe } } }",
    "topics: { a: { layout: { partition_by: ['bucket(x)'] } } }",
    "lake: { catalogs: { m: { type: hadoop } } }",
    "lake: { catalogs: { m: { type: rest } } }",
  ])("refuses what the broker refuses: %s", (text) => {
    expect(accepts(text)).toBe(false);
    expect(() => read(text)).toThrow();
  });

  test("the configuration in force, printed as YAML, is accepted and means the same", () => {
    const first = read("kafka: { port: 1 }\ntopics: { a: { layout: { partition_by: [day(ts), 'bucket(16, id)'] } } }");
    const printed = stringify(first.shown);
    expect(accepts(printed)).toBe(true);
    expect({ ...read(printed), shown: undefined }).toEqual({ ...first, shown: undefined });
  });
});

describe("the starter file", () => {
  test("is accepted as it is, and with every line of settings and examples taken in", () => {
    const starter = renderStarterYaml("./inlet.schema.json");
    expect(starter.split("\n")[0]).toBe("# yaml-language-server: $schema=./inlet.schema.json");
    expect(() => read(starter)).not.toThrow();
    const head = starter.indexOf("\n\n");
    const uncommented = starter.slice(head).replaceAll(/^# ?/gm, "").replace("${env:CATALOG_SECRET}", "${env:X}");
    const config = read(uncommented);
    expect(config.settings).toEqual(read("").settings);
    expect(config.tables.map(({ topic }) => topic)).toEqual(["orders"]);
    expect(accepts(uncommented)).toBe(true);
  });
});
