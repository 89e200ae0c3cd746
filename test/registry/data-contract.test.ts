/** Proves: metadata and rules are kept, returned and part of what a version is, as Confluent's registry has it. */
import { expect, test } from "vitest";
import { guidOf } from "../../src/registry/guid.ts";
import { MemorySchemaLog } from "./memory-log.ts";
import { open } from "./registry-server.ts";

const int = { schema: '"int"' };
const owner = (name: string) => ({ properties: { owner: name } });
const rule = { name: "mask", kind: "TRANSFORM", mode: "WRITEREAD", type: "ENCRYPT", tags: ["PII"], disabled: true };
const ruleSet = { domainRules: [rule] };

test("the guid is Confluent's digest of text, references and metadata", () => {
  const content = { schemaType: "AVRO", schema: '"int"', references: [] };
  // echo -n '"int"' | md5sum, and so on: what Java's MessageDigest is fed.
  expect(guidOf(content)).toBe("ef524ea1-b91e-7317-3d93-8ade36c1db32");
  const metadata = owner("team");
  expect(guidOf({ ...content, metadata })).toBe("9740d35e-97be-e701-f86a-9b138fabd141");
  const references = [{ name: "n", subject: "ins", version: 1 }];
  expect(guidOf({ ...content, references })).toBe("839fdf54-bf37-ae43-7375-252f6d5914c1");
});

test("other metadata is another version; what a request leaves out is the latest version's", async () => {
  const log = new MemorySchemaLog();
  await using server = await open(log);
  const { call } = server;
  const path = "/subjects/s/versions";
  expect(await call("POST", path, { ...int, metadata: owner("a"), ruleSet })).toMatchObject({
    id: 1,
    metadata: owner("a"),
    ruleSet,
  });
  expect(await call("POST", path, int)).toMatchObject({ id: 1, version: 1 });
  expect(await call("POST", path, { metadata: owner("b") })).toMatchObject({ id: 2, version: 2, ruleSet });
  expect(await call("POST", "/subjects/s", int)).toMatchObject({ version: 2 });
  expect(await call("POST", "/subjects/s", { ...int, metadata: owner("a"), ruleSet })).toMatchObject({ version: 1 });
  expect(await call("GET", "/subjects/s/metadata?key=owner&value=a")).toMatchObject({ version: 1 });
  expect(await call("GET", "/subjects/s/metadata?key=owner&value=c")).toBe(40403);
  expect(await call("GET", "/subjects/none/metadata?key=owner&value=c")).toBe(40401);
  await using again = await open(log);
  expect(await again.call("GET", "/schemas/ids/1")).toMatchObject({ metadata: owner("a"), ruleSet });
});

test("a subject's config adds to what is registered, and overrides it", async () => {
  await using server = await open();
  const { call } = server;
  const config = {
    compatibility: "FULL",
    defaultMetadata: { properties: { owner: "nobody", tier: "3" } },
    overrideMetadata: { tags: { "**.ssn": ["PII"] } },
    overrideRuleSet: { domainRules: [{ ...rule, disabled: false }] },
  };
  expect(await call("PUT", "/config/s", config)).toMatchObject({ compatibility: "FULL" });
  expect(await call("POST", "/subjects/s/versions", { ...int, metadata: owner("me"), ruleSet })).toMatchObject({
    metadata: { tags: { "**.ssn": ["PII"] }, properties: { owner: "me", tier: "3" } },
    ruleSet: { domainRules: [{ name: "mask" }] },
  });
  expect(await call("POST", "/subjects/s/versions", { ...int, metadata: owner("me"), ruleSet })).toMatchObject({
    version: 1,
  });
  expect(await call("PUT", "/config/s", { defaultMetadata: null })).not.toHaveProperty("defaultMetadata");
  expect(await call("DELETE", "/config/s")).toMatchObject({ compatibilityLevel: "FULL" });
  expect(await call("PUT", "/config/s", { validateRules: true })).toBe(42205);
  expect(await call("PUT", "/config/s", {})).toBe(42203);
});

test("a subject's config normalizes without being asked", async () => {
  await using server = await open();
  await server.call("PUT", "/config/s", { normalize: true });
  const props = (text: string) => ({ schema: `{"type":"int",${text}}` });
  expect(await server.call("POST", "/subjects/s/versions", props('"z":1,"b":2'))).toMatchObject({ id: 1 });
  expect(await server.call("POST", "/subjects/s/versions", props('"b":2,"z":1'))).toMatchObject({ id: 1, version: 1 });
});

test("a compatibility group compares versions of the same value alone", async () => {
  await using server = await open();
  await server.call("PUT", "/config/s", { compatibilityGroup: "major" });
  const version = (schema: string, major: string) => ({ schema, metadata: { properties: { major } } });
  await server.call("POST", "/subjects/s/versions", version('"int"', "1"));
  expect(await server.call("POST", "/subjects/s/versions", version('"string"', "1"))).toBe(40901);
  expect(await server.call("POST", "/subjects/s/versions", version('"string"', "2"))).toMatchObject({ version: 2 });
  expect(await server.call("POST", "/subjects/s/versions", version('"long"', "1"))).toMatchObject({ version: 3 });
});

test("a version that is insisted on must be the next", async () => {
  await using server = await open();
  expect(await server.call("POST", "/subjects/s/versions", { ...int, version: 2 })).toBe(42201);
  expect(await server.call("POST", "/subjects/s/versions", { ...int, version: 1 })).toMatchObject({ version: 1 });
  expect(await server.call("POST", "/subjects/s/versions", { ...int, version: -1, id: -1 })).toMatchObject({ id: 1 });
});

test("an import makes room for its ids: what is deleted softly goes, what is live stops it", async () => {
  await using server = await open();
  await server.call("POST", "/subjects/s/versions", int);
  expect(await server.call("PUT", "/mode/s", { mode: "IMPORT" })).toBe(42205);
  await server.call("DELETE", "/subjects/s");
  expect(await server.call("PUT", "/mode/s", { mode: "IMPORT" })).toEqual({ mode: "IMPORT" });
  expect(await server.call("GET", "/subjects?deleted=true")).toEqual([]);
  expect(await server.call("POST", "/subjects/s/versions", { schema: '"long"', id: 1, version: 7 })).toMatchObject({
    id: 1,
    version: 7,
  });
  expect(await server.call("POST", "/subjects/s/versions", { schema: '"float"' })).toBe(42205);
});
