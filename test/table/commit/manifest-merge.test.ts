/** Proves: manifests are joined when the reference would join them, and a joined one says of each file what its own said. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { joinedEntries, mergeSettings, planMerges, schemaOfSpec } from "../../../src/table/commit/manifest-merge.ts";
import { serializeValue } from "../../../src/table/iceberg/bounds.ts";
import {
  addedFile,
  type Manifest,
  type ManifestEntry,
  readManifest,
  writeManifest,
} from "../../../src/table/iceberg/manifest.ts";
import { type ManifestFile, newManifestFile } from "../../../src/table/iceberg/manifest-list.ts";
import type { PartitionSpec, Schema } from "../../../src/table/iceberg/types.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 3,
  fields: [{ id: 1, name: "id", required: false, type: "long" }],
};
const spec: PartitionSpec = {
  "spec-id": 0,
  fields: [{ "source-id": 1, "field-id": 1000, name: "id", transform: "identity" }],
};

function manifest(sequenceNumber: number, change: Partial<ManifestFile> = {}): ManifestFile {
  return {
    path: `m${sequenceNumber}`,
    bytes: 10,
    specId: 0,
    content: "data",
    sequenceNumber,
    minSequenceNumber: sequenceNumber,
    addedSnapshotId: BigInt(sequenceNumber),
    files: { added: 1, existing: 0, deleted: 0 },
    rows: { added: 1, existing: 0, deleted: 0 },
    partitions: null,
    keyMetadata: null,
    firstRowId: null,
    ...change,
  };
}

const numbered = (count: number, change: Partial<ManifestFile> = {}) =>
  Array.from({ length: count }, (_, index) => manifest(count - index, change));
const names = (bins: readonly (readonly ManifestFile[])[]) => bins.map((bin) => bin.map((each) => each.path).join(" "));

describe("what is joined", () => {
  const settings = { isEnabled: true, countMin: 4, bytesTarget: 1000 };

  test("the commit's own manifests count, and stay apart", () => {
    expect(planMerges(numbered(2), [{ specId: 0, content: "data" }], settings)).toEqual([]);
    expect(names(planMerges(numbered(3), [{ specId: 0, content: "data" }], settings))).toEqual(["m3 m2 m1"]);
    expect(planMerges(numbered(3), [{ specId: 1, content: "data" }], settings)).toEqual([]);
  });

  test("C8: never manifests of two specs, nor data with deletes; an encrypted one stays", () => {
    const mixed = [
      manifest(1),
      manifest(2, { specId: 1 }),
      manifest(3),
      manifest(4, { content: "deletes" }),
      manifest(5, { specId: 1 }),
      manifest(6, { keyMetadata: Uint8Array.of(1) }),
      manifest(7),
      manifest(8, { content: "deletes" }),
    ];
    const bins = planMerges(mixed, [], { ...settings, countMin: 2 });
    expect(names(bins).sort()).toEqual(["m5 m2", "m7 m3 m1", "m8 m4"]);
  });

  test("bins fill from the oldest; only the newest waits for the count; one manifest alone is no bin", () => {
    const bins = planMerges(numbered(5), [{ specId: 0, content: "data" }], { ...settings, bytesTarget: 20 });
    expect(names(bins)).toEqual(["m4 m3", "m2 m1"]);
    const large = manifest(6, { bytes: 1000 });
    expect(names(planMerges([large, ...numbered(3)], [], settings))).toEqual(["m3 m2 m1"]);
  });

  test("the table's properties win, unless they make no sense", () => {
    expect(mergeSettings({}, settings)).toEqual(settings);
    const properties = {
      "commit.manifest-merge.enabled": "false",
      "commit.manifest.min-count-to-merge": "7",
      "commit.manifest.target-size-bytes": "99",
    };
    expect(mergeSettings(properties, settings)).toEqual({ isEnabled: false, countMin: 7, bytesTarget: 99 });
    expect(mergeSettings({ "commit.manifest.min-count-to-merge": "-1" }, settings)).toEqual(settings);
    expect(planMerges(numbered(50), [], { ...settings, isEnabled: false })).toEqual([]);
  });

  test("never one twice, never over the target, whatever there is", () => {
    const manifests = fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 60 }), specId: fc.integer({ min: 0, max: 2 }) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(manifests, fc.integer({ min: 2, max: 10 }), (list, countMin) => {
        const files = list.map((change, index) => manifest(index + 1, change));
        const bins = planMerges(files, [], { isEnabled: true, countMin, bytesTarget: 100 });
        const paths = bins.flat().map((each) => each.path);
        expect(new Set(paths).size).toBe(paths.length);
        for (const bin of bins) {
          expect(bin.length).toBeGreaterThan(1);
          expect(new Set(bin.map((each) => each.specId)).size).toBe(1);
          expect(bin.reduce((sum, each) => sum + each.bytes, 0)).toBeLessThanOrEqual(100);
        }
      }),
    );
  });
});

describe("what a joined manifest says", () => {
  const entry = (path: string, value: bigint | number): ManifestEntry =>
    addedFile({
      path,
      format: "PARQUET",
      partition: [value],
      recordCount: 2,
      bytes: 100,
      columnSizes: new Map([[1, 7]]),
      valueCounts: new Map([[1, 2]]),
      nullValueCounts: new Map(),
      nanValueCounts: new Map(),
      lowerBounds: new Map([[1, serializeValue("int", 5)]]), // Written before the column was widened (B8).
      upperBounds: new Map([[1, serializeValue("int", 6)]]),
      splitOffsets: [4],
    });
  const of = (...entries: readonly ManifestEntry[]): Manifest => ({ schema, specId: 0, content: "data", entries });

  test("C7: every entry EXISTING, with the snapshot and sequence numbers that it had or inherited; DELETED ones go", () => {
    const existing: ManifestEntry = {
      ...entry("b", 2n),
      status: "existing",
      snapshotId: 77n,
      sequenceNumber: 4,
      fileSequenceNumber: 5,
    };
    const parts = [
      { file: manifest(9), manifest: of(entry("a", 1n), existing) },
      { file: manifest(8), manifest: of({ ...existing, status: "deleted" }) },
    ];
    const joined = joinedEntries(parts, { schema, spec });
    expect(
      joined.map(({ status, snapshotId, sequenceNumber, fileSequenceNumber, file }) => [
        file.path,
        status,
        snapshotId,
        sequenceNumber,
        fileSequenceNumber,
      ]),
    ).toEqual([
      ["a", "existing", 9n, 9, 9],
      ["b", "existing", 77n, 4, 5],
    ]);
  });

  test("D4: the list gives it this commit's sequence number, the least data sequence number, and existing counts", async () => {
    const parts = [3, 9, 5].map((sequence) => ({ file: manifest(sequence), manifest: of(entry(`f${sequence}`, 1n)) }));
    const entries = joinedEntries(parts, { schema, spec });
    const bytes = writeManifest({ schema, spec, content: "data", entries });
    const options = { path: "joined", bytes: bytes.length, spec, schema, entries, snapshotId: 12n, sequenceNumber: 12 };
    expect(newManifestFile(options)).toMatchObject({
      sequenceNumber: 12,
      minSequenceNumber: 3,
      addedSnapshotId: 12n,
      files: { added: 0, existing: 3, deleted: 0 },
      rows: { added: 0, existing: 6, deleted: 0 },
    });
    expect((await readManifest(bytes, "joined", { schema, specs: [spec] })).entries).toEqual(entries);
  });

  test("B8: metrics go over as they are; partition values of a widened column come in its type of today", () => {
    const [joined] = joinedEntries([{ file: manifest(1), manifest: of(entry("a", 5)) }], { schema, spec });
    expect(joined?.file.partition).toEqual([5n]);
    expect(joined?.file.lowerBounds.get(1)).toEqual(serializeValue("int", 5));
  });

  test("version 1 knew no sequence numbers: all are 0; in version 2 an EXISTING entry without them is corrupt", () => {
    const old: ManifestEntry = { ...entry("a", 1n), status: "existing", snapshotId: 3n };
    const [joined] = joinedEntries([{ file: manifest(0), manifest: of(old) }], { schema, spec });
    expect(joined).toMatchObject({ sequenceNumber: 0, fileSequenceNumber: 0 });
    expect(() => joinedEntries([{ file: manifest(4), manifest: of(old) }], { schema, spec })).toThrow(CorruptData);
  });

  test("a spec's partition values are of the newest schema that has its source columns, the current one first", () => {
    const without: Schema = { ...schema, "schema-id": 4, fields: [] };
    const of = (schemas: readonly Schema[], current: number) =>
      schemaOfSpec({ schemas, "current-schema-id": current }, spec)?.["schema-id"];
    expect(of([schema, without], 3)).toBe(3);
    expect(of([schema, without], 4)).toBe(3);
    expect(of([schema, { ...schema, "schema-id": 5 }, without], 4)).toBe(5);
    expect(of([schema, { ...schema, "schema-id": 5 }], 3)).toBe(3);
    expect(of([without], 4)).toBeUndefined();
    const gone: PartitionSpec = { "spec-id": 1, fields: spec.fields.map((field) => ({ ...field, transform: "void" })) };
    expect(schemaOfSpec({ schemas: [without], "current-schema-id": 4 }, gone)).toBe(without);
  });
});
