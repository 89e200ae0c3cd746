/** Proves: no two rows of a version 3 table are given one id, whatever manifests a snapshot has, and ids given stay. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addedFile, type ManifestEntry } from "../../../src/table/iceberg/manifest.ts";
import { type ManifestFile, newManifestFile } from "../../../src/table/iceberg/manifest-list.ts";
import { assignRowIds, withRowIds } from "../../../src/table/iceberg/row-ids.ts";
import type { DataFile } from "../../../src/table/iceberg/types.ts";

const spec = { "spec-id": 0, fields: [] };
const schema = { type: "struct", "schema-id": 0, fields: [] } as const;
const none = { columnSizes: new Map(), valueCounts: new Map(), nullValueCounts: new Map(), nanValueCounts: new Map() };

function entry(status: ManifestEntry["status"], recordCount: number, firstRowId: number | null): ManifestEntry {
  const bounds = { lowerBounds: new Map(), upperBounds: new Map() };
  const file: DataFile = {
    ...none,
    ...bounds,
    path: "memory://f",
    format: "PARQUET",
    partition: [],
    recordCount,
    bytes: 1,
    splitOffsets: [],
  };
  return { ...addedFile(file), status, firstRowId };
}

function manifest(entries: readonly ManifestEntry[], content: "data" | "deletes" = "data"): ManifestFile {
  const file = newManifestFile({ path: "m", bytes: 1, spec, schema, entries, snapshotId: 1n, sequenceNumber: 1 });
  return { ...file, content };
}

const arbitraryEntry = fc
  .tuple(fc.constantFrom("added" as const, "existing" as const, "deleted" as const), fc.nat(20))
  .map(([status, rows]) => entry(status, rows, status === "deleted" ? 0 : null));
const arbitraryManifest = fc
  .tuple(fc.array(arbitraryEntry, { maxLength: 5 }), fc.boolean())
  .map(([entries, isData]) => ({ entries, isData }));

describe("ids of rows", () => {
  test("I1, I2: each row has one of its own, below where the next snapshot begins", () => {
    fc.assert(
      fc.property(fc.array(arbitraryManifest, { maxLength: 6 }), fc.nat(1000), (given, next) => {
        const files = given.map(({ entries, isData }) => manifest(entries, isData ? "data" : "deletes"));
        const assigned = assignRowIds(files, next);
        const ids = assigned.manifests.flatMap((file, index) =>
          withRowIds(file, given[index]?.entries ?? []).flatMap(({ status, firstRowId, file: { recordCount } }) =>
            status === "deleted" || firstRowId === null
              ? []
              : Array.from({ length: recordCount }, (_, row) => firstRowId + row),
          ),
        );
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of ids) expect(id).toBeGreaterThanOrEqual(next);
        for (const id of ids) expect(id).toBeLessThan(assigned.next ?? 0);
        expect(
          assigned.manifests.filter(({ content }) => content === "deletes").map((each) => each.firstRowId),
        ).toEqual(assigned.manifests.filter(({ content }) => content === "deletes").map(() => null));
        expect(assignRowIds(assigned.manifests, assigned.next)).toEqual(assigned);
      }),
    );
  });

  test("I2: files from before the table had ids get theirs with the first snapshot that lists them", () => {
    const old = manifest([entry("existing", 4, null)]);
    const fresh = manifest([entry("added", 3, null)]);
    const { manifests, next } = assignRowIds([fresh, old], 100);
    expect(manifests.map(({ firstRowId }) => firstRowId)).toEqual([100, 103]);
    expect(next).toBe(107);
  });

  test("I3: an entry that says its first id keeps it, and takes none of its manifest's", () => {
    const entries = [entry("existing", 5, 40), entry("added", 3, null), entry("added", 2, null)];
    const read = withRowIds({ firstRowId: 100 }, entries);
    expect(read.map(({ firstRowId }) => firstRowId)).toEqual([40, 100, 103]);
  });

  test("a table of version 2 gives none", () => {
    const files = [manifest([entry("added", 3, null)])];
    expect(assignRowIds(files, undefined)).toEqual({ manifests: files, next: undefined });
  });
});
