/** Proves: a round with deletes gets a snapshot and a sequence number of its own, so that its deletes spare its own rows. */
import { describe, expect, test } from "vitest";
import type { Seq } from "../../../src/base/ids.ts";
import { planAppend, type RoundFile, type RoundPart, snapshotGroups } from "../../../src/table/commit/append-plan.ts";
import { takesFilesOut } from "../../../src/table/commit/expire.ts";
import type { ManifestEntry } from "../../../src/table/iceberg/manifest.ts";
import type { Snapshot, TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import type { Schema } from "../../../src/table/iceberg/types.ts";
import { emptyTable, snapshot, withSnapshots } from "../iceberg/tables.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [{ id: 1, name: "id", required: true, type: "long" }],
};

function file(content: "data" | "deletes", rows: number): RoundFile {
  const none = new Map<number, number>();
  const bytes = new Map<number, Uint8Array>();
  const entry: ManifestEntry = {
    status: "added",
    snapshotId: null,
    sequenceNumber: null,
    fileSequenceNumber: null,
    content: content === "data" ? "data" : "equality-deletes",
    file: {
      path: `memory://t/${content}-${rows}.parquet`,
      format: "PARQUET",
      partition: [],
      recordCount: rows,
      bytes: 100,
      columnSizes: none,
      valueCounts: none,
      nullValueCounts: none,
      nanValueCounts: none,
      lowerBounds: bytes,
      upperBounds: bytes,
      splitOffsets: [4],
    },
    equalityIds: content === "data" ? null : [1],
    sortOrderId: null,
    firstRowId: null,
    referencedDataFile: null,
    vector: null,
  };
  return { path: `memory://t/${content}-${rows}.avro`, bytes: 9, schema, specId: 0, content, entries: [entry] };
}

const part = (seq: number, ...files: RoundFile[]): RoundPart => ({ seq: seq as Seq, files });

const base = {
  "table-uuid": "00000000-0000-0000-0000-000000000001",
  location: "memory://t",
  "last-sequence-number": 7,
  "last-updated-ms": 5,
  "current-schema-id": 0,
  "current-snapshot-id": -1n,
  schemas: [schema],
  "partition-specs": [{ "spec-id": 0, fields: [] }],
  snapshots: [],
  refs: {},
  properties: {},
} as unknown as TableMetadata;

function plan(parts: readonly RoundPart[]) {
  const steps = snapshotGroups(parts).map((group, index) => ({
    files: group.flatMap((each) => each.files),
    snapshotId: BigInt(index + 1),
    manifestList: `memory://t/${index}.avro`,
    mark: `mark ${index}`,
  }));
  const expire = { keepMs: 0, keepMin: 1 };
  return planAppend({ base, inherited: [], steps, engineVersion: "0", nowMs: 9, expire });
}

test("a commit that expires snapshots demands that no tag was moved since", () => {
  const line = [1, 2].map((id) =>
    snapshot(BigInt(id), id === 1 ? null : 1n, id, { timestampMs: id, summary: { operation: "append" } }),
  );
  const tags = { v1: { type: "tag", "snapshot-id": 2n }, audit: { type: "branch", "snapshot-id": 2n } } as const;
  const table = withSnapshots(emptyTable, line);
  const tagged = { ...table, refs: { ...table.refs, ...tags } };
  const steps = [{ files: [], snapshotId: 9n, manifestList: "memory://t/9.avro", mark: "m" }];
  const refsDemanded = (keepMs: number) =>
    planAppend({
      base: tagged,
      inherited: [],
      steps,
      engineVersion: "0",
      nowMs: 9,
      expire: { keepMs, keepMin: 1 },
    }).requirements.flatMap((each) =>
      each.type === "assert-ref-snapshot-id" ? [[each.ref, each["snapshot-id"]]] : [],
    );
  expect(refsDemanded(0)).toEqual([
    ["main", 2n],
    ["v1", 2n],
  ]);
  expect(refsDemanded(1000)).toEqual([["main", 2n]]);
});

describe("rounds of one commit", () => {
  const seqs = (parts: readonly RoundPart[]) => snapshotGroups(parts).map((group) => group.map(({ seq }) => seq));

  test("share a snapshot when they only append", () => {
    expect(seqs([part(1, file("data", 1)), part(2), part(3, file("data", 2))])).toEqual([[1, 2, 3]]);
    expect(seqs([])).toEqual([[]]);
  });

  test("begin another one when they delete, unless nothing stands before them", () => {
    const change = [file("data", 1), file("deletes", 2)];
    expect(seqs([part(1), part(2, ...change), part(3, ...change), part(4), part(5, file("deletes", 1))])).toEqual([
      [1, 2],
      [3, 4],
      [5],
    ]);
  });

  test("become a line of snapshots with rising sequence numbers and main at its end", () => {
    const planned = plan([
      part(1, file("data", 3)),
      part(2, file("data", 1), file("deletes", 2)),
      part(3, file("deletes", 4)),
    ]);
    expect(planned.snapshots.map(({ sequenceNumber, parentId }) => [sequenceNumber, parentId])).toEqual([
      [8, null],
      [9, 1n],
      [10, 2n],
    ]);
    expect(planned.snapshotId).toBe(3n);
    const [, , last] = planned.snapshots;
    expect(last?.manifests.map(({ content, sequenceNumber }) => [content, sequenceNumber])).toEqual([
      ["deletes", 10],
      ["data", 9],
      ["deletes", 9],
      ["data", 8],
    ]);
    const summaries = planned.updates.flatMap((update) =>
      update.action === "add-snapshot" ? [update.snapshot.summary] : [],
    );
    expect(summaries).toMatchObject([
      { operation: "append", "added-records": "3", "total-records": "3", "total-equality-deletes": "0" },
      { operation: "overwrite", "added-delete-files": "1", "added-equality-deletes": "2", "total-records": "4" },
      { operation: "delete", "total-data-files": "2", "total-delete-files": "2", "total-equality-deletes": "6" },
    ]);
    expect(planned.updates.find((update) => update.action === "set-properties")).toMatchObject({
      updates: { "inlet.committed": "mark 2" },
    });
  });

  test("take no files out, so their snapshots expire like appends", () => {
    const [update] = plan([part(1, file("deletes", 1))]).updates;
    const snapshot = (update as { readonly snapshot: Snapshot }).snapshot;
    expect(takesFilesOut(snapshot)).toBe(false);
    expect(takesFilesOut({ ...snapshot, summary: { operation: "delete" } })).toBe(true);
    expect(takesFilesOut({ ...snapshot, summary: { ...snapshot.summary, "removed-delete-files": "1" } })).toBe(true);
  });
});

test("what was set for main's history stays set", () => {
  const retained = {
    "snapshot-id": 3n,
    type: "branch",
    "min-snapshots-to-keep": 50,
    "max-snapshot-age-ms": 9e9,
  } as const;
  const snapshots = [{ "snapshot-id": 3n, "sequence-number": 7, "timestamp-ms": 5, summary: {} }];
  const planned = planAppend({
    base: { ...base, snapshots, "current-snapshot-id": 3n, refs: { main: retained } } as unknown as TableMetadata,
    inherited: [],
    steps: [{ files: [file("data", 1)], snapshotId: 9n, manifestList: "memory://t/9.avro", mark: "mark" }],
    engineVersion: "0",
    nowMs: 9,
    expire: null,
  });
  expect(planned.updates.find((update) => update.action === "set-snapshot-ref")).toEqual({
    action: "set-snapshot-ref",
    "ref-name": "main",
    ...retained,
    "snapshot-id": 9n,
  });
});

test("snapshots past their age are expired, unless the catalog's service does that", () => {
  const old = (id: bigint) => ({ "snapshot-id": id, "sequence-number": Number(id), "timestamp-ms": Number(id) });
  const snapshots = [1n, 2n, 3n].map(old);
  const aged = { ...base, snapshots, refs: {} } as unknown as TableMetadata;
  const step = { files: [file("data", 1)], snapshotId: 9n, manifestList: "memory://t/9.avro", mark: "mark" };
  const removals = (expire: { readonly keepMs: number; readonly keepMin: number } | null) =>
    planAppend({
      base: aged,
      inherited: [],
      steps: [step],
      engineVersion: "0",
      nowMs: 1_000_000_000,
      expire,
    }).updates.filter(({ action }) => action === "remove-snapshots").length;
  expect(removals({ keepMs: 0, keepMin: 1 })).toBe(3);
  expect(removals(null)).toBe(0);
});
