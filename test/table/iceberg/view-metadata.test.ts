/** Proves: views change as the specification and the reference have it: versions are numbered, found again, forgotten; nothing half right is taken. */
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import type { Schema } from "../../../src/table/iceberg/types.ts";
import {
  applyViewUpdates,
  parseView,
  renderView,
  type ViewMetadata,
  type ViewUpdate,
  type ViewVersion,
} from "../../../src/table/iceberg/view-metadata.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 7,
  fields: [{ id: 1, name: "id", required: false, type: "long" }],
};
const version = (sql: string, changes: Partial<ViewVersion> = {}): ViewVersion => ({
  "version-id": 1,
  "timestamp-ms": 1000,
  "schema-id": -1,
  summary: { engine: "test" },
  representations: [{ type: "sql", sql, dialect: "spark" }],
  "default-namespace": ["ns"],
  ...changes,
});
const adds = (added: ViewVersion): readonly ViewUpdate[] => [
  { action: "add-schema", schema },
  { action: "add-view-version", "view-version": added },
  { action: "set-current-view-version", "view-version-id": -1 },
];
const creation: readonly ViewUpdate[] = [
  { action: "assign-uuid", uuid: "u" },
  { action: "set-location", location: "s3://b/v" },
  ...adds(version("select 1")),
];

function changed(base: ViewMetadata | undefined, updates: readonly ViewUpdate[], nowMs = 5000): ViewMetadata {
  const applied = applyViewUpdates(base, updates, nowMs);
  if (applied.kind === "invalid") throw new Error(applied.detail);
  return applied.metadata;
}
const refused = (base: ViewMetadata | undefined, updates: readonly ViewUpdate[]) => applyViewUpdates(base, updates, 0);
const made = changed(undefined, creation);

describe("a view", () => {
  test("is made with version 1, schema 0 and a log of one entry, and comes back from its file", () => {
    expect(made).toMatchObject({
      "view-uuid": "u",
      "current-version-id": 1,
      schemas: [{ "schema-id": 0 }],
      versions: [{ "version-id": 1, "schema-id": 0 }],
      "version-log": [{ "version-id": 1, "timestamp-ms": 1000 }],
    });
    expect(parseView(renderView(made), "file")).toEqual(made);
  });

  test("gets another version for another query, and the old one again for the old query", () => {
    const second = changed(made, adds(version("select 2", { "timestamp-ms": 2000 })));
    expect(second).toMatchObject({ "current-version-id": 2, schemas: [{ "schema-id": 0 }] });
    const back = changed(second, adds(version("select 1", { "timestamp-ms": 3000 })));
    expect(back["current-version-id"]).toBe(1);
    expect(back.versions).toHaveLength(2);
    // It was not added now: the log says when it became the current one.
    expect(back["version-log"].map((entry) => entry["timestamp-ms"])).toEqual([1000, 2000, 5000]);
  });

  test("that nothing is changed in stays the very same", () => {
    expect(changed(made, [])).toBe(made);
    expect(changed(made, [{ action: "remove-properties", removals: ["none"] }])).toBe(made);
    expect(changed(made, [{ action: "set-current-view-version", "view-version-id": 1 }])).toBe(made);
  });

  test("forgets old versions, and the log before the last that is gone", () => {
    const history: readonly ViewUpdate[] = [
      { action: "set-properties", updates: { "version.history.num-entries": "2" } },
    ];
    let view = changed(made, history);
    for (const sql of ["2", "3", "4"]) view = changed(view, adds(version(sql)));
    expect(view.versions.map((each) => each["version-id"])).toEqual([3, 4]);
    expect(view["version-log"].map((entry) => entry["version-id"])).toEqual([3, 4]);
    view = changed(view, [{ action: "set-current-view-version", "view-version-id": 3 }]);
    view = changed(view, [{ action: "add-view-version", "view-version": version("5", { "schema-id": 0 }) }]);
    expect(view.versions.map((each) => each["version-id"])).toEqual([3, 5]);
    expect(view["current-version-id"]).toBe(3);
  });
});

describe("refused is", () => {
  const trino = version("select 1", { representations: [{ type: "sql", sql: "select 1", dialect: "trino" }] });
  const twice = ["Spark", "spark"].map((dialect) => ({ type: "sql" as const, sql: "x", dialect }));
  test.each<readonly [string, ViewMetadata | undefined, readonly ViewUpdate[], RegExp]>([
    ["a view without a version", undefined, creation.slice(0, 2), /no versions were added/],
    ["a view without a place", undefined, creation.slice(2), /Invalid location/],
    ["the loss of a dialect", made, adds(trino), /loss of view dialects/],
    ["one dialect twice", made, adds(version("", { representations: twice })), /multiple queries for dialect spark/],
    [
      "a schema that is not there",
      made,
      [{ action: "add-view-version", "view-version": version("2", { "schema-id": 9 }) }],
      /unknown schema: 9/,
    ],
    [
      "the last schema of none",
      made,
      [{ action: "add-view-version", "view-version": version("2") }],
      /no schema has been added/,
    ],
    [
      "the last version of none",
      made,
      [{ action: "set-current-view-version", "view-version-id": -1 }],
      /no current version/,
    ],
    [
      "a version that is not there",
      made,
      [{ action: "set-current-view-version", "view-version-id": 5 }],
      /unknown version: 5/,
    ],
    ["another uuid", made, [{ action: "assign-uuid", uuid: "w" }], /reassign uuid/],
    ["another format", made, [{ action: "upgrade-format-version", "format-version": 2 }], /unsupported format version/],
    [
      "a history of nothing",
      made,
      [{ action: "set-properties", updates: { "version.history.num-entries": "0" } }],
      /must be positive/,
    ],
  ])("%s", (_name, base, updates, detail) => {
    expect(refused(base, updates)).toEqual({ kind: "invalid", detail: expect.stringMatching(detail) });
  });

  test("the loss of a dialect is taken where the view says so", () => {
    const updates = { "replace.drop-dialect.allowed": "true" };
    expect(changed(made, [{ action: "set-properties", updates }, ...adds(trino)])["current-version-id"]).toBe(2);
  });

  test.each(["", "{}", "[]", '{"view-uuid":"u"}'])("the file %j", (text) => {
    expect(() => parseView(text, "file")).toThrow(CorruptData);
  });
});
