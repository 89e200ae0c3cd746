/** Proves: a commit either leaves the table as its updates say, or says which requirement or update stood in the way. */
import { describe, expect, test } from "vitest";
import { applyCommit } from "../../../src/table/iceberg/apply-updates.ts";
import type { TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import { assignFreshIds } from "../../../src/table/iceberg/schema-ids.ts";
import type { NestedField, PartitionSpec, Schema, StructType } from "../../../src/table/iceberg/types.ts";
import type { Requirement, Update } from "../../../src/table/iceberg/updates.ts";
import { emptyTable, snapshot, withSnapshots } from "./tables.ts";

const context = { nowMs: 5000, baseLocation: "s3://lake/t/metadata/00003-a.metadata.json" };

function apply(
  base: TableMetadata | undefined,
  updates: readonly Update[],
  requirements: readonly Requirement[] = [],
): TableMetadata {
  const applied = applyCommit(base, requirements, updates, context);
  if (applied.kind !== "applied") throw new Error(applied.detail);
  return applied.metadata;
}

const main = (id: bigint): Update => ({
  action: "set-snapshot-ref",
  "ref-name": "main",
  type: "branch",
  "snapshot-id": id,
});
const schema = emptyTable.schemas[0] as Schema;
const wider: Schema = { ...schema, fields: [...schema.fields, { id: 3, name: "more", required: false, type: "int" }] };

test("a schema in which a default has changed is another one", () => {
  const withDefault = (value: string): Schema => ({
    ...schema,
    fields: schema.fields.map((field) => (field.id === 2 ? { ...field, "write-default": value } : field)),
  });
  const add = (to: Schema): readonly Update[] => [
    { action: "add-schema", schema: to },
    { action: "set-current-schema", "schema-id": -1 },
  ];
  const first = apply({ ...emptyTable, "format-version": 3 }, add(withDefault("a")));
  const second = apply(first, add(withDefault("b")));
  expect([first["current-schema-id"], second["current-schema-id"]]).toEqual([1, 2]);
  expect(apply(second, add(withDefault("a")))["current-schema-id"]).toBe(1);
});

describe("requirements", () => {
  const table = withSnapshots(emptyTable, [snapshot(5n, null, 1)]);
  const unmet: readonly Requirement[] = [
    { type: "assert-create" },
    { type: "assert-table-uuid", uuid: "00000000-0000-0000-0000-000000000000" },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 6n },
    { type: "assert-ref-snapshot-id", ref: "gone", "snapshot-id": 5n },
    { type: "assert-last-assigned-field-id", "last-assigned-field-id": 9 },
    { type: "assert-current-schema-id", "current-schema-id": 9 },
    { type: "assert-last-assigned-partition-id", "last-assigned-partition-id": 9 },
    { type: "assert-default-spec-id", "default-spec-id": 9 },
    { type: "assert-default-sort-order-id", "default-sort-order-id": 9 },
  ];
  test.each(
    unmet.map(
      (requirement) =>
        [JSON.stringify(requirement, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v)), requirement] as const,
    ),
  )("%s fails", (_name, requirement) => {
    const answer = applyCommit(table, [requirement], [{ action: "set-location", location: "s3://x" }], context);
    expect(answer.kind).toBe("failed-requirement");
  });

  test("the same with what is there hold", () => {
    const met: readonly Requirement[] = [
      { type: "assert-table-uuid", uuid: table["table-uuid"].toUpperCase() },
      { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 5n },
      { type: "assert-ref-snapshot-id", ref: "gone", "snapshot-id": null },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": 2 },
      { type: "assert-current-schema-id", "current-schema-id": 0 },
      { type: "assert-last-assigned-partition-id", "last-assigned-partition-id": 999 },
      { type: "assert-default-spec-id", "default-spec-id": 0 },
      { type: "assert-default-sort-order-id", "default-sort-order-id": 0 },
    ];
    expect(apply(table, [{ action: "set-location", location: "s3://x/" }], met).location).toBe("s3://x"); // F11
  });
});

describe("creation", () => {
  const updates: readonly Update[] = [
    { action: "assign-uuid", uuid: "9c12d441-03fe-4693-9a96-a0705ddf69c1" },
    { action: "add-schema", schema },
    { action: "set-current-schema", "schema-id": -1 },
    { action: "set-location", location: "s3://lake/t" },
  ];

  test("needs assert-create's nothing, and gets the unpartitioned spec and the unsorted order", () => {
    const table = apply(undefined, updates, [{ type: "assert-create" }]);
    expect(table).toMatchObject({
      "format-version": 2,
      "last-column-id": 2,
      "last-partition-id": 999,
      "current-snapshot-id": -1n,
    });
    expect(table["partition-specs"]).toEqual([{ "spec-id": 0, fields: [] }]);
    expect(table["sort-orders"]).toEqual([{ "order-id": 0, fields: [] }]);
  });

  test.each(["assign-uuid", "set-current-schema", "set-location"])("without %s is invalid", (action) => {
    const rest = updates.filter((update) => update.action !== action);
    expect(applyCommit(undefined, [], rest, { ...context, baseLocation: null }).kind).toBe("invalid");
  });
});

describe("schemas and specs", () => {
  test("G5: an equal schema is reused, a new one gets the next id, -1 means the last added", () => {
    const same = apply(emptyTable, [
      { action: "add-schema", schema: { ...schema, "schema-id": 77 } },
      { action: "set-current-schema", "schema-id": -1 },
    ]);
    expect(same.schemas).toHaveLength(1);
    const table = apply(emptyTable, [
      { action: "add-schema", schema: { ...wider, "schema-id": 0 } },
      { action: "set-current-schema", "schema-id": -1 },
    ]);
    expect(table).toMatchObject({ "current-schema-id": 1, "last-column-id": 3 });
    expect(applyCommit(emptyTable, [], [{ action: "set-current-schema", "schema-id": -1 }], context).kind).toBe(
      "invalid",
    );
    expect(applyCommit(emptyTable, [], [{ action: "set-current-schema", "schema-id": 4 }], context).kind).toBe(
      "invalid",
    );
  });

  test("G8: partition field ids go on from the last, and an equivalent field keeps its own", () => {
    const byId = { "source-id": 1, name: "id", transform: "identity" } as never;
    const byName = { "source-id": 2, name: "name_bucket", transform: "bucket[4]" } as never;
    const one = apply(emptyTable, [
      { action: "add-spec", spec: { "spec-id": 0, fields: [byId] } },
      { action: "set-default-spec", "spec-id": -1 },
    ]);
    expect(one["partition-specs"][1]?.fields[0]).toMatchObject({ "field-id": 1000 });
    const two = apply(one, [{ action: "add-spec", spec: { "spec-id": 9, fields: [byName, byId] } }]);
    expect(two["partition-specs"][2]?.fields.map((field) => field["field-id"])).toEqual([1001, 1000]);
    expect(two["last-partition-id"]).toBe(1001);
    expect(
      apply(two, [{ action: "add-spec", spec: { "spec-id": 0, fields: [byId] } }])["partition-specs"],
    ).toHaveLength(3);
  });

  test("what is current cannot be removed", () => {
    expect(applyCommit(emptyTable, [], [{ action: "remove-schemas", "schema-ids": [0] }], context).kind).toBe(
      "invalid",
    );
    expect(applyCommit(emptyTable, [], [{ action: "remove-partition-specs", "spec-ids": [0] }], context).kind).toBe(
      "invalid",
    );
  });

  test("fresh ids go level by level, and identifiers follow", () => {
    const nested: Schema = {
      type: "struct",
      "schema-id": 3,
      "identifier-field-ids": [0],
      fields: [
        {
          id: 0,
          name: "a",
          required: true,
          type: { type: "struct", fields: [{ id: 5, name: "x", required: false, type: "int" }] },
        },
        {
          id: 1,
          name: "b",
          required: false,
          type: { type: "list", "element-id": 9, "element-required": false, element: "string" },
        },
      ],
    };
    const { schema: fresh, renamed } = assignFreshIds(nested);
    expect(fresh.fields.map((field) => field.id)).toEqual([1, 2]);
    expect([...renamed]).toEqual([
      [0, 1],
      [1, 2],
      [5, 3],
      [9, 4],
    ]);
    expect(fresh["identifier-field-ids"]).toEqual([1]);
  });
});

describe("snapshots", () => {
  const one = withSnapshots(emptyTable, [snapshot(5n, null, 1)]);

  test("F3, F5, F6: main, current, both logs and the times move together", () => {
    const table = apply(one, [
      { action: "add-snapshot", snapshot: snapshot(6n, 5n, 2, { timestampMs: 3000 }) },
      main(6n),
    ]);
    expect(table).toMatchObject({ "current-snapshot-id": 6n, "last-sequence-number": 2, "last-updated-ms": 3000 });
    expect(table.refs["main"]).toEqual({ type: "branch", "snapshot-id": 6n });
    expect(table["snapshot-log"].at(-1)).toEqual({ "timestamp-ms": 3000, "snapshot-id": 6n });
    expect(table["metadata-log"]).toEqual([{ "timestamp-ms": 1001, "metadata-file": context.baseLocation }]);
  });

  test("an old sequence number is a conflict, since a newer base may fit it", () => {
    const answer = applyCommit(one, [], [{ action: "add-snapshot", snapshot: snapshot(6n, 5n, 1) }], context);
    expect(answer.kind).toBe("failed-requirement");
  });

  test("an id that is there, a ref to nothing, main as a tag: invalid", () => {
    const bad: readonly Update[] = [
      { action: "add-snapshot", snapshot: snapshot(5n, null, 2) },
      main(9n),
      { action: "set-snapshot-ref", "ref-name": "main", type: "tag", "snapshot-id": 5n },
    ];
    for (const update of bad) expect(applyCommit(one, [], [update], context).kind, update.action).toBe("invalid");
  });

  test("only the last main of a commit is history", () => {
    const updates: readonly Update[] = [
      { action: "add-snapshot", snapshot: snapshot(6n, 5n, 2) },
      main(6n),
      { action: "add-snapshot", snapshot: snapshot(7n, 6n, 3) },
      main(7n),
    ];
    expect(apply(one, updates)["snapshot-log"].map((entry) => entry["snapshot-id"])).toEqual([5n, 7n]);
  });

  test("F6: an expired snapshot takes the log before it, its refs and its statistics along", () => {
    const three = withSnapshots(emptyTable, [snapshot(5n, null, 1), snapshot(6n, 5n, 2), snapshot(7n, 6n, 3)]);
    const tagged = apply(three, [
      { action: "set-snapshot-ref", "ref-name": "v1", type: "tag", "snapshot-id": 6n },
      { action: "set-statistics", "snapshot-id": 6n, statistics: { "snapshot-id": 6n } },
    ]);
    const removal = { action: "remove-snapshots", "snapshot-ids": [6n] } as const;
    const table = apply(tagged, [removal, { action: "remove-snapshot-ref", "ref-name": "v1" }]);
    expect(table["snapshot-log"].map((entry) => entry["snapshot-id"])).toEqual([7n]);
    expect(Object.keys(table.refs)).toEqual(["main"]);
    expect(table["statistics"]).toEqual([]);
  });

  test("a snapshot with a ref of which the commit says nothing stays: the ref came meanwhile", () => {
    const two = withSnapshots(emptyTable, [snapshot(5n, null, 1), snapshot(6n, 5n, 2)]);
    const tagged = apply(two, [{ action: "set-snapshot-ref", "ref-name": "v1", type: "tag", "snapshot-id": 5n }]);
    const removal = { action: "remove-snapshots", "snapshot-ids": [5n] } as const;
    expect(applyCommit(tagged, [], [removal], context)).toEqual({
      kind: "failed-requirement",
      detail: "Cannot remove snapshots: v1 was set to one of them concurrently",
    });
  });

  test("removing main leaves a table without snapshot", () => {
    expect(apply(one, [{ action: "remove-snapshot-ref", "ref-name": "main" }])["current-snapshot-id"]).toBe(-1n);
  });

  test("F5: the metadata log keeps previous-versions-max files", () => {
    let table = apply(emptyTable, [
      { action: "set-properties", updates: { "write.metadata.previous-versions-max": "2" } },
    ]);
    for (const value of ["a", "b", "c"]) table = apply(table, [{ action: "set-properties", updates: { value } }]);
    expect(table["metadata-log"]).toHaveLength(2);
  });

  test("I1: version 3 counts rows, and wants first-row-id", () => {
    const three = apply(one, [{ action: "upgrade-format-version", "format-version": 3 }]);
    expect(applyCommit(three, [], [{ action: "add-snapshot", snapshot: snapshot(6n, 5n, 2) }], context).kind).toBe(
      "invalid",
    );
    const rows = { ...snapshot(6n, 5n, 2), "first-row-id": 0, "added-rows": 12 };
    expect(apply(three, [{ action: "add-snapshot", snapshot: rows }])["next-row-id"]).toBe(12);
    expect(applyCommit(three, [], [{ action: "upgrade-format-version", "format-version": 2 }], context).kind).toBe(
      "invalid",
    );
  });
});

test("F9: unknown fields and properties stay", () => {
  const table = apply({ ...emptyTable, labels: [1] }, [
    { action: "set-properties", updates: { a: "1", b: "2" } },
    { action: "remove-properties", removals: ["a"] },
  ]);
  expect(table).toMatchObject({ labels: [1], properties: { b: "2" } });
});

describe("what Java's readers load", () => {
  const specOf = (...fields: readonly object[]): readonly Update[] => [
    { action: "add-spec", spec: { "spec-id": 1, fields: fields as PartitionSpec["fields"] } },
    { action: "set-default-spec", "spec-id": -1 },
  ];
  const current: Update = { action: "set-current-schema", "schema-id": -1 };

  test("is taken: fields of structs, names of their own columns, transforms that nobody knows, what is no longer the default", () => {
    const inner = {
      type: "struct",
      fields: [{ id: 4, name: "at", required: false, type: "TIMESTAMP" }],
    } as unknown as StructType;
    const price = { id: 5, name: "price", required: false, type: "decimal( 10, 2 )" } as unknown as NestedField;
    const nested: Schema = {
      ...schema,
      fields: [...schema.fields, { id: 3, name: "s", required: false, type: inner }, price],
    };
    const partitioned = apply(emptyTable, [
      { action: "add-schema", schema: nested },
      current,
      ...specOf(
        { "source-id": 2, "field-id": 1000, name: "name", transform: "identity" },
        { "source-id": 4, "field-id": 1001, name: "s.at_hour", transform: "hour" },
        { "source-id": 1, "field-id": 1002, name: "z", transform: "zorder" },
        { "source-id": 5, "field-id": 1003, name: "price_trunc", transform: "truncate[10]" },
      ),
    ]);
    expect(partitioned["default-spec-id"]).toBe(1);
    const without: Schema = { ...schema, fields: schema.fields.slice(0, 1) };
    const dropped = apply(partitioned, [
      { action: "set-default-spec", "spec-id": 0 },
      { action: "add-schema", schema: without },
      current,
    ]);
    expect(dropped["current-schema-id"]).toBe(2);
  });

  test("others may have left otherwise: what a commit does not change is not held against it", () => {
    const fields = [{ "source-id": 77, "field-id": 1000, name: "gone", transform: "identity" }] as const;
    const left = { ...emptyTable, "partition-specs": [{ "spec-id": 0, fields }] };
    const updates: readonly Update[] = [{ action: "add-snapshot", snapshot: snapshot(7n, null, 1) }, main(7n)];
    expect(apply(left, updates)["current-snapshot-id"]).toBe(7n);
    const asked = applyCommit(left, [], [{ action: "add-schema", schema: wider }, current], context);
    expect(asked.kind).toBe("invalid");
  });
});
