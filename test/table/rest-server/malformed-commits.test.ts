/** Proves: what would leave a table that other engines cannot read is refused as the client's mistake, and changes nothing. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startRestCatalog, type TestCatalog } from "../../support/rest-catalog.ts";

const schema = { type: "struct", fields: [{ id: 0, name: "id", required: false, type: "long" }] };
const path = "/v1/namespaces/a/tables/t";

async function call(catalog: TestCatalog, method: string, at: string, body?: object) {
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(catalog.url + at, { method, ...text });
  const answer = await response.text();
  return { status: response.status, body: (answer === "" ? {} : JSON.parse(answer)) as Record<string, never> };
}

async function withTable(options?: Parameters<typeof startRestCatalog>[0]): Promise<TestCatalog> {
  const catalog = await startRestCatalog(options);
  await call(catalog, "POST", "/v1/namespaces", { namespace: ["a"] });
  expect((await call(catalog, "POST", "/v1/namespaces/a/tables", { name: "t", schema })).status).toBe(200);
  return catalog;
}

interface Metadata {
  readonly "last-updated-ms": number;
  readonly "snapshot-log": readonly { readonly "timestamp-ms": number; readonly "snapshot-id": number }[];
  readonly refs: object;
}

const metadataOf = async (catalog: TestCatalog): Promise<Metadata> =>
  (await call(catalog, "GET", path)).body["metadata"] as never;

const snapshot = (id: number, more: object) => ({
  "snapshot-id": id,
  "sequence-number": id,
  "manifest-list": `memory://lake/warehouse/a/${id}.avro`,
  summary: { operation: "append" },
  "schema-id": 0,
  ...more,
});
const main = (id: number) => ({
  action: "set-snapshot-ref",
  "ref-name": "main",
  type: "branch",
  "snapshot-id": id,
});

const now = 1_700_000_000_000;
const [whole] = [snapshot(1, { "timestamp-ms": now })];
const without = (name: string) => Object.fromEntries(Object.entries(whole).filter(([key]) => key !== name));
const ascending = { "source-id": 1, transform: "identity", direction: "asc", "null-order": "nulls-first" };
const sorted = { action: "set-default-sort-order", "sort-order-id": -1 };
const current = { action: "set-current-schema", "schema-id": -1 };
const other = schemaOf({ id: 2, name: "b", required: false, type: "int" });
const wider = column({}, { id: 2, name: "b", required: false, type: "int" });
const nested = column({}, { id: 2, name: "l", required: false, type: listOf("long") });

const cases: readonly (readonly [what: string, requirements: readonly object[], updates: readonly object[]])[] = [
  ["a requirement of no known type", [{ type: "constructor" }], []],
  ["an update of no known action", [], [{ action: "toString" }]],
  ["a ref that is neither branch nor tag", [], [{ ...main(5), "ref-name": "x", type: "leaf" }]],
  ["a tag with a history", [], [{ ...main(5), "ref-name": "x", type: "tag", "min-snapshots-to-keep": 3 }]],
  ["a ref that is kept for no time", [], [{ ...main(5), "ref-name": "x", "max-ref-age-ms": 0 }]],
  ["a snapshot without a time", [], [{ action: "add-snapshot", snapshot: without("timestamp-ms") }]],
  ["a snapshot without manifests", [], [{ action: "add-snapshot", snapshot: without("manifest-list") }]],
  ["a snapshot whose summary is a list", [], [{ action: "add-snapshot", snapshot: { ...whole, summary: [] } }]],
  ["a partition field without a name", [], [spec({ "source-id": 1, transform: "identity" })]],
  ["a partition field of no transform", [], [spec({ "source-id": 1, name: "p" })]],
  ["a partition field of no column", [], [spec({ "source-id": 77, name: "p", transform: "identity" })]],
  [
    "a sort field without a direction",
    [],
    [order({ "source-id": 1, transform: "identity", "null-order": "nulls-first" })],
  ],
  ["a property that is no text", [], [{ action: "set-properties", updates: { "gc.enabled": false } }]],
  ["a removal that is no text", [], [{ action: "remove-properties", removals: [1] }]],
  ["a last column that is no number", [], [{ ...column({}), "last-column-id": "9" }]],
  ["a column that does not say whether it is required", [], [column({ required: undefined })]],
  ["a column of no type", [], [column({ type: "varchar" })]],
  [
    "a list that does not say whether its elements are",
    [],
    [column({ type: { type: "list", "element-id": 9, element: "int" } })],
  ],
  ["two columns of one id", [], [column({}, { id: 1, name: "b", required: false, type: "int" })]],
  ["two columns of one name", [], [column({}, { id: 2, name: "id", required: false, type: "int" })]],
  [
    "a partition field whose id is no number",
    [],
    [spec({ "source-id": 1, name: "p", transform: "identity", "field-id": "7" })],
  ],
  ["statistics without a file", [], [{ action: "set-statistics", statistics: { "snapshot-id": 5 } }]],
  [
    "statistics of partitions without a size",
    [],
    [{ action: "set-partition-statistics", "partition-statistics": { "snapshot-id": 5, "statistics-path": "s3://x" } }],
  ],
  ["a type that version 2 does not have", [], [column({ type: "timestamp_ns" })]],
  ["a default that version 2 does not have", [], [column({ "initial-default": 7 })]],
  ["an identifier that is no column", [], [identified(77)]],
  ["an identifier that may be null", [], [identified(1)]],
  ["an identifier that is a float", [], [identified(2, { type: "double", required: true })]],
  ["an identifier in a list", [], [identified(3, { type: listOf("int"), required: true })]],
  ["the loss of a column that partitions the table", [], [...partition({}), other, current]],
  ["the loss of a column that sorts the table", [], [order(ascending), sorted, other, current]],
  ["two partition fields of one name", [], partition({}, { transform: "bucket[4]" })],
  ["a partition field whose name is empty", [], partition({ name: "" })],
  ["a partition field with another column's name", [], [wider, current, ...partition({ name: "b" })]],
  ["a column with a partition field's name", [], [...partition({ name: "b" }), wider, current]],
  ["a partition field that does not apply", [], partition({ transform: "hour" })],
  ["a bucket of none", [], partition({ transform: "bucket[0]" })],
  ["a partition field of a list", [], [nested, current, ...partition({ "source-id": 2 })]],
  ["a partition field in a list", [], [nested, current, ...partition({ "source-id": 3 })]],
  ["a sort order that does not apply", [], [order({ ...ascending, transform: "day" }), sorted]],
  [
    "metadata where the catalog cannot write",
    [],
    [{ action: "set-properties", updates: { "write.metadata.path": "s3://elsewhere/metadata" } }],
  ],
];

function listOf(element: string): object {
  return { type: "list", "element-id": 3, element, "element-required": true };
}

function schemaOf(...fields: readonly object[]): { readonly action: string; readonly schema: object } {
  return { action: "add-schema", schema: { type: "struct", "schema-id": 1, fields } };
}

/** The one of the table, and one beside it that says which columns identify a row. */
function identified(id: number, change: object = {}): object {
  const { action, schema: wide } = schemaOf(
    { id: 1, name: "id", required: false, type: "long" },
    { id: 2, name: "b", required: false, type: "int", ...change },
  );
  return { action, schema: { ...wide, "identifier-field-ids": [id] } };
}

/** Partitions by the table's column, unless a change says otherwise. */
function partition(...changes: readonly object[]): readonly object[] {
  const fields = changes.map((change, at) => {
    return { "source-id": 1, "field-id": 1000 + at, name: "p", transform: "identity", ...change };
  });
  const set = { action: "set-default-spec", "spec-id": -1 };
  return [{ action: "add-spec", spec: { "spec-id": 1, fields } }, set];
}

function column(change: object, ...more: readonly object[]): object {
  const fields = [{ id: 1, name: "id", required: false, type: "long", ...change }, ...more];
  return { action: "add-schema", schema: { type: "struct", "schema-id": 1, fields } };
}

function spec(field: object): object {
  return { action: "add-spec", spec: { "spec-id": 1, fields: [{ "field-id": 1000, ...field }] } };
}

function order(field: object): object {
  return { action: "add-sort-order", "sort-order": { "order-id": 1, fields: [field] } };
}

test.each(cases)("%s is a 400", async (_what, requirements, updates) => {
  await using catalog = await withTable();
  const added = await call(catalog, "POST", path, {
    requirements: [],
    updates: [{ action: "add-snapshot", snapshot: snapshot(5, { "timestamp-ms": now }) }],
  });
  expect(added.status).toBe(200);
  const before = await metadataOf(catalog);
  const answer = await call(catalog, "POST", path, { requirements, updates });
  expect([answer.status, (answer.body["error"] as { type?: string } | undefined)?.type]).toEqual([
    400,
    "BadRequestException",
  ]);
  expect(await metadataOf(catalog)).toEqual(before);
});

test("a place that the store takes nothing at is a 400 that says what to do", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inlet-places-"));
  await using _files = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  await using catalog = await withTable({ directory });
  const place = `file://${directory}/${"x".repeat(300)}`;
  const before = await metadataOf(catalog);
  const updates = [{ action: "set-properties", updates: { "write.metadata.path": place } }];
  const answers = [
    await call(catalog, "POST", path, { requirements: [], updates }),
    await call(catalog, "POST", "/v1/namespaces/a/register", { name: "u", "metadata-location": `${place}/a.json` }),
  ];
  const messages = answers.map(({ status, body }) => [
    status,
    (body["error"] as { message?: string } | undefined)?.message,
  ]);
  expect(messages).toEqual([
    [400, expect.stringMatching(/cannot write to .*set write.metadata.path/)],
    [400, expect.stringMatching(/cannot read file:/)],
  ]);
  expect(await metadataOf(catalog)).toEqual(before);
});

test("a namespace without a name is a 400", async () => {
  await using catalog = await startRestCatalog();
  expect((await call(catalog, "POST", "/v1/namespaces", { namespace: [] })).status).toBe(400);
  expect((await call(catalog, "GET", "/v1/namespaces")).body).toEqual({ namespaces: [] });
});

// Java's readers refuse a table whose history goes back in time by more than a minute.
test("a snapshot of a clock that is behind is a 400, unless by less than a minute", async () => {
  await using catalog = await withTable();
  const commit = (id: number, timestampMs: number) =>
    call(catalog, "POST", path, {
      requirements: [],
      updates: [{ action: "add-snapshot", snapshot: snapshot(id, { "timestamp-ms": timestampMs }) }, main(id)],
    });
  expect((await commit(1, now)).status).toBe(200);
  expect((await commit(2, now - 60_000)).status).toBe(200);
  expect((await commit(3, now - 121_000)).status).toBe(400);
  expect((await metadataOf(catalog))["snapshot-log"].map((entry) => entry["snapshot-id"])).toEqual([1, 2]);
});

test("a rollback after a snapshot of a clock that is ahead does not go back in time", async () => {
  await using catalog = await withTable();
  const ahead = Date.now() + 3_600_000;
  const updates = [1, 2].flatMap((id) => [
    { action: "add-snapshot", snapshot: snapshot(id, { "timestamp-ms": ahead }) },
    main(id),
  ]);
  for (const some of [updates.slice(0, 2), updates.slice(2)])
    expect((await call(catalog, "POST", path, { requirements: [], updates: some })).status).toBe(200);
  expect((await call(catalog, "POST", path, { requirements: [], updates: [main(1)] })).status).toBe(200);
  const times = (await metadataOf(catalog))["snapshot-log"].map((entry) => entry["timestamp-ms"]);
  expect(times).toHaveLength(3);
  expect(times[2]).toBeGreaterThanOrEqual(ahead);
});
