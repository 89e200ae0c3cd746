/** Proves: the registry speaks Confluent's REST API over HTTP, to a stock client and call by call, and survives a restart from its log. */
import { SchemaRegistry as Client, SchemaType } from "@kafkajs/confluent-schema-registry";
import { describe, expect, test } from "vitest";
import { MemorySchemaLog } from "./memory-log.ts";
import { open } from "./registry-server.ts";

const record = (...fields: readonly object[]) => JSON.stringify({ type: "record", name: "R", namespace: "n", fields });
const int = (name: string) => ({ name, type: "int" });
const intOr0 = (name: string) => ({ name, type: "int", default: 0 });
const a = { schema: record(int("a")) };
const ab = { schema: record(int("a"), int("b")) };
const aOptionalB = { schema: record(int("a"), intOr0("b")) };

describe("a stock client", () => {
  test("registers, encodes and decodes Avro", async () => {
    await using server = await open();
    const client = new Client({ host: server.url });
    const { id } = await client.register(
      { type: SchemaType.AVRO, schema: record(int("a"), { name: "s", type: "string" }) },
      { subject: "t-value" },
    );
    const bytes = await client.encode(id, { a: 7, s: "x" });
    const reader = new Client({ host: server.url });
    expect({ ...(await reader.decode(bytes)) }).toEqual({ a: 7, s: "x" });
    expect(await client.getLatestSchemaId("t-value")).toBe(id);
    expect(await client.getRegistryId("t-value", 1)).toBe(id);
    // The same again is the same id, and a change that would break readers is refused.
    const again = await client.register(
      { type: SchemaType.AVRO, schema: record(int("a"), { name: "s", type: "string" }) },
      { subject: "t-value" },
    );
    expect(again.id).toBe(id);
    await expect(
      client.register({ type: SchemaType.AVRO, schema: record({ name: "s", type: "int" }) }, { subject: "t-value" }),
    ).rejects.toThrow(/incompatible/);
  });

  test("registers and validates JSON Schema, with a reference", async () => {
    await using server = await open();
    const client = new Client({ host: server.url });
    const address = { $id: "https://x.example/address", type: "object", properties: { city: { type: "string" } } };
    await client.register({ type: SchemaType.JSON, schema: JSON.stringify(address) }, { subject: "address" });
    const user = {
      $id: "https://x.example/user",
      type: "object",
      properties: { home: { $ref: "https://x.example/address" } },
    };
    const references = [{ name: "https://x.example/address", subject: "address", version: 1 }];
    const { id } = await client.register(
      { type: SchemaType.JSON, schema: JSON.stringify(user), references },
      { subject: "user" },
    );
    const bytes = await client.encode(id, { home: { city: "Bern" } });
    expect(await new Client({ host: server.url }).decode(bytes)).toEqual({ home: { city: "Bern" } });
    await expect(client.encode(id, { home: { city: 7 } })).rejects.toThrow();
  });

  test("registers Avro that refers to another subject", async () => {
    await using server = await open();
    const client = new Client({ host: server.url });
    await client.register({ type: SchemaType.AVRO, schema: record(int("a")) }, { subject: "inner" });
    const outer = JSON.stringify({
      type: "record",
      name: "Outer",
      namespace: "n",
      fields: [{ name: "r", type: "n.R" }],
    });
    const references = [{ name: "n.R", subject: "inner", version: 1 }];
    const { id } = await client.register({ type: SchemaType.AVRO, schema: outer, references }, { subject: "outer" });
    const bytes = await client.encode(id, { r: { a: 3 } });
    expect(JSON.parse(JSON.stringify(await new Client({ host: server.url }).decode(bytes)))).toEqual({ r: { a: 3 } });
  });
});

describe("registering", () => {
  test("gives the same content one id in all subjects, whatever its layout", async () => {
    await using server = await open();
    const spaced = { schema: JSON.stringify(JSON.parse(a.schema), undefined, 2) };
    expect(await server.call("POST", "/subjects/s/versions", a)).toMatchObject({ id: 1 });
    expect(await server.call("POST", "/subjects/t/versions", spaced)).toMatchObject({ id: 1 });
    expect(await server.call("POST", "/subjects/t/versions", aOptionalB)).toMatchObject({ id: 2 });
    expect(await server.call("GET", "/schemas/ids/1/subjects")).toEqual(["s", "t"]);
    expect(await server.call("GET", "/schemas/ids/2/versions")).toEqual([{ subject: "t", version: 2 }]);
    expect(await server.call("GET", "/subjects/t/versions/latest")).toMatchObject({
      version: 2,
      id: 2,
      schema: aOptionalB.schema,
    });
    expect(await server.call("GET", "/schemas/ids/1")).toMatchObject({ schema: a.schema });
    expect(await server.call("GET", "/schemas/ids/1/schema")).toEqual(JSON.parse(a.schema));
    expect(await server.call("GET", "/subjects/t/versions/1/schema")).toEqual(JSON.parse(a.schema));
  });

  test("many at once agree on versions and ids", async () => {
    await using server = await open();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => server.call("POST", "/subjects/s/versions", i % 2 === 0 ? a : aOptionalB)),
    );
    const ids = answers.map((answer) => (answer as { id: number }).id);
    expect(new Set(ids).size).toBe(2);
    expect(await server.call("GET", "/subjects/s/versions")).toEqual([1, 2]);
  });

  test("takes Protobuf: one id for one meaning, imports by reference, the descriptor for who asks", async () => {
    await using server = await open();
    const post = (subject: string, schema: string, references: readonly object[] = []): Promise<unknown> =>
      server.call("POST", `/subjects/${subject}/versions`, { schema, schemaType: "PROTOBUF", references });
    const base = 'syntax = "proto3"; package a; message A { int32 x = 1; }';
    expect(await post("a", base)).toMatchObject({ id: 1 });
    expect(await post("a", `${base.replace("int32", "\n  int32")} // the same`)).toMatchObject({ id: 1 });
    const user = 'syntax = "proto3"; import "a.proto"; message M { a.A a = 1; }';
    const references = [{ name: "a.proto", subject: "a", version: 1 }];
    expect(await post("m", user)).toBe(42201);
    expect(await post("m", user, references)).toMatchObject({ id: 2 });
    expect(await post("a", base.replace("int32", "string"))).toBe(40901);
    expect(await post("a", base.replace("x = 1", "y = 1"))).toMatchObject({ id: 3 });
    const { schema } = (await server.call("GET", "/schemas/ids/2?format=serialized")) as { schema: string };
    expect(Buffer.from(schema, "base64").toString("latin1")).toContain("a.proto");
    expect(await post("b", schema, references)).toMatchObject({ id: 4 });
    expect(await post("c", schema, references)).toMatchObject({ id: 4 });
  });

  test("refuses what is no schema, what breaks readers, and what is not served", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    expect(await server.call("POST", "/subjects/s/versions", { schema: '{"type":"nope"}' })).toBe(42201);
    expect(await server.call("POST", "/subjects/none/versions", {})).toBe(42201);
    expect(await server.call("POST", "/subjects/a%07b/versions", a)).toBe(42208);
    expect(await server.call("POST", "/subjects/s/versions", { ...a, ruleSet: { domainRules: [{}] } })).toBe(42210);
    expect(await server.call("POST", "/subjects/s/versions", { schema: `"${"x".repeat(200_000)}"` })).toBe(42209);
    expect(await server.call("POST", "/subjects/s/versions", ab)).toBe(40901);
    expect(await server.call("POST", "/subjects/p/versions", { schema: 'syntax="proto3";', schemaType: "XML" })).toBe(
      42201,
    );
    expect(await server.call("POST", "/subjects/j/versions", { schema: '{"type":"nope"}', schemaType: "JSON" })).toBe(
      42201,
    );
    expect(await server.call("POST", "/subjects/s/versions", { schema: 7 })).toBe(400);
    const references = [{ name: "x", subject: "none", version: 1 }];
    expect(await server.call("POST", "/subjects/s/versions", { ...a, references })).toBe(42201);
    const draft = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: { a: { type: "integer" } },
    };
    expect(
      await server.call("POST", "/subjects/j/versions", { schema: JSON.stringify(draft), schemaType: "JSON" }),
    ).toMatchObject({ id: 2 });
  });

  test("lookups find what is registered, and normalize when asked", async () => {
    await using server = await open();
    const props = (text: string) => ({ schema: `{"type":"int",${text}}` });
    await server.call("POST", "/subjects/s/versions?normalize=true", props('"z":1,"b":2'));
    expect(await server.call("POST", "/subjects/s", props('"z":1,"b":2'))).toBe(40403);
    expect(await server.call("POST", "/subjects/s?normalize=true", props('"z":1,"b":2'))).toMatchObject({
      subject: "s",
      version: 1,
      id: 1,
    });
    expect(await server.call("POST", "/subjects/none", a)).toBe(40401);
  });
});

describe("reading", () => {
  test("what is not there has its code", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    expect(await server.call("GET", "/schemas/ids/9")).toBe(40403);
    expect(await server.call("GET", "/schemas/ids/9/versions")).toBe(40403);
    expect(await server.call("GET", "/subjects/none/versions")).toBe(40401);
    expect(await server.call("GET", "/subjects/none/versions/1")).toBe(40401);
    expect(await server.call("GET", "/subjects/s/versions/2")).toBe(40402);
    expect(await server.call("GET", "/subjects/s/versions/0")).toBe(42202);
    expect(await server.call("GET", "/subjects/s/versions/x")).toBe(42202);
    expect(await server.call("GET", "/nowhere")).toBe(404);
  });

  test("lists are filtered and paged", async () => {
    await using server = await open();
    for (const subject of ["b/1", "a-key", "a-value"])
      await server.call("POST", `/subjects/${encodeURIComponent(subject)}/versions`, a);
    await server.call("POST", "/subjects/a-key/versions", aOptionalB);
    expect(await server.call("GET", "/subjects")).toEqual(["a-key", "a-value", "b/1"]);
    expect(await server.call("GET", "/subjects?subjectPrefix=a&offset=1&limit=5")).toEqual(["a-value"]);
    expect(await server.call("GET", "/schemas")).toHaveLength(4);
    expect(await server.call("GET", "/schemas?latestOnly=true&subjectPrefix=a-k")).toMatchObject([
      { subject: "a-key", version: 2 },
    ]);
    expect(await server.call("GET", "/schemas/types")).toEqual(["JSON", "PROTOBUF", "AVRO"]);
    expect(await server.call("GET", "/contexts")).toEqual(["."]);
    expect(await server.call("GET", "/")).toEqual({});
    const { guid } = (await server.call("GET", "/schemas/ids/1")) as { guid: string };
    expect(await server.call("GET", `/schemas/guids/${guid}`)).toMatchObject({ schema: a.schema });
    expect(await server.call("GET", `/schemas/guids/${guid}/ids`)).toEqual([{ context: ".", id: 1 }]);
  });
});

describe("deleting", () => {
  test("is soft first, then for good, and ids live on until then", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    await server.call("POST", "/subjects/s/versions", aOptionalB);
    expect(await server.call("DELETE", "/subjects/s/versions/1?permanent=true")).toBe(40407);
    expect(await server.call("DELETE", "/subjects/s/versions/1")).toBe(1);
    expect(await server.call("DELETE", "/subjects/s/versions/1")).toBe(40406);
    expect(await server.call("GET", "/subjects/s/versions")).toEqual([2]);
    expect(await server.call("GET", "/subjects/s/versions?deleted=true")).toEqual([1, 2]);
    expect(await server.call("GET", "/subjects/s/versions?deletedOnly=true")).toEqual([1]);
    expect(await server.call("GET", "/schemas/ids/1")).toMatchObject({ schema: a.schema });
    expect(await server.call("DELETE", "/subjects/s/versions/1?permanent=true")).toBe(1);
    expect(await server.call("GET", "/schemas/ids/1")).toBe(40403);

    expect(await server.call("DELETE", "/subjects/s?permanent=true")).toBe(40405);
    expect(await server.call("DELETE", "/subjects/s")).toEqual([2]);
    expect(await server.call("DELETE", "/subjects/s")).toBe(40404);
    expect(await server.call("GET", "/subjects")).toEqual([]);
    expect(await server.call("GET", "/subjects?deleted=true")).toEqual(["s"]);
    expect(await server.call("GET", "/subjects?deletedOnly=true")).toEqual(["s"]);
    expect(await server.call("DELETE", "/subjects/s?permanent=true")).toEqual([2]);
    expect(await server.call("DELETE", "/subjects/s")).toBe(40401);
  });

  test("a subject that comes back goes on with its versions, the same content with its id", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    await server.call("DELETE", "/subjects/s");
    expect(await server.call("POST", "/subjects/s/versions", a)).toMatchObject({ id: 1 });
    expect(await server.call("GET", "/subjects/s/versions")).toEqual([2]);
  });

  test("what is referred to stays", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/inner/versions", a);
    const schema = JSON.stringify({ type: "record", name: "O", fields: [{ name: "r", type: "n.R" }] });
    await server.call("POST", "/subjects/outer/versions", {
      schema,
      references: [{ name: "n.R", subject: "inner", version: 1 }],
    });
    expect(await server.call("GET", "/subjects/inner/versions/1/referencedby")).toEqual([2]);
    expect(await server.call("DELETE", "/subjects/inner/versions/1")).toBe(42206);
    expect(await server.call("DELETE", "/subjects/inner")).toBe(42206);
    await server.call("DELETE", "/subjects/outer");
    expect(await server.call("DELETE", "/subjects/inner")).toEqual([1]);
  });

  test("no id is given twice, even after compaction has removed every trace of it", async () => {
    const log = new MemorySchemaLog();
    await using first = await open(log);
    await first.call("POST", "/subjects/s/versions", a);
    await first.call("POST", "/subjects/t/versions", aOptionalB);
    await first.call("DELETE", "/subjects/t");
    await first.call("DELETE", "/subjects/t?permanent=true");
    log.compact();
    await using second = await open(log);
    expect(await second.call("POST", "/subjects/u/versions", ab)).toMatchObject({ id: 3 });
  });

  test.each([0, 1])("nor when the log fails at append %i of a schema that comes back", async (failing) => {
    const log = new MemorySchemaLog();
    await using first = await open(log);
    await first.call("POST", "/subjects/s/versions", { schema: '"int"' });
    await first.call("DELETE", "/subjects/s");
    log.failAfter = failing;
    expect(await first.call("POST", "/subjects/s/versions", { schema: '"int"' })).toBe(50001);
    log.compact();
    await using second = await open(log);
    expect(await second.call("POST", "/subjects/s/versions", { schema: '"long"' })).toMatchObject({ id: 2 });
  });

  test("of one content under two ids, what is left of it is found", async () => {
    await using server = await open();
    await server.call("PUT", "/mode", { mode: "IMPORT" });
    await server.call("POST", "/subjects/s/versions", { ...a, id: 5, version: 1 });
    await server.call("POST", "/subjects/t/versions", { ...a, id: 9, version: 1 });
    await server.call("PUT", "/mode", { mode: "READWRITE" });
    await server.call("DELETE", "/subjects/t");
    await server.call("DELETE", "/subjects/t?permanent=true");
    const { guid } = (await server.call("GET", "/schemas/ids/5")) as { readonly guid: string };
    expect(await server.call("GET", `/schemas/guids/${guid}/ids`)).toEqual([{ context: ".", id: 5 }]);
    expect(await server.call("POST", "/subjects/u/versions", a)).toMatchObject({ id: 5 });
  });
});

describe("levels and modes", () => {
  test("what is deleted makes room for imports, though one deleted version refers to another", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/inner/versions", a);
    const schema = JSON.stringify({ type: "record", name: "O", fields: [{ name: "r", type: "n.R" }] });
    const references = [{ name: "n.R", subject: "inner", version: 1 }];
    await server.call("POST", "/subjects/outer/versions", { schema, references });
    for (const subject of ["outer", "inner"]) await server.call("DELETE", `/subjects/${subject}`);
    expect(await server.call("PUT", "/mode/inner", { mode: "IMPORT" })).toBe(42206);
    expect(await server.call("PUT", "/mode", { mode: "IMPORT" })).toEqual({ mode: "IMPORT" });
    expect(await server.call("GET", "/subjects?deleted=true")).toEqual([]);
  });

  test("a subject's level stands before the global one, and can be taken back", async () => {
    await using server = await open();
    expect(await server.call("GET", "/config")).toEqual({ compatibilityLevel: "BACKWARD" });
    expect(await server.call("GET", "/config/s")).toBe(40408);
    expect(await server.call("GET", "/config/s?defaultToGlobal=true")).toEqual({ compatibilityLevel: "BACKWARD" });
    expect(await server.call("PUT", "/config/s", { compatibility: "none" })).toEqual({ compatibility: "NONE" });
    await server.call("POST", "/subjects/s/versions", a);
    expect(await server.call("POST", "/subjects/s/versions", ab)).toMatchObject({ id: 2 });
    expect(await server.call("DELETE", "/config/s")).toEqual({ compatibilityLevel: "NONE" });
    expect(await server.call("DELETE", "/config/s")).toBe(40401);
    expect(await server.call("PUT", "/config", { compatibility: "FULL_TRANSITIVE" })).toEqual({
      compatibility: "FULL_TRANSITIVE",
    });
    expect(await server.call("GET", "/config")).toEqual({ compatibilityLevel: "FULL_TRANSITIVE" });
    expect(await server.call("DELETE", "/config")).toEqual({ compatibilityLevel: "FULL_TRANSITIVE" });
    expect(await server.call("GET", "/config")).toEqual({ compatibilityLevel: "BACKWARD" });
    expect(await server.call("PUT", "/config", { compatibility: "sideways" })).toBe(42203);
  });

  test.each([
    // Registered in order: {a}, {a, b?}, then the proposal.
    ["BACKWARD", { schema: record() }, true],
    ["BACKWARD", { schema: record(int("c")) }, false],
    ["FORWARD", { schema: record(int("a"), int("b"), int("c")) }, true],
    ["FORWARD", { schema: record() }, false],
    ["FULL", { schema: record(int("a"), intOr0("b"), intOr0("c")) }, true],
    ["FULL", ab, true],
    ["FULL_TRANSITIVE", ab, false],
    ["BACKWARD_TRANSITIVE", ab, false],
    ["BACKWARD", ab, true],
    ["FORWARD_TRANSITIVE", a, true],
    ["NONE", { schema: '"string"' }, true],
  ])("%s of %o is %s", async (level, proposal, expected) => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    await server.call("POST", "/subjects/s/versions", aOptionalB);
    await server.call("PUT", "/config/s", { compatibility: level });
    expect(await server.call("POST", "/compatibility/subjects/s/versions", proposal)).toEqual({
      is_compatible: expected,
    });
    const registered = await server.call("POST", "/subjects/s/versions", proposal);
    expect(registered === 40901).toBe(!expected);
  });

  test("a check names the version it compares with, and says why when asked", async () => {
    await using server = await open();
    await server.call("POST", "/subjects/s/versions", a);
    await server.call("POST", "/subjects/s/versions", aOptionalB);
    expect(await server.call("POST", "/compatibility/subjects/s/versions/latest", ab)).toEqual({ is_compatible: true });
    const answer = await server.call("POST", "/compatibility/subjects/s/versions/1?verbose=true", ab);
    expect(answer).toMatchObject({ is_compatible: false });
    expect(JSON.stringify(answer)).toContain("READER_FIELD_MISSING_DEFAULT_VALUE");
    expect(await server.call("POST", "/compatibility/subjects/s/versions/7", ab)).toBe(40402);
    expect(await server.call("POST", "/compatibility/subjects/none/versions/1", ab)).toBe(40402);
    expect(await server.call("POST", "/compatibility/subjects/none/versions/latest", ab)).toEqual({
      is_compatible: true,
    });
  });

  test("modes guard writes; IMPORT keeps ids", async () => {
    await using server = await open();
    expect(await server.call("GET", "/mode")).toEqual({ mode: "READWRITE" });
    expect(await server.call("GET", "/mode/s")).toBe(40409);
    expect(await server.call("PUT", "/mode/s", { mode: "IMPORT" })).toEqual({ mode: "IMPORT" });
    expect(await server.call("POST", "/subjects/s/versions", { ...a, id: 42, version: 3 })).toMatchObject({ id: 42 });
    expect(await server.call("POST", "/subjects/s/versions", { ...aOptionalB, id: 42 })).toBe(42205);
    expect(await server.call("POST", "/subjects/t/versions", { ...a, id: 7 })).toBe(42205);
    expect(await server.call("PUT", "/mode", { mode: "IMPORT" })).toBe(42205);
    expect(await server.call("DELETE", "/mode/s")).toEqual({ mode: "IMPORT" });
    expect(await server.call("POST", "/subjects/s/versions", aOptionalB)).toMatchObject({ id: 43 });
    expect(await server.call("GET", "/subjects/s/versions")).toEqual([3, 4]);
    await server.call("PUT", "/mode", { mode: "READONLY" });
    expect(await server.call("POST", "/subjects/s/versions", { schema: record() })).toBe(42205);
    expect(await server.call("DELETE", "/subjects/s")).toBe(42205);
    expect(await server.call("POST", "/subjects/s/versions", a)).toMatchObject({ id: 42 });
    expect(await server.call("PUT", "/mode", { mode: "sideways" })).toBe(42204);
  });
});

describe("the log", () => {
  test("holds Confluent's own records", async () => {
    await using server = await open();
    await server.call("PUT", "/config", { compatibility: "FULL" });
    await server.call("POST", "/subjects/s/versions", { schema: '"string"' });
    await server.call("POST", "/subjects/j/versions", { schema: "{}", schemaType: "JSON" });
    await server.call("DELETE", "/subjects/s");
    expect(server.log.records.map(({ key, value }) => ({ key, value }))).toEqual([
      { key: '{"keytype":"CONFIG","subject":null,"magic":0}', value: '{"compatibilityLevel":"FULL"}' },
      {
        key: '{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
        value: '{"subject":"s","version":1,"id":1,"schema":"\\"string\\"","deleted":false}',
      },
      {
        key: '{"keytype":"SCHEMA","subject":"j","version":1,"magic":1}',
        value: '{"subject":"j","version":1,"id":2,"schemaType":"JSON","schema":"{}","deleted":false}',
      },
      { key: '{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}', value: '{"subject":"s","version":1}' },
    ]);
  });

  test("read again, compacted or not, gives the same registry", async () => {
    const log = new MemorySchemaLog();
    await using first = await open(log);
    await first.call("PUT", "/config/s", { compatibility: "NONE" });
    await first.call("PUT", "/mode/t", { mode: "READONLY" });
    for (const schema of [a, ab, aOptionalB]) await first.call("POST", "/subjects/s/versions", schema);
    await first.call("DELETE", "/subjects/s/versions/2");
    const listing = "/schemas?deleted=true";
    const before = await first.call("GET", listing);
    for (const step of ["replayed", "compacted"]) {
      if (step === "compacted") log.compact();
      await using second = await open(log);
      expect(await second.call("GET", listing)).toEqual(before);
      expect(await second.call("GET", "/config/s")).toEqual({ compatibilityLevel: "NONE" });
      expect(await second.call("GET", "/mode/t")).toEqual({ mode: "READONLY" });
    }
  });

  test.each(["before", "after"] as const)(
    "a write that failed %s taking effect is settled by the next",
    async (moment) => {
      await using server = await open();
      server.log.failNext = moment;
      expect(await server.call("POST", "/subjects/s/versions", a)).toBe(50001);
      expect(await server.call("POST", "/subjects/s/versions", aOptionalB)).toMatchObject({
        id: moment === "after" ? 2 : 1,
      });
      expect(await server.call("POST", "/subjects/s/versions", a)).toMatchObject({ id: moment === "after" ? 1 : 2 });
    },
  );

  test("has a bound", async () => {
    await using server = await open();
    await server.call("PUT", "/config", { compatibility: "NONE" });
    for (let i = 0; i < 50; i++) await server.call("POST", `/subjects/s${i}/versions`, a);
    expect(await server.call("POST", "/subjects/one-more/versions", a)).toBe(42205);
  });
});
