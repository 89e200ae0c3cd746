/** Proves: what a schema must be when it comes, as Confluent's registry has it, and what of that a config lets off. */
import { describe, expect, test } from "vitest";
import { open } from "./registry-server.ts";

const path = "/subjects/s/versions";
const field = (more: object) => ({
  schema: JSON.stringify({ type: "record", name: "R", fields: [{ name: "f", type: "int", ...more }] }),
});

describe("names and defaults of Avro", () => {
  test.each([
    ["a default of another type", field({ default: "x" })],
    ["a name with a dash", field({ name: "f-g" })],
  ])("%s is refused, unless the config says otherwise or another registry took it", async (_, schema) => {
    await using server = await open();
    const { call } = server;
    expect(await call("POST", path, schema)).toBe(42201);
    expect(await call("POST", "/compatibility/subjects/s/versions", schema)).toBe(42201);
    expect(await call("PUT", "/config/s", { validateNewSchemas: false })).toEqual({ validateNewSchemas: false });
    expect(await call("POST", "/compatibility/subjects/s/versions/latest", schema)).toEqual({ is_compatible: true });
    expect(await call("POST", path, schema)).toMatchObject({ id: 1 });
    await call("PUT", "/mode/i", { mode: "IMPORT" });
    expect(await call("POST", "/subjects/i/versions", { ...schema, id: 1, version: 1 })).toMatchObject({ id: 1 });
    // What is there is found, and compared with, whatever the config says now.
    await call("PUT", "/config/s", { validateNewSchemas: true });
    expect(await call("POST", "/subjects/s", schema)).toMatchObject({ version: 1 });
    expect(await call("POST", path, field({ name: "g", default: 0 }))).toMatchObject({ id: 2 });
  });
});

test("who asks why gets no error for what is no schema", async () => {
  await using server = await open();
  const answer = await server.call("POST", "/compatibility/subjects/s/versions?verbose=true", { schema: "{" });
  expect(answer).toMatchObject({ is_compatible: false, messages: [expect.stringMatching(/^Invalid schema/)] });
  expect(await server.call("POST", "/compatibility/subjects/s/versions/1?verbose=true", { schema: "{" })).toBe(40402);
});

test("a level of both directions says what is wrong in both", async () => {
  await using server = await open();
  await server.call("POST", path, { schema: '"int"' });
  await server.call("PUT", "/config/s", { compatibility: "FULL" });
  const answer = await server.call("POST", "/compatibility/subjects/s/versions/1?verbose=true", { schema: '"string"' });
  expect((answer as { readonly messages: unknown }).messages).toEqual([
    expect.stringContaining("the new schema cannot read"),
    expect.stringContaining("the old schema cannot read"),
    "{oldSchemaVersion: 1}",
    expect.stringContaining("oldSchema:"),
    "{compatibility: 'FULL'}",
  ]);
});

test("force passes compatibility by", async () => {
  await using server = await open();
  await server.call("POST", path, { schema: '"int"' });
  expect(await server.call("POST", path, { schema: '"string"' })).toBe(40901);
  expect(await server.call("POST", `${path}?force=true`, { schema: '"string"' })).toMatchObject({ version: 2 });
});

test("what is imported keeps its form, though the config normalizes", async () => {
  await using server = await open();
  const { call } = server;
  const schema = '{"type":"int","z":1,"b":2}';
  await call("PUT", "/config/s", { normalize: true });
  await call("PUT", "/mode/s", { mode: "IMPORT" });
  expect(await call("POST", `${path}?normalize=true`, { schema, id: 1, version: 1 })).toMatchObject({ id: 1 });
  expect(await call("GET", "/subjects/s/versions/1")).toMatchObject({ schema });
});

describe("references", () => {
  const record = (name: string, type: unknown) =>
    JSON.stringify({ type: "record", name, fields: [{ name: "r", type }] });

  test("lead to no deleted version, and to one version of a name", async () => {
    await using server = await open();
    const { call } = server;
    await call("PUT", "/config", { compatibility: "NONE" });
    for (const type of ["int", "long"]) await call("POST", "/subjects/a/versions", { schema: record("A", type) });
    const a = (version: number) => ({ name: "A", subject: "a", version });
    await call("POST", "/subjects/b/versions", { schema: record("B", "A"), references: [a(2)] });
    const b = { name: "B", subject: "b", version: 1 };
    const both = { schema: record("C", ["A", "B"]) };
    expect(await call("POST", path, { ...both, references: [a(1), b] })).toBe(42201);
    expect(await call("POST", path, { ...both, references: [a(2), b] })).toMatchObject({ version: 1 });
    await call("DELETE", "/subjects/a/versions/1");
    expect(await call("POST", "/subjects/d/versions", { schema: record("D", "A"), references: [a(1)] })).toBe(42201);
  });

  test("of JSON Schema must be among its references or in it", async () => {
    await using server = await open();
    const { call } = server;
    const json = (schema: object, references: readonly object[] = []) => ({
      schemaType: "JSON",
      schema: JSON.stringify(schema),
      references,
    });
    await call("POST", "/subjects/ref/versions", json({ definitions: { A: { type: "string" } } }));
    const references = [{ name: "ref.json", subject: "ref", version: 1 }];
    const main = { $id: "https://acme.example/main.json", properties: { a: { $ref: "ref.json#/definitions/A" } } };
    expect(await call("POST", path, json(main))).toBe(42201);
    expect(await call("POST", path, json(main, references))).toMatchObject({ version: 1 });
    for (const fine of [
      {
        $id: "https://acme.example/x.json",
        definitions: { y: { $id: "y.json" } },
        properties: { a: { $ref: "y.json" } },
      },
      { properties: { a: { $ref: "http://json-schema.org/draft-07/schema#" } } },
      { properties: { $ref: { type: "string" } }, examples: [{ $ref: "nowhere.json" }] },
      { definitions: { a: {} }, $ref: "#/definitions/a" },
      { properties: { a: { $ref: "https://acme.example/ref.json" } } },
    ]) {
      const named = [{ name: "https://acme.example/ref.json", subject: "ref", version: 1 }];
      expect(await call("POST", "/subjects/fine/versions?force=true", json(fine, named))).toMatchObject({ guid: /./ });
    }
  });
});

test("draft 4 has flags for exclusive bounds", async () => {
  await using server = await open();
  const schema = (draft: string) => ({
    schemaType: "JSON",
    schema: JSON.stringify({
      $schema: `http://json-schema.org/${draft}/schema#`,
      type: "number",
      minimum: 0,
      exclusiveMinimum: true,
    }),
  });
  expect(await server.call("POST", path, schema("draft-07"))).toBe(42201);
  expect(await server.call("POST", path, schema("draft-04"))).toMatchObject({ version: 1 });
});

test("validateFields keeps reserved names reserved", async () => {
  await using server = await open();
  const { call } = server;
  const reserving = (names: string) => ({ metadata: { properties: { "confluent:reserved": names } } });
  const fields = (...names: readonly string[]) => ({
    schema: JSON.stringify({
      type: "record",
      name: "R",
      fields: names.map((name) => ({ name, type: "int", default: 0 })),
    }),
  });
  expect(await call("PUT", "/config/s", { validateFields: true })).toEqual({ validateFields: true });
  expect(await call("POST", path, { ...fields("f"), ...reserving("f, g") })).toBe(40901);
  expect(await call("POST", path, { ...fields("f"), ...reserving("g") })).toMatchObject({ version: 1 });
  expect(await call("POST", path, { ...fields("f", "h"), ...reserving("x") })).toBe(40901);
  expect(await call("POST", path, { ...fields("f", "h"), ...reserving("g,x") })).toMatchObject({ version: 2 });
  await call("PUT", "/config/s", { validateFields: false });
  expect(await call("POST", path, { ...fields("g"), ...reserving("g") })).toMatchObject({ version: 3 });
});

test("rules are of the modes that their list is for", async () => {
  await using server = await open();
  const rule = (mode: string) => [{ name: "r", type: "CEL", mode }];
  const int = { schema: '"int"' };
  expect(await server.call("POST", path, { ...int, ruleSet: { migrationRules: rule("READ") } })).toBe(42210);
  expect(await server.call("PUT", "/config", { defaultRuleSet: { domainRules: rule("UPGRADE") } })).toBe(42210);
  expect(await server.call("POST", path, { ...int, ruleSet: { migrationRules: rule("UPGRADE") } })).toMatchObject({
    id: 1,
  });
});

test("what the registry would have to change in the text is refused", async () => {
  await using server = await open();
  expect(await server.call("POST", path, { schema: '"int"', propagateSchemaTags: true })).toBe(42205);
  expect(await server.call("POST", path, { schema: '"int"', schemaTagsToAdd: [{}] })).toBe(42205);
  expect(await server.call("POST", path, { schema: '"int"', schemaTagsToAdd: [] })).toMatchObject({ id: 1 });
});

test("a subject has a name", async () => {
  await using server = await open();
  for (const subject of [":.:", ":.team:"])
    expect(await server.call("POST", `/subjects/${subject}/versions`, { schema: '"int"' })).toBe(42208);
});
