/** Proves: table metadata survives reading and writing whole, 64-bit ids included, and what is not metadata is refused by name. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { parseJson, renderJson } from "../../../src/table/iceberg/json.ts";
import {
  metadataFileName,
  metadataVersion,
  parseMetadata,
  renderMetadata,
} from "../../../src/table/iceberg/metadata-json.ts";
import { emptyTable, snapshot, withSnapshots } from "./tables.ts";

describe("F4: integers keep all their digits", () => {
  test("beyond 2^53 they are bigint, and are written as they were read", () => {
    const text = '{"id":9223372036854775807,"small":9007199254740991,"list":[-9223372036854775808],"double":1.5e300}';
    expect(renderJson(parseJson(text, "test"))).toBe(text.replace("1.5e300", "1.5e+300"));
    expect(parseJson(text, "test")).toMatchObject({ id: 9223372036854775807n, small: 9007199254740991 });
  });

  test("any 64-bit integer", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
        const value = parseJson(`[${id}]`, "test") as readonly (number | bigint)[];
        return BigInt(value[0] ?? 0) === id && renderJson(value) === `[${id}]`;
      }),
    );
  });

  test("what is no JSON is corrupt", () => {
    expect(() => parseJson("{", "test")).toThrow(CorruptData);
  });
});

describe("reading", () => {
  const full = withSnapshots(emptyTable, [
    snapshot(9223372036854775806n, null, 1),
    snapshot(7n, 9223372036854775806n, 2),
  ]);

  test("F9: what others wrote passes through", () => {
    const text = renderJson({
      ...full,
      "encryption-keys": [{ "key-id": "k" }],
      statistics: [{ "snapshot-id": 7, x: 1 }],
    });
    const read = parseMetadata(text, "test");
    expect(JSON.parse(renderMetadata(read))).toEqual(JSON.parse(text));
    expect(read.snapshots.map((each) => each["snapshot-id"])).toEqual([9223372036854775806n, 7n]);
  });

  test("F2: no current snapshot, in every way that writers say it, is -1", () => {
    const { "current-snapshot-id": _current, ...without } = emptyTable;
    for (const text of [
      without,
      { ...without, "current-snapshot-id": null },
      { ...without, "current-snapshot-id": -1 },
    ]) {
      expect(parseMetadata(renderJson(text), "test")["current-snapshot-id"]).toBe(-1n);
    }
  });

  test("F1: each required field is missed by name", () => {
    for (const name of ["table-uuid", "location", "last-column-id", "schemas", "partition-specs", "default-spec-id"]) {
      const { [name]: _gone, ...without } = full;
      expect(() => parseMetadata(renderJson(without), "test")).toThrow(name);
    }
  });

  test("F3: refs.main must be the current snapshot; without refs it is made", () => {
    const refs = { main: { "snapshot-id": 9223372036854775806n, type: "branch" } };
    expect(() => parseMetadata(renderJson({ ...full, refs }), "test")).toThrow("main at 7");
    const { refs: _refs, ...without } = full;
    expect(parseMetadata(renderJson(without), "test").refs["main"]).toMatchObject({ "snapshot-id": 7n });
  });

  test("F10: a format version above 3 is refused", () => {
    expect(() => parseMetadata(renderJson({ ...full, "format-version": 4 }), "test")).toThrow("format-version 1 to 3");
  });

  test("version 1 with one schema and one spec is listed", () => {
    const {
      schemas,
      "partition-specs": _specs,
      "sort-orders": _orders,
      "last-sequence-number": _last,
      ...rest
    } = emptyTable;
    const old = {
      ...rest,
      "format-version": 1,
      schema: schemas[0],
      "partition-spec": [{ name: "id", transform: "identity", "source-id": 1 }],
    };
    const read = parseMetadata(renderJson(old), "test");
    expect(read["partition-specs"][0]?.fields[0]).toMatchObject({ "field-id": 1000, "source-id": 1 });
    expect(read.schemas[0]?.fields).toHaveLength(2);
  });

  test("arbitrary JSON throws only CorruptData", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          parseMetadata(text, "test");
        } catch (cause) {
          return cause instanceof CorruptData;
        }
        return true;
      }),
    );
  });
});

test("F7: file names", () => {
  expect(metadataFileName(7, "u")).toBe("00007-u.metadata.json");
  expect(metadataVersion("s3://b/t/metadata/00007-u.metadata.json")).toBe(7);
  expect(metadataVersion("s3://b/t/metadata/v12.metadata.json")).toBe(12);
  expect(metadataVersion("s3://b/t/metadata/other")).toBeUndefined();
});
