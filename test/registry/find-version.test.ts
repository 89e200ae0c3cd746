/** Proves: which version a schema stands for, that is registered again or looked up, as Confluent's registry has it. */
import { expect, test } from "vitest";
import { open } from "./registry-server.ts";

const path = "/subjects/s/versions";
const int = { schema: '"int"' };
const noted = (version: number | string) => ({ properties: { "confluent:version": String(version) } });

test("a version that is asked for by its number has the number in its metadata, and may say the same again", async () => {
  await using server = await open();
  const { call } = server;
  expect(await call("POST", path, int)).toMatchObject({ id: 1 });
  expect(await call("POST", path, { ...int, version: -1 })).toMatchObject({ id: 1, version: 1 });
  expect(await call("POST", path, { ...int, version: 2 })).toMatchObject({ id: 2, version: 2, metadata: noted(2) });
  expect(await call("POST", path, { ...int, version: -1 })).toMatchObject({ id: 2 });
  expect(await call("POST", path, { ...int, version: 2 })).toBe(42201);
  // Without a number it is the one that is the same, then the newest that means the same.
  expect(await call("POST", "/subjects/s", int)).toMatchObject({ version: 1 });
  expect(await call("POST", "/subjects/s", { ...int, metadata: noted(1) })).toMatchObject({ version: 1 });
  expect(await call("POST", "/subjects/s", { ...int, metadata: noted(2) })).toMatchObject({ version: 2 });
  expect(await call("POST", "/subjects/s", { ...int, metadata: noted(3) })).toBe(40403);
  await call("DELETE", "/subjects/s/versions/1");
  expect(await call("POST", "/subjects/s", int)).toMatchObject({ version: 2 });
  // A number that is none of these is the next one's; so is that of the version before.
  expect(await call("POST", path, { ...int, metadata: noted(-1) })).toMatchObject({ id: 3, metadata: noted(3) });
  expect(await call("POST", path, { schema: '"long"' })).toMatchObject({ version: 4, metadata: noted(4) });
  expect(await call("POST", path, { ...int, metadata: {} })).toMatchObject({ version: 3 });
});

test("the latest alone counts for who asks for it", async () => {
  await using server = await open();
  await server.call("PUT", "/config", { compatibility: "NONE" });
  await server.call("POST", path, int);
  await server.call("POST", path, { schema: '"long"' });
  expect(await server.call("POST", path, int)).toMatchObject({ version: 1 });
  expect(await server.call("POST", path, { ...int, version: -1 })).toMatchObject({ version: 3, metadata: noted(3) });
});

test("Avro with all that it refers to written out is the version that refers to it", async () => {
  await using server = await open();
  const { call } = server;
  const inner = { type: "record", name: "R", namespace: "n", fields: [{ name: "a", type: "int" }] };
  const outer = (type: unknown) => ({ type: "record", name: "O", fields: [{ name: "r", type }] });
  await call("POST", "/subjects/inner/versions", { schema: JSON.stringify(inner) });
  const references = [{ name: "n.R", subject: "inner", version: 1 }];
  expect(await call("POST", path, { schema: JSON.stringify(outer("n.R")), references })).toMatchObject({ id: 2 });
  const written = { schema: JSON.stringify(outer(inner)) };
  expect(await call("POST", "/subjects/s", written)).toMatchObject({ id: 2, references });
  expect(await call("POST", path, written)).toMatchObject({ id: 2, version: 1 });
  expect(await call("POST", "/subjects/s", { schema: JSON.stringify(outer({ ...inner, doc: "d" })) })).toBe(40403);
});

test("normalised, references have no order", async () => {
  await using server = await open();
  const { call } = server;
  const named = (name: string) => ({ schema: JSON.stringify({ type: "fixed", name, size: 2 }) });
  for (const name of ["a", "b"]) await call("POST", `/subjects/${name}/versions`, named(name.toUpperCase()));
  const references = ["a", "b"].map((subject) => ({ name: subject.toUpperCase(), subject, version: 1 }));
  const schema = '["A","B"]';
  await call("POST", `${path}?normalize=true`, { schema, references });
  const turned = { schema, references: references.toReversed() };
  expect(await call("POST", "/subjects/s?normalize=true", turned)).toMatchObject({ version: 1 });
  expect(await call("POST", "/subjects/s", turned)).toBe(40403);
});
