/** Proves: what answers hold beside the schema, and what clients may ask them to hold. */
import { expect, test } from "vitest";
import { MemorySchemaLog } from "./memory-log.ts";
import { open } from "./registry-server.ts";

const int = { schema: '"int"' };

test("versions say when they were registered, and whether they are deleted; after a restart, too", async () => {
  const log = new MemorySchemaLog();
  await using server = await open(log);
  const { call } = server;
  await call("POST", "/subjects/s/versions", int);
  await call("POST", "/subjects/t/versions", { schema: '"long"' });
  const { guid } = (await call("GET", "/schemas/ids/1")) as { readonly guid: string };
  for (const path of ["/schemas/ids/1", `/schemas/guids/${guid}`, "/subjects/s/versions/1"])
    expect(await call("GET", path)).toMatchObject({ ts: 1, deleted: false });
  await call("DELETE", "/subjects/s");
  const before = await call("GET", "/schemas?deleted=true");
  expect(before).toMatchObject([{ deleted: true }, { ts: 2, deleted: false }]);
  await using again = await open(log);
  expect(await again.call("GET", "/schemas?deleted=true")).toEqual(before);
  // An id is not deleted as long as a subject has it.
  expect(await again.call("GET", "/schemas/ids/1")).toMatchObject({ deleted: true });
  await again.call("POST", "/subjects/u/versions", int);
  for (const path of ["/schemas/ids/1", `/schemas/guids/${guid}`])
    expect(await again.call("GET", path)).toMatchObject({ deleted: false });
});

test("deleted versions may be told by their sign", async () => {
  await using server = await open();
  await server.call("POST", "/subjects/s/versions", int);
  await server.call("POST", "/subjects/s/versions", { schema: '"long"' });
  await server.call("DELETE", "/subjects/s/versions/1");
  expect(await server.call("GET", "/subjects/s/versions?deletedAsNegative=true")).toEqual([-1, 2]);
});

test("a lookup of Protobuf is answered with the descriptor for who asks, tags included", async () => {
  await using server = await open();
  const schema =
    'syntax = "proto3"; import "confluent/meta.proto"; message M { string a = 1 [(confluent.field_meta) = { tags: ["PII"] }]; }';
  const proposed = { schemaType: "PROTOBUF", schema };
  const { guid } = (await server.call("POST", "/subjects/s/versions", proposed)) as { readonly guid: string };
  const found = (await server.call("POST", "/subjects/s?format=serialized", proposed)) as { readonly schema: string };
  expect(found).toMatchObject({ guid });
  expect(Buffer.from(found.schema, "base64").toString("latin1")).toContain("PII");
  expect(await server.call("POST", "/subjects/s", { ...proposed, schema: found.schema })).toMatchObject({ guid });
});

test("references are shown with their contexts to who asks for it", async () => {
  await using server = await open();
  const { call } = server;
  await call("POST", "/subjects/:.c:in/versions", { schema: '{"type":"fixed","name":"F","size":1}' });
  const references = [{ name: "F", subject: "in", version: 1 }];
  await call("POST", "/subjects/:.c:s/versions", { schema: '["F"]', references });
  for (const path of ["/subjects/:.c:s/versions/1", "/schemas/ids/2?subject=:.c:s"]) {
    expect(await call("GET", path)).toMatchObject({ references });
    const asked = `${path}${path.includes("?") ? "&" : "?"}referenceFormat=qualified`;
    expect(await call("GET", asked)).toMatchObject({ references: [{ subject: ":.c:in" }] });
  }
});

test("schemas are found by their aliases, and by the type of their rules", async () => {
  await using server = await open();
  const { call } = server;
  await call("POST", "/subjects/orders/versions", int);
  await call("POST", "/subjects/other/versions", { ...int, ruleSet: { domainRules: [{ name: "r", type: "CEL" }] } });
  await call("PUT", "/config/bills", { alias: "orders" });
  expect(await call("GET", "/schemas?subjectPrefix=bil")).toEqual([]);
  expect(await call("GET", "/schemas?subjectPrefix=bil&aliases=true")).toMatchObject([
    { subject: "orders", aliases: ["bills"] },
  ]);
  expect(await call("GET", "/schemas?subjectPrefix=:*:&aliases=true")).toMatchObject([
    { subject: "orders", aliases: ["bills"] },
    { subject: "other" },
  ]);
  expect(await call("GET", "/schemas?ruleType=CEL")).toMatchObject([{ subject: "other" }]);
  expect(await call("GET", "/schemas?ruleType=ENCRYPT")).toEqual([]);
});

test("a mode is taken back with null, and a client of one context finds all contexts", async () => {
  await using server = await open();
  const { call } = server;
  await call("PUT", "/mode", { mode: "READONLY" });
  expect(await call("PUT", "/mode", { mode: null })).toEqual({ mode: null });
  expect(await call("GET", "/mode")).toEqual({ mode: "READWRITE" });
  await call("POST", "/subjects/:.c:s/versions", int);
  expect(await call("GET", "/contexts/.c/contexts")).toEqual([".", ".c"]);
  expect(await call("GET", "/v1/metadata/deployment")).toEqual({ attributes: [] });
});
