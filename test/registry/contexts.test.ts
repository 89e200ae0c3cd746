/** Proves: contexts are registries beside each other: ids, subjects, settings and references of one are not another's. */
import { expect, test } from "vitest";
import { MemorySchemaLog } from "./memory-log.ts";
import { open } from "./registry-server.ts";

const record = (name: string, type = "int") => JSON.stringify({ type: "record", name, fields: [{ name: "a", type }] });
const [r, q] = [{ schema: record("R") }, { schema: record("Q") }];

test("ids and subjects are the context's own, and live through a restart", async () => {
  const log = new MemorySchemaLog();
  {
    await using server = await open(log);
    expect(await server.call("POST", "/subjects/s/versions", r)).toMatchObject({ id: 1 });
    expect(await server.call("POST", "/subjects/:.team:s/versions", q)).toMatchObject({ id: 1, version: 1 });
  }
  await using server = await open(log);
  const { call } = server;
  expect(await call("GET", "/contexts")).toEqual([".", ".team"]);
  expect(await call("GET", "/subjects")).toEqual([":.team:s", "s"]);
  expect(await call("GET", "/subjects?subjectPrefix=:.team:")).toEqual([":.team:s"]);
  expect(await call("GET", "/subjects?subjectPrefix=s")).toEqual(["s"]);
  expect(await call("GET", "/schemas")).toMatchObject([{ subject: "s" }]);
  expect(await call("GET", "/schemas?subjectPrefix=:*:")).toHaveLength(2);
  expect(await call("GET", "/schemas/ids/1")).toMatchObject({ schema: r.schema });
  expect(await call("GET", "/schemas/ids/1?subject=:.team:")).toMatchObject({ schema: q.schema });
  expect(await call("GET", "/schemas/ids/1?subject=:.team:s")).toMatchObject({ subject: ":.team:s", version: 1 });
  expect(await call("GET", "/schemas/ids/1/subjects?subject=:.team:")).toEqual([":.team:s"]);
  expect(await call("GET", "/subjects/:.:s/versions/latest")).toMatchObject({ subject: "s" });
});

test("the same content has one guid everywhere", async () => {
  await using server = await open();
  for (const subject of ["s", ":.team:s"]) await server.call("POST", `/subjects/${subject}/versions`, r);
  const { guid } = (await server.call("GET", "/schemas/ids/1")) as { readonly guid: string };
  expect(await server.call("GET", `/schemas/guids/${guid}/ids`)).toEqual([
    { context: ".", id: 1 },
    { context: ".team", id: 1 },
  ]);
  expect(await server.call("GET", `/schemas/guids/${guid.toUpperCase()}`)).toMatchObject({ schema: r.schema });
});

test("a name without a context is looked for in all of them, a name with one is not", async () => {
  await using server = await open();
  await server.call("POST", "/subjects/:.team:only/versions", q);
  expect(await server.call("GET", "/subjects/only/versions/1")).toMatchObject({ subject: ":.team:only" });
  expect(await server.call("POST", "/subjects/only", q)).toMatchObject({ subject: ":.team:only" });
  expect(await server.call("GET", "/schemas/ids/1?subject=only")).toMatchObject({ schema: q.schema });
  expect(await server.call("GET", "/subjects/:.other:only/versions/1")).toBe(40401);
});

test("paths stand inside a context, as a client's base URL may", async () => {
  await using server = await open();
  const { call } = server;
  expect(await call("POST", "/contexts/.team/subjects/s/versions", r)).toMatchObject({ id: 1 });
  expect(await call("GET", "/contexts/.team/subjects")).toEqual([":.team:s"]);
  expect(await call("GET", "/contexts/.team/subjects/s/versions")).toEqual([1]);
  expect(await call("GET", "/contexts/:.team:/schemas/ids/1")).toMatchObject({ schema: r.schema });
  expect(await call("PUT", "/contexts/.team/config", { compatibility: "NONE" })).toEqual({ compatibility: "NONE" });
  expect(await call("PUT", "/contexts/.team/mode/s", { mode: "READONLY" })).toEqual({ mode: "READONLY" });
  expect(await call("GET", "/config/:.team:")).toEqual({ compatibilityLevel: "NONE" });
  expect(await call("GET", "/mode/:.team:s")).toEqual({ mode: "READONLY" });
  expect(await call("GET", "/config")).toEqual({ compatibilityLevel: "BACKWARD" });
});

test("levels and modes reach from the subject over its context to all contexts", async () => {
  await using server = await open();
  const { call } = server;
  const level = async (subject: string) => await call("GET", `/config/${subject}?defaultToGlobal=true`);
  await call("PUT", "/config", { compatibility: "FULL" });
  expect(await level(":.team:s")).toEqual({ compatibilityLevel: "BACKWARD" });
  await call("PUT", "/config/:.__GLOBAL:", { compatibility: "FORWARD" });
  expect([await level("s"), await level(":.team:s")]).toEqual([
    { compatibilityLevel: "FULL" },
    { compatibilityLevel: "FORWARD" },
  ]);
  await call("PUT", "/config/:.team:", { compatibility: "NONE" });
  expect(await level(":.team:s")).toEqual({ compatibilityLevel: "NONE" });
  await call("PUT", "/mode/:.team:", { mode: "READONLY" });
  expect(await call("POST", "/subjects/:.team:s/versions", r)).toBe(42205);
  expect(await call("POST", "/subjects/s/versions", r)).toMatchObject({ id: 1 });
  await call("PUT", "/mode/:.team:t", { mode: "READWRITE" });
  expect(await call("POST", "/subjects/:.team:t/versions", r)).toMatchObject({ id: 1 });
  await call("PUT", "/mode/:.__GLOBAL:", { mode: "READONLY_OVERRIDE" });
  expect(await call("POST", "/subjects/:.team:t/versions", q)).toBe(42205);
  expect(await call("DELETE", "/mode/:.team:?recursive=true")).toEqual({ mode: "READONLY" });
  expect(await call("GET", "/mode/:.team:t")).toBe(40409);
});

test("references mean the context of who refers, and keep what they refer to", async () => {
  await using server = await open();
  const { call } = server;
  await call("POST", "/subjects/inner/versions", { schema: record("In", "string") });
  await call("POST", "/subjects/:.team:inner/versions", { schema: record("In") });
  const outer = { type: "record", name: "Out", fields: [{ name: "r", type: "In", default: { a: 1 } }] };
  const refers = (subject: string, version = 1) => ({
    schema: JSON.stringify(outer),
    references: [{ name: "In", subject, version }],
  });
  expect(await call("POST", "/subjects/:.team:outer/versions", refers("inner"))).toMatchObject({ id: 2 });
  expect(await call("POST", "/subjects/:.team:latest/versions", refers("inner", -1))).toMatchObject({
    references: [{ version: 1 }],
  });
  expect(await call("POST", "/subjects/:.team:far/versions", refers(":.nowhere:inner"))).toBe(42201);
  expect(await call("GET", "/subjects/:.team:inner/versions/1/referencedby")).toEqual([2, 2]);
  expect(await call("GET", "/subjects/inner/versions/1/referencedby")).toEqual([]);
  expect(await call("DELETE", "/subjects/:.team:inner")).toBe(42206);
  expect(await call("DELETE", "/subjects/inner")).toEqual([1]);
});

test("what is referred to refers from its own context, and so it is read from outside", async () => {
  await using server = await open();
  const { call } = server;
  const of = (name: string, type: string) => JSON.stringify({ type: "record", name, fields: [{ name: "f", type }] });
  await call("POST", "/subjects/:.team:in/versions", { schema: of("In", "int") });
  const middle = { schema: of("Mid", "In"), references: [{ name: "In", subject: "in", version: 1 }] };
  await call("POST", "/subjects/:.team:mid/versions", middle);
  const outer = { schema: of("Out", "Mid"), references: [{ name: "Mid", subject: ":.team:mid", version: 1 }] };
  expect(await call("POST", "/subjects/out/versions", outer)).toMatchObject({ id: 1, version: 1 });
});

test("a context is gone with its last subject", async () => {
  await using server = await open();
  await server.call("POST", "/subjects/:.team:s/versions", r);
  expect(await server.call("DELETE", "/contexts/.team")).toBe(42211);
  await server.call("DELETE", "/subjects/:.team:s");
  expect(await server.call("DELETE", "/contexts/:.team:")).toBe(42211);
  await server.call("DELETE", "/subjects/:.team:s?permanent=true");
  expect(await server.call("DELETE", "/contexts/.team")).toBe(undefined);
  expect(await server.call("GET", "/contexts")).toEqual(["."]);
  // Its ids are not given again.
  expect(await server.call("POST", "/subjects/:.team:s/versions", q)).toMatchObject({ id: 2 });
});

test("an alias is another name of a subject", async () => {
  await using server = await open();
  await server.call("POST", "/subjects/:.team:s/versions", r);
  await server.call("PUT", "/config/:.team:old", { alias: "s" });
  expect(await server.call("GET", "/subjects/:.team:old/versions/latest")).toMatchObject({ subject: ":.team:s" });
  expect(await server.call("POST", "/subjects/:.team:old/versions", r)).toMatchObject({ id: 1, version: 1 });
});
