/** Proves: manifests are written again where it spares readers half of them, with the same entries, and then not again. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LiveManifest, partitionKey } from "../../../src/table/commit/live-entries.ts";
import { addedFile } from "../../../src/table/iceberg/manifest.ts";
import type { PartitionSpec } from "../../../src/table/iceberg/types.ts";
import { type ManifestSettings, planManifests } from "../../../src/table/maintenance/manifest-plan.ts";

const spec = (id: number): PartitionSpec => ({
  "spec-id": id,
  fields: [{ "source-id": 1, "field-id": 1000, name: "bucket", transform: "bucket[16]" }],
});
const settings: ManifestSettings = { bytesTarget: 1000, looseMin: 4, smallMax: 20, quietMs: 1000 };
const busy = (): number => 0;
const quiet = (): number => 5000;

/** A manifest of a file each of `partitions`, 10 bytes an entry unless it is said otherwise. */
function manifest(
  sequence: number,
  partitions: readonly number[],
  options: { readonly bytes?: number; readonly specId?: number; readonly content?: "data" | "deletes" } = {},
): LiveManifest {
  const { bytes = partitions.length * 10, specId = 0, content = "data" } = options;
  const entries = partitions.map((partition, at) => ({
    ...addedFile({
      path: `${content}-${specId}-${sequence}-${at}`,
      format: "PARQUET",
      partition: [partition],
      recordCount: 1,
      bytes: 1,
      columns: [],
      splitOffsets: [],
      sortOrderId: null,
    } as unknown as Parameters<typeof addedFile>[0]),
    content: content === "data" ? ("data" as const) : ("equality-deletes" as const),
    snapshotId: BigInt(sequence),
    sequenceNumber: sequence,
  }));
  const counts = { added: partitions.length, existing: 0, deleted: 0 };
  const file = {
    path: `m-${content}-${specId}-${sequence}`,
    bytes,
    specId,
    content,
    sequenceNumber: sequence,
    minSequenceNumber: sequence,
    addedSnapshotId: BigInt(sequence),
    files: counts,
    rows: counts,
    partitions: null,
    keyMetadata: null,
    firstRowId: null,
  };
  return { file, spec: spec(specId), entries };
}

const all = Array.from({ length: 16 }, (_, at) => at);
const full = (sequence: number): LiveManifest => manifest(sequence, [...all, ...all, ...all, ...all, ...all]);

/** What the plan writes, as the manifests of the table that it makes. */
function written(plan: ReturnType<typeof planManifests>): readonly LiveManifest[] {
  return (plan?.written ?? []).map(({ spec: of, content, entries }, at) => {
    const made = manifest(100 + at, [], { specId: of["spec-id"], content, bytes: entries.length * 10 });
    const files = { added: 0, existing: entries.length, deleted: 0 };
    return { ...made, file: { ...made.file, files }, entries } as LiveManifest;
  });
}

describe("full manifests", () => {
  test("that list all partitions each are written again by partition, and then left alone", () => {
    const before = [full(3), full(2), full(1), full(0)];
    const plan = planManifests(before, settings, busy);
    expect(plan).toMatchObject({
      kept: [],
      removed: [],
      added: [],
      report: { manifestsIn: 4, manifestsOut: 4 },
      summary: { "manifests-created": "4", "manifests-replaced": "4", "entries-processed": "320" },
    });
    for (const { entries } of plan?.written ?? []) {
      expect(new Set(entries.map(({ file }) => file.partition[0])).size).toBeLessThanOrEqual(5);
      expect(new Set(entries.map(({ status }) => status))).toEqual(new Set(["existing"]));
    }
    expect(planManifests(written(plan), settings, busy)).toBeUndefined();
  });

  test("of partitions that follow time stay as they are, and so do too few of them", () => {
    const days = [0, 1, 2, 3, 4].map((day) => manifest(day, [...Array.from({ length: 80 }, () => day), day + 1]));
    expect(planManifests(days, settings, busy)).toBeUndefined();
    expect(planManifests([full(2), full(1), full(0)], settings, busy)).toBeUndefined();
  });

  test("that are well as they are keep their place beside those that are not", () => {
    const plan = planManifests([full(3), full(2), full(1), full(0)], settings, busy);
    const clustered = written(plan);
    const next = [full(200), full(201), ...clustered];
    expect(planManifests(next, settings, busy)).toBeUndefined();
    const more = [full(200), full(201), full(202), full(203), ...clustered];
    expect(planManifests(more, settings, busy)?.kept).toEqual(clustered.map(({ file }) => file));
  });
});

describe("small manifests", () => {
  const small = Array.from({ length: 10 }, (_, at) => manifest(at, [0]));

  test("are left to the commits while there are some, and joined when none come", () => {
    expect(planManifests(small, settings, busy)).toBeUndefined();
    const plan = planManifests(small, settings, quiet);
    expect(plan?.report).toEqual({ manifestsIn: 10, manifestsOut: 1 });
    expect(planManifests(written(plan), settings, quiet)).toBeUndefined();
    expect(planManifests([], settings, quiet)).toBeUndefined();
  });

  test("are joined all the same when the commits do not", () => {
    const many = Array.from({ length: 21 }, (_, at) => manifest(at, [0]));
    expect(planManifests(many, settings, busy)?.report).toEqual({ manifestsIn: 21, manifestsOut: 1 });
  });

  test("never meet those of another spec or content, and those that list nothing go", () => {
    const mixed = [
      manifest(1, [0]),
      manifest(2, [0]),
      manifest(3, [0], { specId: 1 }),
      manifest(4, [0], { specId: 1 }),
      manifest(5, [0], { content: "deletes" }),
      manifest(6, []),
    ];
    const plan = planManifests(mixed, settings, quiet);
    expect(plan?.written.map(({ spec: of, content }) => [of["spec-id"], content])).toEqual([
      [0, "data"],
      [1, "data"],
    ]);
    expect(plan?.kept.map(({ path }) => path)).toEqual(["m-deletes-0-5"]);
  });
});

test("whatever the table, its entries are the same, with their own numbers, and nobody opens more", () => {
  const table = fc.array(
    fc.tuple(fc.array(fc.nat(5), { maxLength: 90 }), fc.nat(1), fc.constantFrom<"data" | "deletes">("data", "deletes")),
    { maxLength: 12 },
  );
  const said = (manifests: readonly Pick<LiveManifest, "entries">[]): readonly string[] =>
    manifests
      .flatMap(({ entries }) =>
        entries.map((entry) => `${entry.file.path} ${entry.sequenceNumber} ${entry.snapshotId}`),
      )
      .sort();
  const opened = (manifests: readonly LiveManifest[]): number =>
    manifests.reduce((sum, { spec: of, entries }) => {
      return sum + new Set(entries.map((entry) => partitionKey({ entry, spec: of }))).size;
    }, 0);
  fc.assert(
    fc.property(table, fc.boolean(), (parts, isQuiet) => {
      const before = parts.map(([partitions, specId, content], at) => manifest(at, partitions, { specId, content }));
      const plan = planManifests(before, { ...settings, smallMax: 3, looseMin: 2 }, isQuiet ? quiet : busy);
      if (plan === undefined) return;
      const kept = before.filter(({ file }) => plan.kept.includes(file));
      const after = [...kept, ...written(plan)];
      expect(said(after)).toEqual(said(before));
      expect(opened(after)).toBeLessThan(opened(before));
    }),
    { numRuns: 300 },
  );
});
